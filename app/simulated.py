"""An engine of its own for what the simulator sends: through the real decoder, counts against what was sent."""

from collections.abc import Sequence

import numpy as np

from app import world
from engine.model import Capacity, Market
from engine.rule_model import Role
from engine.state import Calendar, Machine
from engine.symbols import Symbols
from engine.tables import Word
from feeds import arrow_events, json_events, reference
from feeds.quarantine import Origin, Reason, Unreadable, count
from feeds.simulator import Records
from feeds.simulator_faults import Expected

_CAPACITY = Capacity(securities=100_000, books=2_000, depots=1_000, sources=64, rows=1_000_000)


class Receiver:
    """Takes reference data and records as a decode worker and the writer do together; close it when done."""

    def __init__(
        self, name: str, markets: Sequence[Market], calendar: Calendar, capacity: Capacity = _CAPACITY
    ) -> None:
        self.machine = Machine(name, capacity, world.rule_book(), markets, calendar, generation=name)
        self.unreadable: list[Unreadable] = []
        self._symbols = Symbols(self.machine.tables.array["symbols"])
        self._offsets: dict[int, int] = {}

    def reference(self, records: Sequence[reference.Record]) -> None:
        """Make currencies, securities, books, depots and sources known."""
        for message, array in reference.arrays(records, self.machine.markets):
            self.machine.register(message, array)

    def records(self, parts: Sequence[Records]) -> None:
        """Decode and apply."""
        for part in parts:
            first = self._offsets.get(part.partition, 0)
            self._offsets[part.partition] = first + len(part.values)
            origin = Origin.of(part.topic, len(part.values), first=first, partition=part.partition)
            decode = json_events.decode if part.encoding == "json" else arrow_events.decode
            decoded = decode(part.values, self._symbols, origin)
            self.unreadable += decoded.unreadable
            self.machine.apply(decoded.events)

    def observed(self) -> Expected:
        """What the engine and the decoder counted."""
        unknown = [entry for entry in self.unreadable if entry.reason == Reason.UNKNOWN_SECURITY]
        other = [entry for entry in self.unreadable if entry.reason != Reason.UNKNOWN_SECURITY]
        tables = self.machine.tables
        return Expected(
            events=tables.count(Word.EVENTS),
            duplicates=tables.count(Word.DUPLICATES),
            missing=tables.count(Word.MISSING),
            unreadable=len(other),
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
