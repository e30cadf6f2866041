"""A simulated day as the watch of breaks sees it: some of every kind, each found by what it comes to, none of it noise."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from app import feed_rules, world
from app.api.securities import Securities
from app.breaks.elsewhere import Kept, Overdrawn
from app.breaks.facts import Facts
from app.breaks.overdrawn import OverdrawnWatch
from app.breaks.rules import shipped
from app.breaks.watch import Watch
from app.feed_rules import FeedState, HealthWord
from app.listings import listings
from app.master_books import MasterBooks
from app.master_keeper import Keeper
from app.master_store import MasterStore
from app.parked_record import concerns
from app.parking_store import Parked, ParkingStore
from app.quarantine_store import QuarantineStore
from app.simulated import Receiver
from app.stream_limits import Limits
from engine.break_kinds import BreakKind, Cause
from engine.model import STOCK, Capacity, Decided, Kind
from engine.ring import FeedWord
from engine.rule_model import Role, Scope
from engine.tables import Word
from feeds import reference, simulator_late
from feeds.calendars import TradingDays
from feeds.master_door import Taken
from feeds.registry import FEEDS, feed_named
from feeds.simulator import BLOCK, Simulator
from feeds.simulator_asides import vendors
from feeds.simulator_faults import FaultRates
from feeds.universe import Universe, build
from tests.feeds.test_simulator_feeds import CALENDAR, DAYS, MARKETS, TABLE, TODAY, TOPICS

SECOND = 10**9
FAULTS = FaultRates(gaps=2e-3, unreadable=2e-3, unknown=5e-3)
SECURITY = 1
"""The one of which more is promised and sold than there is."""
PROMISED = 10**7
SOLD = 3 * 10**7
LATE_S = 95


@dataclass
class Day:
    """What was there, and what the watch said of it: when the day had begun, late in it, and when the next one had."""

    simulator: Simulator
    receiver: Receiver
    watch: Watch
    kept: Kept
    overdrawn: list[Overdrawn] = field(default_factory=list)
    seconds: int = 0
    begun: dict[str, Facts] = field(default_factory=dict)
    late: dict[str, Facts] = field(default_factory=dict)
    again: dict[str, Facts] = field(default_factory=dict)
    next: dict[str, Facts] = field(default_factory=dict)
    stated: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    restated: dict[str, tuple[int, int]] = field(default_factory=dict)
    below: int = 0
    """What is left of the security, of which more is promised than there is."""

    @property
    def universe(self) -> Universe:
        return self.simulator.universe

    def look(self) -> dict[str, Facts]:
        """Twice, with more between them than anything must last."""
        self.watch.look({}, self.seconds * SECOND)
        self.seconds += 100
        found = dict(self.watch.look({}, self.seconds * SECOND).facts)
        assert not self.watch.measured.failed
        self.seconds += 1
        return found

    def play(self, blocks: int) -> None:
        for _ in range(blocks):
            self.receiver.records(self.simulator.records(self.simulator.next(BLOCK, 2), TOPICS, "json"))
            self.receiver.asides(self.simulator, self.simulator.asides())


def of(kind: BreakKind, found: dict[str, Facts]) -> list[Facts]:
    return [one for one in found.values() if one.kind == kind]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder, name = tmp_path_factory.mktemp("day"), f"ims-test-{uuid.uuid4().hex[:12]}"
    capacity = Capacity(securities=512, books=1_000, sources=64, rows=16_384, deals=8_192)
    receiver = Receiver(f"{name}.tables", MARKETS, CALENDAR, capacity)
    master = f"sqlite:///{folder / 'master.db'}"
    kept = Kept(ParkingStore(folder / "parked.db"), QuarantineStore(folder / "quarantine.db"), MasterBooks(master))
    with closing(receiver), closing(kept.parked), closing(kept.quarantine), closing(kept.master):
        universe = build(MARKETS, listings(), 150, 5, today=TODAY)
        simulator = Simulator(universe, DAYS, 1, 1, FAULTS, apart=True)
        rules = shipped(tuple(market.code for market in MARKETS))
        feeds = feed_rules.shipped(tuple(feed.name for feed in FEEDS))
        overdrawn: list[Overdrawn] = []
        watch = Watch(receiver.machine.tables, rules, feeds, kept, lambda: overdrawn, folder)
        made = Day(simulator, receiver, watch, kept, overdrawn)
        _begin(made)
        _decide(made)
        made.play(2)
        _put_aside(made, folder, master)
        _fall_silent(made)
        made.late = made.look()
        made.below = _left(made)
        made.again = dict(watch.look({}, made.seconds * SECOND).facts)
        made.stated = _stated(made)
        _turn(made)
        yield made


def _begin(day: Day) -> None:
    day.receiver.reference(day.simulator.reference())
    for drafts in day.simulator.start_of_day(1):
        day.receiver.records(day.simulator.records(drafts, TOPICS, "json"))
    assert not day.watch.look({}, SECOND).facts, "nothing has been there for long enough"
    day.begun = day.look()


def _decide(day: Day) -> None:
    """People promise, and sell, more than there is."""
    machine = day.receiver.machine
    tables = machine.tables
    before = _left(day)
    machine.set_decided(SECURITY, Decided.SHORT_LOCATES, PROMISED)
    assert _left(day) == before - PROMISED < 0
    client = day.universe.books["client"][0].decode()
    securities = Securities(tables, machine.inventory)
    limits = Limits(securities, lambda: machine.compiled, lambda *_: {Decided.SHORT_SELLS: SOLD}, lambda: 0)
    looking = OverdrawnWatch(limits, lambda: [(Scope.CLIENT, client, SECURITY)])
    asyncio.run(looking.round())
    day.overdrawn += looking.found


def _left(day: Day) -> int:
    """Of the security, for short sales, on the day on which a trade of today settles."""
    tables = day.receiver.machine.tables
    settles = tables.markets[int(tables.array["security"]["market"][SECURITY])].settle_days
    return int(tables.array["values"][SECURITY, tables.catalogue.playing(Role.LEFT_SHORT), settles])


def _put_aside(day: Day, folder: Path, master: str) -> None:
    """What cannot be used goes where the service puts it; vendors speak to the master."""
    unreadable = day.receiver.unreadable
    day.kept.quarantine.add([entry for entry in unreadable if not entry.unknown])
    waiting = [entry for entry in unreadable if entry.unknown]
    day.kept.parked.change(
        (), [Parked(number, number, entry, concerns(entry), 1) for number, entry in enumerate(waiting, 1)]
    )
    said = [record for record in vendors(day.universe) if isinstance(record, reference.Security)]
    codes = {record.code for record in said}
    own = [one for one in day.simulator.reference() if isinstance(one, reference.Security) and one.code in codes]
    store = MasterStore(master)
    with closing(store):
        Keeper(store, world.markets(), lambda: SECOND).take([Taken(record) for record in (*own, *said)])


def _fall_silent(day: Day) -> None:
    """Trades, while the watch looks the second time."""
    words = day.receiver.machine.tables.array["feed"][feed_named("trades").index]
    words[HealthWord.STATE], words[FeedWord.ALIVE_NS] = FeedState.STALE, (day.seconds + 100 - LATE_S) * SECOND


def _stated(day: Day) -> dict[tuple[str, str], tuple[int, int]]:
    """By security and depot, what rows come to and what is stated, added up one by one. What a custodian does not name he does
    not have, but nobody states less than nothing."""
    tables, namer = day.receiver.machine.tables, day.watch.namer
    made: dict[tuple[str, str], tuple[int, int]] = {}
    named: set[tuple[str, str]] = set()
    for row in tables.array["position"][: tables.count(Word.ROWS)]:
        key, settled = int(row["key"]), int(row["sd"])
        security, depot, kind = key >> 40, key >> 8 & 0xFFFF, Kind(key & 0xFF)
        if depot and (STOCK[kind] or kind == Kind.DEPOT):
            place = namer.code("security", security), namer.code("depot", depot)
            ours, theirs = made.get(place, (0, 0))
            if kind == Kind.DEPOT:
                made[place] = ours, theirs + settled
                named.add(place)
            else:
                made[place] = ours + STOCK[kind] * settled, theirs
    return {place: sides for place, sides in made.items() if place in named or sides[0] > 0}


def _turn(day: Day) -> None:
    """The next business day: the watch sees it begin before its start of day comes."""
    tables = day.receiver.machine.tables
    today = np.full(len(MARKETS), TODAY + 1, np.int32)
    day.receiver.machine.roll(today)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(simulator_late, "AFTER_TURN", 2)  # enough where the watch looks when it is told to
        day.simulator.turn(TradingDays.of(TABLE, TODAY - 30, today))
    day.look()
    count = tables.count(Word.ROWS)
    closed = tables.array["position"]["td"][:count].tolist()
    day.play(4)
    traded = (Kind.FIRM, Kind.CLIENT_FREE, Kind.CLIENT_SEGREGATED)
    for row, before in zip(tables.array["position"][:count], closed, strict=True):
        key = int(row["key"])
        began = int(row["td"]) - int(row["intraday_buy"]) + int(row["intraday_sell"]) + int(row["intraday_short"])
        if Kind(key & 0xFF) in traded and began != before:
            place = (("book", key >> 24 & 0xFFFF), ("security", key >> 40), ("depot", key >> 8 & 0xFFFF))
            names = [day.watch.namer.code(table, number) for table, number in place]
            day.restated["/".join([*names, Kind(key & 0xFF).name])] = before, began
    day.next = day.look()


def test_every_kind_of_break_is_found_in_a_day_and_two_looks_at_it_find_the_same(day: Day) -> None:
    assert {one.kind for one in (*day.late.values(), *day.next.values())} == set(BreakKind)
    assert day.again == day.late
    assert all(one.value is not None for one in day.late.values() if one.about.market and one.unit == "shares")
    assert day.receiver.refused == []
    assert day.receiver.observed() == day.simulator.expected


def test_what_custodians_state_otherwise_is_found_and_most_of_it_explained(day: Day) -> None:
    differ = {place: theirs - ours for place, (ours, theirs) in day.stated.items() if theirs != ours}
    found = of(BreakKind.DEPOT, day.late)
    assert {(one.about.security, one.about.depot): one.quantity for one in found} == differ
    assert 5 <= len(found) <= 0.5 * len(day.stated)
    causes = Counter(one.causes[0].cause for one in found if one.causes)
    assert {Cause.UNMATCHED_INSTRUCTION, Cause.START_OF_DAY} <= causes.keys()
    explained = [one for one in found if one.explained == abs(one.quantity)]
    assert len(explained) >= 0.6 * len(found), "most is what settled since a statement"


def test_a_line_that_a_custodian_leaves_out_is_a_break_until_it_comes(day: Day) -> None:
    rows, universe = day.simulator._rows, day.universe
    late, missing = (
        (universe.securities["code"][row["security"]].decode(), universe.depots["code"][row["depot"]].decode())
        for row in rows[day.simulator._late.withheld]
    )
    begun = {(one.about.security, one.about.depot): one for one in of(BreakKind.DEPOT, day.begun)}
    for place in (late, missing):
        one = begun[place]
        assert (one.theirs, one.quantity, one.causes[0].cause) == (0, -(one.ours or 0), Cause.START_OF_DAY)
        assert "late, or missing" in one.causes[0].text
    after = {(one.about.security, one.about.depot): one for one in of(BreakKind.DEPOT, day.late)}
    assert late not in after or after[late].theirs, "the custodian has stated it by then, whatever has settled since"
    assert after[missing].theirs == 0


def test_what_a_source_states_of_its_own_trades_is_held_against_its_ladder(day: Day) -> None:
    meant = day.simulator._rows["td_break"]
    found = [-one.quantity for one in of(BreakKind.TD_SD, day.late)]
    assert sorted(found) == sorted(meant[meant != 0].tolist())
    assert found


def test_contracts_past_their_end_and_agents_who_state_otherwise_are_found(day: Day) -> None:
    rows, universe = day.simulator._rows, day.universe
    ended = rows[rows["ended"] == 1]
    found = of(BreakKind.CONTRACT, day.late)
    over = {one.about.security: one.quantity for one in found if one.about.contract}
    codes = [universe.securities["code"][at].decode() for at in ended["security"].tolist()]
    assert over == dict(zip(codes, (-ended["quantity"]).tolist(), strict=True))
    agreed, stated = Counter[str](), Counter[str]()
    for row in rows:
        code = universe.securities["code"][row["security"]].decode()
        if row["kind"] in (Kind.REPO_RECEIVED, Kind.REPO_RECEIVED_LOCKED):
            agreed[code] -= int(row["quantity"])
        elif row["kind"] == Kind.DEPOT and row["depot"] < 0:
            stated[code] += int(row["quantity"])
    differ = {code: stated[code] - agreed[code] for code in stated if stated[code] != agreed[code]}
    assert {one.about.security: one.quantity for one in found if not one.about.contract} == differ
    assert 2 <= len(differ) <= 4


def test_a_start_of_day_that_knows_more_than_the_close_is_found_and_so_is_what_is_booked_late(day: Day) -> None:
    assert not of(BreakKind.FRONT_BACK, day.late), "there was no close before the first day"
    found = {one.key.removeprefix("front_back:"): (one.ours, one.theirs) for one in of(BreakKind.FRONT_BACK, day.next)}
    assert found == day.restated
    assert len(found) <= 40
    trades = dict(zip(day.universe.securities["code"].tolist(), day.universe.trade.tolist(), strict=True))
    more = [one for one in of(BreakKind.FRONT_BACK, day.next) if one.quantity == trades[one.about.security.encode()]]
    assert len([one for one in more if one.about.position_type == "FIRM"]) >= 2


def test_what_is_missing_unreadable_or_unknown_is_counted_to_the_last_record(day: Day) -> None:
    def count(kind: BreakKind) -> int:
        return sum(one.quantity for one in of(kind, day.late))

    kept = day.kept
    missing = sum(one.quantity for one in of(BreakKind.GAP, day.next))
    assert missing == day.simulator.expected.missing > 0
    assert count(BreakKind.MESSAGE) == sum(kept.quarantine.by_reason().values()) == kept.quarantine.size.entries
    named = Counter(code.encode() for parked in kept.parked.entries() for _, code in parked.concerns.wants)
    assert count(BreakKind.PARTY) == sum(named[code] for code in day.universe.stray_books.tolist()) > 0
    assert count(BreakKind.REFERENCE) == sum(named[code] for code in day.universe.strays.tolist()) > 0


def test_sources_that_differ_and_promises_beyond_what_there_is_are_found(day: Day) -> None:
    differ = of(BreakKind.IDENTIFIER, day.late)
    assert differ
    assert all(one.quantity == 2 for one in differ), "one vendor is at odds with the other, and with us"
    code = day.universe.securities["code"][SECURITY - 1].decode()
    (below,) = of(BreakKind.AVAILABILITY, day.begun | day.late)
    assert below.about.security == code
    assert (below.ours, below.quantity) == (day.below, -day.below)
    (limit,) = of(BreakKind.LIMIT, day.late)
    assert (limit.about.security, limit.about.number) == (code, "client_short")
    assert -SOLD <= limit.quantity < 0
    (feed,) = of(BreakKind.FEED, day.late)
    assert (feed.about.feed, feed.unit) == ("trades", "seconds")
    assert LATE_S - feed.tolerance < feed.quantity <= LATE_S, "whole limits: it is the same break until the next"
