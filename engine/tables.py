"""The shared tables: their layout, the owner's side and the readers' side (one writer, many readers, an even/odd epoch)."""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.events import EVENT
from engine.model import (
    COUNT_WORDS,
    DAYS,
    ENTRY_WORDS,
    HEAD_FACTS,
    HEAD_UPDATED,
    HEAD_WORDS,
    TERM_WORDS,
    Capacity,
    Clock,
    Decided,
    Fact,
    Market,
)
from engine.records import BOOK, COUNTERPARTY, CURRENCY, DEAL, LATER_NODE, NAMED, POSITION, SECURITY, UNIT
from engine.ring import FEED_WORDS, PARTITIONS, TOPICS
from engine.rule_model import Problem, Role
from engine.segment import Field, Segment, SegmentMissingError

T = TypeVar("T")

CALENDAR_DAYS: Final = 512
HISTORY_SLOTS: Final = 60
HISTORY_ROLES: Final = (Role.LEND, Role.POOL_SHORT, Role.LEFT_SHORT)
"""Whose numbers are sampled; the first on SD0, the others on the day a trade of today settles."""
CATALOGUE_BYTES: Final = 1 << 20
CURRENCIES: Final = 256
CLASSES: Final = 4_096
"""Different sets of sums that rows may feed."""
RECENT_EVENTS: Final = 1 << 20
FEED_STALE_NS: Final = 10_000_000_000
"""Without a sign of life of a feed for this long, numbers are shown as stale and nothing is approved without a person."""


class Word(IntEnum):
    """Counters of the whole machine, one int64 each, in the array `state`."""

    EPOCH = 0
    """Odd while a batch is being applied."""
    HEARTBEAT_NS = 1
    LAST_EVENT_NS = 2
    """The newest event's own time."""
    SECURITIES = 3
    BOOKS = 4
    DEPOTS = 5
    SOURCES = 6
    ROWS = 7
    EVENTS = 8
    """Applied to a row or a price."""
    DUPLICATES = 9
    MISSING = 10
    """Sequence numbers that were skipped and have not come since."""
    REJECTED = 11
    """Events that could not be applied; each is in the quarantine."""
    QUARANTINED = 12
    """Records that could not be decoded or resolved."""
    BATCHES = 13
    REFERENCE = 14
    """Grows when a security, book, depot or source is added or changed."""
    READY = 15
    """1 once every feed has handed over what existed at start."""
    STARTED_NS = 16
    LOCATES_LIVE = 17
    LOCATES_PENDING = 18
    HISTORY = 19
    """History slots written so far."""
    RECENT = 20
    """Events written to `recent` so far."""
    LOCATED_SHARES = 21
    """Live decrements over all securities."""
    FEED_NS = 22
    """Up to when every feed is known to be alive and abreast of its source."""
    RULES = 23
    """Version of the catalogue."""
    CATALOGUE_SIZE = 24
    """Bytes of the catalogue."""
    CURRENCIES = 25
    LATER_USED = 26
    """Nodes of `later` ever taken."""
    LATER_FREE = 27
    """The first node given back + 1; 0 for none."""
    COUNTERPARTIES = 28
    UNITS = 29
    DEALS = 30
    """Deals there ever were a place for; the closed ones' places are used again."""
    PARKED = 31
    """Records that wait for reference data."""
    PARKED_SHARES = 32
    """Shares they are about, in absolute amounts, of known and unknown securities."""
    STALE = 33
    """A bit for each `engine.model.Concern` that a late feed makes doubtful."""
    LOG = 34
    """Messages applied so far: the place in the log that archive and snapshots count by."""
    SNAPSHOT_NS = 35
    """When the newest snapshot was taken."""
    CORRECTED = 36
    """Events replaced or taken back by id."""


class TornReadError(RuntimeError):
    """The writer was busy for longer than a reader waits: the machine is overloaded."""


