"""The engine's end of the archive's ring: every change the machine tells of, as it came, with when and at which place.

It never waits. Where the ring is full because the archive is behind, what the machine tells is left out, and what was
left out is said in a message of its own as soon as there is room: places, and the offsets from which Kafka has it.
"""

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from engine.model import Decided
from engine.ring import Message, Ring
from engine.state import Machine
from engine.tables import Tables, Word

log = structlog.get_logger()
_WORDS: Final = 40
"""Of the ring's words: the first that neither the ring nor a decode worker uses."""
_BULK: Final = frozenset({Message.EVENTS, Message.EFFECTS, Message.CORRECTIONS, Message.DEALS, Message.PROGRESS})
"""What Kafka has, too. The rest is little, and has the last part of the ring for itself."""


class ArchiveWord(IntEnum):
    """What both sides know of the archive, one int64 each, in shared memory."""

    PLACE = 0
    """The newest place the machine told of."""
    AT_NS = 1
    """When that was."""
    DROPPED = 2
    """Messages that were left out since the engine started."""
    GAPS = 3
    WRITTEN = 4
    """The newest place on disk."""
    WRITTEN_NS = 5
    """When what is at that place was applied."""
    FLUSHED_NS = 6
    """When the archive last looked whether there was something to write, and wrote what there was."""
    FAILURES = 7
    """Attempts to write that failed since the last one that did not."""
    ERRNO = 8
    """Why, as the operating system says it; 0: for another reason, which the log tells."""


class Gap(msgspec.Struct, frozen=True):
    """Places that nobody wrote down. `applied`: (topic, partition, offset) before them, `until` after them; see `Machine`."""

    first: int
    last: int
    messages: int
    why: str
    applied: list[tuple[int, int, int]]
    until: list[tuple[int, int, int]]


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine was when it began to tell. `place`: of the last change it had made by then; 0: it was empty.

    `parent`: the generation of the snapshot it was made from; "" for none.
    """

    generation: str
    parent: str
    place: int
    started_ns: int
    base_date: int
    business_day: list[list[int]]
    today: list[int]
    clock: list[list[list[int]]]
    decided: list[tuple[int, int, int]]
    documents: list[dict[str, Any]]
    capacity: dict[str, int]
    markets: list[dict[str, Any]]


def words_of(ring: Ring) -> NDArray[np.int64]:
    """The `ArchiveWord`s of a ring."""
    words: NDArray[np.int64] = ring.segment.arrays["words"][_WORDS : _WORDS + len(ArchiveWord)]
    return words


class Recorder:
    """`Machine.log`. `clock`: UTC nanoseconds; where it goes back, time stands still until it has caught up."""

    def __init__(
        self, machine: Machine, ring: Ring, *, parent: str = "", clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._ring = ring
        self._tables = machine.tables
        self._clock = clock
        self._words = words_of(ring)
        self._gap: Gap | None = None
        self._bulk_room = ring.size_bytes // 16
        self._at_ns = 0
        begin = _begin(machine, parent, self._now())
        ring.push(Message.BEGIN, _json(begin), at_ns=begin.started_ns, place=begin.place)
        machine.log = self

    def __call__(self, kind: Message, payload: NDArray[Any], outcome: NDArray[np.uint8] | None) -> None:
        """Write it down, or remember that it was not."""
        place, at_ns = self._tables.count(Word.LOG), self._now()
        self._words[: ArchiveWord.AT_NS + 1] = place, at_ns
        if self._gap is not None and kind in _BULK and not self._told():
            self._leave_out(place, self._gap.why)
            return
        if outcome is None and kind == Message.EFFECTS:
            outcome = np.zeros(payload.size, np.uint8)  # there are only those that were applied
        parts = (payload,) if outcome is None else (payload, outcome)
        need = sum(part.nbytes for part in parts) + 128 + (self._bulk_room if kind in _BULK else 0)
        if 2 * need > self._ring.size_bytes:
            self._leave_out(place, "larger than the archive's ring")
        elif need > self._ring.size_bytes - self._ring.backlog_bytes or not self._ring.push(
            kind, *parts, at_ns=at_ns, place=place
        ):
            self._leave_out(place, "the archive was too far behind")

    def close(self, machine: Machine) -> None:
        """Say what is still to be said, and give the ring to the archive, which knows it by itself."""
        machine.log = None
        if self._gap is not None:
            self._tell()
        self._words = self._tables = None  # type: ignore[assignment]  # views must go before their memory
        self._ring.close()

    def _now(self) -> int:
        self._at_ns = max(self._at_ns, self._clock())
        return self._at_ns

    def _leave_out(self, place: int, why: str) -> None:
        self._words[ArchiveWord.DROPPED] += 1
        if self._gap is None:
            self._words[ArchiveWord.GAPS] += 1
            self._gap = Gap(place, place, 1, why, _offsets(self._tables), [])
            log.error("the archive does not keep up: what comes now is not in it", place=place, why=why)
        else:
            self._gap = msgspec.structs.replace(self._gap, last=place, messages=self._gap.messages + 1)

    def _told(self) -> bool:
        """Whether there is room again, and the gap is behind us."""
        return self._ring.backlog_bytes < self._ring.size_bytes // 2 and self._tell()

    def _tell(self) -> bool:
        assert self._gap is not None, "asked for while there is one"
        gap = msgspec.structs.replace(self._gap, until=_offsets(self._tables))
        if not self._ring.push(Message.GAP, _json(gap), at_ns=self._now(), place=gap.last):
            return False
        log.error("the archive has a gap", first=gap.first, last=gap.last, messages=gap.messages, why=gap.why)
        self._gap = None
        return True


def _begin(machine: Machine, parent: str, started_ns: int) -> Begin:
    array = machine.tables.array
    count = machine.tables.count(Word.SECURITIES) + 1
    held = np.argwhere(array["decided"][:count])
    first = machine.tables.base_date
    return Begin(
        generation=machine.tables.generation,
        parent=parent,
        place=machine.tables.count(Word.LOG),
        started_ns=started_ns,
        base_date=first,
        business_day=array["business_day"].tolist(),
        today=array["today"].tolist(),
        clock=array["clock"].tolist(),
        decided=[(int(i), Decided(int(what)), int(array["decided"][i, what])) for i, what in held],
        documents=msgspec.to_builtins(machine.book.documents),
        capacity=msgspec.to_builtins(machine.capacity),
        markets=msgspec.to_builtins(machine.markets),
    )


def _offsets(tables: Tables) -> list[tuple[int, int, int]]:
    applied = tables.array["applied"]
    return [(int(topic), int(part), int(applied[topic, part])) for topic, part in np.argwhere(applied)]


def _json(what: msgspec.Struct) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.json.encode(what), np.uint8)
