"""A simulated day of a million events, once through the machine and once through pandas: the same to the share."""

import datetime as dt
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from app import business_days, world
from app.listings import listings
from app.simulated import Receiver
from engine import segment
from engine.model import HEAD_FACTS, QUOTES, RATE_UNKNOWN, Capacity, Clock, Decided, Flag, Kind, Op, SecurityFlag
from engine.rule_model import Scope
from engine.state import Calendar, Machine
from engine.tables import Tables, Word
from feeds.calendars import TradingDays, day_of
from feeds.simulator import Simulator
from feeds.simulator_faults import Expected, Fault, FaultRates
from feeds.universe import Universe, build
from feeds.wire import Drafts, joined, taken
from tests.engine import pandas_inventory as plain

MARKETS: Final = world.markets()
NOW: Final = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
"""A Friday: Tokyo is closed on the Monday after, New York on the Thursday; Tokyo's cut-off has passed."""
EVENTS: Final = 1_000_000
SENT_AGAIN_AFTER: Final = 200_000
"""Events until the start of day comes once more, in any order: it replaces what is there, or is emptied by a reset after it."""
SECURITIES: Final = 3_000
FAULTS: Final = FaultRates(duplicates=5e-3, gaps=1e-3, unreadable=1e-3, unknown=1e-3)
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
CAPACITY: Final = Capacity(securities=SECURITIES + 500, books=2_000, depots=100, sources=8, rows=400_000)
CONDITIONAL: Final = {"ca_due": "ca_due_undesignated"}
"""Terms of which a rule takes some rows apart, and how pandas calls those."""
Numbers = dict[str, NDArray[np.int64]]
"""By name: shape (securities, 5)."""


@dataclass
class World:
    """The day before anything has happened, and what is sent of it."""

    calendar: Calendar
    days: TradingDays
    universe: Universe
    simulator: Simulator
    random: np.random.Generator
    drafts: list[Drafts] = field(default_factory=list)


@dataclass
class Seen:
    """What one of the two made of the day; securities, books and depots by their number in the universe."""

    rows: pd.DataFrame
    quotes: Numbers
    terms: Numbers
    calculations: Numbers


@dataclass
class Day:
    sent: pd.DataFrame
    universe: Universe
    machine: Seen
    pandas: Seen
    expected: Expected
    counted: Expected
    rejected: int


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    name = f"test-{os.getpid()}-day"
    of = a_world(tmp_path_factory.mktemp("calendars"))
    try:
        receiver = Receiver(f"{name}.tables", MARKETS, of.calendar, CAPACITY)
        try:
            live(of, receiver)
            located = decide(of, receiver.machine)
            machine = as_the_machine_sees_it(receiver.machine.tables, of.universe)
            counted, rejected = receiver.observed(), receiver.rejected
        finally:
            receiver.close()
    finally:
        for path in segment.folder().glob(f"ims.{name}.*"):
            path.unlink(missing_ok=True)
    sent = as_sent(of)
    return Day(
        sent, of.universe, machine, as_pandas_sees_it(of, sent, located), of.simulator.expected, counted, rejected
    )


def a_world(cache: Path) -> World:
    calendar = world.calendar(MARKETS, NOW, cache)
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    universe = build(MARKETS, listings(), SECURITIES, 7, today=day_of(NOW.date()))
    return World(calendar, days, universe, Simulator(universe, days, 11, faults=FAULTS), np.random.default_rng(13))


# the machine's side


def live(of: World, receiver: Receiver) -> None:
    """Send the day in batches of any size and either encoding."""
    simulator, again = of.simulator, False

    def send(drafts: Drafts) -> None:
        of.drafts.append(drafts.copy())
        encoding = "json" if of.random.random() < 0.1 else "arrow"
        receiver.records(simulator.records(drafts, "events", encoding, int(of.random.integers(500, 5_000))))

    receiver.reference(simulator.reference())
    for drafts in simulator.start_of_day(1):
        send(drafts)
    while simulator.expected.events < EVENTS:
        if not again and simulator.expected.events > SENT_AGAIN_AFTER:
            again = True
            drafts = joined(list(simulator.start_of_day(2)))
            send(taken(drafts, of.random.permutation(drafts.size)))
        send(simulator.next(int(np.exp(of.random.uniform(0, np.log(60_000)))), 3))


