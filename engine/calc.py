"""Runs the compiled calculations over the securities that changed, a block at a time: one instruction, many securities.

Postfix programs become three-address code over slots: a slot holds one number per (security, day) of the block. Sums, facts and
clocks are gathered into their slots once per block; what no security of the block ever fed costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.expression import Code, Program
from engine.model import DAYS, HEAD_FACTS, HEAD_TOUCHED, TERM_WORDS, Clock, Fact
from engine.prefetch import prefetch
from engine.rule_model import WEIGHT_UNIT

BLOCK: Final = 16
_LANES: Final = BLOCK * DAYS
_FACTS: Final = len(Fact)
_CLOCKS: Final = len(Clock)
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}

_SET, _ADD, _ADD_TO, _SUBTRACT, _SUBTRACT_FROM, _MULTIPLY, _DIVIDE, _GREATEST, _LEAST = range(9)
_WEIGH, _WEIGH_DAYS, _VALUE, _CONVERT = range(9, 13)
_BINARY: Final = {
    Code.ADD: _ADD,
    Code.SUBTRACT: _SUBTRACT,
    Code.MULTIPLY: _MULTIPLY,
    Code.DIVIDE: _DIVIDE,
    Code.GREATEST: _GREATEST,
    Code.LEAST: _LEAST,
}
_IN_PLACE: Final = {Code.ADD: _ADD_TO, Code.SUBTRACT: _SUBTRACT_FROM}
_MILLION: Final = 10**6
_BILLION: Final = 10**9
_MOST: Final = 9.2e18
"""A product that is surely smaller than 2**63."""


class Programs(NamedTuple):
    """All programs of all markets. Slots: constants, day weights, components, facts, clocks, calculations, steps."""

    code: NDArray[np.int64]
    """(instructions, 4): what, target, left, right (slots; of _WEIGH the right is a weight)."""
    span: NDArray[np.int64]
    """(markets, 2): begin and end."""
    fixed: NDArray[np.int64]
    """(slots that never change, DAYS)."""
    components: NDArray[np.int64]
    """Components in the order of their slots."""
    calculations: NDArray[np.int64]
    """Calculations that are run, in the order of their slots."""
    slots: int


@dataclass(slots=True)
class _Slots:
    """Where everything is kept while code is made."""

    fixed: list[tuple[int, ...]]
    components: list[int]
    calculations: list[int]
    most: int = 0

    def constant(self, *days: int) -> int:
        row = days * DAYS if len(days) == 1 else days
        if row not in self.fixed:
            self.fixed.append(row)
        return self.fixed.index(row)


def programs_of(
    programs: Sequence[Sequence[Program]], chosen: Sequence[int], day_weights: NDArray[np.int64]
) -> Programs:
    """Code for the `chosen` calculations (in their order, which must have a calculation after those it uses)."""
    slots = _Slots([], [], list(chosen))
    for of_market in programs:
        for calculation in chosen:
            for what, argument in of_market[calculation]:
                if what == Code.CONSTANT:
                    slots.constant(argument)
                elif what == Code.WEIGH_DAYS:
                    slots.constant(*day_weights[argument].tolist())
                elif what == Code.TERM and argument not in slots.components:
                    slots.components.append(argument)
    slots.constant(0)
    slots.components.sort()
    code: list[tuple[int, int, int, int]] = []
    span: NDArray[np.int64] = np.zeros((len(programs), 2), np.int64)
    for market, of_market in enumerate(programs):
        begin = len(code)
        for calculation in chosen:
            code += _three_address(of_market[calculation], calculation, slots, day_weights)
        span[market] = begin, len(code)
    return Programs(
        np.array(code, np.int64).reshape(-1, 4),
        span,
        np.array(slots.fixed, np.int64).reshape(-1, DAYS),
        np.array(slots.components, np.int64),
        np.array(slots.calculations, np.int64),
        _first_temporary(slots) + slots.most,
    )


def _first_temporary(slots: _Slots) -> int:
    return len(slots.fixed) + len(slots.components) + _FACTS + _CLOCKS + len(slots.calculations)


def _three_address(
    program: Program, calculation: int, slots: _Slots, day_weights: NDArray[np.int64]
) -> list[tuple[int, int, int, int]]:
    """Operands are used where they lie; only what is in between is written."""
    components = len(slots.fixed)
    facts = components + len(slots.components)
    clocks = facts + _FACTS
    calculations = clocks + _CLOCKS
    temporaries = _first_temporary(slots)
    zero = slots.constant(0)
    made: list[tuple[int, int, int, int]] = []
    stack: list[int] = []
    free: list[int] = []

    def target(*used: int) -> int:
        free.extend(slot for slot in used if slot >= temporaries)
        for slot in sorted(free):
            if slot not in used:
                free.remove(slot)
                return slot
        slots.most += 1
        return temporaries + slots.most - 1

    taken = slots.most
    slots.most = 0
    for what, argument in program:
        if what == Code.CONSTANT:
            stack.append(slots.constant(argument))
        elif what == Code.TERM:
            stack.append(components + slots.components.index(argument))
        elif what == Code.FACT:
            stack.append(facts + argument)
        elif what == Code.CLOCK:
            stack.append(clocks + argument)
        elif what == Code.CALCULATION:
            stack.append(calculations + slots.calculations.index(argument))
        elif what in (Code.WEIGH, Code.WEIGH_DAYS):
            left = stack.pop()
            right = argument if what == Code.WEIGH else slots.constant(*day_weights[argument].tolist())
            stack.append(target(left))
            made.append((_WEIGH if what == Code.WEIGH else _WEIGH_DAYS, stack[-1], left, right))
        else:
            right, left = stack.pop(), stack.pop()
            if what == Code.ADD and left == zero:
                stack.append(right)
            elif what in _IN_PLACE and left >= temporaries:
                made.append((_IN_PLACE[Code(what)], left, left, right))
                free.extend([right] if right >= temporaries else [])
                stack.append(left)
            else:
                stack.append(target(left, right))
                operation = _BINARY[Code(what)] if what != Code.VALUE else _VALUE if argument == _MILLION else _CONVERT
                made.append((operation, stack[-1], left, right))
    slots.most = max(taken, slots.most)
    return _into(calculations + slots.calculations.index(calculation), stack.pop(), made, temporaries)


def _into(
    slot: int, result: int, code: list[tuple[int, int, int, int]], temporaries: int
) -> list[tuple[int, int, int, int]]:
    """Let the result be made where it belongs, from the instruction on that begins it."""
    if result < temporaries:
        return [*code, (_SET, slot, result, 0)]
    begins = max(
        i for i, (what, target, _, _) in enumerate(code) if target == result and what not in _IN_PLACE.values()
    )

    def renamed(place: int) -> int:
        return slot if place == result else place

    return code[:begins] + [
        (
            what,
            renamed(target),
            left if i == 0 else renamed(left),
            right if i == 0 or what == _WEIGH else renamed(right),
        )
        for i, (what, target, left, right) in enumerate(code[begins:])
    ]


@nb.njit(**_JIT)
def recalculate(
    ids: NDArray[np.int32],
    market_of: NDArray[np.uint8],
    programs: Programs,
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    clock: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Fill the values of `ids`. Shapes: terms (securities, components * TERM_WORDS), head (securities, HEAD_WORDS), clock
    (markets, clocks, DAYS), values (securities, calculations * DAYS)."""
    code, span, fixed, components = programs.code, programs.span, programs.fixed, programs.components
    calculations = programs.calculations
    markets = span.shape[0]
    first = np.zeros(markets + 1, np.int64)
    for i in range(ids.size):
        first[market_of[ids[i]] + 1] += 1
    for market in range(markets):
        first[market + 1] += first[market]
    ordered, at = np.empty(ids.size, np.int32), first.copy()
    for i in range(ids.size):
        market = market_of[ids[i]]
        ordered[at[market]] = ids[i]
        at[market] += 1
    work = np.zeros(programs.slots * _LANES, np.int64)
    for slot in range(fixed.shape[0]):
        _spread(work, slot * _LANES, fixed[slot])
    facts_at = (fixed.shape[0] + components.size) * _LANES
    clocks_at = facts_at + _FACTS * _LANES
    values_at = clocks_at + _CLOCKS * _LANES
    for i in range(min(2 * BLOCK, ids.size)):
        prefetch(head, ordered[i], 0)
    for market in range(markets):
        if first[market] == first[market + 1]:
            continue
        for i in range(_CLOCKS):
            _spread(work, clocks_at + i * _LANES, clock[market, i])
        for start in range(first[market], first[market + 1], BLOCK):
            size = min(BLOCK, first[market + 1] - start)
            for j in range(size):
                security = np.int64(ordered[start + j])
                lane = j * DAYS
                touched = head[security, HEAD_TOUCHED]
                slot = fixed.shape[0] * _LANES + lane
                for i in range(components.size):
                    column = components[i] * TERM_WORDS
                    if touched >> components[i] & 1:
                        for day in range(DAYS):
                            work[slot + day] = terms[security, column + day]
                    else:
                        for day in range(DAYS):
                            work[slot + day] = 0
                    slot += _LANES
                for i in range(_FACTS):
                    for day in range(DAYS):
                        work[facts_at + i * _LANES + lane + day] = head[security, HEAD_FACTS + i]
            following = ordered[start + size : start + size + BLOCK]
            for i in range(start + size + BLOCK, min(start + size + 2 * BLOCK, ids.size)):
                prefetch(head, ordered[i], 0)
            own = code[span[market, 0] : span[market, 1]]
            _run(own, work, size * DAYS, following, components, terms, head, values)
            for j in range(size):
                security = np.int64(ordered[start + j])
                for i in range(calculations.size):
                    column, slot = calculations[i] * DAYS, values_at + i * _LANES + j * DAYS
                    for day in range(DAYS):
                        values[security, column + day] = work[slot + day]


