"""Everything about one security at one moment: what its numbers are made of, down to rows and events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import DAYS, NO_DATE, PRICE_UNIT, RATE_UNIT, RATE_UNKNOWN, Kind, Market, Op, SecurityFlag, Temperature
from engine.tables import HISTORY_MEASURES, HISTORY_SLOTS, Tables, Word

WEIGHT_UNIT: Final = 10_000
_EPOCH_DAY: Final = date(1970, 1, 1)
_CHUNK: Final = 1 << 16
_LONGEST_LADDER_DAYS: Final = 60
"""Five business days are never further apart than this."""
_BEING_WRITTEN: Final = 1 << 17
"""Events at the ring's old end that the writer may be overwriting at this moment: more than any batch has."""


@dataclass(frozen=True, slots=True)
class PositionRows:
    """The security's rows, the newest first; all arrays have one entry per row (ladders: per row and bucket)."""

    book: list[str]
    client: list[str]
    aggregation_unit: list[str]
    depot: list[str]
    kind: list[str]
    td: NDArray[np.int64]
    sd: NDArray[np.int64]
    receipt: NDArray[np.int64]
    deliver: NDArray[np.int64]
    projected: NDArray[np.int64]
    """Shape (rows, DAYS)."""
    hypothecatable: NDArray[np.int64]
    reserved: NDArray[np.int64]
    ca_pending: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class History:
    """Samples of the last minutes, oldest first: `for_loan` on SD0, `pool` and `remaining` on the settlement day."""

    time_ns: NDArray[np.int64]
    for_loan: NDArray[np.int64]
    pool: NDArray[np.int64]
    remaining: NDArray[np.int64]


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
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Part:
    """One weighed input of a calculation. `share` is what it adds to the total: parts add up exactly."""

    name: str
    category: str
    quantity: int
    weight: float
    share: int


@dataclass(frozen=True, slots=True)
class SecurityDetail:
    """A security at one epoch. `terms` and `values` by name, shape (DAYS,)."""

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
    terms: Mapping[str, NDArray[np.int64]]
    values: Mapping[str, NDArray[np.int64]]
    rows: PositionRows
    receipts: NDArray[np.int64]
    """Expected receipts of all rows by bucket, shape (BUCKETS,)."""
    deliveries: NDArray[np.int64]
    history: History
    events: tuple[RecentEvent, ...]
    """Of the machine's newest million events those of this security, newest first."""
    weights: Mapping[str, Mapping[str, int]]
    """Per calculation, the weight of each input in ten-thousandths; empty where the writer does not tell."""
    expressions: Mapping[str, str]
    categories: Mapping[str, str]
    rules_version: str

    def parts(self, calculation: str, day: int) -> tuple[Part, ...]:
        """What a calculation weighs on a day. Each share is rounded as the engine rounds it, down before its sign."""
        parts = []
        for name, weight in self.weights.get(calculation, {}).items():
            source = self.terms if name in self.terms else self.values
            quantity = int(source[name][day])
            share = quantity if abs(weight) == WEIGHT_UNIT else quantity * abs(weight) // WEIGHT_UNIT
            signed = share if weight > 0 else -share if weight < 0 else 0
            parts.append(Part(name, self.categories.get(name, name), quantity, weight / WEIGHT_UNIT, signed))
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Copied:
    """What `tables.read` copies: as little as will do, because the writer waits for nobody."""

    security: np.void
    terms: NDArray[np.int64]
    values: NDArray[np.int64]
    price: int
    updated_ns: int
    as_of_ns: int
    rows: NDArray[np.void]
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
    copied = tables.read(lambda: _copy(tables, security))
    record, market_index = copied.security, int(copied.security["market"])
    explain: Mapping[str, Any] = tables.segment.meta.get("explain", {})
    rows = _rows(tables, copied.rows)
    return SecurityDetail(
        id=security,
        text={
            name: record[name].decode("utf-8", "replace")
            for name in ("code", "ticker", "isin", "cusip", "sedol", "figi", "name", "currency", "country")
        },
        market=tables.markets[market_index],
        temperature=Temperature(int(record["temperature"])).name,
        at_least=bool(record["flags"] & SecurityFlag.AT_LEAST),
        fee_percent=_percent(int(record["fee"])),
        rebate_percent=_percent(int(record["rebate"])),
        price=copied.price / PRICE_UNIT if copied.price else None,
        updated_ns=copied.updated_ns,
        as_of_ns=copied.as_of_ns,
        days=_days(tables, market_index),
        terms=dict(zip(tables.terms, copied.terms, strict=True)),
        values=dict(zip(tables.calculations, copied.values, strict=True)),
        rows=rows,
        receipts=rows.receipt.sum(axis=0),
        deliveries=rows.deliver.sum(axis=0),
        history=_history(copied),
        events=tuple(_recent_event(tables, event) for event in _recent(tables, security, copied.recent, events)),
        weights=dict(explain["weights"][market_index]) if explain else {},
        expressions=dict(explain.get("expressions", {})),
        categories=dict(explain.get("categories", {})),
        rules_version=explain["versions"][market_index] if explain else "",
    )


