"""The inventory machine: the one owner of the tables, with one door for each kind of change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine import begun, copies, corrections, kernel, rebuild, recognise, tally
from engine.classes import Classifier
from engine.deals import Deals
from engine.events import EVENT, EventArray
from engine.inventory import Inventory
from engine.model import Capacity, Clock, Decided, Flag, Market
from engine.moves import Moved, Moves
from engine.preserve import Preserve
from engine.registry import CapacityError, Registry
from engine.ring import CLOCK, DECIDED, Message
from engine.rule_model import RuleBook
from engine.sums import Sums
from engine.tables import HISTORY_ROLES, HISTORY_SLOTS, Tables, Word

HISTORY_EVERY_NS: Final = 10_000_000_000
_CACHED: Final = 1 << 14
"""Events applied at a time: a megabyte, which stays in the cache until all is done with them."""
_MOST_GAPS: Final = 1_000
_SETTLED: Final = ~np.uint8(Flag.QUANTO)  # flags of what settles on the date it says


Log: TypeAlias = Callable[[Message, NDArray[Any], NDArray[np.uint8] | None], None]
"""Told of every change once it is made and counted in `Word.LOG`: what it was, as it came, and for events what became of each.
It must not keep the arrays."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Business days of every market, as `feeds.calendars` makes them, and the business day it is (days since 1970)."""

    base_date: int
    business_day: NDArray[np.int32]
    today: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: ids of securities that changed, and what could not be applied, as it came, with its outcome."""

    changed: NDArray[np.int32]
    rejected: NDArray[np.void]
    outcomes: NDArray[np.uint8]


def _applied(changed: NDArray[np.int32], records: NDArray[np.void], outcome: NDArray[np.uint8], full: str) -> Applied:
    """What a door returns. Raises `CapacityError` where something is full."""
    if full:
        raise CapacityError(full)
    refused = recognise.is_refused(outcome)
    return Applied(changed, records[refused], outcome[refused])


def _cut(events: EventArray, at: int) -> int:
    """Where the events that are applied together with `at` end: never between an event and its parts."""
    end = min(at + _CACHED, events.size)
    while end < events.size and events["flags"][end] & Flag.PART:
        end += 1
    return end


class Machine(Sums):
    """Events, reference data and rules in, tables out. Reads no clock; every refusal leaves the tables as they were."""

    def __init__(
        self,
        name: str,
        capacity: Capacity,
        book: RuleBook,
        markets: Sequence[Market],
        calendar: Calendar,
        generation: str,
    ) -> None:
        tables = Tables.create(name, capacity, markets=markets, base_date=calendar.base_date, generation=generation)
        try:
            tables.array["today"][:] = calendar.today
            super().__init__(tables, capacity, markets, calendar.business_day)
            self._begin(book)
        except BaseException:
            tables.close()
            raise

    def _begin(self, book: RuleBook) -> None:
        array, sources = self.tables.array, self.capacity.sources
        self.inventory = Inventory(self.tables, self.set_decided)
        self.log: Log | None = None
        self.preserve: Preserve | None = None
        """While a snapshot is being taken."""
        self.memory = recognise.Memory(
            seen=np.zeros((sources + 1, recognise.WINDOW // 64), np.uint64),
            newest=array["newest"],
            missing=array["missing"],
            ledger=corrections.ledger_of(sources),
        )
        self.begun = begun.begun_of(self.capacity.books, len(array["recent"]))
        self.deals = Deals(self.tables)
        self.moves = Moves(self.tables)
        self._registry = Registry(self.tables)
        self._next_history_ns = 0
        compiled = self._compiled(book)
        self._take(book, compiled, Classifier(compiled, self.tables))

    # doors

    def register(self, kind: Message, records: NDArray[Any]) -> None:
        """Add or change what is known by its `code` (securities, books, depots, sources, currencies, counterparties, units),
        and say which unit a book has in a market. Raises `CapacityError`."""
        if not records.size:
            return
        with self.tables.writing():
            if self.preserve is not None:
                self.preserve.reference()
            if kind == Message.NAMES:
                self._registry.name(records)
            else:
                self._place(kind, records)
            self.tables.state[Word.REFERENCE] += 1
        self._logged(kind, records)

    def apply(self, events: EventArray) -> Applied:
        """Apply a batch in order and recalculate what it touched. Raises `CapacityError`: the writer must then stop."""
        outcome = np.zeros(events.size, np.uint8)
        changed, full, at = [np.empty(0, np.int32)], "", 0
        while at < events.size and not full:
            end, stated = begun.cut(events, at, self.begun)
            again = np.empty(0, EVENT)
            with self.tables.writing():
                touched, full = self._run(events[at:end], outcome[at:end], recognised=False)
                changed.append(touched)
                if stated and not full:
                    again = self._begun_anew(events[at:end], outcome[at:end])
                    touched, full = self._run(again, np.zeros(again.size, np.uint8), recognised=True, known=True)
                    changed.append(touched)
            self._logged(Message.EVENTS, events[at:end], outcome[at:end])
            if again.size:
                self._logged(Message.EFFECTS, again)
            at = end
        every = changed[-1] if len(changed) <= 2 else np.unique(np.concatenate(changed))  # noqa: PLR2004  of a single cut
        return _applied(every, events, outcome, full)

    def correct(self, records: NDArray[np.void]) -> Applied:
        """Replace or take back events by their numbers (`engine.events.CORRECTION`), in order; see `engine.corrections`.

        Raises `CapacityError`: the writer must then stop.
        """
        events, outcome = copies.beginnings(records, EVENT), np.zeros(records.size, np.uint8)
        with self.tables.writing():
            if self.preserve is not None:
                originals = events.copy()
                originals["seq"] = records["corrects"]
                self.preserve.ledger(originals)
            dated = self._new(events, outcome)
            effects = np.empty(2 * events.size, EVENT)
            replaced = np.ascontiguousarray(records["corrects"])
            written = corrections.expand(dated, replaced, outcome, effects, self.memory.ledger, self._book)
            effects["flags"][:written] &= _SETTLED
            became = np.zeros(written, np.uint8)
            changed, full = self._run(effects[:written], became, recognised=True)
            tally.count(self.tables, events, outcome, parts=True)
            self.tables.state[Word.CORRECTED] += int(np.count_nonzero(outcome == recognise.APPLIED))
        self._logged(Message.CORRECTIONS, records, outcome)
        self._logged(Message.EFFECTS, recognise.done(effects[:written], became))
        return _applied(changed, records, outcome, full)

    def step(self, records: NDArray[np.void]) -> Applied:
        """Steps in the life of deals (`engine.events.DEAL_STEP`), in order, and plain events (those without a `code`) among
        them, which parts may follow; see `engine.deals`. Raises `CapacityError`: the writer must then stop."""
        events, outcome = copies.beginnings(records, EVENT), np.zeros(records.size, np.uint8)
        with self.tables.writing():
            if self.preserve is not None:
                self.preserve.deals()
            dated = self._new(events, outcome)
            effects, table = self.deals.step(dated, records, outcome, self.memory, self._book)
            effects["flags"] &= _SETTLED
            self.tables.state[Word.MISSING] = self.memory.missing.sum()
            became = np.zeros(effects.size, np.uint8)
            changed, full = self._run(effects, became, recognised=True)
            tally.count(self.tables, events, outcome, parts=True)
        self._logged(Message.DEALS, records, outcome)
        self._logged(Message.EFFECTS, recognise.done(effects, became))
        limit = self.capacity.deals
        full = full or (f"{table}: all {limit:,} are in use; start with --capacity-deals {2 * limit}" if table else "")
        return _applied(changed, records, outcome, full)

    def gaps(self, source: int) -> list[tuple[int, int]]:
        """The runs of numbers that a source has left out, first and last, oldest first: the newest thousand of them."""
        runs: list[list[int]] = recognise.gaps(source, _MOST_GAPS, self.memory).tolist()
        return [(first, last) for first, last in reversed(runs)]

    def set_parked(self, ids: NDArray[np.int32], quantities: NDArray[np.int64]) -> None:
        """How many shares wait for reference data, by security."""
        with self.tables.writing():
            self.tables.array["parked"][ids] = quantities

    def move(self, moves: NDArray[np.void]) -> Moved:
        """Let rows of securities become rows of others, or go home (`engine.ring.MOVE`, `engine.moves`), in order.

        Raises `CapacityError`: the writer must then stop.
        """
        with self.tables.writing():
            if self.preserve is not None:
                ids = [self.moves.own_id(bytes(code)) for move in moves for code in (move["source"], move["target"])]
                self.preserve.securities(sorted({found for found in ids if found}))
                self.preserve.deals()
            moved = self.moves.move(moves, self._book)
            if moved.changed.size:
                self.deals.rebuild()
                self._sum_again(moved.changed)
                self.tables.state[Word.REFERENCE] += 1
        self._logged(Message.MOVES, moves)
        return moved

    def set_decided(self, security: int, what: Decided, quantity: int) -> None:
        """What decisions hold of a security, on every day."""
        array, state = self.tables.array, self.tables.state
        with self.tables.writing():
            if what == Decided.SHORT_LOCATES:
                state[Word.LOCATED_SHARES] += quantity - int(array["decided"][security, what])
            array["decided"][security, what] = quantity
            if self._place_decision(security, what, quantity):
                self._recalculate(np.array([security], np.int32))
        self._logged(Message.DECIDED, np.array([(security, what, quantity)], DECIDED))

    def set_clock(self, market: int, what: Clock, day: int, *, is_open: bool) -> None:
        """What the time of day has decided for a ladder day of a market."""
        clock = self.tables.array["clock"]
        if clock[market, what, day] == is_open:
            return
        with self.tables.writing():
            clock[market, what, day] = is_open
            self._recalculate(np.flatnonzero(self._book.market_of == market).astype(np.int32))
        self._logged(Message.CLOCK, np.array([(market, what, day, is_open)], CLOCK))

    def check(self, book: RuleBook) -> None:
        """Raises `RulesError` where `publish` would, but for the rows there are. Changes nothing; any thread may ask."""
        self._compiled(book)

    def publish(self, book: RuleBook) -> None:
        """Other rules from now on: everything is made anew within one epoch.

        Raises `RulesError` or `TooManyClassesError`: the old rules stay.
        """
        self._make_anew(book)
        self._logged(Message.RULES, np.frombuffer(msgspec.json.encode(book.documents), np.uint8))

    def roll(self, today: NDArray[np.int32]) -> None:
        """The business day of every market, where it is another than before: ladders move on, intraday sums begin again.

        Raises `ValueError` for a day before the present one.
        """
        before = self._today()
        array = self.tables.array
        if (today < array["today"]).any():
            raise ValueError("a market's business day does not go back")
        if (today == array["today"]).all():
            return
        with self.tables.writing():
            if self.preserve is not None:
                self.preserve.everything()
            array["today"][:] = today
            array["clock"][today != before[:, 0]] = 1
            now = self._today()
            self._book = self._book._replace(today=now)
            steps = (now[:, 2] - before[:, 2]).astype(np.int64)
            rebuild.roll(int(self.tables.state[Word.ROWS]), steps, self.tables.base_date, self._book)
            self.deals.forget()
            self.moves.forget()
            self._make_anew(self.book)
        self._logged(Message.DAY, today.astype(np.int32))

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
            for i, role in enumerate(HISTORY_ROLES):
                at = self.compiled.catalogue.playing(role)
                on = np.zeros(count, np.int64) if i == 0 else day
                history[slot, :count, i] = values[np.arange(count), at, on]
            self.tables.array["history_ns"][slot] = now_ns
            state[Word.HISTORY] += 1

    def private(self) -> dict[str, NDArray[Any]]:
        """What a snapshot must keep beside the shared tables: filled in place, it is restored."""
        return {"seen": self.memory.seen, "ledger": self.memory.ledger} | self.deals.private()

    def unplaced(self) -> NDArray[np.void]:
        """See `Registry.unplaced`: for a snapshot."""
        return self._registry.unplaced()

    def restored(self, unplaced: NDArray[np.void]) -> None:
        """The tables, and what is `private`, were filled from outside: make all that follows from them."""
        array = self.tables.array
        with self.tables.writing():
            self._registry.restored(unplaced)
            self._book.market_of[:] = array["security"]["market"]
            self._book = self._book._replace(today=self._today())
            self.deals.rebuild()
            self._make_anew(self.book)

    def close(self) -> None:
        """Give the shared memory back."""
        self._book = self._dirty = self._registry = self._values = self._classifier = self.inventory = None  # type: ignore[assignment]
        self.tables.close()

    # parts

    def _place(self, kind: Message, records: NDArray[Any]) -> None:
        ids = self._registry.place(kind, records)
        match kind:
            case Message.SECURITIES:
                self._changed_securities(np.unique(ids).astype(np.int32))
            case Message.CURRENCIES:
                self._recalculate(self._registry.in_currencies(records))
            case Message.BOOKS | Message.DEPOTS:
                self._regroup(kind, ids)

    def _logged(self, kind: Message, payload: NDArray[Any], outcome: NDArray[np.uint8] | None = None) -> None:
        """Count a change that has been made, and tell of it."""
        self.tables.state[Word.LOG] += 1
        if self.log is not None:
            self.log(kind, payload, outcome)

    def _dated(self, events: EventArray) -> EventArray:
        """The events as they settle: quanto trades in a copy, because what came is remembered as it came."""
        quanto = events["flags"] & Flag.QUANTO != 0
        if not quanto.any():
            return events
        moved = copies.copied(events)
        kernel.move_quanto(moved, self._book.market_of, self._book.business_day, self._book.today)
        return moved

    def _new(self, events: EventArray, outcome: NDArray[np.uint8]) -> EventArray:
        """Tell which of these are new; returns them as they settle."""
        if self.preserve is not None:
            self.preserve.events(events)
        self.tables.state[Word.MISSING] += recognise.recognise(events, outcome, self.memory)[0]
        dated = self._dated(events)
        return copies.copied(dated) if dated is events else dated

    def _begun_anew(self, events: EventArray, outcome: NDArray[np.uint8]) -> EventArray:
        """What has to be done again behind these starts of day."""
        written, recent = self.tables.count(Word.RECENT), self.tables.array["recent"]
        return self._dated(begun.again(events, outcome, written, recent, self._book, self.begun))

    def _run(
        self, events: EventArray, outcome: NDArray[np.uint8], *, recognised: bool, known: bool = False
    ) -> tuple[NDArray[np.int32], str]:
        """Apply events and recalculate what they touched. `recognised`: their numbers are noted already, they can all be
        applied, they settle as they say, and they are counted elsewhere; `known`: they were applied before. Returns the ids
        of what changed, and what is full, if anything is."""
        state = self.tables.state
        dirty, whole, at, parts = 0, True, 0, False
        mark = int(state[Word.BATCHES]) + 1
        while at < events.size and whole:
            end = _cut(events, at)
            part, became = events[at:end], outcome[at:end]
            if self.preserve is not None:
                self.preserve.events(part)
            dated = part
            if not recognised:
                missing, parts = recognise.recognise(part, became, self.memory)
                state[Word.MISSING] += missing
                dated = self._dated(part)
                if parts:
                    kernel.stand_together(dated, became, self._book)
            if not known:
                begun.sift(dated, became, int(state[Word.RECENT]), self.tables.array["recent"], self.begun)
            counts = kernel.apply(dated, became, int(state[Word.ROWS]), mark, dirty, self._book)
            if counts.unclassified:
                self._adopt(self._book.unclassified[: counts.unclassified].astype(np.int64))
            state[Word.ROWS] = counts.rows
            if not recognised:
                corrections.keep(dated, became, self.memory.ledger)
                tally.count(self.tables, part, became, parts=parts)
            if not known:
                tally.remember(self.tables, recognise.done(part, became), self.begun)
            dirty, whole, at = counts.dirty, counts.stopped_at < 0, end
        state[Word.BATCHES] = mark
        changed = np.sort(self._dirty[:dirty])  # neighbours share pages
        self._recalculate(changed)
        limit = self.capacity.rows
        return changed, "" if whole else f"positions: all {limit:,} rows are in use; start with --rows {2 * limit}"