def layout(capacity: Capacity, markets: int) -> dict[str, Field]:
    """Every array of the block; index 0 of securities, books, depots, sources and currencies is never used."""
    securities = capacity.securities + 1
    slots = 1 << (2 * capacity.rows - 1).bit_length()
    named = capacity.books + capacity.depots + capacity.sources + capacity.counterparties + capacity.units + CURRENCIES
    codes = 6 * capacity.securities + named
    return {
        "state": Field.of("<i8", 64),
        "today": Field.of("<i4", markets),
        "business_day": Field.of("<i4", markets, CALENDAR_DAYS),
        "clock": Field.of("<i8", markets, len(Clock), DAYS),
        "security": Field.of(SECURITY, securities),
        "book": Field.of(BOOK, capacity.books + 1),
        "depot": Field.of(NAMED, capacity.depots + 1),
        "source": Field.of(NAMED, capacity.sources + 1),
        "currency": Field.of(CURRENCY, CURRENCIES),
        "counterparty": Field.of(COUNTERPARTY, capacity.counterparties + 1),
        "unit": Field.of(UNIT, capacity.units + 1),
        "book_unit": Field.of("<u2", capacity.books + 1, markets),
        "deal": Field.of(DEAL, capacity.deals + 1),
        "first_deal": Field.of("<i4", securities),
        "parked": Field.of("<i8", securities),
        "applied": Field.of("<i8", TOPICS, PARTITIONS),
        "feed": Field.of("<i8", TOPICS, FEED_WORDS),
        "newest": Field.of("<i8", capacity.sources + 1),
        "missing": Field.of("<i8", capacity.sources + 1),
        "symbols": Field.of("<u8", 1 << (2 * codes - 1).bit_length(), 4),
        "position": Field.of(POSITION, capacity.rows),
        "row_class": Field.of("<u2", capacity.rows),
        "index": Field.of("<u8", slots),
        "first_in_security": Field.of("<i4", securities),
        "first_in_book": Field.of("<i4", capacity.books + 1),
        "later_head": Field.of("<i4", capacity.rows),
        "later": Field.of(LATER_NODE, capacity.rows),
        "class_entries": Field.of("<i8", CLASSES, capacity.components, ENTRY_WORDS),
        "class_counts": Field.of("<i8", CLASSES, COUNT_WORDS),
        "terms": Field.of("<i8", securities, capacity.components, TERM_WORDS),
        "values": Field.of("<i8", securities, capacity.calculations, DAYS),
        "head": Field.of("<i8", securities, HEAD_WORDS),
        "decided": Field.of("<i8", securities, len(Decided)),
        "history_ns": Field.of("<i8", HISTORY_SLOTS),
        "history": Field.of("<i8", HISTORY_SLOTS, securities, len(HISTORY_ROLES)),
        "recent": Field.of(EVENT, RECENT_EVENTS),
        "catalogue": Field.of("u1", CATALOGUE_BYTES),
    }


def no_room(catalogue: Catalogue, capacity: Capacity) -> tuple[Problem, ...]:
    """Why rules cannot be kept in tables of this capacity; nothing where they can."""
    counted = {"components": len(catalogue.components), "calculations": len(catalogue.calculations)}
    told = [
        f"{count:,} {what} are needed, there is room for {room}: see --capacity-{what}"
        for what, count in counted.items()
        if count > (room := getattr(capacity, what))
    ]
    if (size := len(msgspec.json.encode(catalogue))) > CATALOGUE_BYTES:
        told.append(f"all that is said of them takes {size:,} bytes, at most {CATALOGUE_BYTES:,} are kept")
    return tuple(Problem("rules", 0, 0, message) for message in told)


_EPOCH: Final = int(Word.EPOCH)
"""A plain number: numpy looks twice at an enum."""


