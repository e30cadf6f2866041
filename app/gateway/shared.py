"""What many sessions look at together: one membership per selection of rows, one reading of cells per window.

A window is read at most once per frame time, whoever looks at it. A reading that differs from the one before becomes a
new `Cells`; each viewer remembers which `Cells` it was last sent, and is sent the difference to the newest. So a slow
viewer skips what lies between, and there is nothing to queue.
"""

import itertools
import math
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.gateway import frames
from app.gateway.messages import ColumnInfo, ShapeOfPivot, encode
from app.gateway.plans import Place, Plan, Shape, TotalRow, flat_plan, tree_plan
from engine.views import Inventory, Membership, Opening, Outline, Query, Wanted, Word, changes, glimpse


class Viewer(Protocol):
    """One session, as seen from what it looks at."""

    v: int
    sent: "Cells | None"
    sent_shape: Shape | None
    """Of a pivot: which columns it was told."""
    sent_totals: TotalRow | None

    @property
    def busy(self) -> bool:
        """Whether the last message is still on its way."""

    def send_frame(self, frame: bytes) -> None: ...

    def send_text(self, text: bytes) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One reading of a window."""

    shape: Shape
    ids: NDArray[np.int32]
    texts: tuple[bytes, ...]
    """Text columns as they go into a frame."""
    raw: NDArray[np.int64]
    """Shape (rows, number columns)."""
    total: int
    membership: int
    as_of_ns: int
    tree: bytes | None = None
    """Of a window of groups what a frame tells of them."""
    serial: int = field(default_factory=itertools.count(1).__next__)

    def same_rows(self, other: "Cells") -> bool:
        """Whether only numbers differ."""
        same = self.shape.same(other.shape) and np.array_equal(self.ids, other.ids)
        return same and self.texts == other.texts and self.tree == other.tree

    def same(self, other: "Cells") -> bool:
        """Whether a viewer of one would see nothing new in the other."""
        counted = self.total == other.total and self.membership == other.membership
        return counted and self.same_rows(other) and np.array_equal(self.raw, other.raw)


@dataclass(slots=True, eq=False)
class SharedView:
    """Rows and order of one selection, and the windows that are open on it."""

    query: Query
    """Any of the queries with this selection; their columns may differ."""
    windows: dict[Any, "SharedWindow"] = field(default_factory=dict)
    """By `Place.key`."""
    membership: Membership | None = None
    number: int = 0
    """Grows when rows or order changed."""
    epoch: int = -1
    """Of the last renewal."""
    renewed_s: float = 0.0
    cost_s: float = 0.0
    renewing: bool = False
    problem: str = ""
    """Why the query has no answer."""
    _groups: dict[tuple[bytes, ...], int] = field(default_factory=dict)
    _outlines: dict[Opening, Outline] = field(default_factory=dict)
    _wanted: Wanted | None = None

    @property
    def wanted(self) -> Wanted:
        """What its windows look at; asked at every poll, and made anew when a window came or went."""
        if self._wanted is None:
            self._wanted = self._all_wanted()
        return self._wanted

    def changed_windows(self) -> None:
        """A window came or went."""
        self._wanted = None

    def _all_wanted(self) -> Wanted:
        places = [window.place for window in self.windows.values()]
        totals = any(place.totals for place in places)
        if not self.query.groups and not totals:
            return Wanted()
        sums = frozenset(name for place in places for name in place.columns)
        openings = frozenset(place.opening for place in places) if self.query.groups else frozenset[Opening]()
        return Wanted(sums, openings, totals)

    def renewed(self, membership: Membership) -> None:
        """A renewal came back; an equal one keeps its number."""
        old, self.membership, self.problem = self.membership, membership, ""
        self._outlines.clear()
        if old is None or not _same_order(old, membership):
            self.number += 1

    def outline(self, opening: Opening) -> Outline:
        """What is to be seen of the groups; shared by all who have opened the same."""
        found = self._outlines.get(opening)
        if found is None:
            assert self.membership is not None, "asked for after a renewal only"
            assert self.membership.tree is not None, "a view with groups has a tree"
            assert self.membership.leaves is not None, "and leaves"
            found = self._outlines[opening] = Outline.of(self.membership.tree, self.membership.leaves, opening)
        return found

    def number_of(self, path: tuple[bytes, ...]) -> int:
        """The number of a group: the same for as long as somebody looks at the view."""
        return self._groups.setdefault(path, len(self._groups) + 1)

    def find(self, place: Place, wanted: int) -> int | None:
        """The row in which a data row (its id), or a group (its number, below 0) stands; None where it is not to be seen."""
        membership = self.membership
        if membership is None:
            return None
        if membership.tree is None:
            found = np.flatnonzero(membership.ids == wanted)
            return int(found[0]) if found.size else None
        outline = self.outline(place.opening)
        if wanted > 0:
            return outline.row_of_data(wanted)
        path = next((path for path, number in self._groups.items() if number == -wanted), None)
        return None if path is None else outline.row_of_group(path)

    def forget(self) -> None:
        """Another writer has taken over: nothing known of the former one holds."""
        self.membership, self.epoch, self.problem = None, -1, ""
        self._outlines.clear()
        self._groups.clear()
        for window in self.windows.values():
            window.forget()


class SharedWindow:
    """Some rows and columns of a view, and who looks at them."""

    def __init__(self, view: SharedView, place: Place) -> None:
        self.view = view
        self.place = place
        self.viewers: set[Viewer] = set()
        self.cells: Cells | None = None
        self.totals: TotalRow | None = None
        self.problem = ""
        """Why there is nothing to show: columns that the rules in force do not have."""
        self.told = False
        self._plan: Plan | None = None
        self._due_s = 0.0
        self._epoch = -1
        self._bodies: dict[int, tuple[int, int, bytes]] = {}

    def forget(self) -> None:
        self.cells = self._plan = self.totals = None
        self.problem, self.told = "", False
        self._epoch, self._due_s = -1, 0.0
        self._bodies.clear()

    def refresh(self, inventory: Inventory, now_s: float, frame_s: float, deadline_s: float) -> None:
        """Read again if the view changed, or if the writer wrote and a frame is due; for the deadline see `glimpse`."""
        membership = self.view.membership
        if membership is None:
            return
        if self._plan is None or self._plan.membership is not membership:
            self._plan = self._planned(membership)
            if self._plan is None:
                return
            self._total(membership, self._plan.shape)
        elif now_s < self._due_s or inventory.tables.count(Word.EPOCH) == self._epoch:
            return
        reading = glimpse(inventory.tables, lambda: self._reading(inventory), deadline_s)
        if reading is None:
            return
        cells, self._epoch = reading
        # the beat is kept where it can be: polls a few milliseconds late must not add up to fewer frames
        self._due_s = max(self._due_s, now_s - frame_s / 2) + frame_s
        if self.cells is None or not cells.same(self.cells):
            self.cells = cells
            self._bodies.clear()

    def deliver(self) -> None:
        """Send the newest cells to every viewer that has not got them and can take a message."""
        for viewer in self.viewers:
            if viewer.busy or self.cells is None:
                continue
            if viewer.sent is not self.cells:
                if self.view.query.pivot and viewer.sent_shape is not self.cells.shape:
                    told = [ColumnInfo.of(column) for column in self.cells.shape.columns]
                    viewer.send_text(encode(ShapeOfPivot(viewer.v, told)))
                    viewer.sent_shape = self.cells.shape
                viewer.send_frame(self.frame(viewer.v, viewer.sent))
                viewer.sent = self.cells
            elif self.totals is not None and viewer.sent_totals is not self.totals:
                viewer.send_frame(self._totals_frame(viewer.v, self.totals))
                viewer.sent_totals = self.totals

    def frame(self, v: int, sent: Cells | None) -> bytes:
        """What takes a viewer from `sent` to the newest cells. Viewers that were sent the same share the work."""
        cells = self.cells
        assert cells is not None, "a frame is asked for after a reading only"
        before = 0 if sent is None else sent.serial
        body = self._bodies.get(before)
        if body is None:
            body = self._bodies[before] = self._body(cells, sent)
        kind, n, data = body
        first, count = self.place.first, len(cells.ids)
        as_of_ms, sent_ms = cells.as_of_ns / 1e6 if cells.as_of_ns else math.nan, time.time() * 1e3
        return frames.header(kind, v, first, count, cells.total, as_of_ms, sent_ms, cells.membership, n) + data

    def _body(self, cells: Cells, sent: Cells | None) -> tuple[int, int, bytes]:
        if sent is not None and cells.same_rows(sent):
            rows, columns, raw = changes(sent.raw, cells.raw)
            scales = cells.shape.scales
            values = np.where(raw == scales.unknown[columns], np.nan, raw / scales.scale[columns])
            return frames.CHANGES, len(rows), frames.changes_body(values, rows, cells.shape.numbers[columns])
        texts, numbers = iter(cells.texts), iter(cells.shape.scales.shown(cells.raw).T)
        columns_ = [next(texts) if is_text else frames.number_column(next(numbers)) for is_text in cells.shape.texts]
        if cells.tree is not None:
            return frames.TREE, len(columns_), frames.tree_body(cells.ids, cells.tree, columns_)
        return frames.WINDOW, len(columns_), frames.window_body(cells.ids, columns_)

    def _totals_frame(self, v: int, totals: TotalRow) -> bytes:
        assert self.cells is not None, "cells go before totals"
        cells = self.cells
        as_of_ms, sent_ms = cells.as_of_ns / 1e6 if cells.as_of_ns else math.nan, time.time() * 1e3
        n = len(totals.values)
        head = frames.header(frames.TOTALS, v, 0, 1, totals.rows, as_of_ms, sent_ms, cells.membership, n)
        return head + frames.totals_body(totals.values)

    def _total(self, membership: Membership, shape: Shape) -> None:
        if not self.place.totals or membership.total is None:
            self.totals = None
            return
        totals = TotalRow.of(membership, shape)
        if self.totals is None or not totals.same(self.totals):
            self.totals = totals

    def _planned(self, membership: Membership) -> Plan | None:
        missing = [name for name in self.place.columns if name not in membership.sight.by_name]
        if missing:
            self.problem = f"columns: unknown {', '.join(map(repr, missing))} in the rules in force"
            self.cells = None
            return None
        self.problem, self.told = "", False
        if membership.tree is None:
            return flat_plan(membership, self.place, self._plan)
        outline = self.view.outline(self.place.opening)
        return tree_plan(membership, self.view.query.groups, self.place, outline, self.view.number_of, self._plan)

    def _reading(self, inventory: Inventory) -> tuple[Cells, int] | None:
        """None while other rules are in force than those the plan was made under: a number must not change its meaning."""
        plan = self._plan
        assert plan is not None
        count, view = inventory.tables.count, self.view
        if plan.membership.sight.rules not in (None, count(Word.RULES)):
            return None
        raw, as_of_ns = plan.read(), count(Word.LAST_EVENT_NS)
        tree = plan.groups.head if plan.groups is not None else None
        cells = Cells(plan.shape, plan.ids, plan.texts, raw, plan.total, view.number, as_of_ns, tree)
        return cells, count(Word.EPOCH)


def _same_order(one: Membership, other: Membership) -> bool:
    """Whether rows and order are the same; of groups, which there are and in which order."""
    if one.tree is None or other.tree is None:
        return np.array_equal(one.ids, other.ids)
    a, b = one.tree, other.tree
    pairs = ((a.level, b.level), (a.label, b.label), (a.rows, b.rows))
    leaves = one.leaves is not None and other.leaves is not None and np.array_equal(one.leaves.ids, other.leaves.ids)
    return leaves and all(np.array_equal(left, right) for left, right in pairs)


Selection: TypeAlias = tuple[Any, ...]


class Views:
    """Everything that is looked at. Views and windows live for as long as somebody looks."""

    def __init__(self) -> None:
        self.by_selection: dict[Selection, SharedView] = {}

    def enter(self, query: Query, place: Place, viewer: Viewer) -> SharedWindow:
        """Let `viewer` look at a window of `query`."""
        view = self.by_selection.setdefault(query.selection, SharedView(query))
        window = view.windows.get(place.key)
        if window is None:
            window = view.windows[place.key] = SharedWindow(view, place)
            view.changed_windows()
        window.viewers.add(viewer)
        return window

    def leave(self, window: SharedWindow, viewer: Viewer) -> None:
        """`viewer` looks at `window` no more."""
        window.viewers.discard(viewer)
        view = window.view
        if not window.viewers:
            view.windows.pop(window.place.key, None)
            view.changed_windows()
        if not view.windows:
            self.by_selection.pop(view.query.selection, None)
