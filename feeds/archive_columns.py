"""What the machine told of <-> columns of the archive's files, readable in any tool.

Every row has `place` (of the message in the machine's log), `index` (within the message) and `at` (when it was applied).
Events have the texts of their codes beside the ids, and what became of them; rows of events are in the order of their
security's code, those of one security in the order in which they were applied.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import NO_DATE, Kind, Namespace, Op
from engine.recognise import OUTCOMES
from engine.ring import DTYPES, Entry, Message
from engine.symbols import Symbols
from engine.tables import Tables, Word

GROUP_ROWS: Final = 1 << 15
"""Rows of a row group: what is read at least when one security is asked for."""
_WITH_EVENT: Final = (Message.EVENTS, Message.EFFECTS, Message.CORRECTIONS, Message.DEALS)
_TEXT_MESSAGES: Final = (Message.RULES, Message.BEGIN, Message.GAP, Message.QUARANTINE)
_NAMED: Final = {
    Message.SECURITIES: Namespace.SECURITY,
    Message.BOOKS: Namespace.BOOK,
    Message.DEPOTS: Namespace.DEPOT,
    Message.SOURCES: Namespace.SOURCE,
    Message.COUNTERPARTIES: Namespace.COUNTERPARTY,
    Message.UNITS: Namespace.UNIT,
}
_TABLES: Final = {
    "security": ("security", Word.SECURITIES),
    "book": ("book", Word.BOOKS),
    "depot": ("depot", Word.DEPOTS),
    "source": ("source", Word.SOURCES),
}
_QUOTES: Final = np.array([op in (Op.PRICE, Op.CLOSE, Op.NAV, Op.INAV, Op.VOLATILITY) for op in Op])
_UTC: Final = pa.timestamp("ns", "UTC")
_NOBODY: Final = ""
NAMES: Final = {
    "kind": tuple(kind.name for kind in Kind),
    "op": tuple(op.name for op in Op),
    "outcome": OUTCOMES,
}
"""Columns of numbers that are shown as words; a number without a word as itself."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INT64: Final = ("place", "at", "seq", "time", "received", "quantity", "offset")
_INT32: Final = ("index", "security_id", "trade_date", "settle_date")
_UINT16: Final = ("book_id", "depot_id", "source_id", "partition")
_UINT8: Final = ("kind", "op", "flags", "topic", "outcome")
_ORDER: Final = (
    "place index at time security op quantity book depot kind source seq trade_date settle_date flags outcome "
    "security_id book_id depot_id source_id topic partition offset received"
).split()


class Codes:
    """Texts of ids, from the tables of the machine that told; they outlive it. `tables` None: nobody knows them any more."""

    def __init__(self, tables: Tables | None) -> None:
        self._tables = tables
        self._symbols = Symbols(tables.array["symbols"]) if tables is not None else None
        self._texts: dict[str, NDArray[Any]] = {}
        self._rank: NDArray[np.int32] = np.zeros(0, np.int32)

    def texts(self, column: str, most: int) -> NDArray[Any]:
        """Texts by id, up to id `most` at least; "" for id 0, `#17` for an id without a code. Shape (n,), dtype object."""
        known = self._texts.get(column)
        if known is None or len(known) <= most:
            known = self._texts[column] = self._read(column, most)
            if column == "security":
                rank = np.empty(len(known), np.int32)
                rank[np.argsort(known.astype("U"), kind="stable")] = np.arange(len(known))
                self._rank = rank
        return known

    def rank(self, most: int) -> NDArray[np.int32]:
        """The place of each security among all in the order of their codes."""
        self.texts("security", most)
        return self._rank

    def ids(self, kind: Message, records: NDArray[Any]) -> NDArray[np.int64]:
        """Under which ids these records are kept; 0 where that is not known."""
        if self._symbols is None or kind not in _NAMED:
            return np.zeros(len(records), np.int64)
        return self._symbols.find(_NAMED[kind], np.ascontiguousarray(records["code"]))

    def _read(self, column: str, most: int) -> NDArray[Any]:
        table, word = _TABLES[column]
        codes: list[str] = []
        if self._tables is not None:
            count = self._tables.count(word) + 1
            codes = [code.decode("utf-8", "replace") for code in self._tables.array[table]["code"][:count].tolist()]
        codes += [""] * (most + 1 - len(codes))
        found = [code or f"#{number}" for number, code in enumerate(codes)]
        found[0] = _NOBODY
        return np.array(found, object)


class Portion(NamedTuple):
    """Rows of one file, in portions of a row group each."""

    name: str
    tables: list[pa.Table]


