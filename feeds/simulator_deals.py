"""Contracts, orders and swaps of the simulated day as what they are in feeds of their own: deals with a life.

One draft is one step: opened, more of it, asked back, given back in part, rated anew, closed, or taken back altogether. What
the step does to rows is the engine's to know. `draft.ref` is the deal's number.
"""

from typing import Any, Final

import numba as nb
import numpy as np

from engine.model import Kind, Op
from feeds.simulator_drafts import CANCEL, JIT, date, name
from feeds.simulator_routes import Route, Step
from feeds.simulator_world import CONTRACTS, RECALLS, World

_BUY, _SELL, _SHORT = int(Op.BUY), int(Op.SELL), int(Op.SHORT_SELL)
_INCREASE, _DECREASE = int(Op.INCREASE), int(Op.DECREASE)
_ORDER, _SWAP, _CASH = int(Kind.OPEN_ORDER), int(Kind.SYNTHETIC), int(Kind.CLIENT_SEGREGATED)
_KIND: Final = tuple(int(kind) for kind, _, _ in CONTRACTS)
_MANY_KINDS: Final = tuple(kinds == RECALLS for _, kinds, _ in CONTRACTS)
_ROUTE: Final = tuple(int(Route.SWAPS if kind == Kind.SWAP_PLEDGE_0 else Route.CONTRACTS) for kind, _, _ in CONTRACTS)
_ORDERS, _SWAPS = int(Route.ORDERS), int(Route.SWAPS)
_OPEN, _MORE, _RECALL, _RETURN = int(Step.OPEN), int(Step.INCREASE), int(Step.RECALL), int(Step.RETURN)
_RERATE, _CLOSE, _CANCEL, _EXECUTE = int(Step.RERATE), int(Step.CLOSE), int(Step.CANCEL), int(Step.EXECUTE)
_CORRECT: Final = int(Step.CORRECT)
_FIRST, _SIZE, _USUAL = 0, 1, 2
"""Of a ring of contracts."""
_COUNT, _AS_USUAL = 0, 1
"""Of the lists of orders and swaps."""
_ASKED: Final = 1
"""In `flags` of an open contract: it has been asked back."""
SLOTS: Final = 1 << 16
"""Trades whose numbers are kept for those who correct them."""


@nb.njit(**JIT)
def _next(world: World) -> Any:
    world.numbers[0] += 1
    return world.numbers[0]


@nb.njit(**JIT)
def rate(fee: int, ring: int, chance: float) -> Any:
    """What a contract costs: lending brings a little more than borrowing takes; what is pledged or kept, little."""
    if ring > 1:
        return np.int64(100 + 900 * chance)
    return np.int64(fee * ((0.7 if ring == 0 else 1.0) + 0.4 * chance))


@nb.njit(**JIT)
def contract(draft: Any, security: int, ring: int, chance: Any, world: World) -> bool:
    """A contract is opened, or something happens to one that is."""
    contracts, state = world.contract[ring], world.contracts[ring]
    opens = chance[0] < 0.4  # noqa: PLR2004  a little more than is closed
    if state[_SIZE] < state[_USUAL] // 2:
        opens = True
    elif state[_SIZE] > state[_USUAL] * 3 // 2 or state[_SIZE] == contracts.shape[0]:
        opens = False
    if opens:
        _open(draft, security, ring, chance, world)
        return True
    draft.feed = _ROUTE[ring]
    if chance[1] < 0.5:  # noqa: PLR2004
        _close(draft, ring, chance, world)
        return True
    if chance[1] < 0.55:  # noqa: PLR2004
        done: bool = _take_back(draft, ring, world)
        return done
    old = contracts[(state[_FIRST] + np.int64(chance[2] * state[_SIZE])) % contracts.shape[0]]
    name(draft, old)
    draft.ref, draft.op = old.ref, old.op
    draft.quantity = 0
    lot, market = world.lot[old.security], world.market[old.security]
    part = np.int64(chance[3] * old.quantity) // lot * lot
    date(draft, market, world.settle_days[market], world.ahead)
    draft.settle_date = max(draft.settle_date, old.settle_date)
    if chance[1] < 0.65:  # noqa: PLR2004
        draft.action, draft.rate = _RERATE, rate(world.fee[old.security], ring, chance[3])
        old.rate = draft.rate
    elif chance[1] < 0.75 or part == 0:  # noqa: PLR2004
        draft.action, draft.quantity = _MORE, world.trade[old.security]
        old.quantity += draft.quantity
        old.settle_date, old.action = draft.settle_date, _MORE  # it was no mistake, and some of it may have settled
    elif chance[1] < 0.85 and not old.flags & _ASKED:  # noqa: PLR2004
        draft.action, draft.quantity = _RECALL, part
        old.flags |= _ASKED
    else:
        draft.action, draft.quantity = _RETURN, part
        old.quantity -= part
    return True


