"""Rows and numbers of sources as a stream of 64-bit words, in any order, each once: compiled.

A record begins with a word: what it is about (32 bits), a mask (24), a flag (4), what it is (4). Of a row follow the words
that are not zero, as the mask says, and, flagged, how many dates of later settlements it has, with date, receipt and delivery
each. Of a piece of a source's memory follow its words; flagged, all its bits are set and nothing follows. Empty pieces are
left out.

Where several things are put down, the result is the place behind them, or ~place where there was no room for all: what is
before that place is whole, and marked as done, so that the same may be asked again with more room.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import later
from engine.events import EventArray, empty
from engine.kernel import hash_of
from engine.model import QUOTES, Flag, Op
from engine.prefetch import prefetch
from engine.records import LATER_NODE
from engine.row import DELIVER, KEY, LINKS, RECEIPT
from engine.symbols import WORDS, put_slots, used_slots

PIECES: Final = 1_024
"""Pieces into which each source's memory is cut."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_BLOCK: Final = 256
_LOW: Final = np.int64(0xFFFFFFFF)
_ROW_HASH: Final = np.uint64(0xFFFFFFFF)
_FLAG_AT, _KIND_AT, _MASK_AT = 56, 60, 32
_ROW, _SEEN, _LEDGER = 1, 2, 3
_PART: Final = Flag.PART.value
_RESET: Final = Op.RESET_BOOK.value
_NO_ROW: Final = np.array([op in QUOTES or op == Op.RESET_BOOK for op in range(256)])


class Source(NamedTuple):
    """What is copied from, and what has been."""

    position: NDArray[np.int64]
    """(capacity, words)"""
    slots: NDArray[np.uint64]
    first_in_security: NDArray[np.int32]
    first_in_book: NDArray[np.int32]
    later_head: NDArray[np.int32]
    later_nodes: NDArray[np.void]
    rows: int
    """Rows there were at the moment of the snapshot."""
    row_done: NDArray[np.uint64]
    """A bit each."""
    seen: NDArray[np.uint64]
    """(sources + 1, words)"""
    seen_done: NDArray[np.uint8]
    """(sources + 1, PIECES)"""
    ledger: NDArray[np.uint64]
    """(sources + 1, words)"""
    ledger_done: NDArray[np.uint8]
    """(sources + 1, PIECES)"""
    ledger_size: int
    """Numbers of a source that the ledger holds."""
    newest: NDArray[np.int64]
    """Of each source, as the events that were looked at leave it."""


@nb.njit(**_INLINE)
def _done(row: int, bits: NDArray[np.uint64]) -> bool:
    return bool(bits[row >> 6] >> np.uint64(row & 63) & np.uint64(1))


@nb.njit(**_JIT)
def _put_row(row: int, of: Source, out: NDArray[np.uint64], at: int) -> int:
    """The place behind the row's record, or ~`at`."""
    position = of.position
    dates = 0
    node = np.int64(of.later_head[row])
    while node:
        dates += 1
        node = np.int64(of.later_nodes[node - 1].next)
    if at + 2 + position.shape[1] + 3 * dates > out.shape[0]:
        return ~at
    mask, end = np.uint64(0), at + 1
    for word in range(position.shape[1]):
        value = position[row, word]
        if value != 0:
            mask |= np.uint64(1) << np.uint64(word)
            out[end] = np.uint64(value)
            end += 1
    head = np.uint64(row) | mask << np.uint64(_MASK_AT) | np.uint64(_ROW) << np.uint64(_KIND_AT)
    if dates:
        head |= np.uint64(1) << np.uint64(_FLAG_AT)
        out[end] = dates
        end += 1
        node = np.int64(of.later_head[row])
        while node:
            out[end] = np.uint64(of.later_nodes[node - 1].date)
            out[end + 1] = np.uint64(of.later_nodes[node - 1].receipt)
            out[end + 2] = np.uint64(of.later_nodes[node - 1].deliver)
            end += 3
            node = np.int64(of.later_nodes[node - 1].next)
    out[at] = head
    of.row_done[row >> 6] |= np.uint64(1) << np.uint64(row & 63)
    return end


