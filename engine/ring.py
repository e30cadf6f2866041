"""A queue of typed arrays in shared memory, from one process to one other: how decoded batches reach the writer.

Positions are byte counts that only grow. The producer publishes `tail` after the message, the consumer `head` after it has
used the message, so what a killed producer left half written is never seen. Loads and stores of aligned 64-bit words are
not reordered among themselves by x86-64; on other machines the interpreter's own locks order them.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from engine.events import CORRECTION, DEAL_STEP, EVENT
from engine.model import SYMBOL_BYTES
from engine.records import BOOK, COUNTERPARTY, CURRENCY, NAMED, SECURITY, UNIT
from engine.segment import Field, Segment

_HEAD: Final = 0
_TAIL: Final = 8
_READY: Final = 16
_ALIVE: Final = 24
_ROUND: Final = 64
PARTITIONS: Final = 256
TOPICS: Final = 32
"""Feeds there can be; a feed's number is `EVENT.topic`."""

PROGRESS: Final = np.dtype([("topic", "<u2"), ("partition", "<u2"), ("spare", "<u4"), ("offset", "<i8")])
"""Everything of the partition before `offset` has been handed over."""
MOVE: Final = np.dtype(
    [
        ("source", f"S{SYMBOL_BYTES}"),
        ("target", f"S{SYMBOL_BYTES}"),
        ("book", f"S{SYMBOL_BYTES}"),
        ("depot", f"S{SYMBOL_BYTES}"),
        ("time_ns", "<i8"),
    ]
)
"""Rows of the security `source` become rows of `target`: all, or those of a book and a depot where these are not empty.

`time_ns`: when it was decided; below zero: only what a move from `target` to `source` brought goes home."""
BOOK_UNIT: Final = np.dtype([("book", f"S{SYMBOL_BYTES}"), ("unit", f"S{SYMBOL_BYTES}"), ("market", "u1")])
"""The aggregation unit of a book in a market."""
NAME: Final = np.dtype([("text", f"S{SYMBOL_BYTES}"), ("code", f"S{SYMBOL_BYTES}")])
"""The identifier `text` leads to the security of our own `code`; to nobody where that is empty."""


DECIDED: Final = np.dtype([("security", "<i4"), ("what", "<i4"), ("quantity", "<i8")])
CLOCK: Final = np.dtype([("market", "<i4"), ("what", "<i4"), ("day", "<i4"), ("is_open", "<i4")])


class FeedWord(IntEnum):
    """What a worker knows of a feed, one int64 each, in `Ring.feeds[feed]`. Counters only grow; the engine adds workers up."""

    RECEIVED_NS = 0
    """When its newest record came."""
    EVENT_NS = 1
    """The newest record's own time."""
    ALIVE_NS = 2
    """When its source last answered and the worker was abreast of it; 0: not yet, or not this worker's."""
    RECORDS = 3
    EVENTS = 4
    UNREADABLE = 5
    LAG = 6
    """Records that are there and not yet read."""
    PARTITIONS = 7
    """How many partitions of it this worker reads; 0: none."""
    STUCK = 11
    """Of the log of files: the record that cannot be read + 1, which holds up all behind it; 0: there is none."""


FEED_WORDS: Final = 16


class Message(IntEnum):
    """What a message carries; 0 tells the consumer to go on at the start of the buffer."""

    EVENTS = 1
    SECURITIES = 2
    BOOKS = 3
    DEPOTS = 4
    SOURCES = 5
    QUARANTINE = 6
    """msgspec-encoded list of `feeds.quarantine.Unreadable`."""
    CURRENCIES = 7
    PROGRESS = 8
    CORRECTIONS = 9
    DEALS = 10
    COUNTERPARTIES = 11
    UNITS = 12
    BOOK_UNITS = 13
    MOVES = 14
    NAMES = 20
    """Identifiers beyond those a security's own record has, and whom they lead to."""
    EFFECTS = 32
    """From here on only the machine's own log has them. This: what corrections and deals did to rows, as events."""
    DECIDED = 33
    CLOCK = 34
    DAY = 35
    """The business day of every market, days since 1970."""
    RULES = 36
    """JSON list of `engine.rule_model.Document`."""
    BEGIN = 37
    """JSON: what the machine was made from."""
    GAP = 38
    """JSON: what could not be told."""


