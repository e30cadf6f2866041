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
from feeds import simulator_deals as deals
from feeds.simulator_drafts import CANCEL, JIT, date, follow, followed, name, undated
from feeds.simulator_orders import order, swap
from feeds.simulator_quotes import statement, tick
from feeds.simulator_routes import Step
from feeds.simulator_world import CONTRACTS, RECALLS, World
from feeds.wire import Drafts


class Action(IntEnum):
    """What happens; a trade takes the place of what cannot happen."""

    TRADE = 0
    PRICE = 1
    BORROW = 2
    """Stock is borrowed, or an earlier borrow returned; so it is with loans and pledges."""
    LOAN = 3
    PLEDGE = 4
    SWAP_PLEDGE = 5
    EXTERNAL = 6
    SETTLE = 7
    CANCEL = 8
    HOLD = 9
    """A client's stock is reserved in some way."""
    ORDER = 10
    SWAP = 11
    RATE = 12
    """A contract costs more, or less, from now on."""
    ENTITLE = 13
    """A corporate action takes, or does not take any longer, some of a position."""
    STATEMENT = 14
    """A custodian says what lies with him."""


MIX: Final = {
    Action.TRADE: 0.374,
    Action.PRICE: 0.362,
    Action.BORROW: 0.07,
    Action.LOAN: 0.035,
    Action.PLEDGE: 0.012,
    Action.SWAP_PLEDGE: 0.006,
    Action.EXTERNAL: 0.035,
    Action.SETTLE: 0.035,
    Action.CANCEL: 0.008,
    Action.HOLD: 0.012,
    Action.ORDER: 0.03,
    Action.SWAP: 0.006,
    Action.RATE: 0.006,
    Action.ENTITLE: 0.004,
    Action.STATEMENT: 0.005,
}
"""Parts of all that happens; they sum to 1. Some of it takes two or three events."""

_TRADE, _PRICE, _BORROW = int(Action.TRADE), int(Action.PRICE), int(Action.BORROW)
_PLEDGE, _LAST_PLEDGE = int(Action.PLEDGE), int(Action.SWAP_PLEDGE)
_EXTERNAL, _SETTLE, _CANCEL, _HOLD = map(int, (Action.EXTERNAL, Action.SETTLE, Action.CANCEL, Action.HOLD))
_ORDER, _SWAP, _RATE, _ENTITLE = map(int, (Action.ORDER, Action.SWAP, Action.RATE, Action.ENTITLE))
_STATEMENT: Final = int(Action.STATEMENT)
_RATED: Final = _PLEDGE - _BORROW
"""Rings of contracts that have a rate: those before the pledges."""
_OP_BUY, _OP_SELL, _OP_SHORT, _OP_SET = int(Op.BUY), int(Op.SELL), int(Op.SHORT_SELL), int(Op.SET)
_OP_INCREASE, _OP_DECREASE = int(Op.INCREASE), int(Op.DECREASE)
_OP_IN, _OP_OUT, _OP_FREE = int(Op.SETTLE_RECEIPT), int(Op.SETTLE_DELIVERY), int(Op.SET_HYPOTHECATABLE)
_OP_CA, _OP_RATE = int(Op.SET_CA_PENDING), int(Op.SET_RATE)
_CASH, _FREE, _FIRM = int(Kind.CLIENT_SEGREGATED), int(Kind.CLIENT_FREE), int(Kind.FIRM)
_KIND_HOLD: Final = int(Kind.PAY_TO_HOLD)
_KIND_CONTRACT: Final = tuple(int(kind) for kind, _, _ in CONTRACTS)
_QUANTO: Final = int(Flag.QUANTO)
_STEP_OPEN, _STEP_MORE, _STEP_RETURN, _STEP_CLOSE = map(int, (Step.OPEN, Step.INCREASE, Step.RETURN, Step.CLOSE))
_KEPT: Final = len(CONTRACTS) - 1
"""The ring of stock that clients pay to have kept."""
CHANCES: Final = 5
_FIRST, _SIZE, _USUAL, _ENDED = 0, 1, 2, 3
_EVEN: Final = 0.5
_ANEW: Final = 0.6
"""Beyond this chance (of those above `_EVEN`) a contract is opened in what the last one that ended was in."""
_LATE: Final = 0.3
"""The part of trades that was dealt the day before and is booked late, in positions where that happens at all."""
_LATE_ONE_OF: Final = 128
"""Of so many positions it does in one."""
_QUANTO_PART: Final = 0.04
"""The part of trades that settles in another currency, where the market has a rule for these."""
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


