"""One security at one moment: its numbers, its rows, and what each row gives to each sum. What explanations are made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.model import ALL, DAYS, HEAD_FACTS, HEAD_UPDATED, Fact, Kind, Market
from engine.rule_model import Measure
from engine.tables import Tables, Word

_EPOCH_DAY: Final = date(1970, 1, 1)
_KINDS: Final = tuple(kind.name for kind in Kind)
_LONGEST_LADDER_DAYS: Final = 60
"""Five business days are never further apart than this."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The security's rows, the newest first; lists and arrays have one entry per row."""

    number: NDArray[np.int64]
    """Of the position table."""
    record: NDArray[np.void]
    """See `engine.records.POSITION`."""
    book: tuple[str, ...]
    client: tuple[str, ...]
    entity: tuple[str, ...]
    aggregation_unit: tuple[str, ...]
    depot: tuple[str, ...]
    kind: tuple[str, ...]
    projected: NDArray[np.int64]
    """Shape (rows, DAYS)."""
    of_class: NDArray[np.int64]
    """A number for each sort of row; rows of the same sort feed the same sums."""
    feeding: Mapping[int, Sequence[tuple[int, Measure, tuple[bool, ...]]]]
    """By component the sorts of rows that feed it, with the measure and on which days."""

    def __len__(self) -> int:
        return len(self.number)

    def measured(self, measure: Measure, day: int) -> NDArray[np.int64]:
        """What every row would give by a measure on a day, shape (rows,)."""
        record, projected = self.record, self.projected[:, day]
        quantity: NDArray[np.int64]
        match measure:
            case Measure.LONG:
                quantity = np.maximum(0, projected)
            case Measure.SHORT:
                quantity = np.maximum(0, -projected)
            case Measure.FREE:
                quantity = np.minimum(record["hypothecatable"], np.maximum(0, projected))
            case Measure.NET:
                quantity = projected
            case Measure.EXPIRED:
                quantity = record["sd"] - projected
            case Measure.TD_LONG:
                quantity = np.maximum(0, record["td"])
            case Measure.SD_LONG:
                quantity = np.maximum(0, record["sd"])
            case Measure.TD_NET | Measure.SD_NET:
                quantity = record["td" if measure == Measure.TD_NET else "sd"]
            case Measure.RATED_LONG:
                quantity = np.maximum(0, projected) * record["hypothecated"]
            case Measure.UNRATED_LONG:
                quantity = np.where(record["hypothecated"] == 0, np.maximum(0, projected), 0)
            case Measure.TD_BREAK:
                quantity = record["td"] - record["sd"] - (record["receipt"] - record["deliver"]).sum(axis=1)
            case Measure.RESERVED | Measure.CA_PENDING:
                quantity = record[measure.name.lower()]
            case _:
                raise ValueError(f"rows give nothing by the measure {measure.name}")
        return quantity

    def given(self, components: Iterable[int], day: int) -> NDArray[np.int64]:
        """What every row gives to these components together on a day, shape (rows,)."""
        result = np.zeros(len(self), np.int64)
        for component in components:
            for sort, measure, days in self.feeding.get(component, ()):
                if days[day]:
                    of = self.of_class == sort
                    result[of] += self.measured(measure, day)[of]
        return result

    def belonging(self, client: str | None, aggregation_unit: str | None) -> NDArray[np.bool_]:
        """Which rows are of a client and of an aggregation unit; None: of any."""
        wanted = [
            np.array(texts, np.str_) == name
            for texts, name in ((self.client, client), (self.aggregation_unit, aggregation_unit))
            if name is not None
        ]
        return reduce(np.logical_and, wanted, np.ones(len(self), bool))


@dataclass(frozen=True, slots=True)
class SecurityCopy:
    """Everything that explains a security's numbers, all of one epoch."""

    security: int
    record: np.void
    """See `engine.records.SECURITY`."""
    market: Market
    market_index: int
    days: tuple[date, ...]
    """The dates of SD0..SD4 in its market."""
    catalogue: Catalogue
    terms: NDArray[np.int64]
    """The kept sums, (components, DAYS)."""
    values: NDArray[np.int64]
    """(calculations, DAYS)"""
    facts: NDArray[np.int64]
    """In the order of `engine.model.Fact`."""
    clocks: NDArray[np.int64]
    """(clocks, DAYS), in the order of `engine.model.Clock`."""
    rows: Rows
    updated_ns: int
    as_of_ns: int
    """The newest event's own time, of any security."""


