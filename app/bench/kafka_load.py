"""Topics filled for the bench: reference data, a start of day and a day's events, spread over partitions by security."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from app import world
from app.listings import listings
from feeds.calendars import TradingDays
from feeds.simulator import Simulator
from feeds.simulator_kafka import Producer
from feeds.universe import build
from feeds.wire import Drafts

PARTITIONS: Final = 4
_SECURITIES: Final = 12_000
_BLOCK: Final = 65_536
_DISTINCT: Final = 2_000_000
"""Events that are made; where more are wanted they come again under new numbers, so each is applied."""


@dataclass(frozen=True, slots=True)
class Load:
    """A filled pair of topics: what must have been applied when it has been read."""

    encoding: str
    events_topic: str
    reference_topic: str
    events: int
    bytes_per_event: float


async def load(bootstrap: str, name: str, encoding: str, events: int, batch: int, data: Path) -> Load:
    """Fill `name.events` and `name.reference`; `batch`: events of an Arrow record. None of the events is a fault."""
    markets = world.markets()
    calendar = world.calendar(markets, dt.datetime.now(dt.UTC), data / "calendars")
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    simulator = Simulator(build(markets, listings(), _SECURITIES, 1), days, 1, PARTITIONS, prefix=name)
    topics = f"{name}.events", f"{name}.reference"
    sent, size = 0, 0
    async with Producer(bootstrap) as producer:
        await producer.make_topics(*topics, PARTITIONS)
        await producer.send_reference(topics[1], simulator.reference(), _now_ms())
        for drafts in _drafts(simulator, events):
            for records in simulator.records(drafts, topics[0], encoding, batch):
                await producer.send(records, _now_ms())
                sent += records.events
                size += sum(map(len, records.values))
    return Load(encoding, *topics, sent, round(size / sent, 1))


def _drafts(simulator: Simulator, events: int) -> Iterator[Drafts]:
    """The start of day, then exactly `events` events."""
    yield from simulator.start_of_day(time.time_ns())
    made: list[Drafts] = []
    for first in range(0, min(events, _DISTINCT), _BLOCK):
        made.append(simulator.next(min(_BLOCK, events - first, _DISTINCT - first), time.time_ns()))
        yield made[-1]
    left = events - sum(drafts.size for drafts in made)
    step = _numbers(made)
    while left > 0:
        for drafts in made:
            drafts["seq"] += step[drafts["source"]]
            drafts["time_ns"] = time.time_ns()
            yield drafts[:left]
            left -= min(left, drafts.size)
            if left <= 0:
                return


def _numbers(made: list[Drafts]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many numbers each source has used for these events."""
    counts = np.zeros(2**16, np.int64)
    for drafts in made:
        counts += np.bincount(drafts["source"], minlength=counts.size)
    return counts


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
