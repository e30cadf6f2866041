"""The compiled step: a batch of events into rows, terms and dirty marks (domain.md 2 and 3).

Three passes over a block of events that fits the cache: the first asks memory for the index slots, the second finds or makes
the rows and asks for their cache lines, the third applies. Memory answers many questions at once, so the passes hide most
of its latency.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import DAYS, LATER, POSITION, Flag, Kind, Op
from engine.rules import Measure

MAX_QUANTITY: Final = 10**15
"""Beyond this a quantity is an error of its source; sums of rows stay far inside int64 and exact in a browser."""
WINDOW: Final = 1 << 24
"""Sequence numbers per source over which duplicates are known."""
_BLOCK: Final = 256
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

# columns of POSITION as 64-bit words
_WORD: Final = {name: offset[1] // 8 for name, offset in (POSITION.fields or {}).items()}
_KEY, _LINKS, _TD, _SD = _WORD["key"], _WORD["next_in_security"], _WORD["td"], _WORD["sd"]
_FREE, _HYPOTHECATED, _SEGREGATED = _WORD["hypothecatable"], _WORD["hypothecated"], _WORD["segregated"]
_RESERVED, _RECEIPT, _DELIVER, _CA = _WORD["reserved"], _WORD["receipt"], _WORD["deliver"], _WORD["ca_pending"]
_BUY, _SELL, _SHORT = _WORD["intraday_buy"], _WORD["intraday_sell"], _WORD["intraday_short"]
_LONG_M, _SHORT_M, _FREE_M = Measure.LONG.value, Measure.SHORT.value, Measure.FREE.value
_RESERVED_M, _CA_M = Measure.RESERVED.value, Measure.CA_PENDING.value
_OP_BUY, _OP_SELL, _OP_SHORT = Op.BUY.value, Op.SELL.value, Op.SHORT_SELL.value
_OP_INCREASE, _OP_DECREASE = Op.INCREASE.value, Op.DECREASE.value
_OP_SETTLE_IN, _OP_SETTLE_OUT, _OP_SET = Op.SETTLE_RECEIPT.value, Op.SETTLE_DELIVERY.value, Op.SET.value
_OP_FREE, _OP_HYPOTHECATED, _OP_SEGREGATED = (
    Op.SET_HYPOTHECATABLE.value,
    Op.SET_HYPOTHECATED.value,
    Op.SET_SEGREGATED.value,
)
_OP_RESERVED, _OP_CA = Op.SET_RESERVED.value, Op.SET_CA_PENDING.value
_OP_RESET, _OP_PRICE = Op.RESET_BOOK.value, Op.PRICE.value
_CANCEL, _START_OF_DAY = Flag.CANCEL.value, Flag.START_OF_DAY.value
_FIRST_EXTERNAL, _LAST_EXTERNAL = Kind.EXTERNAL_EXCLUSIVE.value, Kind.DEPOT.value
_KINDS: Final = len(Kind)
_LOW: Final = np.int64(0xFFFFFFFF)


class Counts(NamedTuple):
    """What a batch did. `stopped_at` is the index of the first event for which there was no row left, or -1."""

    rows: int
    dirty: int
    missing: int
    stopped_at: int


class Book(NamedTuple):
    """The arrays the kernel works on; see `engine.tables` for shapes. `position` is viewed as (rows, 24) words."""

    position: NDArray[np.int64]
    index: NDArray[np.int32]
    first_in_security: NDArray[np.int32]
    first_in_book: NDArray[np.int32]
    terms: NDArray[np.int64]
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


@intrinsic
def _prefetch(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """Ask memory for `array[row, column]` without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = context.make_array(signature.args[0])(context, builder, args[0])
        strides = cgutils.unpack_tuple(builder, parts.strides)
        address = builder.ptrtoint(parts.data, ir.IntType(64))
        for i in (0, 1):
            address = builder.add(address, builder.mul(args[1 + i], strides[i]))
        pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, integer(1), integer(3), integer(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@nb.njit(**_JIT)
def _slot(key: int, mask: int) -> int:
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@nb.njit(**_JIT)
def _row_key(event: Any) -> int:
    low = (np.int64(event.book) << 24) | (np.int64(event.depot) << 8) | np.int64(event.kind)
    return (np.int64(event.security) << 40) | low


@nb.njit(**_JIT)
def _known(seen: NDArray[np.uint64], newest: NDArray[np.int64], source: int, seq: int) -> tuple[int, int]:
    """Remember (source, seq). Returns its outcome and by how much the count of missing numbers changes."""
    last = newest[source]
    if seq > last:
        if seq - last >= WINDOW:
            seen[source, :] = 0
        else:
            for skipped in range(last + 1, seq + 1):
                at = skipped & (WINDOW - 1)
                seen[source, at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))
        newest[source] = seq
        missing = seq - last - 1
    elif seq <= last - WINDOW or seq < 1:
        return TOO_OLD, 0
    else:
        missing = -1
    at = seq & (WINDOW - 1)
    bit = np.uint64(1) << np.uint64(at & 63)
    if seen[source, at >> 6] & bit:
        return DUPLICATE, 0
    seen[source, at >> 6] |= bit
    return APPLIED, missing


