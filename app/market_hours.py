"""When each market trades, for the clocks of pages: sessions around today, by its own clock, half days and pauses and all."""

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from app.markets import sessions
from engine.model import Market
from feeds.calendars import Sessions, date_of, day_of, minute_of, moment_ns

BEHIND_DAYS: Final = 4
AHEAD_DAYS: Final = 16
"""Longer than any market is closed in a row."""
_MIC: Final = re.compile(r"[A-Z0-9]{4}")
_NS_PER_MS: Final = 1_000_000
_Moment = Annotated[int, Meta(description="Milliseconds since 1970, UTC.")]


class Session(Struct, frozen=True, omit_defaults=True):
    """One day of trading."""

    date: str
    opens: _Moment
    closes: _Moment
    half: bool = False
    """It closes earlier than usual."""
    pause: _Moment | None = None
    resume: _Moment | None = None
    cutoff: _Moment | None = None
    """Until when stock is lent for the same day; None: for as long as the day lasts."""


class MarketHours(Struct, frozen=True):
    """One market."""

    code: str
    mic: str
    """Of the exchange whose calendar it has; empty where that is none."""
    time_zone: str
    currency: str
    days: list[Session]
    """In order."""


def market_hours(markets: Sequence[Market], now: dt.datetime, cache: Path) -> list[MarketHours]:
    """Of each market the sessions from a few days before `now` on. The first call of a year may take some seconds."""
    return [
        MarketHours(
            code=market.code,
            mic=market.calendar if _MIC.fullmatch(market.calendar) else "",
            time_zone=market.time_zone,
            currency=market.currency,
            days=_around(market, sessions(market, now, cache), day_of(now.date())),
        )
        for market in markets
    ]


def _around(market: Market, found: Sessions, today: int) -> list[Session]:
    here = (found.days >= today - BEHIND_DAYS) & (found.days <= today + AHEAD_DAYS)
    rows = zip(*(column[here].tolist() for column in found), strict=True)
    return [_session(market, *row) for row in rows]


def _session(market: Market, day: int, close: int, opening: int, pause: int, resume: int) -> Session:
    def moment(minute: int) -> int:
        return moment_ns(market.time_zone, day, minute) // _NS_PER_MS

    regular = minute_of(market.close)
    close = close or regular
    rests = 0 < pause < close
    return Session(
        date=date_of(day).isoformat(),
        opens=moment(opening),
        closes=moment(close),
        half=close < regular,
        pause=moment(pause) if rests else None,
        resume=moment(resume) if rests else None,
        cutoff=None if market.lending_cutoff is None else moment(minute_of(market.lending_cutoff)),
    )
