"""The engine process: the one writer, its graph, its decisions and the REST API for programs."""

import asyncio
import datetime as dt
import gc
import secrets
import signal
import time
from typing import Any, Final

import structlog
import uvloop

from app import world
from app.api.service import ApiService
from app.business_days import DayState
from app.intake import Intake
from app.quarantine_store import QuarantineStore
from app.refused import refused
from app.settings import Settings
from engine.graph import OnChanged, build
from engine.model import DAYS, Clock
from engine.ring import Ring
from engine.segment import remove_dead
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Unreadable, count

log = structlog.get_logger()
IDLE_S: Final = 0.002
"""How long the writer rests when the rings are empty: a tenth of the time between two frames of a grid."""
TICK_S: Final = 0.25
SETTLE_S: Final = 300.0
"""How often all of the heap is searched for cycles; between that only what is new since the last tick."""


class Engine:
    """Everything of the process, made in the order in which it depends on each other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        removed = remove_dead()
        if removed:
            log.info("removed shared memory of dead processes", segments=removed)
        now = dt.datetime.now(dt.UTC)
        markets, cache = world.markets(), settings.folder / "calendars"
        self._calendar = world.calendar(markets, now, cache)
        self.machine = Machine(
            f"{settings.instance}.tables",
            settings.capacity,
            world.rule_book(),  # the desk of rules follows with what is active, before anybody can ask
            markets,
            self._calendar,
            generation=secrets.token_hex(8),
        )
        self._day: DayState | None = None
        self._follow_the_day(time.time_ns())
        self.machine.tables.state[Word.STARTED_NS] = time.time_ns()
        self.quarantine = QuarantineStore(settings.folder / "quarantine.db")
        self.publisher, on_changed = _publisher(settings, self.machine)
        graph = build(self.machine, on_changed, self._refuse)
        self.rings = [Ring.create(f"{settings.instance}.ring{i}") for i in range(settings.workers)]
        self.intake = Intake(self.machine, graph, self.rings, self._undecoded)
        self.api = ApiService(settings, self.machine, self.rings, closes=world.closes(markets, self._calendar, cache))
        self._topics = (settings.events_topic, settings.reference_topic)
        self._stopping = asyncio.Event()
        self._keeping: set[asyncio.Future[Any]] = set()

    def _refuse(self, events: Any, outcomes: Any) -> None:
        self._keep(refused(self.machine.tables, self._topics, events, outcomes))

    def _undecoded(self, entries: list[Unreadable]) -> None:
        self.machine.tables.state[Word.QUARANTINED] += count(entries)
        self._keep(entries)

    def _keep(self, entries: list[Unreadable]) -> None:
        """Store entries beside the writer's loop; a full disk is said loudly and stops nothing."""
        keeping = asyncio.get_running_loop().run_in_executor(None, self.quarantine.add, entries)
        self._keeping.add(keeping)
        keeping.add_done_callback(self._kept)

    def _kept(self, keeping: asyncio.Future[Any]) -> None:
        self._keeping.discard(keeping)
        if not keeping.cancelled() and (error := keeping.exception()) is not None:
            log.error("quarantine could not be written", error=str(error))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self.machine.tick(time.time_ns())
        await self.api.start()
        _settle_heap()
        gc.disable()  # a full collection of its own choosing stops the writer for 30 ms, a few times a second
        parts = [self._drain(), self._tick()] + ([self.publisher.run()] if self.publisher is not None else [])
        tasks = [asyncio.create_task(part) for part in parts]
        print("READY", flush=True)  # noqa: T201  the supervisor waits for this line
        try:
            # none of them ends by itself but the draining, when it is asked to; whatever else ends one ends the process
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    def _follow_the_day(self, now_ns: int) -> None:
        """Begin the business days that have begun, and close what the time of day has closed."""
        if self._day is not None and now_ns < self._day.until_ns:
            return
        machine, calendar = self.machine, self._calendar
        self._day = DayState.at(machine.markets, calendar.business_day, calendar.base_date, now_ns)
        if (self._day.today != machine.tables.array["today"]).any():
            log.info("a business day begins", days=self._day.today.tolist())
            machine.roll(self._day.today)
        for market, days in enumerate(self._day.lending_open.tolist()):
            for day, is_open in enumerate(days):
                machine.set_clock(market, Clock.LENDING_OPEN, day, is_open=is_open)

    async def _drain(self) -> None:
        while not self._stopping.is_set():
            used = self.intake.drain()
            # a turn for requests after every batch; a rest only when there is nothing to do
            await asyncio.sleep(0 if used else IDLE_S)

    async def _tick(self) -> None:
        settle_s = time.monotonic() + SETTLE_S
        while True:
            gc.collect(0)
            if time.monotonic() > settle_s:
                settle_s = time.monotonic() + SETTLE_S
                _settle_heap()
            now_ns = time.time_ns()
            self._follow_the_day(now_ns)
            self.machine.tick(now_ns)
            await self.api.tick(now_ns)
            await asyncio.sleep(TICK_S)

    async def close(self) -> None:
        """Orderly: no more events, then the journal, then the memory."""
        await self.api.close()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self.quarantine.close()
        for ring in self.rings:
            ring.close()
        self.machine.close()
        log.info("engine stopped")


def _settle_heap() -> None:
    """Collect everything, and keep what is left out of later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _publisher(settings: Settings, machine: Machine) -> tuple[Any, OnChanged | None]:
    """The Redis publisher and how changed securities reach it; nothing where no Redis is set."""
    if settings.redis is None:
        return None, None
    from feeds.redis_publisher import RedisPublisher  # noqa: PLC0415  only where it is wanted

    array = machine.tables.array
    catalogue = machine.compiled.catalogue
    publisher = RedisPublisher(
        settings.redis, [f"{c.name}_{day}" for c in catalogue.calculations for day in range(DAYS)]
    )

    def publish(changed: Any) -> None:
        codes = [code.decode() for code in array["security"]["code"][changed].tolist()]
        publisher.offer(codes, array["values"][changed, : len(catalogue.calculations)].reshape(changed.size, -1))

    return publisher, publish


def main(settings: Settings) -> None:
    """Run until SIGTERM. A broken invariant or a full table ends the process with its reason on stderr."""

    async def serve() -> None:
        await Engine(settings).run()

    uvloop.run(serve())