@nb.njit(**JIT)
def _open(draft: Any, security: int, ring: int, chance: Any, world: World) -> None:
    contracts, state, market = world.contract[ring], world.contracts[ring], world.market[security]
    draft.book = world.desk[ring, market, np.int64(chance[1] * world.desk.shape[2])]
    draft.depot = world.depot[market, 0]
    draft.kind = _KIND[ring] + (np.int64(chance[2] * RECALLS) if _MANY_KINDS[ring] else 0)
    draft.op, draft.quantity = _INCREASE, world.trade[security] * np.int64(1 + 6 * chance[3])
    date(draft, market, 0 if chance[4] < 0.5 else world.settle_days[market], world.ahead)  # noqa: PLR2004  half at once
    draft.feed, draft.action, draft.ref = _ROUTE[ring], _OPEN, _next(world)
    draft.rate = rate(world.fee[security], ring, chance[2])
    contracts[(state[_FIRST] + state[_SIZE]) % contracts.shape[0]] = draft
    state[_SIZE] += 1


@nb.njit(**JIT)
def _close(draft: Any, ring: int, chance: Any, world: World) -> None:
    """The oldest ends: all that is left is given back."""
    contracts, state = world.contract[ring], world.contracts[ring]
    old = contracts[state[_FIRST]]
    state[_FIRST] = (state[_FIRST] + 1) % contracts.shape[0]
    state[_SIZE] -= 1
    name(draft, old)
    draft.ref, draft.op, draft.action, draft.quantity = old.ref, old.op, _CLOSE, old.quantity
    day = draft.kind - _KIND[ring] if _MANY_KINDS[ring] else np.int64(chance[2] * 3)
    date(draft, world.market[old.security], day, world.ahead)
    draft.settle_date = max(draft.settle_date, old.settle_date)


@nb.njit(**JIT)
def _take_back(draft: Any, ring: int, world: World) -> bool:
    """The newest was a mistake, unless it settles today."""
    contracts, state = world.contract[ring], world.contracts[ring]
    old = contracts[(state[_FIRST] + state[_SIZE] - 1) % contracts.shape[0]]
    if old.action != _OPEN or old.settle_date <= world.ahead[world.market[old.security], 0]:
        draft.feed = 0
        return False
    state[_SIZE] -= 1
    name(draft, old)
    draft.ref, draft.op, draft.action, draft.quantity = old.ref, old.op, _CANCEL, old.quantity
    draft.trade_date, draft.settle_date = old.trade_date, old.settle_date
    return True


@nb.njit(**JIT)
def rerate(draft: Any, chance: Any, world: World) -> bool:
    """A borrow or a loan costs more, or less, from now on."""
    ring = np.int64(chance[0] * 2)
    contracts, state = world.contract[ring], world.contracts[ring]
    if state[_SIZE] == 0:
        return False
    old = contracts[(state[_FIRST] + np.int64(chance[1] * state[_SIZE])) % contracts.shape[0]]
    name(draft, old)
    draft.feed, draft.action, draft.ref, draft.op, draft.quantity = _ROUTE[ring], _RERATE, old.ref, old.op, 0
    draft.rate = rate(world.fee[old.security], ring, chance[2])
    draft.trade_date = draft.settle_date = -1
    return True


@nb.njit(**JIT)
def entered(draft: Any, world: World) -> None:
    """The order that was just entered in the world's list gets a number."""
    draft.feed, draft.action, draft.ref = _ORDERS, _OPEN, _next(world)
    world.order[world.orders[_COUNT] - 1].ref = draft.ref


@nb.njit(**JIT)
def taken(draft: Any, ref: int, op: int) -> None:
    """What is left of an order is cancelled."""
    draft.feed, draft.action, draft.ref, draft.flags, draft.op = _ORDERS, _CANCEL, ref, 0, op


@nb.njit(**JIT)
def executed(draft: Any, ref: int, op: int, row: int, world: World) -> None:
    """The fill of an order is a trade of the one it was for; it can be corrected."""
    name(draft, world.rows[row])
    draft.feed, draft.action, draft.ref, draft.flags, draft.op = _ORDERS, _EXECUTE, ref, 0, op
    remember(draft, row, world)


