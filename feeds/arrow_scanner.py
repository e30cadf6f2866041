"""The compiled reader of Arrow records in the form that most have (feeds/arrow_events.py has the forms and the rules).

It cuts a record into its messages and reads columns where they lie; it knows streams of little-endian version 5, uncompressed,
with one batch and whole dictionaries before it. Whatever it does not recognise, or is not good in every row, it leaves: it
never decides that a record is bad. What it accepts a strict decoder reads with the same result,
but for damage in places that no event is made of: those it does not look at.

Bytes come from outside, so every position is checked before it is followed.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import NO_DATE, SYMBOL_BYTES
from engine.symbols import find
from feeds.arrow_kernels import BROKEN, GOOD, UNKNOWN, verdict_of

PAD: Final = 64
"""Zero bytes needed behind the last record: more than a code reaches."""
CODES, COLUMNS = 4, 12
"""Columns: source, security, book, depot; seq, ts, qty; op, kind, flags; trade, settle."""
WIDTH: Final = np.array([4, 4, 4, 4, 8, 8, 8, 1, 1, 1, 4, 4])
"""Bytes of a value; of a code those of its index or its offset."""
DATA, VALID, ENTRIES, CUTS, TEXTS, SIZE = range(6)
"""Of a column in `lay_out`: its values (of plain codes -1), its validity (-1: all are), and of codes how many there are to cut
out of how many bytes, and where cuts and bytes are."""
FOUND: Final = 6
LEFT: Final = -1
"""Instead of a number of rows: not for here."""

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_U: Final = np.uint64
_LOW: Final = _U(0x0101010101010101)
_HIGH: Final = _U(0x8080808080808080)
_ALL: Final = _U(0xFFFFFFFFFFFFFFFF)
_CONTINUES: Final = 0xFFFFFFFF
_VERSION: Final = 4
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_WORD, _ALIGN = 8, 8
_0, _1, _2, _3, _4 = (np.int64(number) for number in range(5))
_BYTE, _SHORT, _INT, _LONG, _STRUCT = (np.int64(size) for size in (1, 2, 4, 8, 16))
"""Numbers of fields and sizes, of one type: for literals a kernel would be compiled again with each of them. A node is a
struct, and so is a buffer."""


@nb.njit(**_JIT)
def _read(data: Any, at: int, width: int) -> Any:
    """A number of up to eight bytes."""
    value = np.int64(0)
    for i in range(width):
        value |= np.int64(data[at + i]) << (8 * i)
    return value


@nb.njit(**_JIT)
def _field(data: Any, table: int, number: int, width: int, begin: int, end: int) -> int:
    """Where a field of a flatbuffer's table stands; 0: it is not there; -1: outside of `begin` to `end`."""
    if table < begin or table + 4 > end:
        return -1
    vtable = table - (_read(data, table, _INT) ^ 0x80000000) + 0x80000000  # signed
    if vtable < begin or vtable + 4 > end:
        return -1
    size = _read(data, vtable, _SHORT)
    if vtable + size > end:
        return -1
    if 6 + 2 * number > size:
        return 0
    offset = _read(data, vtable + 4 + 2 * number, _SHORT)
    if offset == 0:
        return 0
    return table + offset if table + offset + width <= end else -1


@nb.njit(**_JIT)
def _followed(data: Any, at: int, end: int) -> int:
    """Where a field that is an offset leads; -1 where it is not there, or leads outside."""
    if at <= 0:
        return -1
    to = at + _read(data, at, _INT)
    return to if to + 4 <= end else -1


@nb.njit(**_JIT)
def _vector(data: Any, table: int, number: int, width: int, begin: int, end: int) -> tuple[int, int]:
    """Where the elements of a vector begin, and how many there are; -1 where they are not whole."""
    at = _followed(data, _field(data, table, number, _INT, begin, end), end)
    if at < 0:
        return -1, -1
    count = _read(data, at, _INT)
    return (at + 4, count) if at + 4 + width * count <= end else (-1, -1)


@nb.njit(**_JIT)
def _message(data: Any, begin: int, end: int) -> Any:
    """What a message is, where its table is, and how many bytes of body follow; kind 0 where it cannot be read here."""
    root = begin + _read(data, begin, _INT)
    version, kind = _field(data, root, _0, _SHORT, begin, end), _field(data, root, _1, _BYTE, begin, end)
    header, length = _field(data, root, _2, _INT, begin, end), _field(data, root, _3, _LONG, begin, end)
    table = _followed(data, header, end)
    if version <= 0 or kind <= 0 or table < 0 or length < 0 or _read(data, version, _SHORT) != _VERSION:
        return 0, 0, 0
    return np.int64(data[kind]), table, _read(data, length, _LONG) if length else np.int64(0)


