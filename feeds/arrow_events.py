"""Arrow events: one record is one IPC stream of a schema and one batch of up to a few thousand events.

Columns, in any order: src, sec, book, depot (utf8, or its dictionary with int32 indices); op, kind, flags (uint8, values
of `Op`, `Kind` and `Flag`); seq, ts, qty (int64); trade, settle (date32, the only ones that may be null).

A record that cannot be read is quarantined whole. Of one that can, only the events that name something unknown, or have
a value out of range, are: as one entry per reason, whose `raw` is an Arrow stream of just these rows and whose `events`
says how many they are. So the same bytes can be sent again, and nothing is lost or doubled.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.events import EVENT, EventArray
from engine.model import Namespace
from engine.symbols import Symbols
from feeds import arrow_kernels
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

MAX_ROWS: Final = 1 << 16
"""Of one record."""
_FIRST_ROWS: Final = 5
_TEXT: Final = (pa.utf8(), pa.dictionary(pa.int32(), pa.utf8()))
_TYPES: Final[dict[str, tuple[pa.DataType, ...]]] = {
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
_NUMBERS: Final = (("seq", "<i8"), ("ts", "<i8"), ("qty", "<i8"), ("op", "u1"), ("kind", "u1"), ("flags", "u1"))
_CODES: Final = (
    ("src", Namespace.SOURCE),
    ("sec", Namespace.SECURITY),
    ("book", Namespace.BOOK),
    ("depot", Namespace.DEPOT),
)
_DATES: Final = ("trade", "settle")
_VERDICTS: Final = {
    arrow_kernels.INVALID: (Reason.INVALID, None),
    arrow_kernels.NO_SOURCE: (Reason.UNKNOWN_SOURCE, "src"),
    arrow_kernels.NO_SECURITY: (Reason.UNKNOWN_SECURITY, "sec"),
    arrow_kernels.NO_BOOK: (Reason.UNKNOWN_BOOK, "book"),
    arrow_kernels.NO_DEPOT: (Reason.UNKNOWN_DEPOT, "depot"),
}
_SCHEMA_ERRORS: Final = (pa.ArrowException, OSError, ValueError, MemoryError, EOFError)


class _FaultError(ValueError):
    """A record that cannot be used, as a whole."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode(values: Sequence[bytes], symbols: Symbols, origin: Origin) -> Decoded:
    """The events of all records, in the order given. Never raises for what is in a record."""
    unreadable: list[Unreadable] = []
    batches: list[tuple[int, pa.RecordBatch]] = []
    for number, value in enumerate(values):
        try:
            batches.append((number, _read(value)))
        except _FaultError as fault:
            unreadable.append(origin.unreadable(number, fault.reason, str(fault), value))
    total = sum(batch.num_rows for _, batch in batches)
    events, verdicts = np.empty(total, EVENT), np.zeros(total, np.uint8)
    at, bad = 0, 0
    for number, batch in batches:
        rows = slice(at, at := at + batch.num_rows)
        try:
            found = _fill(batch, symbols, origin, number, events[rows], verdicts[rows])
        except _FaultError as fault:
            unreadable.append(origin.unreadable(number, fault.reason, str(fault), values[number], batch.num_rows))
            verdicts[rows] = arrow_kernels.INVALID
            found = batch.num_rows
        else:
            unreadable.extend(_set_aside(batch, verdicts[rows], origin, number) if found else ())
        bad += found
    return Decoded(events[verdicts == arrow_kernels.GOOD] if bad else events, unreadable)


def _read(value: bytes) -> pa.RecordBatch:
    """The batch of a record, its schema checked. Raises `_FaultError`."""
    try:
        with pa.ipc.open_stream(value) as stream:
            _check_schema(stream.schema)
            batch = stream.read_next_batch()
            if next(stream, None) is not None:
                raise _FaultError(Reason.MALFORMED, "more than one batch in a record")
        batch.validate()
    except _FaultError:
        raise
    except StopIteration:
        raise _FaultError(Reason.MALFORMED, "no batch in the record") from None
    except _SCHEMA_ERRORS as error:
        raise _FaultError(Reason.MALFORMED, str(error) or type(error).__name__) from error
    if batch.num_rows > MAX_ROWS:
        raise _FaultError(Reason.INVALID, f"{batch.num_rows:,} events in a record, at most {MAX_ROWS:,}")
    return batch


def _check_schema(schema: pa.Schema) -> None:
    """Exactly the columns of `_TYPES`. Raises `_FaultError` naming the first that is not as it must be."""
    if schema.names != list(_TYPES) and sorted(schema.names) != sorted(_TYPES):
        missing, more = sorted(_TYPES.keys() - set(schema.names)), sorted(set(schema.names) - _TYPES.keys())
        raise _FaultError(Reason.INVALID, f"columns missing: {missing}, unknown: {more}, of {schema.names}")
    for name, kind in zip(schema.names, schema.types, strict=True):
        if kind not in _TYPES[name]:
            raise _FaultError(Reason.INVALID, f"column {name} is {kind}, not {' or '.join(map(str, _TYPES[name]))}")


