"""What a file of a query holds: its lines in order, column by column, all of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.views_columns import Column, Source
from engine.views_groups import Sums
from engine.views_membership import Membership
from engine.views_query import ROWS, Query
from engine.views_sight import Ids, Sight, codes
from engine.views_tree import Opening, Tree

ROWS_COLUMN = Column(ROWS, Source.REFERENCE, unit="count", title="Rows", tip="How many rows the group has")


@dataclass(frozen=True, slots=True)
class TextCells:
    """A text column: its different texts, UTF-8, and by line which of them."""

    labels: NDArray[np.bytes_]
    codes: NDArray[np.int32]


CellsOf = TextCells | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """`cells`: by column, numbers raw; one entry per line. `as_of_ns`: the newest event's own time."""

    columns: tuple[Column, ...]
    cells: tuple[CellsOf, ...]
    count: int
    as_of_ns: int

    def of(self, name: str) -> NDArray[np.bytes_] | NDArray[np.int64]:
        """A column: texts, or raw numbers. Raises `ValueError` where there is none of that name."""
        cells = self.cells[[column.name for column in self.columns].index(name)]
        return cells.labels[cells.codes] if isinstance(cells, TextCells) else cells


def opened(query: Query) -> frozenset[Opening]:
    """What must be open for a file that shows the data rows of groups."""
    return frozenset({Opening(depth=len(query.groups))})


def lines_of(query: Query, found: Membership, as_of_ns: int, *, leaves: bool) -> Lines:
    """Without groups the rows; with groups a line for each innermost one, or (`leaves`) the rows in the order of the groups."""
    if found.tree is None:
        return _rows(query.columns, found.sight, found.ids, as_of_ns)
    if not leaves:
        return _groups(query, found.tree, as_of_ns)
    rest = tuple(name for name in query.columns if name not in query.groups)
    return _rows((*query.groups, *rest), found.sight, _in_order(found), as_of_ns)


def _rows(names: Sequence[str], sight: Sight, ids: Ids, as_of_ns: int) -> Lines:
    columns = tuple(sight.by_name[name] for name in names)
    cells = tuple(
        TextCells(sight.texts(column.name).labels, codes(sight, column.name, ids))
        if column.is_text
        else sight.read(column, ids)
        for column in columns
    )
    return Lines(columns, cells, len(ids), as_of_ns)


def _in_order(found: Membership) -> Ids:
    """Data rows, group by group in the order of the tree."""
    assert found.tree is not None, "of a grouped view"
    assert found.leaves is not None, "all of whose groups are open"
    group = found.tree.innermost[found.tree.innermost >= 0]
    first, until = found.leaves.first[group], found.leaves.first[group + 1]
    sizes = until - first
    begins = np.cumsum(sizes) - sizes
    return found.leaves.ids[np.repeat(first - begins, sizes) + np.arange(int(sizes.sum()))]


def _groups(query: Query, tree: Tree, as_of_ns: int) -> Lines:
    at = np.flatnonzero(tree.innermost >= 0)
    texts: list[CellsOf] = []
    above: NDArray[np.integer[Any]] = at
    for level in reversed(range(tree.levels)):
        texts.insert(0, TextCells(tree.texts[level].labels, tree.label[above]))
        above = tree.parent[above]
    sums = tree.sums if query.pivot else _chosen(tree.sums, query.columns)
    named = [Column(name, Source.TEXT, title=name) for name in query.groups]
    numbers = [sums.raw(i)[at] for i in range(len(sums.columns))]
    columns = (*named, ROWS_COLUMN, *sums.columns)
    return Lines(columns, (*texts, tree.rows[at], *numbers), len(at), as_of_ns)


def _chosen(sums: Sums, names: Sequence[str]) -> Sums:
    """Those that were asked for, not those that are only sorted by."""
    at = [i for i, column in enumerate(sums.columns) if column.name in names]
    return replace(
        sums, columns=tuple(sums.columns[i] for i in at), numbers=sums.numbers[:, at], known=sums.known[:, at]
    )
