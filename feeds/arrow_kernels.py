"""The compiled half of Arrow decoding (feeds/arrow_events.py): codes in UTF-8 buffers -> ids, columns -> events.

Buffers come from outside, so every index and offset is checked before it is followed. That there
are 21 ops and 26 kinds is compiled in.
"""

from typing import Any, Final

import numba as nb
import numpy as np

from engine.model import NO_DATE, QUOTES, SYMBOL_BYTES, WIRE_FLAGS, Kind, Op
from engine.symbols import find

UNKNOWN: Final = -1
"""Instead of an id: the code is in no table. 0 stands for the empty code."""
BROKEN: Final = -2
"""Instead of an id: an offset or an index leads outside of its buffer."""

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_U: Final = np.uint64
_OPS: Final = len(Op)
_KINDS: Final = len(Kind)
_ALL_FLAGS: Final = WIRE_FLAGS
_RESET_BOOK: Final = int(Op.RESET_BOOK)
_QUOTED: Final = _U(sum(1 << op for op in QUOTES))

GOOD, INVALID, NO_SOURCE, NO_SECURITY, NO_BOOK, NO_DEPOT, DAMAGED, FORBIDDEN = range(8)
"""What `fill` says of a row."""


@nb.njit(**_JIT, inline="always")
def _word(data: Any, begin: int, end: int) -> tuple[Any, bool]:
    """Up to eight bytes data[begin:end], padded with zeros, and whether one of them is zero itself."""
    word, zero = _U(0), False
    for at in range(min(end, begin + 8) - 1, begin - 1, -1):
        byte = _U(data[at])
        word = word << _U(8) | byte
        zero |= byte == _U(0)
    return word, zero


@nb.njit(**_JIT, inline="always")
def _id_of(data: Any, begin: int, end: int, table: Any, namespace: Any) -> Any:
    """The id of the code data[begin:end]; 0 for the empty one, `UNKNOWN` for one that is in no table."""
    if begin == end:
        return 0
    if end - begin > SYMBOL_BYTES:
        return UNKNOWN
    a, zero_a = _word(data, begin, end)
    b, zero_b = _word(data, begin + 8, end)
    c, zero_c = _word(data, begin + 16, end)
    if zero_a or zero_b or zero_c:  # codes are padded with zeros: "A\0" is not "A"
        return UNKNOWN
    return find(table, a, b, c, namespace) or UNKNOWN


@nb.njit(**_JIT)
def name_all(offsets: Any, data: Any, table: Any, namespace: Any, ids: Any) -> None:
    """Ids of the codes that `offsets` (n + 1) cut out of `data`, into `ids` (n); `BROKEN` where an offset leads outside."""
    for i in range(ids.shape[0]):
        begin, end = np.int64(offsets[i]), np.int64(offsets[i + 1])
        if begin < 0 or end < begin or end > data.shape[0]:
            ids[i] = BROKEN
        else:
            ids[i] = _id_of(data, begin, end, table, namespace)


@nb.njit(**_JIT)
def take(indices: Any, ends: Any, named: Any, named_ends: Any, ids: Any) -> None:
    """Ids of rows by dictionary: `ids[i] = named[indices[i]]`, where each record has its own part of both.

    Record r has the rows up to `ends[r]` and the entries up to `named_ends[r]`. `BROKEN` where an index leads outside.
    """
    row, first = 0, 0
    for record in range(ends.shape[0]):
        size = named_ends[record] - first
        for i in range(row, ends[record]):
            index = indices[i]
            ids[i] = named[first + index] if 0 <= index < size else BROKEN
        row, first = ends[record], named_ends[record]


@nb.njit(**_JIT)
def verdict_of(
    op: int, kind: int, flags: int, dates: Any, source: int, security: int, book: int, depot: int, permitted: Any
) -> int:
    """What is wrong with an event; ids as `name_all` gives them. The rules are those of JSON events."""
    if min(source, security, book, depot) == BROKEN:
        return DAMAGED
    if op >= _OPS or kind >= _KINDS or flags > _ALL_FLAGS or dates[0] < NO_DATE or dates[1] < NO_DATE or source == 0:
        return INVALID
    if (permitted[0] >> _U(op)) & _U(1) == 0 or (permitted[1] >> _U(kind)) & _U(1) == 0:
        return FORBIDDEN
    quoted = (_QUOTED >> _U(op)) & _U(1) != 0
    if (security == 0) != (op == _RESET_BOOK) or (book == 0) != quoted:
        return INVALID
    if depot != 0 and (op == _RESET_BOOK or quoted):
        return INVALID
    if source < 0:
        return NO_SOURCE
    if security < 0:
        return NO_SECURITY
    if book < 0:
        return NO_BOOK
    return NO_DEPOT if depot < 0 else GOOD


@nb.njit(**_JIT)
def fill(numbers: Any, codes: Any, dates: Any, place: Any, permitted: Any, events: Any, verdicts: Any) -> int:
    """Write rows to `events` and what is wrong with each to `verdicts`; returns how many are not `GOOD`.

    `numbers`: the columns seq, ts, qty, op, kind, flags; `codes`: ids of source, security, book, depot; `dates`: days and
    validity bitmap (empty: all valid) of trade, then of settle; `place`: of each record the end of its rows, its partition
    and offset, then topic and time of receipt; `permitted`: a bit for each op, a bit for each kind.
    """
    # arrays are not passed on inside the loop: the compiler would count references to them, at twice the whole cost
    seq, time_ns, quantity, op, kind, flags = numbers
    source, security, book, depot = codes
    trade, trade_valid, settle, settle_valid = dates
    ends, partitions, offsets, topic, received_ns = place
    bad, record = 0, 0
    for i in range(events.shape[0]):
        while i >= ends[record]:
            record += 1
        event = events[i]
        trades = trade_valid.shape[0] == 0 or (trade_valid[i >> 3] >> (i & 7)) & 1
        settles = settle_valid.shape[0] == 0 or (settle_valid[i >> 3] >> (i & 7)) & 1
        # a date before 1970 must not be taken for none
        trade_date = (trade[i] if trade[i] >= 0 else NO_DATE - 1) if trades else NO_DATE
        settle_date = (settle[i] if settle[i] >= 0 else NO_DATE - 1) if settles else NO_DATE
        verdict = verdict_of(
            op[i],
            kind[i],
            flags[i],
            (trade_date, settle_date),
            source[i],
            security[i],
            book[i],
            depot[i],
            permitted,
        )
        if verdict != DAMAGED and (seq[i] < 1 or time_ns[i] < 0):
            verdict = INVALID
        event.seq, event.time_ns, event.quantity = seq[i], time_ns[i], quantity[i]
        event.op, event.kind, event.flags = op[i], kind[i], flags[i]
        event.trade_date, event.settle_date = trade_date, settle_date
        event.source, event.security = max(source[i], 0), max(security[i], 0)
        event.book, event.depot = max(book[i], 0), max(depot[i], 0)
        event.partition, event.offset = partitions[record], offsets[record]
        event.topic, event.received_ns = topic, received_ns
        verdicts[i] = verdict
        bad += verdict != GOOD
    return bad