DTYPES: Final[dict[int, np.dtype[Any]]] = {
    Message.EVENTS: EVENT,
    Message.SECURITIES: SECURITY,
    Message.BOOKS: BOOK,
    Message.DEPOTS: NAMED,
    Message.SOURCES: NAMED,
    Message.QUARANTINE: np.dtype("u1"),
    Message.CURRENCIES: CURRENCY,
    Message.PROGRESS: PROGRESS,
    Message.CORRECTIONS: CORRECTION,
    Message.DEALS: DEAL_STEP,
    Message.COUNTERPARTIES: COUNTERPARTY,
    Message.UNITS: UNIT,
    Message.BOOK_UNITS: BOOK_UNIT,
    Message.MOVES: MOVE,
    Message.NAMES: NAME,
    Message.EFFECTS: EVENT,
    Message.DECIDED: DECIDED,
    Message.CLOCK: CLOCK,
    Message.DAY: np.dtype("<i4"),
    Message.RULES: np.dtype("u1"),
    Message.BEGIN: np.dtype("u1"),
    Message.GAP: np.dtype("u1"),
}
"""The records of a message."""


class Entry(NamedTuple):
    """A message as a `Cursor` sees it. `at_ns`, `place`: what the producer stamped it with."""

    kind: Message
    at_ns: int
    place: int
    payload: NDArray[np.uint8]


