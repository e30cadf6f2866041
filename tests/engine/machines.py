"""A small machine over a calendar in which every day is a business day."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from app import world
from engine.events import EventArray, empty
from engine.model import NO_DATE, Capacity, Kind, Op
from engine.records import BOOK, NAMED, SECURITY
from engine.ring import Message
from engine.rule_model import RuleBook
from engine.state import Calendar, Machine

TODAY = 20_000
SMALL = Capacity(securities=64, books=16, depots=8, sources=4, rows=512, deals=64, counterparties=16, units=8)
MARKETS = world.markets()
TW = next(i for i, market in enumerate(MARKETS) if market.code == "TW")


@contextmanager
def machine(
    instance: str, capacity: Capacity = SMALL, securities: int = 8, book: RuleBook | None = None
) -> Iterator[Machine]:
    """Securities S1.. (even ones in the first market, odd ones in TW), books B1.., depots D1.., sources s1.."""
    days = np.tile(np.arange(400, dtype=np.int32), (len(MARKETS), 1))
    calendar = Calendar(TODAY - 100, days, np.full(len(MARKETS), TODAY, np.int32))
    made = Machine(f"{instance}.tables", capacity, book or world.rule_book(), MARKETS, calendar, "test")
    try:
        made.register(Message.SECURITIES, security_records(securities))
        made.register(Message.BOOKS, named(BOOK, "B", 4))
        made.register(Message.DEPOTS, named(NAMED, "D", 3))
        made.register(Message.SOURCES, named(NAMED, "s", 2))
        yield made
    finally:
        made.close()


def security_records(count: int, currency: str = "") -> Any:
    records = named(SECURITY, "S", count)
    records["currency"] = currency.encode()
    records["market"] = np.where(np.arange(1, count + 1) % 2, TW, 0)
    records["ticker"] = np.char.add("T", np.arange(1, count + 1).astype(str)).astype("S")
    return records


def named(dtype: Any, prefix: str, count: int) -> Any:
    records = np.zeros(count, dtype)
    records["code"] = np.char.add(prefix, np.arange(1, count + 1).astype(str)).astype("S")
    return records


def events(*rows: dict[str, Any], first_seq: int = 1) -> EventArray:
    """Events of source 1 in sequence; defaults: security 2 (first market), book 1, FIRM, today's dates."""
    batch = empty(len(rows))
    for i, row in enumerate(rows):
        full = {
            "seq": first_seq + i,
            "source": 1,
            "security": 2,
            "book": 1,
            "kind": Kind.FIRM,
            "op": Op.SET,
            "trade_date": TODAY,
            "settle_date": TODAY if row.get("op", Op.SET) <= Op.SETTLE_DELIVERY else NO_DATE,
            "time_ns": 1_000 + i,
        } | row
        for name, value in full.items():
            batch[i][name] = value
    return batch
