"""A gateway as it is, over tables that nobody writes but the test: all that frame and overview need, without an engine."""

import asyncio
import contextlib
import datetime as dt
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.bench.synthetic import synthetic_tables
from app.gateway.server import serving as gateway_serving
from app.market_hours import market_hours
from app.markets import markets
from app.settings import Settings
from engine.model import HEAD_FACTS, Fact, Temperature
from engine.tables import Tables, Word

CALENDARS = Path(__file__).parents[2] / ".cache" / "calendars"
SECURITIES = 600
BEAT_S = 0.05
KNOWN = {
    "name": "Quorbright Solar Inc",
    "ticker": "QBS",
    "isin": "US0378331005",
    "cusip": "037833100",
    "sedol": "2046251",
    "figi": "BBG000B9XRY4",
    "code": "SEC00000006",
}
"""Security 7, of the third market: what it is called."""


class SmallDesk:
    """Tables with a heart that beats for as long as the test wants."""

    def __init__(self, settings: Settings) -> None:
        self.tables: Tables = synthetic_tables(f"{settings.instance}.tables", SECURITIES)
        self.beating = threading.Event()
        self.beating.set()
        self.done = threading.Event()
        array = self.tables.array
        with self.tables.writing():
            array["values"][1:] = np.abs(array["values"][1:])
            array["head"][1:, HEAD_FACTS + Fact.PRICE] = 20_000_000
            array["head"][1:, HEAD_FACTS + Fact.FX] = 500_000_000
            record = array["security"]
            for name, text in KNOWN.items():
                record[name][7] = text.encode()
            record["market"][7], record["flags"][7], record["temperature"][7] = 2, 0, Temperature.HTB
            self.tables.state[Word.REFERENCE] += 1
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        while not self.done.wait(BEAT_S):
            if self.beating.is_set():
                state = self.tables.state
                state[Word.EVENTS] += 40
                state[Word.HEARTBEAT_NS] = state[Word.LAST_EVENT_NS] = time.time_ns()

    def close(self) -> None:
        self.done.set()
        self._heart.join(5)
        self.tables.close()


def with_calendars(settings: Settings) -> None:
    """Put the calendars of all markets where the page server looks for them; computed once for all runs of this checkout."""
    now = dt.datetime.now(dt.UTC)
    market_hours(markets(), now, CALENDARS)
    shutil.copytree(CALENDARS, settings.folder / "calendars", dirs_exist_ok=True)


@contextlib.contextmanager
def small_desk(settings: Settings) -> Iterator[SmallDesk]:
    """Tables alone: an engine as far as readers can tell."""
    with_calendars(settings)
    desk = SmallDesk(settings)
    try:
        yield desk
    finally:
        desk.close()


@contextlib.contextmanager
def gateway(settings: Settings) -> Iterator[None]:
    """The gateway at its port, on a thread of its own."""
    loop, stopping, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with gateway_serving(settings):
            started.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(20)
