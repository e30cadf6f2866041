"""How to read a window, for as long as its rows and the rules stay: which cells are fixed, which are read again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.gateway import frames
from engine.views import Column, Membership, Opening, Outline, OutlineWindow, Scales, WindowCells

CLOSED: Final = Opening()
NumberOf = Callable[[tuple[bytes, ...]], int]
"""Group -> its number in the frames of a view."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What the columns of a window are under one version of the rules."""

    columns: tuple[Column, ...]
    texts: tuple[bool, ...]
    scales: Scales
    numbers: NDArray[np.uint8]
    """Places of the number columns."""

    @classmethod
    def of(cls, columns: tuple[Column, ...]) -> "Shape":
        """The shape of a window of these columns."""
        texts = tuple(column.is_text for column in columns)
        return cls(columns, texts, Scales.of(columns), np.flatnonzero(np.logical_not(texts)).astype(np.uint8))

    def same(self, other: "Shape") -> bool:
        """Whether numbers of one may be compared with those of the other."""
        return self is other or self.columns == other.columns


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Which window of a view: columns, first row and number of rows; of a grouped one, which groups are open in it."""

    columns: tuple[str, ...]
    first: int
    count: int
    opening: Opening = CLOSED
    totals: bool = False

    @property
    def key(self) -> tuple[tuple[str, ...], int, int, Opening, bool]:
        return self.columns, self.first, self.count, self.opening, self.totals


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """`ids` and `texts` as they go into a frame; `total`: rows of the view."""

    membership: Membership
    ids: NDArray[np.int32]
    shape: Shape
    texts: tuple[bytes, ...]
    reader: WindowCells
    total: int
    groups: "GroupRows | None" = None

    def read(self) -> NDArray[np.int64]:
        """Raw cells now, shape (rows, number columns)."""
        raw = self.reader.read()
        if self.groups is None:
            return raw
        cells = self.groups.sums.copy()
        if len(raw):
            cells[self.groups.leaf] = raw
        return cells


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """Rows of a tree's window: which are data rows, the sums of the others, and the parts of a frame that tell of groups."""

    leaf: NDArray[np.bool_]
    sums: NDArray[np.int64]
    head: bytes


def flat_plan(membership: Membership, place: Place, old: Plan | None) -> Plan:
    """The window of a view without groups."""
    sight, total = membership.sight, len(membership.ids)
    ids = membership.ids[place.first : place.first + place.count]
    if old is not None and old.membership.sight.meaning is sight.meaning:
        if np.array_equal(old.ids, ids):
            return replace(old, membership=membership, total=total)
        shape = old.shape
    else:
        shape = Shape.of(tuple(sight.by_name[name] for name in place.columns))
    texts = tuple(frames.text_column(sight.text(c.name, ids)) for c in shape.columns if c.is_text)
    return Plan(membership, ids, shape, texts, sight.window(shape.columns, ids), total)


def tree_plan(
    membership: Membership, groups: Sequence[str], place: Place, outline: Outline, number_of: NumberOf, old: Plan | None
) -> Plan:
    """The window of a view with `groups`."""
    sight, tree = membership.sight, outline.tree
    columns = columns_of(membership, place.columns)
    shape = old.shape if old is not None and old.shape.columns == columns else Shape.of(columns)
    window = outline.window(place.first, place.count)
    leaves = window.ids[window.leaf]
    texts = []
    for column in shape.columns:
        if column.is_text:
            level = groups.index(column.name) if column.name in groups else -1
            cells = window.texts(level).astype("S64") if level >= 0 else np.zeros(len(window.ids), "S64")
            cells[window.leaf] = sight.text(column.name, leaves)
            texts.append(frames.text_column(cells))
    head = frames.tree_head(window.rows, window.level, window.state, window.labels)
    rows = GroupRows(window.leaf, _sums(shape.columns, window), head)
    ids = window.ids.copy()
    ids[~window.leaf] = [-number_of(tree.path(at)) for at in window.group[~window.leaf].tolist()]
    reader = sight.window(shape.columns if tree.opens else (), leaves)
    return Plan(membership, ids, shape, tuple(texts), reader, outline.total, rows)


def columns_of(membership: Membership, names: Sequence[str]) -> tuple[Column, ...]:
    """What the columns of a view are: those that were asked for, of a pivot what came of them."""
    own = [membership.sight.by_name[name] for name in names]
    if membership.by is None or membership.tree is None:
        return tuple(own)
    return (*(column for column in own if column.is_text), *membership.tree.sums.columns)


def _sums(columns: Sequence[Column], window: OutlineWindow) -> NDArray[np.int64]:
    """Raw cells of groups, what stands for no value where there is no sum; (rows, number columns)."""
    sums = window.outline.tree.sums
    places = {column.name: at for at, column in enumerate(sums.columns)}
    numbers = [column for column in columns if not column.is_text]
    cells = np.empty((len(window.ids), len(numbers)), np.int64)
    for i, column in enumerate(numbers):
        at = places.get(column.name)
        cells[:, i] = column.unknown if at is None else sums.raw(at)[window.group]
    return cells


@dataclass(frozen=True, slots=True, eq=False)
class TotalRow:
    """Sums over everything that passes the filter, as shown, by column of the view; NaN for what is not summed."""

    shape: Shape
    values: NDArray[np.float64]
    rows: int

    @classmethod
    def of(cls, membership: Membership, shape: Shape) -> "TotalRow":
        """Of a membership that has totals."""
        total = membership.total
        assert total is not None, "totals were asked for"
        places = {column.name: at for at, column in enumerate(total.columns)}
        values = np.full(len(shape.columns), np.nan)
        for i, column in enumerate(shape.columns):
            at = places.get(column.name)
            if at is not None and total.known[0, at]:
                values[i] = total.numbers[0, at] / column.scale
        return cls(shape, values, len(membership.ids))

    def same(self, other: "TotalRow") -> bool:
        """Whether a viewer of one would see nothing new in the other."""
        same = self.shape.same(other.shape) and self.rows == other.rows
        return same and np.array_equal(self.values, other.values, equal_nan=True)
