"""Looking at the inventory: the only door of the engine that pages and the gateway may use.

A view is a query's membership (ids in order, renewed once or twice a second) and windows onto it (cells, read many
times a second). Both only copy; nothing here can change a number.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.explain import Explanation, Input, InputKind
from engine.explain_returns import Return, is_overborrow, suggested_returns
from engine.explain_rows import Rows
from engine.explain_split import By, largest_first, split
from engine.model import Temperature
from engine.rule_model import WEIGHT_UNIT, Role, Scope, Unit
from engine.tables import FEED_STALE_NS, Reader, SegmentMissingError, Tables, TornReadError, Word
from engine.views_cells import InventoryColumns, InventorySight, Scales, Window, changes, shown
from engine.views_columns import TEMPERATURES, Column, Source
from engine.views_file import Lines, TextCells, lines_of, opened
from engine.views_membership import Membership, Version, Wanted, membership
from engine.views_moment import CopiedInventory, copied_positions
from engine.views_position_columns import POSITION_COLUMNS
from engine.views_positions import PositionTable, warm
from engine.views_query import (
    INVENTORY,
    POSITIONS,
    TABLES,
    Query,
    candidates,
    midnights_ns,
    read_by,
)
from engine.views_reference import Reference
from engine.views_security import History, RecentEvent, SecurityDetail, security_detail
from engine.views_sight import Cells as WindowCells
from engine.views_sight import Sight
from engine.views_tree import Leaves, Opening, Outline, OutlineWindow, Tree
from engine.views_where import Condition, QueryError

T = TypeVar("T")
NOTHING_MORE: Final = Wanted()
_LOOK_AGAIN_S: Final = 0.00005
_PATIENCE_S: Final = 10.0
"""How long a snapshot waits for the writer to rest for the few milliseconds of a copy."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The machine in a few numbers; times UTC ns, 0 for never."""

    securities: int
    rows: int
    events: int
    duplicates: int
    missing: int
    rejected: int
    quarantined: int
    parked: int
    parked_shares: int
    stale: int
    """Bits of `engine.model.Concern`."""
    located_shares: int
    locates_live: int
    locates_pending: int
    heartbeat_ns: int
    feed_ns: int
    last_event_ns: int
    ready: bool


def glimpse(tables: Tables, copy: Callable[[], T], deadline_s: float = 0.0) -> T | None:
    """What `copy` returns, all of one epoch; None while the writer is busy. For a loop that may not wait long.

    Up to `deadline_s` (of `time.monotonic`) it looks again and again: a writer with a backlog rests for less than a
    millisecond between two batches.
    """
    while True:
        before = tables.count(Word.EPOCH)
        if before % 2 == 0:
            result = copy()
            if tables.count(Word.EPOCH) == before:
                return result
        if time.monotonic() >= deadline_s:
            return None
        if before % 2:
            time.sleep(_LOOK_AGAIN_S)


def totals(tables: Tables) -> Totals:
    """Counters as they are now; each is true, together they may be one batch apart."""
    count = tables.count
    return Totals(
        securities=count(Word.SECURITIES),
        rows=count(Word.ROWS),
        events=count(Word.EVENTS),
        duplicates=count(Word.DUPLICATES),
        missing=count(Word.MISSING),
        rejected=count(Word.REJECTED),
        quarantined=count(Word.QUARANTINED),
        parked=count(Word.PARKED),
        parked_shares=count(Word.PARKED_SHARES),
        stale=count(Word.STALE),
        located_shares=count(Word.LOCATED_SHARES),
        locates_live=count(Word.LOCATES_LIVE),
        locates_pending=count(Word.LOCATES_PENDING),
        heartbeat_ns=count(Word.HEARTBEAT_NS),
        feed_ns=count(Word.FEED_NS),
        last_event_ns=count(Word.LAST_EVENT_NS),
        ready=bool(count(Word.READY)),
    )


