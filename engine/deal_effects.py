"""What a deal does to its row: compiled leaves of `engine.deals`.

Opening moves the row by the deal's operation on the settlement date; what is given back moves it the other way. A recall is
expected back on its due date, and a return fulfils what was recalled first, the earliest date first. A working order is
different: what is filled or withdrawn was never due, so it goes off its own dates. A deal keeps what it has put on which date;
a cancellation takes all of that away again. A row's rate is the average of its open deals that have one, weighed by quantity.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import later
from engine.events import EventArray
from engine.kernel import hash_of
from engine.model import RATE_UNKNOWN, Flag, Kind, Op

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
CODE_WORDS: Final = 6
"""Words of 32 bits of a code; records of deals are not a multiple of 64 bits long."""
_OP_IN, _OP_OUT = Op.INCREASE.value, Op.DECREASE.value
_CANCEL, _QUANTO = Flag.CANCEL.value, Flag.QUANTO.value
ORDER, _LAST_OF_CLIENTS = Kind.OPEN_ORDER.value, Kind.SYNTHETIC.value
_MOST_WEIGHED: Final = 4.0e18
# words of `Register.counters`
FREE: Final = 0
RATED_ROWS: Final = 1


class Steps(NamedTuple):
    """A batch of steps as columns; see `engine.events.DEAL_STEP`."""

    events: EventArray
    code: NDArray[np.uint32]
    """(n, 6)"""
    rate: NDArray[np.int32]
    due_date: NDArray[np.int32]
    end_date: NDArray[np.int32]
    counterparty: NDArray[np.uint16]
    action: NDArray[np.uint8]


class Register(NamedTuple):
    """The deals there are, and what belongs to them."""

    deal: NDArray[np.void]
    code: NDArray[np.uint32]
    """(deals + 1, 6): the same memory as the codes in `deal`."""
    first_deal: NDArray[np.int32]
    slots: NDArray[np.int32]
    """Hash from source and code to the deal's number; 0 for none."""
    free: NDArray[np.int32]
    """Places given back; how many is in `counters`."""
    counters: NDArray[np.int64]
    used: NDArray[np.int64]
    """Shape (1,): `Word.DEALS`."""
    dates: NDArray[np.int32]
    """The first date (node + 1) of what a deal has put on its row."""
    recalls: NDArray[np.int32]
    """The same of what is recalled and not yet given back, in the nodes' deliveries."""
    nodes: NDArray[np.void]
    node_counters: NDArray[np.int64]
    rated: NDArray[np.int64]
    """Hash (2**k, 3) from a row's key to the sum of rate x quantity, and of the quantities, of its open deals with a rate."""


@nb.njit(**_INLINE)
def find(code: NDArray[np.uint32], i: int, source: int, of: Register) -> tuple[np.int64, np.int64]:
    """The number of a source's deal, or 0 and the slot where it belongs."""
    mixed = np.uint64(source)
    for word in range(CODE_WORDS):
        mixed = (mixed ^ np.uint64(code[i, word])) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mask = np.int64(of.slots.shape[0] - 1)
    at = np.int64(mixed & np.uint64(mask))
    while True:
        number = np.int64(of.slots[at])
        if number == 0:
            return number, at
        same = of.deal[number].source == source
        for word in range(CODE_WORDS):
            same &= of.code[number, word] == code[i, word]
        if same:
            return number, at
        at = (at + 1) & mask


@nb.njit(**_INLINE)
def _rated_slot(key: int, rated: NDArray[np.int64]) -> np.int64:
    mask = np.int64(rated.shape[0] - 1)
    at = np.int64(hash_of(key) & np.uint64(mask))
    while rated[at, 0] not in (0, key):
        at = (at + 1) & mask
    return at


@nb.njit(**_JIT)
def key_of_deal(deal: Any) -> np.int64:
    """The key of a deal's row, as `engine.model.row_key` makes it."""
    low = (np.int64(deal.book) << 24) | (np.int64(deal.depot) << 8) | np.int64(deal.kind)
    return np.int64((np.int64(deal.security) << 40) | low)


@nb.njit(**_JIT)
def has_rate(deal: Any) -> bool:
    """Whether a deal's rate counts for its row: rows of clients have no room for one, working orders have none."""
    return bool(deal.rate != RATE_UNKNOWN and deal.kind > _LAST_OF_CLIENTS and deal.kind != ORDER)


@nb.njit(**_JIT)
def weigh(deal: Any, sign: int, of: Register) -> None:
    """Count (1) or no longer count (-1) a deal in its row's rate."""
    if not has_rate(deal) or deal.quantity == 0:
        return
    key = key_of_deal(deal)
    at = _rated_slot(key, of.rated)
    if of.rated[at, 0] == 0:
        of.rated[at, 0] = key
        of.counters[RATED_ROWS] += 1
    of.rated[at, 1] += sign * deal.quantity * np.int64(deal.rate)
    of.rated[at, 2] += sign * deal.quantity