class Ring:
    """One producer's `push`, one consumer's `pop`.

    `progress[t, p]` is the next offset of topic t's partition p to read; `feeds[t]` its `FeedWord`s.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._words: NDArray[np.int64] = segment.arrays["words"]
        self._buffer: NDArray[np.uint8] = segment.arrays["buffer"]
        self.progress: NDArray[np.int64] = segment.arrays["progress"]
        self.feeds: NDArray[np.int64] = segment.arrays["feeds"]

    @classmethod
    def create(cls, name: str, size_bytes: int = 64 << 20, meta: Mapping[str, Any] | None = None) -> Self:
        """Whoever lives longer makes the ring, and owns the memory: of decoded batches the consumer, the engine."""
        size = -(-size_bytes // _ROUND) * _ROUND
        fields = {
            "words": Field.of("<i8", 64),
            "progress": Field.of("<i8", TOPICS, PARTITIONS),
            "feeds": Field.of("<i8", TOPICS, FEED_WORDS),
            "buffer": Field.of("u1", size),
        }
        return cls(Segment.create(name, fields, meta or {}))

    @classmethod
    def attach(cls, name: str) -> Self:
        """The other side joins it."""
        return cls(Segment.attach(name, writable=True))

    @property
    def ready(self) -> bool:
        """Whether the producer has handed over everything that existed when it started."""
        return bool(self._words[_READY])

    @ready.setter
    def ready(self, value: bool) -> None:
        self._words[_READY] = int(value)

    @property
    def alive_ns(self) -> int:
        """When the producer last knew that its source answers and that it is abreast of it; 0: not yet."""
        return int(self._words[_ALIVE])

    @alive_ns.setter
    def alive_ns(self, value: int) -> None:
        self._words[_ALIVE] = value

    @property
    def backlog_bytes(self) -> int:
        return int(self._words[_TAIL] - self._words[_HEAD])

    @property
    def size_bytes(self) -> int:
        return int(self._buffer.size)

    @property
    def drained(self) -> bool:
        """Whether the consumer has used everything pushed so far."""
        return self.backlog_bytes == 0

    def push(self, kind: Message, array: NDArray[Any], *more: NDArray[Any], at_ns: int = 0, place: int = 0) -> bool:
        """Hand over a copy of `array`, dtype as `Message` says. False, and nothing done, while there is no room.

        `at_ns` and `place` go with it, and what is in `more` follows the array, for whoever reads with a `Cursor`.

        Raises ValueError for an array that could never fit: split it (a quarter of the ring always fits an empty one).
        """
        parts = [part.view(np.uint8).reshape(-1) for part in (array, *more)]
        count = sum(part.size for part in parts)
        need = _ROUND + -(-count // _ROUND) * _ROUND
        size = self._buffer.size
        if need > size // 2:
            raise ValueError(f"a message of {need:,} bytes is more than half of the ring ({size:,})")
        tail = int(self._words[_TAIL])
        at = tail % size
        skip = size - at if at + need > size else 0
        if need + skip > size - self.backlog_bytes:
            return False
        if skip:
            self._buffer[at : at + 8].view(np.int64)[0] = 0
            at = 0
        self._buffer[at : at + 32].view(np.int64)[:] = (kind, count, at_ns, place)
        begin = at + _ROUND
        for part in parts:
            self._buffer[begin : begin + part.size] = part
            begin += part.size
        self._words[_TAIL] = tail + skip + need
        return True

    def pop(self) -> tuple[Message, NDArray[Any]] | None:
        """The oldest message, as a view that stays valid until `release`; None when there is none."""
        size = self._buffer.size
        head = int(self._words[_HEAD])
        if head == int(self._words[_TAIL]):
            return None
        at = head % size
        kind = int(self._buffer[at : at + 8].view(np.int64)[0])
        if kind == 0:
            self._words[_HEAD] = head + size - at
            return self.pop()
        count = int(self._buffer[at + 8 : at + 16].view(np.int64)[0])
        payload = self._buffer[at + _ROUND : at + _ROUND + count]
        return Message(kind), payload.view(DTYPES[kind])

    def release(self) -> None:
        """Give the room of the message last popped back to the producer."""
        size = self._buffer.size
        head = int(self._words[_HEAD])
        count = int(self._buffer[head % size + 8 : head % size + 16].view(np.int64)[0])
        self._words[_HEAD] = head + _ROUND + -(-count // _ROUND) * _ROUND

    def entry_at(self, head: int) -> tuple[Entry, int] | None:
        """The message at a byte count and where the next one begins; None where nothing has been pushed yet."""
        size = self._buffer.size
        if head == int(self._words[_TAIL]):
            return None
        at = head % size
        kind, count, at_ns, place = self._buffer[at : at + 32].view(np.int64).tolist()
        if kind == 0:
            return self.entry_at(head + size - at)
        payload = self._buffer[at + _ROUND : at + _ROUND + count]
        return Entry(Message(kind), at_ns, place, payload), head + _ROUND + -(-count // _ROUND) * _ROUND

    def release_to(self, head: int) -> None:
        """Give the room of every message before a byte count back."""
        self._words[_HEAD] = head

    @property
    def head(self) -> int:
        """Up to where everything has been given back."""
        return int(self._words[_HEAD])

    def close(self) -> None:
        self._words = self._buffer = self.progress = self.feeds = np.empty(0, np.int64)  # type: ignore[assignment]
        self.segment.close()


class Cursor:
    """A consumer that reads ahead: what it has read stays in the ring, and valid, until it is released."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._at = ring.head

    def read(self) -> Entry | None:
        """The next message; None when there is none yet."""
        found = self._ring.entry_at(self._at)
        if found is None:
            return None
        entry, self._at = found
        return entry

    @property
    def ahead_bytes(self) -> int:
        """What has been read and not been released."""
        return self._at - self._ring.head

    def release(self) -> None:
        """Everything read so far is needed no longer."""
        self._ring.release_to(self._at)
