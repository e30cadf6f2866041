"""The simulator in the worker itself: the same records through the same decoder, without a broker."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from engine.model import Market
from engine.symbols import Symbols
from feeds import reference
from feeds.calendars import TradingDays
from feeds.decode import HEADER, decode
from feeds.outlet import NUMBERS, Outlet
from feeds.quarantine import Origin
from feeds.simulator import Simulator
from feeds.wire import Drafts

log = structlog.get_logger()

TICK_S: Final = 0.02
SOURCES: Final = 3
"""Sources of a simulator of one partition: its own, that of unknown securities, the availability file's (the last)."""
_LATE_S: Final = 1.0
"""A worker that was held up longer than this makes up for so much only."""


class Pace:
    """How many events are due at `rate` events per second. Times in seconds, of any clock that never goes back."""

    def __init__(self, rate: int, now_s: float) -> None:
        self._rate = rate
        self._began_s = now_s
        self._given = 0

    def due(self, now_s: float) -> int:
        """Events since the last call; after a stall at most `_LATE_S` worth of them, the rest is let go."""
        due = int((now_s - self._began_s) * self._rate) - self._given
        most = int(self._rate * _LATE_S)
        if due > most:
            log.warning("simulator was held up, and does not make up for all of it", events=due, sent=most)
            self._began_s, self._given = now_s, 0
            return most
        self._given += due
        return due


class EmbeddedFeed:
    """`rate` events per second. The newest number of each source is kept in the ring's `progress`, by source."""

    def __init__(
        self,
        simulator: Simulator,
        markets: Sequence[Market],
        symbols: Symbols,
        outlet: Outlet,
        *,
        topic: str,
        rate: int,
        encoding: str = "json",
        days: Callable[[int], TradingDays | None] | None = None,
    ) -> None:
        """`days`, asked with the time in nanoseconds, tells the trading days when they are others than before."""
        self._simulator = simulator
        self._markets = markets
        self._symbols = symbols
        self._outlet = outlet
        self._topic = topic
        self._rate = rate
        self._encoding = encoding
        self._days = days
        self._offset = 0

    async def run(self) -> None:
        """Reference data, the start of day, then the day, for ever."""
        await self._outlet.reference(reference.arrays(self._simulator.reference(), self._markets))
        for drafts in self._simulator.start_of_day(time.time_ns()):
            await self._send(drafts)
        self._outlet.ring.ready = True
        log.info("simulated start of day sent", events=self._offset, rate=self._rate)
        pace = Pace(self._rate, time.monotonic())
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._outlet.ring.alive_ns = time.time_ns()
            if self._days is not None and (turned := self._days(now_ns)) is not None:
                self._simulator.turn(turned)
            due = pace.due(time.monotonic())
            if due:
                await self._send(self._simulator.next(due, time.time_ns()))

    async def _send(self, drafts: Drafts) -> None:
        for part in self._simulator.records(drafts, self._topic, self._encoding):
            count = len(part.values)
            origin = Origin.of(self._topic, count, first=self._offset, received_ns=time.time_ns())
            headers = [((HEADER, part.encoding.encode()),)] * count
            await self._outlet.decoded(decode(part.values, headers, self._symbols, origin))
            self._offset += count
        for source in range(len(self._simulator.sources)):
            mine = drafts["seq"][drafts["source"] == source]
            if mine.size:
                self._outlet.ring.progress[NUMBERS, source] = mine.max()
