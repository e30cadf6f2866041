"""When a locate given now expires: at the close of the market's trading day, an early one on a half day."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.model import Market
from engine.tables import Tables
from feeds.calendars import day_of, minute_of, moment_ns


def regular_closes(tables: Tables) -> NDArray[np.int32]:
    """The minute at which each market closes on every date of the tables, shape (markets, days), as if no day were short."""
    ordinals = tables.array["business_day"]
    minutes = np.zeros(ordinals.shape, np.int32)
    # a day trades if the first business day at or after tomorrow is another one
    trades = np.diff(ordinals, axis=1) != 0
    regular = np.array([minute_of(market.close) for market in tables.markets], np.int32)
    minutes[:, :-1] = np.where(trades, regular[:, None], 0)
    return minutes


class Closing:
    """The next close of a market. `closes`: `feeds.calendars.closing_minutes` of the tables' markets and base date."""

    def __init__(self, tables: Tables, closes: NDArray[np.int32] | None = None) -> None:
        closes = regular_closes(tables) if closes is None else closes
        self._base_date = tables.base_date
        self._minutes = {market.code: row for market, row in zip(tables.markets, closes, strict=True)}
        self._next: dict[str, tuple[int, int]] = {}

    def __call__(self, market: Market, now_ns: int) -> int:
        """UTC nanoseconds, later than `now_ns`: after the close, or without trading, that of the next trading day."""
        since, until = self._next.get(market.code, (0, 0))
        if not since <= now_ns < until:
            until = self._find(market, now_ns)
            self._next[market.code] = now_ns, until
        return until

    def on(self, market: Market, date: dt.date, now_ns: int) -> int:
        """The close of that trading day. Raises ValueError where it is none, is over, or is past the calendar."""
        minutes, at = self._minutes[market.code], day_of(date) - self._base_date
        if not 0 <= at < minutes.size or not minutes[at]:
            raise ValueError(f"{date} is no trading day of {market.code}, as far as its calendar reaches")
        closes = moment_ns(market.time_zone, self._base_date + at, int(minutes[at]))
        if closes <= now_ns:
            raise ValueError(f"{market.code} has closed on {date}")
        return closes

    def _find(self, market: Market, now_ns: int) -> int:
        minutes = self._minutes[market.code]
        local = dt.datetime.fromtimestamp(now_ns // 1_000_000_000, ZoneInfo(market.time_zone)).date()
        first = max(0, day_of(local) - self._base_date)
        for at in (first + np.flatnonzero(minutes[first:])).tolist():
            closes = moment_ns(market.time_zone, self._base_date + at, int(minutes[at]))
            if closes > now_ns:
                return closes
        raise ValueError(f"the calendar of {market.code} does not reach {local}: restart the service")
