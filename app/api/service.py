"""The API as one part of the engine process: opened before its loop listens, ticked by it, closed with it."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app import world
from app.alerts_desk import AlertsDesk
from app.analyst.client import Analyst
from app.api.access import Access
from app.api.base import DRAIN_BYTES, Context
from app.api.both_desks import BothDesks, recorder_of
from app.api.closing import Closing
from app.api.decisions import Decisions
from app.api.feed_metrics import FeedMetrics
from app.api.front import Front
from app.api.handlers import make_app
from app.api.metrics import Metrics
from app.api.naming import Naming
from app.api.openapi import documents
from app.api.order_decisions import OrderDecisions
from app.api.securities import Securities
from app.api.server import Server, Waits
from app.api.throttle import Throttle
from app.breaks.client import BreaksClient
from app.breaks.engine_side import EngineSide
from app.files_store import FILE as FILES_FILE
from app.files_store import FilesStore
from app.health import HealthDesk
from app.journal import Journal, JournalError
from app.journal_lists import JournalLists
from app.journal_rows import AnyChange
from app.master_books import MasterBooks
from app.master_database import url_of
from app.master_desk import MasterDesk
from app.master_rules import master_rules, vocabulary
from app.rules_desk import RulesDesk
from app.rules_documents import opened
from app.rules_machine import doors
from app.rules_store import RuleStore
from app.settings import Settings
from app.telling import Telling, for_ever
from app.users_store import FILE, Users
from app.views_store import ViewStore
from engine.limits import InventoryLimits
from engine.locate_desk import LocateDesk
from engine.locate_today import KEPT_NS
from engine.locate_usage import LocateUsage
from engine.locates import Change, FeedPosition
from engine.order_desk import OrderDesk
from engine.state import Applied, Machine
from engine.tables import Word
from feeds.registry import topics

log = structlog.get_logger()
KEEP_ANSWERS_NS: Final = 7 * 86_400 * 10**9
"""How long the answer to an Idempotency-Key is remembered."""
_FORGET_EVERY_NS: Final = 3_600 * 10**9
SWITCH_S: Final = 0.0005
"""The longest one thread keeps the interpreter from another: the journal's writer asks for it after each of its steps."""


