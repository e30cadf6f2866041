"""The compiled scanner of JSON events in canonical form (feeds/json_events.py has the form and the rules).

It reads eight bytes at a time through a view whose elements overlap, and knows one order of keys, no white space and no
escapes. Whatever it does not recognise, or cannot name, it leaves: it never decides that a record is bad. What it
accepts a strict decoder accepts too, with the same result. The names of 21 ops and 26 kinds are compiled in.
"""
# ruff: noqa: PLR2004  eight bytes to a word, ten digits, twelve months: names would say less

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import NO_DATE, QUOTES, SYMBOL_BYTES, WIRE_FLAGS, Kind, Namespace, Op
from engine.symbols import find

PAD: Final = 64
"""Zero bytes needed behind the last record: more than any primitive looks ahead; none goes on past a zero byte."""

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_U: Final = np.uint64
_LOW: Final = _U(0x0101010101010101)
_HIGH: Final = _U(0x8080808080808080)
_QUOTES: Final = _U(0x2222222222222222)
_ESCAPES: Final = _U(0x5C5C5C5C5C5C5C5C)
_BLANKS: Final = _U(0x2020202020202020)
_ZEROS: Final = _U(0x3030303030303030)
_NIBBLES: Final = _U(0xF0F0F0F0F0F0F0F0)
_SIXES: Final = _U(0x0606060606060606)
_TENS: Final = _U(0x7676767676767676)
_DATE: Final = _U(int.from_bytes(b"0000-00-", "little"))
_HYPHENS: Final = _U(0xFF0000FF00000000)
_DAY: Final = _U(int.from_bytes(b'00"', "little"))
_NULL: Final = _U(int.from_bytes(b"null", "little"))
_INT64_MAX: Final = _U(2**63 - 1)
_ALL_FLAGS: Final = WIRE_FLAGS
_MONTH_ENDS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_SECURITY, _BOOK = _U(Namespace.SECURITY), _U(Namespace.BOOK)
_DEPOT, _SOURCE = _U(Namespace.DEPOT), _U(Namespace.SOURCE)
_RESET_BOOK: Final = int(Op.RESET_BOOK)
_QUOTED: Final = _U(sum(1 << op for op in QUOTES))
"""A bit for each op that names a security and no book."""

_KEYS: Final = (
    b'{"src":"',
    b',"seq":',
    b',"ts":',
    b',"op":"',
    b',"sec":"',
    b',"book":"',
    b',"depot":"',
    b',"kind":"',
    b',"trade":',
    b',"settle":',
    b',"qty":',
    b',"flags":',
    b',"corrects":',
)
_SRC, _SEQ, _TS, _OP, _SEC, _BOOK_KEY, _DEPOT_KEY, _KIND, _TRADE, _SETTLE, _QTY, _FLAGS, _CORRECTS = range(len(_KEYS))


def _literals() -> NDArray[np.uint64]:
    """Of every key: two words, and the masks of the bytes that count. Shape (keys, 4)."""
    rows = [(key.ljust(16, b"\0"), (b"\xff" * len(key)).ljust(16, b"\0")) for key in _KEYS]
    return np.array([np.frombuffer(key + mask, "<u8") for key, mask in rows])


def _names(enum: type[Op] | type[Kind]) -> NDArray[np.uint64]:
    """The names of an enumeration as three words each, in the order of their values."""
    packed = b"".join(member.name.encode().ljust(SYMBOL_BYTES, b"\0") for member in enum)
    return np.frombuffer(packed, "<u8").reshape(-1, 3).copy()


_LITERALS: Final = _literals()
_LENGTHS: Final = np.array([len(key) for key in _KEYS], np.int64)
_OPS: Final = _names(Op)
_KINDS: Final = _names(Kind)


def words_over(joined: bytes) -> NDArray[np.uint64]:
    """Element i is the eight bytes from i on, little endian; `joined` ends with `PAD` zero bytes."""
    return np.ndarray((len(joined) - 7,), "<u8", buffer=joined, strides=(1,))


@nb.njit(**_JIT)
def _key(words: Any, at: int, key: int) -> Any:
    """The position behind the key, or -1. So do all that follow; each takes -1 as the failure before it."""
    if at < 0 or (words[at] ^ _LITERALS[key, 0]) & _LITERALS[key, 2]:
        return -1
    if _LENGTHS[key] > 8 and (words[at + 8] ^ _LITERALS[key, 1]) & _LITERALS[key, 3]:
        return -1
    return at + _LENGTHS[key]


