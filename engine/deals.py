"""The life of what is agreed and has an id (contracts, swaps, orders), as exact changes of the rows it is in.

Opening moves the row by the deal's operation on the settlement date; what is given back moves it the other way. A recall is
expected back on its due date, and a return fulfils what was recalled first, the earliest date first. A working order is
different: what is filled or withdrawn was never due, so it goes off its own dates. A deal keeps what it has put on which date;
a cancellation takes all of that away again. A row's rate is the average of its open deals that have one, weighed by quantity.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.corrections import write
from engine.deal_effects import (
    CODE_WORDS,
    FREE,
    ORDER,
    RATED_ROWS,
    Register,
    Steps,
    as_row,
    average_of,
    find,
    give_back,
    length,
    next_due,
    put,
    too_heavy,
    undo,
    unlink,
    weigh,
)
from engine.events import EVENT, EventArray
from engine.kernel import Book, judge
from engine.later import add, clear
from engine.model import NO_DATE, DealAction, DealState, Flag, Op
from engine.recognise import (
    APPLIED,
    BAD_FIELD,
    BAD_QUANTITY,
    DEAL_KNOWN,
    DEAL_OVER,
    MORE_THAN_OPEN,
    UNKNOWN_DEAL,
    Memory,
    unrecognise,
)
from engine.records import LATER_NODE
from engine.tables import Tables, Word

DATES_EACH: Final = 4
"""Dates a deal has put something on, on average over all the deals there is room for."""
# why `expand` stopped
DONE: Final = 0
FULL_OUT: Final = 1
FULL_DEALS: Final = 2
FULL_DATES: Final = 3
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_OPEN, _INCREASE, _RECALL = DealAction.OPEN.value, DealAction.INCREASE.value, DealAction.RECALL.value
_RETURN, _RERATE, _CLOSE = DealAction.RETURN.value, DealAction.RERATE.value, DealAction.CLOSE.value
_UNDO: Final = DealAction.CANCEL.value
_IS_OPEN, _IS_CLOSED, _IS_CANCELLED = DealState.OPEN.value, DealState.CLOSED.value, DealState.CANCELLED.value
_OP_IN, _OP_OUT, _OP_RATE = Op.INCREASE.value, Op.DECREASE.value, Op.SET_RATE.value
_LAST_MOVE: Final = Op.SETTLE_DELIVERY.value
_PART: Final = Flag.PART.value
_UNSAID: Final = Flag.CANCEL.value | Flag.QUANTO.value
"""What a step's own event has no say in: its direction follows from the deal, and its date has been moved."""


@nb.njit(**_JIT)
def _place(of: Register) -> int:
    """A place for another deal; 0 where there is none."""
    if of.counters[FREE]:
        of.counters[FREE] -= 1
        return int(of.free[of.counters[FREE]])
    if of.used[0] + 1 >= of.deal.shape[0] or 2 * of.counters[RATED_ROWS] > of.rated.shape[0]:
        return 0
    of.used[0] += 1
    return int(of.used[0])


@nb.njit(**_JIT)
def _begin(number: int, i: int, steps: Steps, of: Register) -> None:
    """Write down a deal, without what it is about to put on its row; a cancelled one may have been there."""
    deal, event = of.deal[number], steps.events[i]
    unlink(number, of)
    for word in range(CODE_WORDS):
        of.code[number, word] = steps.code[i, word]
    deal.source, deal.security, deal.book, deal.depot = event.source, event.security, event.book, event.depot
    deal.kind, deal.op = event.kind, event.op
    deal.opened, deal.quantity, deal.recalled = 0, 0, 0
    deal.start_date, deal.due_date, deal.end_date = event.settle_date, NO_DATE, steps.end_date[i]
    deal.rate, deal.counterparty = steps.rate[i], steps.counterparty[i]
    deal.next_in_security = of.first_deal[event.security]
    of.first_deal[event.security] = number


@nb.njit(**_JIT)
def _refusal(i: int, number: int, quantity: int, steps: Steps, of: Register) -> int:
    """The outcome of a step, its dates and its row apart."""
    action, event = steps.action[i], steps.events[i]
    state = of.deal[number].state if number else 0
    if action > _UNDO:
        return BAD_FIELD
    if action == _OPEN:
        if state in (_IS_OPEN, _IS_CLOSED):
            return DEAL_KNOWN
        if event.op not in (_OP_IN, _OP_OUT):
            return BAD_FIELD
    elif state != _IS_OPEN and not (state == _IS_CLOSED and action in (_INCREASE, _UNDO)):
        return DEAL_OVER if state else UNKNOWN_DEAL
    if action in (_OPEN, _INCREASE, _RECALL, _RETURN) and quantity < 1:
        return BAD_QUANTITY
    if action == _RETURN and quantity > of.deal[number].quantity:
        return MORE_THAN_OPEN
    if action == _RECALL and of.deal[number].kind == ORDER:  # nobody can ask a working order back
        return BAD_FIELD
    if action == _RECALL and quantity > of.deal[number].quantity - of.deal[number].recalled:
        return MORE_THAN_OPEN
    if action == _OPEN and too_heavy(event, quantity, steps.rate[i], of):
        return BAD_QUANTITY
    if action == _INCREASE and too_heavy(of.deal[number], quantity, of.deal[number].rate, of):
        return BAD_QUANTITY
    if action == _RERATE and too_heavy(of.deal[number], of.deal[number].quantity, steps.rate[i], of):
        return BAD_QUANTITY
    return APPLIED


