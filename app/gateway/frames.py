"""Binary frames of a grid, little endian, every part padded to 8 bytes so that a browser maps it as it is.

Header, 40 bytes: u8 kind | u8 0 | u16 v | u32 first | u32 count | u32 total | f64 as_of_ms | f64 sent_ms |
u32 membership | u32 n. `v` is the number the client gave its view; the window's rows are `first` .. `first + count` of
`total`; `membership` grows when rows or order of the view changed; `as_of_ms` is the newest event's own time, NaN while
there was none.

Kind 1, a whole window (n = columns): i32 ids[count], then each column: f64[count], or u32 offsets[count + 1] and UTF-8.
Kind 2, changed cells (n = cells): f64 values[n], u16 row[n], u8 column[n]; number columns only. NaN is no value.
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 1
CHANGES: Final = 2
_HEADER: Final = struct.Struct("<BBHIIIddII")
_ALIGN: Final = 8


def header(
    kind: int, v: int, first: int, count: int, total: int, as_of_ms: float, sent_ms: float, membership: int, n: int
) -> bytes:
    """The 40 bytes in front of a body."""
    return _HEADER.pack(kind, 0, v, first, count, total, as_of_ms, sent_ms, membership, n)


def window_body(ids: NDArray[np.int32], columns: list[bytes]) -> bytes:
    """Kind 1: ids and the columns as `number_column` and `text_column` make them, in the view's order."""
    return b"".join([_padded(ids.astype("<i4").tobytes()), *columns])


def number_column(values: NDArray[np.float64]) -> bytes:
    """One number column of a window."""
    return values.astype("<f8").tobytes()


def text_column(texts: NDArray[np.bytes_]) -> bytes:
    """One text column of a window."""
    cells: list[bytes] = texts.tolist()
    offsets = np.zeros(len(cells) + 1, "<u4")
    np.cumsum([len(cell) for cell in cells], out=offsets[1:])
    return _padded(offsets.tobytes()) + _padded(b"".join(cells))


def changes_body(values: NDArray[np.float64], rows: NDArray[np.uint16], columns: NDArray[np.uint8]) -> bytes:
    """Kind 2: one value, row of the window and column of the view per changed cell."""
    parts: list[NDArray[Any]] = [values.astype("<f8"), rows.astype("<u2"), columns]
    return parts[0].tobytes() + _padded(parts[1].tobytes()) + parts[2].tobytes()


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % _ALIGN)
