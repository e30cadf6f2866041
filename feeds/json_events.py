"""JSON events, one object per record -> one batch of events.

The canonical form is exactly these keys in this order without white space (`flags` may be left out, and `corrects` comes
only behind it):

    {"src":"sim-0","seq":17,"ts":1790000000000000000,"op":"BUY","sec":"US0378331005","book":"B0001","depot":"DTC",
     "kind":"FIRM","trade":"2026-11-20","settle":"2026-11-23","qty":100,"flags":0,"corrects":12}

`op` and `kind` are names, `flags` a sum, of `Op`, `Kind` and `Flag`. `qty` is in whole shares; of PRICE in millionths of the
currency, of SET_RATE in ten-thousandths of a percent a year. `corrects` is the number of an earlier event of the same source:
the event replaces that one, or, with `Flag.CANCEL`, only takes it back.

A poll of canonical records is read by one call of a compiled scanner. What it leaves is read one by one by a strict
decoder, which also takes other orders, white space and escapes, and which says what is wrong with what it cannot take.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType
from numpy.typing import NDArray

from engine.events import CORRECTION, EVENT, EventArray
from engine.model import NO_DATE, QUOTES, SYMBOL_BYTES, WIRE_FLAGS, Kind, Namespace, Op
from engine.ring import Message
from engine.symbols import Symbols
from feeds import json_scanner
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

_INT64: Final = 2**63
_EPOCH: Final = date(1970, 1, 1).toordinal()
Int64: TypeAlias = Annotated[int, Meta(ge=-_INT64, le=_INT64 - 1)]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event as it is written; `op` and `kind` are names of `Op` and `Kind`."""

    src: Annotated[str, Meta(min_length=1)]
    seq: Annotated[int, Meta(ge=1, le=_INT64 - 1)]
    ts: Annotated[int, Meta(ge=0, le=_INT64 - 1)]
    op: str
    sec: str
    book: str
    depot: str
    kind: str
    trade: date | None
    settle: date | None
    qty: Int64
    flags: Annotated[int, Meta(ge=0, le=WIRE_FLAGS)] | UnsetType = UNSET
    corrects: Annotated[int, Meta(ge=1, le=_INT64 - 1)] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a feed of events may say."""

    ops: tuple[Op, ...] = tuple(Op)
    kinds: tuple[Kind, ...] = tuple(Kind)
    feed: str = ""
    """Its name, for whoever reads a refusal."""

    @property
    def bits(self) -> tuple[np.uint64, np.uint64]:
        """A bit for each op, a bit for each kind."""
        return np.uint64(sum(1 << op for op in self.ops)), np.uint64(sum(1 << kind for kind in self.kinds))


ANYTHING: Final = Permitted()


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Event)
_OPS: Final = {op.name: int(op) for op in Op}
_KINDS: Final = {kind.name: int(kind) for kind in Kind}
_NEEDS: Final = {op.name: (op != Op.RESET_BOOK, op not in QUOTES) for op in Op}
"""Whether an op names a security and a book. Those that name both may name a depot."""
_REPLACING: Final = (Op.SET, Op.SET_TD, Op.RESET_BOOK)
"""Operations that do not commute with a correction of an earlier event."""
_CODES: Final = (
    ("src", "source", Namespace.SOURCE, Reason.UNKNOWN_SOURCE),
    ("sec", "security", Namespace.SECURITY, Reason.UNKNOWN_SECURITY),
    ("book", "book", Namespace.BOOK, Reason.UNKNOWN_BOOK),
    ("depot", "depot", Namespace.DEPOT, Reason.UNKNOWN_DEPOT),
)
"""Field on the wire, column of `EVENT`, what it names, why it fails."""


def encode(event: Event) -> bytes:
    """The canonical form."""
    return _ENCODER.encode(event)


def decode(values: Sequence[bytes], symbols: Symbols, origin: Origin, permitted: Permitted = ANYTHING) -> Decoded:
    """Every record becomes one event, in the order given, or one `Unreadable`. Never raises for what is in a record."""
    count = len(values)
    events = np.zeros(count, EVENT)
    events["topic"] = origin.topic_index
    events["partition"] = origin.partitions
    events["offset"] = origin.offsets
    events["received_ns"] = origin.received_ns
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, count))
    words = json_scanner.words_over(b"".join((*values, bytes(json_scanner.PAD))))
    corrects = np.empty(count, np.int64)
    left, correcting = json_scanner.scan(words, ends, symbols.table, events, corrects, permitted.bits)
    if not left and not correcting:
        return Decoded(events)
    unreadable = []
    if left:
        numbers = np.flatnonzero(corrects < 0)
        unreadable = _decode_strictly(values, numbers, symbols, origin, events, corrects, permitted)
        events, corrects = events[corrects >= 0], corrects[corrects >= 0]
    return with_corrections(events, corrects, unreadable)


def with_corrections(events: EventArray, corrects: NDArray[np.int64], unreadable: list[Unreadable]) -> Decoded:
    """Events apart from those that correct others. Where the order among them matters, it is kept: see `Decoded.messages`."""
    at = np.flatnonzero(corrects)
    if not at.size:
        return Decoded(events, unreadable)
    plain = corrects == 0
    corrections = np.zeros(at.size, CORRECTION)
    corrections["event"], corrections["corrects"] = events[at], corrects[at]
    if not np.isin(events["op"][plain], _REPLACING).any():
        return Decoded(events[plain], unreadable, corrections=corrections)
    messages: list[tuple[Message, NDArray[Any]]] = []
    for run in np.split(np.arange(events.size), np.flatnonzero(np.diff(plain)) + 1):
        if plain[run[0]]:
            messages.append((Message.EVENTS, events[run]))
        else:
            messages.append((Message.CORRECTIONS, corrections[np.searchsorted(at, run)]))
    return Decoded(unreadable=unreadable, messages=messages)


class _FaultError(ValueError):
    """JSON of the right shape that is not an event."""


def _decode_strictly(
    values: Sequence[bytes],
    numbers: NDArray[np.intp],
    symbols: Symbols,
    origin: Origin,
    events: EventArray,
    corrects: NDArray[np.int64],
    permitted: Permitted,
) -> list[Unreadable]:
    """The records of these numbers: fills their `events` and `corrects`, or says what is wrong with them."""
    unreadable: list[Unreadable] = []
    kept: list[int] = []
    rows: list[Event] = []
    for number in map(int, numbers):
        try:
            rows.append(_read(values[number], permitted))
            kept.append(number)
        except (msgspec.ValidationError, _FaultError) as error:
            unreadable.append(origin.unreadable(number, Reason.INVALID, str(error), values[number]))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            unreadable.append(origin.unreadable(number, Reason.MALFORMED, str(error), values[number]))
    chosen = np.array(kept, np.intp)
    unnamed = _resolve(rows, chosen, symbols, events)
    corrects[chosen] = [-1 if what else row.corrects or 0 for row, what in zip(rows, unnamed, strict=True)]
    for number, what in zip(kept, unnamed, strict=True):
        if what:
            unreadable.append(origin.unreadable(number, what[0], what[1], values[number]))
    return sorted(unreadable, key=lambda entry: (entry.partition, entry.offset))


def _read(value: bytes, permitted: Permitted) -> Event:
    """A valid event. Raises msgspec's errors or `_FaultError`."""
    event = _DECODER.decode(value)
    needs = _NEEDS.get(event.op)
    if needs is None:
        raise _FaultError(f"no op {event.op!r}")
    if event.kind not in _KINDS:
        raise _FaultError(f"no kind {event.kind!r}")
    if _OPS[event.op] not in permitted.ops:
        raise _FaultError(f"{event.op} is not for the feed {permitted.feed}")
    if _KINDS[event.kind] not in permitted.kinds:
        raise _FaultError(f"kind {event.kind} is not for the feed {permitted.feed}")
    if needs != (event.sec != "", event.book != "") or (event.depot != "" and needs != (True, True)):
        raise _FaultError(f"{event.op} with security {event.sec!r}, book {event.book!r}, depot {event.depot!r}")
    if b"\\" in value and "\0" in event.src + event.sec + event.book + event.depot:
        raise _FaultError("a code contains a zero character")
    if _repeats_a_key(value, event):
        raise _FaultError("a key comes twice")
    if _days(event.trade) < NO_DATE or _days(event.settle) < NO_DATE:
        raise _FaultError("a date before 1970")
    return event


