"""Business days of markets by the clock: domain.md 7 fact 5, holidays by hand, and a year of all markets."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app import business_days, world
from app.business_days import NEVER_NS, DayState, Turning
from engine.model import DAYS, Market
from feeds.calendars import business_day_table, date_of, day_of, minute_of, moment_ns, sessions

MARKETS = world.markets()
BASE = day_of(dt.date(2026, 1, 1))
FIRST_NS, LAST_NS = (int(dt.datetime(2026 + year, 1, 8, tzinfo=dt.UTC).timestamp()) * 10**9 for year in (0, 1))
MOMENTS = st.integers(FIRST_NS, LAST_NS)
ROLLS = st.lists(st.sampled_from(["00:00", "02:30", "06:00", "20:00"]), min_size=len(MARKETS), max_size=len(MARKETS))
Table: TypeAlias = NDArray[np.int32]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calendars")


@pytest.fixture(scope="module")
def table(cache: Path) -> Table:
    return business_day_table([market.calendar for market in MARKETS], BASE, 500, cache)


@pytest.fixture(scope="module")
def day_in(cache: Path) -> Callable[[Market, int], str]:
    """The business day of one market at a moment, as an ISO date."""

    def find(market: Market, now_ns: int) -> str:
        base = now_ns // (86_400 * 10**9) - 40
        alone = business_day_table([market.calendar], base, 120, cache)
        return date_of(int(business_days.today([market], alone, base, now_ns)[0])).isoformat()

    return find


def market_of(code: str, roll: str = "00:00", cutoff: str | None = None) -> Market:
    return replace(next(market for market in MARKETS if market.code == code), roll=roll, lending_cutoff=cutoff)


def at(market: Market, local: str) -> int:
    """UTC nanoseconds of a time by the market's clock."""
    return int(dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(market.time_zone)).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("code", "local", "business_day"),
    [
        ("US", "2023-06-16 23:59", "2023-06-16"),
        ("US", "2023-06-17 00:00", "2023-06-20"),  # Monday 19 June 2023 is Juneteenth
        ("US", "2023-06-19 12:00", "2023-06-20"),
        ("GB", "2023-06-17 00:00", "2023-06-19"),
        ("JP", "2026-04-29 09:00", "2026-04-30"),  # Showa Day
        ("JP", "2026-05-01 23:59", "2026-05-01"),
        ("JP", "2026-05-02 00:00", "2026-05-07"),  # Golden Week: 3 to 5 May, and 6 May for the Sunday
        ("JP", "2026-05-06 23:59", "2026-05-07"),
        ("TW", "2026-02-12 00:00", "2026-02-23"),  # Lunar New Year
        ("HK", "2026-02-17 00:00", "2026-02-20"),
        ("KR", "2026-02-14 00:00", "2026-02-19"),
        ("DE", "2026-12-24 00:00", "2026-12-28"),
        ("FR", "2026-12-24 23:00", "2026-12-24"),  # half a day is a business day
        ("US", "2026-11-26 09:00", "2026-11-27"),  # Thanksgiving
    ],
)
def test_a_closed_day_is_the_next_business_day_already(
    day_in: Callable[[Market, int], str], code: str, local: str, business_day: str
) -> None:
    market = market_of(code)
    assert day_in(market, at(market, local)) == business_day


@pytest.mark.parametrize(
    ("local", "business_day"),
    [
        ("2026-11-20 06:29", "2026-11-19"),
        ("2026-11-20 06:30", "2026-11-20"),
        ("2026-11-21 06:29", "2026-11-20"),
        ("2026-11-21 06:30", "2026-11-24"),  # Monday 23 November is Labour Thanksgiving Day
        ("2026-11-24 06:29", "2026-11-24"),
    ],
)
def test_before_its_roll_a_day_is_still_the_former_one(
    day_in: Callable[[Market, int], str], local: str, business_day: str
) -> None:
    market = market_of("JP", roll="06:30")
    assert day_in(market, at(market, local)) == business_day


def test_markets_roll_in_the_order_of_their_midnights(table: Table) -> None:
    now_ns = at(market_of("GB"), "2026-07-07 12:00")
    order = []
    for _ in MARKETS:
        current = business_days.today(MARKETS, table, BASE, now_ns)
        now_ns, market = business_days.next_roll(MARKETS, current)
        rolled = business_days.today(MARKETS, table, BASE, now_ns)
        order += [MARKETS[here].code for here in np.flatnonzero(rolled != current)]
        assert rolled[market] > current[market]
        if len(order) == len(MARKETS):
            break
    assert order == ["JP", "KR", "TW", "HK", "DE", "FR", "GB", "US"]


