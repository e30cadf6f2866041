"""A decode worker: from its share of the partitions, or from the embedded simulator, into its ring."""

import asyncio
import contextlib
import datetime as dt
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog
import uvloop
from numpy.typing import NDArray

from app import compiled, world
from app.business_days import Turning
from app.memory import keep_freed_memory
from app.settings import Settings
from engine.ring import PARTITIONS, Message, Ring
from engine.segment import SegmentMissingError
from engine.symbols import WORDS, Symbols
from engine.tables import Tables
from feeds.availability_feed import AvailabilityFeed
from feeds.decode import decode, warm
from feeds.files_feed import FilesFeed, FilesView
from feeds.files_log import FileLog
from feeds.kafka_client import first_to_end
from feeds.outlet import NUMBERS, Outlet
from feeds.quarantine import Decoded, Origin
from feeds.registry import FEEDS, REFERENCE, Reader, topics

if TYPE_CHECKING:
    from app.master_keeper import Keeper
    from feeds.availability import Snapshot
    from feeds.calendars import TradingDays
    from feeds.universe import Universe

log = structlog.get_logger()

_LOOK_S: Final = 0.02
_NOTHING_TO_DO_NS: Final = 2**62
"""A feed without a source is never late."""
_ALIVE_S: Final = 0.5
_TIDY_S: Final = 30.0
_AVAILABILITY: Final = PARTITIONS - 1
"""Where in the ring's `progress` the numbering of the availability file goes on, beside the sources of the simulator."""


class EngineGoneError(RuntimeError):
    """The engine that owned the memory has ended, or another one has taken its place."""


class Ahead:
    """What a worker that reads Kafka needs no engine for: it is made while a new engine restores its memory."""

    def __init__(self, settings: Settings, number: int) -> None:
        from feeds.kafka_client import Broker  # noqa: PLC0415  not needed without a broker

        assert settings.kafka is not None, "chosen by this setting"
        self.shared, self.first = Broker(settings.kafka), Broker(settings.kafka)
        """Of the topics that workers share, and of those that only the first one reads."""
        self.master: asyncio.Task[tuple[Keeper, list[tuple[Message, NDArray[Any]]]]] | None = None
        named = topics(settings.events_topic, settings.reference_topic)
        self.shared.ahead([named[feed.index] for feed in FEEDS if feed.reader == Reader.WORKERS])
        if number == 0:
            from app.master_keeper import opened  # noqa: PLC0415  the first worker's only

            self.first.ahead([named[feed.index] for feed in FEEDS if feed.reader == Reader.FIRST])
            self.master = asyncio.create_task(asyncio.to_thread(opened, settings, world.markets()))

    async def close(self) -> None:
        """What was not used."""
        await self.shared.close()
        await self.first.close()
        if self.master is not None:
            await asyncio.gather(self.master, return_exceptions=True)


