"""An engine's side of the rings in the test's own process: what feeds hand over is applied here, and counted."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from app import world
from app.intake import Intake
from app.listings import listings
from engine.graph import build
from engine.model import Capacity
from engine.ring import Ring
from engine.state import Machine
from engine.symbols import Symbols
from engine.tables import Word
from feeds.calendars import TradingDays
from feeds.outlet import Outlet
from feeds.quarantine import Unreadable
from feeds.simulator import Simulator
from feeds.simulator_faults import Expected, FaultRates
from feeds.universe import build as build_universe

CAPACITY = Capacity(securities=20_000, books=2_000, depots=100, sources=64, rows=100_000)
FAULTS = FaultRates(duplicates=5e-3, gaps=2e-3, unreadable=3e-3, unknown=3e-3)


class Desk:
    """A machine and the rings of `workers`; `async with` drains them all the while. `folder`: the test's own."""

    def __init__(self, name: str, folder: Path, workers: int = 1) -> None:
        now = dt.datetime.now(dt.UTC)
        self.markets = world.markets()
        self._calendar = world.calendar(self.markets, now, folder.parent / "calendars")
        rules = world.rule_book()
        self.machine = Machine(f"{name}.tables", CAPACITY, rules, self.markets, self._calendar, generation=name)
        self.rings = [Ring.create(f"{name}.ring{number}", 8 << 20) for number in range(workers)]
        self.outlets = [Outlet(ring) for ring in self.rings]
        self.symbols = Symbols(self.machine.tables.array["symbols"])
        self.unreadable: list[Unreadable] = []
        self.rejected: list[Any] = []
        graph = build(self.machine, None, lambda events, outcomes: self.rejected.append((events, outcomes)))
        self._intake = Intake(self.machine, graph, self.rings, self.unreadable.extend)
        self._task: asyncio.Task[None] | None = None

    def simulator(
        self, partitions: int, newest: Sequence[int] = (), securities: int = 300, *, apart: bool = False
    ) -> Simulator:
        """A day with many faults. `newest`: the numbers that its sources have used before."""
        days = TradingDays.of(self._calendar.business_day, self._calendar.base_date, self._calendar.today)
        universe = build_universe(self.markets, listings(), securities, 1)
        return Simulator(universe, days, 1, partitions, FAULTS, newest=newest, apart=apart)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._drain())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for ring in self.rings:
            ring.close()
        self.machine.close()

    async def _drain(self) -> None:
        while True:  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(0 if self._intake.drain() else 0.002)

    def count(self, word: Word) -> int:
        return self.machine.tables.count(word)

    def observed(self) -> Expected:
        """What was counted, as the simulator counts what it sent; a record that was read twice counts once."""
        kept = {(entry.topic, entry.partition, entry.offset, entry.reason): entry for entry in self.unreadable}
        unknown = sum(entry.events for entry in kept.values() if entry.unknown)
        return Expected(
            events=self.count(Word.EVENTS),
            duplicates=self.count(Word.DUPLICATES),
            missing=self.count(Word.MISSING),
            unreadable=sum(entry.events for entry in kept.values()) - unknown,
            unknown=unknown,
        )

    def applied(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Contractual quantity of every row, by key: the state that must be the same however it came about."""
        rows = self.machine.tables.array["position"][: self.count(Word.ROWS)]
        order = np.argsort(rows["key"])
        return np.stack([rows["key"][order].astype(np.int64), rows["td"][order], rows["sd"][order]])


async def until(done: Callable[[], bool], what: str, patience_s: float = 180.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        await asyncio.sleep(0.01)
