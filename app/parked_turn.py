"""Whose turn it is among records that wait, what they are about, and what of them has to wait again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.parked_record import DEAL, Concerns, Wanted, concerns, deal_of
from app.parking_store import Parked
from engine.model import SYMBOL_BYTES, DealAction, Namespace, Op
from engine.symbols import Symbols
from engine.tables import RECENT_EVENTS, Tables
from feeds.quarantine import Unreadable

Place: TypeAlias = tuple[str, int, int]
"""Topic, partition and offset."""
MAX_RECORDS: Final = 100_000
MAX_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait; what is over it goes to the quarantine, the oldest first."""

    records: int = MAX_RECORDS
    size_bytes: int = MAX_BYTES


def place_of(entry: Unreadable) -> Place:
    """Where a record came from."""
    return entry.topic, entry.partition, entry.offset


def turn_of(parked: Parked) -> tuple[int, int]:
    """Sorts records into the order in which they are used."""
    return parked.place, parked.id


def concerns_of(entry: Unreadable) -> Concerns:
    """What the decoder says it is about, or else what can be read of it."""
    found = concerns(entry)
    wants = getattr(entry, "wants", ()) or found.wants
    shares = getattr(entry, "shares", ()) or found.shares
    return Concerns(tuple(dict.fromkeys(wants)), shares, found.books, found.numbers, found.corrects)


def openings(tables: Tables, steps: NDArray[np.void]) -> Iterator[tuple[int, Wanted]]:
    """Which of these steps open which deal."""
    codes = tables.array["source"]["code"]
    for at in np.flatnonzero((steps["action"] == DealAction.OPEN) & (steps["code"] != b"")).tolist():
        source = bytes(codes[int(steps["event"]["source"][at])]).decode()
        yield at, deal_of(source, bytes(steps["code"][at]).decode())


def resets(tables: Tables, since: int, written: int) -> Iterator[tuple[str, Any]]:
    """Books that began their day anew by the recent events of these numbers, and the events."""
    recent, at = tables.array["recent"], np.arange(since, written) % RECENT_EVENTS
    for reset in recent[at[recent["op"][at] == Op.RESET_BOOK]]:
        yield bytes(tables.array["book"]["code"][int(reset["book"])]).decode(), reset


def overtaken(parked: Parked, book: str, reset: Any, topic: str) -> bool:
    """Whether the record came before a reset of its book, which came over `topic`."""
    if book not in parked.concerns.books:
        return False
    entry = parked.entry
    # the offset tells where both are of one partition; between two, only the time of their coming
    if (entry.topic, entry.partition) == (topic, int(reset["partition"])):
        return entry.offset <= int(reset["offset"])
    return parked.parked_ns < int(reset["received_ns"])


def ids_of(wants: Sequence[Wanted], symbols: Symbols) -> NDArray[np.int64]:
    """What the codes name now; 0 for nothing, for codes that are too long to be one, and for deals."""
    ids = np.zeros(len(wants), np.int64)
    spaces = np.array([namespace for namespace, _ in wants], np.int64)
    codes = np.array([_code(code) for _, code in wants], f"S{SYMBOL_BYTES}")
    for namespace in np.unique(spaces[spaces != DEAL]).tolist():
        here = spaces == namespace
        ids[here] = symbols.find(Namespace(namespace), codes[here])
    return ids


def _code(code: str) -> bytes:
    raw = code.encode(errors="replace")
    return raw if len(raw) <= SYMBOL_BYTES else b""


@dataclass(slots=True)
class Hand:
    """Records that are being read again, and in `back` what of them has to wait again."""

    of: dict[Place, Parked] = field(default_factory=dict)
    back: list[Parked] = field(default_factory=list)
    _taken: set[int] = field(default_factory=set)

    def put_back(self, entry: Unreadable, next_id: int) -> int:
        """What is left of a record is that record, in the turn that it had; more than one rest need more than one number.

        Returns the next free number. Raises `KeyError` where it is no rest of what is in the hand.
        """
        before = self.of[place_of(entry)]
        number = before.id
        if number in self._taken:
            number, next_id = next_id, next_id + 1
        self._taken.add(number)
        self.back.append(Parked(number, before.place, entry, concerns_of(entry), before.parked_ns))
        return next_id