@nb.njit(**_JIT)
def _part(word: Any) -> tuple[Any, Any]:
    """The bytes of a word before its first quote, and how many (8: there is none; -1: it needs a real parser)."""
    quote = word ^ _QUOTES
    escape = word ^ _ESCAPES
    quotes = (quote - _LOW) & ~quote
    odd = ((escape - _LOW) & ~escape) | ((word - _BLANKS) & ~word) | word
    stops = (quotes | odd) & _HIGH
    if stops == 0:
        return word, 8
    first = stops & (~stops + _U(1))
    count = np.int64((((first - _U(1)) & _LOW) * _LOW) >> _U(56)) - 1
    if (word >> _U(8 * count)) & _U(0xFF) != _U(0x22):
        return word, -1
    return word & ((first >> _U(7)) - _U(1)), count


@nb.njit(**_JIT)
def _text(words: Any, at: int) -> tuple[Any, Any, Any, int]:
    """A code of up to 24 plain ASCII bytes as three words; behind its closing quote."""
    zero = _U(0)
    if at < 0:
        return zero, zero, zero, -1
    a, count = _part(words[at])
    if count < 8:
        return a, zero, zero, (at + count + 1 if count >= 0 else -1)
    b, count = _part(words[at + 8])
    if count < 8:
        return a, b, zero, (at + count + 9 if count >= 0 else -1)
    c, count = _part(words[at + 16])
    if count < 8:
        return a, b, c, (at + count + 17 if count >= 0 else -1)
    return a, b, c, (at + 25 if words[at + 24] & _U(0xFF) == _U(0x22) else -1)


@nb.njit(**_JIT)
def _eight_digits(word: Any) -> Any:
    """The number that eight digits write."""
    word = (word & _U(0x0F0F0F0F0F0F0F0F)) * _U(2561) >> _U(8)
    word = (word & _U(0x00FF00FF00FF00FF)) * _U(6553601) >> _U(16)
    return (word & _U(0x0000FFFF0000FFFF)) * _U(42949672960001) >> _U(32)


@nb.njit(**_JIT)
def _integer(words: Any, at: int) -> tuple[Any, int]:
    """An int64 without leading zeros, without "-0"."""
    if at < 0:
        return 0, -1
    negative = words[at] & _U(0xFF) == _U(0x2D)
    begin = at + 1 if negative else at
    at = begin
    value = _U(0)
    word = words[at]
    while at - begin < 16 and word & _NIBBLES == _ZEROS and (word + _SIXES) & _NIBBLES == _ZEROS:
        value = value * _U(100_000_000) + _eight_digits(word)
        at += 8
        word = words[at]
    digit = (word & _U(0xFF)) - _U(0x30)
    while digit <= _U(9) and at - begin < 20:
        value = value * _U(10) + digit
        at += 1
        digit = (words[at] & _U(0xFF)) - _U(0x30)
    count = at - begin
    leading_zero = words[begin] & _U(0xFF) == _U(0x30) and (count > 1 or negative)
    if count == 0 or count > 19 or leading_zero or value > _INT64_MAX:
        return 0, -1
    return (-np.int64(value) if negative else np.int64(value)), at


