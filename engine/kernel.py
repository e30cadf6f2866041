"""The compiled step: a batch of events into rows, terms and dirty marks (domain.md 2 and 3).

Three passes over a block of events that fits the cache: the first asks memory for the index slots, the second finds or makes
the rows and asks for their cache lines, the third applies. Memory answers many questions at once, so the passes hide most
of its latency.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import later
from engine.events import EventArray
from engine.model import (
    DYNAMIC,
    HEAD_FACTS,
    HEAD_MARK,
    HEAD_TOUCHED,
    HEAD_UPDATED,
    LATER,
    MAINTAINED,
    TERM_WORDS,
    TOUCHES,
    TOUCHES_ALL,
    Fact,
    Flag,
    Kind,
    Op,
)
from engine.prefetch import prefetch
from engine.recognise import APPLIED, BAD_FIELD, BAD_QUANTITY, NO_SETTLEMENT, PAST_SETTLEMENT
from engine.row import DELIVER, KEY, LINKS, RECEIPT, TD, change, feed, has_later, look

MAX_QUANTITY: Final = 10**15
"""Beyond this a quantity is an error of its source; sums of rows stay far inside int64 and exact in a browser."""
_BLOCK: Final = 256
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}

_PRICE: Final = HEAD_FACTS + Fact.PRICE.value

_OP_SETTLE_IN, _OP_SETTLE_OUT, _OP_SET = Op.SETTLE_RECEIPT.value, Op.SETTLE_DELIVERY.value, Op.SET.value
_OP_CA, _OP_TD, _OP_DECREASE = Op.SET_CA_PENDING.value, Op.SET_TD.value, Op.DECREASE.value
_OP_BUY, _OP_INCREASE = Op.BUY.value, Op.INCREASE.value
_OP_RESET, _OP_PRICE, _FIRST_QUOTE = Op.RESET_BOOK.value, Op.PRICE.value, Op.CLOSE.value
_LAST_OP: Final = max(Op).value
_QUOTED: Final = HEAD_FACTS + Fact.CLOSE.value - _FIRST_QUOTE
"""From the number of an operation after SET_TD to the word of the fact it replaces."""
_CANCEL, _START_OF_DAY, _QUANTO = Flag.CANCEL.value, Flag.START_OF_DAY.value, Flag.QUANTO.value
_PART: Final = Flag.PART.value
_FIRST_EXTERNAL, _LAST_EXTERNAL = Kind.EXTERNAL_EXCLUSIVE.value, Kind.DEPOT.value
_KINDS: Final = len(Kind)
_LOW: Final = np.int64(0xFFFFFFFF)
_ROW: Final = np.uint64(0xFFFFFFFF)


class Counts(NamedTuple):
    """What a batch did. `stopped_at` is the index of the first event for which there was no room left, or -1."""

    rows: int
    dirty: int
    unclassified: int
    """Rows made without a class: none of their attributes' combination is known yet, and they feed nothing so far."""
    stopped_at: int


class Book(NamedTuple):
    """The arrays the kernel works on; see `engine.tables` for shapes. `position` is viewed as (rows, 24) words."""

    position: NDArray[np.int64]
    slots: NDArray[np.uint64]
    """The hash: by slot the upper half of the key's hash, and row number + 1; 0 for none."""
    first_in_security: NDArray[np.int32]
    first_in_book: NDArray[np.int32]
    terms: NDArray[np.int64]
    """(securities, components * TERM_WORDS): the whole cache line of each sum."""
    head: NDArray[np.int64]
    """(securities, HEAD_WORDS): time of the last change, mark of the last batch, touched components, facts."""
    market_of: NDArray[np.uint8]
    business_day: NDArray[np.int32]
    today: NDArray[np.int32]
    """Per market: the business day it is, the date of `business_day`'s first column, today's ordinal, quanto days."""
    row_class: NDArray[np.uint16]
    entries: NDArray[np.int64]
    """(classes, most, ENTRY_WORDS): see `engine.row`; class 0 feeds nothing."""
    counts: NDArray[np.int64]
    """(classes, COUNT_WORDS)"""
    combinations: NDArray[np.uint64]
    """(2**k, 2): a hash from a combination of attribute groups to its class + 1; see `engine.classes`."""
    security_group: NDArray[np.int32]
    book_group: NDArray[np.int32]
    depot_group: NDArray[np.int32]
    unclassified: NDArray[np.int32]
    later_head: NDArray[np.int32]
    later_nodes: NDArray[np.void]
    later_counters: NDArray[np.int64]
    dirty: NDArray[np.int32]


