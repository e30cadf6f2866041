"""When a locate given now expires: at the close of the market's trading day."""

import datetime as dt
from zoneinfo import ZoneInfo

from engine.model import Market
from engine.tables import Tables
from feeds.calendars import close_ns, day_of


class Closing:
    """The next close of a market, by the business days in the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = {market.code: row for row, market in enumerate(tables.markets)}
        self._next: dict[str, tuple[int, int]] = {}

    def __call__(self, market: Market, now_ns: int) -> int:
        """UTC nanoseconds, later than `now_ns`: after the close, or without trading, that of the next trading day."""
        since, until = self._next.get(market.code, (0, 0))
        if not since <= now_ns < until:
            until = self._find(market, now_ns)
            self._next[market.code] = now_ns, until
        return until

    def _find(self, market: Market, now_ns: int) -> int:
        ordinals = self._tables.array["business_day"][self._rows[market.code]]
        local = dt.datetime.fromtimestamp(now_ns // 1_000_000_000, ZoneInfo(market.time_zone)).date()
        first = day_of(local) - self._tables.base_date
        for at in range(max(0, first), len(ordinals) - 1):
            # a day trades if the first business day at or after tomorrow is another one
            if ordinals[at + 1] != ordinals[at]:
                closes = close_ns(market, self._tables.base_date + at)
                if closes > now_ns:
                    return closes
        raise ValueError(f"the calendar of {market.code} does not reach {local}: restart the service")
