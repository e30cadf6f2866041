"""Which business day it is in each market, when the next one begins, and until when stock is lent for today.

A market's day begins at its `roll` by its own clock; on a day without trading it is the next business day already, so nothing
rolls, and no cut-off passes, before that day has come. Dates are days since 1970-01-01, moments UTC nanoseconds; `table` is the
ordinal of the first business day at or after `base` + i, shape (markets, days), as `feeds.calendars` makes it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.model import DAYS, Market
from feeds.calendars import TradingDays, day_of, minute_of, moment_ns

NEVER_NS: Final = 2**63 - 1


def today(markets: Sequence[Market], table: NDArray[np.int32], base: int, now_ns: int) -> NDArray[np.int32]:
    """The business day it is in each market, shape (markets,). Raises ValueError where the table does not reach it."""
    return np.array([_today(*pair, base, now_ns) for pair in zip(markets, table, strict=True)], np.int32)


def rolls(markets: Sequence[Market], current: NDArray[np.int32]) -> NDArray[np.int64]:
    """When each market's business day `current` ends, shape (markets,)."""
    pairs = zip(markets, current.tolist(), strict=True)
    return np.array([moment_ns(market.time_zone, day + 1, minute_of(market.roll)) for market, day in pairs], np.int64)


def next_roll(markets: Sequence[Market], current: NDArray[np.int32]) -> tuple[int, int]:
    """The first moment at which a market's business day ends, and the first market in which it does."""
    moments = rolls(markets, current)
    market = int(moments.argmin())
    return int(moments[market]), market


def cutoffs(markets: Sequence[Market], current: NDArray[np.int32]) -> NDArray[np.int64]:
    """Until when (excluded) stock is lent for each market's business day; `NEVER_NS` where all day. Shape (markets,)."""
    pairs = zip(markets, current.tolist(), strict=True)
    return np.array([_cutoff(market, day) for market, day in pairs], np.int64)


def next_cutoff(markets: Sequence[Market], current: NDArray[np.int32], now_ns: int) -> tuple[int, int]:
    """The first cut-off later than `now_ns` and its market; `NEVER_NS` and -1 where there is none before the next roll."""
    moments = cutoffs(markets, current)
    moments[moments <= now_ns] = NEVER_NS
    market = int(moments.argmin())
    return (int(moments[market]), market) if moments[market] < NEVER_NS else (NEVER_NS, -1)


def lending_open(markets: Sequence[Market], current: NDArray[np.int32], now_ns: int) -> NDArray[np.bool_]:
    """Whether stock can still be lent for each day of the ladder, shape (markets, DAYS): only today's can be over."""
    is_open = np.ones((len(markets), DAYS), np.bool_)
    is_open[:, 0] = now_ns < cutoffs(markets, current)
    return is_open


@dataclass(frozen=True, slots=True)
class DayState:
    """What the clock says of all markets, and until when it says so."""

    today: NDArray[np.int32]
    """Shape (markets,)."""
    lending_open: NDArray[np.bool_]
    """Shape (markets, DAYS)."""
    until_ns: int
    """The next roll or cut-off: until then nothing here changes."""

    @classmethod
    def at(cls, markets: Sequence[Market], table: NDArray[np.int32], base: int, now_ns: int) -> Self:
        """The state at a moment. Raises ValueError where the table does not reach it."""
        current = today(markets, table, base, now_ns)
        until_ns = min(next_roll(markets, current)[0], next_cutoff(markets, current, now_ns)[0])
        return cls(current, lending_open(markets, current, now_ns), until_ns)


class Turning:
    """Trading days for a source that makes its own day; call it with the time, it answers when they are others than `current`.

    It does so `ahead_ns` before the engine begins the day: what is dated for the new one is then never late.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        table: NDArray[np.int32],
        base: int,
        current: NDArray[np.int32],
        ahead_ns: int = 2_000_000_000,
    ) -> None:
        self._markets, self._table, self._base = tuple(markets), table, base
        self._today, self._ahead_ns = current, ahead_ns
        self._until_ns = 0

    def __call__(self, now_ns: int) -> TradingDays | None:
        if now_ns + self._ahead_ns < self._until_ns:
            return None
        state = DayState.at(self._markets, self._table, self._base, now_ns + self._ahead_ns)
        self._until_ns = state.until_ns
        if (state.today == self._today).all():
            return None
        self._today = state.today
        return TradingDays.of(self._table, self._base, state.today)


def _today(market: Market, ordinals: NDArray[np.int32], base: int, now_ns: int) -> int:
    date = day_of(dt.datetime.fromtimestamp(now_ns // 1_000_000_000, ZoneInfo(market.time_zone)).date())
    if now_ns < moment_ns(market.time_zone, date, minute_of(market.roll)):
        date -= 1
    at = date - base
    if not 0 <= at < len(ordinals) or ordinals[at] == ordinals[-1]:
        raise ValueError(
            f"the calendar of {market.code} does not reach {dt.date(1970, 1, 1) + dt.timedelta(days=date)}"
        )
    # the business day with an ordinal is the last date that has it: those before it are the closed days that lead to it
    return base + int(np.searchsorted(ordinals, ordinals[at], side="right")) - 1


def _cutoff(market: Market, day: int) -> int:
    if market.lending_cutoff is None:
        return NEVER_NS
    return moment_ns(market.time_zone, day, minute_of(market.lending_cutoff))
