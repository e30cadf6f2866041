"""Which rows a query has now, in which order, and the sums of their groups: what is renewed once or twice a second."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.views_columns import Column
from engine.views_groups import Grouping, Spread, Sums, grouped, spread, sums_of_groups, sums_of_pivot
from engine.views_query import MAX_COLUMNS, Query, arrange, candidates, passing
from engine.views_sight import Ids, Sight
from engine.views_tree import Leaves, Opening, Tree, leaves_of, tree_of
from engine.views_where import QueryError

MAX_CELLS: Final = 8_000_000
"""Of a pivot: groups times columns."""
Version: TypeAlias = tuple[int, int]
"""Equal: nothing but what rows hold has changed of a table."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a query's answer somebody looks at. `sums`: columns; `openings`: of groups; `totals`: over everything."""

    sums: frozenset[str] = frozenset()
    openings: frozenset[Opening] = frozenset()
    totals: bool = False

    def within(self, other: "Wanted") -> bool:
        """Whether the other has all that is wanted."""
        return self.sums <= other.sums and self.openings <= other.openings and (other.totals or not self.totals)


@dataclass(frozen=True, slots=True)
class Membership:
    """Ids of a query's rows in order, and what they were chosen from, as it was at `version`.

    Of a grouped query the rows are in no order of their own; its `tree` and `leaves` have it.
    """

    ids: Ids
    sight: Sight
    version: Version
    wanted: Wanted = Wanted()
    total: Sums | None = None
    """Over all rows, where that was wanted."""
    tree: Tree | None = None
    leaves: Leaves | None = None
    grouping: Grouping | None = None
    by: Spread | None = None


def membership(
    query: Query,
    sight: Sight,
    version: Version,
    midnights: NDArray[np.int64],
    wanted: Wanted,
    before: Membership | None = None,
) -> Membership:
    """The answer to a checked query. `before`: an earlier one, of which is kept what cannot have changed."""
    read = lambda name, at: sight.read(sight.by_name[name], at)  # noqa: E731  as `Read` says
    same = before is not None and before.sight is sight and not query.filter_moves
    if query.groups and same:
        assert before is not None
        ids, grouping, by = before.ids, before.grouping, before.by
    else:
        ids, grouping, by = passing(query, candidates(query, sight), sight, read, midnights), None, None
    columns = _wanted_columns(query, sight, wanted)
    if not query.groups:
        total = _total(sight, ids, columns) if wanted.totals else None
        return Membership(arrange(query, ids, sight, read), sight, version, wanted, total)
    if grouping is None:
        grouping = grouped(sight, ids, query.groups)
        if query.pivot:
            by = spread(sight, ids, query.pivot, max(1, MAX_COLUMNS // len(columns) - 1))
    if by is not None and grouping.count * (len(by.values) + 1) * len(columns) > MAX_CELLS:
        raise QueryError("pivot", f"{grouping.count:,} groups of {len(by.values):,} values are too many")
    sums = (
        sums_of_groups(sight, ids, columns, grouping)
        if by is None
        else sums_of_pivot(sight, ids, columns, grouping, by)
    )
    tree = tree_of(query, grouping, sums)
    leaves = leaves_of(query, tree, grouping, ids, sight, read, wanted.openings)
    return Membership(ids, sight, version, wanted, tree.all, tree, leaves, grouping, by)


def _wanted_columns(query: Query, sight: Sight, wanted: Wanted) -> tuple[Column, ...]:
    """In the order of the query, then of the table: who looks at the same groups may have chosen other columns."""
    own = query.summed(sight.by_name)
    if query.pivot:
        return own
    named = {column.name for column in own}
    more = [column for name, column in sight.by_name.items() if name in wanted.sums - named and column.summed]
    return (*own, *more)


def _total(sight: Sight, ids: Ids, columns: tuple[Column, ...]) -> Sums:
    numbers, known = sight.sums(columns, ids, np.zeros(len(ids), np.int32), 1)
    return Sums(columns, numbers, known)