@nb.njit(**JIT)
def play(plan: Plan, world: World, drafts: Drafts) -> None:
    """Fill one draft per entry of the plan (all but seq, source, partition and time), and move the world on."""
    following, followings = world.following, world.followings
    for i in range(drafts.shape[0]):
        draft, security = drafts[i], plan.security[i]
        action, chance, size = plan.action[i], plan.chance[i], plan.size[i]
        if followed(draft, following, followings):
            continue
        draft.security = security
        draft.rate = draft.ref = draft.action = draft.feed = 0
        done = False
        if action == _PRICE:
            done = tick(draft, security, chance, size, world)
        elif _BORROW <= action <= _LAST_PLEDGE:
            ring = action - _BORROW
            done = (
                _deal_step(draft, security, ring, chance, world)
                if world.apart
                else _contract(draft, security, ring, chance, world)
            )
        elif action == _EXTERNAL:
            done = _offer(draft, security, chance, size, world)
        elif action == _SETTLE:
            done = _settle(draft, world)
        elif action == _CANCEL:
            done = deals.correct(draft, chance, world) if world.apart else _undo(draft, chance, world)
        elif action == _HOLD:
            done = _hold(draft, security, chance, world)
        elif action == _ORDER:
            done = order(draft, security, chance, world)
        elif action == _SWAP:
            done = _swap_step(draft, security, chance, world) if world.apart else swap(draft, security, chance, world)
        elif action == _RATE:
            done = deals.rerate(draft, chance, world) if world.apart else _rerate(draft, chance, world)
        elif action == _ENTITLE:
            done = _entitle(draft, chance, world)
        elif action == _STATEMENT:
            done = statement(draft, security, chance, world)
        if not done:
            _deal(draft, security, chance, size, world)


@nb.njit(**JIT)
def _deal(draft: Any, security: int, chance: Any, size: float, world: World) -> None:
    """A buy, a sell of what is held, or a short sell."""
    row = world.traders[security, 0] + np.int64(chance[0] * world.traders[security, 1])
    name(draft, world.rows[row])
    held, usual = world.rows[row].held, world.rows[row].usual
    free, lot, usual_trade = held - world.rows[row].working, world.lot[security], world.trade[security]
    quantity = lot * max(1, np.int64(usual_trade / lot * np.exp(0.8 * size)))
    away = (usual - held) / (abs(usual) + 50.0 * usual_trade)
    buys = chance[1] < 0.5 + min(0.45, max(-0.45, 0.4 * away))
    market = world.market[security]
    days = world.settle_days[market]
    booked_late = (security + world.rows[row].book) % _LATE_ONE_OF == 0
    late = booked_late & (chance[2] < _LATE) & (days > 0)
    quanto = world.quanto[market] & (chance[3] < _QUANTO_PART) & (not late)
    draft.op = _deal_op(buys, held, free, draft.kind)
    draft.quantity = quantity if draft.op != _OP_SELL else min(quantity, free)
    draft.flags = _QUANTO * quanto
    date(draft, market, 1 if quanto else days - late, world.ahead)
    draft.trade_date = world.previous[market] if late else draft.trade_date
    world.rows[row].held = held + draft.quantity if draft.op == _OP_BUY else held - draft.quantity
    if world.apart:
        if late and draft.settle_date == world.ahead[market, 0]:
            _confirm(draft, 1 if draft.op == _OP_BUY else -1, world)  # settled before it could be corrected
        if not late:
            deals.remember(draft, row, world)
        return
    at = world.undoables[0] % world.undoable.shape[0]
    world.undoable[at] = draft
    world.undoable_row[at] = row
    world.undoables[0] += 1


