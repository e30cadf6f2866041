"""An Arrow stream: every column with its type, texts as dictionaries, and what the file is in the schema's metadata."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.export.cells import PER_CHUNK, compact, decimals, heading
from engine.views import Column, Lines, TextCells

_PRECISION = 19
"""Digits of the largest int64."""


class _Sink:
    """Bytes that were written and not yet taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """All is where it goes to."""

    def taken(self) -> bytes:
        """What has been written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def written(lines: Lines, about: dict[str, str]) -> Iterator[tuple[int, bytes]]:
    """The file in parts, each with the number of lines written by then."""
    columns = [_column(column, cells) for column, cells in zip(lines.columns, lines.cells, strict=True)]
    fields = [
        pa.field(heading(column), kind, metadata={"unit": column.unit, "title": column.title})
        for column, (kind, _) in zip(lines.columns, columns, strict=True)
    ]
    schema, sink = pa.schema(fields, metadata=about), _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), schema) as stream:
        yield 0, sink.taken()
        for start in range(0, lines.count, PER_CHUNK):
            stop = min(start + PER_CHUNK, lines.count)
            stream.write_batch(pa.record_batch([make(start, stop) for _, make in columns], schema=schema))
            yield stop, sink.taken()
    yield lines.count, sink.taken()


def _column(column: Column, cells: TextCells | NDArray[np.int64]) -> tuple[pa.DataType, Any]:
    """Its type, and a function that makes an array of some of its lines."""
    if isinstance(cells, TextCells):
        labels, codes = compact(cells)
        texts = pa.array(labels, pa.string())
        kind = pa.dictionary(pa.int32(), pa.string())
        return kind, lambda start, stop: pa.DictionaryArray.from_arrays(pa.array(codes[start:stop]), texts)
    if column.unit == "time":
        instants = pa.timestamp("ms", "UTC")
        return instants, lambda start, stop: pa.array(
            cells[start:stop] // column.scale, pa.int64(), mask=cells[start:stop] == column.unknown
        ).cast(instants)
    if column.scale == 1:
        return pa.int64(), lambda start, stop: pa.array(
            cells[start:stop], pa.int64(), mask=cells[start:stop] == column.unknown
        )
    exact = pa.decimal128(_PRECISION, decimals(column.scale))
    return exact, lambda start, stop: _decimals(exact, cells[start:stop], column.unknown)


def _decimals(kind: pa.DataType, raw: NDArray[np.int64], unknown: int) -> pa.Array:
    """The same digits with a point: 128 bits each, of which the upper half repeats the sign."""
    words = np.stack([raw, raw >> 63], axis=1)
    known = np.packbits(raw != unknown, bitorder="little")
    return pa.Array.from_buffers(kind, len(raw), [pa.py_buffer(known.tobytes()), pa.py_buffer(words.tobytes())])
