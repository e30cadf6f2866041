"""Rows of the position table by what they are and how much they hold, read beside the writer.

What a row is (its key) never changes and rows are never taken away, so the row's number is where a page goes on. How much it
holds is copied while the writer rests, a few thousand rows at a time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from engine.model import RATE_UNIT, Kind, Temperature
from engine.tables import Tables, Word
from engine.views_position_columns import QUANTITIES, ROW_WORDS, held

_SCANNED: Final = 65_536
"""Keys looked at together."""
_COPIED: Final = 4_096
"""Rows copied together: some tenths of a millisecond without a change by the writer."""
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1

Shares = Annotated[int, Meta(description="Shares.")]


class Position(Struct, frozen=True):
    """A row: what is held or owed of a security in a book and a depot, of one kind."""

    row: int
    security: str
    isin: str
    name: str
    market: str
    temperature: str
    book: str
    client: str
    entity: str
    aggregation_unit: Annotated[str, Meta(description="Of the book, in the security's market.")]
    depot: str
    kind: str
    td: Annotated[int, Meta(description="Contractual shares: all that was traded.")]
    sd0: Annotated[int, Meta(description="Shares expected when the day of SD0 is over; sd1 to sd4 the days after.")]
    sd1: Shares
    sd2: Shares
    sd3: Shares
    sd4: Shares
    settled: Annotated[int, Meta(description="Shares that have settled.")]
    later: Annotated[int, Meta(description="What comes or, below 0, goes after SD4.")]
    hypothecatable: Shares
    hypothecated: Annotated[int | None, Meta(description="Null for contracts.")]
    segregated: Shares
    reserved: Shares
    intraday_buy: Shares
    intraday_sell: Shares
    intraday_short: Shares
    ca_pending: Annotated[int, Meta(description="Shares of a corporate action that is not settled yet.")]
    rate: Annotated[float | None, Meta(description="Of contracts: percent a year.")]
    receipt0: Annotated[int, Meta(description="Shares to be received on SD0; receipt1 to receipt4 the days after.")]
    receipt1: Shares
    receipt2: Shares
    receipt3: Shares
    receipt4: Shares
    receipt_later: Annotated[int, Meta(description="After SD4.")]
    deliver0: Annotated[int, Meta(description="Shares to be delivered on SD0; deliver1 to deliver4 the days after.")]
    deliver1: Shares
    deliver2: Shares
    deliver3: Shares
    deliver4: Shares
    deliver_later: Annotated[int, Meta(description="After SD4.")]
    ladder_break: Annotated[int, Meta(description="What is contractual beyond what is settled and expected.")]


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows; None and what is not named: all."""

    security: int | None = None
    market: int | None = None
    temperature: Temperature | None = None
    book: str | None = None
    entity: str | None = None
    clients: Collection[str] | None = None
    aggregation_unit: str | None = None
    depot: str | None = None
    kind: Kind | None = None
    least: Mapping[str, int] = {}
    """The least of quantities, by the names of `QUANTITIES`; `most` likewise."""
    most: Mapping[str, int] = {}