@nb.njit(**JIT)
def _deal_op(buys: bool, held: int, free: int, kind: int) -> int:  # noqa: FBT001  numba binds by place
    """Who has something that is not on offer sells it; a desk or a margin client who has nothing sells short."""
    if buys or (free <= 0 and (held > 0 or kind == _CASH)):
        return _OP_BUY
    return _OP_SELL if held > 0 else _OP_SHORT


@nb.njit(**JIT)
def _undo(draft: Any, chance: Any, world: World) -> bool:
    """Cancel one of the last trades, unless that would leave less than nothing of what must be held."""
    known = min(world.undoables[0], world.undoable.shape[0])
    if known == 0:
        return False
    at = np.int64(chance[0] * known)
    trade, row = world.undoable[at], world.undoable_row[at]
    change = -trade.quantity if trade.op == _OP_BUY else trade.quantity
    trader = world.rows[row]
    if trade.quantity == 0 or (change < 0 and trader.held + change < trader.working):
        return False
    trader.held += change
    name(draft, trade)
    draft.op, draft.quantity, draft.flags = trade.op, trade.quantity, trade.flags | CANCEL
    draft.trade_date, draft.settle_date = trade.trade_date, trade.settle_date
    trade.quantity = 0
    return True


@nb.njit(**JIT)
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
        state[_ENDED] = old.security + 1
        name(draft, old)
        market = world.market[old.security]
        draft.op, draft.quantity = _OP_DECREASE, old.quantity
        day = np.int64(chance[1] * 3) if ring < _RATED else draft.kind - _KIND_CONTRACT[ring]
        date(draft, market, day, world.ahead)
        draft.settle_date = max(draft.settle_date, old.settle_date)
    elif state[_SIZE] < contracts.shape[0]:
        if state[_ENDED] > 0 and chance[0] > _ANEW:
            security = state[_ENDED] - 1
            state[_ENDED] = 0
            draft.security = security
        market = world.market[security]
        draft.book = world.desk[ring, market, np.int64(chance[1] * world.desk.shape[2])]
        draft.depot = world.depot[market, 0]
        draft.kind = _KIND_CONTRACT[ring] + (0 if ring < _RATED else np.int64(chance[2] * RECALLS))
        draft.op, draft.quantity = _OP_INCREASE, world.trade[security] * np.int64(1 + 6 * chance[3])
        date(draft, market, 0 if chance[4] < _EVEN else world.settle_days[market], world.ahead)
        contracts[(state[_FIRST] + state[_SIZE]) % contracts.shape[0]] = draft
        state[_SIZE] += 1
        if ring < _RATED:
            follow(draft, _OP_RATE, _rate(world.fee[security], ring, chance[2]), -1, world).trade_date = -1
    else:
        return False
    if draft.settle_date == draft.trade_date:
        _expect(draft, world)
    return True


@nb.njit(**JIT)
def _rate(fee: int, ring: int, chance: float) -> Any:
    """What a contract costs: lending brings a little more than borrowing takes."""
    return np.int64(fee * ((0.7 if ring == 0 else 1.0) + 0.4 * chance))


@nb.njit(**JIT)
def _rerate(draft: Any, chance: Any, world: World) -> bool:
    ring = np.int64(chance[0] * _RATED)
    contracts, state = world.contract[ring], world.contracts[ring]
    if state[_SIZE] == 0:
        return False
    contract = contracts[(state[_FIRST] + np.int64(chance[1] * state[_SIZE])) % contracts.shape[0]]
    name(draft, contract)
    undated(draft, _OP_RATE, _rate(world.fee[contract.security], ring, chance[2]))
    return True


@nb.njit(**JIT)
def _entitle(draft: Any, chance: Any, world: World) -> bool:
    """A tenth at most of what a desk or a margin client is long, where a corporate action comes; or nothing any more."""
    if world.eventful.shape[0] == 0:
        return False
    security = world.eventful[np.int64(chance[0] * world.eventful.shape[0])]
    row = world.traders[security, 0] + np.int64(chance[1] * world.traders[security, 1])
    name(draft, world.rows[row])
    if draft.kind == _CASH:
        return False
    share = 0.0 if chance[2] < _EVEN else 0.1 * chance[3]
    undated(draft, _OP_CA, np.int64(max(0, world.rows[row].held) * share))
    return True


