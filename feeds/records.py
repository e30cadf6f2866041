"""What the decoders of record feeds share: JSON records of a poll -> typed records -> columns -> events.

A record names itself by `src` and `seq` as an event does; (src, seq) is what it is known by, whatever it becomes. Texts become
ids a poll at a time; a record that cannot be used is a value, like everywhere.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.events import EVENT, EventArray
from engine.model import NO_DATE, RATE_UNKNOWN, SYMBOL_BYTES, Flag, Kind, Namespace
from engine.symbols import Symbols
from feeds.quarantine import Origin, Reason, Unreadable

T = TypeVar("T", bound=msgspec.Struct)

_EPOCH: Final = date(1970, 1, 1).toordinal()
_INT64: Final = 2**63
MAX_QUANTITY: Final = 10**15

Code: TypeAlias = Annotated[str, Meta(min_length=1, max_length=SYMBOL_BYTES)]
OptionalCode: TypeAlias = Annotated[str, Meta(max_length=SYMBOL_BYTES)]
Sequence64: TypeAlias = Annotated[
    int, Meta(ge=1, le=_INT64 - 1, description="Counts the records of the source, from 1.")
]
Nanoseconds: TypeAlias = Annotated[int, Meta(ge=0, le=_INT64 - 1, description="When it happened, ns since 1970, UTC.")]
Quantity: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_QUANTITY, description="Whole shares.")]
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_QUANTITY, description="Whole shares.")]
Signed: TypeAlias = Annotated[
    int, Meta(ge=-MAX_QUANTITY, le=MAX_QUANTITY, description="Whole shares, short is negative.")
]
Rate: TypeAlias = Annotated[int, Meta(gt=RATE_UNKNOWN, lt=2**31, description="Ten-thousandths of a percent a year.")]


class Numbered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every record begins with."""

    src: Code
    seq: Sequence64
    ts: Nanoseconds


class Rows(Numbered, frozen=True, forbid_unknown_fields=True):
    """A record about one row of the inventory."""

    sec: Code
    book: Code


