"""The compiled step: a batch of events into rows, terms and dirty marks (domain.md 2 and 3).

Three passes over a block of events that fits the cache: the first asks memory for the index slots, the second finds or makes
the rows and asks for their cache lines, the third applies. Memory answers many questions at once, so the passes hide most
of its latency.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import LATER, POSITION, TERM_WORDS, Flag, Kind, Op
from engine.prefetch import prefetch
from engine.rules import Measure

MAX_QUANTITY: Final = 10**15
"""Beyond this a quantity is an error of its source; sums of rows stay far inside int64 and exact in a browser."""
WINDOW: Final = 1 << 24
"""Sequence numbers per source over which duplicates are known."""
_BLOCK: Final = 256
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}

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

# columns of POSITION as 64-bit words
_WORD: Final = {name: offset[1] // 8 for name, offset in (POSITION.fields or {}).items()}
_KEY, _LINKS, _TD, _SD = _WORD["key"], _WORD["next_in_security"], _WORD["td"], _WORD["sd"]
_FREE, _RESERVED, _CA = _WORD["hypothecatable"], _WORD["reserved"], _WORD["ca_pending"]
_RECEIPT, _DELIVER = _WORD["receipt"], _WORD["deliver"]
# what Op.SET_HYPOTHECATABLE and the operations after it replace
_ATTRIBUTE: Final = (_FREE, _WORD["hypothecated"], _WORD["segregated"], _RESERVED, _CA)
_BUY, _SELL, _SHORT = _WORD["intraday_buy"], _WORD["intraday_sell"], _WORD["intraday_short"]
_LONG_M, _SHORT_M, _FREE_M = Measure.LONG.value, Measure.SHORT.value, Measure.FREE.value
_RESERVED_M, _CA_M = Measure.RESERVED.value, Measure.CA_PENDING.value
_OP_BUY, _OP_SELL, _OP_SHORT = Op.BUY.value, Op.SELL.value, Op.SHORT_SELL.value
_OP_INCREASE, _OP_DECREASE = Op.INCREASE.value, Op.DECREASE.value
_OP_SETTLE_IN, _OP_SETTLE_OUT, _OP_SET = Op.SETTLE_RECEIPT.value, Op.SETTLE_DELIVERY.value, Op.SET.value
_OP_FREE, _OP_CA = Op.SET_HYPOTHECATABLE.value, Op.SET_CA_PENDING.value
_OP_RESET, _OP_PRICE = Op.RESET_BOOK.value, Op.PRICE.value
_CANCEL, _START_OF_DAY = Flag.CANCEL.value, Flag.START_OF_DAY.value
_FIRST_EXTERNAL, _LAST_EXTERNAL = Kind.EXTERNAL_EXCLUSIVE.value, Kind.DEPOT.value
_KINDS: Final = len(Kind)
_LOW: Final = np.int64(0xFFFFFFFF)
_ROW: Final = np.uint64(0xFFFFFFFF)


class Counts(NamedTuple):
    """What a batch did. `stopped_at` is the index of the first event for which there was no row left, or -1."""

    rows: int
    dirty: int
    missing: int
    stopped_at: int


class Book(NamedTuple):
    """The arrays the kernel works on; see `engine.tables` for shapes. `position` is viewed as (rows, 24) words."""

    position: NDArray[np.int64]
    slots: NDArray[np.uint64]
    """The hash: by slot the upper half of the key's hash, and row number + 1; 0 for none."""
    first_in_security: NDArray[np.int32]
    first_in_book: NDArray[np.int32]
    terms: NDArray[np.int64]
    """(securities, terms * TERM_WORDS): the whole cache line of each term."""
    price: NDArray[np.int64]
    updated_ns: NDArray[np.int64]
    market_of: NDArray[np.uint8]
    business_day: NDArray[np.int32]
    today: NDArray[np.int32]
    """Per market: the business day it is, the date of `business_day`'s first column, and today's ordinal."""
    entries: NDArray[np.int64]
    entry_counts: NDArray[np.int64]
    seen: NDArray[np.uint64]
    newest: NDArray[np.int64]
    dirty: NDArray[np.int32]
    dirty_mark: NDArray[np.int64]


