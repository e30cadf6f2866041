"""The simulated day in feeds of their own: every record of every form is read, counted, and fits the world it is of."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from app import world
from app.listings import listings
from app.simulated import Receiver
from engine.model import Capacity, CounterpartyKind, DealState, Flag, Kind, Op
from engine.state import Calendar
from engine.tables import Word
from feeds.calendars import TradingDays
from feeds.partitions import partitions_of
from feeds.simulator import Simulator
from feeds.simulator_faults import FaultRates
from feeds.simulator_routes import APART, BY_SECURITY, Route, Step
from feeds.universe import Universe, build
from feeds.universe_parties import lei

MARKETS = world.markets()
TODAY = 20_780
TABLE = np.tile(np.arange(400, dtype=np.int32), (len(MARKETS), 1))
CALENDAR = Calendar(TODAY - 30, TABLE, np.full(len(MARKETS), TODAY, np.int32))
DAYS = TradingDays.of(TABLE, TODAY - 30, CALENDAR.today)
BAD = FaultRates(duplicates=0.02, gaps=0.01, unreadable=0.01, unknown=0.01)
TOPICS = [f"ims.{route.feed}" for route in Route]


@pytest.fixture(scope="module")
def universe() -> Universe:
    return build(MARKETS, listings(), 400, 5, today=TODAY)


@pytest.fixture
def receiver(instance: str) -> Iterator[Receiver]:
    capacity = Capacity(securities=2_000, books=2_000, rows=200_000)
    made = Receiver(f"{instance}.tables", MARKETS, CALENDAR, capacity)
    yield made
    made.close()


def live(simulator: Simulator, receiver: Receiver, events: int, encoding: str = "json") -> Counter[tuple[Route, Step]]:
    """A start of day and a day; returns how many steps of which sort there were."""
    steps: Counter[tuple[Route, Step]] = Counter()
    receiver.reference(simulator.reference())
    for drafts in simulator.start_of_day(1):
        receiver.records(simulator.records(drafts, TOPICS, encoding))
    for first in range(0, events, 5_000):
        drafts = simulator.next(min(5_000, events - first), 2)
        steps.update((Route(feed), Step(action)) for feed, action in drafts[["feed", "action"]].tolist())
        receiver.records(simulator.records(drafts, TOPICS, encoding, 250))
        receiver.asides(simulator, simulator.asides())
    return steps


@pytest.mark.parametrize(("encoding", "partitions"), [("json", 3), ("arrow", 1)])
def test_what_the_engine_counts_is_what_was_sent_and_late_explanations_bring_what_waited(
    universe: Universe, receiver: Receiver, encoding: str, partitions: int
) -> None:
    simulator = Simulator(universe, DAYS, 1, partitions, BAD, apart=True)
    steps = live(simulator, receiver, 80_000, encoding)
    assert receiver.observed() == simulator.expected
    assert receiver.refused == []
    waiting = simulator.expected.unknown
    assert 0 < waiting < 0.01 * 80_000, "some were explained, some were not"
    happened = {step for _, step in steps}
    assert happened == set(Step)
    assert {route for route, _ in steps} == set(APART) - {Route.POSITIONS}, "positions are of the start of day"
    tables = receiver.machine.tables
    assert tables.count(Word.CORRECTED) > 300
    deals = tables.array["deal"][1 : tables.count(Word.DEALS) + 1]
    assert {DealState.OPEN, DealState.CLOSED} <= set(deals["state"].tolist())
    open_deals = deals[deals["state"] == DealState.OPEN]
    assert (open_deals["quantity"] > 0).all()
    assert (open_deals["recalled"] <= open_deals["quantity"]).all()


def test_every_row_adds_up_but_for_those_that_are_meant_not_to(universe: Universe, receiver: Receiver) -> None:
    simulator = Simulator(universe, DAYS, 1, apart=True)
    live(simulator, receiver, 60_000)
    rows = receiver.machine.tables.array["position"][: receiver.machine.tables.count(Word.ROWS)]
    off = rows["td"] - rows["sd"] - (rows["receipt"] - rows["deliver"]).sum(axis=1)
    meant = simulator._rows["td_break"]
    assert np.sort(off[off != 0]).tolist() == np.sort(meant[meant != 0]).tolist()
    sides = np.concatenate([rows["receipt"][:, 0], rows["deliver"][:, 0]])
    assert np.count_nonzero(sides < 0) == 0, "only what was dealt is confirmed"


def test_the_day_goes_on_into_the_next_ones(universe: Universe, receiver: Receiver) -> None:
    simulator = Simulator(universe, DAYS, 1, apart=True)
    live(simulator, receiver, 20_000)
    for day in range(1, 5):
        today = np.full(len(MARKETS), TODAY + day, np.int32)
        simulator.turn(TradingDays.of(TABLE, TODAY - 30, today))
        receiver.machine.roll(today)
        receiver.records(simulator.records(simulator.next(10_000, 2), TOPICS, "json"))
        receiver.asides(simulator, simulator.asides())
    assert receiver.observed() == simulator.expected
    assert receiver.refused == []


def test_the_pace_changes_nothing(universe: Universe) -> None:
    one, other = (Simulator(universe, DAYS, 1, 2, BAD, apart=True) for _ in range(2))
    by_little = np.concatenate([one.next(size, 9) for size in (1, 10, 999, 9_000)])
    assert (by_little == other.next(10_010, 9)).all()
    assert one.asides() == other.asides()


def test_books_and_prices_stay_in_the_partition_of_their_key(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1, 3, BAD, apart=True)
    drafts = np.concatenate([*simulator.start_of_day(1), simulator.next(20_000, 9)])
    codes = np.concatenate([universe.books["code"], universe.stray_books.astype("S24")])
    for route in APART:
        mine = drafts[drafts["feed"] == route]
        assert mine.size, route
        if route not in BY_SECURITY:
            wanted = partitions_of(codes, simulator.spread.partitions[route])[mine["book"]]
            assert (mine["partition"] == wanted).all(), route
    assert simulator.spread.partitions[Route.TRADES] == simulator.spread.partitions[Route.POSITIONS]


def test_a_correction_names_a_trade_of_its_own_source(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1, 2, apart=True)
    known: set[tuple[int, int]] = set()
    corrected = 0
    for draft in simulator.next(60_000, 1):
        if draft["action"] == Step.CORRECT:
            assert (int(draft["source"]), int(draft["ref"])) in known
            known.discard((int(draft["source"]), int(draft["ref"])))
            corrected += 1
        is_trade = draft["action"] in (Step.NONE, Step.EXECUTE, Step.CORRECT) and draft["op"] <= Op.SHORT_SELL
        if is_trade and not draft["flags"] & Flag.CANCEL:
            known.add((int(draft["source"]), int(draft["seq"])))
    assert corrected > 300


def test_custodians_state_what_should_be_there_but_for_a_few(universe: Universe, receiver: Receiver) -> None:
    simulator = Simulator(universe, DAYS, 1, apart=True)
    live(simulator, receiver, 0)
    rows = receiver.machine.tables.array["position"][: receiver.machine.tables.count(Word.ROWS)]
    kind, place = rows["key"] & 0xFF, (rows["key"] >> 40 << 16) | (rows["key"] >> 8 & 0xFFFF)
    signs = {name: -1 if name.startswith(("REPO_PLEDGE", "SLAB_LOAN")) else 1 for name in Kind.__members__}
    lies = ("CLIENT_", "FIRM", "SLAB_", "REPO_")
    expected: Counter[int] = Counter()
    for at, (what, where) in enumerate(zip(kind.tolist(), place.tolist(), strict=True)):
        if Kind(what).name.startswith(lies):
            expected[where] += signs[Kind(what).name] * int(rows["sd"][at])
    stated = {
        where: int(sd)
        for what, where, sd in zip(kind.tolist(), place.tolist(), rows["sd"].tolist(), strict=True)
        if what == Kind.DEPOT and where & 0xFFFF
    }
    off = [where for where, quantity in stated.items() if quantity != expected[where]]
    assert len(stated) > 300
    assert len(off) <= 0.02 * len(stated)


def test_parties_have_valid_identifiers_and_every_book_a_unit(universe: Universe, receiver: Receiver) -> None:
    receiver.reference(Simulator(universe, DAYS, 1, apart=True).reference())
    tables = receiver.machine.tables
    parties = tables.array["counterparty"][1 : tables.count(Word.COUNTERPARTIES) + 1]
    every = {kind for kind in CounterpartyKind if kind != CounterpartyKind.UNKNOWN}
    assert set(parties["kind"].tolist()) == every
    assert len(set(parties["lei"].tolist())) == parties.size
    for number in (0, 7, 123_456):
        assert int("".join(str(int(sign, 36)) for sign in lei(number))) % 97 == 1
    assert tables.array["book_unit"].any(axis=1).sum() > 400