class _Writing:
    """See `Tables.writing`; made once, because a decision opens the door a few times."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables
        self._inner = 0

    def __enter__(self) -> None:
        state = self._tables.state
        if state.item(_EPOCH) % 2:
            self._inner += 1
        else:
            state[_EPOCH] += 1

    def __exit__(self, *_error: object) -> None:
        if self._inner:
            self._inner -= 1
        else:
            self._tables.state[_EPOCH] += 1


class Tables:
    """The arrays by name, for the owner (`create`) or a reader (`attach`).

    Arrays: `state` (64,) see `Word`; `today` (markets,) days since 1970; `business_day` (markets, CALENDAR_DAYS) ordinal of
    the first business day at or after `base_date` + i; `security`, `book`, `depot`, `source` records by id; `position`
    rows in order of arrival; `first_in_security`, `first_in_book` and the rows' own `next_in_*`: row number + 1, 0 ends the
    chain; `row_class` (rows,) a row's class, whose `class_entries` (component, measure, a mask of -1 or 0 per day) are the sums
    it feeds; `terms` (securities, components, DAYS) those sums; `values` (securities, calculations, DAYS); `head` (securities,
    HEAD_WORDS) see `engine.model`, with `price` and `updated_ns` as views of it; `clock` (markets, clocks, DAYS); `decided`
    (securities, Decided); `deal` deals by number, chained from `first_deal` (securities,) by `next_in_security`; `parked`
    (securities,) shares that wait for reference data; `applied` (topics, partitions) the next offset not yet applied; `feed`
    (topics, FeedWord); `newest`, `missing` (sources,) sequence numbers;
    `later_head` (rows,) node + 1 in `later`, what settles after SD4 by date; `history` (slot, security,
    role) with `history_ns` (slot,): slot of sample k is k % HISTORY_SLOTS.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        head = segment.arrays["head"]
        self.array: dict[str, NDArray[Any]] = segment.arrays | {
            "terms": segment.arrays["terms"][:, :, :DAYS],
            "price": head[:, HEAD_FACTS + Fact.PRICE],
            "updated_ns": head[:, HEAD_UPDATED],
        }
        self.state: NDArray[np.int64] = segment.arrays["state"]
        self._writing = _Writing(self)
        self._catalogue: tuple[int, Catalogue] | None = None
        self.markets: tuple[Market, ...] = tuple(msgspec.convert(segment.meta["markets"], list[Market]))
        self.base_date: int = segment.meta["base_date"]
        self.generation: str = segment.meta["generation"]
        """Differs for every start of the writer."""

    @classmethod
    def create(
        cls, name: str, capacity: Capacity, *, markets: Sequence[Market], base_date: int, generation: str
    ) -> Self:
        meta: Mapping[str, Any] = {
            "markets": msgspec.to_builtins(list(markets)),
            "base_date": base_date,
            "generation": generation,
            "capacity": msgspec.to_builtins(capacity),
        }
        return cls(Segment.create(name, layout(capacity, len(markets)), meta))

    @classmethod
    def attach(cls, name: str) -> Self:
        """Raises `SegmentMissingError` while there is no writer's block of that name."""
        return cls(Segment.attach(name))

    @property
    def capacity(self) -> Capacity:
        return msgspec.convert(self.segment.meta["capacity"], Capacity)

    @property
    def catalogue(self) -> Catalogue:
        """The rules in force. A reader that needs them together with numbers asks inside `read`.

        Raises `SegmentMissingError` while the writer is still beginning.
        """
        if self._catalogue is None or self._catalogue[0] != self.state[Word.RULES]:
            version, raw = self.read(
                lambda: (
                    int(self.state[Word.RULES]),
                    self.array["catalogue"][: self.state[Word.CATALOGUE_SIZE]].tobytes(),
                )
            )
            if not raw:
                raise SegmentMissingError("the writer has published no rules yet")
            self._catalogue = version, msgspec.json.decode(raw, type=Catalogue)
        return self._catalogue[1]

    def publish(self, catalogue: Catalogue) -> None:
        """The owner's: rules in force from this epoch on; call it inside `writing`, with what there is room for (`no_room`)."""
        raw = np.frombuffer(msgspec.json.encode(catalogue), np.uint8)
        self.array["catalogue"][: raw.size] = raw
        self.state[Word.CATALOGUE_SIZE] = raw.size
        self.state[Word.RULES] = catalogue.version
        self._catalogue = catalogue.version, catalogue

    def count(self, word: Word) -> int:
        return self.state.item(word)

    def writing(self) -> "_Writing":
        """The owner's door: readers that overlap it try again. A door within a door is the same epoch."""
        return self._writing

    def read(self, copy: Callable[[], T], patience_s: float = 2.0) -> T:
        """What `copy` returns, all of one epoch. It must copy, and may run more than once. Raises `TornReadError`.

        Patience begins after the first copy, which may have compiled what the next ones use.
        """
        deadline, first = time.monotonic() + patience_s, True
        while True:
            before = int(self.state[Word.EPOCH])
            if before % 2 == 0:
                result = copy()
                if int(self.state[Word.EPOCH]) == before:
                    return result
                if first:
                    deadline, first = time.monotonic() + patience_s, False
            else:
                time.sleep(0.0001)
            if time.monotonic() > deadline:
                raise TornReadError(f"no quiet moment of the writer within {patience_s} s")

    def rows_of(self, security: int) -> NDArray[np.int64]:
        """Row numbers of a security, newest first. Call it inside `read`."""
        rows: list[int] = []
        row = int(self.array["first_in_security"][security])
        links = self.array["position"]["next_in_security"]
        while row and len(rows) <= len(links):
            rows.append(row - 1)
            row = int(links[row - 1])
        return np.array(rows, np.int64)

    def close(self) -> None:
        self.array = {}
        self.state = np.empty(0, np.int64)
        self.segment.close()


class Reader:
    """Tables that follow the writer: `tables()` attaches anew when the writer was restarted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tables: Tables | None = None

    def tables(self) -> Tables:
        """The living writer's tables; raises `SegmentMissingError` while there are none."""
        if self._tables is not None and self._tables.segment.stale:
            self._tables.close()
            self._tables = None
        if self._tables is None:
            self._tables = Tables.attach(self.name)
        return self._tables

    def close(self) -> None:
        """Leave the writer's memory."""
        if self._tables is not None:
            self._tables.close()
            self._tables = None


__all__ = ["HISTORY_ROLES", "HISTORY_SLOTS", "Reader", "SegmentMissingError", "Tables", "TornReadError", "Word"]
