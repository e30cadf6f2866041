"""What the engine starts from: markets, rules and calendars, read from files and turned into data."""

import datetime as dt
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app import business_days
from app.markets import base_date
from app.markets import markets as markets  # noqa: PLC0414  what the engine starts from
from engine.model import Market
from engine.rule_model import Document, RuleBook
from engine.rule_text import read_documents
from engine.state import Calendar
from engine.tables import CALENDAR_DAYS
from feeds.calendars import business_day_table, closing_minutes

SHIPPED: Final = ("default", "tw", "jp", "kr", "hk", "us", "eu", "locates")
"""The rule documents that come with the program."""


def shipped_documents() -> tuple[Document, ...]:
    """The rules of assets/rules, each in its first version."""
    folder = files("assets").joinpath("rules")
    return tuple(Document(name, 1, folder.joinpath(f"{name}.yaml").read_text()) for name in SHIPPED)


def rule_book(documents: Sequence[Document] | None = None) -> RuleBook:
    """Documents (None: the shipped ones) read and checked together. Raises `engine.rule_model.RulesError`."""
    return _shipped() if documents is None else read_documents(documents)


@cache
def _shipped() -> RuleBook:
    return read_documents(shipped_documents())


def calendar(at: tuple[Market, ...], now: dt.datetime, cache: Path) -> Calendar:
    """Business days of all markets, and which one it is in each."""
    base = base_date(now)
    table = business_day_table([market.calendar for market in at], base, CALENDAR_DAYS, cache)
    now_ns = int(now.timestamp() * 1e9)
    return Calendar(base, table, business_days.today(at, table, base, now_ns))


def closes(at: tuple[Market, ...], calendar: Calendar, cache: Path) -> NDArray[np.int32]:
    """When each market closes, by date from the calendar's first (`feeds.calendars.closing_minutes`)."""
    return closing_minutes(at, calendar.base_date, calendar.business_day.shape[1], cache)
