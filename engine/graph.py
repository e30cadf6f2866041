"""The streamz graph: batches of events in, effects out. It carries batches only; one element costs as much as a batch.

    source -> apply -> +-> changed securities -> (publishers)
                       +-> rejected events    -> (quarantine)

An exception of the machine returns through `emit` to whoever feeds, and stops the writer: never show a wrong number.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from streamz import Stream

from engine.events import EventArray
from engine.state import Applied, Machine

OnChanged: TypeAlias = Callable[[NDArray[np.int32]], None]
OnRejected: TypeAlias = Callable[[EventArray, NDArray[np.uint8]], None]


class Graph(NamedTuple):
    """The two doors: batches to apply, and what was applied elsewhere (deals, corrections) and has the same effects."""

    events: Stream
    applied: Stream

    def emit(self, batch: EventArray) -> None:
        """Apply a batch; its effects are out when this returns."""
        self.events.emit(batch)

    def effects(self, result: Applied) -> None:
        """Let the effects of what was applied out."""
        self.applied.emit(result)


def build(machine: Machine, on_changed: OnChanged | None, on_rejected: OnRejected) -> Graph:
    """The graph of a machine.

    `on_changed` gets ids of securities, `on_rejected` events with their outcomes (indices of `recognise.OUTCOMES`).
    """
    source, applied = Stream(), Stream()
    source.map(machine.apply).sink(applied.emit)
    if on_changed is not None:
        applied.filter(_changed).map(lambda result: result.changed).sink(on_changed)
    applied.filter(_rejected).sink(lambda result: on_rejected(result.rejected, result.outcomes))
    return Graph(source, applied)


def _changed(result: Applied) -> bool:
    return result.changed.size > 0


def _rejected(result: Applied) -> bool:
    return result.rejected.size > 0