@nb.njit(**_JIT)
def _prepare(i: int, number: int, quantity: int, steps: Steps, event: Any, of: Register, book: Book) -> int:
    """Make `event`, a copy of the step's, what the step moves; returns its outcome."""
    action = steps.action[i]
    event.flags &= ~np.uint8(_UNSAID)
    event.quantity = quantity
    if action != _OPEN:
        as_row(event, of.deal[number])
    if action in (_RETURN, _CLOSE, _RECALL):
        event.op = _OP_OUT if event.op == _OP_IN else _OP_IN
        if action == _RECALL:
            event.settle_date = steps.due_date[i]
        elif of.deal[number].kind == ORDER or quantity == 0:
            return APPLIED
    if action in (_RERATE, _UNDO):
        return APPLIED
    outcome: int = judge(event, book)
    return outcome


@nb.njit(**_JIT)
def _change(number: int, i: int, steps: Steps, out: EventArray, at: int, of: Register, book: Book) -> int:
    """The deal after a step that can be done; `out[at]` is its event. Returns how many events it is."""
    deal, event, action = of.deal[number], out[at], steps.action[i]
    quantity, date = event.quantity, event.settle_date
    today = np.int64(book.today[book.market_of[deal.security], 0])
    before = average_of(deal, of)
    weigh(deal, -1, of)
    written = 0
    if action in (_OPEN, _INCREASE):
        deal.opened += quantity
        deal.quantity += quantity
        deal.state = _IS_OPEN
        put(number, deal.op, quantity, date, of)
        written = 1
    elif action == _RECALL:
        add(number, date, 0, quantity, of.recalls, of.nodes, of.node_counters)
        put(number, event.op, quantity, date, of)
        deal.recalled += quantity
        next_due(deal, number, of)
        written = 1
    elif action in (_RETURN, _CLOSE):
        written = give_back(number, quantity, out, at, today, of)
        deal.quantity -= quantity
        if deal.quantity == 0:
            deal.state = _IS_CLOSED
    elif action == _RERATE:
        deal.rate = steps.rate[i]
    else:
        written = undo(number, out, at, today, of)
        deal.quantity, deal.recalled, deal.state, deal.due_date = 0, 0, _IS_CANCELLED, NO_DATE
    weigh(deal, 1, of)
    deal.updated_ns = steps.events[i].time_ns
    rate = average_of(deal, of)
    if rate != before:
        out[at + written] = out[at]
        out[at + written].flags &= ~np.uint8(_UNSAID)
        out[at + written].op, out[at + written].quantity, out[at + written].settle_date = _OP_RATE, rate, NO_DATE
        written += 1
    for part in range(at + 1, at + written):
        out[part].flags |= _PART
    return written


@nb.njit(**_JIT)
def expand(
    first: int,
    steps: Steps,
    outcome: NDArray[np.uint8],
    out: EventArray,
    written: int,
    memory: Memory,
    of: Register,
    book: Book,
) -> tuple[int, int, int]:
    """Do the steps from `first` on, and write what they do to rows to `out`: all of it can be applied.

    Returns where it stopped, how many events there are in `out`, and why it stopped. What is refused gets its outcome, and
    changes nothing; a step of a deal that is not known may come again, with its number, when the deal is. A part follows the
    fate of its event, takes what there is, and is never refused for what there is not.
    """
    nodes = of.nodes.shape[0]
    for i in range(first, steps.events.shape[0]):
        event = steps.events[i]
        part = event.flags & _PART != 0
        if part and i > 0 and outcome[i] == APPLIED:
            outcome[i] = outcome[i - 1]
        if outcome[i] != APPLIED:
            continue
        if written + 4 > out.shape[0]:
            return i, written, FULL_OUT
        out[written] = event
        if not steps.code[i].any():
            outcome[i] = judge(event, book)
            if outcome[i] == APPLIED:
                written += 1
                if not part and event.op <= _LAST_MOVE:
                    write(event, memory.ledger)
            continue
        number, slot = find(steps.code, i, event.source, of)
        quantity = event.quantity
        if number and steps.action[i] in (_RETURN, _CLOSE, _UNDO):
            if written + 4 + 2 * length(of.dates[number], of.nodes) > out.shape[0]:
                return i, written, FULL_OUT
            if steps.action[i] == _CLOSE or (part and steps.action[i] == _RETURN):
                quantity = (
                    of.deal[number].quantity if steps.action[i] == _CLOSE else min(quantity, of.deal[number].quantity)
                )
        outcome[i] = _refusal(i, number, quantity, steps, of)
        if outcome[i] == APPLIED:
            outcome[i] = _prepare(i, number, quantity, steps, out[written], of, book)
        if outcome[i] != APPLIED:
            if part:
                outcome[i] = APPLIED
            elif outcome[i] == UNKNOWN_DEAL:
                unrecognise(event.source, event.seq, memory)
            continue
        if of.node_counters[1] == 0 and of.node_counters[0] + 2 > nodes:
            return i, written, FULL_DATES
        if steps.action[i] == _OPEN:
            if number == 0:
                number = _place(of)
                if number == 0:
                    return i, written, FULL_DEALS
                of.slots[slot] = number
            _begin(number, i, steps, of)
        written += _change(number, i, steps, out, written, of, book)
    return steps.events.shape[0], written, DONE


