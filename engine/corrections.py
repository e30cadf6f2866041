"""What trades and settlements did, by source and number, so that one of them can be replaced or taken back by its number.

The ledger holds the last `KEPT` numbers of each source, directly mapped: a number's place is its remainder. What is taken back
is reversed exactly as it was: its row, its quantity, its date; what has fallen due since is taken out of today's bucket, where
it is. What states a quantity instead of moving one has no place here: it is stated again.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.kernel import Book, judge, key_of
from engine.model import Flag, Op
from engine.recognise import APPLIED, IN_START_OF_DAY, NOT_CORRECTABLE, UNKNOWN_ORIGINAL

KEPT: Final = 1 << 20
LEDGER: Final = np.dtype(
    [("seq", "<i8"), ("key", "<i8"), ("moved", "<i8"), ("settle_date", "<i4"), ("trade_date", "<i4")]
)
"""What an event did. `key`: its row; `moved`: quantity (negative: a cancellation) << 3 | operation; `seq`: 0 for nothing."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_LAST_MOVE: Final = Op.SETTLE_DELIVERY.value
_CANCEL, _PART = Flag.CANCEL.value, Flag.PART.value


def ledger_of(sources: int) -> NDArray[np.void]:
    """An empty ledger for so many sources; shape (sources + 1, KEPT). Memory is used as it is written."""
    return np.zeros((sources + 1, KEPT), LEDGER)


@nb.njit(**_JIT)
def write(event: Any, ledger: NDArray[np.void]) -> None:
    """Remember one event that moves a quantity. A number that comes late does not push out a newer one."""
    entry = ledger[event.source, event.seq & (KEPT - 1)]
    if entry.seq > event.seq:
        return
    quantity = -event.quantity if event.flags & _CANCEL else event.quantity
    entry.seq, entry.key = event.seq, key_of(event)
    entry.moved = (quantity << 3) | np.int64(event.op)
    entry.settle_date, entry.trade_date = event.settle_date, event.trade_date


@nb.njit(**_JIT)
def keep(events: EventArray, outcome: NDArray[np.uint8], ledger: NDArray[np.void]) -> None:
    """Remember what was applied of a batch, or is in a start of day. What has parts cannot be corrected by its number."""
    last = events.shape[0] - 1
    for i in range(events.shape[0]):
        event = events[i]
        if outcome[i] not in (APPLIED, IN_START_OF_DAY) or event.op > _LAST_MOVE or event.flags & _PART:
            continue
        if i == last or events[i + 1].flags & _PART == 0:
            write(event, ledger)


@nb.njit(**_JIT)
def reversal(entry: Any, event: Any, today: int) -> None:
    """Make `event` the exact opposite of what the ledger's entry says. Its identity and time stay."""
    quantity = entry.moved >> 3
    event.security, event.book = entry.key >> 40, (entry.key >> 24) & 0xFFFF
    event.depot, event.kind = (entry.key >> 8) & 0xFFFF, entry.key & 0xFF
    event.op = entry.moved & 7
    event.quantity, event.flags = abs(quantity), _CANCEL if quantity > 0 else 0
    event.settle_date, event.trade_date = max(entry.settle_date, today), entry.trade_date


@nb.njit(**_JIT)
def expand(
    events: EventArray,
    corrects: NDArray[np.int64],
    outcome: NDArray[np.uint8],
    out: EventArray,
    ledger: NDArray[np.void],
    book: Book,
) -> int:
    """The corrections that are new as plain events in `out` (at least twice as long): the replacement, then what takes the
    original back. Returns how many; all of them can be applied. What is refused gets its outcome, and changes nothing."""
    written = 0
    for i in range(events.shape[0]):
        if outcome[i] != APPLIED:
            continue
        event = events[i]
        if corrects[i] < 1 or event.flags & _PART:
            outcome[i] = UNKNOWN_ORIGINAL
            continue
        entry = ledger[event.source, corrects[i] & (KEPT - 1)]
        if entry.seq != corrects[i]:
            outcome[i] = UNKNOWN_ORIGINAL
            continue
        first = written
        if event.flags & _CANCEL == 0:
            outcome[i] = judge(event, book) if event.op <= _LAST_MOVE else NOT_CORRECTABLE
            if outcome[i] != APPLIED:
                continue
            out[written] = event
            written += 1
        out[written] = event
        security = entry.key >> 40
        reversal(entry, out[written], book.today[book.market_of[security], 0])
        if written > first:
            out[written].flags |= _PART
        written += 1
        entry.seq = 0
        if written - first > 1:
            write(event, ledger)
    return written
