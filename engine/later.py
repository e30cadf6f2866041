"""What settles after SD4, by date: without it the later bucket could not give its stock back when its day comes.

A row has a chain of nodes in one pool, one per settlement date: `head[row]` and `next` are node + 1, 0 ends the chain. The
nodes of a row always add up to its later bucket. `counters`: nodes ever taken, and the first one given back + 1.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import DAYS, LATER
from engine.row import DELIVER, RECEIPT

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


@nb.njit(**_JIT)
def add(
    row: int,
    date: int,
    receipt: int,
    deliver: int,
    head: NDArray[np.int32],
    nodes: NDArray[np.void],
    counters: NDArray[np.int64],
) -> bool:
    """Count a receipt and a delivery (negative: take back) on a date. False: the pool is used up, nothing was done."""
    at = np.int64(head[row])
    while at:
        if nodes[at - 1].date == date:
            nodes[at - 1].receipt += receipt
            nodes[at - 1].deliver += deliver
            return True
        at = np.int64(nodes[at - 1].next)
    at = counters[1]
    if at:
        counters[1] = nodes[at - 1].next
    elif counters[0] < nodes.shape[0]:
        counters[0] += 1
        at = counters[0]
    else:
        return False
    nodes[at - 1].date, nodes[at - 1].next = date, head[row]
    nodes[at - 1].receipt, nodes[at - 1].deliver = receipt, deliver
    head[row] = at
    return True


@nb.njit(**_JIT)
def clear(row: int, head: NDArray[np.int32], nodes: NDArray[np.void], counters: NDArray[np.int64]) -> None:
    """Give all of a row's nodes back."""
    at = np.int64(head[row])
    while at:
        following = np.int64(nodes[at - 1].next)
        nodes[at - 1].next = counters[1]
        counters[1] = at
        at = following
    head[row] = 0


@nb.njit(**_JIT)
def arrive(
    row: int,
    position: NDArray[np.int64],
    ordinals: NDArray[np.int32],
    base_date: int,
    today: int,
    head: NDArray[np.int32],
    nodes: NDArray[np.void],
    counters: NDArray[np.int64],
) -> None:
    """Move what now falls on SD0..SD4 from the later bucket to its day. `ordinals`: of dates from `base_date`; `today`: SD0."""
    at, before = np.int64(head[row]), np.int64(0)
    while at:
        node = nodes[at - 1]
        following, place = np.int64(node.next), np.int64(node.date) - base_date
        day = np.int64(ordinals[place]) - today if place < ordinals.shape[0] else np.int64(LATER)
        if day >= DAYS:
            before, at = at, following
            continue
        day = max(day, np.int64(0))
        position[row, RECEIPT + day] += node.receipt
        position[row, RECEIPT + LATER] -= node.receipt
        position[row, DELIVER + day] += node.deliver
        position[row, DELIVER + LATER] -= node.deliver
        if before:
            nodes[before - 1].next = following
        else:
            head[row] = following
        node.next = counters[1]
        counters[1] = at
        at = following
