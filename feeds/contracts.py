"""Contracts with a life of their own: stock borrowed and lent, repo, pledges, pay-to-hold.

    {"src":"slab-0","seq":7,"ts":1790000000000000000,"id":"BRW-00017","action":"OPEN","kind":"SLAB_BORROW","sec":"US0378331005",
     "book":"SLAB-US","depot":"DTC","qty":10000,"counterparty":"LENDER-3","rate":2500,"settle":"2026-11-24"}

`OPEN` begins it, `INCREASE` and `RETURN` change its quantity on `settle`, `RECALL` asks a quantity back for the `due` date,
`RERATE` changes its rate, `CLOSE` returns all that is left on `settle`, `CANCEL` undoes it.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from engine.model import Market
from engine.symbols import Symbols
from feeds.deals import Action, DealCode, steps
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.records import Amount, Code, Columns, Numbered, OptionalCode, Rate, kinds_of, read


class ContractKind(StrEnum):
    """What is agreed. Of a pledge, the days it takes to call it back (5: five or more)."""

    SLAB_BORROW = "SLAB_BORROW"
    SLAB_LOAN = "SLAB_LOAN"
    REPO_RECEIVED = "REPO_RECEIVED"
    REPO_RECEIVED_LOCKED = "REPO_RECEIVED_LOCKED"
    PAY_TO_HOLD = "PAY_TO_HOLD"
    REPO_PLEDGE_0 = "REPO_PLEDGE_0"
    REPO_PLEDGE_1 = "REPO_PLEDGE_1"
    REPO_PLEDGE_2 = "REPO_PLEDGE_2"
    REPO_PLEDGE_3 = "REPO_PLEDGE_3"
    REPO_PLEDGE_4 = "REPO_PLEDGE_4"
    REPO_PLEDGE_5 = "REPO_PLEDGE_5"


class Contract(Numbered, frozen=True, forbid_unknown_fields=True):
    """A step in the life of a contract. Every step names the contract's row."""

    id: DealCode
    action: Action
    kind: ContractKind
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


RECORDS: Final = (Contract,)
_DECODER: Final = msgspec.json.Decoder(Contract)
_KINDS: Final = kinds_of(ContractKind)


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Every record becomes one step, in order, or one `Unreadable`. Never raises for what is in a record."""
    del markets, master
    records, numbers, unreadable = read(values, _DECODER, origin)
    if not records:
        return Decoded(unreadable=unreadable)
    columns = Columns(Contract, records, numbers)
    events = columns.events(symbols, origin)
    events["kind"], events["trade_date"] = columns.names("kind", _KINDS), columns.days("trade")
    made = steps(columns, events, symbols)
    return Decoded(steps=made[columns.good], unreadable=unreadable + columns.rejected(values, origin))


def encode(record: Contract) -> bytes:
    """The value of a Kafka record; its key is the contract's id."""
    return msgspec.json.encode(record)
