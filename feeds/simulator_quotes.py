"""What others say in the simulated day: prices and what is made of them, and custodians' statements."""

from typing import Any, Final

import numba as nb
import numpy as np

from engine.model import Kind, Op
from feeds.simulator_drafts import JIT, undated
from feeds.simulator_world import World

_OP_PRICE, _OP_CLOSE, _OP_NAV = int(Op.PRICE), int(Op.CLOSE), int(Op.NAV)
_OP_INAV, _OP_VOLATILITY, _OP_SET = int(Op.INAV), int(Op.VOLATILITY), int(Op.SET)
_FIRM, _KIND_DEPOT = int(Kind.FIRM), int(Kind.DEPOT)
_EVEN: Final = 0.5
_VARIED: Final = 0.01
_ESTIMATED: Final = 0.2
_AUCTIONED: Final = 0.985
"""Chances of a price tick that it is a volatility; of a fund, below it, an estimate of its value; above it,
a closing price or value."""
_OWN_DEPOT: Final = 0.9
_MISSTATED: Final = 0.02


@nb.njit(**JIT)
def tick(draft: Any, security: int, chance: Any, size: float, world: World) -> bool:
    """A price; now and then what is made of prices."""
    step = world.step[security]
    change = np.int64(np.rint(size * 0.0006 * world.price[security] / step))
    if change == 0:
        change = np.int64(1 if size > 0 else -1)
    world.price[security] = max(step, world.price[security] + change * step)
    draft.book = draft.depot = -1
    draft.kind = _FIRM
    price = world.price[security]
    undated(draft, _OP_PRICE, price)
    if chance[0] < _VARIED:
        change = np.int64(world.volatility[security] * 0.02 * (chance[1] - 0.5))
        world.volatility[security] = max(50_000, world.volatility[security] + change)
        undated(draft, _OP_VOLATILITY, world.volatility[security])
    elif world.fund[security] and chance[0] < _ESTIMATED:
        undated(draft, _OP_INAV, max(1, np.int64(price * (1 + 0.0005 * size))))
    elif chance[0] > _AUCTIONED:
        undated(draft, _OP_NAV if world.fund[security] and chance[1] < _EVEN else _OP_CLOSE, price)
    return True


@nb.njit(**JIT)
def statement(draft: Any, security: int, chance: Any, world: World) -> bool:
    """What lies in a depot, seldom with a trade too much; the next statement is right again."""
    place = 0 if chance[0] < _OWN_DEPOT else 1
    draft.depot = world.depot[world.market[security], place]
    draft.book, draft.kind = world.custody[draft.depot], _KIND_DEPOT
    off = world.trade[security] if chance[1] < _MISSTATED else 0
    undated(draft, _OP_SET, max(0, world.stock[security, place] + off))
    return True
