"""Everything that the simulated day changes or looks at, as arrays that the compiled step works on."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.model import STOCK, Kind, Op
from feeds.calendars import TradingDays
from feeds.simulator_opening import Rows, fees, stock_of
from feeds.universe import Role, Universe
from feeds.wire import DRAFT, Drafts

RECALLS: Final = 6
"""Kinds of pledges, by the days it takes to call them back."""
CONTRACTS: Final = (
    (Kind.SLAB_BORROW, 1, Role.SLAB),
    (Kind.SLAB_LOAN, 1, Role.SLAB),
    (Kind.REPO_PLEDGE_0, RECALLS, Role.REPO),
    (Kind.SWAP_PLEDGE_0, RECALLS, Role.REPO),
    (Kind.PAY_TO_HOLD, 1, Role.MARGIN),
)
"""What is opened and given back: the first of how many kinds, and whose books it is in. One ring for each."""
_TRADERS: Final = (Kind.CLIENT_SEGREGATED, Kind.CLIENT_FREE, Kind.FIRM)
_LENDERS: Final = (Kind.EXTERNAL_EXCLUSIVE, Kind.EXTERNAL_FIRM, Kind.EXTERNAL_INDICATIVE)
_DEALS: Final = (Kind.SYNTHETIC, Kind.OPEN_ORDER)
_DESKS: Final = 3
_RING: Final = 1 << 16
_UNDOABLE: Final = 1 << 12
_LEAST_CONTRACTS: Final = 64
_PLACES: Final = 1 << 15
"""For open orders, and for swaps."""
_FOLLOWING: Final = 4


ACTOR: Final = np.dtype(
    [
        ("security", "<i4"),
        ("book", "<i4"),
        ("depot", "<i4"),
        ("kind", "<i4"),
        ("held", "<i8"),
        ("usual", "<i8"),
        ("working", "<i8"),
    ]
)
"""A row that acts by itself. `held`: a trader's contractual quantity, or what a lender offers; `usual`: what that was at start
of day, to which it tends to come back; `working`: what a trader's open orders offer, so that it is not sold twice."""


class World(NamedTuple):
    """Everything that events change or look at. Rows of traders, and of lenders, lie together by security."""

    rows: NDArray[np.void]
    """dtype `ACTOR`"""
    traders: NDArray[np.int32]
    lenders: NDArray[np.int32]
    """(securities, 2): the first row of a security, and how many."""
    price: NDArray[np.int64]
    step: NDArray[np.int64]
    fund: NDArray[np.bool_]
    volatility: NDArray[np.int64]
    lot: NDArray[np.int64]
    trade: NDArray[np.int64]
    market: NDArray[np.int64]
    fee: NDArray[np.int64]
    """What borrowing costs, in RATE_UNIT."""
    eventful: NDArray[np.int64]
    """Securities with a corporate action to come."""
    depot: NDArray[np.int32]
    """(markets, 2)"""
    custody: NDArray[np.int32]
    """(depots,): books of statements."""
    lies: NDArray[np.int64]
    """(kinds,): which way stock of such a row lies in its depot."""
    stock: NDArray[np.int64]
    """(securities, 2): settled shares that should lie in either depot."""
    desk: NDArray[np.int32]
    """(contract kinds, markets, desks): books."""
    ahead: NDArray[np.int32]
    previous: NDArray[np.int32]
    settle_days: NDArray[np.int64]
    quanto: NDArray[np.bool_]
    """Whether the market settles trades in another currency by a rule of their own."""
    contract: NDArray[np.void]
    """(contract kinds, places): open contracts as drafts, oldest first, a ring each."""
    contracts: NDArray[np.int64]
    """(contract kinds, 4): first, size and usual size of the ring, as for `due`; then security + 1 of the last that ended."""
    due: NDArray[np.void]
    dues: NDArray[np.int64]
    undoable: NDArray[np.void]
    undoable_row: NDArray[np.int64]
    undoables: NDArray[np.int64]
    """How many trades were remembered so far."""
    order: NDArray[np.void]
    """Open orders, in any order: `op` is the trade that would fill it, `quantity` what is left."""
    order_row: NDArray[np.int64]
    """The row of traders that it is for."""
    orders: NDArray[np.int64]
    """(2,): how many there are, and usually are; so for `swaps`."""
    swap: NDArray[np.void]
    """Swaps, in any order: `quantity` is negative for a short one, `settle_date` its expiry."""
    swaps: NDArray[np.int64]
    following: NDArray[np.void]
    """What comes next, whatever is planned: the rest of what takes several events."""
    followings: NDArray[np.int64]
    """(2,): the next one, and how many there are."""
    numbers: NDArray[np.int64]
    """(2,): the last deal's number, and how many trades there were."""
    apart: bool
    """Deals are steps in feeds of their own, not events of their rows."""


