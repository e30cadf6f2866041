"""Business days and closes: domain.md 7, fact 5, and what the start of the service relies on."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.model import Market
from feeds.calendars import (
    WEEKDAYS,
    add_business_days,
    business_day_table,
    closing_minutes,
    date_of,
    day_of,
    minute_of,
    moment_ns,
    sessions,
)

FRIDAY = day_of(dt.date(2023, 6, 16))
THURSDAY = FRIDAY - 1
MONDAY, TUESDAY = dt.date(2023, 6, 19), dt.date(2023, 6, 20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calendars")


@pytest.mark.parametrize(
    ("calendar", "day", "count", "result"),
    [
        (WEEKDAYS, FRIDAY, 1, MONDAY),
        (WEEKDAYS, THURSDAY, 2, MONDAY),
        ("XNYS", FRIDAY, 1, TUESDAY),
        ("XNYS", THURSDAY, 2, TUESDAY),
        ("XLON", FRIDAY, 1, MONDAY),
    ],
)
def test_fact_5_of_the_domain(cache: Path, calendar: str, day: int, count: int, result: dt.date) -> None:
    open_days = sessions(calendar, day, day, cache).days
    assert date_of(int(add_business_days(open_days, day, count))) == result


def test_a_day_without_a_session_counts_as_the_next_one(cache: Path) -> None:
    saturday = FRIDAY + 1
    assert date_of(int(add_business_days(sessions("XNYS", saturday, saturday, cache).days, saturday, 0))) == TUESDAY


def test_the_table_counts_sessions_and_a_holiday_counts_as_the_next_session(cache: Path) -> None:
    us, weekdays = business_day_table(["XNYS", WEEKDAYS], THURSDAY, 7, cache)
    assert us.tolist() == [0, 1, 2, 2, 2, 2, 3]
    assert weekdays.tolist() == [0, 1, 2, 2, 2, 3, 4]


def test_the_table_agrees_with_counting_sessions_one_by_one(cache: Path) -> None:
    days = 400
    (row,) = business_day_table(["XTAI"], FRIDAY, days, cache)
    open_days = set(sessions("XTAI", FRIDAY, FRIDAY + days, cache).days.tolist())
    counted = np.cumsum([0] + [FRIDAY + i in open_days for i in range(days - 1)])
    assert row.tolist() == counted.tolist()


def test_a_second_start_does_not_import_the_library_and_survives_a_torn_file(tmp_path: Path) -> None:
    first = business_day_table(["XNYS"], FRIDAY, 30, tmp_path)
    program = (
        "import sys, pathlib, feeds.calendars as c;"
        f"t = c.business_day_table(['XNYS'], {FRIDAY}, 30, pathlib.Path({str(tmp_path)!r}));"
        "print(t.tolist(), 'exchange_calendars' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == f"{first.tolist()} False"
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:50])
    assert business_day_table(["XNYS"], FRIDAY, 30, tmp_path).tolist() == first.tolist()


def test_the_calendar_knows_half_days_and_a_calendar_without_closes_leaves_them_to_the_market(cache: Path) -> None:
    us = Market("US", "XNYS", "America/New_York", "USD", "16:00", 1)
    weekdays = Market("XX", WEEKDAYS, "Europe/London", "GBP", "16:30", 2)
    wednesday = day_of(dt.date(2026, 11, 25))
    minutes = closing_minutes([us, weekdays], wednesday, 6, cache)
    assert minutes.tolist() == [[16 * 60, 0, 13 * 60, 0, 0, 16 * 60], [990, 990, 990, 0, 0, 990]]


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("America/New_York", "2026-01-01 16:00", "2026-01-01T21:00:00+00:00"),
        ("America/New_York", "2026-07-01 16:00", "2026-07-01T20:00:00+00:00"),
        ("America/New_York", "2026-03-08 00:00", "2026-03-08T05:00:00+00:00"),
        ("America/New_York", "2026-03-08 02:30", "2026-03-08T07:30:00+00:00"),  # skipped: clocks say 03:30 then
        ("America/New_York", "2026-03-08 03:00", "2026-03-08T07:00:00+00:00"),
        ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00+00:00"),  # the first of two
        ("Europe/London", "2026-03-29 16:30", "2026-03-29T15:30:00+00:00"),
        ("Europe/London", "2026-10-25 16:30", "2026-10-25T16:30:00+00:00"),
        ("Asia/Tokyo", "2026-03-29 15:30", "2026-03-29T06:30:00+00:00"),
    ],
)
def test_a_time_of_day_is_by_the_clocks_of_the_market(zone: str, local: str, utc: str) -> None:
    date, time = local.split()
    found_ns = moment_ns(zone, day_of(dt.date.fromisoformat(date)), minute_of(time))
    assert dt.datetime.fromtimestamp(found_ns / 1e9, dt.UTC).isoformat() == utc
