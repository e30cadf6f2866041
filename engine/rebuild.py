"""Whole tables from scratch, in compiled passes: classes of rows, sums of securities, the roll of a business day."""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import later
from engine.kernel import Book, combination, hash_of
from engine.model import DAYS, DYNAMIC, HEAD_TOUCHED, MAINTAINED, TERM_WORDS, TOUCHES
from engine.prefetch import prefetch
from engine.row import BUY, DELIVER, KEY, LINKS, RECEIPT, SELL, SHORT, feed, given, has_later, look

_BLOCK: Final = 256
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_LOW: Final = np.int64(0xFFFFFFFF)


@nb.njit(**_JIT)
def combined(keys: NDArray[np.int64], security_group: Any, book_group: Any, depot_group: Any) -> NDArray[np.int64]:
    """The combination of attribute groups of rows with these keys."""
    result = np.empty(keys.size, np.int64)
    for i in range(keys.size):
        key = keys[i]
        book, depot = (key >> 24) & 0xFFFF, (key >> 8) & 0xFFFF
        result[i] = combination(key & 0xFF, security_group[key >> 40], book_group[book], depot_group[depot])
    return result


@nb.njit(**_JIT)
def classify(
    combinations: NDArray[np.int64], known: NDArray[np.uint64], classes: NDArray[np.uint16], news: NDArray[np.int64]
) -> int:
    """Fill `classes` from the hash `known`. Each combination that is not in it goes into `news` once and into the hash
    without a class yet. Returns how many are new, or -1 when `news` is full: learn these and come again."""
    mask = np.uint64(known.shape[0] - 1)
    found = 0
    for i in range(combinations.size):
        wanted = combinations[i]
        at = hash_of(wanted) & mask
        while known[at, 1] != 0 and known[at, 0] != np.uint64(wanted):
            at = (at + np.uint64(1)) & mask
        if known[at, 1] == 0:
            if found == news.size:
                return -1
            known[at, 0], known[at, 1] = np.uint64(wanted), np.uint64(1)
            news[found] = wanted
            found += 1
        classes[i] = known[at, 1] - np.uint64(1)
    return found


@nb.njit(**_JIT)
def insert(combinations: NDArray[np.int64], classes: NDArray[np.int64], known: NDArray[np.uint64]) -> None:
    """Name the classes of combinations; one that is there gets another."""
    mask = np.uint64(known.shape[0] - 1)
    for i in range(combinations.size):
        wanted = np.uint64(combinations[i])
        at = hash_of(combinations[i]) & mask
        while known[at, 1] != 0 and known[at, 0] != wanted:
            at = (at + np.uint64(1)) & mask
        known[at, 0], known[at, 1] = wanted, np.uint64(classes[i] + 1)


@nb.njit(**_JIT)
def adopt(rows: NDArray[np.int64], book: Book) -> None:
    """Feed into the sums what rows hold that have fed nothing so far."""
    position, terms, entries, counts, row_class = book.position, book.terms, book.entries, book.counts, book.row_class
    nothing = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for start in range(0, rows.size, _BLOCK):
        stop = min(start + _BLOCK, rows.size)
        for i in range(start, stop):
            security = position[rows[i], KEY] >> 40
            of_class = np.int64(row_class[rows[i]])
            for entry in range(counts[of_class, MAINTAINED]):
                prefetch(terms, security, entries[of_class, entry, 0] * TERM_WORDS)
        for i in range(start, stop):
            row = rows[i]
            security = position[row, KEY] >> 40
            of_class = np.int64(row_class[row])
            seen = look(position, row)
            feed(nothing, seen, terms, security, entries, of_class, counts[of_class, MAINTAINED])
            touched = counts[of_class, TOUCHES]
            for entry in range(counts[of_class, DYNAMIC], counts[of_class, MAINTAINED]):
                if given(entries[of_class, entry, 1], seen)[0] != 0:
                    touched |= np.int64(1) << entries[of_class, entry, 0]
            book.head[security, HEAD_TOUCHED] |= touched


@nb.njit(**_JIT)
def rows_of_securities(ids: NDArray[np.int32], first: NDArray[np.int32], position: NDArray[np.int64]) -> Any:
    """Row numbers of all rows of these securities."""
    count = 0
    for i in range(ids.size):
        at = np.int64(first[ids[i]])
        while at:
            count += 1
            at = position[at - 1, LINKS] & _LOW
    rows = np.empty(count, np.int64)
    count = 0
    for i in range(ids.size):
        at = np.int64(first[ids[i]])
        while at:
            rows[count] = at - 1
            count += 1
            at = position[at - 1, LINKS] & _LOW
    return rows


@nb.njit(**_JIT)
def securities_of_book(number: int, first: NDArray[np.int32], position: NDArray[np.int64], chosen: Any) -> None:
    """Mark the securities in which a book has rows."""
    at = np.int64(first[number])
    while at:
        chosen[position[at - 1, KEY] >> 40] = True
        at = (position[at - 1, LINKS] >> 32) & _LOW


@nb.njit(**_JIT)
def roll(rows: int, steps: NDArray[np.int64], base_date: int, book: Book) -> None:
    """The ladders of all rows on the new day: `steps` business days further, by market; `book.today` tells the new day.

    What was due and has not settled stays due on SD0. Intraday sums begin again.
    """
    position = book.position
    for row in range(rows):
        market = book.market_of[position[row, KEY] >> 40]
        step = steps[market]
        if step == 0:
            continue
        position[row, BUY] = position[row, SELL] = position[row, SHORT] = 0
        for ladder in (RECEIPT, DELIVER):
            due = np.int64(0)
            for day in range(min(step, DAYS - 1) + 1):
                due += position[row, ladder + day]
            for day in range(1, DAYS):
                position[row, ladder + day] = position[row, ladder + day + step] if day + step < DAYS else 0
            position[row, ladder] = due
        if has_later(position, row) or book.later_head[row] != 0:
            ordinals, today = book.business_day[market], book.today[market, 2]
            later.arrive(
                row, position, ordinals, base_date, today, book.later_head, book.later_nodes, book.later_counters
            )
