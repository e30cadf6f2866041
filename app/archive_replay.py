"""What the machine was told, told again: to a machine of its own, in the same order, as fast as wanted."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app import world
from app.archive_names import NothingError
from app.archive_reader import Past
from engine.model import Capacity, Clock, Decided, Market
from engine.ring import Message
from engine.rule_model import Document
from engine.state import Calendar, Machine
from feeds import archive_records
from feeds.archive_records import Told

_NOT_AGAIN: Final = frozenset(
    {
        Message.EVENTS,
        Message.EFFECTS,
        Message.QUARANTINE,
        Message.PROGRESS,
        Message.RULES,
        Message.BEGIN,
        Message.GAP,
    }
)
_KINDS: Final = {
    "events": Message.EVENTS,
    "prices": Message.EVENTS,
    **{kind.name.lower(): kind for kind in Message if kind not in _NOT_AGAIN},
}
"""Kinds of files, and the messages in them. What corrections and deals did follows from them."""
_NONE: Final = np.empty(0, np.uint8)
_WINDOW: Final = 200
"""Places that are read at a time."""


class Step(NamedTuple):
    """One message: its records, or for rules the text of their documents."""

    place: int
    at_ns: int
    kind: Message
    records: NDArray[Any]
    text: str
    outcome: NDArray[np.uint8]
    """What became of events; else empty."""


def steps(past: Past) -> Iterator[Step]:
    """Every message of a past, in order. Raises `DamagedError`."""
    for first, last in _windows(past):
        found: list[Step] = []
        by_kind: dict[Message, list[Told]] = {}
        for name, kind in _KINDS.items():
            tables = past.within(name, first, last)
            by_kind.setdefault(kind, []).extend(archive_records.told(kind, table) for table in tables)
        for kind, told in by_kind.items():
            found += _split(kind, archive_records.joined(told, kind).ordered())
        for table in past.within("rules", first, last):
            texts = archive_records.texts(table)
            found += [Step(place, at_ns, Message.RULES, _NONE, text, _NONE) for place, at_ns, text in texts]
        yield from sorted(found, key=lambda step: step.place)


def _split(kind: Message, told: Told) -> Iterator[Step]:
    """Records by message."""
    ends = np.flatnonzero(np.diff(told.place, append=-1)) + 1
    begin = 0
    for end in ends.tolist():
        yield Step(
            int(told.place[begin]), int(told.at_ns[begin]), kind, told.records[begin:end], "", told.outcome[begin:end]
        )
        begin = end


def _windows(past: Past) -> Iterator[tuple[int, int]]:
    for part in past.parts:
        last = min(part.last, part.generation.written)
        for first in range(part.first, last + 1, _WINDOW):
            yield first, min(first + _WINDOW - 1, last)


def machine_of(past: Past, name: str) -> Machine:
    """The machine as its first engine made it, empty. Raises `NothingError` where the archive begins later than that."""
    if past.parts[0].first != 1 or past.forgotten():
        raise NothingError("the archive does not reach back to where the engine began")
    begin = past.parts[0].generation.begin
    calendar = Calendar(begin.base_date, np.array(begin.business_day, np.int32), np.array(begin.today, np.int32))
    documents = tuple(msgspec.convert(begin.documents, list[Document]))
    markets = tuple(msgspec.convert(begin.markets, list[Market]))
    capacity = msgspec.convert(begin.capacity, Capacity)
    machine = Machine(name, capacity, world.rule_book(documents), markets, calendar, begin.generation)
    for market, of in enumerate(begin.clock):
        for what, days in enumerate(of):
            for day, is_open in enumerate(days):
                machine.set_clock(market, Clock(what), day, is_open=bool(is_open))
    return machine


def tell(machine: Machine, step: Step) -> None:
    """Do again what was done."""
    match step.kind:
        case Message.EVENTS:
            machine.apply(step.records)
        case Message.CORRECTIONS:
            machine.correct(step.records)
        case Message.DEALS:
            machine.step(step.records)
        case Message.MOVES:
            machine.move(step.records)
        case Message.DECIDED:
            for security, what, quantity in step.records.tolist():
                machine.set_decided(security, Decided(what), quantity)
        case Message.CLOCK:
            for market, what, day, is_open in step.records.tolist():
                machine.set_clock(market, Clock(what), day, is_open=bool(is_open))
        case Message.DAY:
            machine.roll(step.records)
        case Message.RULES:
            machine.publish(world.rule_book(tuple(msgspec.json.decode(step.text, type=list[Document]))))
        case _:
            machine.register(step.kind, step.records)


class Pace:
    """Waits so that what happened in a second takes 1/`speed` of a second; `speed` 0: does not wait."""

    def __init__(self, speed: float, sleep: Callable[[float], object] = time.sleep) -> None:
        self._speed, self._sleep = speed, sleep
        self._first_ns = 0
        self._began_s = 0.0

    def wait(self, at_ns: int) -> None:
        """Until it is time for what happened at `at_ns`."""
        if not self._speed:
            return
        if not self._first_ns:
            self._first_ns, self._began_s = at_ns, time.monotonic()
        due_s = self._began_s + (at_ns - self._first_ns) / 1e9 / self._speed
        if (left_s := due_s - time.monotonic()) > 0:
            self._sleep(left_s)
