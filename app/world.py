"""What the engine starts from: markets, rules and calendars, read from files and turned into data."""

import datetime as dt
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import yaml

from engine.model import Market
from engine.rule_model import Document, RuleBook
from engine.rule_text import read_documents
from engine.state import Calendar
from engine.tables import CALENDAR_DAYS
from feeds.calendars import business_day_table, day_of

SHIPPED: Final = ("default", "tw", "jp", "kr", "hk", "us", "eu")
"""The rule documents that come with the program."""
_PAST_DAYS: Final = 60


def markets() -> tuple[Market, ...]:
    """The markets of assets/markets.yaml, in the order of their index."""
    return tuple(msgspec.convert(yaml.safe_load(files("assets").joinpath("markets.yaml").read_text()), list[Market]))


def shipped_documents() -> tuple[Document, ...]:
    """The rules of assets/rules, each in its first version."""
    folder = files("assets").joinpath("rules")
    return tuple(Document(name, 1, folder.joinpath(f"{name}.yaml").read_text()) for name in SHIPPED)


def rule_book(documents: Sequence[Document] | None = None) -> RuleBook:
    """Documents (None: the shipped ones) read and checked together. Raises `engine.rule_model.RulesError`."""
    return read_documents(shipped_documents() if documents is None else documents)


def calendar(at: tuple[Market, ...], now: dt.datetime, cache: Path) -> Calendar:
    """Business days of all markets; `today` is each market's date now, or its next business day where it is closed."""
    base = day_of(now.date()) - _PAST_DAYS
    table = business_day_table([market.calendar for market in at], base, CALENDAR_DAYS, cache)
    local = np.array([day_of(now.astimezone(ZoneInfo(market.time_zone)).date()) for market in at]) - base
    ordinals = table[np.arange(len(at)), local]
    # the business day with an ordinal is the last date that has it: the first at or after every date before it
    today = np.array(
        [np.searchsorted(row, ordinal, side="right") - 1 for row, ordinal in zip(table, ordinals, strict=True)]
    )
    return Calendar(base, table, (base + today).astype(np.int32))
