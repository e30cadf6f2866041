"""Starts of day and what else comes for their books: two topics, between which there is no order but that of time.

What is older than the newest start of day of its book, and came over another topic, is in that start of day: its number is
known, and it changes nothing. What is newer and has come before it is done again behind it. So a book's rows are the same in
whatever order the topics are read: of an engine that was down over the start of day, or to which it came late, too. What
is to be done again is found among the newest events; where it is not there any more, the start of day is refused, whole.

Over the topic of events of any sort starts of day have their place among the others, and that is their order.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.kernel import Book, key_of
from engine.model import QUOTES, Flag, Kind, Op
from engine.recognise import APPLIED, IN_START_OF_DAY, LATE_START_OF_DAY

ANY: Final = 0
"""The topic that holds events of any sort, in their own order."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_RESET: Final = Op.RESET_BOOK.value
_ROWS_ONLY: Final = np.iinfo(np.int64).max
"""Of a book that has not begun anew, but positions of it were stated."""
_UNTOUCHED: Final = -1
_START, _PART = Flag.START_OF_DAY.value, Flag.PART.value
_OF_BOOK: Final = np.array(
    [not Kind.EXTERNAL_EXCLUSIVE <= kind <= Kind.DEPOT for kind in range(256)]
)  # what lenders and custodians state is not a start of day's
_OF_ROW: Final = np.array([op not in QUOTES and op != Op.RESET_BOOK for op in range(256)])


class Begun(NamedTuple):
    """By book, shape (books + 1,); 0 is for what is of none. Times in nanoseconds, UTC."""

    began_ns: NDArray[np.int64]
    """Of its newest start of day; 0 for none that has no place among other events."""
    topic: NDArray[np.uint8]
    """Over which that came."""
    refused: NDArray[np.uint8]
    """1: the newest one was refused; its positions follow it."""
    moved_ns: NDArray[np.int64]
    """Of the newest event about a row of it."""
    lost_ns: NDArray[np.int64]
    """The same of those that were before this machine: it has no copy of them."""
    last: NDArray[np.int64]
    """Which of the newest events is the last one about a row of it: its number + 1; 0 for none."""
    before: NDArray[np.int64]
    """Shape (newest events, a power of two): the same of the one before it."""


def begun_of(books: int, recent: int) -> Begun:
    """Nothing has begun."""
    zeros = np.zeros(books + 1, np.int64)
    small = np.zeros(books + 1, np.uint8)
    return Begun(
        zeros, small, small.copy(), zeros.copy(), zeros.copy(), zeros.copy(), before=np.zeros(recent, np.int64)
    )


def kept(of: Begun) -> dict[str, NDArray[Any]]:
    """What a snapshot needs of it, each by book; of a restored machine nothing that moved is among the newest events."""
    return {name: getattr(of, name) for name in ("began_ns", "topic", "refused", "moved_ns")}


@nb.njit(**_INLINE)
def _when(event: Any) -> np.int64:
    """A source's clock may be ahead; nothing happens after it has come."""
    return np.int64(min(event.time_ns, event.received_ns) if event.received_ns > 0 else event.time_ns)


@nb.njit(**_INLINE)
def _own(event: Any, books: int) -> np.int64:
    """The book of whose rows it is about, which a start of day of the book empties; 0 for any other. Without a branch."""
    return np.int64(event.book) * np.int64(_OF_BOOK[event.kind] & _OF_ROW[event.op] & (event.book < books))


@nb.njit(**_INLINE)
def _states(event: Any, books: int) -> bool:
    """Whether it begins a book, or is a position of the beginning."""
    if event.flags & _START == 0 or event.topic == ANY:
        return False
    return bool(_own(event, books) > 0 or (event.op == _RESET and 0 < event.book < books))


@nb.njit(**_JIT)
def cut(events: EventArray, first: int, of: Begun) -> tuple[int, bool]:
    """Up to where events can be applied at once, and whether they are starts of day of which one is older than what has come
    for its book: then something may have to be done again behind them."""
    books = of.began_ns.shape[0]
    others = late = False
    for i in range(first, events.shape[0]):
        event = events[i]
        if event.flags & _PART:
            continue
        if not _states(event, books):
            if late:
                return i, True
            others = True
        elif others:
            return i, False  # what it may be older than is noted first
        elif of.moved_ns[event.book] > _when(event):
            late = True
    return events.shape[0], late