def world_of(universe: Universe, rows: Rows, days: TradingDays, *, apart: bool = False) -> World:
    """The world at start of day. `apart`: see `World`."""
    traders, lenders = (np.isin(rows["kind"], [int(kind) for kind in kinds]) for kinds in (_TRADERS, _LENDERS))
    acting = np.concatenate([_by_security(rows[traders]), _by_security(rows[lenders])])
    count, split = universe.securities.size, int(np.count_nonzero(traders))
    markets = universe.securities["market"].astype(np.int64)
    desk = [[_desks(universe, role, market) for market in range(len(universe.markets))] for _, _, role in CONTRACTS]
    contract, contracts = _open_contracts(rows, days, markets)
    # deals that end today do so in a feed of their own
    due, dues = _open_settlements(rows[~np.isin(rows["kind"], _DEALS)] if apart else rows, days, markets)
    actors = np.zeros(acting.size, ACTOR)
    for name in ("security", "book", "depot", "kind"):
        actors[name] = acting[name]
    actors["held"] = actors["usual"] = acting["quantity"] + acting["due"]
    order, order_row = _open_orders(actors[:split], rows[rows["kind"] == Kind.OPEN_ORDER], days, markets)
    swap = _open_swaps(rows[rows["kind"] == Kind.SYNTHETIC], days, markets)
    return World(
        rows=actors,
        traders=_ranges(acting["security"][:split], count, 0),
        lenders=_ranges(acting["security"][split:], count, split),
        price=universe.price.copy(),
        step=universe.step,
        fund=universe.fund,
        volatility=universe.volatility,
        lot=universe.lot,
        trade=universe.trade,
        market=markets,
        fee=fees(universe),
        eventful=np.flatnonzero(universe.securities["event_date"] > 0),
        depot=universe.depot_of.copy(),
        custody=universe.custody,
        lies=np.array(STOCK, np.int64),
        stock=stock_of(universe, rows),
        desk=np.array(desk, np.int32),
        ahead=days.ahead.copy(),
        previous=days.previous.copy(),
        settle_days=np.array([market.settle_days for market in universe.markets]),
        quanto=np.array([market.quanto_days > 0 for market in universe.markets]),
        contract=contract,
        contracts=contracts,
        due=due,
        dues=dues,
        undoable=np.zeros(_UNDOABLE, DRAFT),
        undoable_row=np.zeros(_UNDOABLE, np.int64),
        undoables=np.zeros(1, np.int64),
        order=_places(order),
        order_row=np.concatenate([order_row, np.zeros(_PLACES - order_row.size, np.int64)]),
        orders=np.array([order.size, max(_LEAST_CONTRACTS, order.size)]),
        swap=_places(swap),
        swaps=np.array([swap.size, max(_LEAST_CONTRACTS, swap.size)]),
        following=np.zeros(_FOLLOWING, DRAFT),
        followings=np.zeros(2, np.int64),
        numbers=np.array([rows.size, 0]),
        apart=apart,
    )


