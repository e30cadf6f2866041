"""The gateway's heart: follows the writer, renews views, sends what changed. One event loop, no locks."""

import asyncio
import dataclasses
import time
from collections.abc import Collection, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import structlog

from app.gateway import messages, values, writer
from app.gateway.messages import ColumnInfo, Hello, TableInfo, Values
from app.gateway.plans import Place
from app.gateway.shared import SharedView, SharedWindow, Viewer, Views
from app.gateway.writer import Attachment
from engine.views import (
    INVENTORY,
    POSITION_COLUMNS,
    POSITIONS,
    TABLES,
    TEMPERATURES,
    InventoryColumns,
    Membership,
    Query,
    QueryError,
    TornReadError,
    Version,
    Wanted,
    Word,
)

POLL_S: Final = 0.005
BUSY_POLL_S: Final = 0.001
"""While the writer is in the middle of a batch; it will not be for long."""
PATIENCE_S: Final = 0.003
"""How long one round may wait for a writer that works without rest."""
FOLLOW_S: Final = 0.1
STATS_S: Final = 0.5
RENEW_S: Final = 0.5
RENEWAL_SHARE: Final = 0.25
"""Of one core: renewals of many or large views come less often rather than cost more."""
MAX_RENEWALS: Final = 4
"""At a time: what waits longer may be looked at no more when its turn comes, and then costs nothing."""
MIDNIGHT_S: Final = 60.0
"""How soon after midnight a row that has not changed today leaves a view of those that have."""

_log = structlog.get_logger()


