"""All that a query selects, of one moment: what files are made from.

The inventory is small enough to be copied between two batches of the writer. The position table is not: it is copied while the
writer goes on, and rows that events have touched meanwhile are copied again, ever fewer, until nothing changed during a round.
"""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine import views_kernel as kernel
from engine.events import EVENT, EventArray
from engine.model import Op
from engine.tables import RECENT_EVENTS, Tables, TornReadError, Word
from engine.views_cells import InventoryColumns, InventorySight, Window
from engine.views_columns import Column
from engine.views_positions import Copied, PositionSight, PositionTable, words_of
from engine.views_reference import Reference
from engine.views_sight import Ids

_PAUSE_S: Final = 0.0002
_MOST_MISSED: Final = RECENT_EVENTS // 2
"""Events that may have come during a round: beyond, the memory of the newest ones may be overwritten while it is read."""


class CopiedInventory(InventorySight):
    """Number columns of some securities as they were, in the order of `ids`; texts as reference data has them."""

    def __init__(
        self, columns: InventoryColumns, reference: Reference, ids: Ids, numbers: dict[str, NDArray[np.int64]]
    ) -> None:
        super().__init__(columns, reference)
        self.everybody = ids
        self._numbers = numbers
        self._place = np.zeros(reference.count + 1, np.int64)
        self._place[ids] = np.arange(len(ids))

    def window(self, columns: Sequence[Column], ids: Ids) -> Window:
        raise NotImplementedError("a copy does not change: read its columns")

    def read(self, column: Column, ids: Ids) -> NDArray[np.int64]:
        return self._numbers[column.name][self._place[ids]]


def copied_positions(table: PositionTable, columns: Sequence[Column], patience_s: float) -> tuple[PositionSight, int]:
    """The position table with what these columns need, of one epoch; and the newest event's own time then.

    Raises `TornReadError` when the writer leaves no such moment.
    """
    deadline = time.monotonic() + patience_s
    while True:
        found = _Round(table, columns, deadline).copy()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TornReadError(
                "what rows are is changed all the time: there is no moment for a copy of the position table"
            )


class _Round:
    """One attempt, from the first row on. It ends without a copy when what is not told by events has changed."""

    def __init__(self, table: PositionTable, columns: Sequence[Column], deadline: float) -> None:
        self._table = table
        self._tables: Tables = table.tables
        self._deadline = deadline
        self._words = words_of(columns)
        array, room = self._tables.array, self._tables.capacity.rows
        self._position = words_of_rows(self._tables)
        # memory that is not written is not there: room for rows to come costs nothing
        self._copy = np.empty((room, len(self._words)), np.int64)
        self._head = np.empty_like(array["head"])
        self._today = array["today"].copy()

    def copy(self) -> tuple[PositionSight, int] | None:
        count = self._tables.count
        self._quiet()
        fixed, since = self._fixed(), count(Word.RECENT)
        sight = self._table.sight()
        if (sight.reference.version, count(Word.RULES)) != fixed:
            return None
        rows = self._more(0)
        while True:
            epoch = self._quiet()
            newest = count(Word.RECENT)
            if self._fixed() != fixed or newest - since > _MOST_MISSED:
                return None
            rows = self._more(rows)
            self._again(since, newest, rows)
            np.copyto(self._head, self._tables.array["head"])
            as_of_ns = count(Word.LAST_EVENT_NS)
            if count(Word.EPOCH) == epoch:
                copied = Copied(self._copy, self._head, self._words)
                return sight.over(copied, rows), as_of_ns
            since = newest
            if time.monotonic() > self._deadline:
                raise TornReadError("the writer is too busy for a copy of the position table")

    def _fixed(self) -> tuple[int, int] | None:
        """What must not change: merges, other reference data, other rules, another day."""
        if not np.array_equal(self._tables.array["today"], self._today):
            return None
        return self._tables.count(Word.REFERENCE), self._tables.count(Word.RULES)

    def _more(self, rows: int) -> int:
        """Copy rows that are new."""
        until = self._tables.count(Word.ROWS)
        self._table.take_up()
        kernel.copy_rows(self._position, np.arange(rows, until, dtype=np.int64), self._words, self._copy)
        return until

    def _again(self, since: int, newest: int, rows: int) -> None:
        """Copy rows that these events touched."""
        if newest == since:
            return
        events = _taken(self._tables.array["recent"], since, newest)
        touched = np.empty(len(events), np.int64)
        slots = self._tables.array["index"].view()
        slots.flags.writeable = False
        kernel.rows_of(events, slots, self._position, touched)
        emptied = np.unique(events["book"][events["op"] == Op.RESET_BOOK])
        found = [touched[(touched >= 0) & (touched < rows)]]
        found += [self._table.rows_of_book(int(book), rows) for book in emptied]
        kernel.copy_rows(self._position, np.unique(np.concatenate(found)), self._words, self._copy)

    def _quiet(self) -> int:
        """An even epoch."""
        while (epoch := self._tables.count(Word.EPOCH)) % 2:
            if time.monotonic() > self._deadline:
                raise TornReadError("no quiet moment of the writer for a copy of the position table")
            time.sleep(_PAUSE_S)
        return epoch


def words_of_rows(tables: Tables) -> NDArray[np.int64]:
    """The position table as words."""
    position = tables.array["position"].view("<i8").reshape(len(tables.array["position"]), -1)
    position.flags.writeable = False
    return position


def _taken(recent: EventArray, since: int, newest: int) -> EventArray:
    """The events from number `since` up to `newest`, a copy."""
    words, size = recent.view("<u8").reshape(len(recent), -1), len(recent)
    first, last = since % size, newest % size
    taken = words[first:last].copy() if first < last else np.concatenate([words[first:], words[:last]])
    return taken.reshape(-1).view(EVENT)