class Worker:
    """What a worker has in its hands: the engine's tables to look codes up, and the rings."""

    def __init__(self, settings: Settings, number: int, tables: Tables, rings: list[Ring], ahead: Ahead | None) -> None:
        self.settings = settings
        self.number = number
        self.tables = tables
        self.rings = rings
        self.ahead = ahead
        self.outlet = Outlet(rings[number])
        self.symbols = Symbols(tables.array["symbols"])
        self.topics = topics(settings.events_topic, settings.reference_topic)

    @classmethod
    async def attach(cls, settings: Settings, number: int, ahead: Ahead | None = None) -> "Worker":
        """Waits until the engine has made its memory."""
        while True:
            with contextlib.suppress(SegmentMissingError):
                tables = Tables.attach(f"{settings.instance}.tables")
                rings = [Ring.attach(f"{settings.instance}.ring{i}") for i in range(settings.workers)]
                if tables.segment.owner_alive and rings[number].segment.owner_alive:
                    return cls(settings, number, tables, rings, ahead)
                tables.close()
            await asyncio.sleep(_LOOK_S)

    async def run(self) -> None:
        """Feed the ring until it is cancelled. Raises `EngineGoneError` when the engine went."""
        feed = self._from_simulator() if self.ahead is None else self._from_kafka(self.ahead)
        await first_to_end(feed, self._follow_engine())

    async def _from_kafka(self, ahead: Ahead) -> None:
        from feeds.kafka import WorkerFeed  # noqa: PLC0415  not needed without a broker
        from feeds.kafka_reference import ReferenceFeed, ReferenceView  # noqa: PLC0415

        topics, markets = self.topics, self.tables.markets
        known = ReferenceView(topics[REFERENCE], self.rings[0])
        share = (self.number, self.settings.workers)
        shared = WorkerFeed(ahead.shared, topics, share, self.symbols, self.outlet, known, markets)
        log_of_files = FileLog(self.settings.folder / "files" / "log")
        if ahead.master is None:
            await FilesView(log_of_files, self.rings[0]).caught_up()
            await shared.run()
            return
        keeper, everything = await ahead.master
        await self.outlet.reference(everything)
        files = self._files(log_of_files, keeper)
        await files.catch_up()
        feeds = [
            shared.run(),
            ReferenceFeed(
                ahead.first, topics, markets, self.symbols, self.outlet, keeper, self.tables.array["applied"]
            ).run(),
            keeper.follow(self.outlet),
            files.run(),
        ]
        if (published := self._availability(_AVAILABILITY)) is not None:
            if await published.look():
                await published.send(None)
            feeds.append(published.run())
        await first_to_end(*feeds)

    def _files(self, files: FileLog, master: "Keeper | None") -> FilesFeed:
        """Records that came in files, decoded as if they had come by their topics."""

        def decoded(_: int, values: Sequence[bytes], origin: Origin) -> Decoded:
            return decode(values, [()] * len(values), self.symbols, origin, self.tables.markets, master)

        return FilesFeed(files, self.topics, decoded, self.outlet)

    async def _from_simulator(self) -> None:
        if self.number != 0:  # one simulator is enough, whatever the number of workers
            self.outlet.ring.ready = True
            self.outlet.ring.alive_ns = _NOTHING_TO_DO_NS
            await asyncio.Event().wait()
        if not compiled.are_kept():
            await _compile()
        from app.master_database import url_of  # noqa: PLC0415  the first worker's only
        from app.master_keeper import Keeper  # noqa: PLC0415
        from app.master_store import MasterStore  # noqa: PLC0415
        from feeds.embedded import SOURCES, EmbeddedFeed  # noqa: PLC0415  not needed with a broker
        from feeds.simulator import Simulator  # noqa: PLC0415

        settings, markets = self.settings, self.tables.markets
        published = self._availability(SOURCES - 1)
        if published is not None:
            await published.look()
        snapshot = published.snapshot if published is not None else None
        universe, days = _invent(settings, snapshot) if snapshot is not None else _invented(settings)
        sent = self.outlet.ring.progress[NUMBERS, : SOURCES if snapshot is not None else SOURCES - 1].tolist()
        simulator = Simulator(universe, days, settings.seed, newest=sent, apart=True)
        keeper = await asyncio.to_thread(
            lambda: Keeper(MasterStore(url_of(settings)), markets, simulated=universe.securities)
        )
        calendar = world.calendar(markets, dt.datetime.now(dt.UTC), settings.folder / "calendars")
        feed = EmbeddedFeed(
            simulator,
            markets,
            self.symbols,
            self.outlet,
            topic=settings.events_topic,
            rate=settings.rate,
            days=Turning(markets, calendar.business_day, calendar.base_date, days.ahead[:, 0]),
            master=keeper,
        ).run()
        files = self._files(FileLog(settings.folder / "files" / "log"), keeper)
        others = [keeper.follow(self.outlet), files.run()]
        if published is not None:
            others.append(published.run())
        await first_to_end(feed, *others)

    def _availability(self, slot: int) -> AvailabilityFeed | None:
        if self.settings.availability is None:
            return None
        return AvailabilityFeed(Path(self.settings.availability), self.tables.markets, self.symbols, self.outlet, slot)

    async def _follow_engine(self) -> None:
        """The supervisor starts the workers of a restarted engine anew; one that was left behind ends by itself."""
        while not (  # noqa: ASYNC110  shared memory has no event
            self.outlet.ring.segment.stale or self.tables.segment.stale
        ):
            await asyncio.sleep(_ALIVE_S)
        raise EngineGoneError("the engine's memory is gone: a new engine needs a new worker")


