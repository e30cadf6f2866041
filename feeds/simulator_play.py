"""The intraday part of the simulated world: what happens next, given what everybody holds.

A plan says what kind of thing happens to which security; the compiled step makes an event of it that fits the world
as it is at that moment: nobody sells what he does not have, returns what he did not borrow, or settles what is not
due.
"""

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import Flag, Kind, Op
from feeds.simulator_world import CONTRACTS, RECALLS, World
from feeds.wire import Drafts

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


class Action(IntEnum):
    """What happens; a trade takes the place of what cannot happen."""

    TRADE = 0
    PRICE = 1
    BORROW = 2
    """Stock is borrowed, or an earlier borrow returned; so it is with loans and pledges."""
    LOAN = 3
    PLEDGE = 4
    EXTERNAL = 5
    SETTLE = 6
    CANCEL = 7
    HOLD = 8
    """A client's stock is reserved in some way."""


MIX: Final = {
    Action.TRADE: 0.46,
    Action.PRICE: 0.33,
    Action.BORROW: 0.07,
    Action.LOAN: 0.035,
    Action.PLEDGE: 0.015,
    Action.EXTERNAL: 0.035,
    Action.SETTLE: 0.035,
    Action.CANCEL: 0.008,
    Action.HOLD: 0.012,
}
"""Parts of all events; they sum to 1."""

_TRADE, _PRICE, _BORROW = int(Action.TRADE), int(Action.PRICE), int(Action.BORROW)
_PLEDGE, _EXTERNAL, _SETTLE = int(Action.PLEDGE), int(Action.EXTERNAL), int(Action.SETTLE)
_CANCEL, _HOLD = int(Action.CANCEL), int(Action.HOLD)
_OP_BUY, _OP_SELL, _OP_SHORT, _OP_SET = int(Op.BUY), int(Op.SELL), int(Op.SHORT_SELL), int(Op.SET)
_OP_INCREASE, _OP_DECREASE, _OP_PRICE = int(Op.INCREASE), int(Op.DECREASE), int(Op.PRICE)
_OP_IN, _OP_OUT, _OP_FREE = int(Op.SETTLE_RECEIPT), int(Op.SETTLE_DELIVERY), int(Op.SET_HYPOTHECATABLE)
_CASH, _FREE, _FIRM = int(Kind.CLIENT_SEGREGATED), int(Kind.CLIENT_FREE), int(Kind.FIRM)
_KIND_HOLD, _KIND_PLEDGE = int(Kind.PAY_TO_HOLD), int(Kind.REPO_PLEDGE_0)
_KIND_CONTRACT: Final = tuple(int(kind) for kind, _, _ in CONTRACTS)
_FLAG_CANCEL: Final = int(Flag.CANCEL)
CHANCES: Final = 5
_FIRST, _SIZE, _USUAL = 0, 1, 2
_EVEN: Final = 0.5
_LATE: Final = 0.02
"""The part of trades that was dealt the day before and is booked late."""
_WITHDRAWN: Final = 0.03
"""The part of a lender's statements that offer nothing."""
_USABLE: Final = 0.7
"""The part of changes to clients' stock that concern its use rather than stock kept for them."""


class Plan(NamedTuple):
    """What is to happen, one entry per event; `chance` has `CHANCES` uniform numbers, `size` a normal one."""

    action: NDArray[np.uint8]
    security: NDArray[np.int64]
    chance: NDArray[np.float64]
    size: NDArray[np.float64]


@nb.njit(**_JIT)
def play(plan: Plan, world: World, drafts: Drafts) -> None:
    """Fill one draft per entry of the plan (all but seq, source, partition and time), and move the world on."""
    for i in range(drafts.shape[0]):
        draft, security = drafts[i], plan.security[i]
        action, chance, size = plan.action[i], plan.chance[i], plan.size[i]
        draft.security = security
        done = False
        if action == _PRICE:
            done = _tick(draft, security, size, world)
        elif _BORROW <= action <= _PLEDGE:
            done = _contract(draft, security, action - _BORROW, chance, world)
        elif action == _EXTERNAL:
            done = _offer(draft, security, chance, size, world)
        elif action == _SETTLE:
            done = _settle(draft, world)
        elif action == _CANCEL:
            done = _undo(draft, chance, world)
        elif action == _HOLD:
            done = _hold(draft, security, chance, world)
        if not done:
            _deal(draft, security, chance, size, world)