@nb.njit(**_INLINE)
def _ask(
    security: int,
    components: NDArray[np.int64],
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Have what the next block needs of a security brought near."""
    touched = head[security, HEAD_TOUCHED]
    for i in range(components.size):
        if touched >> components[i] & 1:
            prefetch(terms, security, components[i] * TERM_WORDS)
    for word in range(0, values.shape[1], TERM_WORDS):
        prefetch(values, security, word)


@nb.njit(**_INLINE)
def _spread(work: NDArray[np.int64], at: int, days: NDArray[np.int64]) -> None:
    """The same five days for every security of a block."""
    for lane in range(_LANES):
        work[at + lane] = days[lane % DAYS]


@nb.njit(**_INLINE)
def _value(a: int, b: int, unit: int) -> int:
    """floor(a * b / unit), exact also where the product does not fit into 64 bits."""
    if abs(np.float64(a) * np.float64(b)) < _MOST:
        return a * b // unit
    a_whole, a_rest, b_whole, b_rest = a // unit, a % unit, b // unit, b % unit
    return a_whole * b_whole * unit + a_whole * b_rest + a_rest * b_whole + a_rest * b_rest // unit


@nb.njit(**_JIT)
def _run(
    code: NDArray[np.int64],
    work: NDArray[np.int64],
    lanes: int,
    following: NDArray[np.int32],
    components: NDArray[np.int64],
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Run a program over a block, and between its instructions ask memory for the `following` block.

    Unsigned places: numba looks for negative ones otherwise, and the loops do not become vector instructions.
    """
    count = np.uint64(lanes)
    asked = 0
    for i in range(code.shape[0]):
        if i & 1 and asked < following.size:
            _ask(np.int64(following[asked]), components, terms, head, values)
            asked += 1
        what = code[i, 0]
        d, a, b = np.uint64(code[i, 1] * _LANES), np.uint64(code[i, 2] * _LANES), np.uint64(code[i, 3] * _LANES)
        if what == _ADD_TO:
            for k in range(count):
                work[d + k] += work[b + k]
        elif what == _SUBTRACT_FROM:
            for k in range(count):
                work[d + k] -= work[b + k]
        elif what == _ADD:
            for k in range(count):
                work[d + k] = work[a + k] + work[b + k]
        elif what == _SUBTRACT:
            for k in range(count):
                work[d + k] = work[a + k] - work[b + k]
        elif what == _GREATEST:
            for k in range(count):
                work[d + k] = max(work[a + k], work[b + k])
        elif what == _LEAST:
            for k in range(count):
                work[d + k] = min(work[a + k], work[b + k])
        elif what == _SET:
            for k in range(count):
                work[d + k] = work[a + k]
        elif what == _MULTIPLY:
            for k in range(count):
                work[d + k] = work[a + k] * work[b + k]
        elif what == _DIVIDE:
            for k in range(count):
                work[d + k] = work[a + k] // work[b + k] if work[b + k] != 0 else 0
        elif what == _WEIGH:
            weight = code[i, 3]
            for k in range(count):
                work[d + k] = work[a + k] * weight // WEIGHT_UNIT
        elif what == _WEIGH_DAYS:
            for k in range(count):
                work[d + k] = work[a + k] * work[b + k] // WEIGHT_UNIT
        elif what == _VALUE:
            for k in range(count):
                work[d + k] = _value(work[a + k], work[b + k], _MILLION)
        else:
            for k in range(count):
                work[d + k] = _value(work[a + k], work[b + k], _BILLION)