@nb.njit(**_JIT)
def _put_piece(
    kind: int, source: int, piece: int, memory: NDArray[np.uint64], done: NDArray[np.uint8], out: Any, at: int
) -> int:
    """The same for a piece of a source's memory."""
    size = memory.shape[1] // PIECES
    if at + 1 + size > out.shape[0]:
        return ~at
    first = piece * size
    some, every = np.uint64(0), ~np.uint64(0)
    for i in range(size):
        word = memory[source, first + i]
        some |= word
        every &= word
        out[at + 1 + i] = word
    done[source, piece] = 1
    if some == 0:
        return at
    out[at] = np.uint64(source) | np.uint64(piece) << np.uint64(16) | np.uint64(kind) << np.uint64(_KIND_AT)
    if every == ~np.uint64(0):
        out[at] |= np.uint64(1) << np.uint64(_FLAG_AT)
        return at + 1
    return int(at + 1 + size)


@nb.njit(**_JIT)
def put_rows(first: int, stop: int, of: Source, out: NDArray[np.uint64], at: int) -> tuple[int, int]:
    """Rows from `first` that are not done: where it stopped (`stop`, or the row there is no room for), the place behind."""
    for row in range(first, stop):
        if not _done(row, of.row_done):
            end = _put_row(row, of, out, at)
            if end < 0:
                return row, ~end
            at = end
    return stop, at


@nb.njit(**_JIT)
def put_source(source: int, first: int, stop: int, of: Source, out: NDArray[np.uint64], at: int) -> tuple[int, int]:
    """Pieces of a source that are not done, of both memories; as `put_rows`."""
    for piece in range(first, stop):
        if not of.seen_done[source, piece]:
            end = _put_piece(_SEEN, source, piece, of.seen, of.seen_done, out, at)
            if end < 0:
                return piece, ~end
            at = end
        if not of.ledger_done[source, piece]:
            end = _put_piece(_LEDGER, source, piece, of.ledger, of.ledger_done, out, at)
            if end < 0:
                return piece, ~end
            at = end
    return stop, at