def portions(entries: Sequence[Entry], codes: Codes) -> list[Portion]:
    """The files that messages make: by kind, with prices apart from other events."""
    by_kind: dict[Message, list[Entry]] = {}
    for entry in entries:
        by_kind.setdefault(entry.kind, []).append(entry)
    made = []
    for kind, of in sorted(by_kind.items()):
        if kind in _WITH_EVENT:
            made += _of_events(kind, of, codes)
        else:
            made.append(Portion(kind.name.lower(), [_plain(kind, of, codes)]))
    return made


def _of_events(kind: Message, entries: Sequence[Entry], codes: Codes) -> list[Portion]:
    dtype = DTYPES[kind]
    stride = dtype.itemsize + 1  # what became of each follows the records
    sizes = np.array([entry.payload.size // stride for entry in entries], np.int64)
    if not sizes.sum():
        return []
    records = np.concatenate([e.payload[: n * dtype.itemsize] for e, n in zip(entries, sizes, strict=True)]).view(dtype)
    outcome = np.concatenate([e.payload[n * dtype.itemsize :] for e, n in zip(entries, sizes, strict=True)])
    events = records if kind in (Message.EVENTS, Message.EFFECTS) else np.ascontiguousarray(records["event"])
    of = np.repeat(np.arange(len(entries), dtype=np.int32), sizes)
    index = np.arange(len(events), dtype=np.int64) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.array([entry.place for entry in entries], np.int64)
    at_ns = np.array([entry.at_ns for entry in entries], np.int64)
    order = _order(events, codes)
    more = (
        {name: records[name] for name in dtype.names or () if name not in ("event", "spare")}
        if events is not records
        else {}
    )

    def made(name: str, chosen: NDArray[np.int64]) -> Portion:
        columns = _gathered(events, outcome, place, at_ns, of, index, chosen)
        extra = {name: values[chosen] for name, values in more.items()}
        return Portion(name, _tables(columns, extra, codes))

    if kind != Message.EVENTS:
        return [made(kind.name.lower(), order)]
    quotes = _QUOTES[np.minimum(events["op"][order], len(_QUOTES) - 1)]
    found = (("events", order[~quotes]), ("prices", order[quotes]))
    return [made(name, chosen) for name, chosen in found if chosen.size]


def _order(events: EventArray, codes: Codes) -> NDArray[np.int64]:
    """By the security's code; what is about a whole book belongs to no security and comes first."""
    security = np.where(events["op"] == Op.RESET_BOOK, 0, np.maximum(events["security"], 0))
    rank = codes.rank(int(security.max()))
    order: NDArray[np.int64] = _counted(rank[security], len(rank))
    return order


@nb.njit(**_JIT)
def _counted(ranks: NDArray[np.int32], most: int) -> NDArray[np.int64]:
    """A stable order by rank, in two passes."""
    begin = np.zeros(most + 1, np.int64)
    for i in range(ranks.size):
        begin[ranks[i] + 1] += 1
    for i in range(most):
        begin[i + 1] += begin[i]
    order = np.empty(ranks.size, np.int64)
    for i in range(ranks.size):
        order[begin[ranks[i]]] = i
        begin[ranks[i]] += 1
    return order


def _gathered(
    events: EventArray, outcome: Any, place: Any, at_ns: Any, of: Any, index: Any, order: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Columns of the events in this order; one pass, because an event is a cache line."""
    made: dict[str, NDArray[Any]] = {}
    blocks = []
    for names, dtype in ((_INT64, np.int64), (_INT32, np.int32), (_UINT16, np.uint16), (_UINT8, np.uint8)):
        block = np.empty((len(names), order.size), dtype)
        made |= dict(zip(names, block, strict=True))
        blocks.append(block)
    _gather(events, outcome, place, at_ns, of, index, order, *blocks)
    return made


@nb.njit(**_JIT)
def _gather(
    events: EventArray,
    outcome: NDArray[np.uint8],
    place: NDArray[np.int64],
    at_ns: NDArray[np.int64],
    of: NDArray[np.int32],
    index: NDArray[np.int64],
    order: NDArray[np.int64],
    wide: NDArray[np.int64],
    middle: NDArray[np.int32],
    narrow: NDArray[np.uint16],
    small: NDArray[np.uint8],
) -> None:
    for to in range(order.size):
        i = order[to]
        event = events[i]
        wide[0, to], wide[1, to] = place[of[i]], at_ns[of[i]]
        wide[2, to], wide[3, to], wide[4, to] = event.seq, event.time_ns, event.received_ns
        wide[5, to], wide[6, to] = event.quantity, event.offset
        middle[0, to], middle[1, to] = index[i], event.security
        middle[2, to], middle[3, to] = event.trade_date, event.settle_date
        narrow[0, to], narrow[1, to], narrow[2, to] = event.book, event.depot, event.source
        narrow[3, to] = event.partition
        small[0, to], small[1, to], small[2, to] = event.kind, event.op, event.flags
        small[3, to], small[4, to] = event.topic, outcome[i]


def _tables(columns: dict[str, NDArray[Any]], more: dict[str, NDArray[Any]], codes: Codes) -> list[pa.Table]:
    """Portions of a row group each: only so each has a dictionary of its own, of the few securities that are in it."""
    texts = {
        name: pa.array(codes.texts(name, int(columns[f"{name}_id"].max())), pa.string())
        for name in _TABLES
        if name != "security"
    }
    security = codes.texts("security", int(max(0, columns["security_id"].max())))
    whole = {name: _shown(name, values) for name, values in columns.items()}
    whole |= {
        name: pa.DictionaryArray.from_arrays(columns[f"{name}_id"].astype(np.int32), of) for name, of in texts.items()
    }
    whole |= {name: _column(values) for name, values in more.items()}
    about = np.where(columns["op"] == Op.RESET_BOOK, 0, np.maximum(columns["security_id"], 0))
    made = []
    for at in range(0, len(about), GROUP_ROWS):
        part = about[at : at + GROUP_ROWS]
        begins = np.ones(len(part), bool)
        begins[1:] = part[1:] != part[:-1]
        names = pa.array(security[part[begins]], pa.string())
        numbers = (np.cumsum(begins) - 1).astype(np.int32)
        arrays = {name: values.slice(at, GROUP_ROWS) for name, values in whole.items()}
        arrays["security"] = pa.DictionaryArray.from_arrays(numbers, names)
        made.append(pa.table({name: arrays[name] for name in (*_ORDER, *more)}))
    return made


def _shown(name: str, values: NDArray[Any]) -> pa.Array:
    """A column of events as a tool would like to see it."""
    if name in ("at", "time", "received"):
        return pa.array(values).view(_UTC)
    if name in ("trade_date", "settle_date"):
        return pa.array(values, mask=values == NO_DATE).view(pa.date32())
    if name in NAMES:
        named = NAMES[name]
        most = max(len(named), int(values.max()) + 1)
        texts = [*named, *(str(number) for number in range(len(named), most))]
        return pa.DictionaryArray.from_arrays(values.astype(np.int32), pa.array(texts, pa.string()))
    return pa.array(values)


def _column(values: NDArray[Any]) -> pa.Array:
    """A column of reference data. Text that is none stays bytes."""
    if values.dtype.kind != "S":
        return pa.array(np.ascontiguousarray(values))
    raw = pa.array(values.tolist(), pa.binary())
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return raw


def _plain(kind: Message, entries: Sequence[Entry], codes: Codes) -> pa.Table:
    """A table of messages that are no events."""
    if kind in _TEXT_MESSAGES:
        sizes = [1] * len(entries)
        columns = {"text": pa.array([entry.payload.tobytes().decode() for entry in entries], pa.string())}
    else:
        parts = [entry.payload.view(DTYPES[kind]) for entry in entries]
        sizes = [part.size for part in parts]
        records = np.concatenate(parts)
        columns = _of_records(kind, records, codes)
    head = {
        "place": pa.array(np.repeat([entry.place for entry in entries], sizes).astype(np.int64)),
        "index": pa.array(np.concatenate([np.arange(size) for size in sizes]).astype(np.int32)),
        "at": pa.array(np.repeat([entry.at_ns for entry in entries], sizes).astype(np.int64)).view(_UTC),
    }
    table = pa.table(head | columns)
    if kind != Message.DECIDED:
        return table
    return table.take(np.argsort(codes.rank(int(records["security"].max()))[records["security"]], kind="stable"))


def _of_records(kind: Message, records: NDArray[Any], codes: Codes) -> dict[str, pa.Array]:
    if records.dtype.names is None:
        return {"value": pa.array(records)}
    columns = {name: _column(records[name]) for name in records.dtype.names if name != "spare"}
    if kind in _NAMED:
        columns["id"] = pa.array(codes.ids(kind, records))
    if kind == Message.DECIDED:
        columns["security_id"] = columns["security"]
        texts = codes.texts("security", int(records["security"].max()))[records["security"]]
        columns["security"] = pa.array(texts, pa.string()).dictionary_encode()
    return columns