def _copy(tables: Tables, security: int) -> _Copied:
    array = tables.array
    return _Copied(
        security=array["security"][security].copy(),
        terms=array["terms"][security].copy(),
        values=array["values"][security].copy(),
        price=int(array["price"][security]),
        updated_ns=int(array["updated_ns"][security]),
        as_of_ns=tables.count(Word.LAST_EVENT_NS),
        rows=array["position"][tables.rows_of(security)],
        sampled=tables.count(Word.HISTORY),
        sample_ns=array["history_ns"].copy(),
        samples=array["history"][:, security].copy(),
        recent=tables.count(Word.RECENT),
    )


def _percent(rate: int) -> float | None:
    return None if rate == RATE_UNKNOWN else rate / RATE_UNIT


def _days(tables: Tables, market: int) -> tuple[date, ...]:
    """The dates of SD0..SD4.

    A date's ordinal is that of the first business day at or after it: the last date with it is that business day.
    """
    today = int(tables.array["today"][market])
    ordinals = tables.array["business_day"][market, today - tables.base_date :][:_LONGEST_LADDER_DAYS]
    at = np.searchsorted(ordinals, np.arange(ordinals[0], ordinals[0] + DAYS), side="right") - 1
    return tuple(_EPOCH_DAY + timedelta(days=today + int(i)) for i in at)


def _rows(tables: Tables, rows: NDArray[np.void]) -> PositionRows:
    key = rows["key"]
    books = tables.array["book"][(key >> np.uint64(24)).astype(np.int64) & 0xFFFF]
    depots = tables.array["depot"][(key >> np.uint64(8)).astype(np.int64) & 0xFFFF]
    receipt, deliver = rows["receipt"].copy(), rows["deliver"].copy()
    return PositionRows(
        book=_texts(books["code"]),
        client=_texts(books["client"]),
        aggregation_unit=_texts(books["aggregation_unit"]),
        depot=_texts(depots["code"]),
        kind=[Kind(int(kind)).name for kind in key & np.uint64(0xFF)],
        td=rows["td"].copy(),
        sd=rows["sd"].copy(),
        receipt=receipt,
        deliver=deliver,
        projected=rows["sd"][:, None] + np.cumsum(receipt - deliver, axis=1)[:, :DAYS],
        hypothecatable=rows["hypothecatable"].copy(),
        reserved=rows["reserved"].copy(),
        ca_pending=rows["ca_pending"].copy(),
    )


def _texts(codes: NDArray[np.bytes_]) -> list[str]:
    return [code.decode("utf-8", "replace") for code in codes.tolist()]


def _history(copied: _Copied) -> History:
    kept = min(copied.sampled, HISTORY_SLOTS)
    slots = np.arange(copied.sampled - kept, copied.sampled) % HISTORY_SLOTS
    measure = {name: copied.samples[slots, i] for i, name in enumerate(HISTORY_MEASURES)}
    return History(copied.sample_ns[slots], measure["for_loan"], measure["locate_pool"], measure["remaining"])


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
        partition=int(event["partition"]),
        offset=int(event["offset"]),
    )


def _date(days: int) -> date | None:
    return None if days == NO_DATE else _EPOCH_DAY + timedelta(days=days)
