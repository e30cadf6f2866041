"""Swaps: their life, what of them is held as the day begins, and the stock that is pledged for them.

{"type":"swap","src":"swap-0","seq":3,"ts":1790000000000000000,"id":"SW-17","action":"OPEN","side":"LONG","sec":"US0378331005",
 "book":"B0001","qty":5000,"counterparty":"FUND1","settle":"2026-11-24"}
{"type":"pledge","src":"swap-0","seq":4,"ts":1790000000000000000,"id":"SP-17","action":"OPEN","kind":"SWAP_PLEDGE_2",
 "sec":"US0378331005","book":"B0001","depot":"DTC","qty":1000,"counterparty":"FUND1"}
{"type":"position","src":"swap-0","seq":5,"ts":1790000000000000000,"sec":"US0378331005","book":"B0001","qty":-700}
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec
import numpy as np

from engine.events import DEAL_STEP, EVENT
from engine.model import Flag, Kind, Market, Op
from engine.symbols import Symbols
from feeds.deals import Action, DealCode, opening, steps
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.records import Amount, Code, Numbered, OptionalCode, Rate, Rows, Signed, by_type, in_order, kinds_of, read


class Side(StrEnum):
    """The exposure the swap gives."""

    LONG = "LONG"
    SHORT = "SHORT"


class SwapPledge(StrEnum):
    """A pledge for a swap, and the days it takes to call it back (5: five or more)."""

    SWAP_PLEDGE_0 = "SWAP_PLEDGE_0"
    SWAP_PLEDGE_1 = "SWAP_PLEDGE_1"
    SWAP_PLEDGE_2 = "SWAP_PLEDGE_2"
    SWAP_PLEDGE_3 = "SWAP_PLEDGE_3"
    SWAP_PLEDGE_4 = "SWAP_PLEDGE_4"
    SWAP_PLEDGE_5 = "SWAP_PLEDGE_5"


class Swap(Numbered, tag="swap", frozen=True, forbid_unknown_fields=True):
    """A step in the life of a swap, as for contracts."""

    id: DealCode
    action: Action
    side: Side
    sec: Code
    book: Code
    depot: OptionalCode = ""
    qty: Amount = 0
    counterparty: OptionalCode = ""
    rate: Rate | None = None
    trade: date | None = None
    settle: date | None = None
    due: date | None = None
    end: date | None = None


class Pledge(Numbered, tag="pledge", frozen=True, forbid_unknown_fields=True):
    """A step in the life of stock that is pledged for swaps."""

    id: DealCode
    action: Action
    kind: SwapPledge
    sec: Code
    book: Code
    depot: OptionalCode = ""
    qty: Amount = 0
    counterparty: OptionalCode = ""
    settle: date | None = None
    due: date | None = None
    end: date | None = None


class SwapPosition(Rows, tag="position", frozen=True, forbid_unknown_fields=True):
    """What a book holds in swaps of a security: replaces the row."""

    qty: Signed
    depot: OptionalCode = ""
    start_of_day: bool = True


Record: TypeAlias = Swap | Pledge | SwapPosition
RECORDS: Final = (Swap, Pledge, SwapPosition)
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_KINDS: Final = kinds_of(SwapPledge)


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Every record becomes a step or an event, in order, or one `Unreadable`. Never raises for what is in a record."""
    del markets, master
    records, numbers, unreadable = read(values, _DECODER, origin)
    deals, events = [], np.empty(0, EVENT)
    for kind, columns in by_type(records, numbers, RECORDS).items():
        made = columns.events(symbols, origin)
        if kind is SwapPosition:
            made["kind"], made["op"], made["quantity"] = Kind.SYNTHETIC, Op.SET, columns["qty"]
            made["flags"] = np.where(columns["start_of_day"], np.uint8(Flag.START_OF_DAY), np.uint8(0))
            events = made[columns.good]
        else:
            if kind is Swap:
                made["kind"], made["trade_date"] = Kind.SYNTHETIC, columns.days("trade")
            else:
                made["kind"] = columns.names("kind", _KINDS)
            stepped = steps(columns, made, symbols)
            if kind is Swap:
                stepped["event"]["op"] = opening(columns["side"], [Side.SHORT])
            deals.append((columns.numbers[columns.good], 0, stepped[columns.good]))
        unreadable += columns.rejected(values, origin)
    return Decoded(events, unreadable, in_order(deals, DEAL_STEP))


def encode(record: Record) -> bytes:
    """The value of a Kafka record; its key is the book."""
    return msgspec.json.encode(record)