@nb.njit(**_JIT)
def _name(draft: Any, row: Any) -> None:
    draft.security, draft.book, draft.depot, draft.kind = row.security, row.book, row.depot, row.kind


@nb.njit(**_JIT)
def _date(draft: Any, market: int, day: int, world: World) -> None:
    draft.trade_date = world.ahead[market, 0]
    draft.settle_date = world.ahead[market, day]


@nb.njit(**_JIT)
def _undated(draft: Any, op: int, quantity: int) -> None:
    draft.op, draft.quantity = op, quantity
    draft.trade_date = draft.settle_date = -1


@nb.njit(**_JIT)
def _deal(draft: Any, security: int, chance: Any, size: float, world: World) -> None:
    """A buy, a sell of what is held, or a short sell."""
    row = world.traders[security, 0] + np.int64(chance[0] * world.traders[security, 1])
    _name(draft, world.rows[row])
    held, lot = world.held[row], world.lot[security]
    quantity = lot * max(1, np.int64(world.trade[security] / lot * np.exp(0.8 * size)))
    away = (world.usual[row] - held) / (abs(world.usual[row]) + 50.0 * world.trade[security])
    buys = chance[1] < 0.5 + min(0.45, max(-0.45, 0.4 * away))
    if buys or (held <= 0 and draft.kind == _CASH):
        draft.op = _OP_BUY
        world.held[row] += quantity
    elif held > 0:
        draft.op = _OP_SELL
        quantity = min(quantity, held)
        world.held[row] -= quantity
    else:
        draft.op = _OP_SHORT
        world.held[row] -= quantity
    draft.quantity = quantity
    market = world.market[security]
    late = chance[2] < _LATE and world.settle_days[market] > 0
    _date(draft, market, world.settle_days[market] - late, world)
    if late:
        draft.trade_date = world.previous[market]
    at = world.undoables[0] % world.undoable.shape[0]
    world.undoable[at] = draft
    world.undoable_row[at] = row
    world.undoables[0] += 1


@nb.njit(**_JIT)
def _undo(draft: Any, chance: Any, world: World) -> bool:
    """Cancel one of the last trades, unless that would leave less than nothing of what must be held."""
    known = min(world.undoables[0], world.undoable.shape[0])
    if known == 0:
        return False
    at = np.int64(chance[0] * known)
    trade, row = world.undoable[at], world.undoable_row[at]
    change = -trade.quantity if trade.op == _OP_BUY else trade.quantity
    held = world.held[row]
    if trade.quantity == 0 or (change < 0 and held + change < 0):
        return False
    world.held[row] = held + change
    _name(draft, trade)
    draft.op, draft.quantity, draft.flags = trade.op, trade.quantity, _FLAG_CANCEL
    draft.trade_date, draft.settle_date = trade.trade_date, trade.settle_date
    trade.quantity = 0
    return True


@nb.njit(**_JIT)
def _tick(draft: Any, security: int, size: float, world: World) -> bool:
    step = world.step[security]
    change = np.int64(np.rint(size * 0.0006 * world.price[security] / step))
    if change == 0:
        change = np.int64(1 if size > 0 else -1)
    world.price[security] = max(step, world.price[security] + change * step)
    draft.book = draft.depot = -1
    draft.kind = _FIRM
    _undated(draft, _OP_PRICE, world.price[security])
    return True


