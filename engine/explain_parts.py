"""Numbers that remember what they are made of: expressions run over them, and every result adds up to the last share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.expression import Code, Expression
from engine.rule_model import WEIGHT_UNIT

LIMIT: Final = "limit"
"""The group of what an expression adds or takes away when it holds a number at a limit, as at zero."""


@dataclass(frozen=True, slots=True)
class Parts:
    """`groups` add up to `value`. None: a plain number (a price, a constant) that belongs to no group, only to its `label`.

    `held`: the groups of the number in whose place a plain one was taken.
    """

    value: int
    groups: Mapping[str, int] | None = None
    label: str = ""
    held: Mapping[str, int] | None = None

    def grouped(self) -> Mapping[str, int]:
        """The groups, a plain number as a group of its own."""
        return {self.label: self.value} if self.groups is None else self.groups

    def settled(self) -> "Parts":
        """With groups: a number that was held at a limit has those of what was held, and the limit's own."""
        if self.groups is not None or self.held is None:
            return Parts(self.value, _whole(self.grouped()))
        lifted = self.value - sum(self.held.values())
        return Parts(self.value, _whole({**self.held, LIMIT: self.held.get(LIMIT, 0) + lifted}))


def run(expression: Expression, operands: Mapping[str, Parts]) -> Parts:
    """What a postfix expression makes of the operands that it names. Raises KeyError for one that is not there."""
    stack: list[Parts] = []
    for item in expression:
        if isinstance(item, str):
            stack.append(operands[item])
            continue
        code, argument = Code(item[0]), item[1]
        if code == Code.CONSTANT:
            stack.append(Parts(argument, label="constant"))
            continue
        right, left = stack.pop(), stack.pop()
        stack.append(_combined(code, argument, left, right))
    return stack[0]


def weighed(parts: Parts, weight: int) -> Parts:
    """A share as the engine rounds it: down by its size, then its sign."""
    size = scaled(parts, abs(weight), WEIGHT_UNIT)
    return size if weight >= 0 else _negative(size)


def scaled(parts: Parts, numerator: int, denominator: int) -> Parts:
    """`parts` times a fraction, rounded down; 0 where the denominator is. Shares lost to rounding go where most was lost."""
    if denominator == 0:
        return Parts(0, None if parts.groups is None else {}, parts.label)
    value = parts.value * numerator // denominator
    if parts.groups is None:
        return Parts(value, label=parts.label)
    before = parts.groups
    groups = {name: quantity * numerator // denominator for name, quantity in before.items()}
    sign = 1 if denominator > 0 else -1
    lost = sorted(groups, key=lambda name: -sign * (before[name] * numerator % denominator))
    for name in lost[: value - sum(groups.values())]:
        groups[name] += 1
    return Parts(value, groups)


def added(left: Parts, right: Parts) -> Parts:
    """Group by group."""
    value = left.value + right.value
    if left.groups is None and right.groups is None:
        return Parts(value, label=left.label)
    groups = dict(left.grouped())
    for name, quantity in right.grouped().items():
        groups[name] = groups.get(name, 0) + quantity
    return Parts(value, groups)


def _combined(code: Code, argument: int, left: Parts, right: Parts) -> Parts:
    match code:
        case Code.ADD:
            return added(left, right)
        case Code.SUBTRACT:
            return added(left, _negative(right))
        case Code.GREATEST:
            return _chosen(left, right) if left.value >= right.value else _chosen(right, left)
        case Code.LEAST:
            return _chosen(left, right) if left.value <= right.value else _chosen(right, left)
        case Code.MULTIPLY | Code.VALUE:
            # groups stay with the factor that has them; where both have, with the first
            of, by = (right, left) if left.groups is None and right.groups is not None else (left, right)
            return scaled(of, by.value, argument if code == Code.VALUE else 1)
        case Code.DIVIDE:
            return scaled(left, 1, right.value)
    raise ValueError(f"an expression has no {code.name}")


def _chosen(winner: Parts, loser: Parts) -> Parts:
    held = loser.groups if loser.groups is not None else loser.held
    if winner.groups is not None or held is None:
        return winner
    return Parts(winner.value, None, winner.label, held)


def _negative(parts: Parts) -> Parts:
    groups = None if parts.groups is None else {name: -quantity for name, quantity in parts.groups.items()}
    return Parts(-parts.value, groups, parts.label)


def _whole(groups: Mapping[str, int]) -> dict[str, int]:
    return {name: quantity for name, quantity in groups.items() if quantity}
