"""What may become of an event, and which events have been applied already."""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import Flag

WINDOW: Final = 1 << 24
"""Sequence numbers per source over which duplicates are known."""
_PART: Final = Flag.PART.value
_BITS: Final = 64
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}

# outcomes of an event
APPLIED: Final = 0
DUPLICATE: Final = 1
TOO_OLD: Final = 2
PAST_SETTLEMENT: Final = 3
NO_SETTLEMENT: Final = 4
BAD_QUANTITY: Final = 5
BAD_FIELD: Final = 6
NO_HEAD: Final = 7
UNKNOWN_ORIGINAL: Final = 8
NOT_CORRECTABLE: Final = 9
UNKNOWN_DEAL: Final = 10
DEAL_KNOWN: Final = 11
MORE_THAN_OPEN: Final = 12
DEAL_OVER: Final = 13
IN_START_OF_DAY: Final = 14
LATE_START_OF_DAY: Final = 15
OUTCOMES: Final = (
    "applied",
    "duplicate",
    "older than the window of known sequence numbers",
    "settlement date in the past",
    "no usable settlement date",
    "quantity out of range",
    "unknown operation, kind, security, book or depot",
    "a part without the event it belongs to",
    "the corrected event is not known (any more)",
    "only trades and settlements are corrected by number; what is stated is stated again",
    "no deal has this id",
    "a deal with this id is there already",
    "more than is open, or more than is left to be recalled",
    "the deal is over",
    "older than the start of day of its book, which has it",
    "a start of day that is older than what has come for its book, and would undo it",
)


def done(events: EventArray, outcome: NDArray[np.uint8]) -> EventArray:
    """Those that were applied."""
    return events if not outcome.any() else events[outcome == APPLIED]


def is_refused(outcome: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of these outcomes somebody should look at: neither applied nor known."""
    refused: NDArray[np.bool_] = (outcome > DUPLICATE) & (outcome != IN_START_OF_DAY)
    return refused


class Memory(NamedTuple):
    """What is known of every source's numbers."""

    seen: NDArray[np.uint64]
    """(sources, WINDOW // 64): a bit for each number."""
    newest: NDArray[np.int64]
    missing: NDArray[np.int64]
    """How many numbers were passed over and have not come since."""
    ledger: NDArray[np.void]
    """What the newest of them did: see `engine.corrections`."""


@nb.njit(**_JIT)
def recognise(events: EventArray, outcome: NDArray[np.uint8], memory: Memory) -> tuple[int, bool]:
    """Tell new events from duplicates, by a bit for each of a source's last `WINDOW` sequence numbers.

    Returns by how much the count of missing numbers changes (a number that comes late is missing no longer), and whether
    there are parts, which have no number and share the outcome of their event.
    """
    seen, newest, missing = memory.seen, memory.newest, memory.missing
    change = 0
    parts = False
    for i in range(events.shape[0]):
        if events[i].flags & _PART:
            outcome[i] = outcome[i - 1] if i > 0 else NO_HEAD
            parts = True
            continue
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
            if seq > last + 1:
                missing[source] += seq - last - 1
                change += seq - last - 1
        elif seen[source, at >> 6] & bit:
            outcome[i] = DUPLICATE
            continue
        else:
            missing[source] -= 1
            change -= 1
        seen[source, at >> 6] |= bit
        outcome[i] = APPLIED
    return change, parts


@nb.njit(**_JIT)
def unrecognise(source: int, seq: int, memory: Memory) -> None:
    """Let a number that was just recognised count as missing, because it is to come again."""
    at = seq & (WINDOW - 1)
    memory.seen[source, at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))
    memory.missing[source] += 1


@nb.njit(**_JIT)
def gaps(source: int, most: int, memory: Memory) -> NDArray[np.int64]:
    """The newest runs of missing numbers of a source within the window: shape (n, 2), first and last, the newest run first."""
    seen, newest = memory.seen, memory.newest
    runs = np.empty((most, 2), np.int64)
    found = 0
    seq, last = newest[source], np.int64(0)
    oldest = max(np.int64(1), newest[source] - WINDOW + 1)
    while seq >= oldest - 1 and found < most:
        at = seq & (WINDOW - 1)
        whole = at & 63 == _BITS - 1 and seq - _BITS >= oldest
        if last == 0 and whole and seen[source, at >> 6] == ~np.uint64(0):
            seq -= _BITS
            continue
        known = seq < oldest or seen[source, at >> 6] & (np.uint64(1) << np.uint64(at & 63)) != 0
        if known and last:
            runs[found] = seq + 1, last
            found += 1
            last = np.int64(0)
        elif not known and last == 0:
            last = seq
        seq -= 1
    return runs[:found]
