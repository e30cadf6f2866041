"""Markets and their real calendars over all the years that fact lines speak of."""

import datetime as dt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app import world
from engine.model import Market
from engine.tables import CALENDAR_DAYS
from feeds.calendars import WEEKDAYS, business_day_table, closing_minutes, day_of, moment_ns
from tests.engine.fact_lines import Context, Expected

MARKETS: Final = (*world.markets(), Market("WD", WEEKDAYS, "UTC", "", "17:00", 2))
"""And one without holidays, of which no document of rules knows."""
MARKET: Final = {market.code: index for index, market in enumerate(MARKETS)}
CALENDAR_RESULTS: Final = {"ahead", "settle", "close", "close_utc"}
BASE: Final = day_of(dt.date(2019, 7, 1))
LAST: Final = day_of(dt.date(2027, 6, 30))


class Days:
    """Business days and closes of all markets over all years that lines speak of."""

    def __init__(self, cache: Path) -> None:
        calendars = [market.calendar for market in MARKETS]
        self.table = business_day_table(calendars, BASE, LAST - BASE, cache)
        self.closes = closing_minutes(MARKETS, BASE, LAST - BASE, cache)

    def session(self, market: int, date: int, ahead: int = 0) -> int:
        """The business day `ahead` business days from the first at or after `date`."""
        ordinals = self.table[market]
        return BASE + int(np.searchsorted(ordinals, ordinals[date - BASE] + ahead, side="right")) - 1

    def result(self, context: Context, expected: Expected) -> list[int]:
        """A number of the calendar alone."""
        assert context.on is not None
        at, market = MARKET[context.market], MARKETS[MARKET[context.market]]
        on = day_of(context.on)
        today = self.session(at, on)
        match expected.what:
            case "ahead":
                return [self.session(at, on, day) - on for day in expected.days]
            case "settle":
                return [self.session(at, on, market.settle_days) - on]
        minute = int(self.closes[at, today - BASE])
        midnight = moment_ns("UTC", today, 0)
        in_utc = (moment_ns(market.time_zone, today, minute) - midnight) // 60_000_000_000
        return [minute if expected.what == "close" else in_utc]

    def slice(self, base: int) -> NDArray[np.int32]:
        """The table of a machine whose first date is `base`."""
        part = self.table[:, base - BASE : base - BASE + CALENDAR_DAYS]
        return part - part[:, :1]