@nb.njit(**_INLINE)
def hash_of(key: np.int64) -> np.uint64:
    """Where the search for a key begins."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))


@nb.njit(**_INLINE)
def key_of(event: Any) -> np.int64:
    """The key of an event's row, as `engine.model.row_key` makes it."""
    low = (np.int64(event.book) << 24) | (np.int64(event.depot) << 8) | np.int64(event.kind)
    return np.int64((np.int64(event.security) << 40) | low)


@nb.njit(**_JIT)
def move_quanto(
    events: EventArray, market_of: NDArray[np.uint8], business_day: NDArray[np.int32], today: NDArray[np.int32]
) -> None:
    """Quanto trades dated for the business day after the trade settle so many business days later as their market says."""
    last = business_day.shape[1] - 1
    for i in range(events.shape[0]):
        event = events[i]
        if event.flags & _QUANTO == 0 or not 0 < event.security < market_of.shape[0] or event.op > _OP_SETTLE_OUT:
            continue
        market = market_of[event.security]
        at, traded = event.settle_date - today[market, 1], event.trade_date - today[market, 1]
        if at < 0 or traded < 0 or at >= last or business_day[market, at] - business_day[market, traded] != 1:
            continue
        for _ in range(today[market, 3]):
            while at < last and business_day[market, at + 1] == business_day[market, at]:
                at += 1
            at = min(at + 1, last)
        event.settle_date = at + today[market, 1]


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
def is_quote(op: int) -> bool:
    """Whether an operation replaces a number of the security, and names no row."""
    return bool(op == _OP_PRICE or op >= _FIRST_QUOTE)


@nb.njit(**_INLINE)
def _check(event: Any, securities: int, books: int) -> int:
    """The outcome of an event, its settlement date apart."""
    op, quantity = event.op, event.quantity
    if op > _LAST_OP or event.kind >= _KINDS:
        return BAD_FIELD
    if op != _OP_RESET and not 0 < event.security < securities:
        return BAD_FIELD
    if not is_quote(op) and not 0 < event.book < books:
        return BAD_FIELD
    least = -MAX_QUANTITY if op in (_OP_SET, _OP_CA, _OP_TD) else 0
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


@nb.njit(**_JIT)
def judge(event: Any, book: Book) -> int:
    """What `apply` will make of an event."""
    at: int = _check(event, book.first_in_security.shape[0], book.first_in_book.shape[0])
    if at == APPLIED and event.op <= _OP_SETTLE_OUT:
        at = _dated(event, _bucket(event, book.market_of[event.security], book.business_day, book.today))
    return at


@nb.njit(**_JIT)
def stand_together(events: EventArray, outcome: NDArray[np.uint8], book: Book) -> None:
    """An event and its parts have one outcome: that of the first of them that cannot be applied."""
    head = 0
    for i in range(events.shape[0]):
        if events[i].flags & _PART == 0:
            head = i
        if outcome[head] == APPLIED:
            outcome[head] = judge(events[i], book)
    for i in range(1, events.shape[0]):
        if events[i].flags & _PART:
            outcome[i] = outcome[i - 1]


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
    at = hash_of(key) & mask
    while True:
        row = np.int64(slots[at] & _ROW) - 1
        if row < 0 or position[row, KEY] == key:
            return row, at
        at = (at + np.uint64(1)) & mask


