"""Programs run one number at a time, as `engine.expression.Code` says: slow and plain."""

from collections.abc import Callable

from engine.expression import LAST_PUSH, Code, Program
from engine.rule_model import WEIGHT_UNIT
from engine.rules import Compiled


def run(compiled: Compiled, program: Program, day: int, push: Callable[[Code, int], int]) -> int:
    """The value on a day; `push` gives what a term, calculation, fact or clock is."""
    stack: list[int] = []
    for what, argument in program:
        code = Code(what)
        if code <= LAST_PUSH:
            stack.append(argument if code == Code.CONSTANT else push(code, argument))
        elif code in (Code.WEIGH, Code.WEIGH_DAYS):
            weight = argument if code == Code.WEIGH else int(compiled.day_weights[argument, day])
            assert weight >= 0
            stack.append(stack.pop() * weight // WEIGHT_UNIT)
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(code, argument, left, right))
    (value,) = stack
    return value


def _binary(code: Code, argument: int, left: int, right: int) -> int:
    match code:
        case Code.ADD:
            return left + right
        case Code.SUBTRACT:
            return left - right
        case Code.MULTIPLY:
            return left * right
        case Code.DIVIDE:
            return left // right if right else 0
        case Code.GREATEST:
            return max(left, right)
        case Code.LEAST:
            return min(left, right)
    assert code == Code.VALUE
    return left * right // argument
