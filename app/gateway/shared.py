"""What many sessions look at together: one membership per selection of rows, one reading of cells per window.

A window is read at most once per frame time, whoever looks at it. A reading that differs from the one before becomes a
new `Cells`; each viewer remembers which `Cells` it was last sent, and is sent the difference to the newest. So a slow
viewer skips what lies between, and there is nothing to queue.
"""

import itertools
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.gateway import frames
from engine.views import (
    Column,
    Inventory,
    Membership,
    Query,
    Scales,
    Window,
    Word,
    changes,
    glimpse,
)

Place: TypeAlias = tuple[tuple[str, ...], int, int]
"""Columns, first row and number of rows: which window of a view."""


class Viewer(Protocol):
    """One session, as seen from what it looks at."""

    v: int
    sent: "Cells | None"

    @property
    def busy(self) -> bool:
        """Whether the last message is still on its way."""

    def send_frame(self, frame: bytes) -> None: ...


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
    serial: int = field(default_factory=itertools.count(1).__next__)

    def same_rows(self, other: "Cells") -> bool:
        """Whether only numbers differ."""
        same = self.shape.same(other.shape) and np.array_equal(self.ids, other.ids)
        return same and self.texts == other.texts

    def same(self, other: "Cells") -> bool:
        """Whether a viewer of one would see nothing new in the other."""
        counted = self.total == other.total and self.membership == other.membership
        return counted and self.same_rows(other) and np.array_equal(self.raw, other.raw)


@dataclass(slots=True, eq=False)
class SharedView:
    """Rows and order of one selection, and the windows that are open on it."""

    query: Query
    """Any of the queries with this selection; their columns may differ."""
    windows: dict[Place, "SharedWindow"] = field(default_factory=dict)
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

    def renewed(self, membership: Membership) -> None:
        """A renewal came back; an equal one keeps its number."""
        old, self.membership, self.problem = self.membership, membership, ""
        if old is None or not np.array_equal(old.ids, membership.ids):
            self.number += 1

    def forget(self) -> None:
        """Another writer has taken over: nothing known of the former one holds."""
        self.membership, self.epoch, self.problem = None, -1, ""
        for window in self.windows.values():
            window.forget()


class SharedWindow:
    """Some rows and columns of a view, and who looks at them."""

    def __init__(self, view: SharedView, place: Place) -> None:
        self.view = view
        self.place = place
        self.viewers: set[Viewer] = set()
        self.cells: Cells | None = None
        self.problem = ""
        """Why there is nothing to show: columns that the rules in force do not have."""
        self.told = False
        self._plan: _Plan | None = None
        self._due_s = 0.0
        self._epoch = -1
        self._bodies: dict[int, tuple[int, int, bytes]] = {}

    def forget(self) -> None:
        self.cells = self._plan = None
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
            if viewer.sent is not self.cells and self.cells is not None and not viewer.busy:
                viewer.send_frame(self.frame(viewer.v, viewer.sent))
                viewer.sent = self.cells

    def frame(self, v: int, sent: Cells | None) -> bytes:
        """What takes a viewer from `sent` to the newest cells. Viewers that were sent the same share the work."""
        cells = self.cells
        assert cells is not None, "a frame is asked for after a reading only"
        before = 0 if sent is None else sent.serial
        body = self._bodies.get(before)
        if body is None:
            body = self._bodies[before] = self._body(cells, sent)
        kind, n, data = body
        first, count = self.place[1], len(cells.ids)
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
        return frames.WINDOW, len(columns_), frames.window_body(cells.ids, columns_)

    def _planned(self, membership: Membership) -> "_Plan | None":
        names, first, count = self.place
        columns, reference = membership.columns, membership.reference
        missing = [name for name in names if name not in columns.by_name]
        if missing:
            self.problem = f"columns: unknown {', '.join(map(repr, missing))} in the rules in force"
            self.cells = None
            return None
        self.problem, self.told = "", False
        ids = membership.ids[first : first + count]
        old = self._plan
        if old is None or old.membership.columns is not columns:
            shape = Shape.of(tuple(columns[name] for name in names))
        elif old.membership.reference is reference and np.array_equal(old.ids, ids):
            return replace(old, membership=membership)
        else:
            shape = old.shape
        texts = tuple(frames.text_column(reference.text(c.name, ids)) for c in shape.columns if c.is_text)
        return _Plan(membership, ids, shape, texts, columns.window(shape.columns, ids, reference))

    def _reading(self, inventory: Inventory) -> tuple[Cells, int] | None:
        """None while other rules are in force than those the plan was made under: a number must not change its meaning."""
        plan = self._plan
        assert plan is not None
        count, view = inventory.tables.count, self.view
        if count(Word.RULES) != plan.membership.columns.version:
            return None
        raw, as_of_ns = plan.window.read(), count(Word.LAST_EVENT_NS)
        cells = Cells(plan.shape, plan.ids, plan.texts, raw, len(plan.membership.ids), view.number, as_of_ns)
        return cells, count(Word.EPOCH)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read a window for as long as its rows and the rules stay."""

    membership: Membership
    ids: NDArray[np.int32]
    shape: Shape
    texts: tuple[bytes, ...]
    window: Window


Selection: TypeAlias = tuple[Any, ...]


class Views:
    """Everything that is looked at. Views and windows live for as long as somebody looks."""

    def __init__(self) -> None:
        self.by_selection: dict[Selection, SharedView] = {}

    def enter(self, query: Query, first: int, count: int, viewer: Viewer) -> SharedWindow:
        """Let `viewer` look at a window of `query`."""
        view = self.by_selection.setdefault(query.selection, SharedView(query))
        place = (query.columns, first, count)
        window = view.windows.get(place)
        if window is None:
            window = view.windows[place] = SharedWindow(view, place)
        window.viewers.add(viewer)
        return window

    def leave(self, window: SharedWindow, viewer: Viewer) -> None:
        """`viewer` looks at `window` no more."""
        window.viewers.discard(viewer)
        view = window.view
        if not window.viewers:
            view.windows.pop(window.place, None)
        if not view.windows:
            self.by_selection.pop(view.query.selection, None)