@dataclass(frozen=True, slots=True)
class Raw:
    """What is copied while the writer rests: as little work as will do, because the writer waits for nobody."""

    security: int
    record: np.void
    days: tuple[date, ...]
    catalogue: Catalogue
    terms: NDArray[np.int64]
    values: NDArray[np.int64]
    head: NDArray[np.int64]
    clocks: NDArray[np.int64]
    number: NDArray[np.int64]
    position: NDArray[np.void]
    books: NDArray[np.void]
    depots: NDArray[np.void]
    feeds: NDArray[np.int64]
    """Per distinct class of the rows its entries, (classes, entries, words), see `engine.row`; `counts`: how many it has."""
    counts: NDArray[np.int64]
    of_class: NDArray[np.int64]
    """Per row the place of its class in `feeds`."""
    as_of_ns: int


def copy_of(tables: Tables, security: int) -> SecurityCopy:
    """A security as of now; the id must be one that a security has. Raises `TornReadError`."""
    return made_of(tables, tables.read(lambda: raw(tables, security)))


def raw(tables: Tables, security: int) -> Raw:
    """For `tables.read`: the first half of `copy_of`."""
    array = tables.array
    record = array["security"][security].copy()
    market, catalogue, number = int(record["market"]), tables.catalogue, tables.rows_of(security)
    position = array["position"][number]
    key = position["key"]
    classes, of_class = np.unique(array["row_class"][number], return_inverse=True)
    return Raw(
        security=security,
        record=record,
        days=days_of(tables, market),
        catalogue=catalogue,
        terms=array["terms"][security, : len(catalogue.components)].copy(),
        values=array["values"][security, : len(catalogue.calculations)].copy(),
        head=array["head"][security].copy(),
        clocks=array["clock"][market].copy(),
        number=number,
        position=position,
        books=array["book"][(key >> np.uint64(24)).astype(np.int64) & 0xFFFF],
        depots=array["depot"][(key >> np.uint64(8)).astype(np.int64) & 0xFFFF],
        feeds=array["class_entries"][classes],
        counts=array["class_counts"][classes, ALL],
        of_class=of_class.astype(np.int64),
        as_of_ns=tables.count(Word.LAST_EVENT_NS),
    )


def made_of(tables: Tables, of: Raw) -> SecurityCopy:
    """The second half of `copy_of`, which needs no rest of the writer."""
    market = int(of.record["market"])
    return SecurityCopy(
        security=of.security,
        record=of.record,
        market=tables.markets[market],
        market_index=market,
        days=of.days,
        catalogue=of.catalogue,
        terms=of.terms,
        values=of.values,
        facts=of.head[HEAD_FACTS : HEAD_FACTS + len(Fact)],
        clocks=of.clocks,
        rows=_rows(of),
        updated_ns=int(of.head[HEAD_UPDATED]),
        as_of_ns=of.as_of_ns,
    )


def _rows(of: Raw) -> Rows:
    record, books = of.position, of.books
    return Rows(
        number=of.number,
        record=record,
        book=_texts(books["code"]),
        client=_texts(books["client"]),
        entity=_texts(books["entity"]),
        aggregation_unit=_texts(books["aggregation_unit"]),
        depot=_texts(of.depots["code"]),
        kind=tuple(_KINDS[kind] for kind in (record["key"] & np.uint64(0xFF)).tolist()),
        projected=record["sd"][:, None] + np.cumsum(record["receipt"] - record["deliver"], axis=1)[:, :DAYS],
        of_class=of.of_class,
        feeding=_feeding(of),
    )


def _feeding(of: Raw) -> dict[int, list[tuple[int, Measure, tuple[bool, ...]]]]:
    result: dict[int, list[tuple[int, Measure, tuple[bool, ...]]]] = {}
    for sort, (entries, used) in enumerate(zip(of.feeds.tolist(), of.counts.tolist(), strict=True)):
        for component, measure, *masks in entries[:used]:
            result.setdefault(component, []).append((sort, Measure(measure), tuple(map(bool, masks[:DAYS]))))
    return result


def _texts(codes: NDArray[np.bytes_]) -> tuple[str, ...]:
    return tuple(code.decode("utf-8", "replace") for code in codes.tolist())


def days_of(tables: Tables, market: int) -> tuple[date, ...]:
    """The dates of SD0..SD4.

    A date's ordinal is that of the first business day at or after it: the last date with it is that business day.
    """
    today = int(tables.array["today"][market])
    ordinals = tables.array["business_day"][market, today - tables.base_date :][:_LONGEST_LADDER_DAYS]
    at = np.searchsorted(ordinals, np.arange(ordinals[0], ordinals[0] + DAYS), side="right") - 1
    return tuple(_EPOCH_DAY + timedelta(days=today + int(i)) for i in at)
