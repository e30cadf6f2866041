"""Files of the archive back into what the machine was told: the way back of `feeds.archive_columns`, exact to the bit."""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.events import CORRECTION, DEAL_STEP, EVENT, EventArray
from engine.model import NO_DATE
from engine.ring import DTYPES, Message
from feeds.archive_columns import NAMES

_FIELDS: Final = {
    "seq": "seq",
    "time_ns": "time",
    "quantity": "quantity",
    "offset": "offset",
    "received_ns": "received",
    "security": "security_id",
    "settle_date": "settle_date",
    "trade_date": "trade_date",
    "partition": "partition",
    "source": "source_id",
    "book": "book_id",
    "depot": "depot_id",
    "kind": "kind",
    "op": "op",
    "flags": "flags",
    "topic": "topic",
}
"""Fields of `EVENT` and the columns that hold them."""
EVENT_COLUMNS: Final = ("place", "index", "at", "outcome", *_FIELDS.values())
"""What is needed to have events back."""
STATE_COLUMNS: Final = tuple(
    name for name in EVENT_COLUMNS if name not in ("seq", "source_id", "topic", "partition", "offset", "received")
)
"""What of events makes a difference to rows: not who told them, and by which way."""
_WITH_EVENT: Final = {Message.CORRECTIONS: CORRECTION, Message.DEALS: DEAL_STEP}


class Told(NamedTuple):
    """Records with the place, the index within it, and the time at which the machine told of each.

    `outcome` is empty but for events.
    """

    records: NDArray[Any]
    place: NDArray[np.int64]
    within: NDArray[np.int64]
    at_ns: NDArray[np.int64]
    outcome: NDArray[np.uint8]

    def ordered(self) -> "Told":
        """As it happened."""
        if (np.diff(self.place) > 0).all():
            return self
        return self.taken(np.lexsort((self.within, self.place)))

    def taken(self, chosen: NDArray[Any]) -> "Told":
        outcome = self.outcome[chosen] if self.outcome.size else self.outcome
        if self.records.dtype.itemsize % 8:
            records = self.records[chosen]
        else:  # numpy copies records field by field, words at the speed of memory
            words = (
                np.ascontiguousarray(self.records)
                .view("<u8")
                .reshape(len(self.records), self.records.dtype.itemsize // 8)
            )
            records = words[chosen].view(self.records.dtype).reshape(-1)
        return Told(records, self.place[chosen], self.within[chosen], self.at_ns[chosen], outcome)


def joined(parts: list[Told], kind: Message) -> Told:
    """Several files' as one, in the order of the parts; of none, empty."""
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Told(np.zeros(0, DTYPES[kind]), nothing, nothing, nothing, np.zeros(0, np.uint8))
    return Told(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def told(kind: Message, table: pa.Table) -> Told:
    """A table of the archive; of `events` and `prices` with the kind EVENTS."""
    events = kind in (Message.EVENTS, Message.EFFECTS) or kind in _WITH_EVENT
    records = _events(table) if events else _records(kind, table)
    if kind in _WITH_EVENT:
        whole = np.zeros(len(records), _WITH_EVENT[kind])
        whole["event"] = records
        _fill(whole, table)
        records = whole
    return Told(
        records,
        _numbers(table["place"], np.int64),
        _numbers(table["index"], np.int64),
        _numbers(table["at"], np.int64),
        _words(table["outcome"], "outcome") if events else np.zeros(0, np.uint8),
    )


def texts(table: pa.Table) -> list[tuple[int, int, str]]:
    """Messages that are text: (place, time, text)."""
    columns = (_numbers(table["place"], np.int64), _numbers(table["at"], np.int64), table["text"].to_pylist())
    return [(int(place), int(at_ns), text) for place, at_ns, text in zip(*columns, strict=True)]


def _events(table: pa.Table) -> EventArray:
    events = np.zeros(table.num_rows, EVENT)
    present = set(table.column_names)
    for field, column in _FIELDS.items():
        if column not in present:
            continue
        found = table[column]
        events[field] = _words(found, column) if column in NAMES else _numbers(found, EVENT[field])
    return events


def _records(kind: Message, table: pa.Table) -> NDArray[Any]:
    dtype = DTYPES[kind]
    if dtype.names is None:
        return _numbers(table["value"], dtype)
    records = np.zeros(table.num_rows, dtype)
    _fill(records, table)
    if kind == Message.DECIDED:
        records["security"] = _numbers(table["security_id"], np.int32)
    return records


def _fill(records: NDArray[Any], table: pa.Table) -> None:
    """The columns that have the names of fields."""
    for name in records.dtype.names or ():
        if name in ("event", "spare") or name not in table.column_names or pa.types.is_dictionary(table[name].type):
            continue
        dtype = records.dtype[name]
        if dtype.kind == "S":
            values = table[name].cast(pa.binary()).to_pylist()
            records[name] = np.array(values, dtype) if values else []
        else:
            records[name] = _numbers(table[name], dtype)


def _numbers(column: pa.ChunkedArray, dtype: Any) -> NDArray[Any]:
    if pa.types.is_date32(column.type):
        column = pc.fill_null(column.cast(pa.int32()), NO_DATE)
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.to_numpy()).astype(dtype, copy=False)


def _words(column: pa.ChunkedArray, name: str) -> NDArray[np.uint8]:
    """Numbers of what is shown as words."""
    numbers = {word: number for number, word in enumerate(NAMES[name])}
    parts = []
    for chunk in column.chunks:
        of = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        words = of.dictionary.to_pylist()
        known = np.array([numbers[word] if word in numbers else int(word) for word in words] or [0], np.uint8)
        parts.append(known[np.asarray(of.indices)])
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)