@nb.njit(**_JIT)
def _put_numbers(source: int, first: int, last: int, of: Source, out: NDArray[np.uint64], at: int) -> int:
    """The pieces that hold the numbers first..last of a source."""
    window = of.seen.shape[1] * 64
    wide = window // PIECES
    if last - first >= window:
        first = last - window + 1
    for number in range(first // wide, last // wide + 1):
        piece = number % PIECES
        if not of.seen_done[source, piece]:
            at = _put_piece(_SEEN, source, piece, of.seen, of.seen_done, out, at)
            if at < 0:
                return at
    return int(_put_ledger(source, last, of, out, at))


@nb.njit(**_JIT)
def _put_ledger(source: int, number: int, of: Source, out: NDArray[np.uint64], at: int) -> int:
    wide = of.ledger_size // PIECES
    if wide > 0:
        piece = (number % of.ledger_size) // wide
        if not of.ledger_done[source, piece]:
            return int(_put_piece(_LEDGER, source, piece, of.ledger, of.ledger_done, out, at))
    return at


@nb.njit(**_JIT)
def _put_chain(first: int, shift: int, of: Source, out: NDArray[np.uint64], at: int) -> int:
    """Every row of a book (`shift` 32) or a security (0)."""
    row = np.int64(first)
    while row:
        if row <= of.rows and not _done(row - 1, of.row_done):
            at = _put_row(row - 1, of, out, at)
            if at < 0:
                return at
        row = (of.position[row - 1, LINKS] >> shift) & _LOW
    return at


@nb.njit(**_JIT)
def put_security(security: int, of: Source, out: NDArray[np.uint64], at: int) -> int:
    """All rows of a security."""
    return int(_put_chain(of.first_in_security[security], 0, of, out, at))


@nb.njit(**_INLINE)
def _row_of(hashed: np.uint64, slots: NDArray[np.uint64]) -> np.int64:
    mask = np.uint64(slots.shape[0] - 1)
    at = hashed & mask
    while True:
        entry = slots[at]
        if entry == 0 or (entry ^ hashed) >> np.uint64(32) == 0:
            return np.int64(entry & _ROW_HASH) - 1
        at = (at + np.uint64(1)) & mask


@nb.njit(**_INLINE)
def _find(key: np.int64, of: Source) -> np.int64:
    mask = np.uint64(of.slots.shape[0] - 1)
    at = hash_of(key) & mask
    while True:
        row = np.int64(of.slots[at] & _ROW_HASH) - 1
        if row < 0 or of.position[row, KEY] == key:
            return row
        at = (at + np.uint64(1)) & mask


@nb.njit(**_JIT)
def put_events(events: EventArray, first: int, of: Source, out: NDArray[np.uint64], at: int) -> tuple[int, int]:
    """What events from number `first` will touch: where it stopped for want of room (or their count), the place behind."""
    keys, found = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    slot_lines = of.slots.reshape(-1, 1)
    mask = np.uint64(of.slots.shape[0] - 1)
    for start in range(first, events.shape[0], _BLOCK):
        stop = min(start + _BLOCK, events.shape[0])
        for i in range(start, stop):
            e = events[i]
            low = (np.int64(e.book) << 24) | (np.int64(e.depot) << 8) | np.int64(e.kind)
            keys[i - start] = np.int64((np.int64(e.security) << 40) | low)
            prefetch(slot_lines, np.int64(hash_of(keys[i - start]) & mask), 0)
        for i in range(start, stop):
            row = np.int64(-1) if _NO_ROW[events[i].op] else _row_of(hash_of(keys[i - start]), of.slots)
            found[i - start] = row
            if row >= 0:
                prefetch(of.position, row, 0)
                if row < of.rows and not _done(row, of.row_done):
                    prefetch(of.position, row, RECEIPT)
                    prefetch(of.position, row, DELIVER)
        for i in range(start, stop):
            e, row, end = events[i], found[i - start], at
            if row >= 0:
                if of.position[row, KEY] != keys[i - start]:
                    row = _find(keys[i - start], of)
                if 0 <= row < of.rows and not _done(row, of.row_done):
                    end = _put_row(row, of, out, end)
            elif e.op == _RESET and e.book < of.first_in_book.shape[0]:
                end = _put_chain(of.first_in_book[e.book], 32, of, out, end)
            if end >= 0 and e.flags & _PART == 0 and 0 < e.source < of.newest.shape[0] and e.seq > 0:
                known = of.newest[e.source]
                end = _put_numbers(e.source, min(known + 1, e.seq), e.seq, of, out, end)
                if end >= 0:
                    of.newest[e.source] = max(known, e.seq)
            if end < 0:
                return i, ~end
            at = end
    return events.shape[0], at


@nb.njit(**_JIT)
def put_entries(events: Any, first: int, of: Source, out: NDArray[np.uint64], at: int) -> tuple[int, int]:
    """The ledger's entries of these events' numbers; as `put_events`."""
    for i in range(first, events.shape[0]):
        e = events[i]
        if 0 < e.source < of.newest.shape[0] and e.seq > 0:
            end = _put_ledger(e.source, e.seq, of, out, at)
            if end < 0:
                return i, ~end
            at = end
    return events.shape[0], at


@nb.njit(**_JIT)
def unpack(
    block: NDArray[np.uint64],
    position: NDArray[np.int64],
    later_head: NDArray[np.int32],
    later_nodes: NDArray[np.void],
    later_counters: NDArray[np.int64],
    seen: NDArray[np.uint64],
    ledger: NDArray[np.uint64],
) -> int:
    """Put a block's records where they belong; returns how many rows, or -1 for a block that is not one."""
    at, rows = 0, 0
    while at < block.shape[0]:
        head = block[at]
        kind, flag = head >> np.uint64(_KIND_AT), head >> np.uint64(_FLAG_AT) & np.uint64(15)
        at += 1
        if kind == _ROW:
            row, mask = np.int64(head & _ROW_HASH), head >> np.uint64(_MASK_AT) & np.uint64(0xFFFFFF)
            if row >= position.shape[0]:
                return -1
            for word in range(position.shape[1]):
                if mask >> np.uint64(word) & np.uint64(1):
                    position[row, word] = np.int64(block[at])
                    at += 1
            if flag:
                dates = np.int64(block[at])
                at += 1
                # the chain is built from its end, so that it is what it was
                for i in range(dates - 1, -1, -1):
                    date, receipt = np.int64(block[at + 3 * i]), np.int64(block[at + 3 * i + 1])
                    deliver = np.int64(block[at + 3 * i + 2])
                    if not later.add(row, date, receipt, deliver, later_head, later_nodes, later_counters):
                        return -1
                at += int(3 * dates)
            rows += 1
        elif kind in (_SEEN, _LEDGER):
            source, piece = np.int64(head & np.uint64(0xFFFF)), np.int64(head >> np.uint64(16) & np.uint64(0xFFFF))
            memory = seen if kind == _SEEN else ledger
            size = memory.shape[1] // PIECES
            if source >= memory.shape[0] or piece >= PIECES:
                return -1
            for i in range(size):
                memory[source, piece * size + i] = ~np.uint64(0) if flag else block[at + i]
            if not flag:
                at += size
        else:
            return -1
    return rows


@nb.njit(**_JIT)
def index_rows(
    rows: int,
    position: NDArray[np.int64],
    slots: NDArray[np.uint64],
    first_in_security: NDArray[np.int32],
    first_in_book: NDArray[np.int32],
) -> int:
    """The hash of all rows and the beginnings of their chains; returns a row that cannot be, or -1."""
    mask = np.uint64(slots.shape[0] - 1)
    slot_lines = slots.reshape(-1, 1)
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        for row in range(start, stop):
            prefetch(slot_lines, np.int64(hash_of(position[row, KEY]) & mask), 0)
        for row in range(start, stop):
            key = position[row, KEY]
            security, book = key >> 40, (key >> 24) & 0xFFFF
            if not 0 < security < first_in_security.shape[0] or not 0 < book < first_in_book.shape[0]:
                return row
            hashed = hash_of(key)
            at = hashed & mask
            while slots[at] != 0:
                at = (at + np.uint64(1)) & mask
            slots[at] = (hashed & ~_ROW_HASH) | np.uint64(row + 1)
            first_in_security[security] = first_in_book[book] = row + 1
    return -1


def warm() -> None:
    """Have it all compiled, or loaded: neither the first snapshot nor the first start from one must wait for that."""
    words, none = np.zeros((2, PIECES), np.uint64), np.zeros(2, np.int32)
    position, nodes = np.zeros((1, 24), np.int64), np.zeros(1, LATER_NODE)
    bits, done = np.zeros(1, np.uint64), np.zeros((2, PIECES), np.uint8)
    of = Source(
        position, bits, none, none, none, nodes, 0, bits, words, done, words, done, PIECES, np.zeros(2, np.int64)
    )
    out, events = np.zeros(1, np.uint64), empty(0)
    put_rows(0, 0, of, out, 0)
    put_source(1, 0, 0, of, out, 0)
    put_security(0, of, out, 0)
    put_events(events, 0, of, out, 0)
    put_entries(events, 0, of, out, 0)
    used_slots(np.zeros((1, WORDS), np.uint64), 0, 0, np.zeros((1, WORDS), np.uint64))
    # as they are read from a file: not to be written to
    given = np.frombuffer(bytes(8 * WORDS), np.uint64)[:0]
    unpack(given, position, none, nodes, np.zeros(2, np.int64), words, words)
    index_rows(0, position, bits, none, none)
    put_slots(np.zeros((1, WORDS), np.uint64), given.reshape(0, WORDS))
