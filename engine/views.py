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
from engine.views_cells import InventoryColumns, Scales, Window, changes, shown
from engine.views_columns import TEMPERATURES, Column, Source
from engine.views_query import Query, QueryError, arrange, candidates, midnights_ns
from engine.views_reference import Reference
from engine.views_security import History, RecentEvent, SecurityDetail, security_detail

T = TypeVar("T")
_LOOK_AGAIN_S: Final = 0.00005
_PATIENCE_S: Final = 10.0
"""How long a snapshot waits for the writer to rest for the few milliseconds of a copy."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Ids of a query's rows in order, and the reference data and columns they were chosen by."""

    ids: NDArray[np.int32]
    reference: Reference
    columns: InventoryColumns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a query selects at one moment. `columns`: text as UTF-8 bytes, numbers raw; one entry per row."""

    columns: dict[str, NDArray[np.bytes_] | NDArray[np.int64]]
    kinds: dict[str, Column]
    """What each of them is."""
    rows: int
    as_of_ns: int
    """The newest event's own time."""


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
    """One writer's inventory table. Safe to use from several threads."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._columns: InventoryColumns | None = None
        self._reference: Reference | None = None
        self._refreshing = threading.Lock()

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

    def membership(self, query: Query, now_ns: int) -> Membership:
        """The rows of `query` now. Raises `QueryError` for a market or a sort key that there is not.

        Columns are copied without the epoch: one word is never torn, and an order that is some microseconds apart
        between two rows is put right by the next renewal.
        """
        columns = self.columns()
        query.check_rows(self.tables.markets, columns.by_name)
        reference = self.reference()
        ids = candidates(query, reference)
        read = lambda name, at: columns.read(columns[name], at, reference)  # noqa: E731  as `Read` says
        ids = arrange(query, ids, reference, columns.by_name, read, self._midnights(query, now_ns))
        return Membership(ids, reference, columns)

    def snapshot(self, query: Query, now_ns: int) -> Snapshot:
        """Rows, order and cells of one epoch. Raises `QueryError`, or `TornReadError` while the writer is too busy."""
        moving = dict.fromkeys([*query.columns, *(name for name, _ in query.sort)])
        if query.changed_today:
            moving["updated_ms"] = None
        while True:
            columns, reference = self.columns(), self.reference()
            query.check(self.tables.markets, columns.by_name)
            numbers = [columns[name] for name in moving if not columns[name].is_text]
            ids = candidates(query, reference)
            copied, as_of_ns, versions = self._copied(columns, numbers, ids, reference)
            if versions == (reference.version, columns.version):
                break
        place = np.zeros(reference.count + 1, np.int64)
        place[ids] = np.arange(len(ids))
        read = lambda name, at: copied[name][place[at]]  # noqa: E731  as `Read` says
        rows = arrange(query, ids, reference, columns.by_name, read, self._midnights(query, now_ns))
        kinds = {name: columns[name] for name in query.columns}
        cells = {
            name: reference.text(name, rows) if kind.is_text else copied[name][place[rows]]
            for name, kind in kinds.items()
        }
        return Snapshot(cells, kinds, len(rows), as_of_ns)

    def negative(self) -> int:
        """Securities of which more is promised than there is."""
        columns, reference = self.columns(), self.reference()
        everybody = np.arange(1, reference.count + 1, dtype=np.int32)
        return int(np.count_nonzero(columns.read(columns.left, everybody, reference) < 0))

    def hard_to_borrow(self) -> int:
        """Securities of temperature HTB."""
        return int(np.count_nonzero(self.reference().temperature == Temperature.HTB))

    def _copied(
        self, columns: InventoryColumns, numbers: list[Column], ids: NDArray[np.int32], reference: Reference
    ) -> tuple[dict[str, NDArray[np.int64]], int, tuple[int, int]]:
        """Columns, the newest event's time and the versions of reference data and rules, all of one epoch."""
        copy, count = columns.copier(numbers, ids, reference), self.tables.count
        return self.tables.read(
            lambda: (copy(), count(Word.LAST_EVENT_NS), (count(Word.REFERENCE), count(Word.RULES))), _PATIENCE_S
        )

    def _midnights(self, query: Query, now_ns: int) -> NDArray[np.int64]:
        return midnights_ns(self.tables.markets if query.changed_today else (), now_ns)


__all__ = [
    "FEED_STALE_NS",
    "TEMPERATURES",
    "WEIGHT_UNIT",
    "By",
    "Column",
    "Explanation",
    "History",
    "Input",
    "InputKind",
    "Inventory",
    "InventoryColumns",
    "Membership",
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
    "Snapshot",
    "Source",
    "Tables",
    "TornReadError",
    "Totals",
    "Unit",
    "Window",
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
]
