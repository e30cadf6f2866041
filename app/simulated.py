"""An engine of its own for what the simulator sends: through the real decoder, counts against what was sent."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from app import world
from engine.model import Capacity, Market
from engine.ring import Message
from engine.rule_model import Role
from engine.state import Calendar, Machine
from engine.symbols import Symbols
from engine.tables import Word
from feeds import reference
from feeds.decode import HEADER, decode
from feeds.quarantine import Decoded, Origin, Unreadable, count
from feeds.registry import feed_named
from feeds.simulator import Records, Simulator
from feeds.simulator_asides import Aside
from feeds.simulator_faults import Expected
from feeds.simulator_routes import Route

_CAPACITY = Capacity(securities=100_000, books=2_000, depots=1_000, sources=64, rows=1_000_000)
_DOORS: Final[dict[Message, Callable[[Machine, Any], Any]]] = {
    Message.EVENTS: Machine.apply,
    Message.DEALS: Machine.step,
    Message.CORRECTIONS: Machine.correct,
}


class Receiver:
    """Takes reference data and records as a decode worker and the writer do together; close it when done."""

    def __init__(
        self, name: str, markets: Sequence[Market], calendar: Calendar, capacity: Capacity = _CAPACITY
    ) -> None:
        self.machine = Machine(name, capacity, world.rule_book(), markets, calendar, generation=name)
        self.unreadable: list[Unreadable] = []
        self.refused: list[Any] = []
        """Events, steps and corrections that the engine could not apply: record and outcome."""
        self._symbols = Symbols(self.machine.tables.array["symbols"])
        self._offsets: dict[tuple[str, int], int] = {}

    def reference(self, records: Sequence[reference.Record]) -> None:
        """Make currencies, securities, books, depots, counterparties, units and sources known."""
        for message, array in reference.arrays(records, self.machine.markets):
            self.machine.register(message, array)

    def records(self, parts: Sequence[Records]) -> None:
        """Decode and apply."""
        for part in parts:
            first = self._offsets.get((part.topic, part.partition), 0)
            self._offsets[part.topic, part.partition] = first + len(part.values)
            self._use(self._decoded(part.route, part.topic, part.encoding, part.values, part.partition, first))

    def asides(self, simulator: Simulator, asides: Sequence[Aside]) -> None:
        """Rates and reference data; what was parked for want of it is decoded again, in its order. Requests are for others."""
        for aside in asides:
            if aside.route not in (Route.FX, Route.REFERENCE):
                continue
            self._use(self._decoded(aside.route, aside.route.feed, "json", [aside.value(1)]))
            simulator.explained(aside)
            if aside.route == Route.REFERENCE:
                parked = [entry for entry in self.unreadable if entry.unknown]
                self.unreadable = [entry for entry in self.unreadable if not entry.unknown]
                for entry in parked:
                    encoding = "json" if entry.raw.startswith(b"{") else "arrow"
                    route = Route.TRADES if simulator.apart else Route.EVENTS
                    self._use(self._decoded(route, entry.topic, encoding, [entry.raw], entry.partition, entry.offset))

    def _decoded(
        self, route: Route, topic: str, encoding: str, values: list[bytes], partition: int = 0, first: int = 0
    ) -> Decoded:
        origin = Origin.of(topic, len(values), first=first, partition=partition)
        origin = replace(origin, topic_index=feed_named(route.feed).index)
        headers = [((HEADER, encoding.encode()),)] * len(values)
        return decode(values, headers, self._symbols, origin, self.machine.markets)

    def _use(self, decoded: Decoded) -> None:
        """In the order in which the writer does."""
        self.unreadable += decoded.unreadable
        kinds = (
            (Message.EVENTS, decoded.events),
            (Message.DEALS, decoded.steps),
            (Message.CORRECTIONS, decoded.corrections),
        )
        for kind, array in (*decoded.messages, *kinds):
            if not array.size:
                continue
            if kind in _DOORS:
                applied = _DOORS[kind](self.machine, array)
                self.refused += list(zip(applied.rejected, applied.outcomes.tolist(), strict=True))
            else:
                self.machine.register(kind, array)

    def observed(self) -> Expected:
        """What the engine and the decoder counted."""
        unknown = [entry for entry in self.unreadable if entry.unknown]
        other = [entry for entry in self.unreadable if not entry.unknown]
        tables = self.machine.tables
        return Expected(
            events=tables.count(Word.EVENTS),
            duplicates=tables.count(Word.DUPLICATES),
            missing=tables.count(Word.MISSING),
            unreadable=count(other),
            unknown=count(unknown),
        )

    @property
    def rejected(self) -> int:
        """Events that the engine refused; a believable day has none."""
        return self.machine.tables.count(Word.REJECTED)

    @property
    def negative(self) -> int:
        """Securities of which more is spoken for than there is."""
        tables = self.machine.tables
        left = tables.array["values"][:, tables.catalogue.playing(Role.LEFT_SHORT), :]
        return int(np.count_nonzero((left < 0).any(axis=1)))

    def close(self) -> None:
        """Give the shared memory back."""
        self._symbols = None  # type: ignore[assignment]  # views must go before their memory
        self.machine.close()
