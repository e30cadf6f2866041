"""Orders in the market and swaps of the simulated day: what takes more than one event.

An open order is a row of what it would receive or deliver. A fill takes it out of that row and becomes a trade in the next
event. A swap is settled shares that are due on its expiry; to roll it is to move that day.
"""

from typing import Any, Final

import numba as nb
import numpy as np

from engine.model import Kind, Op
from feeds import simulator_deals as deals
from feeds.simulator_drafts import CANCEL, JIT, date, follow, name
from feeds.simulator_world import World

_BUY, _SELL, _SHORT = int(Op.BUY), int(Op.SELL), int(Op.SHORT_SELL)
_INCREASE, _DECREASE = int(Op.INCREASE), int(Op.DECREASE)
_IN, _OUT = int(Op.SETTLE_RECEIPT), int(Op.SETTLE_DELIVERY)
_ORDER, _SWAP, _CASH = int(Kind.OPEN_ORDER), int(Kind.SYNTHETIC), int(Kind.CLIENT_SEGREGATED)
_SIZE, _USUAL = 0, 1
_NEW: Final = 0.42
"""The part of what happens to orders that is a new one; the rest fills or cancels."""
_FILLED: Final = 0.8
_IN_FULL: Final = 0.5
_OPENED: Final = 0.4
"""The part of what happens to swaps that is a new one; the rest rolls or ends one."""
_ROLLED: Final = 0.5


