"""Groups within groups, in the order of a query, and what is to be seen of them when some are open.

A tree is made once for everybody who looks at the same groups. Which of them are open is each viewer's own affair (`Outline`),
and costs as much as there are groups; data rows are sorted only of groups that somebody has open.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.views_groups import Grouping, Sums
from engine.views_query import ROWS, Query, key, order, sort_keys
from engine.views_sight import Ids, Read, Sight
from engine.views_texts import Texts

DATA: Final = 0
CLOSED: Final = 1
OPEN: Final = 2
SHUT: Final = 3
"""A group that cannot be opened."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Which groups are open: those of a level below `depth`; of those in `toggled` (their texts from outside) the contrary."""

    depth: int = 0
    toggled: frozenset[tuple[str, ...]] = frozenset()


@dataclass(frozen=True, slots=True)
class Tree:
    """All groups, each before those within it; arrays by group.

    `parent`: -1 for none; `label`: index into `texts` of its level; `innermost`: which group of the grouping it is, -1 for one
    that has groups within; `sums`: of its rows.
    """

    texts: tuple[Texts, ...]
    level: NDArray[np.uint8]
    parent: NDArray[np.int32]
    label: NDArray[np.int32]
    rows: NDArray[np.int64]
    innermost: NDArray[np.int32]
    sums: Sums
    all: Sums
    """Of all rows: one group."""
    opens: bool
    """Whether innermost groups open to data rows."""

    @property
    def levels(self) -> int:
        return len(self.texts)

    def open(self, opening: Opening) -> NDArray[np.bool_]:
        """Which groups are open."""
        marks: NDArray[np.bool_] = self.level < opening.depth
        for path in opening.toggled:
            at = self.find(path)
            if at >= 0:
                marks[at] = not marks[at]
        return marks if self.opens else marks & (self.innermost < 0)

    def find(self, path: Sequence[str]) -> int:
        """The group with this path; -1 for none."""
        at = -1
        for level, text in enumerate(path[: self.levels]):
            labels = np.flatnonzero(self.texts[level].labels == text.encode())
            here = (self.level == level) & (self.parent == at) & np.isin(self.label, labels)
            found = np.flatnonzero(here)
            if not found.size:
                return -1
            at = int(found[0])
        return at if len(path) <= self.levels else -1

    def visible(self, is_open: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Groups all whose outer groups are open."""
        seen: NDArray[np.bool_] = self.level == 0
        for level in range(1, self.levels):
            at = np.flatnonzero(self.level == level)
            above = self.parent[at]
            seen[at] = seen[above] & is_open[above]
        return seen

    def path(self, at: int) -> tuple[bytes, ...]:
        """The texts that lead to a group, the outermost first."""
        found: list[bytes] = []
        while at >= 0:
            found.insert(0, bytes(self.texts[int(self.level[at])].labels[int(self.label[at])]))
            at = int(self.parent[at])
        return tuple(found)


def tree_of(query: Query, grouping: Grouping, sums: Sums) -> Tree:
    """The groups of a grouping in the query's order. `sums`: of the innermost ones."""
    count, levels = grouping.count, len(grouping.texts)
    begins = np.ones((levels, count), bool)
    for level in range(levels):
        differs = grouping.labels[level, 1:] != grouping.labels[level, :-1]
        begins[level, 1:] = differs | begins[level - 1, 1:] if level else differs
    of_level = np.cumsum(begins, axis=1) - 1
    starts = [np.flatnonzero(begins[level]) for level in range(levels)]
    by_level = [sums.over(starts[level]) for level in range(levels)]
    rows = [np.add.reduceat(grouping.rows, starts[level]) if count else grouping.rows for level in range(levels)]
    labels = [grouping.labels[level][starts[level]] for level in range(levels)]
    orders = [
        _order(query, level, grouping.texts[level], labels[level], by_level[level], rows[level])
        for level in range(levels)
    ]
    places = [np.argsort(each)[of_level[level]] for level, each in enumerate(orders)]
    arranged = np.lexsort(places[::-1])
    return _laid_out(query, grouping, arranged, of_level, by_level, rows, labels)


def _order(
    query: Query, level: int, texts: Texts, labels: NDArray[np.int32], sums: Sums, rows: NDArray[np.int64]
) -> NDArray[np.intp]:
    """The groups of a level in the order of the keys that say something about them; equal ones in that of their labels."""
    names = {column.name: at for at, column in enumerate(sums.columns)}
    keys = []
    for name, direction in query.sort:
        descending = direction == "desc"
        if name == query.groups[level]:
            keys.append(key(texts.ranks[labels], -1, descending=descending))
        elif name in names:
            at = names[name]
            keys.append(key(sums.raw(at), sums.columns[at].unknown, descending=descending))
        elif name == ROWS:
            keys.append(key(rows, descending=descending))
    return order(keys) if keys and len(rows) else np.arange(len(rows))


def _laid_out(
    query: Query,
    grouping: Grouping,
    arranged: NDArray[np.intp],
    of_level: NDArray[np.int64],
    by_level: list[Sums],
    rows: list[NDArray[np.int64]],
    labels: list[NDArray[np.int32]],
) -> Tree:
    levels = len(grouping.texts)
    sequence = of_level[:, arranged]
    begins = np.ones(sequence.shape, bool)
    begins[:, 1:] = sequence[:, 1:] != sequence[:, :-1]
    starts = [np.flatnonzero(begins[level]) for level in range(levels)]
    level_of = np.concatenate([np.full(len(each), level, np.uint8) for level, each in enumerate(starts)])
    places = np.argsort(np.lexsort((level_of, np.concatenate(starts))))
    size = len(places)
    parent, label, counted = np.full(size, -1, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int64)
    innermost, ordered = np.full(size, -1, np.int32), np.zeros(size, np.uint8)
    numbers = np.zeros((size, len(by_level[0].columns)), np.int64)
    known = np.zeros(numbers.shape, np.bool_)
    first, above = 0, np.zeros(0, np.int64)
    for level in range(levels):
        at = places[first : first + len(starts[level])]
        which = sequence[level, starts[level]]
        if level:
            parent[at] = above[(np.cumsum(begins[level - 1]) - 1)[starts[level]]]
        ordered[at], label[at], counted[at] = level, labels[level][which], rows[level][which]
        numbers[at], known[at] = by_level[level].numbers[which], by_level[level].known[which]
        above, first = at, first + len(at)
    innermost[above] = arranged
    columns = by_level[0].columns
    nothing = Sums(columns, np.zeros((1, len(columns)), np.int64), np.zeros((1, len(columns)), np.bool_))
    outer = by_level[0].over(np.zeros(1, np.int64)) if size else nothing
    sums = Sums(columns, numbers, known)
    return Tree(grouping.texts, ordered, parent, label, counted, innermost, sums, outer, opens=not query.pivot)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Data rows of the innermost groups that somebody has open: those of group g are `ids[first[g]:first[g + 1]]`."""

    ids: Ids
    first: NDArray[np.int64]


def leaves_of(
    query: Query, tree: Tree, grouping: Grouping, ids: Ids, sight: Sight, read: Read, openings: Collection[Opening]
) -> Leaves:
    """The data rows to be seen under any of the openings, in the query's order."""
    wanted = np.zeros(grouping.count, bool)
    for opening in openings:
        is_open = tree.open(opening)
        seen = tree.visible(is_open) & is_open & (tree.innermost >= 0)
        wanted[tree.innermost[seen]] = True
    if not wanted.any():
        return Leaves(ids[:0], np.zeros(grouping.count + 1, np.int64))
    which = wanted[grouping.of_row]
    chosen, group = ids[which], grouping.of_row[which].astype(np.int64)
    chosen_keys = sort_keys(query.within_groups(), chosen, sight, read)
    first = np.zeros(grouping.count + 1, np.int64)
    np.cumsum(np.where(wanted, grouping.rows, 0), out=first[1:])
    return Leaves(chosen[order([key(group), *chosen_keys])], first)


@dataclass(frozen=True, slots=True)
class Outline:
    """What is to be seen of a tree under one opening: visible groups, and data rows of open ones."""

    tree: Tree
    leaves: Leaves
    is_open: NDArray[np.bool_]
    groups: NDArray[np.int64]
    """Visible groups, in order."""
    at: NDArray[np.int64]
    """By visible group the row it stands in; one more: how many rows there are."""

    @classmethod
    def of(cls, tree: Tree, leaves: Leaves, opening: Opening) -> "Outline":
        """The tree as it is opened."""
        is_open = tree.open(opening)
        groups = np.flatnonzero(tree.visible(is_open))
        inner = tree.innermost[groups]
        shows = is_open[groups] & (inner >= 0)
        below = np.where(shows, leaves.first[inner + 1] - leaves.first[inner], 0)
        at = np.zeros(len(groups) + 1, np.int64)
        np.cumsum(1 + below, out=at[1:])
        return cls(tree, leaves, is_open, groups, at)

    @property
    def total(self) -> int:
        return int(self.at[-1])

    def row_of_data(self, wanted: int) -> int | None:
        """The row in which a data row stands, by its id; None where it is not to be seen."""
        for at in np.flatnonzero(self.leaves.ids == wanted).tolist():
            inner = int(np.searchsorted(self.leaves.first, at, "right")) - 1
            shown = np.flatnonzero(self.tree.innermost[self.groups] == inner)
            if shown.size and self.is_open[self.groups[shown[0]]]:
                return int(self.at[shown[0]] + 1 + at - self.leaves.first[inner])
        return None

    def row_of_group(self, path: tuple[bytes, ...]) -> int | None:
        """The row in which a group stands; None where it is not to be seen."""
        group = self.tree.find([text.decode("utf-8", "replace") for text in path])
        shown = np.flatnonzero(self.groups == group)
        return int(self.at[shown[0]]) if shown.size else None

    def window(self, first: int, count: int) -> "OutlineWindow":
        """Some rows."""
        places = np.arange(min(first, self.total), min(first + count, self.total))
        which = np.searchsorted(self.at, places, "right") - 1
        group = self.groups[which]
        within = places - self.at[which]
        leaf = within > 0
        ids = np.zeros(len(places), np.int32)
        start = self.leaves.first[self.tree.innermost[group[leaf]]]
        ids[leaf] = self.leaves.ids[start + within[leaf] - 1]
        return OutlineWindow(self, group, ids)


@dataclass(frozen=True, slots=True)
class OutlineWindow:
    """Rows of an outline: the group each is, or is in; `ids`: of data rows, 0 for groups."""

    outline: Outline
    group: NDArray[np.int64]
    ids: Ids
    leaf: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "leaf", self.ids > 0)

    @property
    def level(self) -> NDArray[np.uint8]:
        tree = self.outline.tree
        return np.where(self.leaf, np.uint8(tree.levels), tree.level[self.group])

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.where(self.leaf, 1, self.outline.tree.rows[self.group])

    @property
    def state(self) -> NDArray[np.uint8]:
        tree, group = self.outline.tree, self.group
        state = np.where(self.outline.is_open[group], np.uint8(OPEN), np.uint8(CLOSED))
        if not tree.opens:
            state[tree.innermost[group] >= 0] = SHUT
        state[self.leaf] = DATA
        return state

    @property
    def labels(self) -> NDArray[np.bytes_]:
        """The groups' own texts; none for data rows."""
        tree, levels = self.outline.tree, self.level
        found = [
            b"" if leaf else bytes(tree.texts[level].labels[label])
            for leaf, level, label in zip(
                self.leaf.tolist(), levels.tolist(), tree.label[self.group].tolist(), strict=True
            )
        ]
        return np.array(found, "S") if found else np.zeros(0, "S1")

    def texts(self, level: int) -> NDArray[np.bytes_]:
        """By row the text of its group of a level; none for groups above that level and for data rows."""
        tree = self.outline.tree
        at = self.group.copy()
        while (deeper := tree.level[at] > level).any():
            at[deeper] = tree.parent[at[deeper]]
        there = ~self.leaf & (tree.level[at] == level)
        texts = tree.texts[level].labels[np.where(there, tree.label[at], 0)]
        return np.where(there, texts, b"")
