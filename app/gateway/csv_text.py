"""A snapshot as CSV (RFC 4180, UTF-8): exact numbers, and text that no spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.views import Column, Snapshot

ROWS_PER_CHUNK: Final = 1_000
FLOOR: Final = "at_least"
"""The column that says whether external availability is a floor rather than a measured quantity; never left out."""
_HEADINGS: Final = {FLOOR: "external_at_least"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def with_floor(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file for which `columns` were asked."""
    return (*columns, *(() if FLOOR in columns else (FLOOR,)))


def headings(columns: Sequence[str]) -> bytes:
    """The first line."""
    return _lines([[_HEADINGS.get(name, name) for name in columns]])


def chunk(snapshot: Snapshot, start: int) -> bytes:
    """The lines of rows `start` .. `start + ROWS_PER_CHUNK`."""
    cells = [
        _cells(snapshot.kinds[name], values[start : start + ROWS_PER_CHUNK].tolist())
        for name, values in snapshot.columns.items()
    ]
    return _lines(zip(*cells, strict=True))


def starts(snapshot: Snapshot) -> Iterator[int]:
    """The first rows of all chunks."""
    return iter(range(0, snapshot.rows, ROWS_PER_CHUNK))


def _lines(rows: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _cells(column: Column, values: list[Any]) -> list[Any]:
    if column.is_text:
        return [_defused(value.decode("utf-8", "replace")) for value in values]
    if column.unit == "time":
        return ["" if value == column.unknown else value // column.scale for value in values]
    if column.scale > 1:
        places = len(str(column.scale)) - 1
        return ["" if value == column.unknown else decimal(value, places) for value in values]
    return values


def _defused(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def decimal(value: int, places: int) -> str:
    """`value` with its point moved `places` to the left, exact, without idle zeros."""
    digits = f"{abs(value):0{places + 1}d}"
    whole, part = digits[:-places], digits[-places:].rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}{'.' if part else ''}{part}"
