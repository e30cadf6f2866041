"""A world of a few codes, and good records of every feed."""

import datetime as dt
from typing import Any, Final

import msgspec
import numpy as np

from engine.model import SYMBOL_BYTES, Market, Namespace
from engine.orders import Side
from engine.symbols import Symbols, slots_for
from feeds import contracts, corporate_actions, fx, orders, positions, reference, requests, swaps
from feeds.deals import Action

MARKETS: Final = (
    Market("US", "XNYS", "America/New_York", "USD", "16:00", 1),
    Market("TW", "XTAI", "Asia/Taipei", "TWD", "13:30", 2),
)
CODES: Final = {
    Namespace.SOURCE: ("src-0", "src-1"),
    Namespace.SECURITY: ("AAA", "BBB", "US0378331005"),
    Namespace.BOOK: ("B1", "B2"),
    Namespace.DEPOT: ("DTC",),
    Namespace.COUNTERPARTY: ("LENDER", "FUND"),
}
DAY: Final = dt.date(2026, 11, 24)
DAYS: Final = (DAY - dt.date(1970, 1, 1)).days


def symbols() -> Symbols:
    """Ids count from 1 in the order of `CODES`."""
    made = Symbols(np.zeros((slots_for(100), 4), np.uint64))
    for namespace, codes in CODES.items():
        raw = np.array([code.encode() for code in codes], f"S{SYMBOL_BYTES}")
        made.put(namespace, raw, np.arange(1, len(codes) + 1))
    return made


def _event(op: str, kind: str, **more: object) -> bytes:
    quote = op in ("PRICE", "CLOSE", "NAV", "INAV", "VOLATILITY")
    fields = {
        "src": "src-0",
        "seq": 1,
        "ts": 5,
        "op": op,
        "sec": "AAA",
        "book": "" if quote else "B1",
        "depot": "" if quote else "DTC",
        "kind": kind,
        "trade": "2026-11-23",
        "settle": "2026-11-24",
        "qty": 100,
        "flags": 0,
    }
    return msgspec.json.encode(fields | more)


_NUMBERED: Final[dict[str, Any]] = {"src": "src-0", "ts": 5}
_ROW: Final[dict[str, Any]] = {"sec": "AAA", "book": "B1", "depot": "DTC"}


def samples() -> dict[str, list[bytes]]:
    """By the name of a feed, one good record of each form and more."""
    contract: dict[str, Any] = {
        "id": "K1",
        "kind": contracts.ContractKind.SLAB_BORROW,
        "counterparty": "LENDER",
        **_ROW,
    }
    every: dict[str, list[object]] = {
        "reference": [
            reference.Currency("USD", 360, 10**9),
            reference.Security("AAA", market="US"),
            reference.Counterparty("LENDER", kind="LENDER"),
            reference.Book("B1", client="FUND"),
            reference.Depot("DTC"),
            reference.Source("src-0"),
            reference.AggregationUnit("AU1", "US"),
            reference.BookUnit("B1", "AU1", "US"),
        ],
        "positions": [
            positions.BookBegins(**_NUMBERED, seq=1, book="B1", date=DAY),
            positions.Position(
                **_NUMBERED,
                **_ROW,
                seq=2,
                kind=positions.PositionKind.CLIENT_FREE,
                sd=1_000,
                td=1_300,
                receipts=(positions.Expected(DAY, 200),),
                deliveries=(positions.Expected(DAY, 50),),
                hypothecatable=800,
                ca_pending=-7,
            ),
        ],
        "orders": [
            orders.Order(
                **_NUMBERED,
                **_ROW,
                seq=1,
                id="O1",
                action=orders.OrderAction.OPEN,
                side=orders.Side.SELL,
                qty=500,
                settle=DAY,
            ),
            _execution(seq=2),
            _execution(seq=3, corrects=2),
            orders.ExecutionCancel(**_NUMBERED, seq=4, corrects=2),
        ],
        "contracts": [
            contracts.Contract(**_NUMBERED, **contract, seq=1, action=Action.OPEN, qty=100, settle=DAY, rate=2_500),
            contracts.Contract(**_NUMBERED, **contract, seq=2, action=Action.RECALL, qty=60, due=DAY),
            contracts.Contract(**_NUMBERED, **contract, seq=3, action=Action.RERATE, rate=3_000),
            contracts.Contract(**_NUMBERED, **contract, seq=4, action=Action.CANCEL),
        ],
        "swaps": [
            swaps.Swap(
                **_NUMBERED,
                **_ROW,
                seq=1,
                id="S1",
                action=Action.OPEN,
                side=swaps.Side.SHORT,
                qty=100,
                settle=DAY,
            ),
            swaps.Pledge(
                **_NUMBERED,
                **_ROW,
                seq=2,
                id="P1",
                action=Action.OPEN,
                kind=swaps.SwapPledge.SWAP_PLEDGE_2,
                qty=30,
                settle=DAY,
            ),
            swaps.SwapPosition(**_NUMBERED, seq=3, sec="BBB", book="B2", qty=-70),
        ],
        "corporate_actions": [
            corporate_actions.Entitlement(**_NUMBERED, **_ROW, seq=1, kind=positions.PositionKind.FIRM, qty=25),
        ],
        "fx": [fx.FxRate(5, "EUR", 1_083_000_000)],
        "locates": [
            requests.UpstreamRequest(id="r1", security="AAA", client="FUND", quantity=100),
            requests.ReleaseLocate(locate="L0000000017"),
        ],
        "order_requests": [
            requests.NewOrder(order="o1", security="AAA", client="FUND", book="B1", side=Side.LONG, quantity=100),
            requests.AmendOrder(order="o1", quantity=50),
            requests.ExecutedOrder(order="o1", executed=20, id="r2"),
            requests.CancelOrder(order="o1"),
        ],
    }
    made = {name: [msgspec.json.encode(record) for record in records] for name, records in every.items()}
    return made | {
        "events": [_event("BUY", "FIRM"), _event("SET", "DEPOT")],
        "availability": [_event("SET", "EXTERNAL_INDICATIVE")],
        "prices": [_event(op, "FIRM") for op in ("PRICE", "CLOSE", "NAV", "INAV", "VOLATILITY")],
        "trades": [_event("SHORT_SELL", "CLIENT_FREE"), _event("BUY", "FIRM", corrects=3)],
        "settlements": [_event("SETTLE_RECEIPT", "FIRM")],
        "depots": [_event("SET", "DEPOT")],
        "external": [_event("SET", "EXTERNAL_FIRM")],
        "attributes": [_event("SET_RESERVED", "CLIENT_FREE")],
    }


def _execution(seq: int, corrects: int | None = None) -> orders.Execution:
    return orders.Execution(
        **_NUMBERED,
        **_ROW,
        seq=seq,
        id="X1",
        order="O1",
        side=orders.Side.SELL,
        kind=orders.TradedKind.FIRM,
        trade=dt.date(2026, 11, 23),
        settle=DAY,
        qty=300,
        corrects=corrects,
    )