class Columns:
    """Records of one type, column by column. `numbers`: which records of the poll they are, shape (n,)."""

    def __init__(self, kind: type[msgspec.Struct], records: Sequence[Any], numbers: NDArray[np.intp]) -> None:
        self.numbers = numbers
        self._columns = dict(
            zip(kind.__struct_fields__, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True)
        )
        self.faults: dict[int, tuple[Reason, str]] = {}
        """By position in here: what is wrong with a record, the first that was found."""

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return self._columns[name]

    def __len__(self) -> int:
        return self.numbers.size

    @property
    def present(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(self._columns)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Shape (n,)."""
        good = np.ones(len(self), np.bool_)
        good[list(self.faults)] = False
        return good

    def fault(self, wrong: NDArray[np.bool_], reason: Reason, say: Callable[[int], str]) -> None:
        """Records where `wrong` cannot be used; `say` tells why, given the position."""
        if wrong.any():
            for at in np.flatnonzero(wrong).tolist():
                self.faults.setdefault(at, (reason, say(at)))

    def integers(self, name: str, dtype: str = "<i8", missing: int = 0) -> NDArray[Any]:
        """A column of numbers; `missing` stands for None."""
        values = self[name]
        if None in values:
            values = tuple(missing if value is None else value for value in values)
        return np.array(values, dtype)

    def days(self, name: str) -> NDArray[np.int32]:
        """A column of dates as days since 1970, `NO_DATE` for None; earlier ones are a fault."""
        values = self[name]
        known = {value: days_of(value) for value in set(values)}
        days = np.fromiter(map(known.__getitem__, values), np.int32, len(values))
        self.fault(days < NO_DATE, Reason.INVALID, lambda at: f"{name} {values[at]} lies before 1970")
        return days

    def names(self, name: str, values: dict[Any, int]) -> NDArray[np.uint8]:
        """A column of members of an enumeration as the numbers they stand for."""
        return np.fromiter(map(values.__getitem__, self[name]), np.uint8, len(self))

    def ids(self, name: str, namespace: Namespace, reason: Reason, symbols: Symbols) -> NDArray[np.int32]:
        """Ids of a column of codes, 0 for the empty one; an unknown code is a fault."""
        texts = self[name]
        distinct = list(set(texts))
        raw = [b"" if "\0" in text else text.encode() for text in distinct]
        fits = [code if len(code) <= SYMBOL_BYTES else b"" for code in raw]
        found = symbols.find(namespace, np.array(fits, f"S{SYMBOL_BYTES}")).tolist()
        ids = np.fromiter(map(dict(zip(distinct, found, strict=True)).__getitem__, texts), np.int32, len(texts))
        unknown = ids == 0
        if unknown.any():
            what = namespace.name.lower()
            unknown &= np.fromiter(map(bool, texts), np.bool_, len(texts))
            self.fault(unknown, reason, lambda at: f"no {what} {texts[at]!r}")
        return ids

    def codes(self, name: str) -> NDArray[np.bytes_]:
        """A column of codes of the record's own making; what does not fit is a fault, never cut."""
        texts = self[name]
        raw = [text.encode() for text in texts]
        wrong = np.fromiter(map(len, raw), np.int64, len(raw)) > SYMBOL_BYTES
        wrong |= np.fromiter((b"\0" in code for code in raw), np.bool_, len(raw))
        self.fault(
            wrong, Reason.TOO_LONG, lambda at: f"{name} has {len(raw[at])} bytes, at most {SYMBOL_BYTES} without zeros"
        )
        return np.array(raw, f"S{SYMBOL_BYTES}")

    def rejected(self, values: Sequence[bytes], origin: Origin) -> list[Unreadable]:
        """An entry for every record that cannot be used."""
        return [
            origin.unreadable(number, reason, detail, values[number])
            for at, (reason, detail) in sorted(self.faults.items())
            for number in (int(self.numbers[at]),)
        ]

    def events(self, symbols: Symbols, origin: Origin) -> EventArray:
        """One event per record with what all records have: identity, origin and, where they name it, the row."""
        events = np.zeros(len(self), EVENT)
        events["seq"], events["time_ns"] = self["seq"], self["ts"]
        events["offset"], events["partition"] = origin.offsets[self.numbers], origin.partitions[self.numbers]
        events["received_ns"], events["topic"] = origin.received_ns, origin.topic_index
        events["trade_date"] = events["settle_date"] = NO_DATE
        events["source"] = self.ids("src", Namespace.SOURCE, Reason.UNKNOWN_SOURCE, symbols)
        for name, column, namespace, reason in _ROW:
            if name in self._columns:
                events[column] = self.ids(name, namespace, reason, symbols)
        return events


_ROW: Final = (
    ("sec", "security", Namespace.SECURITY, Reason.UNKNOWN_SECURITY),
    ("book", "book", Namespace.BOOK, Reason.UNKNOWN_BOOK),
    ("depot", "depot", Namespace.DEPOT, Reason.UNKNOWN_DEPOT),
)


def read(
    values: Sequence[bytes], decoder: msgspec.json.Decoder[Any], origin: Origin
) -> tuple[list[Any], NDArray[np.intp], list[Unreadable]]:
    """The records that are what they should be, which ones of the poll these are, and what the others are."""
    try:
        return list(map(decoder.decode, values)), np.arange(len(values)), []
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        records, numbers, unreadable = [], [], []
    for number, value in enumerate(values):
        try:
            records.append(decoder.decode(value))
            numbers.append(number)
        except msgspec.ValidationError as error:
            unreadable.append(origin.unreadable(number, Reason.INVALID, str(error), value))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            unreadable.append(origin.unreadable(number, Reason.MALFORMED, str(error), value))
    return records, np.array(numbers, np.intp), unreadable


def by_type(
    records: Sequence[Any], numbers: NDArray[np.intp], kinds: Iterable[type[msgspec.Struct]]
) -> dict[type[msgspec.Struct], Columns]:
    """The records of each type that occurs, in their order."""
    types = list(map(type, records))
    kinds = [kind for kind in kinds if kind in types]
    if len(kinds) == 1:
        return {kinds[0]: Columns(kinds[0], records, numbers)}
    split = {}
    for kind in kinds:
        chosen = [at for at, each in enumerate(types) if each is kind]
        split[kind] = Columns(kind, [records[at] for at in chosen], numbers[chosen])
    return split


def days_of(day: date | None) -> int:
    """Days since 1970-01-01; `NO_DATE` for none, less for what lies before."""
    if day is None:
        return NO_DATE
    days = day.toordinal() - _EPOCH
    return days if days >= 0 else NO_DATE - 1


def kinds_of(names: type[StrEnum]) -> dict[Any, int]:
    """What members that are named like kinds stand for."""
    return {member: int(Kind[member.name]) for member in names}


def in_order(parts: Sequence[tuple[NDArray[np.intp], int, NDArray[np.void]]], dtype: np.dtype[Any]) -> NDArray[np.void]:
    """Parts put together in the order of (record, place). A part: numbers of records, the place within them, and rows."""
    if len(parts) == 1:
        return parts[0][2]
    if not parts:
        return np.empty(0, dtype)
    numbers = np.concatenate([numbers for numbers, _, _ in parts])
    places = np.concatenate([np.full(len(rows), place) for _, place, rows in parts])
    words = dtype.itemsize // 4
    joined = np.concatenate([rows.view("<u4").reshape(-1, words) for _, _, rows in parts])
    return joined[np.lexsort((places, numbers))].view(dtype).reshape(-1)


def as_parts(events: EventArray) -> EventArray:
    """The same events as belonging to the one before them."""
    events["flags"] |= np.uint8(Flag.PART)
    return events