@nb.njit(**_JIT)
def _bucket(event: Any, book: Book) -> int:
    """The ladder bucket of the event's settlement date; -1 without a usable date, -2 where it is past."""
    if event.settle_date < 0:
        return -1
    market = book.market_of[event.security]
    at = event.settle_date - book.today[market, 1]
    if at < 0:
        return -2
    if at >= book.business_day.shape[1]:
        return LATER
    days = book.business_day[market, at] - book.today[market, 2]
    return min(days, LATER) if days >= 0 else -2


@nb.njit(**_JIT)
def _check(event: Any, book: Book) -> tuple[int, int]:
    """The outcome an event would have, and its ladder bucket."""
    op, quantity = event.op, event.quantity
    if op > _OP_PRICE or event.kind >= _KINDS:
        return BAD_FIELD, 0
    if op == _OP_RESET:
        return (APPLIED if 0 < event.book < book.first_in_book.shape[0] else BAD_FIELD), 0
    if not 0 < event.security < book.first_in_security.shape[0]:
        return BAD_FIELD, 0
    if quantity > MAX_QUANTITY or quantity < -MAX_QUANTITY:
        return BAD_QUANTITY, 0
    if quantity < 0 and op not in (_OP_SET, _OP_CA):
        return BAD_QUANTITY, 0
    if op == _OP_PRICE:
        return APPLIED, 0
    if not 0 < event.book < book.first_in_book.shape[0]:
        return BAD_FIELD, 0
    if op > _OP_SETTLE_OUT:
        return APPLIED, 0
    bucket = _bucket(event, book)
    if bucket == -1:
        return NO_SETTLEMENT, 0
    if bucket == -2:
        # a late settlement takes what was left due out of today's bucket
        if op in (_OP_SETTLE_IN, _OP_SETTLE_OUT):
            return APPLIED, 0
        return PAST_SETTLEMENT, 0
    return APPLIED, bucket


@nb.njit(**_JIT)
def _find_or_add(key: int, event: Any, book: Book, rows: int) -> int:
    """The number of the row with `key`; a new row gets the number `rows`; -1 where there is no room."""
    mask = np.int64(book.index.shape[0] - 1)
    at = _slot(key, mask)
    while True:
        row = book.index[at] - 1
        if row < 0:
            break
        if book.position[row, _KEY] == key:
            return row
        at = (at + 1) & mask
    if rows >= book.position.shape[0]:
        return -1
    book.position[rows, _KEY] = key
    links = np.int64(book.first_in_security[event.security]) | (np.int64(book.first_in_book[event.book]) << 32)
    book.position[rows, _LINKS] = links
    book.index[at] = rows + 1
    book.first_in_security[event.security] = rows + 1
    book.first_in_book[event.book] = rows + 1
    return rows


@nb.njit(**_JIT)
def _measure(measure: int, projected: int, row: NDArray[np.int64]) -> int:
    if measure == _LONG_M:
        return max(0, projected)
    if measure == _SHORT_M:
        return max(0, -projected)
    if measure == _FREE_M:
        return min(row[_FREE], max(0, projected))
    if measure == _RESERVED_M:
        return row[_RESERVED]
    return row[_CA]


@nb.njit(**_JIT)
def _contribute(row: NDArray[np.int64], security: int, kind: int, sign: int, book: Book) -> None:
    """Add (sign 1) or take back (sign -1) what the row gives to its security's terms."""
    entries = book.entry_counts[kind]
    projected = row[_SD]
    for day in range(DAYS):
        projected += row[_RECEIPT + day] - row[_DELIVER + day]
        for i in range(entries):
            if (book.entries[kind, i, 2] >> day) & 1:
                given = _measure(book.entries[kind, i, 1], projected, row)
                book.terms[security, book.entries[kind, i, 0], day] += sign * given


