"""Start of day: what books hold, one record per row, after one that empties the book.

    {"type":"book","src":"pos-0","seq":1,"ts":1790000000000000000,"book":"B0001","date":"2026-11-23"}
    {"type":"position","src":"pos-0","seq":2,"ts":1790000000000000000,"sec":"US0378331005","book":"B0001","depot":"DTC",
     "kind":"CLIENT_FREE","td":1200,"sd":1000,"receipts":[["2026-11-24",200]],"deliveries":[],"hypothecatable":800}

A position becomes several events: its settled quantity, then what is expected on which date, then the rest. `td` is stated
only where the source knows it for itself; where it differs from what the ladder says, that is a TD/SD break.
"""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from itertools import chain
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.events import EVENT, EventArray
from engine.model import Flag, Kind, Market, Op
from engine.symbols import Symbols
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin, Reason
from feeds.records import (
    Amount,
    Code,
    Columns,
    Numbered,
    OptionalCode,
    Quantity,
    Rows,
    Signed,
    as_parts,
    by_type,
    days_of,
    in_order,
    kinds_of,
    read,
)


class PositionKind(StrEnum):
    """What a start of day states. Contracts, external availability and custodians' statements have feeds of their own."""

    CLIENT_SEGREGATED = "CLIENT_SEGREGATED"
    CLIENT_FREE = "CLIENT_FREE"
    FIRM = "FIRM"
    SYNTHETIC = "SYNTHETIC"
    SLAB_BORROW = "SLAB_BORROW"
    SLAB_LOAN = "SLAB_LOAN"
    REPO_RECEIVED = "REPO_RECEIVED"
    REPO_RECEIVED_LOCKED = "REPO_RECEIVED_LOCKED"
    PAY_TO_HOLD = "PAY_TO_HOLD"


class Expected(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What settles on a date."""

    date: dt.date
    qty: Quantity


class BookBegins(Numbered, tag="book", frozen=True, forbid_unknown_fields=True):
    """Every row of the book is emptied: its positions follow. `date`: the business day they are of."""

    book: Code
    date: dt.date | None = None


class Position(Rows, tag="position", frozen=True, forbid_unknown_fields=True):
    """A row as the day begins. `sd`: settled; `receipts` and `deliveries`: what is expected, by date."""

    depot: OptionalCode
    kind: PositionKind
    sd: Signed
    td: Signed | None = None
    receipts: tuple[Expected, ...] = ()
    deliveries: tuple[Expected, ...] = ()
    hypothecatable: Amount = 0
    hypothecated: Amount = 0
    segregated: Amount = 0
    reserved: Amount = 0
    ca_pending: Signed = 0


Record: TypeAlias = BookBegins | Position
RECORDS: Final = (BookBegins, Position)
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_KINDS: Final = kinds_of(PositionKind)
_ATTRIBUTES: Final = (
    ("hypothecatable", Op.SET_HYPOTHECATABLE),
    ("hypothecated", Op.SET_HYPOTHECATED),
    ("segregated", Op.SET_SEGREGATED),
    ("reserved", Op.SET_RESERVED),
    ("ca_pending", Op.SET_CA_PENDING),
)
_LADDER: Final = (("receipts", Op.INCREASE), ("deliveries", Op.DECREASE))
_Part: TypeAlias = tuple[NDArray[np.intp], int, NDArray[np.void]]


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Every record becomes its events, in order, or one `Unreadable`. Never raises for what is in a record."""
    del markets, master
    records, numbers, unreadable = read(values, _DECODER, origin)
    parts: list[_Part] = []
    for kind, columns in by_type(records, numbers, RECORDS).items():
        events = columns.events(symbols, origin)
        events["flags"] = Flag.START_OF_DAY
        parts += _begins(columns, events) if kind is BookBegins else _position(columns, events)
        unreadable += columns.rejected(values, origin)
    return Decoded(in_order(parts, EVENT), unreadable)


def _begins(columns: Columns, events: EventArray) -> list[_Part]:
    events["op"], events["kind"] = Op.RESET_BOOK, Kind.FIRM
    columns.days("date")
    good = columns.good
    return [(columns.numbers[good], 0, events[good])]


def _position(columns: Columns, events: EventArray) -> list[_Part]:
    events["op"], events["kind"] = Op.SET, columns.names("kind", _KINDS)
    events["quantity"] = columns["sd"]
    ladders = [(op, *_expected(columns, name)) for name, op in _LADDER]
    good = columns.good
    parts: list[_Part] = [(columns.numbers[good], 0, events[good])]

    def more(
        rows: NDArray[np.intp], op: Op, quantities: NDArray[np.int64], days: NDArray[np.int32] | None = None
    ) -> None:
        kept = good[rows]
        if kept.any():
            part = as_parts(events[rows[kept]])
            part["op"], part["quantity"] = op, quantities[kept]
            if days is not None:
                part["settle_date"] = days[kept]
            parts.append((columns.numbers[rows[kept]], len(parts), part))

    for op, rows, quantities, days in ladders:
        more(rows, op, quantities, days)
    for name, op in _ATTRIBUTES:
        stated = columns.integers(name)
        some = np.flatnonzero(stated)
        more(some, op, stated[some])
    td = columns["td"]
    said = np.array([at for at, value in enumerate(td) if value is not None], np.intp)
    if said.size:
        stated = np.array([td[at] for at in said.tolist()], np.int64)
        expected = events["quantity"].copy()
        for op, rows, quantities, _ in ladders:
            np.add.at(expected, rows, quantities if op == Op.INCREASE else -quantities)
        off = stated != expected[said]
        more(said[off], Op.SET_TD, stated[off])
    return parts


def _expected(columns: Columns, name: str) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int32]]:
    """Of a ladder: which record, how much, on which date."""
    entries = columns[name]
    counts = np.fromiter(map(len, entries), np.intp, len(entries))
    rows = np.repeat(np.arange(len(entries)), counts)
    every = list(chain.from_iterable(entries))
    quantities = np.fromiter((each.qty for each in every), np.int64, len(every))
    known = {day: days_of(day) for day in {each.date for each in every}}
    days = np.fromiter((known[each.date] for each in every), np.int32, len(every))
    early = np.zeros(len(entries), np.bool_)
    early[rows[days < 0]] = True
    columns.fault(early, Reason.INVALID, lambda at: f"{name} has a date before 1970: {entries[at][0].date}")
    return rows, quantities, days


def encode(record: Record) -> bytes:
    """The value of a Kafka record; its key is the book, so that a book's records keep their order."""
    return msgspec.json.encode(record)