@nb.njit(**_JIT)
def _contract(draft: Any, security: int, ring: int, chance: Any, world: World) -> bool:
    """Open a contract, or give the oldest one back in full; about as many of one as of the other."""
    contracts, state = world.contract[ring], world.contracts[ring]
    closes = chance[0] < _EVEN
    if state[_SIZE] < state[_USUAL] // 2:
        closes = False
    elif state[_SIZE] > state[_USUAL] * 3 // 2:
        closes = True
    if closes and state[_SIZE] > 0:
        old = contracts[state[_FIRST]]
        state[_FIRST] = (state[_FIRST] + 1) % contracts.shape[0]
        state[_SIZE] -= 1
        _name(draft, old)
        market = world.market[old.security]
        draft.op, draft.quantity = _OP_DECREASE, old.quantity
        day = draft.kind - _KIND_PLEDGE if draft.kind >= _KIND_PLEDGE else np.int64(chance[1] * 3)
        _date(draft, market, day, world)
        draft.settle_date = max(draft.settle_date, old.settle_date)
    elif state[_SIZE] < contracts.shape[0]:
        market = world.market[security]
        draft.book = world.desk[ring, market, np.int64(chance[1] * world.desk.shape[2])]
        draft.depot = world.depot[market]
        draft.kind = _KIND_CONTRACT[ring]
        if draft.kind == _KIND_PLEDGE:
            draft.kind = _KIND_PLEDGE + np.int64(chance[2] * RECALLS)
        draft.op, draft.quantity = _OP_INCREASE, world.trade[security] * np.int64(1 + 6 * chance[3])
        _date(draft, market, 0 if chance[4] < _EVEN else world.settle_days[market], world)
        contracts[(state[_FIRST] + state[_SIZE]) % contracts.shape[0]] = draft
        state[_SIZE] += 1
    else:
        return False
    if draft.settle_date == draft.trade_date:
        _expect(draft, world)
    return True


@nb.njit(**_JIT)
def _expect(draft: Any, world: World) -> None:
    """Remember what settles today."""
    state = world.dues
    if state[_SIZE] < world.due.shape[0]:
        at = (state[_FIRST] + state[_SIZE]) % world.due.shape[0]
        world.due[at] = draft
        if draft.op == _OP_DECREASE:
            world.due[at].quantity = -draft.quantity
        state[_SIZE] += 1


@nb.njit(**_JIT)
def _settle(draft: Any, world: World) -> bool:
    state = world.dues
    if state[_SIZE] == 0:
        return False
    due = world.due[state[_FIRST]]
    state[_FIRST] = (state[_FIRST] + 1) % world.due.shape[0]
    state[_SIZE] -= 1
    _name(draft, due)
    draft.op, draft.quantity = (_OP_IN, due.quantity) if due.quantity > 0 else (_OP_OUT, -due.quantity)
    draft.trade_date, draft.settle_date = -1, due.settle_date
    return True


@nb.njit(**_JIT)
def _offer(draft: Any, security: int, chance: Any, size: float, world: World) -> bool:
    """A lender says anew what he offers: around what he usually does, now and then nothing."""
    if world.lenders[security, 1] == 0:
        return False
    row = world.lenders[security, 0] + np.int64(chance[0] * world.lenders[security, 1])
    _name(draft, world.rows[row])
    lot = world.lot[security]
    offered = np.int64(world.usual[row] * np.exp(0.3 * size)) // lot * lot
    world.held[row] = 0 if chance[1] < _WITHDRAWN else max(lot, offered)
    _undated(draft, _OP_SET, world.held[row])
    return True


@nb.njit(**_JIT)
def _hold(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A margin client's stock becomes more or less usable, or he pays for some to be kept for him."""
    row = world.traders[security, 0] + np.int64(chance[0] * world.traders[security, 1])
    _name(draft, world.rows[row])
    if draft.kind != _FREE:
        return False
    if world.held[row] > 0 and chance[1] < _USABLE:
        _undated(draft, _OP_FREE, np.int64(world.held[row] * (0.6 + 0.4 * chance[2])))
    else:
        draft.kind = _KIND_HOLD
        _undated(draft, _OP_SET, world.trade[security] * max(0, np.int64(6 * chance[2]) - 3))
    return True
