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
from engine.kernel import Book, is_quote, key_of
from engine.model import Flag, Kind, Op
from engine.recognise import APPLIED, IN_START_OF_DAY, LATE_START_OF_DAY

ANY: Final = 0
"""The topic that holds events of any sort, in their own order."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_RESET: Final = Op.RESET_BOOK.value
_START, _PART = Flag.START_OF_DAY.value, Flag.PART.value
_FIRST_EXTERNAL, _LAST_EXTERNAL = Kind.EXTERNAL_EXCLUSIVE.value, Kind.DEPOT.value


class Begun(NamedTuple):
    """By book, shape (books + 1,). Times in nanoseconds, UTC."""

    began_ns: NDArray[np.int64]
    """Of its newest start of day; 0 for none that has no place among other events."""
    topic: NDArray[np.uint8]
    """Over which that came."""
    refused: NDArray[np.uint8]
    """1: the newest one was refused; its positions follow it."""
    moved_ns: NDArray[np.int64]
    """Of the newest event about a row of it."""
    lost_ns: NDArray[np.int64]
    """The same of those that are not among the newest events any more."""
    last: NDArray[np.int64]
    """Which of the newest events is the last one about a row of it: its number + 1; 0 for none."""
    before: NDArray[np.int64]
    """Shape (newest events,): the same of the one before it."""


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
def _of_book(event: Any, books: int) -> bool:
    """Whether it is about a row that a start of day of its book empties."""
    own = event.kind < _FIRST_EXTERNAL or event.kind > _LAST_EXTERNAL
    return bool(own and 0 < event.book < books and event.op != _RESET and not is_quote(event.op))


@nb.njit(**_INLINE)
def _states(event: Any, books: int) -> bool:
    """Whether it begins a book, or is a position of the beginning."""
    flagged = event.flags & _START != 0 and event.topic != ANY and 0 < event.book < books
    return bool(flagged and (event.op == _RESET or _of_book(event, books)))


@nb.njit(**_JIT)
def cut(events: EventArray, first: int, of: Begun) -> tuple[int, bool]:
    """Up to where events can be applied at once, and whether what stands there last may have to be followed by something
    that is done again: a start of day that is older than what has come for its book."""
    books = of.began_ns.shape[0]
    for i in range(first, events.shape[0]):
        event = events[i]
        if _states(event, books):
            if event.flags & _PART == 0 and of.moved_ns[event.book] > _when(event):
                end = i + 1
                while end < events.shape[0] and events[end].flags & _PART:
                    end += 1
                return end, True
        elif _of_book(event, books):
            of.moved_ns[event.book] = max(of.moved_ns[event.book], _when(event))
    return events.shape[0], False


@nb.njit(**_JIT)
def sift(events: EventArray, outcome: NDArray[np.uint8], of: Begun) -> None:
    """Tell which of the new events are in a start of day already, and which starts of day come too late."""
    books = of.began_ns.shape[0]
    for i in range(events.shape[0]):
        event = events[i]
        if outcome[i] != APPLIED or not 0 < event.book < books:
            continue
        book = event.book
        if event.op == _RESET:
            stated = _states(event, books)
            of.refused[book] = 1 if stated and of.lost_ns[book] > _when(event) else 0
            if of.refused[book]:
                outcome[i] = LATE_START_OF_DAY
            else:
                of.began_ns[book], of.topic[book] = (_when(event) if stated else 0), event.topic
        elif event.flags & _START:
            if of.refused[book] and event.topic != ANY and _of_book(event, books):
                outcome[i] = LATE_START_OF_DAY
        elif of.began_ns[book] > _when(event) and event.topic != of.topic[book] and _of_book(event, books):
            outcome[i] = IN_START_OF_DAY


@nb.njit(**_JIT)
def make_room(first: int, count: int, recent: EventArray, of: Begun) -> None:
    """`count` events are about to be written into `recent`, from the number `first` on."""
    size, books = recent.shape[0], of.began_ns.shape[0]
    for number in range(max(first, size), first + count):
        event = recent[number % size]
        if _of_book(event, books) and event.flags & _START == 0:
            of.lost_ns[event.book] = max(of.lost_ns[event.book], _when(event))


@nb.njit(**_JIT)
def note(first: int, count: int, recent: EventArray, of: Begun) -> None:
    """They have been written."""
    size, books = recent.shape[0], of.began_ns.shape[0]
    for number in range(first, first + count):
        event = recent[number % size]
        if _of_book(event, books):
            of.before[number % size] = of.last[event.book]
            of.last[event.book] = number + 1


@nb.njit(**_JIT)
def again(stated: Any, written: int, recent: EventArray, book: Book, of: Begun) -> EventArray:
    """What came before a start of day, or a position of one, and is newer than it: to be done again, in its order."""
    size = recent.shape[0]
    found = np.empty(size, np.int64)
    count, at = 0, of.last[stated.book]
    while at > 0 and at > written - size:
        event = recent[(at - 1) % size]
        same = stated.op == _RESET or key_of(event) == key_of(stated)
        if same and _when(event) > _when(stated) and event.topic != stated.topic:
            found[count] = at - 1
            count += 1
        at = of.before[(at - 1) % size]
    out = np.empty(count, recent.dtype)
    for i in range(count):
        out[i] = recent[found[count - 1 - i] % size]
        out[i].flags &= ~np.uint8(_PART)
        if out[i].settle_date >= 0:
            out[i].settle_date = max(out[i].settle_date, book.today[book.market_of[out[i].security], 0])
    return out
