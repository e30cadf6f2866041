"""The simulated day: the same at any pace, possible at every moment, accounted for to the last record."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest

from app import world
from app.listings import listings
from app.simulated import Receiver
from engine.model import NO_DATE, Capacity, Clock, Flag, Kind, Op
from engine.rule_model import Scope
from engine.state import Calendar
from engine.tables import Word
from feeds.calendars import TradingDays
from feeds.partitions import partitions_of
from feeds.simulator import Simulator
from feeds.simulator_faults import Expected, Fault, FaultRates
from feeds.simulator_opening import EXPIRY_DAYS
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
    return build(MARKETS, listings(), 400, 5, today=TODAY)


@pytest.fixture
def receiver(instance: str) -> Iterator[Receiver]:
    capacity = Capacity(securities=2_000, books=2_000, rows=200_000)
    made = Receiver(f"{instance}.tables", MARKETS, CALENDAR, capacity)
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
    latest = TODAY + EXPIRY_DAYS
    td: dict[tuple[int, int, int, int], int] = defaultdict(int)
    due: dict[tuple[int, int, int, int], int] = defaultdict(int)
    may_be_short = {int(Kind.FIRM), int(Kind.CLIENT_FREE), int(Kind.SYNTHETIC), int(Kind.OPEN_ORDER)}
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
            due[row] += sign * quantity * (settle == TODAY)
            assert TODAY <= settle <= (latest if row[3] == Kind.SYNTHETIC else TODAY + 5)
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
    for op in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY, Op.SET, Op.SET_HYPOTHECATABLE, Op.SET_RATE, Op.SET_CA_PENDING):
        assert counts[op] > 0.001, op.name
    kinds = set(made["kind"].tolist())
    assert {int(Kind.SLAB_BORROW), int(Kind.SLAB_LOAN), int(Kind.PAY_TO_HOLD), int(Kind.EXTERNAL_INDICATIVE)} <= kinds
    assert {int(Kind[f"{of}_PLEDGE_{days}"]) for days in range(6) for of in ("REPO", "SWAP")} <= kinds
    assert {int(Kind.OPEN_ORDER), int(Kind.SYNTHETIC), int(Kind.CLIENT_SEGREGATED)} <= kinds
    dealt = made[made["kind"] < Kind.SYNTHETIC]
    assert 0.001 < np.count_nonzero(dealt["flags"] & Flag.CANCEL) / made.size < 0.02
    by_security = np.sort(np.bincount(made["security"], minlength=400))[::-1]
    assert by_security[0] > 5 * by_security[20] > 0


def test_trades_settle_when_the_market_says_and_prices_stay_on_their_grid(universe: Universe) -> None:
    made = stream(Simulator(universe, DAYS, 1), 30_000)
    trades = made[np.isin(made["op"], [Op.BUY, Op.SELL, Op.SHORT_SELL])]
    market = universe.securities["market"][trades["security"]]
    days = np.array([m.settle_days for m in MARKETS])[market]
    quanto = trades["flags"] & Flag.QUANTO != 0
    assert (trades["settle_date"] - trades["trade_date"] == np.where(quanto, 1, days)).all()
    assert quanto.any()
    assert all(MARKETS[index].quanto_days for index in set(market[quanto].tolist()))
    late = trades["trade_date"] != TODAY
    assert 0 < np.count_nonzero(late) < 0.05 * trades.size
    prices = made[made["op"] == Op.PRICE]
    assert (prices["quantity"] % universe.step[prices["security"]] == 0).all()
    assert (prices["quantity"] > 0).all()
    assert set(prices["settle_date"].tolist()) == {NO_DATE}


def test_a_cancel_names_an_earlier_trade_once(universe: Universe) -> None:
    made = stream(Simulator(universe, DAYS, 1), 60_000)
    made = made[made["kind"] < Kind.SYNTHETIC]
    names = ["op", "security", "book", "depot", "kind", "trade_date", "settle_date", "quantity"]
    dealt: dict[tuple[int, ...], int] = defaultdict(int)
    for flags, named in zip(made["flags"].tolist(), made[names].tolist(), strict=True):
        dealt[named] += -1 if flags & Flag.CANCEL else 1
        assert dealt[named] >= 0
    assert np.count_nonzero(made["flags"] & Flag.CANCEL) > 100


Rows = dict[tuple[int, ...], dict[str, int]]


def ladders(drafts: Drafts) -> Rows:
    """td, sd, what is due and what td is off by row, after all events; written anew, without the engine."""
    rows: Rows = defaultdict(lambda: {"td": 0, "sd": 0, "due": 0, "off": 0})
    for op, quantity, flags, *key in drafts[["op", "quantity", "flags", "security", "book", "depot", "kind"]].tolist():
        row, of = rows[tuple(key)], quantity * (-1 if flags & Flag.CANCEL else 1)
        if op == Op.SET:
            row.update(td=of, sd=of, due=0, off=0)
        elif op == Op.SET_TD:
            row.update(td=of, off=of - row["sd"] - row["due"])
        elif op <= Op.DECREASE:
            change = of if op in (Op.BUY, Op.INCREASE) else -of
            row["td"] += change
            row["due"] += change
        elif op in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY):
            change = of if op == Op.SETTLE_RECEIPT else -of
            row["sd"] += change
            row["due"] -= change
    return rows


def test_every_row_adds_up_at_start_of_day_and_after_but_for_the_few_that_are_meant_not_to(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    opening = np.concatenate(list(simulator.start_of_day(1)))
    rows, after = ladders(opening), ladders(np.concatenate([opening, stream(simulator, 60_000)]))
    for some in (rows, after):
        assert all(row["td"] == row["sd"] + row["due"] + row["off"] for row in some.values())
    off = {key: row["off"] for key, row in rows.items() if row["off"]}
    assert 0 < len(off) < 0.01 * len(rows)
    assert {key: row["off"] for key, row in after.items() if row["off"]} == off, (
        "the day makes no breaks, and heals none"
    )
    assert {key[3] for key in off} <= {int(Kind.FIRM), int(Kind.CLIENT_FREE), int(Kind.CLIENT_SEGREGATED)}


def test_open_orders_are_entered_filled_and_cancelled_and_never_for_more_than_there_is(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    made = np.concatenate([*simulator.start_of_day(1), stream(simulator, 120_000)])
    orders = made["kind"] == Kind.OPEN_ORDER
    taken = orders & (made["flags"] & Flag.CANCEL != 0)
    entered = orders & ~taken & np.isin(made["op"], [Op.INCREASE, Op.DECREASE])
    assert np.count_nonzero(entered) > 800 < np.count_nonzero(taken)
    after = made[np.flatnonzero(taken[:-1]) + 1]
    at = made[np.flatnonzero(taken[:-1])]
    trade = np.isin(after["op"], [Op.BUY, Op.SELL, Op.SHORT_SELL]) & (after["quantity"] == at["quantity"])
    filled = trade & (after["security"] == at["security"]) & (after["book"] == at["book"])
    assert 0.6 < filled.mean() < 0.95, "what is not filled is cancelled"
    assert ((at["op"] == Op.INCREASE) == (after["op"] == Op.BUY))[filled].all()
    left: dict[tuple[int, ...], int] = defaultdict(int)
    for op, quantity, flags, *key in made[orders][
        ["op", "quantity", "flags", "security", "book", "settle_date"]
    ].tolist():
        if op == Op.SET:
            continue
        left[op, *key] += -quantity if flags & Flag.CANCEL else quantity
        assert left[op, *key] >= 0, "an order gives what it has"


def test_nobody_offers_or_sells_the_same_shares_twice(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    for size in (1, 20_000, 100_000):
        stream(simulator, size)
        rows = simulator._world.rows
        assert (rows["working"] >= 0).all()
        assert (rows["working"] <= np.maximum(0, rows["held"])).all()
    offered = np.zeros(rows.size, np.int64)
    count = int(simulator._world.orders[0])
    sells = simulator._world.order["op"][:count] == Op.SELL
    np.add.at(offered, simulator._world.order_row[:count][sells], simulator._world.order["quantity"][:count][sells])
    assert (offered == rows["working"]).all()
    assert offered.any()


def test_a_swap_is_settled_shares_that_go_on_its_expiry(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    made = np.concatenate([*simulator.start_of_day(1), stream(simulator, 120_000)])
    swaps = made[made["kind"] == Kind.SYNTHETIC]
    assert {int(op) for op in np.unique(swaps["op"])} == {
        int(op) for op in (Op.SET, Op.INCREASE, Op.DECREASE, Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY)
    }
    rows = ladders(swaps)
    assert all(row["td"] == 0 for row in rows.values()), "whatever is there today goes on some day"
    assert any(row["sd"] > 0 for row in rows.values())
    assert any(row["sd"] < 0 for row in rows.values())
    expiries = set((swaps["settle_date"][swaps["settle_date"] > TODAY] - TODAY).tolist())
    assert expiries >= set(range(1, EXPIRY_DAYS + 1))
    assert (swaps["depot"] == -1).all()


def test_contracts_cost_something_and_corporate_actions_take_some(universe: Universe) -> None:
    simulator = Simulator(universe, DAYS, 1)
    opening, day = np.concatenate(list(simulator.start_of_day(1))), stream(simulator, 60_000)
    for made in (opening, day):
        rated = made[made["op"] == Op.SET_RATE]
        assert set(rated["kind"].tolist()) == {int(Kind.SLAB_BORROW), int(Kind.SLAB_LOAN)}
        fee = universe.securities["fee"][rated["security"]]
        assert (rated["quantity"] >= 0.69 * fee).all()
        assert (rated["quantity"] <= 1.41 * fee).all()
        taken = made[made["op"] == Op.SET_CA_PENDING]
        assert (universe.securities["event_date"][taken["security"]] > TODAY).all()
        assert set(taken["kind"].tolist()) == {int(Kind.FIRM), int(Kind.CLIENT_FREE)}
        assert taken["quantity"].any()
    stated = np.count_nonzero(opening["op"] == Op.SET_RATE)
    contracts = np.count_nonzero(
        (opening["op"] == Op.SET) & np.isin(opening["kind"], [Kind.SLAB_BORROW, Kind.SLAB_LOAN])
    )
    assert 0.8 * contracts < stated < contracts, "of some nobody has said what they cost"


def test_every_calculation_finds_something_in_the_simulated_day(universe: Universe, receiver: Receiver) -> None:
    simulator = Simulator(universe, DAYS, 1)
    receiver.reference(simulator.reference())
    for drafts in (*simulator.start_of_day(1), simulator.next(40_000, 2)):
        receiver.records(simulator.records(drafts, "events", "arrow"))
    for market in np.flatnonzero([market.lending_cutoff is not None for market in MARKETS]).tolist():
        receiver.machine.set_clock(market, Clock.LENDING_OPEN, 0, is_open=False)
    tables = receiver.machine.tables
    values, terms = tables.array["values"], tables.array["terms"]
    dead = [
        info.name
        for index, info in enumerate(tables.catalogue.calculations)
        if info.scope == Scope.SECURITY and not values[:, index].any()
    ]
    dead += [
        info.name
        for info in tables.catalogue.terms
        if info.component >= 0
        and tables.catalogue.components[info.component].maintained
        and not terms[:, info.component].any()
        and info.measure != "decided"
    ]
    assert dead == []
    assert receiver.rejected == 0


def test_the_day_goes_on_into_the_next_ones_and_nothing_comes_late(universe: Universe, receiver: Receiver) -> None:
    simulator = Simulator(universe, DAYS, 1)
    receiver.reference(simulator.reference())
    for drafts in (*simulator.start_of_day(1), simulator.next(10_000, 2)):
        receiver.records(simulator.records(drafts, "events", "arrow"))
    for day in range(1, 8):
        today = np.full(len(MARKETS), TODAY + day, np.int32)
        today[day % 3 :: 3] -= 1  # not all markets turn at once
        simulator.turn(TradingDays.of(TABLE, BASE, today))
        receiver.records(simulator.records(simulator.next(5_000, 2), "events", "arrow"))
        receiver.machine.roll(today)
        receiver.records(simulator.records(simulator.next(5_000, 2), "events", "arrow"))
    assert (receiver.rejected, receiver.observed()) == (0, simulator.expected)
    rows = receiver.machine.tables.array["position"][: receiver.machine.tables.count(Word.ROWS)]
    off = rows["td"] - rows["sd"] - (rows["receipt"] - rows["deliver"]).sum(axis=1)
    assert np.count_nonzero(off) == np.count_nonzero(simulator._rows["td_break"])
    assert (
        np.sort(off[off != 0]).tolist()
        == np.sort(simulator._rows["td_break"][simulator._rows["td_break"] != 0]).tolist()
    )
    orders = rows[(rows["key"] & 0xFF) == Kind.OPEN_ORDER]
    assert np.count_nonzero(orders["td"]) < 2 * simulator._world.orders[0], "yesterday's have lapsed"


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
