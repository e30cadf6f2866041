"""Cells of the inventory, read out of one writer's tables: by column, by window, and what changed between two readings.

Numbers stay int64 until the frame or the file they leave in: `raw / scale` is what is shown, and a raw value equal to
`unknown` is no value at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import views_kernel as kernel
from engine.catalogue import Catalogue
from engine.rule_model import Role
from engine.tables import Tables
from engine.views_columns import Column, Source, columns_of, playing
from engine.views_reference import Reference
from engine.views_sight import Ids
from engine.views_texts import Texts


class InventoryColumns:
    """The columns under one version of the rules, read out of one writer's tables."""

    def __init__(self, tables: Tables, catalogue: Catalogue) -> None:
        self.version = catalogue.version
        self.all = columns_of(catalogue)
        self.by_name: Mapping[str, Column] = {column.name: column for column in self.all}
        self.left = playing(catalogue, Role.LEFT_SHORT)
        array = tables.segment.arrays
        # as they lie in memory, with their padding: a reshaped slice would be a copy, and show one moment for ever
        self._flat: dict[Source, NDArray[np.int64]] = {
            Source.VALUES: array["values"].reshape(-1),
            Source.TERMS: array["terms"].reshape(-1),
            Source.HEAD: array["head"].reshape(-1),
            Source.PARKED: array["parked"],
        }
        self._words: dict[Source, tuple[int, int]] = {
            Source.VALUES: _words(array["values"]),
            Source.TERMS: _words(array["terms"]),
            Source.HEAD: (array["head"].shape[1], 1),
            Source.PARKED: (1, 1),
        }

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    def read(self, column: Column, ids: NDArray[np.int32], reference: Reference) -> NDArray[np.int64]:
        """A copy of a number column for `ids`, raw.

        Aligned 64-bit words are never torn, so one column may be read while the writer writes; several columns that
        must belong together are read under the epoch.
        """
        if column.source is Source.REFERENCE:
            return reference.numbers[column.name].take(ids)
        return self._flat[column.source].take(self._places(column, ids, reference))

    def copier(
        self, columns: Sequence[Column], ids: NDArray[np.int32], reference: Reference
    ) -> Callable[[], dict[str, NDArray[np.int64]]]:
        """A function that copies whole columns for `ids` as fast as memory gives: time is short under the epoch."""
        moving = [column for column in columns if not column.is_text and column.source is not Source.REFERENCE]
        places = {column.name: (self._flat[column.source], self._places(column, ids, reference)) for column in moving}
        fixed = {c.name: self.read(c, ids, reference) for c in columns if c.source is Source.REFERENCE}
        return lambda: fixed | {name: flat.take(at) for name, (flat, at) in places.items()}

    def window(self, columns: Sequence[Column], ids: NDArray[np.int32], reference: Reference) -> "Window":
        """A fast reader of the same cells again and again."""
        numbers = [column for column in columns if not column.is_text]
        fixed = np.zeros((len(ids), len(numbers)), np.int64)
        places: dict[Source, list[tuple[int, NDArray[np.int64]]]] = {}
        for i, column in enumerate(numbers):
            if column.source is Source.REFERENCE:
                fixed[:, i] = reference.numbers[column.name].take(ids)
            else:
                places.setdefault(column.source, []).append((i, self._places(column, ids, reference)))
        parts = [
            (self._flat[source], np.array([i for i, _ in found]), np.stack([at for _, at in found], axis=1))
            for source, found in places.items()
        ]
        return Window(fixed, parts)

    def _places(self, column: Column, ids: NDArray[np.int32], reference: Reference) -> NDArray[np.int64]:
        """Where a column's numbers are in the flat array of its source."""
        stride, words = self._words[column.source]
        places = ids.astype(np.int64) * stride + column.item * words
        if column.source not in (Source.HEAD, Source.PARKED):
            places += reference.settle_day.take(ids) if column.day is None else column.day
        return places


class InventorySight:
    """The inventory, a row a security, under one version of reference data and rules."""

    def __init__(self, columns: InventoryColumns, reference: Reference) -> None:
        self.columns = columns
        self.reference = reference
        self.by_name = columns.by_name
        self.rules: int | None = columns.version
        self.everybody: Ids = np.arange(1, reference.count + 1, dtype=np.int32)

    @property
    def meaning(self) -> object:
        return self

    def part(self, column: str) -> int:  # noqa: ARG002  every text is the security's
        return 0

    def member(self, part: int, ids: Ids) -> Ids:  # noqa: ARG002  the same
        return ids

    def texts(self, column: str) -> Texts:
        return self.reference.texts(column)

    def text(self, column: str, ids: Ids) -> NDArray[np.bytes_]:
        return self.reference.text(column, ids)

    def read(self, column: Column, ids: Ids) -> NDArray[np.int64]:
        return self.columns.read(column, ids, self.reference)

    def window(self, columns: Sequence[Column], ids: Ids) -> "Window":
        return self.columns.window(columns, ids, self.reference)

    def sums(
        self, columns: Sequence[Column], ids: Ids, group: NDArray[np.int32], groups: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        return sums_of([self.read(column, ids) for column in columns], columns, group, groups)


def sums_of(
    numbers: Sequence[NDArray[np.int64]], columns: Sequence[Column], group: NDArray[np.int32], groups: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sums of columns by group, and where at least one row had a value; (groups, columns) each."""
    sums, known = np.zeros((len(columns), groups), np.int64), np.zeros((len(columns), groups), np.bool_)
    for i, (raw, column) in enumerate(zip(numbers, columns, strict=True)):
        kernel.add_column(raw, column.unknown, group, sums[i], known[i])
    return sums.T, known.T


def _words(array: NDArray[Any]) -> tuple[int, int]:
    """Words of a security, and of one of its items."""
    return array.shape[1] * array.shape[2], array.shape[2]


class Window:
    """The number cells of some rows: what is fixed is kept, what moves is gathered with one index per array."""

    def __init__(
        self, fixed: NDArray[np.int64], parts: list[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]]
    ) -> None:
        self._fixed = fixed
        self._parts = parts

    def read(self) -> NDArray[np.int64]:
        """Raw cells now, shape (rows, number columns). Call it inside `Tables.read` or `glimpse`."""
        cells = self._fixed.copy()
        for flat, columns, places in self._parts:
            cells[:, columns] = flat.take(places)
        return cells


def shown(column: Column, raw: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a person reads: raw values in the column's unit, NaN for none. Whole shares below 2^53 are exact."""
    return np.where(raw == column.unknown, np.nan, raw / column.scale)


@dataclass(frozen=True, slots=True)
class Scales:
    """Scale and unknown value of several number columns, for whole matrices of cells at once."""

    scale: NDArray[np.float64]
    unknown: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Scales":
        numbers = [column for column in columns if not column.is_text]
        return cls(np.array([c.scale for c in numbers], float), np.array([c.unknown for c in numbers], np.int64))

    def shown(self, raw: NDArray[np.int64]) -> NDArray[np.float64]:
        """Shape (rows, columns), as `shown` for each column."""
        return np.where(raw == self.unknown, np.nan, raw / self.scale)


def changes(
    previous: NDArray[np.int64], now: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.int64]]:
    """Cells that differ between two readings of one window: row, number column and raw value of each."""
    rows, columns = np.nonzero(previous != now)
    return rows.astype(np.uint16), columns.astype(np.uint8), now[rows, columns]
