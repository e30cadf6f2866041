"""The simulated world when a business day ends: open orders lapse, and what was to expire goes."""

import numpy as np
from numpy.typing import NDArray

from engine.model import NO_DATE, Kind, Op
from feeds.calendars import TradingDays
from feeds.simulator_drafts import CANCEL
from feeds.simulator_routes import Route, Step
from feeds.simulator_world import World
from feeds.wire import DRAFT, Drafts


def turn(world: World, days: TradingDays) -> Drafts:
    """Go on with `days`, whose first is another one in some markets. Returns the cancellations of these markets' orders."""
    began = days.ahead[:, 0] != world.ahead[:, 0]
    if not began.any():
        return np.empty(0, DRAFT)
    world.ahead[:], world.previous[:] = days.ahead, days.previous
    world.undoables[0] = 0  # a trade of yesterday is corrected by another one
    redate(world.following, world)
    if world.apart:
        return np.concatenate([_closed(world), _lapse(world, began)])
    _expire(world)
    return _lapse(world, began)


def redate(drafts: Drafts, world: World) -> None:
    """What was made before the day turned and is sent after it settles today at the earliest."""
    known = (drafts["security"] >= 0) & (drafts["security"] < world.market.size) & (drafts["settle_date"] != NO_DATE)
    first = world.ahead[world.market[drafts["security"][known]], 0]
    drafts["settle_date"][known] = np.maximum(drafts["settle_date"][known], first)
    # what is swapped settles the day it is dealt
    swapped = drafts["feed"][known] == Route.SWAPS
    dealt = drafts["trade_date"][known]
    drafts["trade_date"][known] = np.where(swapped & (dealt != NO_DATE), np.maximum(dealt, first), dealt)


def _lapse(world: World, began: NDArray[np.bool_]) -> Drafts:
    count = int(world.orders[0])
    order, row = world.order[:count].copy(), world.order_row[:count].copy()
    gone = began[world.market[order["security"]]]
    sells = gone & (order["op"] == Op.SELL)
    np.subtract.at(world.rows["working"], row[sells], order["quantity"][sells])
    kept = count - int(np.count_nonzero(gone))
    world.order[:kept], world.order_row[:kept] = order[~gone], row[~gone]
    world.orders[0] = kept
    lapsed: Drafts = order[gone]
    lapsed["op"] = np.where(lapsed["op"] == Op.BUY, Op.INCREASE, Op.DECREASE)
    if world.apart:
        lapsed["feed"], lapsed["action"] = Route.ORDERS, Step.CANCEL
    else:
        lapsed["flags"] = CANCEL
    return lapsed


def _closed(world: World) -> Drafts:
    """Swaps of former days end as deals do."""
    count = int(world.swaps[0])
    swap = world.swap[:count].copy()
    gone = swap["settle_date"] < world.ahead[world.market[swap["security"]], 0]
    kept = count - int(np.count_nonzero(gone))
    world.swap[:kept] = swap[~gone]
    world.swaps[0] = kept
    closed: Drafts = swap[gone]
    closed["op"] = np.where(closed["quantity"] > 0, Op.INCREASE, Op.DECREASE)
    closed["quantity"] = np.abs(closed["quantity"])
    closed["settle_date"] = closed["trade_date"] = world.ahead[world.market[closed["security"]], 0]
    closed["feed"], closed["action"], closed["kind"] = Route.SWAPS, Step.CLOSE, Kind.SYNTHETIC
    return closed


def _expire(world: World) -> None:
    """Swaps of former days: they settle when settlements are next looked at, as many as there is room for."""
    count, (first, due) = int(world.swaps[0]), world.dues[:2].tolist()
    swap = world.swap[:count].copy()
    gone = swap["settle_date"] < world.ahead[world.market[swap["security"]], 0]
    expired = swap[gone][: world.due.size - due]
    expired["quantity"] *= -1
    world.due[(first + due + np.arange(expired.size)) % world.due.size] = expired
    world.dues[1] += expired.size
    kept = count - int(np.count_nonzero(gone))
    world.swap[:kept] = swap[~gone]
    world.swaps[0] = kept
