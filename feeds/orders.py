"""Orders that are at work in the market, and their executions.

    {"type":"order","src":"oms-0","seq":1,"ts":1790000000000000000,"id":"O-17","action":"OPEN","side":"SELL",
     "sec":"US0378331005","book":"B0001","depot":"DTC","qty":1000,"settle":"2026-11-24"}
    {"type":"execution","src":"oms-0","seq":2,"ts":1790000000000000000,"id":"X-1","order":"O-17","side":"SELL",
     "sec":"US0378331005","book":"B0001","depot":"DTC","kind":"CLIENT_FREE","trade":"2026-11-23","settle":"2026-11-24","qty":300}
    {"type":"execution_cancel","src":"oms-0","seq":3,"ts":1790000000000000000,"corrects":2}

An order is amended by `INCREASE` and `RETURN` (so much more, so much less), and ended by `CLOSE` or `CANCEL`. An execution is
the trade and the fill of its order in one. With `corrects`, the `seq` of an earlier execution of the same source, it replaces
that one's trade; a cancelled one takes it back. Neither puts the order back to work: the market does that by an amendment.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.events import CORRECTION, DEAL_STEP, EventArray
from engine.model import NO_DATE, RATE_UNKNOWN, DealAction, Flag, Kind, Market, Op
from engine.symbols import Symbols
from feeds.deals import Action, DealCode, Steps, opening, steps
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.records import (
    Amount,
    Code,
    Columns,
    Numbered,
    OptionalCode,
    Quantity,
    Sequence64,
    as_parts,
    by_type,
    in_order,
    kinds_of,
    read,
)

Corrects: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1, description="`seq` of the execution that it is about.")]


class Side(StrEnum):
    """What is done."""

    BUY = "BUY"
    SELL = "SELL"
    SHORT_SELL = "SHORT_SELL"


class TradedKind(StrEnum):
    """Whose position is traded."""

    CLIENT_SEGREGATED = "CLIENT_SEGREGATED"
    CLIENT_FREE = "CLIENT_FREE"
    FIRM = "FIRM"
    SYNTHETIC = "SYNTHETIC"


class OrderAction(StrEnum):
    """What happens to an order."""

    OPEN = "OPEN"
    INCREASE = "INCREASE"
    RETURN = "RETURN"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"


class Order(Numbered, tag="order", frozen=True, forbid_unknown_fields=True):
    """A step in the life of an order. `qty`: how much it begins with, or by how much it changes."""

    id: DealCode
    action: OrderAction
    side: Side
    sec: Code
    book: Code
    depot: OptionalCode = ""
    qty: Amount = 0
    counterparty: OptionalCode = ""
    trade: date | None = None
    settle: date | None = None


class Execution(Numbered, tag="execution", frozen=True, forbid_unknown_fields=True):
    """A trade that an order made."""

    id: Code
    order: DealCode
    side: Side
    sec: Code
    book: Code
    kind: TradedKind
    trade: date
    settle: date
    qty: Quantity
    depot: OptionalCode = ""
    quanto: bool = False
    corrects: Corrects | None = None


class ExecutionCancel(Numbered, tag="execution_cancel", frozen=True, forbid_unknown_fields=True):
    """The execution with the number `corrects` never was."""

    corrects: Sequence64
    id: OptionalCode = ""


Record: TypeAlias = Order | Execution | ExecutionCancel
RECORDS: Final = (Order, Execution, ExecutionCancel)
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_KINDS: Final = kinds_of(TradedKind)
_ACTIONS: Final = {member: Action[member.name] for member in OrderAction}
_OPS: Final = {side: int(Op[side.name]) for side in Side}
_DATED: Final = (DealAction.OPEN, DealAction.INCREASE)
_Part: TypeAlias = tuple[NDArray[np.intp], int, NDArray[np.void]]


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Every record becomes steps or a correction, in order, or one `Unreadable`. Never raises for what is in a record."""
    del markets, master
    records, numbers, unreadable = read(values, _DECODER, origin)
    stepped: list[_Part] = []
    corrected: list[_Part] = []
    for kind, columns in by_type(records, numbers, RECORDS).items():
        events = columns.events(symbols, origin)
        if kind is Order:
            stepped.append(_orders(columns, events, symbols))
        elif kind is Execution:
            _executions(columns, events, stepped, corrected)
        else:
            corrected.append(_cancels(columns, events))
        unreadable += columns.rejected(values, origin)
    return Decoded(
        unreadable=unreadable, steps=in_order(stepped, DEAL_STEP), corrections=in_order(corrected, CORRECTION)
    )


def _orders(columns: Columns, events: EventArray, symbols: Symbols) -> _Part:
    events["kind"], events["trade_date"] = Kind.OPEN_ORDER, columns.days("trade")
    made = steps(columns, events, symbols, _DATED)
    made["event"]["op"] = opening(columns["side"], [Side.SELL, Side.SHORT_SELL])
    good = columns.good
    return columns.numbers[good], 0, made[good]


def _executions(columns: Columns, events: EventArray, stepped: list[_Part], corrected: list[_Part]) -> None:
    events["kind"], events["op"] = columns.names("kind", _KINDS), columns.names("side", _OPS)
    events["trade_date"], events["settle_date"] = columns.days("trade"), columns.days("settle")
    events["quantity"] = columns["qty"]
    events["flags"] = np.where(columns["quanto"], np.uint8(Flag.QUANTO), np.uint8(0))
    orders, corrects = columns.codes("order"), columns.integers("corrects")
    good = columns.good
    corrected.append(_corrections(columns, events, good & (corrects != 0), corrects))
    traded = good & (corrects == 0)
    numbers = columns.numbers[traded]
    heads = np.zeros(numbers.size, DEAL_STEP)
    heads["event"] = events[traded]
    heads["rate"], heads["due_date"], heads["end_date"] = RATE_UNKNOWN, NO_DATE, NO_DATE
    fills = heads.copy()
    fill = as_parts(events[traded])
    fill["op"] = opening(
        [side for side, kept in zip(columns["side"], traded, strict=True) if kept], [Side.SELL, Side.SHORT_SELL]
    )
    fill["kind"], fill["flags"] = Kind.OPEN_ORDER, Flag.PART
    fills["event"], fills["code"], fills["action"] = fill, orders[traded], DealAction.RETURN
    stepped += [(numbers, 0, heads), (numbers, 1, fills)]


def _cancels(columns: Columns, events: EventArray) -> _Part:
    events["flags"], events["op"], events["kind"] = Flag.CANCEL, Op.BUY, Kind.FIRM
    return _corrections(columns, events, columns.good, columns.integers("corrects"))


def _corrections(columns: Columns, events: EventArray, chosen: NDArray[np.bool_], corrects: NDArray[np.int64]) -> _Part:
    made: Steps = np.zeros(int(chosen.sum()), CORRECTION)
    made["event"], made["corrects"] = events[chosen], corrects[chosen]
    return columns.numbers[chosen], 0, made


def encode(record: Record) -> bytes:
    """The value of a Kafka record; its key is the book."""
    return msgspec.json.encode(record)
