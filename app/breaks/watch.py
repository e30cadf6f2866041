"""One look after the other at everything that may differ. All of it in one thread, which is not the one that answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import structlog
from msgspec.structs import replace

from app import business_days
from app.breaks import elsewhere
from app.breaks.close_of_day import CloseOfDay
from app.breaks.elsewhere import MOST, Kept, Overdrawn, tried
from app.breaks.facts import CauseFound, Facts
from app.breaks.life import Life, Seen
from app.breaks.naming import Namer, around_of
from app.breaks.rules import BreakRules
from app.feed_rules import DOUBTFUL, FeedRule, FeedState, HealthWord
from engine.break_causes import Opposites, candidates, opposites_of
from engine.break_kinds import BreakKind, Cause, Found
from engine.break_reading import events_of, no_events, rows_of
from engine.break_scan import BreakScan
from engine.events import EventArray
from engine.model import HEAD_MARK, Kind, Op
from engine.tables import Tables, Word

log = structlog.get_logger()
T = TypeVar("T")
_NS: Final = 10**9
_WHOLE_NS: Final = 60 * _NS
"""While reference data change, everything is looked at so often."""
_FROM_TABLES: Final = frozenset(
    {
        BreakKind.DEPOT,
        BreakKind.TD_SD,
        BreakKind.FRONT_BACK,
        BreakKind.CONTRACT,
        BreakKind.AVAILABILITY,
        BreakKind.FEED,
        BreakKind.GAP,
    }
)
_SIDED: Final = frozenset({BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK})
"""Kinds whose causes are searched for."""


@dataclass(slots=True)
class Measured:
    """How the last look fared. `failed`: what could not be looked at, and why."""

    at_ns: int = 0
    took_ms: float = 0.0
    processor_ms: float = 0.0
    looked_at: int = 0
    """Securities."""
    full: bool = True
    failed: dict[str, str] = field(default_factory=dict)
    cut: tuple[BreakKind, ...] = ()
    """Kinds of which there are more than are told."""


class Watch:
    """Of one attachment to the tables. `overdrawn`: what the engine has told last, None while it does not answer; `folder`: of
    data."""

    def __init__(
        self,
        tables: Tables,
        rules: BreakRules,
        feed_rules: Sequence[FeedRule],
        kept: Kept,
        overdrawn: Callable[[], Sequence[Overdrawn] | None],
        folder: Path,
    ) -> None:
        self.tables = tables
        self.scan = BreakScan(tables)
        self.namer = Namer(tables)
        self.measured = Measured()
        self.rules = rules
        self._feed_rules = feed_rules
        self._kept = kept
        self._overdrawn = overdrawn
        self._first_seen: dict[str, int] = {}
        self._causes: dict[str, tuple[object, tuple[CauseFound, ...]]] = {}
        self._close = CloseOfDay(tables, folder)
        self.scan.close_at(self._close.quantities, self._close.known)
        self._last_ns = self._whole_ns = 0
        self._reference = -1

    def look(self, known: Mapping[str, Life], now_ns: int) -> Seen:
        """Everything that differs now and has for long enough. `known`: breaks that there are already.

        Raises `TornReadError` while the writer leaves no quiet moment.
        """
        began, processor = time.perf_counter(), time.thread_time()
        measured = Measured(at_ns=now_ns, full=self._last_ns == 0)
        if self._close.turn():
            self.scan.close_at(self._close.quantities, self._close.known)
        measured.looked_at = self.scan.turn(whole=self._reference_changed(now_ns))
        found, cut = _first_of_each(self._tolerated(), lambda one: one[0].kind)
        facts = self._facts(found, now_ns)
        kinds = set(_FROM_TABLES) - (set() if self._close.any else {BreakKind.FRONT_BACK})
        facts += elsewhere.feeds(self.tables, self._feed_rules, now_ns) + elsewhere.gaps(self.tables, self.namer)
        searches: dict[str, tuple[frozenset[BreakKind], Callable[[], list[Facts]]]] = {
            "quarantine": (frozenset({BreakKind.MESSAGE}), lambda: elsewhere.messages(self._kept)),
            "parking": (
                frozenset({BreakKind.REFERENCE, BreakKind.PARTY}),
                lambda: elsewhere.waiting(self._kept, self.tables),
            ),
            "security master": (
                frozenset({BreakKind.IDENTIFIER}),
                lambda: elsewhere.conflicts(self._kept, self.tables, self.namer),
            ),
            "limits": (frozenset({BreakKind.LIMIT}), self._of_limits),
        }
        for name, (sorts, search) in searches.items():
            if (some := tried(search, measured.failed, name)) is not None:
                told, more = _first_of_each(some, lambda one: one.kind)
                facts += told
                kinds |= sorts
                cut |= more
        seen = self._lasting({one.key: one for one in facts if one.kind in kinds}, known, now_ns)
        seen = {key: self._judged(one, known.get(key)) for key, one in seen.items()}
        measured.took_ms = 1_000 * (time.perf_counter() - began)
        measured.processor_ms = 1_000 * (time.thread_time() - processor)
        measured.cut = tuple(sorted(cut))
        self.measured = measured
        agreed_ns, self._last_ns = self._last_ns, now_ns
        return Seen(seen, kinds - cut, now_ns, agreed_ns, self.days())

    def days(self) -> dict[str, int]:
        """By market's code the business day that it is; "" for what is of no market."""
        today = self.tables.array["today"].tolist()
        days = {market.code: int(day) for market, day in zip(self.tables.markets, today, strict=True)}
        return days | {"": days[self.tables.markets[self._calendar("")].code]}

    def age_days(self, life: Life) -> int:
        """Business days of its market (of the first one for what is of none) since it was found, until it was resolved."""
        tables, index = self.tables, self._calendar(life.facts.about.market)
        table, base, last = (
            tables.array["business_day"][index],
            tables.base_date,
            tables.array["business_day"].shape[1] - 1,
        )
        until = int(tables.array["today"][index])
        if not life.open:
            with suppress(ValueError):  # longer ago than the calendar reaches: counted from where it begins
                until = int(
                    business_days.today(tables.markets[index : index + 1], table[None], base, life.resolved_ns)[0]
                )
        now, then = min(max(until - base, 0), last), min(max(life.first_day - base, 0), last)
        return max(0, int(table[now]) - int(table[then]))

    # parts

    def _calendar(self, market: str) -> int:
        """Of the market by whose days is counted: its own, or the first one's for what is of none."""
        return next((at for at, one in enumerate(self.tables.markets) if one.code == market), 0)

    def _reference_changed(self, now_ns: int) -> bool:
        """Whether rows may have moved without a mark: securities that were merged or split."""
        reference = self.tables.count(Word.REFERENCE)
        if reference == self._reference or now_ns - self._whole_ns < _WHOLE_NS:
            return False
        self._reference, self._whole_ns = reference, now_ns
        return True

    def _tolerated(self) -> list[tuple[Found, int]]:
        """What differs by more than is tolerated, with what is."""
        kept = []
        for found in self.scan.found:
            tolerance = 0
            if found.kind in _SIDED or found.kind == BreakKind.CONTRACT:
                place = found.place
                depot = self.namer.code("depot", place.depot)
                tolerance = self.rules.tolerance(self.namer.market(place.security), depot, found.ours)
            if abs(found.quantity) > tolerance:
                kept.append((found, tolerance))
        return kept

    def _facts(self, found: Sequence[tuple[Found, int]], now_ns: int) -> list[Facts]:
        opposites = opposites_of([one for one, _ in found])
        facts = [self.namer.facts(one, (), tolerance) for one, tolerance in found]
        fresh: list[int] = []
        for at, ((one, _), named) in enumerate(zip(found, facts, strict=True)):
            if one.kind not in _SIDED:
                continue
            before = self._causes.get(named.key)
            if before is None or before[0] != self._state_of(one, opposites):
                fresh.append(at)
        events = events_of(self.tables, {found[at][0].place.security for at in fresh}) if fresh else {}
        for at in fresh:
            one = found[at][0]
            causes = self._search(one, events.get(one.place.security, no_events()), opposites, now_ns)
            self._causes[facts[at].key] = self._state_of(one, opposites), causes
        present = {one.key for one in facts}
        self._causes = {key: kept for key, kept in self._causes.items() if key in present}
        return [replace(one, causes=self._causes[one.key][1]) if one.key in self._causes else one for one in facts]

    def _state_of(self, found: Found, opposites: Opposites) -> object:
        """What the causes of a break may follow from: while it is the same they are not searched for again."""
        mark = int(self.tables.array["head"][found.place.security, HEAD_MARK])
        return found.ours, found.theirs, mark, len(opposites.get((found.kind, -found.quantity), ()))

    def _search(self, found: Found, events: EventArray, opposites: Opposites, now_ns: int) -> tuple[CauseFound, ...]:
        security = found.place.security
        _, rows = rows_of(self.tables, security)
        stated_ns = stated_at(found, events)
        around = around_of(self.tables, security, rows, events)
        told = [self.namer.cause(found, one, around) for one in candidates(found, around, opposites)]
        return tuple(told + self._late_files(found, stated_ns, now_ns))

    def _late_files(self, found: Found, stated_ns: int, now_ns: int) -> list[CauseFound]:
        """The statement, or the start of day, that should have come and has not."""
        named = "depots" if found.kind == BreakKind.DEPOT else "positions"
        number = next(at for at, rule in enumerate(self._feed_rules) if rule.feed == named)
        state = FeedState(int(self.tables.array["feed"][number, HealthWord.STATE]))
        depot = self.namer.code("depot", found.place.depot)
        if state in DOUBTFUL:
            text = f"The feed {named} is {state.name.lower()}: what it would say is not known"
            return [CauseFound(cause=Cause.START_OF_DAY, quantity=0, text=text, depot=depot)]
        if found.kind == BreakKind.DEPOT and stated_ns and now_ns - stated_ns > 86_400 * _NS:
            text = f"The newest statement of {depot} is more than a day old"
            return [CauseFound(cause=Cause.START_OF_DAY, quantity=0, text=text, depot=depot)]
        return []

    def _of_limits(self) -> list[Facts]:
        told = self._overdrawn()
        if told is None:
            raise elsewhere.CannotLookError("the engine does not answer")
        return elsewhere.overdrawn(told, self.tables, self.namer)

    def _lasting(self, facts: Mapping[str, Facts], known: Mapping[str, Life], now_ns: int) -> dict[str, Facts]:
        """Those that are known, or have been there for as long as their kind asks."""
        first = {key: self._first_seen.get(key, now_ns) for key in facts}
        self._first_seen = first
        return {
            key: one
            for key, one in facts.items()
            if (key in known and known[key].open) or now_ns - first[key] >= self.rules.kinds[one.kind].after_s * _NS
        }

    def _judged(self, facts: Facts, life: Life | None) -> Facts:
        age = self.age_days(life) if life is not None and life.open else 0
        rule = self.rules.kinds[facts.kind]
        return replace(facts, severity=rule.judged(facts.value, facts.affected, facts.located, age))


def stated_at(found: Found, events: EventArray) -> int:
    """When a custodian last stated what a depot break is about; 0 where that is not among the newest events."""
    if found.kind != BreakKind.DEPOT:
        return 0
    mine = (events["kind"] == Kind.DEPOT) & (events["op"] == Op.SET) & (events["depot"] == found.place.depot)
    return int(events["time_ns"][mine][-1]) if mine.any() else 0


def _first_of_each(found: Sequence[T], kind_of: Callable[[T], BreakKind]) -> tuple[list[T], set[BreakKind]]:
    """At most `MOST` of each kind, and the kinds of which there are more."""
    counted: dict[BreakKind, int] = {}
    kept = []
    for one in found:
        kind = kind_of(one)
        counted[kind] = counted.get(kind, 0) + 1
        if counted[kind] <= MOST:
            kept.append(one)
    return kept, {kind for kind, count in counted.items() if count > MOST}


def ready(tables: Tables) -> bool:
    """Whether everything that existed at start has been applied: before that everything differs."""
    return bool(tables.count(Word.READY))
