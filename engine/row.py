"""What a row of the position table gives to the sums it feeds, and how an event changes it (domain.md 2): compiled leaves.

All of it is inlined into the loops that use it: numba counts references atomically wherever arrays are handed on.
A row is 24 words; its class says which sums it feeds.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import LATER, TERM_WORDS, Op
from engine.records import POSITION
from engine.rule_model import Measure

_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}

# columns of POSITION as 64-bit words
_WORD: Final = {name: offset[1] // 8 for name, offset in (POSITION.fields or {}).items()}
KEY: Final = _WORD["key"]
LINKS: Final = _WORD["next_in_security"]
TD: Final = _WORD["td"]
SD: Final = _WORD["sd"]
RECEIPT: Final = _WORD["receipt"]
DELIVER: Final = _WORD["deliver"]
CA: Final = _WORD["ca_pending"]
BUY: Final = _WORD["intraday_buy"]
SELL: Final = _WORD["intraday_sell"]
SHORT: Final = _WORD["intraday_short"]
_FREE, _RATE, _RESERVED = _WORD["hypothecatable"], _WORD["hypothecated"], _WORD["reserved"]
# what Op.SET_HYPOTHECATABLE and the operations after it replace
_ATTRIBUTE: Final = (_FREE, _RATE, _WORD["segregated"], _RESERVED, CA)

_LONG_M, _SHORT_M, _FREE_M = Measure.LONG.value, Measure.SHORT.value, Measure.FREE.value
_NET_M, _EXPIRED_M, _CA_M = Measure.NET.value, Measure.EXPIRED.value, Measure.CA_PENDING.value
_TD_LONG_M, _TD_NET_M, _SD_LONG_M = Measure.TD_LONG.value, Measure.TD_NET.value, Measure.SD_LONG.value
_SD_NET_M, _RESERVED_M, _BREAK_M = Measure.SD_NET.value, Measure.RESERVED.value, Measure.TD_BREAK.value
_RATED_M, _UNRATED_M = Measure.RATED_LONG.value, Measure.UNRATED_LONG.value
_OP_BUY, _OP_SELL, _OP_INCREASE, _OP_DECREASE = Op.BUY.value, Op.SELL.value, Op.INCREASE.value, Op.DECREASE.value
_OP_SETTLE_IN, _OP_SETTLE_OUT, _OP_SET = Op.SETTLE_RECEIPT.value, Op.SETTLE_DELIVERY.value, Op.SET.value
_OP_FREE, _OP_RATE, _OP_TD = Op.SET_HYPOTHECATABLE.value, Op.SET_RATE.value, Op.SET_TD.value

ATTRIBUTES: Final = frozenset({Measure.RESERVED, Measure.CA_PENDING, Measure.TD_BREAK})
"""Measures that only Op.SET and operations after it change: trades and settlements keep td - sd - what is expected."""


@nb.njit(**_INLINE)
def look(position: NDArray[np.int64], row: int) -> tuple[int, ...]:
    """projected[0..4] (sd, and what is received less delivered by then), td, sd, hypothecatable, reserved, ca_pending, rate,
    and td less all that is settled or expected."""
    sd = position[row, SD]
    p0 = sd + position[row, RECEIPT] - position[row, DELIVER]
    p1 = p0 + position[row, RECEIPT + 1] - position[row, DELIVER + 1]
    p2 = p1 + position[row, RECEIPT + 2] - position[row, DELIVER + 2]
    p3 = p2 + position[row, RECEIPT + 3] - position[row, DELIVER + 3]
    p4 = p3 + position[row, RECEIPT + 4] - position[row, DELIVER + 4]
    td = position[row, TD]
    left = td - p4 - position[row, RECEIPT + LATER] + position[row, DELIVER + LATER]
    free, reserved, ca = position[row, _FREE], position[row, _RESERVED], position[row, CA]
    return p0, p1, p2, p3, p4, td, sd, free, reserved, ca, position[row, _RATE], left


@nb.njit(**_INLINE)
def given(measure: int, row: tuple[int, ...]) -> tuple[int, ...]:
    """What a row, as `look` saw it, gives on each of the five days (`engine.rule_model.Measure`)."""
    if measure == _LONG_M:
        return max(0, row[0]), max(0, row[1]), max(0, row[2]), max(0, row[3]), max(0, row[4])
    if measure == _SHORT_M:
        return max(0, -row[0]), max(0, -row[1]), max(0, -row[2]), max(0, -row[3]), max(0, -row[4])
    if measure == _NET_M:
        return row[0], row[1], row[2], row[3], row[4]
    if measure == _FREE_M:
        free = row[7]
        p0, p1, p2, p3, p4 = max(0, row[0]), max(0, row[1]), max(0, row[2]), max(0, row[3]), max(0, row[4])
        return min(free, p0), min(free, p1), min(free, p2), min(free, p3), min(free, p4)
    if measure == _EXPIRED_M:
        sd = row[6]
        return sd - row[0], sd - row[1], sd - row[2], sd - row[3], sd - row[4]
    if measure in (_RATED_M, _UNRATED_M):
        weight = row[10] if measure == _RATED_M else int(row[10] == 0)
        p0, p1, p2, p3, p4 = max(0, row[0]), max(0, row[1]), max(0, row[2]), max(0, row[3]), max(0, row[4])
        return p0 * weight, p1 * weight, p2 * weight, p3 * weight, p4 * weight
    same = row[5]
    if measure == _TD_LONG_M:
        same = max(0, row[5])
    elif measure == _SD_LONG_M:
        same = max(0, row[6])
    elif measure == _SD_NET_M:
        same = row[6]
    elif measure == _RESERVED_M:
        same = row[8]
    elif measure == _CA_M:
        same = row[9]
    elif measure == _BREAK_M:
        same = row[11]
    return same, same, same, same, same


@nb.njit(**_INLINE)
def feed(
    before: tuple[int, ...],
    after: tuple[int, ...],
    terms: NDArray[np.int64],
    security: int,
    entries: NDArray[np.int64],
    of_class: int,
    count: int,
) -> None:
    """Carry what the row gives now, instead of what it gave before, into `count` sums of its security (terms: ids x words)."""
    for i in range(count):
        at, measure = entries[of_class, i, 0] * TERM_WORDS, entries[of_class, i, 1]
        new, old = given(measure, after), given(measure, before)
        terms[security, at] += (new[0] - old[0]) & entries[of_class, i, 2]
        terms[security, at + 1] += (new[1] - old[1]) & entries[of_class, i, 3]
        terms[security, at + 2] += (new[2] - old[2]) & entries[of_class, i, 4]
        terms[security, at + 3] += (new[3] - old[3]) & entries[of_class, i, 5]
        terms[security, at + 4] += (new[4] - old[4]) & entries[of_class, i, 6]


@nb.njit(**_INLINE)
def change(position: NDArray[np.int64], row: int, op: int, quantity: int, bucket: int, today: bool) -> None:  # noqa: FBT001  numba binds by place
    """The row after the event (domain.md 2)."""
    if op in (_OP_BUY, _OP_INCREASE):
        position[row, TD] += quantity
        position[row, RECEIPT + bucket] += quantity
        if op == _OP_BUY and today:
            position[row, BUY] += quantity
    elif op <= _OP_DECREASE:
        position[row, TD] -= quantity
        position[row, DELIVER + bucket] += quantity
        if today and op != _OP_DECREASE:
            position[row, SELL if op == _OP_SELL else SHORT] += quantity
    elif op == _OP_SETTLE_IN:
        position[row, RECEIPT + bucket] -= quantity
        position[row, SD] += quantity
    elif op == _OP_SETTLE_OUT:
        position[row, DELIVER + bucket] -= quantity
        position[row, SD] -= quantity
    elif op == _OP_SET:
        for word in range(RECEIPT, CA):
            position[row, word] = 0
        position[row, TD] = position[row, SD] = quantity
    elif op == _OP_RATE:
        position[row, _RATE] = quantity
    elif op == _OP_TD:
        position[row, TD] = quantity
    else:
        position[row, _ATTRIBUTE[op - _OP_FREE]] = quantity


@nb.njit(**_INLINE)
def has_later(position: NDArray[np.int64], row: int) -> bool:
    """Whether anything of the row settles after SD4."""
    return bool(position[row, RECEIPT + LATER] != 0 or position[row, DELIVER + LATER] != 0)
