"""From the rings of the decode workers into the machine: reference data first where it comes first, events in large batches."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from streamz import Stream

from engine.events import EventArray
from engine.ring import Message, Ring
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Unreadable, decode

BATCH_EVENTS: Final = 131_072
"""The most of one step. Only a backlog makes so many: a security that changed often is then calculated once, and a locate
waits for some 15 ms."""
_REFERENCE: Final = (Message.SECURITIES, Message.BOOKS, Message.DEPOTS, Message.SOURCES, Message.CURRENCIES)


class Intake:
    """Drains the rings in turn. `keep` stores what could not be decoded."""

    def __init__(
        self, machine: Machine, graph: Stream, rings: Sequence[Ring], keep: Callable[[list[Unreadable]], None]
    ) -> None:
        self._machine = machine
        self._graph = graph
        self._rings = rings
        self._keep = keep

    def drain(self) -> int:
        """Take at most one batch from each ring; returns the number of messages used (0: all rings are empty)."""
        used = sum(self._drain_one(ring) for ring in self._rings)
        state = self._machine.tables.state
        state[Word.FEED_NS] = min(ring.alive_ns for ring in self._rings)
        if not state[Word.READY] and all(ring.ready and ring.drained for ring in self._rings):
            state[Word.READY] = 1
        return used

    @property
    def backlog_bytes(self) -> int:
        return sum(ring.backlog_bytes for ring in self._rings)

    def _drain_one(self, ring: Ring) -> int:
        messages, events = 0, 0
        parts: list[EventArray] = []
        while events < BATCH_EVENTS:
            message = ring.pop()
            if message is None:
                break
            kind, payload = message
            if kind == Message.EVENTS:
                parts.append(payload.copy())
                events += payload.size
            elif parts:
                break  # what follows the events may be about codes they do not know: first the events, in order
            else:
                self._other(kind, payload)
            ring.release()
            messages += 1
        if parts:
            self._graph.emit(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return messages

    def _other(self, kind: Message, payload: NDArray[Any]) -> None:
        if kind in _REFERENCE:
            self._machine.register(kind, payload)
        else:
            unreadable = decode(payload.tobytes())
            self._machine.tables.state[Word.QUARANTINED] += sum(entry.events for entry in unreadable)
            self._keep(unreadable)