def _desks(universe: Universe, role: Role, market: int) -> NDArray[np.intp]:
    """A few books of the role on that market."""
    return np.resize(np.flatnonzero((universe.home == market) & (universe.role == role)), _DESKS)


def _by_security(rows: Rows) -> Rows:
    return rows[np.argsort(rows["security"], kind="stable")]


def _ranges(security: NDArray[np.int32], count: int, offset: int) -> NDArray[np.int32]:
    sizes = np.bincount(security, minlength=count)
    return np.stack([offset + np.cumsum(sizes) - sizes, sizes], axis=1).astype(np.int32)


def _places(drafts: Drafts) -> Drafts:
    """With room for more."""
    made = np.zeros(_PLACES, DRAFT)
    made[: drafts.size] = drafts
    return made


def _as_drafts(rows: Rows, quantity: NDArray[np.int64], settle_date: NDArray[np.int32]) -> Drafts:
    made = np.zeros(rows.size, DRAFT)
    for name in ("security", "book", "depot", "kind", "ref", "rate"):
        made[name] = rows[name]
    made["quantity"], made["settle_date"] = quantity, settle_date
    made["op"] = np.where(quantity > 0, Op.INCREASE, Op.DECREASE)
    return made


def _open_contracts(
    rows: Rows, days: TradingDays, market: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """What was borrowed, lent and pledged before today can be given back from today on."""
    rings = np.zeros((len(CONTRACTS), _RING), DRAFT)
    state = np.zeros((len(CONTRACTS), 4), np.int64)
    for ring, (first, kinds, _) in enumerate(CONTRACTS):
        some = rows[(rows["kind"] >= first) & (rows["kind"] < first + kinds)][: _RING // 2]
        some = some[np.argsort(some["book"], kind="stable")]
        rings[ring, : some.size] = _as_drafts(some, some["quantity"], days.ahead[market[some["security"]], 0])
        state[ring] = 0, some.size, max(_LEAST_CONTRACTS, some.size), 0
    return rings, state


def _open_settlements(
    rows: Rows, days: TradingDays, market: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """What is due today; a delivery is negative."""
    ring = np.zeros(_RING, DRAFT)
    some = rows[(rows["due"] != 0) & (rows["due_day"] == 0)][: _RING // 2]
    ring[: some.size] = _as_drafts(some, some["due"], days.ahead[market[some["security"]], 0])
    return ring, np.array([0, some.size, _RING])


def _open_orders(
    traders: NDArray[np.void], rows: Rows, days: TradingDays, market: NDArray[np.int64]
) -> tuple[Drafts, NDArray[np.int64]]:
    """Orders of before today, and the row of traders each is for, which keeps what is offered."""
    rows = rows[: _PLACES // 2]
    book_of = traders["security"].astype(np.int64) << 32 | traders["book"]
    order = np.lexsort((-traders["held"], book_of))  # of several rows in a book it is for the largest
    row = order[np.searchsorted(book_of[order], rows["security"].astype(np.int64) << 32 | rows["book"])]
    made = _as_drafts(rows, np.abs(rows["due"]), days.ahead[market[rows["security"]], rows["due_day"]])
    made["trade_date"] = days.ahead[market[rows["security"]], 0]
    has = traders["held"][row] >= made["quantity"]
    made["op"] = np.where(rows["due"] > 0, Op.BUY, np.where(has, Op.SELL, Op.SHORT_SELL))
    sells = made["op"] == Op.SELL
    np.add.at(traders["working"], row[sells], made["quantity"][sells])
    return made, row


def _open_swaps(rows: Rows, days: TradingDays, market: NDArray[np.int64]) -> Drafts:
    """Those that do not expire today: these are settlements."""
    rows = rows[rows["due_day"] > 0][: _PLACES // 2]
    return _as_drafts(rows, rows["quantity"], days.ahead[market[rows["security"]], rows["due_day"]])