async def _compile() -> None:
    """See `app.processes.compilation`. Where it fails, kernels are compiled when they are needed."""
    command = sys.executable, "-m", "app.child", "compilation"
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    try:
        if code := await process.wait():
            log.warning("kernels could not be compiled before the day", code=code)
    finally:
        if process.returncode is None:
            process.kill()


def _invent(settings: Settings, snapshot: "Snapshot | None") -> "tuple[Universe, TradingDays]":
    """The simulated world: its securities, and when they are traded."""
    from app.listings import listings  # noqa: PLC0415  not needed with a broker
    from feeds.calendars import TradingDays  # noqa: PLC0415
    from feeds.currencies import in_units_of  # noqa: PLC0415
    from feeds.universe import build  # noqa: PLC0415

    markets = world.markets()
    calendar = world.calendar(markets, dt.datetime.now(dt.UTC), settings.folder / "calendars")
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    universe = build(markets, listings(), settings.securities, settings.seed, snapshot, int(calendar.today[0]))
    return replace(universe, currencies=in_units_of(universe.currencies, settings.reporting_currency)), days


@cache
def _invented(settings: Settings) -> "tuple[Universe, TradingDays]":
    """The world without a published file: made while the engine starts, used when it is there."""
    return _invent(settings, None)


async def _tidy() -> None:
    """What errors and connections leave behind is collected now and then, between polls."""
    while True:
        await asyncio.sleep(_TIDY_S)
        gc.collect()


async def serve(settings: Settings, number: int) -> None:
    """Until SIGTERM."""
    task = asyncio.current_task()
    assert task is not None, "serve is a task"
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        if settings.kafka is None and settings.availability is None and number == 0:
            _invented(settings)
        async with contextlib.AsyncExitStack() as stack:
            ahead = Ahead(settings, number) if settings.kafka is not None else None
            if ahead is not None:
                stack.push_async_callback(ahead.close)
            worker = await Worker.attach(settings, number, ahead)
            warm(worker.symbols)
            gc.collect()
            gc.freeze()
            gc.disable()  # a poll makes a hundred thousand objects and no cycle: looking for one takes 40% of the time
            print("READY", flush=True)  # noqa: T201  the supervisor waits for this line
            await first_to_end(worker.run(), _tidy())
    log.info("worker stopped", worker=number)


def prepare(settings: Settings) -> None:
    """What a spare does ahead: everything is imported, and every kernel loaded."""
    import app.master_keeper  # noqa: PLC0415, F401
    import feeds.kafka  # noqa: PLC0415, F401
    from app.rehearsal import prepare as rehearse  # noqa: PLC0415  a spare's only

    rehearse(settings)
    symbols = np.zeros((2, WORDS), np.uint64)
    symbols.flags.writeable = False  # as the engine's are for a worker, for which kernels are others
    warm(Symbols(symbols))


def main(settings: Settings) -> None:
    """Run until SIGTERM; whatever else ends it is for the supervisor to start again."""
    # the client repeats itself ten times a second while its broker is away; feeds.kafka says it once
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    keep_freed_memory()
    uvloop.run(serve(settings, int(os.environ.get("IMS_WORKER", "0"))))
