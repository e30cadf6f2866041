"""A small simulated day through a machine of its own: what it needs is compiled, or loaded, before a real one begins."""

import datetime as dt
import os
import time
from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray

from app import world
from app.listings import listings
from app.settings import Settings
from app.simulated import Receiver
from engine.model import Capacity
from engine.parties import Parties
from engine.rule_model import Scope
from engine.snapshot import Snapshot
from engine.snapshot_restore import restore
from engine.state import Machine
from engine.symbols import Symbols
from engine.views import warm
from feeds import decode
from feeds.calendars import TradingDays
from feeds.simulator import Simulator
from feeds.simulator_faults import FaultRates
from feeds.universe import build

_FAULTS: Final = FaultRates(duplicates=5e-3, gaps=2e-3, unreadable=3e-3, unknown=3e-3)
_SPARE_SECURITIES: Final = 20
_SPARE_EVENTS: Final = 2_000


def prepare(settings: Settings) -> None:
    """Load what has been compiled; a second or two."""
    rehearse(settings, f"{settings.instance}.spare.{os.getpid()}", _SPARE_SECURITIES, _SPARE_EVENTS)


def nothing_else() -> None:
    """See `rehearse`."""


def rehearse(
    settings: Settings, name: str, securities: int, events: int, also: Callable[[], None] = nothing_else
) -> None:
    """Reference data, the start of a day, a stretch of it, a snapshot, and a machine that begins from that. `name`: of its
    shared memory, which is there for `also` to read."""
    markets = world.markets()
    calendar = world.calendar(markets, dt.datetime.now(dt.UTC), settings.folder / "calendars")
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    universe = build(markets, listings(), securities, settings.seed)
    simulator = Simulator(universe, days, settings.seed, 1, _FAULTS, apart=True)
    capacity = Capacity(securities=2 * securities, books=2_000, depots=200, sources=64, rows=600 * securities)
    receiver = Receiver(name, markets, calendar, capacity)
    warm()
    decode.warm(Symbols(receiver.machine.tables.array["symbols"]))
    try:
        receiver.reference(simulator.reference())
        for drafts in simulator.start_of_day(time.time_ns()):
            receiver.records(simulator.records(drafts, "events", "json"))
        receiver.machine.tick(time.time_ns())
        receiver.records(simulator.records(simulator.next(events, time.time_ns()), "events", "json"))
        receiver.asides(simulator, simulator.asides())
        receiver.machine.tick(time.time_ns())
        also()
        _limit(receiver.machine)
        again = Machine(f"{name}.again", capacity, world.rule_book(), markets, calendar, generation=name)
        try:
            _restored(receiver.machine, again)
        finally:
            again.close()
    finally:
        receiver.close()


def _limit(machine: Machine) -> None:
    """What the first sell order asks for, and nothing else of the day."""
    clients = machine.tables.array["book"]["client"]
    held_by = next(client for client in clients.tolist() if client).decode()
    Parties(machine.tables).numbers(machine.compiled, Scope.CLIENT, 1, held_by)


def _restored(machine: Machine, again: Machine) -> None:
    """The second becomes what the first is."""
    snapshot = Snapshot(machine, {})
    parts: dict[str, list[NDArray[Any]]] = {}
    while snapshot.slice():
        pass
    for name, array in snapshot.take():
        array.flags.writeable = False  # as those of a file are, for which kernels are others
        parts.setdefault(name, []).append(array)
    restore(again, parts)
