"""The markets of assets/markets.yaml, and how far their calendars reach: all that is needed of them where no machine runs."""

import datetime as dt
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec
import yaml

from engine.model import Market
from engine.tables import CALENDAR_DAYS
from feeds import calendars
from feeds.calendars import Sessions, day_of

_PAST_DAYS: Final = 60


def markets() -> tuple[Market, ...]:
    """In the order of their index."""
    return tuple(msgspec.convert(yaml.safe_load(files("assets").joinpath("markets.yaml").read_text()), list[Market]))


def base_date(now: dt.datetime) -> int:
    """The first day of calendars made `now`, `CALENDAR_DAYS` long."""
    return day_of(now.date()) - _PAST_DAYS


def sessions(market: Market, now: dt.datetime, cache: Path) -> Sessions:
    """Every session of a market of the years around `now`: at once where the folder has them, else within seconds."""
    base = base_date(now)
    return calendars.sessions(market.calendar, base, base + CALENDAR_DAYS, cache)


def all_kept(at: Sequence[Market], now: dt.datetime, cache: Path) -> bool:
    """Whether the folder has the sessions of all of them."""
    base = base_date(now)
    spans = (calendars.kept_sessions(market.calendar, base, base + CALENDAR_DAYS, cache) for market in at)
    return all(span is not None for span in spans)
