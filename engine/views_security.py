"""Everything about one security at one moment: what its numbers are made of, down to rows and events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.events import EventArray
from engine.explain import Explainer, Explanation
from engine.explain_rows import Raw, Rows, SecurityCopy, made_of, raw
from engine.model import NO_DATE, PRICE_UNIT, RATE_UNIT, RATE_UNKNOWN, Fact, Kind, Market, Op, SecurityFlag, Temperature
from engine.rule_model import Role
from engine.tables import HISTORY_ROLES, HISTORY_SLOTS, Tables, Word

_EPOCH_DAY: Final = date(1970, 1, 1)
_CHUNK: Final = 1 << 16
_BEING_WRITTEN: Final = 1 << 17
"""Events at the ring's old end that the writer may be overwriting at this moment: more than any batch has."""


@dataclass(frozen=True, slots=True)
class History:
    """Samples of the last minutes, oldest first: what can be lent on SD0, pool and what is left of it on the settlement day."""

    time_ns: NDArray[np.int64]
    lend: NDArray[np.int64]
    pool: NDArray[np.int64]
    left: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """One event as a person reads it."""

    time_ns: int
    source: str
    seq: int
    op: str
    kind: str
    book: str
    depot: str
    quantity: int
    trade_date: date | None
    settle_date: date | None
    flags: int
    topic: int
    """The number of its feed."""
    partition: int
    offset: int
    received_ns: int
    """When its record came; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class SecurityDetail:
    """A security at one epoch."""

    id: int
    text: Mapping[str, str]
    """code, ticker, isin, cusip, sedol, figi, name, currency, country."""
    market: Market
    temperature: str
    at_least: bool
    fee_percent: float | None
    rebate_percent: float | None
    price: float | None
    updated_ns: int
    as_of_ns: int
    days: tuple[date, ...]
    """The dates of SD0..SD4 in its market."""
    copy: SecurityCopy
    receipts: NDArray[np.int64]
    """Expected receipts of all rows by bucket, shape (BUCKETS,)."""
    deliveries: NDArray[np.int64]
    history: History
    events: tuple[RecentEvent, ...]
    """Of the machine's newest million events those of this security, newest first."""
    rules: str
    """Documents of rules that weigh something in its market, with their versions."""

    @property
    def catalogue(self) -> Catalogue:
        return self.copy.catalogue

    @property
    def rows(self) -> Rows:
        """The newest first."""
        return self.copy.rows

    def explain(self, calculation: int, day: int) -> Explanation:
        """How the calculation with that place in the catalogue comes about. Raises ValueError for one of a client or unit."""
        return Explainer(self.copy).explain(calculation, day)

    def value(self, role: Role, day: int) -> int:
        """The number that plays a role. Raises KeyError where none does."""
        return int(self.copy.values[self.catalogue.playing(role), day])


@dataclass(frozen=True, slots=True)
class _Copied:
    """What `tables.read` copies: as little as will do, because the writer waits for nobody."""

    security: Raw
    sampled: int
    sample_ns: NDArray[np.int64]
    samples: NDArray[np.int64]
    recent: int


def security_detail(tables: Tables, security: int, *, events: int = 100) -> SecurityDetail:
    """Security `security` as of now, with at most `events` of its newest events.

    Raises KeyError for an id that no security has, `TornReadError` while the writer leaves no quiet moment.
    """
    if not 0 < security <= tables.count(Word.SECURITIES):
        raise KeyError(f"no security has id {security}")
    taken = tables.read(lambda: _copy(tables, security))
    copy = made_of(tables, taken.security)
    record, price = copy.record, int(copy.facts[Fact.PRICE])
    return SecurityDetail(
        id=security,
        text={
            name: record[name].decode("utf-8", "replace")
            for name in ("code", "ticker", "isin", "cusip", "sedol", "figi", "name", "currency", "country")
        },
        market=copy.market,
        temperature=Temperature(int(record["temperature"])).name,
        at_least=bool(record["flags"] & SecurityFlag.AT_LEAST),
        fee_percent=_percent(int(record["fee"])),
        rebate_percent=_percent(int(record["rebate"])),
        price=price / PRICE_UNIT if price else None,
        updated_ns=copy.updated_ns,
        as_of_ns=copy.as_of_ns,
        days=copy.days,
        copy=copy,
        receipts=copy.rows.record["receipt"].sum(axis=0),
        deliveries=copy.rows.record["deliver"].sum(axis=0),
        history=_history(taken),
        events=tuple(_recent_event(tables, event) for event in _recent(tables, security, taken.recent, events)),
        rules=_rules(copy),
    )