@nb.njit(**JIT)
def order(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A new order; or one of the open ones is filled, in part or in full, or cancelled."""
    state = world.orders
    new = chance[0] < _NEW
    if state[_SIZE] < state[_USUAL] // 2:
        new = True
    elif state[_SIZE] > state[_USUAL] * 3 // 2 or state[_SIZE] == world.order.shape[0]:
        new = False
    if new:
        done: bool = _enter(draft, security, chance, world)
        return done
    at = np.int64(chance[1] * state[_SIZE])
    if chance[2] < _FILLED:
        _fill(draft, at, chance, world)
    else:
        _cancel(draft, at, world)
    return True


@nb.njit(**JIT)
def _enter(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A new order of one who trades the security; nobody offers twice what he has."""
    row = world.traders[security, 0] + np.int64(chance[1] * world.traders[security, 1])
    trader = world.rows[row]
    quantity = world.trade[security] * np.int64(1 + 8 * chance[2])
    free = trader.held - trader.working
    op = _BUY
    if chance[3] < 0.5:  # noqa: PLR2004  as many sells as buys
        op = _SELL
        quantity = min(quantity, free)
        if trader.held <= 0 and trader.kind != _CASH:
            op, quantity = _SHORT, world.trade[security]
        elif quantity <= 0:
            return False
    draft.security, draft.book, draft.depot, draft.kind = trader.security, trader.book, -1, _ORDER
    date(draft, world.market[security], world.settle_days[world.market[security]], world.ahead)
    draft.op, draft.quantity = (_INCREASE if op == _BUY else _DECREASE), quantity
    at = world.orders[_SIZE]
    world.order[at] = draft
    world.order[at].op = op
    world.order_row[at] = row
    world.orders[_SIZE] = at + 1
    if op == _SELL:
        trader.working += quantity
    if world.apart:
        deals.entered(draft, world)
    return True


@nb.njit(**JIT)
def _cancel(draft: Any, at: int, world: World) -> None:
    ref = world.order[at].ref
    _take(draft, at, world.order[at].quantity, world)
    if world.apart:
        deals.taken(draft, ref, draft.op)


@nb.njit(**JIT)
def _take(draft: Any, at: int, quantity: int, world: World) -> None:
    """Take shares out of an open order, and the order away when none are left."""
    opened, state = world.order[at], world.orders
    name(draft, opened)
    draft.op, draft.quantity = (_INCREASE if opened.op == _BUY else _DECREASE), quantity
    draft.flags, draft.trade_date, draft.settle_date = CANCEL, opened.trade_date, opened.settle_date
    if opened.op == _SELL:
        world.rows[world.order_row[at]].working -= quantity
    opened.quantity -= quantity
    if opened.quantity == 0:
        last = state[_SIZE] - 1
        world.order[at] = world.order[last]
        world.order_row[at] = world.order_row[last]
        state[_SIZE] = last


@nb.njit(**JIT)
def _fill(draft: Any, at: int, chance: Any, world: World) -> None:
    """Some of an order is dealt: it leaves the order now, and is a trade in the next event."""
    opened, trader = world.order[at], world.rows[world.order_row[at]]
    op, lot, quantity = opened.op, world.lot[opened.security], opened.quantity
    if op == _SHORT and trader.held > 0:
        _cancel(draft, at, world)  # he is long by now: a short sale it cannot be
        return
    if chance[3] < _IN_FULL:
        quantity = max(min(lot, quantity), np.int64(chance[4] * quantity) // lot * lot)
    ref, row = opened.ref, world.order_row[at]
    _take(draft, at, quantity, world)
    trader.held += quantity if op == _BUY else -quantity
    if world.apart:
        deals.executed(draft, ref, op, row, world)
    else:
        name(follow(draft, op, quantity, draft.settle_date, world), trader)


@nb.njit(**JIT)
def swap(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A new swap; or an old one is rolled to another expiry, or ends today."""
    state = world.swaps
    new = chance[0] < _OPENED
    if state[_SIZE] < state[_USUAL] // 2:
        new = True
    elif state[_SIZE] > state[_USUAL] * 3 // 2 or state[_SIZE] == world.swap.shape[0]:
        new = False
    if new:
        _open(draft, security, chance, world)
        return True
    at = np.int64(chance[1] * state[_SIZE])
    old = world.swap[at]
    name(draft, old)
    ahead = world.ahead[world.market[old.security]]
    ends = _DECREASE if old.quantity > 0 else _INCREASE
    draft.op, draft.quantity, draft.flags = ends, abs(old.quantity), CANCEL
    draft.trade_date, draft.settle_date = ahead[0], old.settle_date
    if chance[2] < _ROLLED:
        old.settle_date = ahead[1 + np.int64(chance[3] * (ahead.shape[0] - 1))]
        follow(draft, ends, abs(old.quantity), old.settle_date, world)
        return True
    follow(draft, ends, abs(old.quantity), ahead[0], world)
    follow(draft, _OUT if old.quantity > 0 else _IN, abs(old.quantity), ahead[0], world)
    state[_SIZE] -= 1
    world.swap[at] = world.swap[state[_SIZE]]
    return True


@nb.njit(**JIT)
def _open(draft: Any, security: int, chance: Any, world: World) -> None:
    """Shares that come, or for a short swap go, today, and back on the expiry."""
    trader = world.rows[world.traders[security, 0] + np.int64(chance[1] * world.traders[security, 1])]
    draft.security, draft.book, draft.depot, draft.kind = security, trader.book, -1, _SWAP
    ahead = world.ahead[world.market[security]]
    expiry = ahead[1 + np.int64(chance[3] * (ahead.shape[0] - 1))]
    quantity, is_long = world.trade[security] * np.int64(1 + 8 * chance[4]), chance[2] < 0.7  # noqa: PLR2004  most are long
    draft.op, draft.quantity = (_INCREASE if is_long else _DECREASE), quantity
    draft.trade_date = draft.settle_date = ahead[0]
    follow(draft, _IN if is_long else _OUT, quantity, ahead[0], world)
    follow(draft, _DECREASE if is_long else _INCREASE, quantity, expiry, world)
    at = world.swaps[_SIZE]
    world.swap[at] = draft
    opened = world.swap[at]
    opened.quantity, opened.settle_date = (quantity if is_long else -quantity), expiry
    world.swaps[_SIZE] = at + 1