class Inventory:
    """One writer's tables: the inventory and the position table. Safe to use from several threads."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._columns: InventoryColumns | None = None
        self._reference: Reference | None = None
        self._sight: InventorySight | None = None
        self._refreshing = threading.Lock()
        self._positions = PositionTable(tables, self.reference)

    def reference(self) -> Reference:
        """The reference data of now; copied anew only when its version has changed."""
        with self._refreshing:
            if self._reference is None or self._reference.version != self.tables.count(Word.REFERENCE):
                self._reference = Reference.of(self.tables)
            return self._reference

    def columns(self) -> InventoryColumns:
        """The columns under the rules of now; made anew only when these have changed. Raises `TornReadError`."""
        with self._refreshing:
            if self.tables.count(Word.CATALOGUE_SIZE) == 0:
                raise TornReadError("the writer has not yet said which rules are in force")
            if self._columns is None or self._columns.version != self.tables.count(Word.RULES):
                self._columns = InventoryColumns(self.tables, self.tables.catalogue)
            return self._columns

    def sight(self, table: str = INVENTORY) -> Sight:
        """A table of now; the same object for as long as only what its rows hold changes. Raises `TornReadError`."""
        if table == POSITIONS:
            return self._positions.sight()
        columns, reference, sight = self.columns(), self.reference(), self._sight
        if sight is None or sight.columns is not columns or sight.reference is not reference:
            sight = self._sight = InventorySight(columns, reference)
        return sight

    def version(self, table: str = INVENTORY) -> Version:
        """What a membership of now would be of."""
        count = self.tables.count
        return count(Word.REFERENCE), count(Word.ROWS if table == POSITIONS else Word.RULES)

    def membership(
        self, query: Query, now_ns: int, wanted: Wanted = NOTHING_MORE, before: Membership | None = None
    ) -> Membership:
        """The rows of `query` now. Raises `QueryError` for a column, market or sort key that there is not.

        `before`: an earlier answer to it, of which is kept what cannot have changed. Columns are copied without the epoch: one
        word is never torn; an order that is some microseconds apart between two rows, and a sum over rows that was made while
        some of them changed, are put right by the next renewal.
        """
        version = self.version(query.table)
        sight = self.sight(query.table)
        query.check_rows(self.tables.markets, sight.by_name)
        return membership(query, sight, version, self._midnights(query, now_ns), wanted, before)

    def lines(self, query: Query, now_ns: int, *, leaves: bool = False) -> Lines:
        """All lines of a file of `query`, of one moment; see `lines_of`.

        Raises `QueryError`, or `TornReadError` while the writer is too busy.
        """
        sight, as_of_ns = self._copied(query)
        wanted = Wanted(frozenset(query.columns), opened(query) if leaves else frozenset())
        found = membership(query, sight, (0, 0), self._midnights(query, now_ns), wanted)
        return lines_of(query, found, as_of_ns, leaves=leaves)

    def _copied(self, query: Query) -> tuple[Sight, int]:
        """A sight that nothing changes any more, and the newest event's own time."""
        living = self.sight(query.table)
        query.check(self.tables.markets, living.by_name)
        if query.table == POSITIONS:
            columns = [living.by_name[name] for name in read_by(query) if name in living.by_name]
            return copied_positions(self._positions, columns, _PATIENCE_S)
        count = self.tables.count
        while True:
            columns_, reference = self.columns(), self.reference()
            sight = InventorySight(columns_, reference)
            query.check(self.tables.markets, columns_.by_name)
            names = [name for name in read_by(query) if name in columns_.by_name]
            numbers = [columns_[name] for name in names if not columns_[name].is_text]
            ids = candidates(query, sight)
            copy = columns_.copier(numbers, ids, reference)
            copied, as_of_ns, versions = self.tables.read(
                lambda copy=copy: (copy(), count(Word.LAST_EVENT_NS), (count(Word.REFERENCE), count(Word.RULES))),  # type: ignore[misc]
                _PATIENCE_S,
            )
            if versions == (reference.version, columns_.version):
                return CopiedInventory(columns_, reference, ids, copied), as_of_ns

    def negative(self) -> int:
        """Securities of which more is promised than there is."""
        columns, reference = self.columns(), self.reference()
        everybody = np.arange(1, reference.count + 1, dtype=np.int32)
        return int(np.count_nonzero(columns.read(columns.left, everybody, reference) < 0))

    def hard_to_borrow(self) -> int:
        """Securities of temperature HTB."""
        return int(np.count_nonzero(self.reference().temperature == Temperature.HTB))

    def _midnights(self, query: Query, now_ns: int) -> NDArray[np.int64]:
        return midnights_ns(self.tables.markets if query.changed_today else (), now_ns)


__all__ = [
    "FEED_STALE_NS",
    "INVENTORY",
    "POSITIONS",
    "POSITION_COLUMNS",
    "TABLES",
    "TEMPERATURES",
    "WEIGHT_UNIT",
    "By",
    "Column",
    "Condition",
    "Explanation",
    "History",
    "Input",
    "InputKind",
    "Inventory",
    "InventoryColumns",
    "Leaves",
    "Lines",
    "Membership",
    "Opening",
    "Outline",
    "OutlineWindow",
    "Query",
    "QueryError",
    "Reader",
    "RecentEvent",
    "Reference",
    "Return",
    "Role",
    "Rows",
    "Scales",
    "Scope",
    "SecurityDetail",
    "SegmentMissingError",
    "Sight",
    "Source",
    "Tables",
    "TextCells",
    "TornReadError",
    "Totals",
    "Tree",
    "Unit",
    "Version",
    "Wanted",
    "Window",
    "WindowCells",
    "Word",
    "changes",
    "glimpse",
    "is_overborrow",
    "largest_first",
    "midnights_ns",
    "security_detail",
    "shown",
    "split",
    "suggested_returns",
    "totals",
    "warm",
]
