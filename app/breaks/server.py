"""The process of breaks: looks at the tables again and again, and answers for the desk, from open port to orderly stop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import structlog
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from app import feed_rules, parking_store, quarantine_store, world
from app.breaks import commands, handlers
from app.breaks.desk import BreakDesk
from app.breaks.elsewhere import Kept, Overdrawn
from app.breaks.room import Room
from app.breaks.rules import BreakRulesError, RulesFile
from app.breaks.store import BreakStore, BreakStoreError, url_of
from app.breaks.watch import Watch, ready
from app.journal_lists import JournalLists
from app.master_books import MasterBooks
from app.master_database import url_of as master_url_of
from app.parking_store import ParkingStore
from app.quarantine_store import QuarantineStore
from app.settings import Settings
from engine.segment import SegmentMissingError
from engine.tables import Reader, TornReadError
from feeds.registry import FEEDS, topics

log = structlog.get_logger()
HOST: Final = "127.0.0.1"
"""Whatever the pages listen on: only the engine of this machine asks."""
MAX_BODY_BYTES: Final = 1 << 20
LOOK_S: Final = 1.0
"""Between two looks, and at least twice as long as the last one took."""
OVERDRAWN: Final = "/api/v1/breaks/overdrawn"
"""Where the engine tells of limits that were overdrawn."""
_AGAIN_S: Final = 0.5


def application(room: Room) -> Application:
    """All routes."""
    given = {"room": room}
    routes = (*handlers.READING, *commands.COMMANDS, *handlers.OF_ONE, *handlers.INTERNAL)
    found: list[Any] = [(pattern, handler, given) for pattern, handler in routes]
    health: list[Any] = [(r"/health/live", handlers.Live), (r"/health/ready", handlers.Ready, given)]
    return Application([*found, *health], log_function=lambda _handler: None)


class Looking:
    """The task that looks. `clock`: UTC nanoseconds."""

    def __init__(self, room: Room, kept: Kept, clock: Callable[[], int]) -> None:
        self.room = room
        self._kept = kept
        self._clock = clock
        self._reader = Reader(f"{room.settings.instance}.tables")
        self._thread = ThreadPoolExecutor(1, "breaks-look")
        self._told: list[Overdrawn] | None = None
        self._rules = RulesFile(room.settings.break_rules, [market.code for market in world.markets()])

    async def run(self) -> None:
        """For as long as the process lives: what goes wrong with one look is told, and the next one is made."""
        while True:
            try:
                await self.look()
            except SegmentMissingError:
                self.room.watch, self.room.away = None, "no engine is running"
            except (TornReadError, BreakStoreError, BreakRulesError) as error:
                self.room.away = str(error)
                log.warning("breaks are looked for again", reason=str(error))
            took_s = self.room.measured.took_ms / 1_000
            await asyncio.sleep(_AGAIN_S if self.room.away else max(LOOK_S, 2 * took_s))

    async def look(self) -> None:
        """Once. Raises `SegmentMissingError`, `TornReadError`, `BreakStoreError`, `BreakRulesError`."""
        room, loop = self.room, asyncio.get_running_loop()
        tables, rules = self._reader.tables(), self._rules.current()
        if self._rules.problem != room.unruly:
            room.unruly = self._rules.problem
            if room.unruly:
                log.error("rules of breaks are not in force", reason=room.unruly)
            else:
                log.info("rules of breaks are in force again")
        if room.watch is None or room.watch.tables is not tables:
            feeds = feed_rules.shipped(tuple(feed.name for feed in FEEDS))
            room.watch = Watch(tables, rules, feeds, self._kept, lambda: self._told, room.settings.folder)
        room.watch.rules = rules
        if not ready(tables):
            room.away = "the engine has not applied yet what there was when it started"
            return
        answer = await room.engine(OVERDRAWN)
        self._told = None if answer is None else msgspec.convert(answer, list[Overdrawn])
        watch, known, now_ns = room.watch, room.desk.known, self._clock()
        seen = await loop.run_in_executor(self._thread, watch.look, known, now_ns)
        await room.desk.follow(seen)
        room.measured, room.away = watch.measured, ""
        room.tell()

    def close(self) -> None:
        """After the last look."""
        self._thread.shutdown()


@asynccontextmanager
async def serving(
    settings: Settings, *, port: int | None = None, clock: Callable[[], int] = time.time_ns
) -> AsyncIterator[Looking]:
    """Breaks on `port` (that of the settings by default); what is yielded looks when it is told to, or `run`s."""
    desk = BreakDesk(BreakStore(url_of(settings)), clock)
    lists, client = JournalLists(settings.database_url), AsyncHTTPClient(force_instance=True)
    folder = settings.folder
    kept = Kept(
        ParkingStore(folder / parking_store.FILE),
        QuarantineStore(folder / quarantine_store.FILE),
        MasterBooks(master_url_of(settings)),
    )
    room = Room(settings, desk, lists, client, topics=topics(settings.events_topic, settings.reference_topic))
    looking = Looking(room, kept, clock)
    server = HTTPServer(application(room), max_body_size=MAX_BODY_BYTES)
    server.add_sockets(bind_sockets(settings.breaks_port if port is None else port, HOST))
    try:
        yield looking
    finally:
        server.stop()
        looking.close()
        await server.close_all_connections()
        await desk.close()
        client.close()
        lists.close()
        for store in (kept.parked, kept.quarantine, kept.master):
            with suppress(OSError):
                store.close()
