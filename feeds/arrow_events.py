"""Arrow events: one record is one IPC stream of a schema and one batch of up to a few thousand events.

Columns, in any order: src, sec, book, depot (utf8, or its dictionary with int32 indices); op, kind, flags (uint8, values
of `Op`, `Kind` and `Flag`); seq, ts, qty (int64); trade, settle (date32, which may be null); and, if wanted, corrects (int64,
null where an event corrects none; see feeds/json_events.py).

A record that cannot be read is quarantined whole. Of one that can, only the events that name something unknown, or have
a value out of range, are: as one entry per reason, whose `raw` is an Arrow stream of just these rows and whose `events`
says how many they are. So the same bytes can be sent again, and nothing is lost or doubled.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import copies
from engine.events import EVENT, EventArray
from engine.model import Namespace
from engine.ring import Message
from engine.symbols import Symbols
from feeds import arrow_kernels
from feeds.arrow_forms import (
    CODES,
    CORRECTS,
    DATES,
    MAX_ROWS,
    NUMBERS,
    SCHEMA_ERRORS,
    TYPES,
    FaultError,
    check_schema,
    scanned,
)
from feeds.json_events import ANYTHING, Permitted, with_corrections
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

_FIRST_ROWS: Final = 5
_VERDICTS: Final = {
    arrow_kernels.INVALID: (Reason.INVALID, None),
    arrow_kernels.FORBIDDEN: (Reason.INVALID, None),
    arrow_kernels.NO_SOURCE: (Reason.UNKNOWN_SOURCE, "src"),
    arrow_kernels.NO_SECURITY: (Reason.UNKNOWN_SECURITY, "sec"),
    arrow_kernels.NO_BOOK: (Reason.UNKNOWN_BOOK, "book"),
    arrow_kernels.NO_DEPOT: (Reason.UNKNOWN_DEPOT, "depot"),
}
_OPTIONS: Final = pa.ipc.IpcReadOptions(use_threads=False)


class _NullsError(ValueError):
    """One of several records has a null where none may be."""


def decode(values: Sequence[bytes], symbols: Symbols, origin: Origin, permitted: Permitted = ANYTHING) -> Decoded:
    """The events of all records, in the order given. Never raises for what is in a record."""
    unreadable: list[Unreadable] = []
    parts: list[Decoded] = []
    for first, end, events in scanned(values, symbols, origin, permitted.bits):
        if events is not None:
            parts.append(Decoded(events))
            continue
        left = strictly(values[first:end], symbols, origin.take(np.arange(first, end)), permitted)
        unreadable += left.unreadable
        parts.append(replace(left, unreadable=[]))
    return _joined_parts(parts, unreadable)


def strictly(values: Sequence[bytes], symbols: Symbols, origin: Origin, permitted: Permitted = ANYTHING) -> Decoded:
    """The same, of records of every form, and of what is wrong with each."""
    unreadable: list[Unreadable] = []
    parts: list[Decoded] = []
    run: list[tuple[int, pa.RecordBatch]] = []
    schema: pa.Schema | None = None

    def finish() -> None:
        if run:
            events, corrects = _decode_run(run, values, symbols, origin, unreadable, permitted.bits)
            parts.append(with_corrections(events, corrects, []) if corrects is not None else Decoded(events))

    for number, value in enumerate(values):
        try:
            batch = _read(value, schema)
        except FaultError as fault:
            unreadable.append(origin.unreadable(number, fault.reason, str(fault), value))
            continue
        if run and not batch.schema.equals(schema):
            finish()
            run = []
        schema = batch.schema
        run.append((number, batch))
    finish()
    return _joined_parts(parts, unreadable)


def _joined_parts(parts: Sequence[Decoded], unreadable: list[Unreadable]) -> Decoded:
    """One after the other."""
    if len(parts) == 1:
        return replace(parts[0], unreadable=unreadable)
    if not any(part.messages or part.corrections.size for part in parts):
        return Decoded(copies.joined([part.events for part in parts]) if parts else np.empty(0, EVENT), unreadable)
    messages: list[tuple[Message, NDArray[Any]]] = []
    for part in parts:
        messages += part.messages
        messages += [(Message.EVENTS, part.events)] if part.events.size else []
        messages += [(Message.CORRECTIONS, part.corrections)] if part.corrections.size else []
    return Decoded(unreadable=unreadable, messages=messages)


def _read(value: bytes, schema: pa.Schema | None) -> pa.RecordBatch:
    """The batch of a record. `schema`: one that is known to be good. Raises `FaultError`."""
    try:
        with pa.ipc.open_stream(value, options=_OPTIONS) as stream:
            if schema is None or not stream.schema.equals(schema):
                check_schema(stream.schema)
            batch = stream.read_next_batch()
            if next(stream, None) is not None:
                raise FaultError(Reason.MALFORMED, "more than one batch in a record")
        batch.validate()  # that buffers are as long as they must be; what they hold is checked where it is used
    except FaultError:
        raise
    except StopIteration:
        raise FaultError(Reason.MALFORMED, "no batch in the record") from None
    except SCHEMA_ERRORS as error:
        raise FaultError(Reason.MALFORMED, str(error) or type(error).__name__) from error
    if batch.num_rows > MAX_ROWS:
        raise FaultError(Reason.INVALID, f"{batch.num_rows:,} events in a record, at most {MAX_ROWS:,}")
    return batch


def _decode_run(
    run: Sequence[tuple[int, pa.RecordBatch]],
    values: Sequence[bytes],
    symbols: Symbols,
    origin: Origin,
    unreadable: list[Unreadable],
    permitted: tuple[np.uint64, np.uint64],
) -> tuple[EventArray, NDArray[np.int64] | None]:
    """Records of one schema together, column by column: the cost of a column is paid once, not once per record.

    Returns events and, where the schema has them, what they correct.
    """
    batches = [batch for _, batch in run]
    ends = np.cumsum([batch.num_rows for batch in batches])
    events, verdicts = np.empty(int(ends[-1]), EVENT), np.empty(int(ends[-1]), np.uint8)
    origins = origin.take(np.array([number for number, _ in run], np.intp))
    try:
        bad = _fill(batches, ends, symbols, origins, permitted, events, verdicts)
    except _NullsError:
        without = [(number, batch) for number, batch in run if not _nulls(batch)]
        for number, batch in run:
            if said := _nulls(batch):
                unreadable.append(origin.unreadable(number, Reason.INVALID, said, values[number], batch.num_rows))
        if not without:
            return np.empty(0, EVENT), None
        return _decode_run(without, values, symbols, origin, unreadable, permitted)
    corrects = _corrected(batches, verdicts)
    if not bad and not verdicts.any():
        return events, corrects
    for end, (number, batch) in zip(ends.tolist(), run, strict=True):
        rows = slice(end - batch.num_rows, end)
        if (verdicts[rows] == arrow_kernels.DAMAGED).any():
            detail = "an index or an offset leads outside of its column"
            unreadable.append(origin.unreadable(number, Reason.MALFORMED, detail, values[number], batch.num_rows))
            verdicts[rows] = arrow_kernels.DAMAGED
        elif verdicts[rows].any():
            unreadable.extend(_set_aside(batch, verdicts[rows], origin, number))
    good = verdicts == arrow_kernels.GOOD
    return copies.chosen(events, good), None if corrects is None else corrects[good]


def _corrected(batches: Sequence[pa.RecordBatch], verdicts: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """What each row corrects, 0 for nothing; a number that none can have makes the row invalid. None: no such column."""
    if CORRECTS not in batches[0].schema.names:
        return None
    column = pa.chunked_array([batch.column(CORRECTS) for batch in batches])
    corrects = _numbers(column, "<i8").copy()
    if column.null_count:
        known = np.concatenate([_valid(chunk) for chunk in column.chunks])
        corrects[~known] = 0
    else:
        known = np.ones(corrects.size, np.bool_)
    wrong = known & (corrects < 1)
    verdicts[wrong & (verdicts == arrow_kernels.GOOD)] = arrow_kernels.INVALID
    return corrects


def _valid(column: pa.Array) -> NDArray[np.bool_]:
    """Which values of a column are not null."""
    bitmap = column.buffers()[0]
    if bitmap is None:
        return np.ones(len(column), np.bool_)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def _nulls(batch: pa.RecordBatch) -> str:
    """What is wrong with the nulls of a record; empty where nothing is."""
    for name in TYPES:
        column = batch.column(name)
        if name not in DATES and column.null_count:
            return f"column {name} has {column.null_count:,} nulls"
        if isinstance(column, pa.DictionaryArray) and column.dictionary.null_count:
            return f"the dictionary of column {name} has a null"
    return ""


def _fill(
    batches: Sequence[pa.RecordBatch],
    ends: NDArray[np.int64],
    symbols: Symbols,
    origin: Origin,
    permitted: tuple[np.uint64, np.uint64],
    events: EventArray,
    verdicts: NDArray[np.uint8],
) -> int:
    """Write all rows as events and what is wrong with each; returns how many are not good. `ends`: rows up to a record's.

    Raises `_NullsError` for a null where none may be.
    """
    table = pa.Table.from_batches(batches)
    if any(table.column(name).null_count for name in TYPES if name not in DATES):
        raise _NullsError
    numbers = tuple(_numbers(table.column(name), dtype) for name, dtype in NUMBERS)
    codes = tuple(_ids(table.column(name), ends, symbols, namespace) for name, namespace in CODES)
    dates = (*_days(table.column("trade")), *_days(table.column("settle")))
    place = (ends, origin.partitions, origin.offsets, origin.topic_index, origin.received_ns)
    return int(arrow_kernels.fill(numbers, codes, dates, place, permitted, events, verdicts))


def _joined(column: pa.ChunkedArray) -> pa.Array:
    """One array from row 0 on; of a single record without a copy, if it can be."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _view(buffer: pa.Buffer | None, dtype: str, first: int, count: int) -> NDArray[Any]:
    """`count` values of a buffer from value `first` on; always aligned and read-only: the kernels are compiled for that."""
    view = (
        np.empty(0, dtype)
        if buffer is None or not count
        else np.frombuffer(buffer, dtype, count, first * np.dtype(dtype).itemsize)
    )
    if not view.flags.aligned:
        view = view.copy()
    view.flags.writeable = False
    return view


