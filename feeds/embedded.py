"""The simulator in the worker itself: the same records through the same decoder, without a broker."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from engine.model import Market
from engine.symbols import Symbols
from feeds import reference
from feeds.calendars import TradingDays
from feeds.decode import HEADER, decode
from feeds.kafka_client import first_to_end
from feeds.master_door import Door, Taken
from feeds.outlet import NUMBERS, Outlet
from feeds.pulse import Pulse
from feeds.quarantine import Origin
from feeds.registry import feed_named, topics
from feeds.simulator import Simulator
from feeds.simulator_asides import Aside, baskets, vendors
from feeds.simulator_routes import APART, Route
from feeds.wire import Drafts

log = structlog.get_logger()

TICK_S: Final = 0.02
SOURCES: Final = len(APART) + 2
"""Sources of a simulator of one partition: one for each feed, that of unknown codes, the availability file's (the last)."""
_MASTERED: Final = (Route.REFERENCE, Route.CORPORATE_ACTIONS)
_LATE_S: Final = 1.0
"""A worker that was held up longer than this makes up for so much only."""
_PORTION: Final = 256
"""Records that the security master is told at a time: some 50 ms of its work, during which the day runs half as fast."""


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
        master: Door | None = None,
    ) -> None:
        """`days`, asked with the time in nanoseconds, tells the trading days when they are others than before.

        `topic` is that of events; the others' names follow from it.
        """
        self._simulator = simulator
        self._markets = markets
        self._symbols = symbols
        self._outlet = outlet
        self._rate = rate
        self._encoding = encoding
        self._days = days
        self._master = master
        self._pulse = Pulse(outlet.ring)
        named = topics(topic)
        self._feed = {route: feed_named(route.feed).index for route in Route}
        self._topics = [named[self._feed[route]] for route in Route]
        self._followed = [self._feed[route] for route in (*simulator.spread.routes, Route.REFERENCE)]
        if simulator.apart:
            self._followed.append(self._feed[Route.FX])
        self._offsets: dict[tuple[Route, int], int] = {}
        self._for_master: asyncio.Queue[Aside] = asyncio.Queue()

    async def run(self) -> None:
        """Reference data, the start of day, then the day, for ever."""
        for feed in self._followed:
            self._pulse.follows(feed, 1)
        await self._outlet.reference(reference.arrays(self._simulator.reference(), self._markets))
        for drafts in self._simulator.start_of_day(time.time_ns()):
            await self._send(drafts)
        self._outlet.ring.ready = True
        log.info("simulated start of day sent", events=sum(self._offsets.values()), rate=self._rate)
        if self._master is None:
            await self._play()
        else:
            await first_to_end(self._play(), self._keep_told(self._master))

    async def _play(self) -> None:
        """The day, which waits for nobody but the engine."""
        pace = Pace(self._rate, time.monotonic())
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._outlet.ring.alive_ns = time.time_ns()
            for feed in self._followed:
                self._pulse.at(feed, 0, now_ns)
            if self._days is not None and (turned := self._days(now_ns)) is not None:
                self._simulator.turn(turned)
            due = pace.due(time.monotonic())
            if due:
                await self._send(self._simulator.next(due, time.time_ns()))
                for aside in self._simulator.asides():
                    await self._happen(aside)

    async def _keep_told(self, master: Door) -> None:
        """The security master learns what is known already and what others say of it; then, in order, what happens."""
        universe = self._simulator.universe
        known = [*self._simulator.reference(), *baskets(universe), *vendors(universe)]
        taken = [Taken(record) for record in known if isinstance(record, reference.MASTERED)]
        for first in range(0, len(taken), _PORTION):
            began_s = time.monotonic()
            answer = await asyncio.to_thread(master.take, taken[first : first + _PORTION])
            await self._outlet.reference(answer.messages)
            await asyncio.sleep(time.monotonic() - began_s)  # the day needs the interpreter, too
        log.info("the security master knows the simulated day", records=len(taken))
        while True:
            await self._aside(await self._for_master.get())

    async def _send(self, drafts: Drafts) -> None:
        for part in self._simulator.records(drafts, self._topics, self._encoding):
            await self._hand_over(part.route, part.encoding, part.values)
        for source in range(len(self._simulator.sources)):
            mine = drafts["seq"][drafts["source"] == source]
            if mine.size:
                self._outlet.ring.progress[NUMBERS, source] = mine.max()

    async def _happen(self, aside: Aside) -> None:
        """Requests need a desk, and announcements the security master, which is not waited for."""
        if aside.route == Route.LOCATES:
            return
        if aside.route not in _MASTERED:
            await self._aside(aside)
        elif self._master is not None:
            self._for_master.put_nowait(aside)
        elif aside.route != Route.CORPORATE_ACTIONS:
            await self._aside(aside)

    async def _aside(self, aside: Aside) -> None:
        await self._hand_over(aside.route, "json", [aside.value(time.time_ns())])
        self._simulator.explained(aside)

    async def _hand_over(self, route: Route, encoding: str, values: list[bytes]) -> None:
        """Decode as a worker does, and push."""
        now_ns, count = time.time_ns(), len(values)
        first = self._offsets.get((route, 0), 0)
        self._offsets[route, 0] = first + count
        origin = Origin.of(self._topics[route], count, first=first, received_ns=now_ns)
        origin = replace(origin, topic_index=self._feed[route])
        headers = [((HEADER, encoding.encode()),)] * count
        arguments = values, headers, self._symbols, origin, self._markets, self._master
        if self._master is not None and route in _MASTERED:
            decoded = await asyncio.to_thread(decode, *arguments)
        else:
            decoded = decode(*arguments)
        if route == Route.REFERENCE:
            await self._outlet.reference(decoded.messages, decoded.unreadable)
        else:
            await self._outlet.decoded(decoded)
        self._pulse.handed_over(self._feed[route], count, decoded, now_ns, now_ns)
