"""Postfix programs become three-address code over slots; a slot holds one number per security and day of a block.

Operands are used where they lie, so that only what is in between is ever written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.expression import VALUE_UNIT, Code, Program
from engine.model import DAYS, Clock, Fact

SET, ADD, ADD_TO, SUBTRACT, SUBTRACT_FROM, MULTIPLY, DIVIDE, GREATEST, LEAST = range(9)
WEIGH, WEIGH_DAYS, VALUE, CONVERT = range(9, 13)
_BINARY: Final = {
    Code.ADD: ADD,
    Code.SUBTRACT: SUBTRACT,
    Code.MULTIPLY: MULTIPLY,
    Code.DIVIDE: DIVIDE,
    Code.GREATEST: GREATEST,
    Code.LEAST: LEAST,
}
_IN_PLACE: Final = {Code.ADD: ADD_TO, Code.SUBTRACT: SUBTRACT_FROM}


class Programs(NamedTuple):
    """All programs of all markets. Slots: constants, day weights, components, facts, clocks, calculations, steps."""

    code: NDArray[np.int64]
    """(instructions, 4): what, target, left, right (slots; of WEIGH the right is a weight)."""
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
    return len(slots.fixed) + len(slots.components) + len(Fact) + len(Clock) + len(slots.calculations)


def _three_address(
    program: Program, calculation: int, slots: _Slots, day_weights: NDArray[np.int64]
) -> list[tuple[int, int, int, int]]:
    """Operands are used where they lie; only what is in between is written."""
    components = len(slots.fixed)
    facts = components + len(slots.components)
    clocks = facts + len(Fact)
    calculations = clocks + len(Clock)
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
            made.append((WEIGH if what == Code.WEIGH else WEIGH_DAYS, stack[-1], left, right))
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
                operation = _BINARY[Code(what)] if what != Code.VALUE else VALUE if argument == VALUE_UNIT else CONVERT
                made.append((operation, stack[-1], left, right))
    slots.most = max(taken, slots.most)
    return _into(calculations + slots.calculations.index(calculation), stack.pop(), made, temporaries)


def _into(
    slot: int, result: int, code: list[tuple[int, int, int, int]], temporaries: int
) -> list[tuple[int, int, int, int]]:
    """Let the result be made where it belongs, from the instruction on that begins it."""
    if result < temporaries:
        return [*code, (SET, slot, result, 0)]
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
            right if i == 0 or what == WEIGH else renamed(right),
        )
        for i, (what, target, left, right) in enumerate(code[begins:])
    ]