def _numbers(column: pa.ChunkedArray, dtype: str) -> NDArray[Any]:
    joined = _joined(column)
    return _view(joined.buffers()[1], dtype, joined.offset, len(joined))


def _days(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Days and the validity bitmap (empty: none is null), both from row 0 on."""
    joined = _joined(column)
    days = _view(joined.buffers()[1], "<i4", joined.offset, len(joined))
    if not joined.null_count:
        return days, _view(None, "u1", 0, 0)
    if joined.offset:  # a bitmap cannot be cut inside a byte; joining makes a new one
        joined = pa.concat_arrays([joined.slice(0, 0), joined])
    return days, _view(joined.buffers()[0], "u1", 0, -(-len(joined) // 8))


def _ids(column: pa.ChunkedArray, ends: NDArray[np.int64], symbols: Symbols, namespace: Namespace) -> NDArray[np.int32]:
    """Ids of a column of codes, one lookup per entry of a record's dictionary if it has one. Shape (rows,)."""
    if not pa.types.is_dictionary(column.type):
        return _lookup(_joined(column), symbols, namespace)
    dictionaries = [chunk.dictionary for chunk in column.chunks]
    entries = pa.concat_arrays(dictionaries)
    if entries.null_count:
        raise _NullsError
    named = _lookup(entries, symbols, namespace)
    # the indices are the array's own second buffer; asking for them as an array costs five times as much
    indices = [_view(chunk.buffers()[1], "<i4", chunk.offset, len(chunk)) for chunk in column.chunks]
    joined = np.concatenate(indices)
    ids = np.empty(joined.size, np.int32)
    arrow_kernels.take(joined, ends, named, np.cumsum([len(dictionary) for dictionary in dictionaries]), ids)
    return ids


def _lookup(texts: pa.Array, symbols: Symbols, namespace: Namespace) -> NDArray[np.int32]:
    """Ids of plain texts, shape of `texts`."""
    ids = np.empty(len(texts), np.int32)
    if ids.size:
        _, offsets, data = texts.buffers()
        raw = _view(data, "u1", 0, 0 if data is None else data.size)
        cuts = _view(offsets, "<i4", texts.offset, ids.size + 1)
        arrow_kernels.name_all(cuts, raw, symbols.table, np.uint64(namespace), ids)
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
    return f"{column} {row[column]!r}" if column else str({name: row[name] for name in TYPES})


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
            for name, kinds in TYPES.items()
        }
        for form in (0, 1)
    )
    for columns in (plain, coded):
        value = _encoded(pa.record_batch(columns))
        decode([value], symbols, Origin.of("", 1))
        strictly([value], symbols, Origin.of("", 1))
