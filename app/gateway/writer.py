"""The writer's tables as the gateway follows them: attached while there are any, anew when a writer was restarted."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, ParamSpec, TypeVar

from app.gateway.messages import Stats
from engine.model import Concern
from engine.views import (
    FEED_STALE_NS,
    INVENTORY,
    POSITION_COLUMNS,
    Column,
    Inventory,
    InventoryColumns,
    SegmentMissingError,
    Tables,
    totals,
)
from engine.views_search import Search

P = ParamSpec("P")
T = TypeVar("T")

POSITIONS_BY_NAME: Final = {column.name: column for column in POSITION_COLUMNS}
STALE_AFTER_MS: Final = 2_000
_NS_PER_MS: Final = 1_000_000
_RATE_OVER_S: Final = 2.0


class Attachment:
    """One writer's tables and the jobs that read them in other threads; closed when the last of these is done."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.inventory = Inventory(tables)
        self.columns: InventoryColumns | None = None
        """Under the rules last heard of; None before that."""
        self.negative = 0
        self.htb = 0
        self._search: Search | None = None
        self._jobs: set[asyncio.Future[Any]] = set()
        self._closing = False
        self._rate: deque[tuple[float, int]] = deque()

    def columns_of(self, table: str) -> Mapping[str, Column]:
        """What there is to see of a table, by name. The rules must be known (`columns`)."""
        assert self.columns is not None, "asked for before the rules were known"
        return self.columns.by_name if table == INVENTORY else POSITIONS_BY_NAME

    async def run(self, executor: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function` in a thread; the tables stay mapped until it returns, even if the caller goes away."""
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(executor, lambda: function(*args, **kwargs))
        self._jobs.add(job)
        job.add_done_callback(self._done)
        return await asyncio.shield(job)

    def close(self) -> None:
        """Give the tables back as soon as no job reads them."""
        self._closing = True
        if not self._jobs:
            self.tables.close()

    def search(self) -> Search:
        """A search over the reference data of now. In a thread: what it needs is made when the data has changed."""
        reference = self.inventory.reference()
        if self._search is None or self._search.reference is not reference:
            self._search = Search(reference, [market.calendar for market in self.tables.markets])
        return self._search

    def state(self, now_ns: int) -> str:
        """As `Stats.state`."""
        state = state_of(self.tables, now_ns)
        return "starting" if state == "live" and self.columns is None else state

    def stats(self, now_ns: int) -> Stats:
        """The strip above the grid."""
        now = totals(self.tables)
        return Stats(
            now_ms=now_ns // _NS_PER_MS,
            state=self.state(now_ns),
            heartbeat_age_ms=_age_ms(now_ns, now.heartbeat_ns),
            feed_age_ms=_age_ms(now_ns, now.feed_ns),
            event_age_ms=_age_ms(now_ns, now.last_event_ns),
            events=now.events,
            events_per_s=self._events_per_s(now_ns / 1e9, now.events),
            securities=now.securities,
            rows=now.rows,
            duplicates=now.duplicates,
            missing=now.missing,
            rejected=now.rejected,
            quarantined=now.quarantined,
            parked=now.parked,
            parked_shares=now.parked_shares,
            doubtful=tuple(concern.name for concern in Concern if now.stale & concern),
            located_shares=now.located_shares,
            locates_live=now.locates_live,
            locates_pending=now.locates_pending,
            negative=self.negative,
            htb=self.htb,
        )

    def _events_per_s(self, now_s: float, events: int) -> int:
        """Over the last two seconds."""
        self._rate.append((now_s, events))
        while now_s - self._rate[0][0] > _RATE_OVER_S:
            self._rate.popleft()
        then_s, before = self._rate[0]
        return round((events - before) / (now_s - then_s)) if now_s > then_s else 0

    def _done(self, job: asyncio.Future[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # whoever waits for the job has it too; asked for here so that a caller gone is no warning
        if self._closing and not self._jobs:
            self.tables.close()


def state_of(tables: Tables, now_ns: int) -> str:
    """As `Stats.state`, as far as the tables tell it."""
    if not tables.segment.owner_alive:
        return "down"
    now = totals(tables)
    if now.heartbeat_ns and now_ns - now.heartbeat_ns > STALE_AFTER_MS * _NS_PER_MS:
        return "stale"
    if now.ready and (now.stale & Concern.SHARES or (now.feed_ns and now_ns - now.feed_ns > FEED_STALE_NS)):
        return "stale"
    return "live" if now.ready and now.heartbeat_ns else "starting"


def attach(name: str) -> Attachment | None:
    """The living writer's tables; None while there is none. A dead one's numbers are not shown."""
    try:
        tables = Tables.attach(name)
    except SegmentMissingError:
        return None
    if tables.segment.owner_alive:
        return Attachment(tables)
    tables.close()
    return None


def down(now_ns: int) -> Stats:
    """The strip while there is no writer."""
    return Stats(now_ms=now_ns // _NS_PER_MS, state="down")


def now_ns() -> int:
    """The wall clock: pages compare it with their own."""
    return time.time_ns()


def _age_ms(now_ns: int, then_ns: int) -> int | None:
    return max(0, now_ns - then_ns) // _NS_PER_MS if then_ns else None