def _fill(
    batch: pa.RecordBatch,
    symbols: Symbols,
    origin: Origin,
    number: int,
    events: EventArray,
    verdicts: NDArray[np.uint8],
) -> int:
    """Write all rows as events and what is wrong with each; returns how many are not good. Raises `_FaultError`."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, column in columns.items():
        if name not in _DATES and column.null_count:
            raise _FaultError(Reason.INVALID, f"column {name} has {column.null_count:,} nulls")
    numbers = tuple(_numbers(columns[name], dtype) for name, dtype in _NUMBERS)
    codes = tuple(_ids(columns[name], symbols, namespace) for name, namespace in _CODES)
    dates = (*_days(columns["trade"]), *_days(columns["settle"]))
    place = (origin.topic_index, int(origin.partitions[number]), int(origin.offsets[number]), origin.received_ns)
    return int(arrow_kernels.fill(numbers, codes, dates, place, events, verdicts))


def _view(buffer: pa.Buffer | None, dtype: str, first: int, count: int) -> NDArray[Any]:
    """`count` values of a buffer from value `first` on. Raises `_FaultError` where it is shorter than that.

    Always aligned and read-only: the kernels are compiled for that, once.
    """
    size = np.dtype(dtype).itemsize
    if count and (buffer is None or buffer.size < (first + count) * size):
        raise _FaultError(Reason.MALFORMED, "a column is shorter than its batch")
    view = np.empty(0, dtype) if buffer is None or not count else np.frombuffer(buffer, dtype, count, first * size)
    if not view.flags.aligned:
        view = view.copy()
    view.flags.writeable = False
    return view


def _numbers(column: pa.Array, dtype: str) -> NDArray[Any]:
    return _view(column.buffers()[1], dtype, column.offset, len(column))


def _days(column: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Days and the validity bitmap (empty: none is null), both from row 0 on."""
    days = _view(column.buffers()[1], "<i4", column.offset, len(column))
    if not column.null_count:
        return days, _view(None, "u1", 0, 0)
    if column.offset:  # a bitmap cannot be cut inside a byte; this makes a new one
        column = pa.concat_arrays([column.slice(0, 0), column])
    return days, _view(column.buffers()[0], "u1", 0, -(-len(column) // 8))


def _ids(column: pa.Array, symbols: Symbols, namespace: Namespace) -> NDArray[np.int32]:
    """Ids of a column of codes, one lookup per entry of its dictionary if it has one. Shape of the column."""
    if not isinstance(column, pa.DictionaryArray):
        return _lookup(column, symbols, namespace)
    if column.dictionary.null_count:
        raise _FaultError(Reason.INVALID, "a dictionary has a null")
    named = _lookup(column.dictionary, symbols, namespace)
    indices = _view(column.indices.buffers()[1], "<i4", column.offset, len(column))
    ids = np.empty(len(column), np.int32)
    if not arrow_kernels.take(indices, named, ids):
        raise _FaultError(Reason.MALFORMED, "an index leads outside of its dictionary")
    return ids


def _lookup(texts: pa.Array, symbols: Symbols, namespace: Namespace) -> NDArray[np.int32]:
    """Ids of plain texts. Raises `_FaultError` where their offsets lead outside."""
    ids = np.empty(len(texts), np.int32)
    if ids.size:
        _, offsets, data = texts.buffers()
        raw = _view(data, "u1", 0, 0 if data is None else data.size)
        cuts = _view(offsets, "<i4", texts.offset, ids.size + 1)
        if not arrow_kernels.name_all(cuts, raw, symbols.table, np.uint64(namespace), ids):
            raise _FaultError(Reason.MALFORMED, "a text leads outside of its column")
    return ids


def _set_aside(batch: pa.RecordBatch, verdicts: NDArray[np.uint8], origin: Origin, number: int) -> list[Unreadable]:
    """One entry per reason, with the rows that have it."""
    entries = []
    for verdict, (reason, column) in _VERDICTS.items():
        rows = np.flatnonzero(verdicts == verdict)
        if rows.size:
            part = batch.take(pa.array(rows))
            shown = ", ".join(str(row) for row in rows[:_FIRST_ROWS]) + (", ..." if rows.size > _FIRST_ROWS else "")
            detail = f"{rows.size:,} of {batch.num_rows:,} events (rows {shown}), first: {_shown(part, column)}"
            entries.append(origin.unreadable(number, reason, detail, _encoded(part), int(rows.size)))
    return entries


def _shown(batch: pa.RecordBatch, column: str | None) -> str:
    """The first row for a person: the column in question, or all of it."""
    try:
        row = batch.slice(0, 1).to_pylist()[0]
    except (ValueError, OverflowError, pa.ArrowException) as error:
        return f"cannot be shown ({error})"
    return f"{column} {row[column]!r}" if column else str({name: row[name] for name in _TYPES})


def _encoded(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def warm(symbols: Symbols) -> None:
    """Compile, or load, the kernels for every form a record can have."""
    plain, coded = (
        {
            name: pa.array([], kinds[0] if name not in ("src", "sec", "book", "depot") else kinds[form])
            for name, kinds in _TYPES.items()
        }
        for form in (0, 1)
    )
    for columns in (plain, coded):
        decode([_encoded(pa.record_batch(columns))], symbols, Origin.of("", 1))