def decide(of: World, machine: Machine) -> NDArray[np.int64]:
    """Locates are granted, shares kept back for breaks, and the clock strikes.

    Returns what is located short and long and what is kept back, shape (securities, 3).
    """
    located = np.zeros((of.universe.securities.size, 3), np.int64)
    ids = ids_by_code(machine.tables, "security", of.universe.securities["code"])
    for security in of.random.choice(len(located), 200, replace=False).tolist():
        located[security] = of.random.integers(0, 1_000_000, 3)
        machine.set_decided(int(ids[security]), Decided.SHORT_LOCATES, int(located[security, 0]))
        machine.set_decided(int(ids[security]), Decided.LONG_LOCATES, int(located[security, 1]))
        machine.set_decided(int(ids[security]), Decided.BREAKS, int(located[security, 2]))
    is_open = business_days.lending_open(MARKETS, of.calendar.today, int(NOW.timestamp()) * 1_000_000_000)
    for market, at in np.ndindex(is_open.shape):
        machine.set_clock(market, Clock.LENDING_OPEN, at, is_open=bool(is_open[market, at]))
    return located


def ids_by_code(tables: Tables, table: str, codes: NDArray[Any]) -> NDArray[np.int64]:
    """The machine's numbers of what has these codes."""
    known = {code: at for at, code in enumerate(tables.array[table]["code"].tolist()) if code}
    return np.array([known[code] for code in codes.tolist()], np.int64)


def as_the_machine_sees_it(tables: Tables, universe: Universe) -> Seen:
    rows = tables.array["position"][: tables.count(Word.ROWS)]
    parts = (("security", 40, universe.securities), ("book", 24, universe.books), ("depot", 8, universe.depots))
    index: list[NDArray[np.int64]] = []
    for name, shift, records in parts:
        number = np.full(len(tables.array[name]), -1, np.int64)
        number[ids_by_code(tables, name, records["code"])] = np.arange(records.size)
        index.append(number[(rows["key"] >> shift & (0xFFFFFF if name == "security" else 0xFFFF)).astype(np.int64)])
    index.append((rows["key"] & 0xFF).astype(np.int64))
    columns = {name: rows[name].copy() for name in plain.QUANTITIES}
    columns |= {f"{way}{n}": rows[way][:, n].copy() for way in ("receipt", "deliver") for n in range(6)}
    frame = pd.DataFrame(columns, index=pd.MultiIndex.from_arrays(index, names=plain.KEY)).sort_index()
    ids, catalogue = ids_by_code(tables, "security", universe.securities["code"]), tables.catalogue
    terms = {
        CONDITIONAL[info.term] if info.holds else info.term: tables.array["terms"][ids, at, :5]
        for at, info in enumerate(catalogue.components)
        if info.maintained
    }
    values = {
        info.name: tables.array["values"][ids, at]
        for at, info in enumerate(catalogue.calculations)
        if info.scope == Scope.SECURITY
    }
    head = tables.array["head"]
    quotes = {op.name: head[ids, HEAD_FACTS + fact] for op, fact in QUOTES.items()}
    return Seen(frame, quotes, terms, values)


# the other side


def as_sent(of: World) -> pd.DataFrame:
    """What can be read and names what is known, in the order of sending, repeats and all."""
    drafts = np.concatenate(of.drafts)
    known = drafts["security"] < of.universe.securities.size
    drafts = drafts[(drafts["fault"] != Fault.UNREADABLE) & known]
    names = "source seq op quantity trade_date settle_date flags".split()
    frame = pd.DataFrame({name: drafts[name].astype(np.int64) for name in (*plain.KEY, *names)})
    codes = np.array([market.code for market in MARKETS], object)
    return frame.assign(market=codes[of.universe.securities["market"][drafts["security"]]])


def as_pandas_sees_it(of: World, sent: pd.DataFrame, located: NDArray[np.int64]) -> Seen:
    today = a_day()
    quotes = {op.name: plain.quotes_of(sent, op, of.universe.securities.size) for op in QUOTES}
    records, money = of.universe.securities, {code: rest for code, *rest in of.universe.currencies.tolist()}
    securities = pd.DataFrame(
        {
            "market": [MARKETS[at].code for at in records["market"]],
            "designated": records["flags"] & SecurityFlag.DESIGNATED != 0,
            "event_date": records["event_date"].astype(np.int64),
            "located": located[:, 0],
            "located_long": located[:, 1],
            "break_held": located[:, 2],
            "price": quotes[Op.PRICE.name],
            "fee": np.where(records["fee"] == RATE_UNKNOWN, 0, records["fee"]),
            "day_count": [money[code][0] for code in records["currency"].tolist()],
            "fx": [money[code][1] for code in records["currency"].tolist()],
            "volume_30d": records["volume_30d"],
            "outstanding": records["outstanding"],
        }
    )
    rows = plain.rows_of(sent, today)
    terms = plain.terms_of(rows, securities, today)
    values = {name: of.astype(np.int64) for name, of in plain.values_of(terms, securities, today).items()}
    return Seen(rows, quotes, terms, values)


