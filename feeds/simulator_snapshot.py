"""The start of day of the simulated world as events: resets, prices and rows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import NO_DATE, Flag, Kind, Op
from feeds.simulator_opening import Rows
from feeds.simulator_routes import Route, Step
from feeds.universe import Role, Universe
from feeds.wire import DRAFT, Drafts

_VOLATILE: Final = 0.75
"""Of the securities below this part nobody says how much they vary."""
_ATTRIBUTES: Final = (
    (Op.SET_HYPOTHECATABLE, "hypothecatable"),
    (Op.SET_HYPOTHECATED, "hypothecated"),
    (Op.SET_SEGREGATED, "segregated"),
    (Op.SET_RESERVED, "reserved"),
    (Op.SET_CA_PENDING, "ca_pending"),
    (Op.SET_RATE, "rate"),
)
"""What is sent of a row besides its shares, where there is any."""


def opening_events(universe: Universe, rows: Rows, settle: NDArray[np.int32], *, reset: bool) -> Drafts:
    """What to send: a reset of every book if asked for, prices, rows. `settle[market, n]` is the date of SDn.

    Agents state nothing: without deals there are no contracts to hold that against.
    """
    rows = rows[(rows["quantity"] != 0) | (rows["due"] != 0)]
    rows = rows[(rows["kind"] != Kind.DEPOT) | (rows["depot"] >= 0)]
    market = universe.securities["market"][rows["security"]]
    settled = rows[rows["quantity"] != 0] if reset else rows  # what was reset need not be set to nothing
    resets = _resets(universe) if reset else np.empty(0, DRAFT)
    parts = [resets, *_quotes(universe), _of_rows(settled, Op.SET, settled["quantity"])]
    for op, column in _ATTRIBUTES:
        some = rows[rows[column] > 0]
        parts.append(_of_rows(some, op, some[column]))
    due = rows["due"] != 0
    moves = _of_rows(rows[due], Op.INCREASE, np.abs(rows["due"][due]))
    moves["op"][rows["due"][due] < 0] = Op.DECREASE
    moves["settle_date"] = settle[market[due], rows["due_day"][due]]
    off = rows[rows["td_break"] != 0]
    # last, for all that is due has changed it
    stated = _of_rows(off, Op.SET_TD, off["quantity"] + off["due"] + off["td_break"])
    made = np.concatenate([*parts, moves, stated])
    made["trade_date"] = NO_DATE
    made["flags"] = Flag.START_OF_DAY
    return made


def opening_steps(universe: Universe, rows: Rows, settle: NDArray[np.int32]) -> list[Drafts]:
    """The same for feeds of their own, in the order in which to send them: what a part names is there when it comes.

    Quotes and what others state; books and their positions; deals, of which what has settled is confirmed.
    """
    rows = rows[(rows["quantity"] != 0) | (rows["due"] != 0)]
    today, kind = settle[universe.securities["market"][rows["security"]], 0], rows["kind"]
    stated = (kind == Kind.DEPOT) | ((kind >= Kind.EXTERNAL_EXCLUSIVE) & (kind <= Kind.EXTERNAL_INDICATIVE))
    held, ordered, swapped = kind < Kind.SYNTHETIC, kind == Kind.OPEN_ORDER, kind == Kind.SYNTHETIC
    resets = _resets(universe)
    resets = resets[np.isin(universe.role, [Role.MARGIN, Role.CASH, Role.FIRM])]
    positions = _of_rows(rows[held], Op.SET, rows["quantity"][held])
    resets["feed"] = positions["feed"] = Route.POSITIONS
    ends = swapped & (rows["due_day"] == 0)  # no deal any more, only what is held of it
    is_deal = ~(stated | held | ends)
    deals = _of_rows(rows, Op.INCREASE, np.where(ordered, np.abs(rows["due"]), np.abs(rows["quantity"])))
    deals["op"][(ordered & (rows["due"] < 0)) | (swapped & (rows["quantity"] < 0))] = Op.DECREASE
    deals["settle_date"] = np.where(swapped | ordered, _on(universe, rows, settle), today)
    deals["trade_date"], deals["rate"], deals["action"] = today, rows["rate"], Step.OPEN
    deals["feed"] = np.where(swapped | (kind >= Kind.SWAP_PLEDGE_0), Route.SWAPS, Route.CONTRACTS)
    deals["feed"][ordered] = Route.ORDERS
    settled = deals[is_deal & ~ordered].copy()
    settled["op"] = np.where(settled["op"] == Op.INCREASE, Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY)
    settled["settle_date"], settled["trade_date"] = settled["trade_date"], NO_DATE
    settled["ref"] = settled["rate"] = settled["action"] = settled["feed"] = 0
    due = is_deal & ~ordered & ~swapped & (rows["due"] != 0)
    more = deals[due].copy()
    more["quantity"], more["settle_date"] = rows["due"][due], _on(universe, rows, settle)[due]
    more["action"] = Step.INCREASE
    last = _of_rows(rows[ends], Op.SET, rows["quantity"][ends])
    last["feed"] = Route.SWAPS
    others = _of_rows(rows[stated], Op.SET, rows["quantity"][stated])
    parts = [
        np.concatenate([*_quotes(universe), others]),
        np.concatenate([resets, positions]),
        np.concatenate([deals[is_deal], more, last, settled]),
    ]
    for part in parts:
        part["flags"] = Flag.START_OF_DAY
        part["trade_date"][part["action"] == Step.NONE] = NO_DATE
    return parts


def _on(universe: Universe, rows: Rows, settle: NDArray[np.int32]) -> NDArray[np.int32]:
    """The date of `due_day` of each row."""
    return np.asarray(settle[universe.securities["market"][rows["security"]], rows["due_day"]])


def _quotes(universe: Universe) -> list[Drafts]:
    """Prices; yesterday's closes; net asset values of funds; volatilities of what is traded most."""
    step, fund = universe.step, universe.fund
    close = np.maximum(step, universe.price // step * 995 // 1_000 * step)
    busy = universe.popularity >= np.quantile(universe.popularity, _VOLATILE)
    return [
        _of_securities(Op.PRICE, np.arange(step.size), universe.price),
        _of_securities(Op.CLOSE, np.arange(step.size), close),
        _of_securities(Op.NAV, np.flatnonzero(fund), close[fund] + step[fund] // 2),
        _of_securities(Op.VOLATILITY, np.flatnonzero(busy), universe.volatility[busy]),
    ]


def _of_securities(op: Op, security: NDArray[np.int64], quantity: NDArray[np.int64]) -> Drafts:
    made = np.zeros(security.size, DRAFT)
    made["security"], made["quantity"] = security, quantity
    made["book"] = made["depot"] = -1
    made["op"], made["kind"], made["settle_date"] = op, Kind.FIRM, NO_DATE
    return made


def _of_rows(rows: Rows, op: Op, quantity: NDArray[np.int64]) -> Drafts:
    made = np.zeros(rows.size, DRAFT)
    for name in ("security", "book", "depot", "kind", "ref"):
        made[name] = rows[name]
    made["op"], made["quantity"], made["settle_date"] = op, quantity, NO_DATE
    return made


def _resets(universe: Universe) -> Drafts:
    made = np.zeros(universe.books.size, DRAFT)
    made["book"] = np.arange(universe.books.size)
    made["security"] = made["depot"] = -1
    made["op"], made["kind"], made["settle_date"] = Op.RESET_BOOK, Kind.FIRM, NO_DATE
    return made
