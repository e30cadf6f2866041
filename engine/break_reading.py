"""What readers look at around a break: rows and newest events of securities, copied beside the writer."""

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.events import EVENT, EventArray
from engine.tables import Tables, Word

_CHUNK: Final = 1 << 16
_BEING_WRITTEN: Final = 1 << 17
"""Events at the ring's old end that the writer may be overwriting at this moment: more than any batch has."""
_MOST_EVENTS: Final = 2_000
"""Of one security: the newest."""


def rows_of(tables: Tables, security: int) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Numbers and records of the rows of a security, of one epoch. Raises `TornReadError`."""

    def copy() -> tuple[NDArray[np.int64], NDArray[np.void]]:
        numbers = tables.rows_of(security)
        return numbers, tables.array["position"][numbers]

    return tables.read(copy)


def events_of(tables: Tables, securities: Collection[int]) -> dict[int, EventArray]:
    """The newest events of each of these securities, oldest first: one look at all that the machine keeps.

    Searched without the epoch: an event never changes until the writer comes round to its place, and what it may have come
    round to meanwhile is dropped at the end.
    """
    recent, written = tables.array["recent"], tables.count(Word.RECENT)
    size, wanted = len(recent), np.zeros(len(tables.array["security"]), bool)
    wanted[[each for each in securities if 0 < each < wanted.size]] = True
    numbers: list[NDArray[np.int64]] = []
    found: list[EventArray] = []
    start = max(0, written - size)
    while start < written:
        stop = min(written, start + _CHUNK, (start // size + 1) * size)  # a chunk does not cross the ring's end
        chunk = recent[start % size : start % size + stop - start]
        named = chunk["security"]
        at = np.flatnonzero(wanted[np.where((named > 0) & (named < wanted.size), named, 0)])
        numbers.append(start + at)
        found.append(chunk[at])
        start = stop
    if not found:
        return {}
    kept = np.concatenate(numbers) >= tables.count(Word.RECENT) + _BEING_WRITTEN - size
    events = np.concatenate(found)[kept]
    events = events[np.argsort(events["security"], kind="stable")]
    ids, first = np.unique(events["security"], return_index=True)
    parts = np.split(events, first[1:])
    return {int(number): part[-_MOST_EVENTS:] for number, part in zip(ids, parts, strict=True)}


def no_events() -> EventArray:
    """None of them."""
    return np.empty(0, EVENT)
