"""The engine process: the one writer, its graph, its decisions and the REST API for programs."""

import asyncio
import datetime as dt
import gc
import secrets
import signal
import time
from typing import Any, Final

import numpy as np
import structlog
import uvloop

from app import feed_rules, parking_store, quarantine_store, snapshots, world
from app.api.openapi import documents
from app.api.service import ApiService
from app.archive_place import record
from app.business_days import DayState
from app.clock import wall
from app.feed_health import FeedHealth
from app.health import HealthDesk, Others
from app.health_others import of_archive, of_files, of_snapshots
from app.intake import Intake
from app.keeping import Keeping
from app.leaps import Leaps
from app.memory import keep_freed_memory
from app.parking import Parking
from app.parking_store import ParkingStore
from app.quarantine_store import QuarantineStore
from app.read_again import ReadAgain
from app.refused import refused
from app.settings import Settings
from app.snapshot_files import Contents
from app.snapshots import Snapshots
from app.trading_hours import trading
from engine import snapshot_pack
from engine.graph import OnChanged, build
from engine.model import DAYS, Clock
from engine.ring import Message, Ring
from engine.rule_model import Document
from engine.segment import remove_dead
from engine.state import Machine
from engine.tables import Word
from feeds.pulse import Pulse
from feeds.registry import FEEDS, topics

log = structlog.get_logger()
IDLE_S: Final = 0.002
"""How long the writer rests when the rings are empty: a tenth of the time between two frames of a grid."""
TICK_S: Final = 0.25
YOUNG: Final = 10_000
"""New objects among which cycles are searched: a millisecond's work."""
SETTLE_S: Final = 300.0
"""How often all of the heap is searched for cycles; between that only what is new since the last tick."""


