"""An engine that is fed through a ring, and parks what it cannot use yet."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.intake import Intake
from app.keeping import Keeping
from app.leaps import Leaps
from app.parking import Parking, Places
from app.parking_store import FILE, ParkingStore
from app.quarantine_store import QuarantineStore
from app.refused import refused
from engine.graph import build
from engine.ring import Message, Ring
from engine.state import Machine
from engine.symbols import Symbols
from engine.tables import Word
from feeds.decode import decode
from feeds.quarantine import Decoded, Origin, encode
from feeds.registry import feed_named, topics


class World:
    """A machine fed through a ring, and what it does with what it refuses."""

    def __init__(self, made: Machine, instance: str, folder: Path) -> None:
        self.machine = made
        self.clock = itertools.count(1_000)
        self.ring = Ring.create(f"{instance}.ring0")
        self.keeping = Keeping(made, QuarantineStore(folder / "quarantine.db"))
        graph = build(made, None, lambda r, o: self.keeping.refused(refused(made.tables, topics(), r, o)))
        sift = Leaps(made.tables, topics(), self.keeping.set_aside).sift
        self.intake = Intake(made, graph, [self.ring], self.keeping.keep, self.registered, self.keeping, sift)
        self.parking = self.keeping.parking = Parking(
            made,
            ParkingStore(folder / FILE),
            decode=self.decode,
            use=self.intake.use,
            quarantine=self.keeping.set_aside,
            beside=self.keeping.beside,
            clock=lambda: next(self.clock),
            topics=topics(),
        )
        self.offset = 0

    def registered(self, _kind: Message, _records: Any) -> None:
        self.parking.registered()

    def decode(self, topic: str, values: Sequence[bytes], _encoding: bytes, places: Places) -> Decoded:
        partitions, offsets = np.array(places, np.int64).reshape(-1, 2).T
        origin = Origin(topic, topics().index(topic), partitions.astype(np.uint16), offsets, next(self.clock))
        symbols = Symbols(self.machine.tables.array["symbols"])
        return decode(list(values), [()] * len(values), symbols, origin, self.machine.tables.markets)

    def arrive(self, *records: dict[str, Any], feed: str = "contracts") -> None:
        """As a worker hands them over, in one poll."""
        values = [msgspec.json.encode(record) for record in records]
        places = [(0, self.offset + i) for i in range(len(values))]
        self.offset += len(values)
        self.push(self.decode(feed_named(feed).topic, values, b"json", places))
        while self.intake.drain():
            pass

    def push(self, decoded: Decoded) -> None:
        """Into the ring, in the order of `feeds.outlet`."""
        for message, records in decoded.messages:
            self.ring.push(message, records)
        for message, records in ((Message.EVENTS, decoded.events), (Message.DEALS, decoded.steps)):
            if records.size:
                self.ring.push(message, records)
        if decoded.unreadable:
            self.ring.push(Message.QUARANTINE, np.frombuffer(encode(decoded.unreadable), np.uint8))
        if decoded.corrections.size:
            self.ring.push(Message.CORRECTIONS, decoded.corrections)

    def deal(self, number: int = 1) -> np.void:
        found: np.void = self.machine.tables.array["deal"][number]
        return found

    def count(self, word: Word) -> int:
        return self.machine.tables.count(word)

    def set_aside(self, folder: Path) -> list[str]:
        """Reasons of what is in the quarantine, when everything is written."""
        self.keeping.close()
        return [entry.reason for entry in QuarantineStore(folder / "quarantine.db").entries()]

    def close(self) -> None:
        self.keeping.close()
        self.ring.close()
