"""Columns of a file as text, made by Arrow's compiled functions: a hundred thousand lines at a time, not cell by cell."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.views import Column, Lines, TextCells

PER_CHUNK: Final = 50_000
"""Lines made and sent together."""
FLOOR: Final = "at_least"
_HEADINGS: Final = {FLOOR: "external_at_least"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def heading(column: Column) -> str:
    """What a column is called in a file."""
    return _HEADINGS.get(column.name, column.name)


def defused(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def compact(cells: TextCells) -> tuple[list[str], NDArray[np.int32]]:
    """The texts that are used, and by line which of them: who exports ten rows does not get everybody's names."""
    used = np.bincount(cells.codes, minlength=len(cells.labels)) > 0
    place = (np.cumsum(used) - 1).astype(np.int32)
    return [label.decode("utf-8", "replace") for label in cells.labels[used].tolist()], place.take(cells.codes)


def decimals(scale: int) -> int:
    """Digits behind the point of a number that is kept times `scale`."""
    return len(str(scale)) - 1


def number_texts(column: Column, raw: NDArray[np.int64]) -> pa.StringArray:
    """Numbers as text, exact, without idle zeros; null for no value. Times are whole milliseconds since 1970."""
    unknown = raw == column.unknown
    if column.unit == "time":
        return pa.array(raw // column.scale, mask=unknown).cast(pa.string())
    if column.scale == 1:
        return pa.array(raw, mask=unknown).cast(pa.string())
    negative = raw < 0
    size = np.where(negative, -raw, raw).view(np.uint64)  # the least int64 is its own opposite, and right as unsigned
    unit = np.uint64(column.scale)
    rest = pc.utf8_lpad(pa.array(size % unit).cast(pa.string()), width=decimals(column.scale), padding="0")
    sign = pc.if_else(pa.array(negative), "-", "")
    text = pc.binary_join_element_wise(sign, pa.array(size // unit).cast(pa.string()), ".", rest, "")
    text = pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")
    return pc.if_else(pa.array(unknown), pa.scalar(None, pa.string()), text)


class TextMaker:
    """Writes lines of a file as strings: `text` makes a cell of each different text, `number` cells of a column of numbers."""

    def __init__(
        self,
        lines: Lines,
        text: Callable[[int, list[str]], list[str]],
        number: Callable[[Column, NDArray[np.int64]], pa.StringArray],
    ) -> None:
        self._lines = lines
        self._number = number
        self._texts: dict[int, tuple[pa.StringArray, NDArray[np.int32]]] = {}
        for at, cells in enumerate(lines.cells):
            if isinstance(cells, TextCells):
                labels, codes = compact(cells)
                self._texts[at] = pa.array(text(at, labels), pa.string()), codes

    def chunk(self, start: int, stop: int, before: str, between: str, after: str) -> bytes:
        """Lines `start` .. `stop`, each cell behind the other."""
        parts = [self._cells(at, start, stop) for at in range(len(self._lines.cells))]
        line = pc.binary_join_element_wise(*parts, between)
        return _bytes(pc.binary_join_element_wise(before, line, after, ""))

    def _cells(self, at: int, start: int, stop: int) -> pa.StringArray:
        if at in self._texts:
            labels, codes = self._texts[at]
            return labels.take(pa.array(codes[start:stop]))
        cells = self._lines.cells[at]
        assert not isinstance(cells, TextCells), "texts are above"
        return self._number(self._lines.columns[at], cells[start:stop])


def _bytes(texts: pa.StringArray) -> bytes:
    """The texts one behind the other: as they lie in memory."""
    flat = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    _, offsets, data = flat.buffers()
    if data is None or not len(flat):
        return b""
    at = np.frombuffer(offsets, np.int32)[flat.offset : flat.offset + len(flat) + 1]
    return bytes(data[int(at[0]) : int(at[-1])])