class ApiService:
    """Locates and the port that programs ask on.

    `closes`: when markets close, half days and all (see `Closing`);
    `health`: what the resources of feeds tell, where they are watched;
    `effects`: what is done with what the API itself has had applied.
    """

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        clock: Callable[[], int] = time.time_ns,
        closes: NDArray[np.int32] | None = None,
        health: HealthDesk | None = None,
        effects: Callable[[Applied], None] | None = None,
    ) -> None:
        self._settings = settings
        self._tables = machine.tables
        self._next_forget_ns = 0
        expires = Closing(machine.tables, closes)
        self.desk = LocateDesk(machine.inventory, machine.book.locates, expires)
        self._topics = topics(settings.events_topic, settings.reference_topic)
        self._positions: tuple[FeedPosition, ...] = ()
        self._positions_seen = b""
        self.journal = Journal(settings.database_url)
        self._lists = JournalLists(settings.database_url)
        self.desk.restore(*self.journal.load_open(), self.journal.load_located(clock() - KEPT_NS))
        self.desk.check()
        self._metrics = Metrics(machine.tables, *([FeedMetrics(health)] if health else []))
        securities = Securities(machine.tables, machine.inventory)
        limits = InventoryLimits(machine.tables, machine.inventory, lambda: machine.compiled, self.desk)
        order_desk = OrderDesk(limits)
        order_desk.restore(*self.journal.load_open_orders())
        usage = LocateUsage(self.desk, order_desk, settings.locate_shrink_minutes * 60 * 10**9)
        recorder = recorder_of(BothDesks(self.desk, order_desk, usage), self.journal, self._changed)
        naming = Naming(securities, vocabulary(machine.markets), machine.markets)
        self.decisions = Decisions(
            self.desk,
            usage,
            self.journal,
            recorder,
            machine.inventory,
            securities,
            naming,
            expires=expires,
            feed_positions=self._feed_positions,
            clock=clock,
        )
        self.orders = OrderDecisions(
            order_desk, usage, self.journal, recorder, securities, naming, expires=expires, clock=clock
        )
        breaks = BreaksClient(settings)
        self.telling = Telling(settings, machine, securities, self.decisions, self.orders, breaks, clock)
        self.breaks = EngineSide(settings, machine, self.telling.limits, self.telling.holders, breaks, effects)
        self._analyst = Analyst(settings)
        store = RuleStore(settings.database_url)
        opened(store, world.shipped_documents(), world.rule_book, clock())
        self.rules = RulesDesk(store, machine.book, doors(machine, self.desk, self._analyst, self.journal, clock))
        self._access = Access(settings.api_token, settings.secret, Users(settings.folder / FILE), clock)
        self.master = MasterDesk(MasterBooks(url_of(settings)), master_rules(), machine, clock)
        self._files = FilesStore(settings.folder / FILES_FILE)
        self._views = ViewStore(settings.database_url)
        self._waits = Waits()
        context = Context(
            access=self._access,
            decisions=self.decisions,
            orders=self.orders,
            lists=self._lists,
            limits=self.telling.limits,
            securities=securities,
            rules=self.rules,
            metrics=self._metrics,
            readiness=self._waiting_for,
            documents=documents(),
            waits=self._waits,
            throttle=Throttle(settings.api_rate),
            health=health,
            files=self._files,
            streams=self.telling.streams,
            webhooks=self.telling.webhooks,
            master=self.master,
            breaks=self.breaks,
            views=self._views,
            alerts=self._alerts(machine, securities, clock),
            past=self._analyst.asof if settings.archive else None,
            reporting_currency=settings.reporting_currency,
            told=self._analyst.told if settings.archive else None,
        )
        self._server = Server(make_app(context), waits=self._waits, max_body_size=DRAIN_BYTES)
        self._front = Front(context, self._server.take)
        self._server.greet = self._front.greet
        self._count()

    def _alerts(self, machine: Machine, securities: Securities, clock: Callable[[], int]) -> AlertsDesk:
        def find(text: str) -> str | None:
            security = securities.find(text)
            return securities.code(security) if security else None

        return AlertsDesk(
            self.telling.outbox,
            lambda: machine.compiled.catalogue,
            tuple(market.code for market in machine.markets),
            find,
            self._analyst.alert_test,
            clock,
        )

    async def start(self) -> None:
        """Listen on the API's port."""
        sys.setswitchinterval(SWITCH_S)
        await self.rules.start()
        await self.breaks.books.follow()
        self.telling.start()
        self._overdrawn = asyncio.create_task(for_ever("overdrawn limits", self.breaks.overdrawn.run))
        self._server.listen(self._settings.api_port, self._settings.host)
        log.info("api listens", port=self._settings.api_port, locates=self.desk.live_count + self.desk.pending_count)

    async def tick(self, now_ns: int) -> None:
        """Expire, try again, forget old keys, put rules in force. Raises `LocateInvariantError`: the process must then stop."""
        self._waits.sweep()
        self.rules.tick()
        self._metrics.latencies.tick(now_ns)
        self.master.tick(now_ns)
        self.breaks.books.tick(now_ns)
        await self.decisions.tick(now_ns)
        await self.orders.tick(now_ns)
        await self.telling.tick()
        if now_ns >= self._next_forget_ns:
            self._next_forget_ns = now_ns + _FORGET_EVERY_NS
            try:
                await self.journal.forget_answers(now_ns - KEEP_ANSWERS_NS)
            except JournalError as error:
                log.warning("old keys are kept for now", reason=str(error))

    async def close(self) -> None:
        """Answer what has been asked, then close the journal."""
        self._server.stop()
        await self.decisions.quiet()
        await self.orders.quiet()
        self._front.close()
        await self._server.close_all_connections()
        self._overdrawn.cancel()
        await asyncio.gather(self._overdrawn, return_exceptions=True)
        await self.telling.close()
        await self.breaks.close()
        await self.rules.close()
        self._analyst.close()
        self.master.close()
        self._access.close()
        self._files.close()
        self._views.close()
        self._lists.close()
        self.journal.close()

    def _changed(self, changes: Sequence[AnyChange]) -> None:
        self.telling.ring()
        self._metrics.changed([change for change in changes if isinstance(change, Change)])
        self._count()

    def _count(self) -> None:
        self._tables.state[Word.LOCATES_LIVE] = self.desk.live_count
        self._tables.state[Word.LOCATES_PENDING] = self.desk.pending_count

    def _feed_positions(self) -> tuple[FeedPosition, ...]:
        applied = self._tables.array["applied"][: len(self._topics)]
        if (seen := applied.tobytes()) != self._positions_seen:
            self._positions_seen = seen
            self._positions = tuple(
                FeedPosition(self._topics[feed], partition, int(applied[feed, partition]))
                for feed, partition in np.argwhere(applied).tolist()
            )
        return self._positions

    def _waiting_for(self) -> list[str]:
        state = self._tables.state
        waiting = [] if state[Word.READY] else ["feeds: not everything that existed at start has been applied"]
        if self.decisions.broken:
            waiting.append("locates: they do not agree with the inventory")
        if self.orders.broken:
            waiting.append("orders: they do not agree with the inventory")
        return waiting