@nb.njit(**JIT)
def _deal_step(draft: Any, security: int, ring: int, chance: Any, world: World) -> bool:
    """A step of a contract; what of it settles today is confirmed later."""
    if not deals.contract(draft, security, ring, chance, world):
        return False
    if draft.settle_date == world.ahead[world.market[draft.security], 0]:
        _confirm(draft, _way(draft), world)
    return True


@nb.njit(**JIT)
def _swap_step(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A step of a swap; what it changes is settled the same day."""
    if not deals.swap(draft, security, chance, world):
        return False
    _confirm(draft, _way(draft) if draft.op == _OP_INCREASE else -_way(draft), world)
    return True


@nb.njit(**JIT)
def _way(draft: Any) -> int:
    """Whether a step of a deal makes it larger (1), or smaller (-1), or neither."""
    if draft.action in (_STEP_OPEN, _STEP_MORE):
        return 1
    return -1 if draft.action in (_STEP_RETURN, _STEP_CLOSE) else 0


@nb.njit(**JIT)
def _confirm(draft: Any, sign: int, world: World) -> None:
    """Remember what settles today, to be received or, where `sign` is -1, delivered."""
    state = world.dues
    if sign and state[_SIZE] < world.due.shape[0]:
        at = (state[_FIRST] + state[_SIZE]) % world.due.shape[0]
        world.due[at] = draft
        world.due[at].quantity = sign * draft.quantity
        world.due[at].settle_date = world.ahead[world.market[draft.security], 0]
        state[_SIZE] += 1


@nb.njit(**JIT)
def _expect(draft: Any, world: World) -> None:
    """Remember what settles today."""
    state = world.dues
    if state[_SIZE] < world.due.shape[0]:
        at = (state[_FIRST] + state[_SIZE]) % world.due.shape[0]
        world.due[at] = draft
        if draft.op == _OP_DECREASE:
            world.due[at].quantity = -draft.quantity
        state[_SIZE] += 1


@nb.njit(**JIT)
def _settle(draft: Any, world: World) -> bool:
    state = world.dues
    if state[_SIZE] == 0:
        return False
    due = world.due[state[_FIRST]]
    state[_FIRST] = (state[_FIRST] + 1) % world.due.shape[0]
    state[_SIZE] -= 1
    name(draft, due)
    draft.op, draft.quantity = (_OP_IN, due.quantity) if due.quantity > 0 else (_OP_OUT, -due.quantity)
    draft.trade_date, draft.settle_date = -1, due.settle_date
    if draft.depot >= 0:
        place = 0 if draft.depot == world.depot[world.market[draft.security], 0] else 1
        world.stock[draft.security, place] += world.lies[draft.kind] * due.quantity
    return True


@nb.njit(**JIT)
def _offer(draft: Any, security: int, chance: Any, size: float, world: World) -> bool:
    """A lender says anew what he offers: around what he usually does, now and then nothing."""
    if world.lenders[security, 1] == 0:
        return False
    row = world.lenders[security, 0] + np.int64(chance[0] * world.lenders[security, 1])
    lot = world.lot[security]
    name(draft, world.rows[row])
    offered = np.int64(world.rows[row].usual * np.exp(0.3 * size)) // lot * lot
    world.rows[row].held = 0 if chance[1] < _WITHDRAWN else max(lot, offered)
    undated(draft, _OP_SET, world.rows[row].held)
    return True


@nb.njit(**JIT)
def _hold(draft: Any, security: int, chance: Any, world: World) -> bool:
    """A margin client's stock becomes more or less usable, or he pays for some to be kept for him."""
    row = world.traders[security, 0] + np.int64(chance[0] * world.traders[security, 1])
    name(draft, world.rows[row])
    if draft.kind != _FREE:
        return False
    if world.rows[row].held > 0 and chance[1] < _USABLE:
        undated(draft, _OP_FREE, np.int64(world.rows[row].held * (0.6 + 0.4 * chance[2])))
    elif world.apart:
        done: bool = _deal_step(draft, security, _KEPT, chance, world)
        return done
    else:
        draft.kind = _KIND_HOLD
        undated(draft, _OP_SET, world.trade[security] * max(0, np.int64(6 * chance[2]) - 3))
    return True