def a_day() -> plain.Day:
    """The sessions around the date as the exchanges say, without the tables that the machine is given."""
    date = NOW.date()
    sessions = {}
    for market in MARKETS:
        calendar = exchange_calendars.get_calendar(market.calendar, start="2026-09-01", end="2027-03-31")
        sessions[market.code] = np.array([day_of(session.date()) for session in calendar.sessions], np.int64)
    return plain.Day(sessions, {market.code: day_of(date) for market in MARKETS}, NOW)


def where_unlike(machine: Numbers, pandas: Numbers) -> dict[str, list[int]]:
    """By name the first securities in which the two do not agree."""
    return {
        name: np.flatnonzero((machine[name] != pandas[name]).any(axis=1))[:5].tolist()
        for name in machine
        if not np.array_equal(machine[name], pandas[name])
    }


def test_every_column_of_every_row_agrees(day: Day) -> None:
    pd.testing.assert_index_equal(day.machine.rows.index, day.pandas.rows.index, exact="equiv")
    unlike = {
        name: day.machine.rows.index[day.machine.rows[name] != day.pandas.rows[name]][:5].tolist()
        for name in (*plain.QUANTITIES, *plain.LADDER)
        if (day.machine.rows[name] != day.pandas.rows[name]).any()
    }
    assert unlike == {}


def test_every_quote_of_every_security_agrees(day: Day) -> None:
    unlike = {
        name: np.flatnonzero(of != day.pandas.quotes[name])[:5].tolist()
        for name, of in day.machine.quotes.items()
        if not np.array_equal(of, day.pandas.quotes[name]) or not of.any()
    }
    assert unlike == {}


def test_every_sum_of_every_security_agrees(day: Day) -> None:
    assert set(day.machine.terms) == set(day.pandas.terms)
    assert where_unlike(day.machine.terms, day.pandas.terms) == {}


def test_every_calculation_of_every_security_agrees_on_all_days(day: Day) -> None:
    assert set(day.machine.calculations) == set(day.pandas.calculations)
    assert where_unlike(day.machine.calculations, day.pandas.calculations) == {}


def test_the_day_is_worth_the_name(day: Day) -> None:
    assert day.counted == day.expected
    assert day.counted.events >= EVENTS
    assert day.rejected == 0
    assert min(day.counted.duplicates, day.counted.missing, day.counted.unreadable, day.counted.unknown) > 500
    assert set(day.sent["op"]) == set(Op)
    rowless = day.sent["op"].isin([Op.RESET_BOOK, *QUOTES])
    assert set(day.sent["kind"][~rowless]) == set(Kind)
    assert not [name for name in day.machine.rows if not day.machine.rows[name].any()]
    assert not [name for name, of in (day.machine.terms | day.machine.calculations).items() if not of.any()]


def test_every_market_has_its_part_in_the_day(day: Day) -> None:
    market, codes = day.universe.securities["market"], [of.code for of in MARKETS]
    only_in = {name: {"TW"} for name in ("short_cap_volume", "short_cap_outstanding", "short_cap_all")}
    only_in["past_cutoff"] = {"JP"}
    for name, numbers in day.machine.calculations.items():
        found = {code for at, code in enumerate(codes) if numbers[market == at].any()}
        # rows that do not agree with themselves are too few to be everywhere
        assert found == only_in.get(name, found if name == "td_sd_break" else set(codes)), name


def test_the_days_ahead_have_holidays_and_trades_that_feel_them(day: Day) -> None:
    tuesday, friday = day_of(dt.date(2026, 11, 24)), day_of(dt.date(2026, 11, 27))
    of = a_day()
    dates = np.array([tuesday, friday], np.int64)
    assert {code: of.until(code, dates).tolist() for code in ("GB", "JP", "US")} == {
        "GB": [2, 5],
        "JP": [1, 4],
        "US": [2, 4],
    }
    for flag in (Flag.CANCEL, Flag.QUANTO, Flag.CANCEL | Flag.QUANTO):
        assert (day.sent["flags"] == flag).any()
    assert set(day.sent["market"][day.sent["flags"] & Flag.QUANTO != 0]) == {"JP"}