@nb.njit(**_JIT)
def average_of(deal: Any, of: Register) -> np.int64:
    """The rate of the deal's row: rounded down, and 0 (unknown) where there is none, or the average is a rebate."""
    at = _rated_slot(key_of_deal(deal), of.rated)
    if of.rated[at, 2] == 0:
        return np.int64(0)
    return max(np.int64(0), of.rated[at, 1] // of.rated[at, 2])


@nb.njit(**_JIT)
def too_heavy(deal: Any, quantity: int, rate: int, of: Register) -> bool:
    """Whether the sum behind the row's rate would leave int64."""
    if rate == RATE_UNKNOWN:
        return False
    weighed = float(of.rated[_rated_slot(key_of_deal(deal), of.rated), 1])
    return abs(weighed) + float(quantity) * abs(float(rate)) > _MOST_WEIGHED


@nb.njit(**_JIT)
def as_row(event: Any, deal: Any) -> None:
    """Let an event be about the deal's row."""
    event.security, event.book, event.depot, event.kind = deal.security, deal.book, deal.depot, deal.kind
    event.op, event.flags = deal.op, event.flags & ~np.uint8(_CANCEL | _QUANTO)


@nb.njit(**_JIT)
def _moved(event: Any, op: int, quantity: int, date: int, back: bool) -> None:  # noqa: FBT001  numba binds by place
    event.op, event.quantity, event.settle_date = op, quantity, date
    if back:
        event.flags |= _CANCEL


@nb.njit(**_JIT)
def _earliest(first: int, incoming: bool, nodes: NDArray[np.void]) -> np.int64:  # noqa: FBT001  numba binds by place
    """The node + 1 of the earliest date that has something left; 0 for none."""
    best, at = np.int64(0), np.int64(first)
    while at:
        node = nodes[at - 1]
        left = node.receipt if incoming else node.deliver
        if left > 0 and (best == 0 or node.date < nodes[best - 1].date):
            best = at
        at = np.int64(node.next)
    return best


@nb.njit(**_JIT)
def length(first: int, nodes: NDArray[np.void]) -> int:
    """Nodes of a chain."""
    count, at = 0, np.int64(first)
    while at:
        count, at = count + 1, np.int64(nodes[at - 1].next)
    return count


@nb.njit(**_JIT)
def put(number: int, op: int, quantity: int, date: int, of: Register) -> None:
    """Note what the deal puts on a date (negative: takes off it). There is room."""
    receipt, deliver = (quantity, 0) if op == _OP_IN else (0, quantity)
    later.add(number, date, receipt, deliver, of.dates, of.nodes, of.node_counters)


@nb.njit(**_JIT)
def next_due(deal: Any, number: int, of: Register) -> None:
    """Let the deal say when the first of what is recalled is due."""
    at = _earliest(of.recalls[number], False, of.nodes)  # noqa: FBT003
    deal.due_date = of.nodes[at - 1].date if at else -1


@nb.njit(**_JIT)
def give_back(number: int, quantity: int, out: EventArray, at: int, today: int, of: Register) -> int:
    """Return `quantity` of what is open; `out[at]` is the event of the return. Returns how many events there are."""
    deal, event = of.deal[number], out[at]
    date, back = event.settle_date, _OP_OUT if deal.op == _OP_IN else _OP_IN
    written, left, settling = 0, quantity, quantity
    if deal.kind == ORDER:
        incoming = deal.op == _OP_IN
        while left:
            node = _earliest(of.dates[number], incoming, of.nodes) - 1
            of_date = of.nodes[node].receipt if incoming else of.nodes[node].deliver
            some = min(left, of_date)
            out[at + written] = event
            _moved(out[at + written], deal.op, some, max(of.nodes[node].date, today), True)  # noqa: FBT003
            put(number, deal.op, -some, of.nodes[node].date, of)
            left -= some
            written += 1
    else:
        moving = np.empty((length(of.recalls[number], of.nodes), 2), np.int64)
        moves = 0
        while left and deal.recalled:
            node = _earliest(of.recalls[number], False, of.nodes) - 1  # noqa: FBT003
            due = of.nodes[node].date
            some = min(left, of.nodes[node].deliver)
            of.nodes[node].deliver -= some
            deal.recalled -= some
            left -= some
            if due == date:
                settling -= some
            else:
                moving[moves, 0], moving[moves, 1] = due, some
                moves += 1
        if settling:
            _moved(out[at], back, settling, date, False)  # noqa: FBT003
            put(number, back, settling, date, of)
            written = 1
        for i in range(moves):
            out[at + written] = event
            _moved(out[at + written], back, moving[i, 1], max(moving[i, 0], today), True)  # noqa: FBT003
            put(number, back, -moving[i, 1], moving[i, 0], of)
            written += 1
        next_due(deal, number, of)
    return written


@nb.njit(**_JIT)
def undo(number: int, out: EventArray, at: int, today: int, of: Register) -> int:
    """Take away all that the deal has put on its row. Returns how many events there are."""
    written, node = 0, np.int64(of.dates[number])
    while node:
        for op in (_OP_IN, _OP_OUT):
            left = of.nodes[node - 1].receipt if op == _OP_IN else of.nodes[node - 1].deliver
            if left:
                out[at + written] = out[at]
                _moved(out[at + written], op, left, max(of.nodes[node - 1].date, today), True)  # noqa: FBT003
                written += 1
        node = np.int64(of.nodes[node - 1].next)
    later.clear(number, of.dates, of.nodes, of.node_counters)
    later.clear(number, of.recalls, of.nodes, of.node_counters)
    return written


@nb.njit(**_JIT)
def unlink(number: int, of: Register) -> None:
    """Take a deal out of its security's chain, if it is in one."""
    first, following = of.deal[number].security, of.deal[number].next_in_security
    at = np.int64(of.first_deal[first])
    if at == number:
        of.first_deal[first] = following
        return
    while at:
        if of.deal[at].next_in_security == number:
            of.deal[at].next_in_security = following
            return
        at = np.int64(of.deal[at].next_in_security)
