"""Topics filled for the bench: reference data, a start of day and a day of every feed, spread over partitions."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from app import world
from app.listings import listings
from feeds.calendars import TradingDays
from feeds.registry import feed_named, topics
from feeds.simulator import Simulator
from feeds.simulator_kafka import Producer
from feeds.simulator_play import Action
from feeds.simulator_routes import Route, Spread
from feeds.universe import build
from feeds.wire import Drafts

PARTITIONS: Final = 4
_SECURITIES: Final = 12_000
_BLOCK: Final = 65_536
_DISTINCT: Final = 2_000_000
"""Events that are made; where more are wanted, of feeds of events, they come again under new numbers, so each is applied."""
MIXED: Final = {
    Action.PRICE: 0.5,
    Action.TRADE: 0.145,
    Action.BORROW: 0.06,
    Action.LOAN: 0.035,
    Action.PLEDGE: 0.01,
    Action.SWAP_PLEDGE: 0.01,
    Action.EXTERNAL: 0.065,
    Action.SETTLE: 0.045,
    Action.CANCEL: 0.01,
    Action.HOLD: 0.03,
    Action.ORDER: 0.045,
    Action.SWAP: 0.015,
    Action.RATE: 0.01,
    Action.ENTITLE: 0.01,
    Action.STATEMENT: 0.01,
}
"""What comes of it: half prices, 17% trades, the rest spread over the others."""
AS_EVENTS: Final = {
    Action.PRICE: 0.5,
    Action.TRADE: 0.13,
    Action.EXTERNAL: 0.24,
    Action.STATEMENT: 0.13,
}
"""The same of feeds whose records are events, which alone have Arrow batches."""


@dataclass(frozen=True, slots=True)
class Load:
    """Filled topics: what must have been applied when they have been read."""

    encoding: str
    events_topic: str
    reference_topic: str
    events: int
    bytes_per_event: float
    parts: dict[str, float]
    """Of all records, the start of day among them, percent by feed."""


async def load(bootstrap: str, name: str, encoding: str, events: int, batch: int, data: Path) -> Load:
    """Fill the topics `name.*`; `batch`: events of an Arrow record. None of the records is a fault.

    Rates, announcements and changes of reference data go with it; requests for locates have a bench of their own.
    """
    markets = world.markets()
    calendar = world.calendar(markets, dt.datetime.now(dt.UTC), data / "calendars")
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    mix = MIXED if encoding == "json" else AS_EVENTS
    universe = build(markets, listings(), _SECURITIES, 1, today=int(calendar.today[0]))
    simulator = Simulator(universe, days, 1, PARTITIONS, apart=True, mix=mix)
    events_topic, reference_topic = f"{name}.events", f"{name}.reference"
    named = topics(events_topic, reference_topic)
    of_route = [named[feed_named(route.feed).index] for route in Route]
    sent, size = Counter[Route](), 0
    async with Producer(bootstrap) as producer:
        counts = Spread.of(PARTITIONS, apart=True).partitions
        await producer.make_each(dict(zip(of_route[1:], counts[1:], strict=True)), reference_topic)
        await producer.send_reference(reference_topic, simulator.reference(), _now_ms())
        for number, drafts in enumerate(_drafts(simulator, events, again=encoding == "arrow")):
            for records in simulator.records(drafts, of_route, encoding, batch):
                await producer.send(records, _now_ms())
                sent[records.route] += records.events
                size += sum(map(len, records.values))
            asides = [aside for aside in simulator.asides() if aside.route != Route.LOCATES]
            await producer.send_asides(of_route, asides, counts, time.time_ns())
            if number % _FLUSHED == 0:
                await producer.flush()
    total = sent.total()
    parts = {route.feed: round(100 * count / total, 1) for route, count in sent.most_common()}
    return Load(encoding, events_topic, reference_topic, total, round(size / total, 1), parts)


_FLUSHED: Final = 8


def _drafts(simulator: Simulator, events: int, *, again: bool) -> Iterator[Drafts]:
    """The start of day, then exactly `events` events; `again`: of many, the first ones over and over."""
    yield from simulator.start_of_day(time.time_ns())
    if not again or events <= _DISTINCT:
        for first in range(0, events, _BLOCK):
            yield simulator.next(min(_BLOCK, events - first), time.time_ns())
        return
    made: list[Drafts] = []
    for first in range(0, _DISTINCT, _BLOCK):
        made.append(simulator.next(min(_BLOCK, _DISTINCT - first), time.time_ns()))
        yield made[-1]
    left = events - sum(drafts.size for drafts in made)
    step = numbers_of(made)
    while left > 0:
        for drafts in made:
            drafts["seq"] += step[drafts["source"]]
            drafts["time_ns"] = time.time_ns()
            yield drafts[:left]
            left -= min(left, drafts.size)
            if left <= 0:
                return


def numbers_of(made: list[Drafts]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many numbers each source has used for these events."""
    counts = np.zeros(2**16, np.int64)
    for drafts in made:
        counts += np.bincount(drafts["source"], minlength=counts.size)
    return counts


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
