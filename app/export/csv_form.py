"""CSV (RFC 4180, UTF-8): exact numbers, and text that no spreadsheet takes for a formula."""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.export.cells import PER_CHUNK, TextMaker, defused, heading, number_texts
from engine.views import Column, Lines

_QUOTED = re.compile(r'[",\r\n]')


def written(lines: Lines) -> Iterator[tuple[int, bytes]]:
    """The file in parts, each with the number of lines written by then."""
    alone = len(lines.columns) == 1
    yield 0, (",".join(quoted(heading(column)) for column in lines.columns) + "\r\n").encode()

    def texts(_at: int, labels: list[str]) -> list[str]:
        # a line of nothing at all would be no line to many readers
        return [quoted(defused(label)) if label or not alone else '""' for label in labels]

    def numbers(column: Column, raw: NDArray[np.int64]) -> pa.StringArray:
        return pc.fill_null(number_texts(column, raw), '""' if alone else "")

    maker = TextMaker(lines, texts, numbers)
    for start in range(0, lines.count, PER_CHUNK):
        stop = min(start + PER_CHUNK, lines.count)
        yield stop, maker.chunk(start, stop, "", ",", "\r\n")


def quoted(text: str) -> str:
    """A cell."""
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