@nb.njit(**_JIT)
def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date from that day on; -1 where there is no such date."""
    if year < 1970 or month < 1 or month > 12 or day < 1:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _MONTH_ENDS[month - 1] + (1 if leap and month == 2 else 0):
        return -1
    shifted = year - 1 if month <= 2 else year
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468


@nb.njit(**_JIT)
def _date(words: Any, at: int) -> tuple[int, int]:
    """An ISO date in quotes as days since 1970-01-01, or null as `NO_DATE`."""
    if at < 0:
        return 0, -1
    if words[at] & _U(0xFFFFFFFF) == _NULL:
        return NO_DATE, at + 4
    date = words[at + 1] ^ _DATE
    tail = (words[at + 9] ^ _DAY) & _U(0xFFFFFF)
    odd = (date | (date + _TENS) | tail | (tail + _TENS)) & _HIGH
    if words[at] & _U(0xFF) != _U(0x22) or odd or date & _HYPHENS or tail > _U(0xFFFF):
        return 0, -1
    year = np.int64(date & _U(0xFF)) * 1000 + np.int64(date >> _U(8) & _U(0xFF)) * 100
    year += np.int64(date >> _U(16) & _U(0xFF)) * 10 + np.int64(date >> _U(24) & _U(0xFF))
    month = np.int64(date >> _U(40) & _U(0xFF)) * 10 + np.int64(date >> _U(48) & _U(0xFF))
    days = days_of(year, month, np.int64(tail & _U(0xFF)) * 10 + np.int64(tail >> _U(8)))
    return days, (at + 12 if days >= 0 else -1)


@nb.njit(**_JIT)
def _named(names: Any, a: Any, b: Any, c: Any) -> int:
    """The value of a name of `names`; -1 where there is none."""
    for value in range(names.shape[0]):
        if names[value, 0] == a and names[value, 1] == b and names[value, 2] == c:
            return value
    return -1


@nb.njit(**_JIT)
def _ends(words: Any, at: int, end: int) -> tuple[int, int, bool]:
    """The flags and what is corrected (0 where left out), and whether the record ends where it must."""
    flags, corrects = 0, 0
    if at >= 0 and words[at] & _U(0xFF) == _U(0x2C):
        flags, at = _integer(words, _key(words, at, _FLAGS))
        if at >= 0 and words[at] & _U(0xFF) == _U(0x2C):
            corrects, at = _integer(words, _key(words, at, _CORRECTS))
            if corrects < 1:
                at = -1
    ends = at == end - 1 and words[at] & _U(0xFF) == _U(0x7D)
    return flags, corrects, ends and 0 <= flags <= _ALL_FLAGS


@nb.njit(**_JIT)
def _record(words: Any, at: int, end: int, table: Any, event: Any, ops: Any, kinds: Any) -> Any:
    """Fill `event` from the record in [at, end); returns what it corrects (0: nothing), or -1, with `event` in any state,
    where it was not recognised."""
    src_a, src_b, src_c, at = _text(words, _key(words, at, _SRC))
    seq, at = _integer(words, _key(words, at, _SEQ))
    time_ns, at = _integer(words, _key(words, at, _TS))
    op_a, op_b, op_c, at = _text(words, _key(words, at, _OP))
    sec_a, sec_b, sec_c, at = _text(words, _key(words, at, _SEC))
    book_a, book_b, book_c, at = _text(words, _key(words, at, _BOOK_KEY))
    depot_a, depot_b, depot_c, at = _text(words, _key(words, at, _DEPOT_KEY))
    kind_a, kind_b, kind_c, at = _text(words, _key(words, at, _KIND))
    trade, at = _date(words, _key(words, at, _TRADE))
    settle, at = _date(words, _key(words, at, _SETTLE))
    quantity, at = _integer(words, _key(words, at, _QTY))
    flags, corrects, ends = _ends(words, at, end)
    op = _named(_OPS, op_a, op_b, op_c)
    kind = _named(_KINDS, kind_a, kind_b, kind_c)
    if not ends or op < 0 or kind < 0 or seq < 1 or time_ns < 0:
        return -1
    if (ops >> _U(op)) & _U(1) == 0 or (kinds >> _U(kind)) & _U(1) == 0:
        return -1
    quoted = (_QUOTED >> _U(op)) & _U(1) != 0
    if (sec_a == 0) != (op == _RESET_BOOK) or (book_a == 0) != quoted:
        return -1
    if depot_a != 0 and (op == _RESET_BOOK or quoted):
        return -1
    source = find(table, src_a, src_b, src_c, _SOURCE)
    security = 0 if sec_a == 0 else find(table, sec_a, sec_b, sec_c, _SECURITY)
    book = 0 if book_a == 0 else find(table, book_a, book_b, book_c, _BOOK)
    depot = 0 if depot_a == 0 else find(table, depot_a, depot_b, depot_c, _DEPOT)
    unnamed = (sec_a != 0 and security == 0) or (book_a != 0 and book == 0) or (depot_a != 0 and depot == 0)
    if source == 0 or unnamed:
        return -1
    event.seq, event.time_ns, event.quantity = seq, time_ns, quantity
    event.security, event.source, event.book, event.depot = security, source, book, depot
    event.trade_date, event.settle_date = trade, settle
    event.op, event.kind, event.flags = op, kind, flags
    return corrects


@nb.njit(**_JIT)
def scan(words: Any, ends: Any, table: Any, events: Any, corrects: Any, permitted: Any) -> tuple[int, int]:
    """Fill `events[i]` and `corrects[i]` from the record that ends at `ends[i]` (it begins where the one before ends).

    `words`: see `words_over`; `table`: `Symbols.table`; `events`: dtype `EVENT`; `corrects`: int64, the number of the event
    that a record corrects, 0 for none, -1 where the record is left; `permitted`: a bit for each op, a bit for each kind.
    Returns how many are left, and how many correct something.
    """
    left, correcting, begin = 0, 0, 0
    ops, kinds = permitted
    for i in range(ends.shape[0]):
        found = _record(words, begin, ends[i], table, events[i], ops, kinds)
        corrects[i] = found
        left += found < 0
        correcting += found > 0
        begin = ends[i]
    return left, correcting