def _copy(tables: Tables, security: int) -> _Copied:
    array = tables.array
    return _Copied(
        security=raw(tables, security),
        sampled=tables.count(Word.HISTORY),
        sample_ns=array["history_ns"].copy(),
        samples=array["history"][:, security].copy(),
        recent=tables.count(Word.RECENT),
    )


def _percent(rate: int) -> float | None:
    return None if rate == RATE_UNKNOWN else rate / RATE_UNIT


def _rules(copy: SecurityCopy) -> str:
    weighing = {each.document for inputs in copy.catalogue.inputs[copy.market_index] for each in inputs}
    return ", ".join(f"{each.name} v{each.version}" for each in copy.catalogue.documents if each.name in weighing)


def _history(taken: _Copied) -> History:
    kept = min(taken.sampled, HISTORY_SLOTS)
    slots = np.arange(taken.sampled - kept, taken.sampled) % HISTORY_SLOTS
    lend, pool, left = (taken.samples[slots, i] for i in range(len(HISTORY_ROLES)))
    return History(taken.sample_ns[slots], lend, pool, left)


def _recent(tables: Tables, security: int, written: int, limit: int) -> EventArray:
    """The newest `limit` events of a security among the first `written`, newest first.

    Searched without the epoch: an event never changes until the writer comes round to its place, and what it may have
    come round to meanwhile is dropped at the end.
    """
    recent = tables.array["recent"]
    found: list[EventArray] = []
    numbers: list[NDArray[np.int64]] = []
    size = len(recent)
    oldest, stop, missing = max(0, written - size), written, limit
    while stop > oldest and missing > 0:
        # a chunk does not cross the ring's end
        start = max(oldest, stop - _CHUNK, (stop - 1) // size * size)
        chunk = recent[start % size : start % size + stop - start]
        at = np.flatnonzero(chunk["security"] == security)[::-1][:missing]
        found.append(chunk[at])
        numbers.append(start + at)
        missing -= at.size
        stop = start
    if not found:
        return recent[:0].copy()
    overwritten = max(0, tables.count(Word.RECENT) + _BEING_WRITTEN - size)
    number = np.concatenate(numbers)
    kept: EventArray = np.concatenate(found)[number >= overwritten]
    return kept


def _recent_event(tables: Tables, event: np.void) -> RecentEvent:
    # an event that was refused is kept as it came: its numbers may name nothing
    def code(table: str) -> str:
        records, number = tables.array[table], int(event[table])
        return str(records[number]["code"].decode("utf-8", "replace")) if number < len(records) else f"#{number}"

    def name(kind: type[IntEnum], value: int) -> str:
        return kind(value).name if value in set(kind) else f"#{value}"

    return RecentEvent(
        time_ns=int(event["time_ns"]),
        source=code("source"),
        seq=int(event["seq"]),
        op=name(Op, int(event["op"])),
        kind=name(Kind, int(event["kind"])),
        book=code("book"),
        depot=code("depot"),
        quantity=int(event["quantity"]),
        trade_date=_date(int(event["trade_date"])),
        settle_date=_date(int(event["settle_date"])),
        flags=int(event["flags"]),
        topic=int(event["topic"]),
        partition=int(event["partition"]),
        offset=int(event["offset"]),
        received_ns=int(event["received_ns"]),
    )


def _date(days: int) -> date | None:
    return None if days == NO_DATE else _EPOCH_DAY + timedelta(days=days)