def _repeats_a_key(value: bytes, event: Event) -> bool:
    """JSON says nothing of keys that come twice, and the decoder takes the last. A second meaning is no event."""
    if b"\\" in value:
        pairs: list[Any] = json.loads(value, object_pairs_hook=list)
        return len({key for key, _ in pairs}) < len(pairs)
    texts = 6 + (event.trade is not None) + (event.settle is not None)
    keys = 11 + (event.flags is not UNSET) + (event.corrects is not UNSET)
    return value.count(b'"') != 2 * (texts + keys)


def _resolve(
    rows: Sequence[Event], chosen: NDArray[np.intp], symbols: Symbols, events: EventArray
) -> list[tuple[Reason, str] | None]:
    """Write rows to `events[chosen]`; returns for each what it names in vain, if anything."""
    unnamed: list[tuple[Reason, str] | None] = [None] * len(rows)
    for wire, column, namespace, reason in _CODES:
        texts = [getattr(row, wire) for row in rows]
        # a code that is too long must not be cut into another one; the empty one is in no table
        raw = [code if len(code) <= SYMBOL_BYTES else b"" for code in map(str.encode, texts)]
        ids = symbols.find(namespace, np.array(raw, f"S{SYMBOL_BYTES}"))
        events[column][chosen] = ids
        for at in np.flatnonzero(ids == 0):
            if texts[at] and unnamed[at] is None:
                unnamed[at] = (reason, f"no {column} {texts[at]!r}")
    events["seq"][chosen] = [row.seq for row in rows]
    events["time_ns"][chosen] = [row.ts for row in rows]
    events["quantity"][chosen] = [row.qty for row in rows]
    events["trade_date"][chosen] = [_days(row.trade) for row in rows]
    events["settle_date"][chosen] = [_days(row.settle) for row in rows]
    events["op"][chosen] = [_OPS[row.op] for row in rows]
    events["kind"][chosen] = [_KINDS[row.kind] for row in rows]
    events["flags"][chosen] = [row.flags or 0 for row in rows]
    return unnamed


def _days(day: date | None) -> int:
    """Days since 1970-01-01; `NO_DATE` for none, less for what lies before."""
    if day is None:
        return NO_DATE
    days = day.toordinal() - _EPOCH
    return days if days >= 0 else NO_DATE - 1