@nb.njit(**_JIT)
def _undoes(stated: Any, written: int, recent: EventArray, of: Begun) -> bool:
    """Whether a start of day is older than something of its book that is not among the newest events any more."""
    size, when, book = recent.shape[0], _when(stated), stated.book
    if of.lost_ns[book] > when:
        return True
    if of.moved_ns[book] <= when:
        return False
    at, oldest = of.last[book], of.moved_ns[book]
    while at > 0 and at > written - size:
        oldest = _when(recent[(at - 1) % size])
        at = of.before[(at - 1) % size]
    return bool(at > 0 and oldest > when)  # what is gone had come before the oldest that is left


@nb.njit(**_JIT)
def sift(events: EventArray, outcome: NDArray[np.uint8], written: int, recent: EventArray, of: Begun) -> None:
    """Tell which of the new events are in a start of day already, and which starts of day come too late. `written`: how many
    events were written into `recent` by now."""
    books = of.began_ns.shape[0]
    for i in range(events.shape[0]):
        event = events[i]
        if event.op == _RESET:
            book = event.book
            if outcome[i] == APPLIED and 0 < book < books:
                stated = _states(event, books)
                of.refused[book] = 1 if stated and _undoes(event, written, recent, of) else 0
                if of.refused[book]:
                    outcome[i] = LATE_START_OF_DAY
                else:
                    of.began_ns[book], of.topic[book] = (_when(event) if stated else 0), event.topic
            continue
        book = _own(event, books)
        if event.flags & _START:
            if of.refused[book] and event.topic != ANY and outcome[i] == APPLIED:
                outcome[i] = LATE_START_OF_DAY
        elif of.began_ns[book] > _when(event) and event.topic != of.topic[book] and outcome[i] == APPLIED:
            outcome[i] = IN_START_OF_DAY


@nb.njit(**_JIT)
def note(events: EventArray, first: int, of: Begun) -> None:
    """These are the newest events now, from the number `first` on. What is of no book's rows goes by book 0."""
    mask, books = of.before.shape[0] - 1, of.began_ns.shape[0]
    for i in range(events.shape[0]):
        event = events[i]
        book = _own(event, books)
        of.before[(first + i) & mask] = of.last[book]
        of.last[book] = first + i + 1
        moved = book * np.int64(event.flags & _START == 0)
        of.moved_ns[moved] = max(of.moved_ns[moved], _when(event))


@nb.njit(**_JIT)
def again(
    stated: EventArray, outcome: NDArray[np.uint8], written: int, recent: EventArray, book: Book, of: Begun
) -> EventArray:
    """What came before these starts of day, and is newer than that of its book or than the position of its row: to be done
    again, in its order. A whole run of them costs one walk through the newest events of each book."""
    size, books = recent.shape[0], of.began_ns.shape[0]
    since_ns = np.full(books, _UNTOUCHED, np.int64)
    topic = np.zeros(books, np.uint8)
    begun = np.empty(stated.shape[0], np.int64)
    keys, keys_ns = np.empty(stated.shape[0], np.int64), np.empty(stated.shape[0], np.int64)
    count, positions = 0, 0
    for i in range(stated.shape[0]):
        event = stated[i]
        if event.flags & _PART or outcome[i] != APPLIED or not _states(event, books):
            continue
        if since_ns[event.book] == _UNTOUCHED:
            since_ns[event.book] = _ROWS_ONLY
            begun[count] = event.book
            count += 1
        topic[event.book] = event.topic
        if event.op == _RESET:
            since_ns[event.book] = _when(event)
        else:
            keys[positions], keys_ns[positions] = key_of(event), _when(event)
            positions += 1
    order = np.argsort(keys[:positions], kind="mergesort")  # stable: of one row the last position counts
    sorted_keys = keys[:positions][order]
    found = np.empty(size, np.int64)
    newer = 0
    for i in range(count):
        at, first, since = of.last[begun[i]], newer, since_ns[begun[i]]
        while at > 0 and at > written - size:
            event = recent[(at - 1) % size]
            key = key_of(event)
            place = np.searchsorted(sorted_keys, key, side="right") - 1
            own = since
            if place >= 0 and sorted_keys[place] == key:
                stated_ns = keys_ns[order[place]]
                own = stated_ns if since == _ROWS_ONLY else max(since, stated_ns)
            if _when(event) > own and event.topic != topic[begun[i]]:
                found[newer] = at - 1
                newer += 1
            at = of.before[(at - 1) % size]
        found[first:newer] = found[first:newer][::-1].copy()
    out = np.empty(newer, recent.dtype)
    for i in range(newer):
        out[i] = recent[found[i] % size]
        out[i].flags &= ~np.uint8(_PART)
        if out[i].settle_date >= 0:
            out[i].settle_date = max(out[i].settle_date, book.today[book.market_of[out[i].security], 0])
    return out
