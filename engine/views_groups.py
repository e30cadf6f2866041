"""Rows by what they have in common: which innermost group each row is in, and sums of groups by level.

Groups come in the order of their labels. Texts are small numbers here, and so are combinations of them, as long as they fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.views_columns import Column
from engine.views_sight import Ids, Sight, codes
from engine.views_texts import Texts

_DENSE: Final = 1 << 22
"""Up to so many combinations are counted in a table of all that could be; others are sorted."""
_COMBINED: Final = 1 << 40
OTHER: Final = "…"


@dataclass(frozen=True, slots=True)
class Grouping:
    """`of_row`: by row (in the order of the ids) its innermost group; `labels`: by level the label of each innermost group, an
    index into `texts`; `rows`: how many rows each has."""

    texts: tuple[Texts, ...]
    of_row: NDArray[np.int32]
    labels: NDArray[np.int32]
    rows: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.rows)


def grouped(sight: Sight, ids: Ids, columns: Sequence[str]) -> Grouping:
    """Rows by the texts of these columns, the outermost first."""
    texts = tuple(sight.texts(column) for column in columns)
    combined, size = np.zeros(len(ids), np.int64), 1
    for column, of in zip(columns, texts, strict=True):
        if size * len(of.labels) > _COMBINED:
            present, combined = np.unique(combined, return_inverse=True)
            size = len(present)
        combined = combined * len(of.labels) + of.places.take(codes(sight, column, ids))
        size *= len(of.labels)
    of_row, rows = _numbered(combined, size)
    one_of = np.zeros(len(rows), np.int64)
    one_of[of_row[::-1]] = np.arange(len(ids))[::-1]
    some = ids[one_of]
    labels = np.array([codes(sight, column, some) for column in columns], np.int32).reshape(len(texts), len(rows))
    return Grouping(texts, of_row, labels, rows)


def _numbered(combined: NDArray[np.int64], size: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The combinations there are, numbered in their order: by row its number, and rows by number."""
    if size > _DENSE:
        _, inverse, rows = np.unique(combined, return_inverse=True, return_counts=True)
        return inverse.astype(np.int32), rows.astype(np.int64)
    counted = np.bincount(combined, minlength=size)
    places: NDArray[np.int32] = (np.cumsum(counted > 0) - 1).astype(np.int32)
    return places.take(combined), counted[counted > 0].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Sums:
    """Raw sums of columns, (groups, columns) each; `known`: where at least one row had a value."""

    columns: tuple[Column, ...]
    numbers: NDArray[np.int64]
    known: NDArray[np.bool_]

    def raw(self, at: int) -> NDArray[np.int64]:
        """A column as a reader of cells gives it, with what stands for no value."""
        return np.where(self.known[:, at], self.numbers[:, at], self.columns[at].unknown)

    def over(self, starts: NDArray[np.int64]) -> "Sums":
        """Sums over runs of groups, each from one of `starts` to the next."""
        if not len(starts):
            return self
        return Sums(
            self.columns, np.add.reduceat(self.numbers, starts, axis=0), np.logical_or.reduceat(self.known, starts)
        )

    def at(self, order: NDArray[np.int64]) -> "Sums":
        """In another order."""
        return Sums(self.columns, self.numbers[order], self.known[order])


def sums_of_groups(sight: Sight, ids: Ids, columns: Sequence[Column], grouping: Grouping) -> Sums:
    """Sums of the innermost groups."""
    numbers, known = sight.sums(columns, ids, grouping.of_row, grouping.count)
    return Sums(tuple(columns), numbers, known)


@dataclass(frozen=True, slots=True)
class Spread:
    """What becomes the columns of a pivot. `values`: their texts, None for the rest; `of_row`: by row which of them."""

    values: tuple[str | None, ...]
    of_row: NDArray[np.int32]


def spread(sight: Sight, ids: Ids, column: str, room: int) -> Spread:
    """The values of a text column in its order, at most `room`: beyond, those with the fewest rows are one."""
    of = grouped(sight, ids, [column])
    names = [label.decode("utf-8", "replace") for label in of.texts[0].labels[of.labels[0]].tolist()]
    if len(names) <= room:
        return Spread(tuple(names), of.of_row)
    kept = np.sort(np.argsort(-of.rows, kind="stable")[: room - 1])
    place = np.full(len(names), room - 1, np.int32)
    place[kept] = np.arange(room - 1)
    return Spread((*(names[at] for at in kept.tolist()), None), place.take(of.of_row))


def sums_of_pivot(sight: Sight, ids: Ids, columns: Sequence[Column], grouping: Grouping, by: Spread) -> Sums:
    """Sums of the innermost groups: each column for each value, value by value; then for all of them."""
    values, groups = len(by.values), grouping.count
    cell = grouping.of_row.astype(np.int64) * values + by.of_row
    numbers, known = sight.sums(columns, ids, cell.astype(np.int32), groups * values)
    shape = (groups, values, len(columns))
    numbers, known = numbers.reshape(shape), known.reshape(shape)
    return Sums(
        pivot_columns(columns, by.values),
        np.concatenate([numbers.reshape(groups, values * len(columns)), numbers.sum(axis=1)], axis=1),
        np.concatenate([known.reshape(groups, values * len(columns)), known.any(axis=1)], axis=1),
    )


def pivot_columns(columns: Sequence[Column], values: Sequence[str | None]) -> tuple[Column, ...]:
    """What the columns of a pivot are called: see `sums_of_pivot`."""
    made = [
        replace(
            column,
            name=f"{column.name}|{OTHER if value is None else value}",
            group="other" if value is None else value or "none",
            strong=False,
        )
        for value in values
        for column in columns
    ]
    return (*made, *(replace(column, group="All", strong=True) for column in columns))