@nb.njit(**_JIT)
def _change(row: NDArray[np.int64], op: int, quantity: int, bucket: int, today: bool) -> None:
    """The row after the event (domain.md 2)."""
    if op <= _OP_DECREASE:
        if op in (_OP_BUY, _OP_INCREASE):
            row[_TD] += quantity
            row[_RECEIPT + bucket] += quantity
            row[_BUY] += quantity if op == _OP_BUY and today else 0
        else:
            row[_TD] -= quantity
            row[_DELIVER + bucket] += quantity
            row[_SELL] += quantity if op == _OP_SELL and today else 0
            row[_SHORT] += quantity if op == _OP_SHORT and today else 0
    elif op == _OP_SETTLE_IN:
        row[_RECEIPT + bucket] -= quantity
        row[_SD] += quantity
    elif op == _OP_SETTLE_OUT:
        row[_DELIVER + bucket] -= quantity
        row[_SD] -= quantity
    elif op == _OP_SET:
        row[_RECEIPT : _RECEIPT + LATER + 1] = 0
        row[_DELIVER : _DELIVER + LATER + 1] = 0
        row[_BUY] = row[_SELL] = row[_SHORT] = 0
        row[_TD] = row[_SD] = quantity
    elif op == _OP_FREE:
        row[_FREE] = quantity
    elif op == _OP_HYPOTHECATED:
        row[_HYPOTHECATED] = quantity
    elif op == _OP_SEGREGATED:
        row[_SEGREGATED] = quantity
    elif op == _OP_RESERVED:
        row[_RESERVED] = quantity
    elif op == _OP_CA:
        row[_CA] = quantity


@nb.njit(**_JIT)
def _mark(security: int, dirty: int, mark: int, book: Book) -> int:
    if book.dirty_mark[security] != mark:
        book.dirty_mark[security] = mark
        book.dirty[dirty] = security
        return dirty + 1
    return dirty


@nb.njit(**_JIT)
def _reset_book(number: int, dirty: int, mark: int, book: Book) -> int:
    """Empty the book's own rows; what lenders and custodians state is not part of its snapshot."""
    at = np.int64(book.first_in_book[number])
    while at:
        row = book.position[at - 1]
        kind, security = row[_KEY] & 0xFF, row[_KEY] >> 40
        if kind < _FIRST_EXTERNAL or kind > _LAST_EXTERNAL:
            _contribute(row, security, kind, -1, book)
            row[_TD:] = 0
            dirty = _mark(security, dirty, mark, book)
        at = (row[_LINKS] >> 32) & _LOW
    return dirty


@nb.njit(**_JIT)
def apply(events: EventArray, outcome: NDArray[np.uint8], rows: int, mark: int, book: Book) -> Counts:
    """Apply `events` in order. `rows` is the number of rows so far; `mark` a number no batch had before."""
    found = np.empty(_BLOCK, np.int64)
    buckets = np.empty(_BLOCK, np.int64)
    index = book.index.reshape(-1, 1)
    mask = np.int64(index.shape[0] - 1)
    dirty = missing = 0
    for start in range(0, events.shape[0], _BLOCK):
        stop = min(start + _BLOCK, events.shape[0])
        for i in range(start, stop):
            _prefetch(index, _slot(_row_key(events[i]), mask), 0)
        for i in range(start, stop):
            event = events[i]
            at, gap = np.int64(BAD_FIELD), np.int64(0)
            if 0 < event.source < book.newest.shape[0]:
                at, gap = _known(book.seen, book.newest, event.source, event.seq)
            missing += gap
            bucket = 0
            if at == APPLIED:
                at, bucket = _check(event, book)
            outcome[i], buckets[i - start] = at, bucket
            if at == APPLIED and event.op < _OP_RESET:
                row = _find_or_add(_row_key(event), event, book, rows)
                if row < 0:
                    return Counts(rows, dirty, missing, i)
                rows = max(rows, row + 1)
                found[i - start] = row
                _prefetch(book.position, row, _RECEIPT)
                _prefetch(book.position, row, _DELIVER)
                for term in range(0, book.terms.shape[1], 2):
                    _prefetch(book.terms.reshape(book.terms.shape[0], -1), event.security, term * DAYS)
        for i in range(start, stop):
            if outcome[i] == APPLIED:
                dirty = _apply_one(events[i], found[i - start], buckets[i - start], dirty, mark, book)
    return Counts(rows, dirty, missing, -1)


@nb.njit(**_JIT)
def _apply_one(event: Any, number: int, bucket: int, dirty: int, mark: int, book: Book) -> int:
    op, security = event.op, event.security
    if op == _OP_RESET:
        return _reset_book(event.book, dirty, mark, book)
    if op == _OP_PRICE:
        book.price[security] = event.quantity
    else:
        row = book.position[number]
        quantity = -event.quantity if event.flags & _CANCEL and op <= _OP_SETTLE_OUT else event.quantity
        today = event.trade_date == book.today[book.market_of[security], 0]
        _contribute(row, security, event.kind, -1, book)
        _change(row, op, quantity, bucket, today)
        _contribute(row, security, event.kind, 1, book)
    if not event.flags & _START_OF_DAY:
        book.updated_ns[security] = max(book.updated_ns[security], event.time_ns)
    return _mark(security, dirty, mark, book)
