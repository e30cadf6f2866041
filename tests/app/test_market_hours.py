import datetime as dt
from pathlib import Path

import pytest

from app.market_hours import AHEAD_DAYS, BEHIND_DAYS, MarketHours, market_hours
from app.markets import markets

NOW = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)


CACHE = Path(__file__).parents[2] / ".cache" / "calendars"


@pytest.fixture(scope="module")
def hours() -> dict[str, MarketHours]:
    return {each.code: each for each in market_hours(markets(), NOW, CACHE)}


def utc(ms: int | None) -> str:
    assert ms is not None
    return dt.datetime.fromtimestamp(ms / 1e3, dt.UTC).strftime("%m-%d %H:%M")


def test_every_market_has_the_sessions_around_today(hours: dict[str, MarketHours]) -> None:
    assert [each.code for each in markets()] == list(hours)
    first, last = NOW.date() - dt.timedelta(days=BEHIND_DAYS), NOW.date() + dt.timedelta(days=AHEAD_DAYS)
    for market in hours.values():
        dates = [dt.date.fromisoformat(day.date) for day in market.days]
        assert dates == sorted(set(dates))
        assert first <= dates[0]
        assert dates[-1] <= last
        assert all(day.opens < day.closes for day in market.days)
        assert all(date.weekday() < 5 for date in dates)


def test_holidays_are_no_sessions_and_half_days_close_early(hours: dict[str, MarketHours]) -> None:
    days = {day.date: day for day in hours["US"].days}
    assert "2026-11-26" not in days
    assert (utc(days["2026-11-27"].opens), utc(days["2026-11-27"].closes)) == ("11-27 14:30", "11-27 18:00")
    assert days["2026-11-27"].half
    assert not days["2026-11-30"].half
    assert utc(days["2026-11-30"].closes) == "11-30 21:00"


def test_pauses_and_cut_offs_are_told_by_the_markets_own_clock(hours: dict[str, MarketHours]) -> None:
    day = next(day for day in hours["JP"].days if day.date == "2026-11-27")
    assert [utc(at) for at in (day.opens, day.pause, day.resume, day.cutoff, day.closes)] == [
        "11-27 00:00",
        "11-27 02:30",
        "11-27 03:30",
        "11-27 05:00",
        "11-27 06:30",
    ]
    assert hours["JP"].mic == "XTKS"
    assert all(day.pause is None and day.cutoff is None for day in hours["US"].days)
