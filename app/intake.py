"""From the rings of the decode workers into the machine: reference data first where it comes first, events in large batches."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine import copies
from engine.events import EventArray
from engine.graph import Graph
from engine.ring import Message, Ring
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Decoded, Unreadable, decode

BATCH_EVENTS: Final = 131_072
"""The most of one step. Only a backlog makes so many: a security that changed often is then calculated once, and a locate
waits for some 15 ms."""
Registered: TypeAlias = Callable[[Message, NDArray[Any]], None]
Sift: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""What is left of events, steps or corrections when those that may not be applied are set aside."""
_SIFTED: Final = (Message.EVENTS, Message.DEALS, Message.CORRECTIONS)


class Waiting(Protocol):
    """Steps of deals that came before their deal was opened, and corrections of what waits."""

    def awaited(self, steps: NDArray[np.void]) -> Sequence[int]:
        """Behind which of these steps something else has its turn first: ends of pieces, ascending, without the last."""

    def opened(self, steps: NDArray[np.void]) -> None:
        """These steps have been taken."""

    def behind(self, corrections: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which of these are about something that waits itself; they are taken care of."""


class Intake:
    """Drains the rings in turn. `keep` stores, and counts, what could not be decoded; `registered` is told of reference data
    right after the machine has it, before anything that comes behind it is used, and `waiting` of deals.
    """

    def __init__(
        self,
        machine: Machine,
        graph: Graph,
        rings: Sequence[Ring],
        keep: Callable[[list[Unreadable]], None],
        registered: Registered | None = None,
        waiting: Waiting | None = None,
        sift: Sift | None = None,
    ) -> None:
        self._machine = machine
        self._graph = graph
        self._rings = rings
        self._keep = keep
        self._registered = registered
        self._waiting = waiting
        self._sift: Sift = sift or (lambda records: records)

    def drain(self) -> int:
        """Take at most one batch from each ring; returns the number of messages used (0: all rings are empty)."""
        used = sum(self._drain_one(ring) for ring in self._rings)
        state = self._machine.tables.state
        state[Word.FEED_NS] = min(ring.alive_ns for ring in self._rings)
        if not state[Word.READY] and all(ring.ready and ring.drained for ring in self._rings):
            state[Word.READY] = 1
        return used

    def use(self, decoded: Decoded) -> None:
        """Apply what was decoded here, in its order, as if it had come out of a ring."""
        for kind, records in decoded.messages:
            self._take(kind, records)
        if decoded.events.size:
            self._take(Message.EVENTS, decoded.events)
        if decoded.steps.size:
            self._take(Message.DEALS, decoded.steps)
        if decoded.unreadable:
            self._keep(decoded.unreadable)
        if decoded.corrections.size:
            self._take(Message.CORRECTIONS, decoded.corrections)

    @property
    def backlog_bytes(self) -> int:
        return sum(ring.backlog_bytes for ring in self._rings)

    def _drain_one(self, ring: Ring) -> int:
        messages, events = 0, 0
        parts: list[EventArray] = []
        progress: list[NDArray[Any]] = []
        while events < BATCH_EVENTS:
            message = ring.pop()
            if message is None:
                break
            kind, payload = message
            if kind == Message.EVENTS:
                parts.append(copies.copied(self._sift(payload)))
                events += payload.size
            elif kind == Message.QUARANTINE:
                # what became known meanwhile is used at once: in its turn, behind what came before it
                self._apply(parts)
                self._keep(decode(payload.tobytes()))
            elif kind == Message.PROGRESS:
                progress.append(payload.copy())  # true once the events before it are applied
            elif parts:
                break  # what follows the events may be about codes they do not know: first the events, in order
            else:
                self._take(kind, payload)
            ring.release()
            messages += 1
        self._apply(parts)
        applied = self._machine.tables.array["applied"]
        for rows in progress:
            applied[rows["topic"], rows["partition"]] = rows["offset"]
        return messages

    def _apply(self, parts: list[EventArray]) -> None:
        """What has been gathered, as one batch; none of it is left there."""
        if parts:
            self._graph.emit(copies.joined(parts))
            parts.clear()

    def _take(self, kind: Message, payload: NDArray[Any]) -> None:
        machine = self._machine
        if kind in _SIFTED and not (payload := self._sift(payload)).size:
            return
        match kind:
            case Message.EVENTS:
                self._graph.emit(payload)
            case Message.DEALS:
                self._step(payload)
            case Message.CORRECTIONS:
                self._correct(payload)
            case Message.MOVES:
                machine.move(payload)
            case _:
                machine.register(kind, payload)
                if self._registered is not None:
                    self._registered(kind, payload)

    def _step(self, steps: NDArray[np.void]) -> None:
        """What has waited for a deal comes right after its opening, before the deal's later steps."""
        if self._waiting is None:
            self._graph.effects(self._machine.step(steps))
            return
        ends = [*self._waiting.awaited(steps), len(steps)]
        for first, end in pairwise([0, *ends]):
            self._graph.effects(self._machine.step(steps[first:end]))
            self._waiting.opened(steps[first:end])

    def _correct(self, corrections: NDArray[np.void]) -> None:
        """What corrects something that waits has its turn behind it."""
        if self._waiting is not None:
            behind = self._waiting.behind(corrections)
            if behind.any():
                corrections = corrections[~behind]
        if corrections.size:
            self._graph.effects(self._machine.correct(corrections))
