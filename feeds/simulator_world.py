"""Everything that the simulated day changes or looks at, as arrays that the compiled step works on."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.model import Kind
from feeds.calendars import TradingDays
from feeds.simulator_opening import Rows
from feeds.universe import Role, Universe
from feeds.wire import DRAFT, Drafts

RECALLS: Final = 6
"""Kinds of pledges, by the days it takes to call them back."""
CONTRACTS: Final = (
    (Kind.SLAB_BORROW, 1, Role.SLAB),
    (Kind.SLAB_LOAN, 1, Role.SLAB),
    (Kind.REPO_PLEDGE_0, RECALLS, Role.REPO),
)
"""What is opened and given back: the first of how many kinds, and whose books it is in. One ring for each."""
_TRADERS: Final = (Kind.CLIENT_SEGREGATED, Kind.CLIENT_FREE, Kind.FIRM)
_LENDERS: Final = (Kind.EXTERNAL_EXCLUSIVE, Kind.EXTERNAL_FIRM, Kind.EXTERNAL_INDICATIVE)
_DESKS: Final = 3
_RING: Final = 1 << 16
_UNDOABLE: Final = 1 << 12
_LEAST_CONTRACTS: Final = 64


class World(NamedTuple):
    """Everything that events change or look at. Rows of traders, and of lenders, lie together by security."""

    rows: NDArray[np.void]
    held: NDArray[np.int64]
    """Contractual quantity of a row of traders; of lenders what they offer."""
    usual: NDArray[np.int64]
    """What it was at start of day, to which it tends to come back."""
    traders: NDArray[np.int32]
    lenders: NDArray[np.int32]
    """(securities, 2): the first row of a security, and how many."""
    price: NDArray[np.int64]
    step: NDArray[np.int64]
    lot: NDArray[np.int64]
    trade: NDArray[np.int64]
    market: NDArray[np.int64]
    depot: NDArray[np.int32]
    """(markets,)"""
    desk: NDArray[np.int32]
    """(contract kinds, markets, desks): books."""
    ahead: NDArray[np.int32]
    previous: NDArray[np.int32]
    settle_days: NDArray[np.int64]
    contract: NDArray[np.void]
    """(contract kinds, places): open contracts as drafts, oldest first, a ring each."""
    contracts: NDArray[np.int64]
    """(contract kinds, 3): first, size and the usual size of the ring; so for `due`."""
    due: NDArray[np.void]
    dues: NDArray[np.int64]
    undoable: NDArray[np.void]
    undoable_row: NDArray[np.int64]
    undoables: NDArray[np.int64]
    """How many trades were remembered so far."""


def world_of(universe: Universe, rows: Rows, days: TradingDays) -> World:
    """The world at start of day."""
    traders, lenders = (np.isin(rows["kind"], [int(kind) for kind in kinds]) for kinds in (_TRADERS, _LENDERS))
    acting = np.concatenate([_by_security(rows[traders]), _by_security(rows[lenders])])
    count, split = universe.securities.size, int(np.count_nonzero(traders))
    held = acting["quantity"] + acting["due"]
    markets = universe.securities["market"].astype(np.int64)
    desk = [[_desks(universe, role, market) for market in range(len(universe.markets))] for _, _, role in CONTRACTS]
    contract, contracts = _open_contracts(rows, days, markets)
    due, dues = _open_settlements(rows, days, markets)
    return World(
        rows=acting,
        held=held,
        usual=held.copy(),
        traders=_ranges(acting["security"][:split], count, 0),
        lenders=_ranges(acting["security"][split:], count, split),
        price=universe.price.copy(),
        step=universe.step,
        lot=universe.lot,
        trade=universe.trade,
        market=markets,
        depot=universe.depot_of[:, 0].copy(),
        desk=np.array(desk, np.int32),
        ahead=days.ahead,
        previous=days.previous,
        settle_days=np.array([market.settle_days for market in universe.markets]),
        contract=contract,
        contracts=contracts,
        due=due,
        dues=dues,
        undoable=np.zeros(_UNDOABLE, DRAFT),
        undoable_row=np.zeros(_UNDOABLE, np.int64),
        undoables=np.zeros(1, np.int64),
    )


def _desks(universe: Universe, role: Role, market: int) -> NDArray[np.intp]:
    """A few books of the role on that market."""
    return np.resize(np.flatnonzero((universe.home == market) & (universe.role == role)), _DESKS)


def _by_security(rows: Rows) -> Rows:
    return rows[np.argsort(rows["security"], kind="stable")]


def _ranges(security: NDArray[np.int32], count: int, offset: int) -> NDArray[np.int32]:
    sizes = np.bincount(security, minlength=count)
    return np.stack([offset + np.cumsum(sizes) - sizes, sizes], axis=1).astype(np.int32)


def _as_drafts(rows: Rows, quantity: NDArray[np.int64], settle_date: NDArray[np.int32]) -> Drafts:
    made = np.zeros(rows.size, DRAFT)
    for name in ("security", "book", "depot", "kind"):
        made[name] = rows[name]
    made["quantity"], made["settle_date"] = quantity, settle_date
    return made


def _open_contracts(
    rows: Rows, days: TradingDays, market: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """What was borrowed, lent and pledged before today can be given back from today on."""
    rings = np.zeros((len(CONTRACTS), _RING), DRAFT)
    state = np.zeros((len(CONTRACTS), 3), np.int64)
    for ring, (first, kinds, _) in enumerate(CONTRACTS):
        some = rows[(rows["kind"] >= first) & (rows["kind"] < first + kinds)][: _RING // 2]
        some = some[np.argsort(some["book"], kind="stable")]
        rings[ring, : some.size] = _as_drafts(some, some["quantity"], days.ahead[market[some["security"]], 0])
        state[ring] = 0, some.size, max(_LEAST_CONTRACTS, some.size)
    return rings, state


def _open_settlements(
    rows: Rows, days: TradingDays, market: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """What is due today; a delivery is negative."""
    ring = np.zeros(_RING, DRAFT)
    some = rows[(rows["due"] != 0) & (rows["due_day"] == 0)][: _RING // 2]
    ring[: some.size] = _as_drafts(some, some["due"], days.ahead[market[some["security"]], 0])
    return ring, np.array([0, some.size, _RING])