@nb.njit(**_JIT)
def _buffer(data: Any, buffers: int, number: int, least: int, body: int, length: int) -> int:
    """Where a buffer of at least so many bytes begins; -1 where it is shorter, outside, or not aligned."""
    offset, size = _read(data, buffers + _STRUCT * number, _LONG), _read(data, buffers + _STRUCT * number + 8, _LONG)
    inside = 0 <= offset <= length and 0 <= size <= length - offset
    return body + offset if inside and size >= least and offset % _ALIGN == 0 else -1


@nb.njit(**_JIT)
def dictionaries_of(data: NDArray[np.uint8], ids: NDArray[np.int64]) -> bool:
    """The dictionary of each field of a schema message, -1 for none; False where it cannot be read here."""
    begin, end = _LONG, data.shape[0]
    kind, table, _ = _message(data, begin, end)
    endianness = _field(data, table, _0, _SHORT, begin, end) if kind == _SCHEMA else -1
    if endianness < 0 or (endianness and _read(data, endianness, _SHORT) != 0):
        return False
    fields, count = _vector(data, table, _1, _INT, begin, end)
    if count != ids.shape[0]:
        return False
    for number in range(count):
        field = _followed(data, fields + 4 * number, end)
        encoding = _field(data, field, _4, _INT, begin, end)
        if encoding < 0:
            return False
        ids[number] = -1
        if encoding:
            at = _field(data, _followed(data, encoding, end), _0, _LONG, begin, end)
            if at < 0:
                return False
            ids[number] = _read(data, at, _LONG) if at else 0
    return True