class Session(Viewer, Protocol):
    """A connection: looks at one window at a time and is told the state of the machine."""

    window: SharedWindow | None
    clients: frozenset[str] | None
    """Whose things it may see; None: everybody's."""
    listing: bool
    """Whether a list of values is being made for it."""

    def send_text(self, text: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Pump:
    """All sessions of the gateway. `look` and `leave` are called from the event loop that runs `run`."""

    def __init__(self, tables_name: str, frame_ms: int) -> None:
        self.attachment: Attachment | None = None
        self.sessions: set[Session] = set()
        self.views = Views()
        self.tables_name = tables_name
        self._frame_ms = frame_ms
        self.executor = ThreadPoolExecutor(2, "view")
        """Where whatever takes a pass over all securities is done, beside the loop."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_follow_s = self._next_stats_s = 0.0
        self._counted_epoch = -1
        self.greeting: tuple[bytes, bytes] | None = None
        """To who sees everything, and to who is kept to clients."""
        self._learning = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:  # noqa: ASYNC110  shared memory rings no bell
            await asyncio.sleep(self.tick(time.monotonic()))

    def tick(self, now_s: float) -> float:
        """One round. Returns how long to wait for the next, in seconds."""
        if now_s >= self._next_follow_s:
            self._next_follow_s = now_s + FOLLOW_S
            self._follow()
        if now_s >= self._next_stats_s:
            self._next_stats_s = now_s + STATS_S
            self._send_stats()
        if self.attachment is None:
            return POLL_S
        self._renew(self.attachment, now_s)
        deadline_s = time.monotonic() + PATIENCE_S
        for view in self.views.by_selection.values():
            for window in view.windows.values():
                window.refresh(self.attachment.inventory, now_s, self._frame_ms / 1e3, deadline_s)
                window.deliver()
                if window.problem and not window.told:
                    window.told = True
                    self._tell(window.problem, [s for s in self.sessions if s.window is window])
        return BUSY_POLL_S if self.attachment.tables.count(Word.EPOCH) % 2 else POLL_S

    def join(self, session: Session) -> None:
        """A new connection."""
        self.sessions.add(session)
        if self.greeting is not None:
            session.send_text(self.greeting[session.clients is not None])
        stats = self._stats()
        session.send_text(messages.encode(stats if session.clients is None else messages.kept(stats)))

    def look(self, session: Session, query: Query, v: int, place: Place) -> None:
        """Let a session look at a window. Raises `QueryError` for a market or a column that there is not."""
        if self.attachment is not None and self.attachment.columns is not None:
            query.check(self.attachment.tables.markets, self.attachment.columns_of(query.table))
        former = session.window
        session.v, session.sent = v, None
        session.sent_shape = session.sent_totals = None
        session.window = self.views.enter(query, place, session)
        if former is not None and former is not session.window:
            self.views.leave(former, session)

    def move(self, session: Session, place: Place) -> None:
        """Let a session look at other rows of what it looks at. Raises `QueryError` as `look`."""
        if session.window is not None:
            query = dataclasses.replace(session.window.view.query, columns=place.columns)
            self.look(session, query, session.v, place)

    def list_values(self, session: Session, asked: Values, query: Query) -> None:
        """Tell a session which texts a column has. Raises `QueryError` as `look`; one such request at a time."""
        if self.attachment is None or self.attachment.columns is None:
            raise QueryError("table", "there is no engine to ask")
        query.check(self.attachment.tables.markets, self.attachment.columns_of(query.table))
        if session.listing:
            raise QueryError("values", "the last list is still being made")
        session.listing = True
        self._start(self._list(self.attachment, session, asked, query))

    async def _list(self, attachment: Attachment, session: Session, asked: Values, query: Query) -> None:
        try:
            found = await attachment.run(self.executor, values.of, attachment.inventory, query, asked, writer.now_ns())
        except (QueryError, TornReadError) as error:
            session.send_text(messages.encode(messages.Error(str(error), r=asked.r)))
            return
        finally:
            session.listing = False
        session.send_text(messages.encode(found))

    def leave(self, session: Session) -> None:
        """A connection is gone."""
        self.sessions.discard(session)
        if session.window is not None:
            self.views.leave(session.window, session)
            session.window = None

    def columns(self, table: str) -> Collection[str]:
        """Names of all columns there are of a table; none before the writer is known."""
        attachment = self.attachment
        return () if attachment is None or attachment.columns is None else attachment.columns_of(table)

    @property
    def state(self) -> str:
        """As `Stats.state`."""
        return "down" if self.attachment is None else self.attachment.state(writer.now_ns())

    async def close(self) -> None:
        """Wait for what runs, then give the tables back."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.executor.shutdown()
        if self.attachment is not None:
            self.attachment.close()
            self.attachment = None

    # the writer

    def _follow(self) -> None:
        """Let go of a writer that is gone, and take up the one that came."""
        if self.attachment is not None and self.attachment.tables.segment.stale:
            _log.info("writer gone", generation=self.attachment.tables.generation)
            self.attachment.close()
            self.attachment = self.greeting = None
        if self.attachment is None:
            self.attachment = writer.attach(self.tables_name)
            if self.attachment is None:
                return
            _log.info("writer found", generation=self.attachment.tables.generation)
            self._counted_epoch = -1
            for view in self.views.by_selection.values():
                view.forget()
            for session in self.sessions:
                session.sent = None
        known, version = self.attachment.columns, self.attachment.tables.count(Word.RULES)
        if not self._learning and version and (known is None or known.version != version):
            self._learning = True
            self._start(self._learn(self.attachment))

    async def _learn(self, attachment: Attachment) -> None:
        """Take up the columns of the rules in force, and tell every session when they are others."""
        try:
            columns = await attachment.run(self.executor, attachment.inventory.columns)
        except TornReadError as error:
            _log.warning("columns are late", reason=str(error))
            return
        finally:
            self._learning = False
        if attachment is not self.attachment:
            return
        attachment.columns = columns
        _log.info("rules in force", version=columns.version, columns=len(columns.all))
        for view in self.views.by_selection.values():
            view.problem = ""  # what these rules do not know, those may have known; and the other way round
        hello = self._greeting(attachment, columns)
        if hello == self.greeting:
            return
        self.greeting = hello
        for session in self.sessions:
            session.send_text(hello[session.clients is not None])

    def _greeting(self, attachment: Attachment, columns: InventoryColumns) -> tuple[bytes, bytes]:
        everybody = Hello(
            generation=attachment.tables.generation,
            frame_ms=self._frame_ms,
            markets=[market.code for market in attachment.tables.markets],
            temperatures=list(TEMPERATURES),
            columns=[ColumnInfo.of(column) for column in columns.all],
            tables=[
                TableInfo(INVENTORY, "Inventory", [ColumnInfo.of(column) for column in columns.all]),
                TableInfo(POSITIONS, "Positions", [ColumnInfo.of(column) for column in POSITION_COLUMNS]),
            ],
        )
        return messages.encode(everybody), messages.encode(messages.kept(everybody))

    def _stats(self) -> messages.Stats:
        now_ns = writer.now_ns()
        return writer.down(now_ns) if self.attachment is None else self.attachment.stats(now_ns)

    def _send_stats(self) -> None:
        stats = self._stats()
        told = messages.encode(stats), messages.encode(messages.kept(stats))
        for session in self.sessions:
            if not session.busy:
                session.send_text(told[session.clients is not None])
        if self.attachment is not None and self.sessions:
            epoch = self.attachment.tables.count(Word.EPOCH)
            if epoch != self._counted_epoch:
                self._counted_epoch = epoch
                self._start(self._count(self.attachment))

    async def _count(self, attachment: Attachment) -> None:
        """The totals that take a pass over all securities."""
        inventory = attachment.inventory
        try:
            attachment.negative, attachment.htb = await attachment.run(
                self.executor, lambda: (inventory.negative(), inventory.hard_to_borrow())
            )
        except TornReadError as error:
            _log.warning("totals are late", reason=str(error))

    # views

    def _renew(self, attachment: Attachment, now_s: float) -> None:
        """Start the renewal of every view that is due and may have changed."""
        views = self.views.by_selection.values()
        period_s = max(RENEW_S, sum(view.cost_s for view in views) / RENEWAL_SHARE)
        if attachment.columns is None:
            return
        rules, epoch = attachment.columns.version, attachment.tables.count(Word.EPOCH)
        versions = {table: attachment.inventory.version(table) for table in TABLES}
        under_way = sum(view.renewing for view in views)
        for view in views:
            if view.renewing or view.problem or under_way >= MAX_RENEWALS:
                continue
            wanted = view.wanted
            known = view.membership
            outdated = known is None or known.sight.rules not in (None, rules) or not wanted.within(known.wanted)
            table = view.query.table
            if outdated or (now_s - view.renewed_s >= period_s and _changed(view, epoch, versions[table], now_s)):
                view.renewing, view.renewed_s, view.epoch = True, now_s, epoch
                under_way += 1
                self._start(self._renewal(attachment, view, wanted))

    async def _renewal(self, attachment: Attachment, view: SharedView, wanted: Wanted) -> None:
        try:
            before = view.membership
            membership, view.cost_s = await attachment.run(
                self.executor, _timed, attachment, view.query, wanted, before
            )
            if attachment is self.attachment:
                view.renewed(membership)
        except QueryError as error:
            view.problem = str(error)
            self._tell(view.problem, [s for s in self.sessions if s.window is not None and s.window.view is view])
        except TornReadError as error:
            _log.warning("view is late", reason=str(error))
        finally:
            view.renewing = False

    def _tell(self, problem: str, sessions: Iterable[Session]) -> None:
        for session in sessions:
            session.send_text(messages.encode(messages.Error(problem, v=session.v)))

    def _start(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a job of the gateway failed", exc_info=error)


def _changed(view: SharedView, epoch: int, version: Version, now_s: float) -> bool:
    membership = view.membership
    if membership is None or membership.version != version:
        return True
    if view.query.changed_today and now_s - view.renewed_s >= MIDNIGHT_S:
        return True
    return view.epoch != epoch and view.query.moves(membership.sight.by_name)


def _timed(attachment: Attachment, query: Query, wanted: Wanted, before: Membership | None) -> tuple[Membership, float]:
    """A renewal and what it cost, in seconds."""
    started = time.perf_counter()
    membership = attachment.inventory.membership(query, writer.now_ns(), wanted, before)
    return membership, time.perf_counter() - started