class Engine:
    """Everything of the process, made in the order in which it depends on each other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        removed = remove_dead(but=".archive.")  # what the archive has not written yet
        if removed:
            log.info("removed shared memory of dead processes", segments=removed)
        self._clock = wall()
        now = dt.datetime.fromtimestamp(self._clock() / 1e9, dt.UTC)
        markets, cache = world.markets(), settings.folder / "calendars"
        self._calendar = world.calendar(markets, now, cache)
        self._topics = topics(settings.events_topic, settings.reference_topic)
        self.machine, kept = self._begun()
        parent = "" if kept is None else kept.header.generation
        self.recorder = record(settings, self.machine, parent=parent, clock=self._clock)
        self._day: DayState | None = None
        self._follow_the_day(self._clock())
        self.machine.tables.state[Word.STARTED_NS] = self._clock()
        self.keeping = Keeping(self.machine, QuarantineStore(settings.folder / quarantine_store.FILE))
        self.publisher, on_changed = _publisher(settings, self.machine)
        graph = build(self.machine, on_changed, self._refuse)
        self.rings = [Ring.create(f"{settings.instance}.ring{i}") for i in range(settings.workers)]
        if kept is not None:
            snapshots.go_on(self.rings, self.machine.tables.array["applied"])
        leaps = Leaps(self.machine.tables, self._topics, self.keeping.set_aside)
        self.intake = Intake(
            self.machine, graph, self.rings, self.keeping.keep, self._registered, self.keeping, leaps.sift
        )
        read = ReadAgain(self.machine.tables, settings)
        self.keeping.parking = Parking(
            self.machine,
            ParkingStore(settings.folder / parking_store.FILE),
            decode=read,
            use=self.intake.use,
            quarantine=self.keeping.set_aside,
            beside=self.keeping.beside,
            clock=self._clock,
            topics=read.topics,
        )
        if kept is not None and "keeping" in kept.parts:
            self.keeping.restore(kept.parts["keeping"][0].tobytes())
        else:
            self.keeping.begin(from_broker=settings.kafka is not None)
        self.snapshots = self._snapshots()
        closes = world.closes(markets, self._calendar, cache)
        rules = feed_rules.shipped(tuple(f.name for f in FEEDS))
        hours = trading(markets, closes, self._calendar.base_date)
        self.feed_health = FeedHealth(self.machine.tables, self.rings, rules, hours)
        archived = of_archive(settings, self._clock)
        others = Others(of_snapshots(self.snapshots, self._clock), archived, of_files(settings, self.machine.tables))
        parts = (self.machine, self.keeping, self.feed_health, read, self.intake.use)
        health = HealthDesk(settings, *parts, others=others, clock=self._clock)
        self.api = ApiService(settings, self.machine, self._clock, closes, health=health, effects=graph.effects)
        others.exceptions = lambda: self.api.master.open_count
        self._stopping = asyncio.Event()

    def _begun(self) -> tuple[Machine, Contents | None]:
        """With Kafka the machine of the newest good snapshot; the simulator's day begins anew with every start."""
        settings, markets = self.settings, world.markets()

        def make(rules: tuple[Document, ...] | None) -> Machine:
            # the desk of rules follows with what is active, before anybody can ask
            name, book = f"{settings.instance}.tables", world.rule_book(rules)
            return Machine(name, settings.capacity, book, markets, self._calendar, generation=secrets.token_hex(8))

        if settings.kafka is None or not settings.snapshot_s:
            return make(None), None
        folder = snapshots.folder_of(settings.folder)
        return snapshots.begin(make, folder, [market.code for market in markets], self._topics)

    def _snapshots(self) -> Snapshots | None:
        settings = self.settings
        if settings.kafka is None or not settings.snapshot_s:
            return None
        folder = snapshots.folder_of(settings.folder)
        return Snapshots(folder, self.machine, self._topics, self._kept_beside, settings.snapshot_s)

    def _kept_beside(self) -> dict[str, Any]:
        """What belongs to a snapshot and is not the machine's."""
        return {"keeping": np.frombuffer(self.keeping.state(), np.uint8)}

    def _refuse(self, events: Any, outcomes: Any) -> None:
        self.keeping.refused(refused(self.machine.tables, self._topics, events, outcomes))

    def _registered(self, _kind: Message, _records: Any) -> None:
        self.keeping.parking.registered()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self.machine.tick(self._clock())
        await self.api.start()
        gc.collect()
        gc.freeze()
        gc.disable()  # a full collection of its own choosing stops the writer for 30 ms, a few times a second
        parts = [self._drain(), self._tick()] + ([self.publisher.run()] if self.publisher is not None else [])
        if self.settings.kafka is not None:
            parts.append(self._upstream(self.settings.kafka))
        tasks = [asyncio.create_task(part) for part in parts]
        print("READY", flush=True)  # noqa: T201  the supervisor waits for this line
        try:
            # none of them ends by itself but the draining, when it is asked to; whatever else ends one ends the process
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if self.snapshots is not None:
                self.snapshots.finish(self._clock())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    async def _upstream(self, bootstrap: str) -> None:
        """Commands that come over Kafka, and decisions that go there."""
        from app.upstream_topics import upstream  # noqa: PLC0415  not needed without a broker

        ready, pulse = lambda: bool(self.machine.tables.state[Word.READY]), Pulse(self.rings[0])
        applied = self.machine.tables.array["applied"]
        await upstream(bootstrap, self._topics, self.api, ready, pulse, applied, self.keeping.keep)

    def _follow_the_day(self, now_ns: int) -> None:
        """Begin the business days that have begun, and close what the time of day has closed."""
        if self._day is not None and now_ns < self._day.until_ns:
            return
        machine, calendar = self.machine, self._calendar
        self._day = DayState.at(machine.markets, calendar.business_day, calendar.base_date, now_ns)
        before = machine.tables.array["today"]
        if (self._day.today < before).any():
            log.error("the clock is behind the business day: the day stays", days=before.tolist())
        today = np.maximum(self._day.today, before)
        if (today != before).any():
            log.info("a business day begins", days=today.tolist())
            machine.roll(today)
        for market, days in enumerate(self._day.lending_open.tolist()):
            for day, is_open in enumerate(days):
                machine.set_clock(market, Clock.LENDING_OPEN, day, is_open=is_open)

    async def _drain(self) -> None:
        while not self._stopping.is_set():
            used = self.intake.drain()
            copying = self.snapshots is not None and self.snapshots.turn()
            if gc.get_count()[0] > YOUNG:
                gc.collect(
                    0
                )  # in small parts: of a quarter of a second's objects it would stop the loop for milliseconds
            # a turn for requests after every batch; a rest only when there is nothing to do
            await asyncio.sleep(0 if used or copying else IDLE_S)

    async def _tick(self) -> None:
        settle_s = time.monotonic() + SETTLE_S
        while True:
            gc.collect(0)
            if time.monotonic() > settle_s:
                settle_s = time.monotonic() + SETTLE_S
                _settle_heap()
            now_ns = self._clock()
            self._follow_the_day(now_ns)
            if self.snapshots is not None:
                self.snapshots.tick(now_ns)
            self.machine.tick(now_ns)
            self.keeping.parking.tick()
            self.feed_health.tick(now_ns)
            await self.api.tick(now_ns)
            await asyncio.sleep(TICK_S)

    async def close(self) -> None:
        """Orderly: no more events, then the journal, then the memory."""
        await self.api.close()
        self.keeping.close()
        for ring in self.rings:
            ring.close()
        if self.recorder is not None:
            self.recorder.close(self.machine)
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


def prepare(settings: Settings) -> None:
    """What a spare does ahead: everything is imported, every kernel loaded, and written what is the same for every engine."""
    import app.upstream_topics  # noqa: PLC0415, F401  not needed without a broker
    from app import rehearsal  # noqa: PLC0415  a spare's only

    rehearsal.prepare(settings)
    snapshot_pack.warm()
    documents()


def main(settings: Settings) -> None:
    """Run until SIGTERM. A broken invariant or a full table ends the process with its reason on stderr."""
    keep_freed_memory()

    async def serve() -> None:
        await Engine(settings).run()

    uvloop.run(serve())