@nb.njit(**_INLINE)
def _hash(key: np.int64) -> np.uint64:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))


@nb.njit(**_INLINE)
def _row_key(event: Any) -> np.int64:
    low = (np.int64(event.book) << 24) | (np.int64(event.depot) << 8) | np.int64(event.kind)
    return np.int64((np.int64(event.security) << 40) | low)


@nb.njit(**_JIT)
def _recognise(
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


@nb.njit(**_INLINE)
def _bucket(event: Any, market: int, business_day: NDArray[np.int32], today: NDArray[np.int32]) -> int:
    """The ladder bucket of the event's settlement date; -1 without a usable date, -2 where it is past."""
    if event.settle_date < 0:
        return -1
    at = event.settle_date - today[market, 1]
    if at < 0:
        return -2
    if at >= business_day.shape[1]:
        return LATER
    days = business_day[market, at] - today[market, 2]
    return min(days, LATER) if days >= 0 else -2


@nb.njit(**_INLINE)
def _check(event: Any, securities: int, books: int) -> int:
    """The outcome of an event, its settlement date apart."""
    op, quantity = event.op, event.quantity
    if op > _OP_PRICE or event.kind >= _KINDS:
        return BAD_FIELD
    if op != _OP_RESET and not 0 < event.security < securities:
        return BAD_FIELD
    if op != _OP_PRICE and not 0 < event.book < books:
        return BAD_FIELD
    least = -MAX_QUANTITY if op in (_OP_SET, _OP_CA) else 0
    return APPLIED if least <= quantity <= MAX_QUANTITY else BAD_QUANTITY


@nb.njit(**_INLINE)
def _dated(event: Any, bucket: int) -> int:
    """The outcome of an event whose settlement date gave `bucket`."""
    if bucket >= 0:
        return APPLIED
    if bucket == -1:
        return NO_SETTLEMENT
    # a late settlement takes what was left due out of today's bucket
    return APPLIED if event.op in (_OP_SETTLE_IN, _OP_SETTLE_OUT) else PAST_SETTLEMENT


@nb.njit(**_INLINE)
def _guess(hashed: np.uint64, slots: NDArray[np.uint64]) -> np.int64:
    """The row whose key very likely has this hash, by the hash's upper half alone; -1 if there is none."""
    mask = np.uint64(slots.shape[0] - 1)
    at = hashed & mask
    while True:
        entry = slots[at]
        if entry == 0 or (entry ^ hashed) >> np.uint64(32) == 0:
            return np.int64(entry & _ROW) - 1
        at = (at + np.uint64(1)) & mask


@nb.njit(**_INLINE)
def _find(key: np.int64, slots: NDArray[np.uint64], position: NDArray[np.int64]) -> tuple[np.int64, np.uint64]:
    """The number of the row with `key`, or -1 and the slot where it belongs."""
    mask = np.uint64(slots.shape[0] - 1)
    at = _hash(key) & mask
    while True:
        row = np.int64(slots[at] & _ROW) - 1
        if row < 0 or position[row, _KEY] == key:
            return row, at
        at = (at + np.uint64(1)) & mask


@nb.njit(**_INLINE)
def _look(position: NDArray[np.int64], row: int) -> tuple[int, ...]:
    """projected[0..4] (sd, and what is received less delivered by then), hypothecatable, reserved, ca_pending."""
    p0 = position[row, _SD] + position[row, _RECEIPT] - position[row, _DELIVER]
    p1 = p0 + position[row, _RECEIPT + 1] - position[row, _DELIVER + 1]
    p2 = p1 + position[row, _RECEIPT + 2] - position[row, _DELIVER + 2]
    p3 = p2 + position[row, _RECEIPT + 3] - position[row, _DELIVER + 3]
    p4 = p3 + position[row, _RECEIPT + 4] - position[row, _DELIVER + 4]
    return p0, p1, p2, p3, p4, position[row, _FREE], position[row, _RESERVED], position[row, _CA]


@nb.njit(**_INLINE)
def _given(measure: int, row: tuple[int, ...]) -> tuple[int, ...]:
    """What a row, as `_look` saw it, gives on each of the five days."""
    if measure == _LONG_M:
        return max(0, row[0]), max(0, row[1]), max(0, row[2]), max(0, row[3]), max(0, row[4])
    if measure == _SHORT_M:
        return max(0, -row[0]), max(0, -row[1]), max(0, -row[2]), max(0, -row[3]), max(0, -row[4])
    if measure == _FREE_M:
        free = row[5]
        p0, p1, p2, p3, p4 = max(0, row[0]), max(0, row[1]), max(0, row[2]), max(0, row[3]), max(0, row[4])
        return min(free, p0), min(free, p1), min(free, p2), min(free, p3), min(free, p4)
    same = row[6] if measure == _RESERVED_M else row[7]
    return same, same, same, same, same


@nb.njit(**_INLINE)
def _feed(
    before: tuple[int, ...],
    after: tuple[int, ...],
    terms: NDArray[np.int64],
    security: int,
    kind: int,
    entries: NDArray[np.int64],
    entry_counts: NDArray[np.int64],
) -> None:
    """Carry what the row gives now, instead of what it gave before, into its security's terms (shape (securities, n))."""
    for i in range(entry_counts[kind]):
        at, measure = entries[kind, i, 0] * TERM_WORDS, entries[kind, i, 1]
        new, old = _given(measure, after), _given(measure, before)
        terms[security, at] += (new[0] - old[0]) & entries[kind, i, 2]
        terms[security, at + 1] += (new[1] - old[1]) & entries[kind, i, 3]
        terms[security, at + 2] += (new[2] - old[2]) & entries[kind, i, 4]
        terms[security, at + 3] += (new[3] - old[3]) & entries[kind, i, 5]
        terms[security, at + 4] += (new[4] - old[4]) & entries[kind, i, 6]


@nb.njit(**_INLINE)
def _change(position: NDArray[np.int64], row: int, op: int, quantity: int, bucket: int, today: bool) -> None:  # noqa: FBT001  numba binds by place
    """The row after the event (domain.md 2)."""
    if op in (_OP_BUY, _OP_INCREASE):
        position[row, _TD] += quantity
        position[row, _RECEIPT + bucket] += quantity
        if op == _OP_BUY and today:
            position[row, _BUY] += quantity
    elif op <= _OP_DECREASE:
        position[row, _TD] -= quantity
        position[row, _DELIVER + bucket] += quantity
        if today and op != _OP_DECREASE:
            position[row, _SELL if op == _OP_SELL else _SHORT] += quantity
    elif op == _OP_SETTLE_IN:
        position[row, _RECEIPT + bucket] -= quantity
        position[row, _SD] += quantity
    elif op == _OP_SETTLE_OUT:
        position[row, _DELIVER + bucket] -= quantity
        position[row, _SD] -= quantity
    elif op == _OP_SET:
        for word in range(_RECEIPT, _CA):
            position[row, word] = 0
        position[row, _TD] = position[row, _SD] = quantity
    else:
        position[row, _ATTRIBUTE[op - _OP_FREE]] = quantity


@nb.njit(**_JIT)
def _reset_book(
    number: int,
    dirty: int,
    mark: int,
    position: NDArray[np.int64],
    book: Book,
) -> int:
    """Empty the book's own rows; what lenders and custodians state is not part of its snapshot."""
    at = np.int64(book.first_in_book[number])
    while at:
        row = at - 1
        kind, security = position[row, _KEY] & 0xFF, position[row, _KEY] >> 40
        if kind < _FIRST_EXTERNAL or kind > _LAST_EXTERNAL:
            before = _look(position, row)
            _feed(before, (0, 0, 0, 0, 0, 0, 0, 0), book.terms, security, kind, book.entries, book.entry_counts)
            for word in range(_TD, position.shape[1]):
                position[row, word] = 0
            if book.dirty_mark[security] != mark:
                book.dirty_mark[security] = mark
                book.dirty[dirty] = security
                dirty += 1
        at = (position[row, _LINKS] >> 32) & _LOW
    return dirty


@nb.njit(**_JIT)
def apply(events: EventArray, outcome: NDArray[np.uint8], rows: int, mark: int, book: Book) -> Counts:
    """Apply `events` in order. `rows` is the number of rows so far; `mark` a number no batch had before."""
    position, slots, terms, market_of = book.position, book.slots, book.terms, book.market_of
    business_day, today, dirty_mark, dirty_ids = book.business_day, book.today, book.dirty_mark, book.dirty
    entries, entry_counts = book.entries, book.entry_counts
    first_in_security, first_in_book = book.first_in_security, book.first_in_book
    price, updated_ns = book.price, book.updated_ns
    found, buckets = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    keys, hashes = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.uint64)
    slot_lines, updated_lines, mark_lines = slots.reshape(-1, 1), updated_ns.reshape(-1, 1), dirty_mark.reshape(-1, 1)
    mask = np.uint64(slots.shape[0] - 1)
    dirty = 0
    missing = _recognise(events, outcome, book.seen, book.newest)
    for start in range(0, events.shape[0], _BLOCK):
        stop = min(start + _BLOCK, events.shape[0])
        # loops that only ask are kept short: the more of them the processor has in sight, the more it asks at once
        for i in range(stop - start):
            keys[i] = _row_key(events[start + i])
            hashes[i] = _hash(keys[i])
            prefetch(slot_lines, np.int64(hashes[i] & mask), 0)
        for i in range(stop - start):
            found[i] = _guess(hashes[i], slots)
        for i in range(stop - start):
            prefetch(position, found[i], 0)
            prefetch(position, found[i], _RECEIPT)
            prefetch(position, found[i], _DELIVER)
        for i in range(stop - start):
            event = events[start + i]
            if 0 < event.security < terms.shape[0] and event.kind < _KINDS:
                prefetch(updated_lines, event.security, 0)
                prefetch(mark_lines, event.security, 0)
                for entry in range(entry_counts[event.kind]):
                    prefetch(terms, event.security, entries[event.kind, entry, 0] * TERM_WORDS)
        for i in range(start, stop):
            event = events[i]
            if outcome[i] != APPLIED:
                continue
            at = _check(event, first_in_security.shape[0], first_in_book.shape[0])
            if at == APPLIED and event.op <= _OP_SETTLE_OUT:
                bucket = _bucket(event, market_of[event.security], business_day, today)
                at = _dated(event, bucket)
                buckets[i - start] = max(0, bucket)
            outcome[i] = at
            if at != APPLIED or event.op >= _OP_RESET:
                continue
            key, row = keys[i - start], found[i - start]
            if row >= 0 and position[row, _KEY] == key:
                continue
            row, slot = _find(key, slots, position)
            if row < 0:
                if rows >= position.shape[0]:
                    return Counts(rows, dirty, missing, i)
                row = np.int64(rows)
                rows += 1
                position[row, _KEY] = key
                position[row, _LINKS] = first_in_security[event.security] | (np.int64(first_in_book[event.book]) << 32)
                slots[slot] = (hashes[i - start] & ~_ROW) | np.uint64(rows)
                first_in_security[event.security] = first_in_book[event.book] = rows
            found[i - start] = row
        for i in range(start, stop):
            if outcome[i] != APPLIED:
                continue
            event = events[i]
            op, security = event.op, np.int64(event.security)
            if op == _OP_RESET:
                dirty = _reset_book(event.book, dirty, mark, position, book)
                continue
            if op == _OP_PRICE:
                price[security] = event.quantity
            else:
                row = found[i - start]
                quantity = -event.quantity if event.flags & _CANCEL and op <= _OP_SETTLE_OUT else event.quantity
                before = _look(position, row)
                traded_today = event.trade_date == today[market_of[security], 0]
                _change(position, row, op, quantity, buckets[i - start], traded_today)
                _feed(before, _look(position, row), terms, security, event.kind, entries, entry_counts)
            if not event.flags & _START_OF_DAY:
                updated_ns[security] = max(updated_ns[security], event.time_ns)
            if dirty_mark[security] != mark:
                dirty_mark[security] = mark
                dirty_ids[dirty] = security
                dirty += 1
    return Counts(rows, dirty, missing, -1)
