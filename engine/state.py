"""The inventory machine: the one owner of the tables, with one door for each kind of change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine import kernel
from engine.calc import Programs, recalculate
from engine.events import EventArray
from engine.model import Capacity, Market, Namespace, SecurityFlag, Temperature
from engine.ring import Message
from engine.rules import Rules
from engine.symbols import Symbols
from engine.tables import CALENDAR_DAYS, FEED_STALE_NS, HISTORY_MEASURES, HISTORY_SLOTS, RECENT_EVENTS, Tables, Word

HISTORY_EVERY_NS: Final = 10_000_000_000
_KNOWN: Final = {
    Message.BOOKS: (Namespace.BOOK, "book", Word.BOOKS),
    Message.DEPOTS: (Namespace.DEPOT, "depot", Word.DEPOTS),
    Message.SOURCES: (Namespace.SOURCE, "source", Word.SOURCES),
}


class CapacityError(RuntimeError):
    """A table is full; the message says which, and what to start with."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Business days of every market, as `feeds.calendars` makes them, and the business day it is (days since 1970)."""

    base_date: int
    business_day: NDArray[np.int32]
    today: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: ids of securities that changed, and events that could not be applied with their outcome."""

    changed: NDArray[np.int32]
    rejected: EventArray
    outcomes: NDArray[np.uint8]


class Machine:
    """Events and reference data in, tables and instructions out. Reads no clock; every failure leaves the tables whole."""

    def __init__(
        self,
        name: str,
        capacity: Capacity,
        rules: Rules,
        markets: Sequence[Market],
        calendar: Calendar,
        generation: str,
    ) -> None:
        self.tables = Tables.create(
            name,
            capacity,
            terms=rules.term_names,
            calculations=rules.calculations,
            markets=markets,
            base_date=calendar.base_date,
            generation=generation,
            explain=rules.explain(),
        )
        self.capacity = capacity
        self.rules = rules
        self.markets = tuple(markets)
        self.inventory = Inventory(self)
        self._programs = Programs.of(rules.programs)
        self._symbols = Symbols(self.tables.array["symbols"])
        self._dirty = np.zeros(capacity.securities + 1, np.int32)
        self._next_history_ns = 0
        self._book = self._arrays(calendar)
        self._values = self.tables.array["values"].reshape(capacity.securities + 1, -1)

    def _arrays(self, calendar: Calendar) -> kernel.Book:
        array, capacity = self.tables.array, self.capacity
        days = calendar.business_day[:, :CALENDAR_DAYS].astype(np.int32)
        array["today"][:] = calendar.today
        array["business_day"][:, : days.shape[1]] = days
        today = np.stack(
            [
                calendar.today,
                np.full(len(days), calendar.base_date),
                days[np.arange(len(days)), calendar.today - calendar.base_date],
            ],
            axis=1,
        )
        position = array["position"].view("<i8").reshape(capacity.rows, -1)
        position[:, 0] = 0  # the first touch of a page costs more than all later ones: pay it before the first event
        entries, entry_counts = self.rules.entries()
        return kernel.Book(
            position=position,
            slots=array["index"],
            first_in_security=array["first_in_security"],
            first_in_book=array["first_in_book"],
            terms=self.tables.segment.arrays["terms"].reshape(capacity.securities + 1, -1),
            price=array["price"],
            updated_ns=array["updated_ns"],
            market_of=np.zeros(capacity.securities + 1, np.uint8),
            business_day=days,
            today=today.astype(np.int32),
            entries=entries,
            entry_counts=entry_counts,
            seen=np.zeros((capacity.sources + 1, kernel.WINDOW // 64), np.uint64),
            newest=np.zeros(capacity.sources + 1, np.int64),
            dirty=self._dirty,
            dirty_mark=np.zeros(capacity.securities + 1, np.int64),
        )

    # doors

    def register(self, kind: Message, records: NDArray[Any]) -> None:
        """Add or change securities, books, depots or sources, known by their `code`. Raises `CapacityError`."""
        if not records.size:
            return
        with self.tables.writing():
            if kind == Message.SECURITIES:
                self._register_securities(records)
            else:
                namespace, table, word = _KNOWN[kind]
                self._place(namespace, table, word, records)
            self.tables.state[Word.REFERENCE] += 1

    def apply(self, events: EventArray) -> Applied:
        """Apply a batch in order and recalculate what it touched. Raises `CapacityError`: the writer must then stop."""
        state = self.tables.state
        outcome = np.zeros(events.size, np.uint8)
        with self.tables.writing():
            counts = kernel.apply(events, outcome, int(state[Word.ROWS]), int(state[Word.BATCHES]) + 1, self._book)
            changed = self._dirty[: counts.dirty].copy()
            self._recalculate(changed)
            duplicates = int(np.count_nonzero(outcome == kernel.DUPLICATE))
            refused = outcome > kernel.DUPLICATE
            rejected = int(np.count_nonzero(refused))
            self._remember(events[outcome == kernel.APPLIED] if duplicates or rejected else events)
            state[Word.ROWS] = counts.rows
            state[Word.BATCHES] += 1
            state[Word.DUPLICATES] += duplicates
            state[Word.MISSING] += counts.missing
            state[Word.REJECTED] += rejected
            state[Word.EVENTS] += events.size - duplicates - rejected
            if events.size:
                state[Word.LAST_EVENT_NS] = max(int(state[Word.LAST_EVENT_NS]), int(events["time_ns"].max()))
        if counts.stopped_at >= 0:
            limit = self.capacity.rows
            raise CapacityError(f"positions: all {limit:,} rows are in use; start with --rows {2 * limit}")
        if not rejected:
            return Applied(changed, events[:0], outcome[:0])
        return Applied(changed, events[refused], outcome[refused])

    def set_located(self, security: int, decrements: int) -> None:
        """What live locates hold of a security, on every day."""
        located = self.rules.term_names.index("located")
        terms = self.tables.array["terms"]
        with self.tables.writing():
            self.tables.state[Word.LOCATED_SHARES] += decrements - int(terms[security, located, 0])
            terms[security, located, :] = decrements
            self._recalculate(np.array([security], np.int32))

    def tick(self, now_ns: int) -> None:
        """Time passes: the heartbeat that readers watch, and every ten seconds a sample of the history."""
        state = self.tables.state
        state[Word.HEARTBEAT_NS] = now_ns
        if now_ns < self._next_history_ns:
            return
        self._next_history_ns = now_ns + HISTORY_EVERY_NS
        slot = int(state[Word.HISTORY]) % HISTORY_SLOTS
        with self.tables.writing():
            history, values = self.tables.array["history"], self.tables.array["values"]
            count = int(state[Word.SECURITIES]) + 1
            day = np.array([m.settle_days for m in self.markets])[self._book.market_of[:count]]
            for i, measure in enumerate(HISTORY_MEASURES):
                at = self.rules.calculations.index(measure)
                on = np.zeros(count, np.int64) if measure == "for_loan" else day
                history[slot, :count, i] = values[np.arange(count), at, on]
            self.tables.array["history_ns"][slot] = now_ns
            state[Word.HISTORY] += 1

    def close(self) -> None:
        """Give the shared memory back."""
        self._book = self._dirty = self._symbols = self._values = None  # type: ignore[assignment]  # views must go before their memory
        self.tables.close()

    # parts

    def _recalculate(self, ids: NDArray[np.int32]) -> None:
        book, programs = self._book, self._programs
        recalculate(ids, ids.size, book.market_of, programs.code, programs.span, book.terms, self._values)

    def _remember(self, events: EventArray) -> None:
        """Keep the newest applied events for "which events made this row"."""
        recent, written = self.tables.array["recent"], int(self.tables.state[Word.RECENT])
        # numpy copies records field by field, words at the speed of memory
        recent = recent.view("<u8").reshape(RECENT_EVENTS, -1)
        kept = events[-RECENT_EVENTS:].view("<u8").reshape(-1, recent.shape[1])
        at = (written + events.size - len(kept)) % RECENT_EVENTS
        first = min(len(kept), RECENT_EVENTS - at)
        recent[at : at + first] = kept[:first]
        recent[: len(kept) - first] = kept[first:]
        self.tables.state[Word.RECENT] = written + events.size

    def _place(self, namespace: Namespace, table: str, word: Word, records: NDArray[Any]) -> NDArray[np.int64]:
        """Write records under the ids of their codes, new codes under new ids, and return the ids."""
        codes, first = np.unique(records["code"], return_index=True)
        ids = self._symbols.find(namespace, codes)
        fresh = np.flatnonzero(ids == 0)
        fresh = fresh[np.argsort(first[fresh])]  # ids in the order of arrival
        used, array = self.tables.count(word), self.tables.array[table]
        if used + fresh.size >= array.size:
            plural = word.name.lower()
            raise CapacityError(
                f"{plural}: room for {array.size - 1:,}, {used + fresh.size:,} needed; start with --capacity-{plural} N"
            )
        ids[fresh] = used + 1 + np.arange(fresh.size)
        placed = ids[np.searchsorted(codes, records["code"])]
        array[placed] = records
        self.tables.state[word] = used + fresh.size
        self._symbols.put(namespace, codes, ids)
        return placed

    def _register_securities(self, records: NDArray[Any]) -> None:
        ids = self._place(Namespace.SECURITY, "security", Word.SECURITIES, records)
        self._book.market_of[ids] = records["market"]
        looked_up = (records["flags"] & SecurityFlag.MASKED_ISIN) == 0
        self._symbols.put(Namespace.SECURITY, records["isin"][looked_up], ids[looked_up])
        for identifier in ("cusip", "sedol", "figi"):
            self._symbols.put(Namespace.SECURITY, records[identifier], ids)
        markets = np.array([m.code.encode() for m in self.markets])[records["market"]]
        listed = np.where(
            records["ticker"] == b"", b"", np.strings.add(np.strings.add(records["ticker"], b"@"), markets)
        )
        self._symbols.put(Namespace.SECURITY, listed, ids)
        self._recalculate(np.unique(ids).astype(np.int32))


class Inventory:
    """What decisions may ask of the machine, and the one number they may change."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._array = machine.tables.array
        self._remaining = machine.rules.calculations.index("remaining")
        self._pool = machine.rules.calculations.index("locate_pool")

    def security_id(self, code: str) -> int:
        """The security a code or identifier names (ISIN, CUSIP, SEDOL, FIGI, TICKER@MARKET); 0 if none."""
        return self._machine._symbols.find_one(Namespace.SECURITY, code)  # noqa: SLF001  the machine's own face

    def temperature(self, security: int) -> Temperature:
        return Temperature(int(self._array["security"][security]["temperature"]))

    def market(self, security: int) -> Market:
        return self._machine.markets[int(self._array["security"][security]["market"])]

    def settle_day(self, security: int) -> int:
        """The day on which a short sold today settles."""
        return self.market(security).settle_days

    def remaining(self, security: int) -> int:
        return int(self._array["values"][security, self._remaining, self.settle_day(security)])

    def pool(self, security: int) -> int:
        return int(self._array["values"][security, self._pool, self.settle_day(security)])

    def terms_of(self, security: int) -> dict[str, int]:
        """Every term on the settlement day."""
        day = self.settle_day(security)
        return dict(zip(self._machine.rules.term_names, self._array["terms"][security, :, day].tolist(), strict=True))

    def set_located(self, security: int, decrements: int) -> None:
        self._machine.set_located(security, decrements)

    @property
    def as_of_ns(self) -> int:
        """The newest event's own time."""
        return self._machine.tables.count(Word.LAST_EVENT_NS)

    @property
    def stale(self) -> bool:
        """Whether a feed has been silent or behind too long, or has not yet handed over what existed at start."""
        state = self._machine.tables.state
        silent_ns = int(state[Word.HEARTBEAT_NS]) - int(state[Word.FEED_NS])
        return not state[Word.READY] or silent_ns > FEED_STALE_NS