@nb.njit(**_INLINE)
def combination(kind: int, security_group: int, book_group: int, depot_group: int) -> np.int64:
    """What decides a row's class, in 64 bits, as `engine.model.row_key` packs ids."""
    low = (np.int64(book_group) << 24) | (np.int64(depot_group) << 8) | np.int64(kind)
    return np.int64((np.int64(security_group) << 40) | low)


@nb.njit(**_INLINE)
def class_of(combined: np.int64, combinations: NDArray[np.uint64]) -> np.int64:
    """The class of a combination; 0 where it is not known."""
    mask = np.uint64(combinations.shape[0] - 1)
    at = hash_of(combined) & mask
    while combinations[at, 1] != 0 and combinations[at, 0] != np.uint64(combined):
        at = (at + np.uint64(1)) & mask
    return max(np.int64(combinations[at, 1]) - 1, np.int64(0))


@nb.njit(**_JIT)
def _reset_book(number: int, dirty: int, mark: int, book: Book) -> int:
    """Empty the book's own rows; what lenders and custodians state is not part of its snapshot."""
    position = book.position
    at = np.int64(book.first_in_book[number])
    while at:
        row = at - 1
        kind, security = position[row, KEY] & 0xFF, position[row, KEY] >> 40
        if kind < _FIRST_EXTERNAL or kind > _LAST_EXTERNAL:
            before, of_class = look(position, row), np.int64(book.row_class[row])
            nothing = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
            feed(before, nothing, book.terms, security, book.entries, of_class, book.counts[of_class, MAINTAINED])
            if has_later(position, row):
                later.clear(row, book.later_head, book.later_nodes, book.later_counters)
            for word in range(TD, position.shape[1]):
                position[row, word] = 0
            if book.head[security, HEAD_MARK] != mark:
                book.head[security, HEAD_MARK] = mark
                book.dirty[dirty] = security
                dirty += 1
        at = (position[row, LINKS] >> 32) & _LOW
    return dirty


@nb.njit(**_JIT)
def _keep_dates(late: NDArray[np.int64], count: int, book: Book) -> bool:
    """Carry out what was put off: (row, date, receipt, delivery), or date -1 to forget a row's dates. False: no room."""
    head, nodes, counters = book.later_head, book.later_nodes, book.later_counters
    for i in range(count):
        row, date = late[i, 0], late[i, 1]
        if date < 0:
            later.clear(row, head, nodes, counters)
        elif not later.add(row, date, late[i, 2], late[i, 3], head, nodes, counters):
            return False
    return True