@nb.njit(**_JIT)
def lay_out(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    fields: NDArray[np.int64],
    dictionaries: NDArray[np.int64],
    most: int,
    found: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Of each record how many rows it has, or `LEFT`, and where its columns are: `found` (records, COLUMNS, FOUND).

    `places` (records, 2): where what follows the schema begins and ends; `fields`: the column of each field; `dictionaries`:
    of each column of codes the number of its dictionary, -1 where its codes are plain; `most`: rows of a record.
    """
    for record in range(places.shape[0]):
        at, end = places[record]
        rows[record] = _laid_out(data, at, end, fields, dictionaries, most, found[record])


@nb.njit(**_JIT)
def _laid_out(data: Any, at: int, end: int, fields: Any, dictionaries: Any, most: int, found: Any) -> Any:
    found[:, ENTRIES] = -1
    rows = np.int64(LEFT)
    while at < end:
        if at + 8 > end or _read(data, at, _INT) != _CONTINUES:
            return LEFT
        size = _read(data, at + 4, _INT)
        if size == 0:
            at += 8
            break
        begin, body = at + 8, at + 8 + size
        if size < _WORD or body > end or body % _ALIGN:
            return LEFT
        kind, table, length = _message(data, begin, body)
        if length < 0 or length > end - body or length % _ALIGN or rows >= 0:
            return LEFT
        if kind == _DICTIONARY:
            if not _dictionary(data, table, begin, body, length, dictionaries, found):
                return LEFT
        elif kind == _BATCH:
            rows = _batch(data, table, begin, body, length, fields, dictionaries, most, found)
            if rows < 0:
                return LEFT
        else:
            return LEFT
        at = body + length
    return rows if at == end else np.int64(LEFT)


@nb.njit(**_JIT)
def _dictionary(data: Any, table: int, begin: int, body: int, length: int, dictionaries: Any, found: Any) -> bool:
    number, delta = _field(data, table, _0, _LONG, begin, body), _field(data, table, _2, _BYTE, begin, body)
    inner = _followed(data, _field(data, table, _1, _INT, begin, body), body)
    if number < 0 or delta < 0 or (delta and data[delta]) or inner < 0 or _field(data, inner, _3, _INT, begin, body):
        return False
    nodes, many = _vector(data, inner, _1, _STRUCT, begin, body)
    buffers, parts = _vector(data, inner, _2, _STRUCT, begin, body)
    if many != 1 or parts != 3 or _read(data, nodes + 8, _LONG) != 0:  # noqa: PLR2004  validity, cuts, texts
        return False
    count = _read(data, nodes, _LONG)
    if not 0 <= count <= length:
        return False
    wanted, known = _read(data, number, _LONG) if number else np.int64(0), False
    cuts = _buffer(data, buffers, _1, 4 * (count + 1) if count else _0, body, length)
    texts = _buffer(data, buffers, _2, _0, body, length)
    if cuts < 0 or texts < 0:
        return False
    for column in range(CODES):
        if dictionaries[column] == wanted:
            if found[column, ENTRIES] >= 0:
                return False
            found[column, ENTRIES], found[column, CUTS] = count, cuts
            found[column, TEXTS], found[column, SIZE] = texts, _read(data, buffers + 2 * _STRUCT + 8, _LONG)
            known = True
    return known


@nb.njit(**_JIT)
def _batch(
    data: Any,
    table: int,
    begin: int,
    body: int,
    length: int,
    fields: Any,
    dictionaries: Any,
    most: int,
    found: Any,
) -> Any:
    at = _field(data, table, _0, _LONG, begin, body)
    compression, variadic = _field(data, table, _3, _INT, begin, body), _field(data, table, _4, _INT, begin, body)
    nodes, many = _vector(data, table, _1, _STRUCT, begin, body)
    buffers, parts = _vector(data, table, _2, _STRUCT, begin, body)
    if at < 0 or compression or variadic or many != fields.shape[0]:
        return LEFT
    rows = _read(data, at, _LONG) if at else np.int64(0)
    if not 0 <= rows <= most:
        return LEFT
    part = 0
    for field in range(fields.shape[0]):
        column = fields[field]
        nulls = _read(data, nodes + _STRUCT * field + 8, _LONG)
        plain = column < CODES and dictionaries[column] < 0
        if part + (3 if plain else 2) > parts or _read(data, nodes + _STRUCT * field, _LONG) != rows:
            return LEFT
        if nulls < 0 or (nulls and column < COLUMNS - 2):  # dates may be unknown
            return LEFT
        found[column, VALID] = _buffer(data, buffers, part, (rows + 7) // 8, body, length) if nulls else -1
        values = _buffer(
            data, buffers, part + 1, WIDTH[column] * ((rows + 1 if plain else rows) if rows else 0), body, length
        )
        if values < 0 or (nulls and found[column, VALID] < 0):
            return LEFT
        found[column, DATA] = values
        if plain:
            found[column, DATA], found[column, ENTRIES], found[column, CUTS] = -1, rows, values
            found[column, TEXTS] = _buffer(data, buffers, part + 2, _0, body, length)
            found[column, SIZE] = _read(data, buffers + _STRUCT * (part + 2) + 8, _LONG)
            if found[column, TEXTS] < 0:
                return LEFT
        if column < CODES and found[column, ENTRIES] < 0:
            return LEFT
        part += 3 if plain else 2
    return rows if part == parts else np.int64(LEFT)


@nb.njit(**_INLINE)
def _word(words: Any, at: int, size: int) -> tuple[Any, bool]:
    """Up to eight bytes from byte `at` on, padded with zeros, and whether one of them is zero itself."""
    if size <= 0:
        return _U(0), False
    shift = _U((at & 7) << 3)
    word = words[at >> 3] >> shift
    if shift:
        word |= words[(at >> 3) + 1] << (_U(64) - shift)
    mask = _ALL if size >= _WORD else (_U(1) << _U(size << 3)) - _U(1)
    filled = word | ~mask
    return word & mask, (filled - _LOW) & ~filled & _HIGH != _U(0)


@nb.njit(**_INLINE)
def _id_of(words: Any, at: int, size: int, table: Any, namespace: Any) -> Any:
    """The id of the code of `size` bytes at `at`; 0 for the empty one, `UNKNOWN` for one that is in no table."""
    if size == 0:
        return 0
    if size > SYMBOL_BYTES:
        return UNKNOWN
    a, zero_a = _word(words, at, size)
    b, zero_b = _word(words, at + _WORD, size - _WORD)
    c, zero_c = _word(words, at + 2 * _WORD, size - 2 * _WORD)
    if zero_a or zero_b or zero_c:  # codes are padded with zeros: "A\0" is not "A"
        return UNKNOWN
    return find(table, a, b, c, namespace) or UNKNOWN


@nb.njit(**_JIT)
def events_of(
    views: Any,
    found: NDArray[np.int64],
    rows: NDArray[np.int64],
    place: Any,
    lookup: Any,
    permitted: Any,
    named: NDArray[np.int32],
    events: NDArray[np.void],
    bad: NDArray[np.int64],
) -> None:
    """Write the rows of all records that are not `LEFT` as events, one record behind the other, and how many rows of each are
    not good into `bad`.

    `views`: the bytes as such, as signed words of eight, of four, and as unsigned words of eight bytes; `place`: partition and
    offset of each record, feed, time of receipt; `lookup`: the table of codes and the namespace of each column of codes;
    `named` (CODES, n): room for as many ids as a record has codes.
    """
    data, longs, ints, words = views
    partitions, offsets, topic, received_ns = place
    table, namespaces = lookup
    first = 0
    for record in range(rows.shape[0]):
        if rows[record] < 0:
            continue
        for column in range(CODES):
            _name(words, ints, found[record, column], table, namespaces[column], named[column])
        stop = first + rows[record]
        origin = partitions[record], offsets[record], topic, received_ns
        bad[record] = _fill(data, longs, ints, found[record], named, origin, permitted, events[first:stop])
        first = stop


@nb.njit(**_JIT)
def _name(words: Any, ints: Any, of: Any, table: Any, namespace: Any, ids: Any) -> None:
    """Ids of the codes of a column, into the first of `ids`; `BROKEN` where a cut leads outside."""
    cuts, texts, size = of[CUTS] >> 2, of[TEXTS], of[SIZE]
    for i in range(of[ENTRIES]):
        begin, end = np.int64(ints[cuts + i]), np.int64(ints[cuts + i + 1])
        if begin < 0 or end < begin or end > size:
            ids[i] = BROKEN
        else:
            ids[i] = _id_of(words, texts + begin, end - begin, table, namespace)


@nb.njit(**_INLINE)
def _named(ints: Any, indices: int, entries: int, row: int, named: Any, column: int) -> Any:
    """The id of a row's code: `named[column]` at its index, or at its own place where codes are plain."""
    index = np.int64(ints[indices + row]) if indices >= 0 else np.int64(row)
    return named[column, index] if 0 <= index < entries else np.int32(BROKEN)


@nb.njit(**_JIT)
def _fill(data: Any, longs: Any, ints: Any, found: Any, named: Any, origin: Any, permitted: Any, events: Any) -> int:
    """The rows of one record; returns how many are not good."""
    partition, offset, topic, received_ns = origin
    sources, securities, books, depots = (
        found[0, DATA] >> 2,
        found[1, DATA] >> 2,
        found[2, DATA] >> 2,
        found[3, DATA] >> 2,
    )
    seqs, times, quantities = found[4, DATA] >> 3, found[5, DATA] >> 3, found[6, DATA] >> 3
    ops, kinds, flags = found[7, DATA], found[8, DATA], found[9, DATA]
    trades, settles, traded, settled = found[10, DATA] >> 2, found[11, DATA] >> 2, found[10, VALID], found[11, VALID]
    many = found[0, ENTRIES], found[1, ENTRIES], found[2, ENTRIES], found[3, ENTRIES]
    bad = 0
    for i in range(events.shape[0]):
        event = events[i]
        source = _named(ints, sources, many[0], i, named, 0)
        security = _named(ints, securities, many[1], i, named, 1)
        book = _named(ints, books, many[2], i, named, 2)
        depot = _named(ints, depots, many[3], i, named, 3)
        trade, settle = np.int32(NO_DATE), np.int32(NO_DATE)
        # a date before 1970 must not be taken for none
        if traded < 0 or (data[traded + (i >> 3)] >> (i & 7)) & 1:
            trade = ints[trades + i] if ints[trades + i] >= 0 else np.int32(NO_DATE - 1)
        if settled < 0 or (data[settled + (i >> 3)] >> (i & 7)) & 1:
            settle = ints[settles + i] if ints[settles + i] >= 0 else np.int32(NO_DATE - 1)
        seq, time_ns, op, kind, flag = (
            longs[seqs + i],
            longs[times + i],
            data[ops + i],
            data[kinds + i],
            data[flags + i],
        )
        verdict = verdict_of(op, kind, flag, (trade, settle), source, security, book, depot, permitted)
        event.seq, event.time_ns, event.quantity = seq, time_ns, longs[quantities + i]
        event.op, event.kind, event.flags = op, kind, flag
        event.trade_date, event.settle_date = trade, settle
        event.source, event.security = max(source, 0), max(security, 0)
        event.book, event.depot = max(book, 0), max(depot, 0)
        event.partition, event.offset = partition, offset
        event.topic, event.received_ns = topic, received_ns
        bad += verdict != GOOD or seq < 1 or time_ns < 0
    return bad
