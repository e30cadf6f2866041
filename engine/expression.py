"""Programs: what a calculation is compiled to, a postfix list of integers that a kernel runs over many securities at once.

An `Expression` is a program with names still in it; binding gives each name the program that pushes its value.
"""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

DEPTH: Final = 16
"""The deepest stack a program may need."""
VALUE_UNIT: Final = 10**6
CONVERT_UNIT: Final = 10**9


class Code(IntEnum):
    """Instructions; a program is a list of (code, argument). All numbers are int64, all divisions round down (floor).

    Pushes come first (up to `LAST_PUSH`), then what changes the top of the stack, then what makes one of the upper two
    (from `FIRST_BINARY` on): `left` was pushed before `right`. Their argument is 0 where none is named.
    """

    CONSTANT = 0
    """Push the argument."""
    TERM = 1
    """Push the component with this index, on each day."""
    CALCULATION = 2
    """Push the calculation with this index, on each day; it always comes earlier in the catalogue."""
    FACT = 3
    """Push the fact `engine.model.Fact(argument)`, the same on each day."""
    CLOCK = 4
    """Push the clock `engine.model.Clock(argument)` of the security's market, on each day."""
    WEIGH = 5
    """top * argument / WEIGHT_UNIT. The argument is never negative: a negative weight is a WEIGH and a SUBTRACT."""
    WEIGH_DAYS = 6
    """The same with the weight `day_weights[argument, day]`, never negative either."""
    ADD = 7
    SUBTRACT = 8
    """left - right."""
    MULTIPLY = 9
    DIVIDE = 10
    """left / right; 0 where right is 0."""
    GREATEST = 11
    LEAST = 12
    VALUE = 13
    """left * right / argument (10**6 or 10**9), exact although the product may be beyond int64."""


LAST_PUSH: Final = Code.CLOCK
FIRST_BINARY: Final = Code.ADD

Program = tuple[tuple[int, int], ...]
Expression = tuple[tuple[int, int] | str, ...]
Interval = tuple[float, float]
"""The least and the greatest value that something may have."""
ANYTHING: Final[Interval] = (-math.inf, math.inf)
NOT_NEGATIVE: Final[Interval] = (0.0, math.inf)


def bind(expression: Expression, names: Mapping[str, Program]) -> Program:
    """The program of `expression`. Raises KeyError for a name that `names` does not have."""
    program: list[tuple[int, int]] = []
    for item in expression:
        program += names[item] if isinstance(item, str) else (item,)
    return tuple(program)


def depth(program: Expression) -> int:
    """The most values that are on the stack at once; a name pushes one."""
    size = most = 0
    for item in program:
        code = Code.CONSTANT if isinstance(item, str) else item[0]
        size += 1 if code <= LAST_PUSH else -1 if code >= FIRST_BINARY else 0
        most = max(most, size)
    return most


def bounds(expression: Expression, intervals: Mapping[str, Interval]) -> Interval:
    """Between what the value lies when each name lies in its interval, each by itself: never too narrow."""
    stack: list[Interval] = []
    for item in expression:
        if isinstance(item, str):
            stack.append(intervals[item])
        elif item[0] == Code.CONSTANT:
            stack.append((item[1], item[1]))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_combine(Code(item[0]), item[1], left, right))
    return stack[0]


def scaled(interval: Interval, weight: float) -> Interval:
    """The interval of `weight` times a value."""
    ends = [_times(weight, end) for end in interval]
    return min(ends), max(ends)


def added(intervals: Sequence[Interval]) -> Interval:
    """The interval of a sum."""
    return sum(low for low, _ in intervals), sum(high for _, high in intervals)


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0.0  # 0 * infinity is 0 here: the factor is 0 whatever the other is


def _combine(code: Code, argument: int, left: Interval, right: Interval) -> Interval:
    match code:
        case Code.ADD:
            return added((left, right))
        case Code.SUBTRACT:
            return left[0] - right[1], left[1] - right[0]
        case Code.GREATEST:
            return max(left[0], right[0]), max(left[1], right[1])
        case Code.LEAST:
            return min(left[0], right[0]), min(left[1], right[1])
        case Code.MULTIPLY | Code.VALUE:
            unit = max(1, argument)
            ends = [_times(a, b) / unit for a in left for b in right]
            return min(ends), max(ends)
        case Code.DIVIDE if right[0] >= 0:
            # whole divisors are 1 or more where they are not 0, and by 0 gives 0
            divisors = [max(1.0, right[0]), max(1.0, right[1])]
            ends = [0.0 if math.isinf(b) else a / b for a in left for b in divisors]
            return min(*ends, 0.0), max(*ends, 0.0)
    return ANYTHING