@nb.njit(**_JIT)
def _rebuild(of: Register, closed_too: bool) -> None:  # noqa: FBT001  numba binds by place
    """Everything that follows from the deals themselves. Without `closed_too` the places of what is over are given back."""
    of.slots[:] = 0
    of.first_deal[:] = 0
    of.rated[:] = 0
    of.counters[:] = 0
    for number in range(of.used[0], 0, -1):
        deal = of.deal[number]
        if deal.state == 0 or (deal.state != _IS_OPEN and not closed_too):
            clear(number, of.dates, of.nodes, of.node_counters)
            clear(number, of.recalls, of.nodes, of.node_counters)
            deal.state = 0
            for word in range(CODE_WORDS):
                of.code[number, word] = 0
            of.free[of.counters[FREE]] = number
            of.counters[FREE] += 1
    for number in range(1, of.used[0] + 1):
        deal = of.deal[number]
        if deal.state == 0:
            continue
        deal.next_in_security = of.first_deal[deal.security]
        of.first_deal[deal.security] = number
        _, slot = find(of.code, number, deal.source, of)
        of.slots[slot] = number
        weigh(deal, 1, of)


class Deals:
    """The deals of a machine, over the shared tables."""

    def __init__(self, tables: Tables) -> None:
        deal = tables.array["deal"]
        places = len(deal)
        slots = 1 << (2 * places - 1).bit_length()
        self.register = Register(
            deal=deal,
            code=deal.view("<u4").reshape(places, -1)[:, :CODE_WORDS],
            first_deal=tables.array["first_deal"],
            slots=np.zeros(slots, np.int32),
            free=np.zeros(places, np.int32),
            counters=np.zeros(2, np.int64),
            used=tables.state[Word.DEALS : Word.DEALS + 1],
            dates=np.zeros(places, np.int32),
            recalls=np.zeros(places, np.int32),
            nodes=np.zeros(DATES_EACH * places, LATER_NODE),
            node_counters=np.zeros(2, np.int64),
            rated=np.zeros((slots, 3), np.int64),
        )

    def step(
        self, events: EventArray, steps: NDArray[Any], outcome: NDArray[np.uint8], memory: Memory, book: Book
    ) -> tuple[EventArray, str]:
        """Do what `outcome` says is new, and fill in what became of the rest. `events`: those of the steps, dated.

        Returns what it does to rows, all of it to be applied, and which table is full, if one is: the writer must then stop.
        """
        words = np.ascontiguousarray(steps["code"]).view("<u4").reshape(-1, CODE_WORDS)
        columns = (
            np.ascontiguousarray(steps[name]) for name in ("rate", "due_date", "end_date", "counterparty", "action")
        )
        taken = Steps(events, words, *columns)
        out = np.empty(3 * events.size + 64, EVENT)
        at, written, forgotten = 0, 0, False
        while True:
            at, written, why = expand(at, taken, outcome, out, written, memory, self.register, book)
            if why == FULL_OUT:
                out = np.concatenate((out, np.empty(out.size, EVENT)))
            elif why == DONE or forgotten:
                return out[:written], ("", "", "deals", "dates of deals")[why]
            else:
                self.forget()
                forgotten = True

    def forget(self) -> None:
        """Give back the places of deals that are over."""
        _rebuild(self.register, False)  # noqa: FBT003  numba binds by place

    def rebuild(self) -> None:
        """After the table of deals was filled, or changed, from outside."""
        _rebuild(self.register, True)  # noqa: FBT003  numba binds by place

    def private(self) -> dict[str, NDArray[Any]]:
        """What a snapshot needs beside the shared tables."""
        register = self.register
        names = ("dates", "recalls", "nodes", "node_counters")
        return {f"deal_{name}": getattr(register, name) for name in names}
