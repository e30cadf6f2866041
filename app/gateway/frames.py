"""Binary frames of a grid, little endian, every part padded to 8 bytes so that a browser maps it as it is.

Header, 40 bytes: u8 kind | u8 0 | u16 v | u32 first | u32 count | u32 total | f64 as_of_ms | f64 sent_ms |
u32 membership | u32 n. `v` is the number the client gave its view; the window's rows are `first` .. `first + count` of
`total`; `membership` grows when rows or order of the view changed; `as_of_ms` is the newest event's own time, NaN while
there was none.

Kind 1, a whole window (n = columns): i32 ids[count], then each column: f64[count], or u32 offsets[count + 1] and UTF-8.
Kind 2, changed cells (n = cells): f64 values[n], u16 row[n], u8 column[n]; number columns only. NaN is no value.
Kind 3, a window of groups (n = columns): i32 ids[count] (below 0: groups), u32 rows[count], u8 level[count], u8 state[count]
(0 data row, 1 closed group, 2 open, 3 never opens), labels as a text column, then the columns as in kind 1.
Kind 4, totals (n = columns): f64 values[n]; `count` is 1 and `total` the data rows that pass the filter.
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 1
CHANGES: Final = 2
TREE: Final = 3
TOTALS: Final = 4
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


def tree_head(
    rows: NDArray[np.int64], level: NDArray[np.uint8], state: NDArray[np.uint8], labels: NDArray[np.bytes_]
) -> bytes:
    """Kind 3: what stands between the ids and the columns."""
    return b"".join(
        [
            _padded(rows.astype("<u4").tobytes()),
            _padded(level.astype("u1").tobytes()),
            _padded(state.astype("u1").tobytes()),
            text_column(labels),
        ]
    )


def tree_body(ids: NDArray[np.int32], head: bytes, columns: list[bytes]) -> bytes:
    """Kind 3: as `window_body`, with the head of `tree_head`."""
    return window_body(ids, [head, *columns])


def totals_body(values: NDArray[np.float64]) -> bytes:
    """Kind 4."""
    return values.astype("<f8").tobytes()


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