@nb.njit(**JIT)
def remember(draft: Any, row: int, world: World) -> None:
    """A trade that may be corrected: its place among `SLOTS` goes with it."""
    world.numbers[1] += 1
    draft.rate = 1 + world.numbers[1] % (SLOTS - 1)
    at = world.undoables[0] % world.undoable.shape[0]
    world.undoable[at] = draft
    world.undoable_row[at] = row
    world.undoables[0] += 1


@nb.njit(**JIT)
def correct(draft: Any, chance: Any, world: World) -> bool:
    """One of the last trades was for less than was said, or was none."""
    known = min(world.undoables[0], world.undoable.shape[0])
    if known == 0:
        return False
    trade = world.undoable[np.int64(chance[0] * known)]
    lot, buys = world.lot[trade.security], trade.op == _BUY
    trader = world.rows[world.undoable_row[np.int64(chance[0] * known)]]
    left = 0 if chance[1] < 0.4 else np.int64(chance[2] * trade.quantity) // lot * lot  # noqa: PLR2004
    change = (left - trade.quantity) * (1 if buys else -1)
    if trade.quantity == 0 or (change < 0 and trader.held + change < trader.working):
        return False
    trader.held += change
    name(draft, trade)
    draft.op, draft.feed, draft.action, draft.ref = trade.op, trade.feed, _CORRECT, trade.rate
    draft.trade_date, draft.settle_date = trade.trade_date, trade.settle_date
    draft.flags = trade.flags if left else trade.flags | CANCEL
    draft.quantity = left or trade.quantity
    world.numbers[1] += 1
    draft.rate = 1 + world.numbers[1] % (SLOTS - 1)
    trade.quantity, trade.rate = left, draft.rate
    return True


@nb.njit(**JIT)
def swap(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A new swap; or an old one is reset, made larger or smaller, or ends."""
    state = world.swaps
    new = chance[0] < 0.35  # noqa: PLR2004  about as many as end
    if state[_COUNT] < state[_AS_USUAL] // 2:
        new = True
    elif state[_COUNT] > state[_AS_USUAL] * 3 // 2 or state[_COUNT] == world.swap.shape[0]:
        new = False
    draft.feed = _SWAPS
    if new:
        _open_swap(draft, security, chance, world)
        return True
    at = np.int64(chance[1] * state[_COUNT])
    old = world.swap[at]
    name(draft, old)
    is_long, size = old.quantity > 0, abs(old.quantity)
    draft.ref, draft.op, draft.quantity = old.ref, (_INCREASE if is_long else _DECREASE), 0
    draft.trade_date = draft.settle_date = world.ahead[world.market[old.security], 0]
    part = np.int64(chance[3] * size) // world.lot[old.security] * world.lot[old.security]
    if chance[2] < 0.3:  # noqa: PLR2004
        draft.action, draft.rate = _RERATE, np.int64(500 + 5_000 * chance[3])
    elif chance[2] < 0.45:  # noqa: PLR2004
        draft.action, draft.quantity = _MORE, world.trade[old.security]
        old.quantity += draft.quantity if is_long else -draft.quantity
    elif chance[2] < 0.6 and part > 0:  # noqa: PLR2004
        draft.action, draft.quantity = _RETURN, part
        old.quantity -= part if is_long else -part
    else:
        draft.action, draft.quantity = _CLOSE, size
        state[_COUNT] -= 1
        world.swap[at] = world.swap[state[_COUNT]]
    return True


@nb.njit(**JIT)
def _open_swap(draft: Any, security: int, chance: Any, world: World) -> None:
    trader = world.rows[world.traders[security, 0] + np.int64(chance[1] * world.traders[security, 1])]
    ahead, state = world.ahead[world.market[security]], world.swaps
    is_long = chance[2] < 0.7  # noqa: PLR2004  most are
    draft.security, draft.book, draft.depot, draft.kind = security, trader.book, -1, _SWAP
    draft.op, draft.quantity = (
        _INCREASE if is_long else _DECREASE,
        world.trade[security] * np.int64(1 + 8 * chance[4]),
    )
    draft.trade_date, draft.settle_date = ahead[0], ahead[1 + np.int64(chance[3] * (ahead.shape[0] - 1))]
    draft.action, draft.ref, draft.rate = _OPEN, _next(world), np.int64(500 + 5_000 * chance[0])
    world.swap[state[_COUNT]] = draft
    if not is_long:
        world.swap[state[_COUNT]].quantity = -draft.quantity
    state[_COUNT] += 1
