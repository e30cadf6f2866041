"""The simulated day: the same at any pace, possible at every moment, accounted for to the last record."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest

from app import world
from app.listings import listings
from app.simulated import Receiver
from engine.model import NO_DATE, Capacity, Flag, Kind, Op
from engine.state import Calendar
from feeds.calendars import TradingDays
from feeds.partitions import partitions_of
from feeds.simulator import Simulator
from feeds.simulator_faults import Expected, Fault, FaultRates
from feeds.universe import Universe, build
from feeds.wire import Drafts

MARKETS = world.markets()
TODAY = 20_780
BASE = TODAY - 30
# a calendar without holidays: what is tested here is the simulator
TABLE = np.tile(np.arange(400, dtype=np.int32), (len(MARKETS), 1))
CALENDAR = Calendar(BASE, TABLE, np.full(len(MARKETS), TODAY, np.int32))
DAYS = TradingDays.of(TABLE, BASE, CALENDAR.today)
USUAL = FaultRates.usual()
BAD = FaultRates(duplicates=0.02, gaps=0.01, unreadable=0.01, unknown=0.01)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return build(MARKETS, listings(), 400, 5)


@pytest.fixture
def receiver(instance: str) -> Iterator[Receiver]:
    capacity = Capacity(securities=2_000, books=2_000, rows=200_000)
    made = Receiver(f"{instance}.tables", MARKETS, CALENDAR, dt.date(2026, 11, 23), capacity)
    yield made
    made.close()


def stream(simulator: Simulator, *sizes: int) -> Drafts:
    return np.concatenate([simulator.next(size, 9) for size in sizes])


def test_trading_days_are_the_sessions_around_today() -> None:
    assert DAYS.previous.tolist() == [TODAY - 1] * len(MARKETS)
    assert DAYS.ahead[0, :3].tolist() == [TODAY, TODAY + 1, TODAY + 2]
    monday = np.array([[0, 1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10, 10, 10, 11, 12, 13, 14, 15, 16, 17, 18]], np.int32)
    days = TradingDays.of(monday, 100, np.array([107], np.int32), count=7)
    assert (days.previous.tolist(), days.ahead.tolist()) == ([104], [[107, 108, 109, 110, 111, 114, 115]])


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_pace_changes_nothing_but_the_time(universe: Universe, partitions: int) -> None:
    slow, fast, other = (Simulator(universe, DAYS, seed, partitions, BAD) for seed in (1, 1, 2))
    by_little = stream(slow, 1, 10, 999, 5_000, 0, 3_990)
    at_once = stream(fast, 10_000)
    assert (by_little == at_once).all()
    assert slow.expected == fast.expected
    assert (stream(other, 10_000) != at_once).any()
    assert list(map(slow.encode_json, slow.start_of_day(3))) == list(map(fast.encode_json, fast.start_of_day(3)))


@pytest.mark.parametrize("encoding", ["json", "arrow"])
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("faults", [FaultRates(), USUAL, BAD])
def test_every_record_is_accounted_for(
    universe: Universe, receiver: Receiver, encoding: str, partitions: int, faults: FaultRates
) -> None:
    simulator = Simulator(universe, DAYS, 1, partitions, faults)
    receiver.reference(simulator.reference())
    for drafts in simulator.start_of_day(1):
        receiver.records(simulator.records(drafts, "events", encoding))
    for size in (1, 777, 4_096, 9_000):
        receiver.records(simulator.records(simulator.next(size, 2), "events", encoding, 250))
    assert receiver.observed() == simulator.expected
    assert receiver.rejected == 0
    if faults is BAD:
        assert min(simulator.expected.duplicates, simulator.expected.missing) > 100
        assert min(simulator.expected.unreadable, simulator.expected.unknown) > 100


def test_faults_come_at_the_rate_that_was_asked_for(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1, 1, BAD)
    fresh = 0
    while fresh < 100_000:
        fresh += int(np.count_nonzero(simulator.next(1_000, 1)["fault"] == Fault.NONE))
    expected = simulator.expected
    assert expected.duplicates == pytest.approx(0.02 * fresh, abs=90)
    assert expected.unreadable == pytest.approx(0.01 * fresh, abs=50)
    assert expected.unknown == pytest.approx(0.01 * fresh, abs=50)
    assert expected.missing == pytest.approx(2 * 0.01 * fresh, rel=0.1)


def test_impossible_fault_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="fault rate gaps"):
        FaultRates(gaps=0.5)


def test_numbers_of_a_source_grow_in_one_partition_and_only_skip_where_it_says(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1, 3, BAD)
    everything = np.concatenate([*simulator.start_of_day(1), stream(simulator, 20_000)])
    everything = everything[everything["fault"] != Fault.UNREADABLE]
    for source in range(len(simulator.sources)):
        mine = everything[(everything["source"] == source) & (everything["fault"] != Fault.DUPLICATE)]
        if mine.size:
            assert len(set(mine["partition"].tolist())) == 1
            assert (np.diff(mine["seq"], prepend=0) == 1 + mine["skipped"]).all()
    first: dict[tuple[int, int], int] = {}
    for at, draft in enumerate(everything):
        identity = int(draft["source"]), int(draft["seq"])
        if draft["fault"] == Fault.DUPLICATE:
            assert first[identity] < at, "a repeat follows the first"
        else:
            assert identity not in first
            first[identity] = at


def test_a_security_stays_in_the_partition_of_its_key(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1, 4, BAD)
    parts = simulator.records(stream(simulator, 5_000), "events", "json")
    assert len(parts) == 4
    for part in parts:
        assert part.keys is not None
        assert set(partitions_of(np.array(part.keys, "S24"), 4).tolist()) == {part.partition}
        assert len(part.keys) == len(part.values) == part.events
        readable = [(key, value) for key, value in zip(part.keys, part.values, strict=True) if b'"sec":"' in value]
        assert all(b'"sec":"%s"' % key in value for key, value in readable)


def test_books_are_reset_before_their_rows_where_order_is_certain(universe: Universe) -> None:
    (one,) = (np.concatenate(list(Simulator(universe, DAYS, 1, 1).start_of_day(1))),)
    several = np.concatenate(list(Simulator(universe, DAYS, 1, 2).start_of_day(1)))
    resets = one["op"] == Op.RESET_BOOK
    assert set(one["book"][resets].tolist()) == set(range(universe.books.size))
    assert resets[: universe.books.size].all()
    assert not (several["op"] == Op.RESET_BOOK).any()
    assert (one["flags"] == Flag.START_OF_DAY).all()


def replay(drafts: Drafts) -> dict[tuple[int, int, int, int], int]:
    """Contractual quantities by row; these and what is left to settle are checked after every event."""
    td: dict[tuple[int, int, int, int], int] = defaultdict(int)
    due: dict[tuple[int, int, int, int], int] = defaultdict(int)
    may_be_short = {int(Kind.FIRM), int(Kind.CLIENT_FREE)}
    for op, quantity, settle, flags, *key in drafts[
        ["op", "quantity", "settle_date", "flags", "security", "book", "depot", "kind"]
    ].tolist():
        row = (key[0], key[1], key[2], key[3])
        sign = -1 if flags & Flag.CANCEL else 1
        if op == Op.SET:
            td[row] = quantity
        elif op in (Op.BUY, Op.INCREASE, Op.SELL, Op.SHORT_SELL, Op.DECREASE):
            up = op in (Op.BUY, Op.INCREASE)
            assert quantity > 0
            td[row] += sign * quantity if up else -sign * quantity
            due[row] += quantity * (settle == TODAY)
            assert TODAY <= settle <= TODAY + 5
        elif op in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY):
            due[row] -= quantity
            assert due[row] >= 0, "only what is due today settles"
        if (op == Op.SELL and sign > 0) or row[3] not in may_be_short:
            assert td[row] >= 0, (op, row)
    return td


def test_nobody_sells_or_returns_what_he_does_not_have(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    everything = np.concatenate([*simulator.start_of_day(1), stream(simulator, 150_000)])
    rows = replay(everything)
    assert len(rows) > 1_000
    sizes = np.array([abs(quantity) for quantity in rows.values()])
    assert sizes.max() < 10 * universe.outstanding.max()


def test_the_mix_of_a_day_is_believable(universe: Universe) -> None:
    made = stream(Simulator(universe, DAYS, 1), 100_000)
    counts = {op: int(np.count_nonzero(made["op"] == op)) / made.size for op in Op}
    assert counts[Op.PRICE] == pytest.approx(0.33, abs=0.02)
    assert 0.08 < counts[Op.BUY] < 0.35
    assert 0.08 < counts[Op.SELL] < 0.35
    assert 0.02 < counts[Op.SHORT_SELL] < 0.2
    assert counts[Op.INCREASE] == pytest.approx(counts[Op.DECREASE], abs=0.02)
    for op in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY, Op.SET, Op.SET_HYPOTHECATABLE):
        assert counts[op] > 0.001, op.name
    kinds = set(made["kind"].tolist())
    assert {int(Kind.SLAB_BORROW), int(Kind.SLAB_LOAN), int(Kind.PAY_TO_HOLD), int(Kind.EXTERNAL_INDICATIVE)} <= kinds
    assert {int(Kind[f"REPO_PLEDGE_{days}"]) for days in range(6)} <= kinds
    assert 0.001 < np.count_nonzero(made["flags"] & Flag.CANCEL) / made.size < 0.02
    by_security = np.sort(np.bincount(made["security"], minlength=400))[::-1]
    assert by_security[0] > 5 * by_security[20] > 0


def test_trades_settle_when_the_market_says_and_prices_stay_on_their_grid(universe: Universe) -> None:
    made = stream(Simulator(universe, DAYS, 1), 30_000)
    trades = made[np.isin(made["op"], [Op.BUY, Op.SELL, Op.SHORT_SELL])]
    market = universe.securities["market"][trades["security"]]
    days = np.array([m.settle_days for m in MARKETS])[market]
    assert (trades["settle_date"] - trades["trade_date"] == days).all()
    late = trades["trade_date"] != TODAY
    assert 0 < np.count_nonzero(late) < 0.05 * trades.size
    prices = made[made["op"] == Op.PRICE]
    assert (prices["quantity"] % universe.step[prices["security"]] == 0).all()
    assert (prices["quantity"] > 0).all()
    assert set(prices["settle_date"].tolist()) == {NO_DATE}


def test_a_cancel_names_an_earlier_trade_once(universe: Universe) -> None:
    made = stream(Simulator(universe, DAYS, 1), 60_000)
    names = ["op", "security", "book", "depot", "kind", "trade_date", "settle_date", "quantity"]
    dealt: dict[tuple[int, ...], int] = defaultdict(int)
    for flags, named in zip(made["flags"].tolist(), made[names].tolist(), strict=True):
        dealt[named] += -1 if flags & Flag.CANCEL else 1
        assert dealt[named] >= 0
    assert np.count_nonzero(made["flags"] & Flag.CANCEL) > 100


def test_a_second_run_goes_on_with_the_numbers_of_the_first(universe: Universe, receiver: Receiver) -> None:
    total = Expected()
    newest: list[int] = []
    for seed in (1, 2):
        simulator = Simulator(universe, DAYS, seed, 2, USUAL, newest=newest)
        receiver.reference(simulator.reference())
        for drafts in (*simulator.start_of_day(1), simulator.next(5_000, 1)):
            receiver.records(simulator.records(drafts, "events", "json"))
            named = drafts[drafts["source"] < 2]
            newest = [int(named["seq"][named["partition"] == p].max()) for p in (0, 1)]
        for name in ("events", "duplicates", "missing", "unreadable", "unknown"):
            setattr(total, name, getattr(total, name) + getattr(simulator.expected, name))
    assert receiver.observed() == total
