"""What the compiled steps of the simulated day have in common: writing drafts, and what follows them."""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import Flag
from feeds.simulator_world import World

JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
CANCEL: Final = int(Flag.CANCEL)


@nb.njit(**JIT)
def name(draft: Any, row: Any) -> None:
    """The draft is about the row that `row` (any record with these fields) is about."""
    draft.security, draft.book, draft.depot, draft.kind = row.security, row.book, row.depot, row.kind


@nb.njit(**JIT)
def date(draft: Any, market: int, day: int, ahead: NDArray[np.int32]) -> None:
    """Dealt today, settles on SD`day`."""
    draft.trade_date = ahead[market, 0]
    draft.settle_date = ahead[market, day]


@nb.njit(**JIT)
def undated(draft: Any, op: int, quantity: int) -> None:
    """An operation that replaces something."""
    draft.op, draft.quantity = op, quantity
    draft.trade_date = draft.settle_date = -1


@nb.njit(**JIT)
def follow(draft: Any, op: int, quantity: int, settle_date: int, world: World) -> Any:
    """Next comes another event of the same row and trade date, which is returned."""
    at = world.followings[1]
    world.following[at] = draft
    following = world.following[at]
    following.op, following.quantity, following.settle_date, following.flags = op, quantity, settle_date, 0
    world.followings[1] = at + 1
    return following


@nb.njit(**JIT)
def followed(draft: Any, follows: NDArray[np.void], state: NDArray[np.int64]) -> bool:
    """Take what was to come next, if anything was. `follows`, `state`: `following` and `followings` of the world."""
    if state[0] == state[1]:
        return False
    following = follows[state[0]]
    name(draft, following)
    draft.op, draft.quantity, draft.flags = following.op, following.quantity, following.flags
    draft.trade_date, draft.settle_date = following.trade_date, following.settle_date
    state[0] += 1
    if state[0] == state[1]:
        state[0] = state[1] = 0
    return True
