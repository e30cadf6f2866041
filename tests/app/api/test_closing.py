"""Locates expire when their market really closes: half days, holidays, summer time, and after the close."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from app import world
from app.api.closing import Closing, regular_closes
from engine.model import Capacity
from engine.tables import Tables
from feeds.calendars import business_day_table, closing_minutes, day_of

MARKETS = world.markets()
BASE = day_of(dt.date(2026, 1, 1))
DAYS = 512


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calendars")


@pytest.fixture
def tables(instance: str, cache: Path) -> Iterator[Tables]:
    capacity = Capacity(securities=10, books=10, depots=10, sources=10, rows=100)
    made = Tables.create(f"{instance}.tables", capacity, markets=MARKETS, base_date=BASE, generation=instance)
    made.array["business_day"][:] = business_day_table([market.calendar for market in MARKETS], BASE, DAYS, cache)
    yield made
    made.close()


def expiry(closing: Closing, code: str, local: str) -> str:
    market = next(market for market in MARKETS if market.code == code)
    zone = ZoneInfo(market.time_zone)
    now_ns = int(dt.datetime.fromisoformat(local).replace(tzinfo=zone).timestamp() * 10**9)
    closes = dt.datetime.fromtimestamp(closing(market, now_ns) / 10**9, zone)
    return closes.replace(tzinfo=None).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("code", "local", "closes"),
    [
        ("GB", "2026-12-24 09:00", "2026-12-24 12:30"),  # Christmas Eve is half a day
        ("HK", "2026-12-24 09:00", "2026-12-24 12:00"),
        ("FR", "2026-12-24 09:00", "2026-12-24 14:05"),
        ("DE", "2026-12-24 09:00", "2026-12-28 17:30"),  # and none in Frankfurt
        ("DE", "2026-12-30 09:00", "2026-12-30 14:00"),
        ("US", "2026-11-27 09:30", "2026-11-27 13:00"),  # the day after Thanksgiving
        ("US", "2026-11-27 12:59", "2026-11-27 13:00"),
        ("US", "2026-11-27 13:00", "2026-11-30 16:00"),
        ("US", "2026-11-26 09:00", "2026-11-27 13:00"),
        ("HK", "2026-02-16 11:00", "2026-02-16 12:00"),  # the eve of the Lunar New Year
        ("HK", "2026-02-16 13:00", "2026-02-20 16:00"),
        ("JP", "2026-05-01 15:30", "2026-05-07 15:30"),  # Golden Week
        ("US", "2026-03-06 12:00", "2026-03-06 16:00"),  # clocks change on 8 March and 1 November
        ("US", "2026-03-09 12:00", "2026-03-09 16:00"),
        ("US", "2026-11-01 01:30", "2026-11-02 16:00"),
    ],
)
def test_a_locate_expires_at_the_true_close_of_the_session(
    tables: Tables, cache: Path, code: str, local: str, closes: str
) -> None:
    closing = Closing(tables, closing_minutes(MARKETS, BASE, DAYS, cache))
    assert expiry(closing, code, local) == closes


def test_the_markets_own_close_is_the_calendars_regular_one(tables: Tables, cache: Path) -> None:
    true, regular = closing_minutes(MARKETS, BASE, DAYS, cache), regular_closes(tables)
    known = np.s_[:, : DAYS - 1]
    assert ((true[known] > 0) == (regular[known] > 0)).all()
    assert (true[known] <= regular[known]).all()
    assert 10 < np.count_nonzero(true[known] < regular[known]) < 40


def test_an_answer_is_good_until_it_has_passed(tables: Tables) -> None:
    closing = Closing(tables)
    for local, closes in (("10:00", "16:00"), ("09:00", "16:00"), ("15:59", "16:00")):
        assert expiry(closing, "US", f"2026-07-01 {local}") == f"2026-07-01 {closes}"
    assert expiry(closing, "US", "2026-07-02 17:00") == "2026-07-06 16:00"  # 4 July falls on a Saturday
    assert expiry(closing, "US", "2026-07-01 17:00") == "2026-07-02 16:00"


def test_a_calendar_that_ends_says_so(tables: Tables) -> None:
    with pytest.raises(ValueError, match="the calendar of US does not reach 2028-"):
        expiry(Closing(tables), "US", "2028-01-03 12:00")


@pytest.mark.parametrize(
    ("code", "date", "closes"),
    [
        ("US", "2026-11-27", "2026-11-27 13:00"),
        ("US", "2026-12-01", "2026-12-01 16:00"),
        ("US", "2026-11-25", "has closed"),
        ("US", "2026-11-26", "no trading day"),
        ("US", "2026-11-28", "no trading day"),
        ("DE", "2026-12-24", "no trading day"),
        ("US", "2029-01-02", "no trading day"),
        ("US", "2019-01-02", "no trading day"),
    ],
)
def test_a_locate_may_be_good_for_a_trading_day_to_come(
    tables: Tables, cache: Path, code: str, date: str, closes: str
) -> None:
    closing = Closing(tables, closing_minutes(MARKETS, BASE, DAYS, cache))
    market = next(market for market in MARKETS if market.code == code)
    zone = ZoneInfo(market.time_zone)
    now_ns = int(dt.datetime(2026, 11, 25, 18, 0, tzinfo=zone).timestamp() * 10**9)
    if not closes[0].isdigit():
        with pytest.raises(ValueError, match=closes):
            closing.on(market, dt.date.fromisoformat(date), now_ns)
        return
    at = dt.datetime.fromtimestamp(closing.on(market, dt.date.fromisoformat(date), now_ns) / 10**9, zone)
    assert at.replace(tzinfo=None).isoformat(" ", "minutes") == closes
