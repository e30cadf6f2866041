"""What may become of an event, and which events have been applied already."""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray

WINDOW: Final = 1 << 24
"""Sequence numbers per source over which duplicates are known."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}

# outcomes of an event
APPLIED: Final = 0
DUPLICATE: Final = 1
TOO_OLD: Final = 2
PAST_SETTLEMENT: Final = 3
NO_SETTLEMENT: Final = 4
BAD_QUANTITY: Final = 5
BAD_FIELD: Final = 6
OUTCOMES: Final = (
    "applied",
    "duplicate",
    "older than the window of known sequence numbers",
    "settlement date in the past",
    "no usable settlement date",
    "quantity out of range",
    "unknown operation, kind, security, book or depot",
)


@nb.njit(**_JIT)
def recognise(
    events: EventArray, outcome: NDArray[np.uint8], seen: NDArray[np.uint64], newest: NDArray[np.int64]
) -> int:
    """Tell new events from duplicates, by a bit for each of a source's last `WINDOW` sequence numbers.

    Returns by how much the count of missing numbers changes; a number that comes late is missing no longer.
    """
    missing = 0
    for i in range(events.shape[0]):
        source, seq = np.int64(events[i].source), events[i].seq
        if source == 0 or source >= newest.shape[0]:
            outcome[i] = BAD_FIELD
            continue
        last = newest[source]
        if seq <= last - WINDOW or seq < 1:
            outcome[i] = TOO_OLD
            continue
        at = seq & (WINDOW - 1)
        bit = np.uint64(1) << np.uint64(at & 63)
        if seq > last:
            for skipped in range(max(last + 1, seq - WINDOW), seq):
                gone = skipped & (WINDOW - 1)
                seen[source, gone >> 6] &= ~(np.uint64(1) << np.uint64(gone & 63))
            newest[source] = seq
            missing += seq - last - 1
        elif seen[source, at >> 6] & bit:
            outcome[i] = DUPLICATE
            continue
        else:
            missing -= 1
        seen[source, at >> 6] |= bit
        outcome[i] = APPLIED
    return missing