@nb.njit(**_JIT)
def apply(events: EventArray, outcome: NDArray[np.uint8], rows: int, mark: int, dirty: int, book: Book) -> Counts:
    """Apply those of `events` whose `outcome` is APPLIED, in order. `rows` is the number of rows so far; `mark` a number no
    batch had before, `dirty` how many securities this batch has marked with it already."""
    position, slots, terms, market_of, head = book.position, book.slots, book.terms, book.market_of, book.head
    business_day, today, dirty_ids, row_class = book.business_day, book.today, book.dirty, book.row_class
    entries, counts, combinations = book.entries, book.counts, book.combinations
    first_in_security, first_in_book = book.first_in_security, book.first_in_book
    security_group, book_group, depot_group = book.security_group, book.book_group, book.depot_group
    without_class = book.unclassified
    found, buckets = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    keys, hashes = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.uint64)
    slot_lines, class_lines = slots.reshape(-1, 1), row_class.reshape(-1, 1)
    mask = np.uint64(slots.shape[0] - 1)
    # what moves the dates of later settlements is rare and put off to the end: calls in the hot loop are dear
    late = np.empty((events.shape[0], 4), np.int64)
    unclassified = put_off = 0
    room = True
    for start in range(0, events.shape[0], _BLOCK):
        stop = min(start + _BLOCK, events.shape[0])
        # loops that only ask are kept short: the more of them the processor has in sight, the more it asks at once
        for i in range(stop - start):
            keys[i] = key_of(events[start + i])
            hashes[i] = hash_of(keys[i])
            prefetch(slot_lines, np.int64(hashes[i] & mask), 0)
        for i in range(stop - start):
            found[i] = _guess(hashes[i], slots)
        for i in range(stop - start):
            prefetch(position, found[i], 0)
            prefetch(position, found[i], RECEIPT)
            prefetch(position, found[i], DELIVER)
            prefetch(class_lines, found[i], 0)
        for i in range(stop - start):
            security = np.int64(events[start + i].security)
            if 0 < security < terms.shape[0]:
                prefetch(head, security, 0)
                if found[i] >= 0:
                    of_class = np.int64(row_class[found[i]])
                    for entry in range(counts[of_class, DYNAMIC]):
                        prefetch(terms, security, entries[of_class, entry, 0] * TERM_WORDS)
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
            if at != APPLIED or event.op == _OP_RESET or is_quote(event.op):
                continue
            key, row = keys[i - start], found[i - start]
            if row >= 0 and position[row, KEY] == key:
                continue
            row, slot = _find(key, slots, position)
            if row < 0:
                if rows >= position.shape[0]:
                    return Counts(rows, dirty, unclassified, i)
                row = np.int64(rows)
                rows += 1
                position[row, KEY] = key
                position[row, LINKS] = first_in_security[event.security] | (np.int64(first_in_book[event.book]) << 32)
                slots[slot] = (hashes[i - start] & ~_ROW) | np.uint64(rows)
                first_in_security[event.security] = first_in_book[event.book] = rows
                of_security, of_book = security_group[event.security], book_group[event.book]
                combined = combination(event.kind, of_security, of_book, depot_group[event.depot])
                of_class = class_of(combined, combinations)
                row_class[row] = of_class
                head[event.security, HEAD_TOUCHED] |= counts[of_class, TOUCHES]
                if of_class == 0:
                    without_class[unclassified] = row
                    unclassified += 1
            found[i - start] = row
        for i in range(start, stop):
            if outcome[i] != APPLIED:
                continue
            event = events[i]
            op, security = event.op, np.int64(event.security)
            if op == _OP_RESET:
                room &= _keep_dates(late, put_off, book)
                put_off = 0
                dirty = _reset_book(event.book, dirty, mark, book)
                continue
            if op == _OP_PRICE:
                head[security, _PRICE] = event.quantity
            elif op >= _FIRST_QUOTE:
                head[security, _QUOTED + op] = event.quantity
            else:
                row = found[i - start]
                quantity = -event.quantity if event.flags & _CANCEL and op <= _OP_SETTLE_OUT else event.quantity
                of_class = np.int64(row_class[row])
                before = look(position, row)
                if op == _OP_SET and has_later(position, row):
                    late[put_off, 0], late[put_off, 1] = row, -1
                    put_off += 1
                traded_today = event.trade_date == today[market_of[security], 0]
                change(position, row, op, quantity, buckets[i - start], traded_today)
                count = counts[of_class, DYNAMIC if op < _OP_SET else MAINTAINED]
                feed(before, look(position, row), terms, security, entries, of_class, count)
                if op > _OP_SET:
                    head[security, HEAD_TOUCHED] |= counts[of_class, TOUCHES_ALL]
                if op <= _OP_SETTLE_OUT and buckets[i - start] == LATER:
                    incoming = op in (_OP_BUY, _OP_INCREASE, _OP_SETTLE_IN)
                    signed = quantity if op < _OP_SETTLE_IN else -quantity
                    late[put_off, 0], late[put_off, 1] = row, event.settle_date
                    late[put_off, 2] = signed if incoming else 0
                    late[put_off, 3] = 0 if incoming else signed
                    put_off += 1
            if not event.flags & _START_OF_DAY:
                head[security, HEAD_UPDATED] = max(head[security, HEAD_UPDATED], event.time_ns)
            if head[security, HEAD_MARK] != mark:
                head[security, HEAD_MARK] = mark
                dirty_ids[dirty] = security
                dirty += 1
    room &= _keep_dates(late, put_off, book)
    return Counts(rows, dirty, unclassified, -1 if room else events.shape[0])
