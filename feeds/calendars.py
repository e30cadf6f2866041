"""Business days and closing times of markets, from exchange_calendars.

That library takes more than two seconds to import and to build eight calendars, so it is imported only when a
calendar is not in the cache yet. Dates are days since 1970-01-01; sessions are the days a market trades, in order; times of
day are minutes after midnight by the market's own clock.
"""

import datetime as dt
import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.model import Market

WEEKDAYS: Final = "24/5"
"""The calendar without holidays: Monday to Friday."""
_EPOCH: Final = dt.date(1970, 1, 1)


def date_of(day: int) -> dt.date:
    """The calendar date of a day number."""
    return _EPOCH + dt.timedelta(days=day)


def day_of(date: dt.date) -> int:
    """The day number of a date."""
    return (date - _EPOCH).days


def business_day_table(calendars: Sequence[str], base_date: int, days: int, cache: Path) -> NDArray[np.int32]:
    """Ordinal of the first business day at or after `base_date` + i, shape (calendars, days), per calendar from 0.

    Consecutive sessions have consecutive ordinals, so the difference of two entries is a number of business days.
    """
    dates = np.arange(base_date, base_date + days)
    table = np.empty((len(calendars), days), np.int32)
    for row, calendar in zip(table, calendars, strict=True):
        ordinal = np.searchsorted(sessions(calendar, base_date, base_date + days, cache).days, dates)
        row[:] = ordinal - ordinal[0]
    return table


class Sessions(NamedTuple):
    """Arrays of one length, in order."""

    days: NDArray[np.int32]
    close: NDArray[np.int32]
    """Minute of the day at which the session ends, half days and all; 0 where the calendar has no closes."""
    open: NDArray[np.int32]
    """Minute of the day at which it begins."""
    pause: NDArray[np.int32]
    """Minute at which it rests, at noon or so; 0 where it does not."""
    resume: NDArray[np.int32]
    """Minute at which it goes on after that; 0 where it does not rest."""


def sessions(calendar: str, first: int, last: int, cache: Path) -> Sessions:
    """All sessions of the years that `first` to `last` touch, and of the year after, kept in the folder `cache`.

    Whole years, so that tomorrow's start finds today's file. Raises ValueError for years the library cannot tell
    (Korea's end in 2050).
    """
    found = kept_sessions(calendar, first, last, cache)
    if found is not None:
        return found
    found = _computed(calendar, *_years(first, last))
    path = _path(calendar, first, last, cache)
    cache.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.npy")
    np.save(draft, np.stack(found))
    draft.rename(path)
    return found


def kept_sessions(calendar: str, first: int, last: int, cache: Path) -> Sessions | None:
    """The same as far as it is in the folder; None where somebody has to compute it first, which takes seconds."""
    try:
        return Sessions(*np.asarray(np.load(_path(calendar, first, last, cache), allow_pickle=False), np.int32))
    except (OSError, ValueError, EOFError, TypeError):
        return None


def _years(first: int, last: int) -> tuple[int, int]:
    return date_of(first).year, date_of(last).year + 1


def _path(calendar: str, first: int, last: int, cache: Path) -> Path:
    version, years = importlib.metadata.version("exchange_calendars"), _years(first, last)
    return cache / f"calendar-{version}-{calendar.replace('/', '')}-{years[0]}-{years[1]}.npy"


def closing_minutes(markets: Sequence[Market], base_date: int, days: int, cache: Path) -> NDArray[np.int32]:
    """When each market closes on the date `base_date` + i, shape (markets, days); 0 on a day without a session.

    The calendar knows early closes; of one that knows no closes the market's regular one is taken.
    """
    minutes = np.zeros((len(markets), days), np.int32)
    for row, market in zip(minutes, markets, strict=True):
        found = sessions(market.calendar, base_date, base_date + days, cache)
        here = (found.days >= base_date) & (found.days < base_date + days)
        row[found.days[here] - base_date] = np.where(found.close[here], found.close[here], minute_of(market.close))
    return minutes


def add_business_days(open_days: NDArray[np.int32], day: ArrayLike, count: ArrayLike) -> NDArray[np.int32]:
    """The session `count` sessions after `day` (arrays broadcast); a day without a session counts as the next one.

    Raises IndexError where `open_days` does not reach that far.
    """
    return np.asarray(open_days[np.searchsorted(open_days, day) + np.asarray(count)], np.int32)


@dataclass(frozen=True, slots=True)
class TradingDays:
    """Sessions of every market, as dates: the one before today, and `ahead[market, n]`, n business days from today."""

    previous: NDArray[np.int32]
    ahead: NDArray[np.int32]

    @classmethod
    def of(cls, table: NDArray[np.int32], base_date: int, today: NDArray[np.int32], count: int = 16) -> Self:
        """From a business day table, and the session it is in each market. Shapes (markets, days) and (markets,)."""
        found = np.empty((len(table), count + 1), np.int32)
        for row, ordinals, day in zip(found, table, today, strict=True):
            wanted = ordinals[day - base_date] + np.arange(-1, count)
            # the last date that has an ordinal is its session: those before it are the closed days that lead to it
            row[:] = base_date + np.searchsorted(ordinals, wanted, side="right") - 1
        return cls(found[:, 0], found[:, 1:])


def minute_of(time: str) -> int:
    """The minute of the day that "15:30" names."""
    hour, minute = map(int, time.split(":"))
    return 60 * hour + minute


def moment_ns(time_zone: str, day: int, minute: int) -> int:
    """UTC nanoseconds of a minute of a day by the clocks of `time_zone`.

    A time that a change of the clocks skips is as long after midnight as if they had not changed; of one that comes twice it is
    the first.
    """
    midnight = dt.datetime.combine(date_of(day), dt.time(), ZoneInfo(time_zone))
    return int((midnight + dt.timedelta(minutes=minute)).timestamp()) * 1_000_000_000


def _computed(name: str, first_year: int, last_year: int) -> Sessions:
    import exchange_calendars  # noqa: PLC0415  (two seconds with its calendars: only when the cache has none)

    first, last = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    calendar = exchange_calendars.get_calendar(name, start=first.isoformat(), end=last.isoformat())
    days = calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int64).astype(np.int32)
    moments = (calendar.closes, calendar.opens, calendar.break_starts, calendar.break_ends)
    return Sessions(days, *(_minutes(of_day, calendar.tz) for of_day in moments))


def _minutes(moments: Any, time_zone: Any) -> NDArray[np.int32]:
    """Minutes of the day by the clocks of `time_zone`; 0 where there is no moment."""
    there = moments.dt.tz_convert(time_zone)
    minutes: NDArray[np.int32] = (60 * there.dt.hour + there.dt.minute).fillna(0).to_numpy(np.int32)
    return minutes
