"""The first start of a version: what a simulated day needs is compiled before the day begins, not in the middle of it.

Kernels are kept (`app.compiled`), so only the first start of a version pays for it. This process, which worker 0 starts and
waits for, compiles for all: the engine, which answers all the while, and the worker load what they find.
"""

import datetime as dt
import time
from typing import Final

import structlog

from app import world
from app.compiled import marker
from app.listings import listings
from app.settings import Settings
from app.simulated import Receiver
from engine.model import Capacity
from feeds.calendars import TradingDays
from feeds.simulator import Simulator
from feeds.simulator_faults import FaultRates
from feeds.universe import build

log = structlog.get_logger()
_CAPACITY: Final = Capacity(securities=2_000, books=2_000, depots=200, sources=64, rows=60_000)
_SECURITIES: Final = 100
_EVENTS: Final = 20_000
"""Enough for everything that happens in a day to have happened."""
_FAULTS: Final = FaultRates(duplicates=5e-3, gaps=2e-3, unreadable=3e-3, unknown=3e-3)


def main(settings: Settings) -> None:
    """Play a small day through a machine of its own; takes a minute."""
    log.info("the first start of this version: kernels are compiled, which takes a minute, once")
    began_s = time.monotonic()
    _play(settings)
    if (mark := marker()) is not None:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    log.info("kernels are compiled", seconds=round(time.monotonic() - began_s))


def _play(settings: Settings) -> None:
    markets = world.markets()
    calendar = world.calendar(markets, dt.datetime.now(dt.UTC), settings.folder / "calendars")
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    universe = build(markets, listings(), _SECURITIES, settings.seed)
    simulator = Simulator(universe, days, settings.seed, 1, _FAULTS, apart=True)
    receiver = Receiver(f"{settings.instance}.compilation", markets, calendar, _CAPACITY)
    try:
        receiver.reference(simulator.reference())
        for drafts in simulator.start_of_day(time.time_ns()):
            receiver.records(simulator.records(drafts, "events", "json"))
        receiver.machine.tick(time.time_ns())
        receiver.records(simulator.records(simulator.next(_EVENTS, time.time_ns()), "events", "json"))
        receiver.asides(simulator, simulator.asides())
        receiver.machine.tick(time.time_ns())
    finally:
        receiver.close()
