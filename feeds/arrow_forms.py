"""What Arrow records of events look like: their columns, and where the compiled reader finds them.

How a record begins tells its schema, byte by byte; one that has been seen need not be looked at again.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.events import EVENT, EventArray
from engine.model import Namespace
from engine.symbols import Symbols
from feeds import arrow_scanner
from feeds.quarantine import Origin, Reason

MAX_ROWS: Final = 1 << 16
"""Of one record."""
_TEXT: Final = (pa.utf8(), pa.dictionary(pa.int32(), pa.utf8()))
TYPES: Final[dict[str, tuple[pa.DataType, ...]]] = {
    "src": _TEXT,
    "sec": _TEXT,
    "book": _TEXT,
    "depot": _TEXT,
    "op": (pa.uint8(),),
    "kind": (pa.uint8(),),
    "seq": (pa.int64(),),
    "ts": (pa.int64(),),
    "qty": (pa.int64(),),
    "trade": (pa.date32(),),
    "settle": (pa.date32(),),
    "flags": (pa.uint8(),),
}
NUMBERS: Final = (("seq", "<i8"), ("ts", "<i8"), ("qty", "<i8"), ("op", "u1"), ("kind", "u1"), ("flags", "u1"))
CODES: Final = (
    ("src", Namespace.SOURCE),
    ("sec", Namespace.SECURITY),
    ("book", Namespace.BOOK),
    ("depot", Namespace.DEPOT),
)
DATES: Final = ("trade", "settle")
CORRECTS: Final = "corrects"
SCHEMA_ERRORS: Final = (pa.ArrowException, OSError, ValueError, MemoryError, EOFError)
_COLUMN: Final = {name: number for number, (name, *_) in enumerate((*CODES, *NUMBERS, *((name,) for name in DATES)))}
_NAMESPACES: Final = np.array([int(namespace) for _, namespace in CODES], np.uint64)
_HEAD: Final = 8
"""Bytes before a message: four of ones, and its size."""
_CONTINUES: Final = b"\xff" * 4
_LONGEST: Final = 1 << 14
"""Bytes of a schema that is remembered."""
_FORMS: Final = 64


class FaultError(ValueError):
    """A record that cannot be used, as a whole."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Form(NamedTuple):
    """A schema that the compiled reader knows, see `arrow_scanner.lay_out`."""

    beginning: bytes
    fields: NDArray[np.int64]
    dictionaries: NDArray[np.int64]


def check_schema(schema: pa.Schema) -> None:
    """The columns of `TYPES`, and perhaps `corrects`. Raises `FaultError` naming the first that is not as it must be."""
    names = [name for name in schema.names if name != CORRECTS]
    if len(schema.names) - len(names) > 1 or (names != list(TYPES) and sorted(names) != sorted(TYPES)):
        missing, more = sorted(TYPES.keys() - set(names)), sorted(set(names) - TYPES.keys())
        raise FaultError(Reason.INVALID, f"columns missing: {missing}, unknown: {more}, of {schema.names}")
    for name, kind in zip(schema.names, schema.types, strict=True):
        wanted = TYPES.get(name, (pa.int64(),))
        if kind not in wanted:
            raise FaultError(Reason.INVALID, f"column {name} is {kind}, not {' or '.join(map(str, wanted))}")


def scanned(
    values: Sequence[bytes], symbols: Symbols, origin: Origin, permitted: tuple[np.uint64, np.uint64]
) -> Iterator[tuple[int, int, EventArray | None]]:
    """Consecutive stretches of records, from number to number: their events, or None where the strict decoder must look."""
    first = 0
    while first < len(values):
        form, end = _form_of(values[first]), first + 1
        beginning = None if form is None else form.beginning
        while end < len(values) and _same(values[end], beginning):
            end += 1
        if form is None:
            yield first, end, None
        else:
            yield from _scanned(form, values, first, end, symbols, origin, permitted)
        first = end


def _same(value: bytes, beginning: bytes | None) -> bool:
    return _form_of(value) is None if beginning is None else value.startswith(beginning)


def _form_of(value: bytes) -> Form | None:
    size = int.from_bytes(value[4:_HEAD], "little")
    if value[:4] != _CONTINUES or not _HEAD <= size <= min(_LONGEST, len(value) - _HEAD):
        return None
    return _form(value[: _HEAD + size])


@lru_cache(_FORMS)
def _form(beginning: bytes) -> Form | None:
    """The form of records that begin so; None for one that the compiled reader does not know."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(beginning))
        check_schema(schema)
    except SCHEMA_ERRORS:
        return None
    ids = np.empty(len(schema.names), np.int64)
    if CORRECTS in schema.names or not arrow_scanner.dictionaries_of(_bytes(beginning), ids):
        return None
    fields = np.array([_COLUMN[name] for name in schema.names], np.int64)
    dictionaries = np.full(len(CODES), -1, np.int64)
    for column, number in zip(fields.tolist(), ids.tolist(), strict=True):
        if column < len(CODES):
            dictionaries[column] = number
    return Form(beginning, fields, dictionaries)


def _bytes(value: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(value, np.uint8)


def _scanned(
    form: Form,
    values: Sequence[bytes],
    first: int,
    end: int,
    symbols: Symbols,
    origin: Origin,
    permitted: tuple[np.uint64, np.uint64],
) -> Iterator[tuple[int, int, EventArray | None]]:
    """Records of one form."""
    views, places = _joined(values[first:end])
    places[:, 0] += len(form.beginning)
    found = np.empty((end - first, arrow_scanner.COLUMNS, arrow_scanner.FOUND), np.int64)
    rows, bad = np.empty(end - first, np.int64), np.zeros(end - first, np.int64)
    arrow_scanner.lay_out(views[0], places, form.fields, form.dictionaries, MAX_ROWS, found, rows)
    known = rows >= 0
    most = int(found[known, : len(CODES), arrow_scanner.ENTRIES].max(initial=0))
    named = np.empty((len(CODES), most), np.int32)
    ends = np.cumsum(np.maximum(rows, 0))
    events = np.empty(int(ends[-1]), EVENT)
    place = (origin.partitions[first:end], origin.offsets[first:end], origin.topic_index, origin.received_ns)
    lookup = (symbols.table, _NAMESPACES)
    arrow_scanner.events_of(views, found, rows, place, lookup, permitted, named, events, bad)
    good = known & (bad == 0)
    if good.all():
        yield first, end, events
        return
    cuts = [0, *(np.flatnonzero(good[1:] != good[:-1]) + 1).tolist(), end - first]
    for begin, stop in pairwise(cuts):
        upto = int(ends[stop - 1])
        held = events[int(ends[begin - 1]) if begin else 0 : upto] if good[begin] else None
        yield first + begin, first + stop, held


def _joined(values: Sequence[bytes]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The bytes of all records as `arrow_scanner.events_of` wants them, and where each begins and ends."""
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    begins = np.zeros(len(values), np.int64)
    np.cumsum((sizes + 7 & ~7)[:-1], out=begins[1:])
    pads = [bytes(-size % 8) for size in range(8)]
    parts = [part for value in values for part in (value, pads[len(value) % 8])]
    raw = b"".join([*parts, bytes(arrow_scanner.PAD)])
    data = np.frombuffer(raw, np.uint8)
    if data.ctypes.data % 8:
        data = np.empty(len(raw), np.uint64).view(np.uint8)[: len(raw)]
        data[:] = np.frombuffer(raw, np.uint8)
        data.flags.writeable = False
    views = (data, data.view("<i8"), data.view("<i4"), data.view("<u8"))
    return views, np.stack([begins, begins + sizes], axis=1)