@given(MOMENTS, ROLLS)
def test_a_day_lasts_from_its_roll_to_the_next_and_is_a_session(
    table: Table, cache: Path, now_ns: int, times: list[str]
) -> None:
    markets = [replace(market, roll=roll) for market, roll in zip(MARKETS, times, strict=True)]
    current = business_days.today(markets, table, BASE, now_ns)
    moments = business_days.rolls(markets, current)
    for index, market in enumerate(markets):
        days = sessions(market.calendar, BASE, BASE + 500, cache).days
        here = int(np.searchsorted(days, current[index]))
        assert days[here] == current[index]
        began_ns = moment_ns(market.time_zone, int(days[here - 1]) + 1, minute_of(market.roll))
        assert began_ns <= now_ns < moments[index]
        for moment, expected in (
            (began_ns, days[here]),
            (began_ns - 1, days[here - 1]),
            (moments[index], days[here + 1]),
        ):
            assert business_days.today([market], table[index : index + 1], BASE, int(moment))[0] == expected


@pytest.mark.parametrize("roll", ["00:00", "01:30", "02:30", "03:00"])
def test_when_the_clocks_change_every_day_still_has_one_roll(table: Table, roll: str) -> None:
    for market, ordinals in zip(MARKETS, table, strict=True):
        rolling = replace(market, roll=roll)
        days = np.flatnonzero(np.diff(ordinals)) + BASE  # a business day is the last date with its ordinal
        moments = [business_days.rolls([rolling], np.array([day]))[0] for day in days]
        lengths = set(np.diff(moments) // (3_600 * 10**9) - 24 * np.diff(days))
        assert lengths <= {-1, 0, 1}, "a day is an hour short in spring, an hour long in autumn"
        for moment, after in zip(moments[5:-5], days[6:], strict=False):
            seen = [
                int(business_days.today([rolling], ordinals[None], BASE, int(moment) + step)[0]) for step in (-1, 0)
            ]
            assert seen[1] == after > seen[0]


@pytest.mark.parametrize(
    ("local", "is_open"),
    [
        ("2026-11-20 00:00", True),
        ("2026-11-20 13:59", True),
        ("2026-11-20 14:00", False),
        ("2026-11-20 23:59", False),
        ("2026-11-21 00:00", True),  # Saturday: today is Tuesday 24, after the holiday on Monday
        ("2026-11-21 15:00", True),
        ("2026-11-23 15:00", True),
        ("2026-11-24 13:59", True),
        ("2026-11-24 14:00", False),
    ],
)
def test_the_cut_off_closes_lending_for_today_only_and_moves_nothing_on_a_closed_day(
    table: Table, local: str, is_open: bool
) -> None:
    market, place = market_of("JP", cutoff="14:00"), [market.code for market in MARKETS].index("JP")
    state = DayState.at([market], table[place : place + 1], BASE, at(market, local))
    assert state.lending_open.tolist() == [[is_open, *[True] * (DAYS - 1)]]


def test_without_a_cut_off_stock_is_lent_all_day(table: Table) -> None:
    markets = [replace(market, lending_cutoff=None) for market in MARKETS]
    current = business_days.today(markets, table, BASE, FIRST_NS)
    assert business_days.cutoffs(markets, current).tolist() == [NEVER_NS] * len(markets)
    assert business_days.next_cutoff(markets, current, FIRST_NS) == (NEVER_NS, -1)
    assert business_days.lending_open(markets, current, FIRST_NS).all()


@given(MOMENTS)
def test_nothing_changes_before_the_state_says_so_and_then_something_does(table: Table, now_ns: int) -> None:
    markets = [replace(market, lending_cutoff="14:00") for market in MARKETS]

    def seen(moment: int) -> tuple[list[int], list[list[bool]]]:
        state = DayState.at(markets, table, BASE, moment)
        return state.today.tolist(), state.lending_open.tolist()

    until_ns = DayState.at(markets, table, BASE, now_ns).until_ns
    assert now_ns < until_ns
    assert seen(now_ns) == seen((now_ns + until_ns) // 2) == seen(until_ns - 1)
    assert seen(until_ns) != seen(now_ns)


def test_a_source_is_told_of_a_new_day_once_and_before_the_engine_begins_it(table: Table) -> None:
    second = 10**9
    now_ns = at(market_of("GB"), "2026-07-07 12:00")
    current = business_days.today(MARKETS, table, BASE, now_ns)
    turning = Turning(MARKETS, table, BASE, current, ahead_ns=2 * second)
    rolls_ns, market = business_days.next_roll(MARKETS, current)
    assert [turning(moment) for moment in (now_ns, now_ns + second, rolls_ns - 3 * second)] == [None] * 3
    days = turning(rolls_ns - 2 * second)
    assert days is not None
    assert days.ahead[:, 0].tolist() == business_days.today(MARKETS, table, BASE, rolls_ns).tolist()
    assert days.ahead[market, 0] > current[market] == days.previous[market]
    assert [turning(moment) for moment in (rolls_ns - second, rolls_ns, rolls_ns + second)] == [None] * 3


def test_a_calendar_that_ends_says_so(table: Table) -> None:
    with pytest.raises(ValueError, match="the calendar of US does not reach 2028-"):
        business_days.today(MARKETS, table, BASE, at(MARKETS[0], "2028-03-01 12:00"))