class Positions:
    """Reads the machine's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._array = tables.array

    def after(self, row: int, limit: int, wanted: Wanted) -> list[Position]:
        """The next rows above a number that are wanted, in the order of their numbers. Raises `TornReadError`."""
        found: list[Position] = []
        for numbers in self._numbers(row + 1, wanted):
            for at in range(0, len(numbers), _COPIED):
                chosen = numbers[at : at + _COPIED]
                records = self._tables.read(lambda chosen=chosen: self._array["position"][chosen])  # type: ignore[misc]
                shown = np.flatnonzero(_within(records, wanted))[: limit - len(found)]
                found += self._shown(chosen[shown], records[shown])
                if len(found) >= limit:
                    return found
        return found

    # parts

    def _numbers(self, first: int, wanted: Wanted) -> Iterator[NDArray[np.int64]]:
        """Numbers of rows that are what is wanted, from `first` on, ascending."""
        keys, may = self._array["position"]["key"], self._may_be(wanted)
        if wanted.security is not None:
            numbers = np.sort(self._tables.read(lambda: self._tables.rows_of(wanted.security or 0)))
            numbers = numbers[numbers >= first]
            yield numbers[may(keys[numbers])]
            return
        for start in range(first, self._tables.count(Word.ROWS), _SCANNED):
            some = keys[start : min(start + _SCANNED, self._tables.count(Word.ROWS))]
            yield np.flatnonzero(may(some)) + start

    def _may_be(self, wanted: Wanted) -> Any:
        """Keys -> which of them are wanted."""
        array = self._array
        securities = np.ones(len(array["security"]), bool)
        if wanted.market is not None:
            securities &= array["security"]["market"] == wanted.market
        if wanted.temperature is not None:
            securities &= array["security"]["temperature"] == wanted.temperature
        books = self._books(wanted)
        markets = array["security"]["market"].astype(np.int64)
        depots = np.ones(len(array["depot"]), bool)
        if wanted.depot is not None:
            depots &= array["depot"]["code"] == wanted.depot.encode()

        def may(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
            security, book, depot, kind = _parts(keys)
            fits: NDArray[np.bool_] = securities[security] & books[book, markets[security]] & depots[depot]
            return fits if wanted.kind is None else fits & (kind == wanted.kind)

        return may

    def _books(self, wanted: Wanted) -> NDArray[np.bool_]:
        """Which books are wanted, (books, markets): the aggregation unit of a book differs by market."""
        array = self._array
        records, markets = array["book"], len(self._tables.markets)
        one = np.ones(len(records), bool)
        for name, column in (("book", "code"), ("entity", "entity")):
            if (text := getattr(wanted, name)) is not None:
                one &= records[column] == text.encode()
        if wanted.clients is not None:
            one &= np.isin(records["client"], np.array([client.encode() for client in wanted.clients] or [b"\0"]))
            one &= records["client"] != b""
        every = np.repeat(one[:, None], markets, axis=1)
        if wanted.aggregation_unit is not None:
            every &= self._units() == wanted.aggregation_unit.encode()
        return every

    def _units(self) -> NDArray[np.bytes_]:
        """The aggregation unit of every book in every market, (books, markets)."""
        array = self._array
        unit = array["book_unit"].astype(np.int64)
        own: NDArray[np.bytes_] = np.where(
            unit > 0, array["unit"]["code"][unit], array["book"]["aggregation_unit"][:, None]
        )
        return own

    def _shown(self, numbers: NDArray[np.int64], records: NDArray[np.void]) -> list[Position]:
        array = self._array
        security, book, depot, kind = _parts(array["position"]["key"][numbers])
        of_security, of_book = array["security"][security], array["book"][book]
        markets = of_security["market"].astype(np.int64)
        unit = array["book_unit"][book, markets].astype(np.int64)
        units = np.where(unit > 0, array["unit"]["code"][unit], of_book["aggregation_unit"])
        of_row = {name: _held(name, records) for name in QUANTITIES}
        rates, contract = _held("rate", records)
        columns: dict[str, Sequence[Any]] = {
            "row": numbers.tolist(),
            "security": _texts(of_security["code"]),
            "isin": _texts(of_security["isin"]),
            "name": _texts(of_security["name"]),
            "market": [self._tables.markets[market].code for market in markets.tolist()],
            "temperature": [Temperature(each).name for each in of_security["temperature"].tolist()],
            "book": _texts(of_book["code"]),
            "client": _texts(of_book["client"]),
            "entity": _texts(of_book["entity"]),
            "aggregation_unit": _texts(units),
            "depot": _texts(array["depot"]["code"][depot]),
            "kind": [Kind(each).name for each in kind.tolist()],
            **{name: _or_none(values.tolist(), there) for name, (values, there) in of_row.items()},
            "rate": _or_none((rates / RATE_UNIT).tolist(), contract),
        }
        return [Position(*row) for row in zip(*(columns[name] for name in Position.__struct_fields__), strict=True)]


def _held(name: str, records: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A number of rows, and which of them have it."""
    words = np.ascontiguousarray(records).view("<i8").reshape(-1, ROW_WORDS)
    return held(name, words, words[:, 0] & 0xFF)


def _within(records: NDArray[np.void], wanted: Wanted) -> NDArray[np.bool_]:
    """Which rows hold as much as is wanted; what has no value is within no bounds."""
    fits = np.ones(len(records), bool)
    for name in wanted.least.keys() | wanted.most.keys():
        values, there = _held(name, records)
        fits &= there & (values >= wanted.least.get(name, _LEAST)) & (values <= wanted.most.get(name, _MOST))
    return fits


def _or_none(values: list[Any], there: NDArray[np.bool_]) -> list[Any]:
    return values if there.all() else [v if known else None for v, known in zip(values, there.tolist(), strict=True)]


def _parts(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], ...]:
    """Security, book, depot and kind of keys, see `engine.model.row_key`."""
    key = keys.astype(np.int64)
    return key >> 40 & 0xFFFFFF, key >> 24 & 0xFFFF, key >> 8 & 0xFFFF, key & 0xFF


def _texts(codes: NDArray[np.bytes_]) -> list[str]:
    return [code.decode("utf-8", "replace") for code in codes.tolist()]
