"""A calculation's value by what it is made of: every split adds up to the value, exactly."""

from collections.abc import Sequence
from enum import StrEnum
from functools import reduce

import numpy as np

from engine.explain import TOTAL, Explanation, Input, InputKind
from engine.explain_parts import Parts, added, run, weighed
from engine.explain_rows import Rows


class By(StrEnum):
    """What a number can be split by: labels of its terms, or attributes of the rows."""

    CATEGORY = "category"
    STABILITY = "stability"
    DEPOT = "depot"
    BOOK = "book"
    CLIENT = "client"
    ENTITY = "entity"


def split(explanation: Explanation, by: By) -> dict[str, int]:
    """Group -> quantity, in the order in which the inputs name them; "" is the group of rows that have none.

    What is not from rows is a group by its title. A number held at a limit also has the group `explain_parts.LIMIT`.
    """
    return dict(_parts(explanation, by).grouped())


def _parts(explanation: Explanation, by: By) -> Parts:
    made = [(each, _input_parts(each, explanation.copy.rows, by)) for each in explanation.inputs]
    operands = {each.name: parts for each, parts in made if each.weight is None}
    shares = [weighed(parts, each.weight) for each, parts in made if each.weight]
    operands[TOTAL] = reduce(added, shares, Parts(0, {}))
    return run(explanation.calculation.postfix, operands).settled()


def _input_parts(given: Input, rows: Rows, by: By) -> Parts:
    if given.nested is not None:
        return _parts(given.nested, by)
    if given.kind in (InputKind.FACT, InputKind.CLOCK):
        return Parts(given.quantity, label=given.title)
    if by == By.CATEGORY:
        return Parts(given.quantity, {given.category or given.title: given.quantity})
    if by == By.STABILITY:
        return Parts(given.quantity, {given.stability or given.title: given.quantity})
    if given.kind == InputKind.DECIDED:
        return Parts(given.quantity, {given.title: given.quantity})
    names: Sequence[str] = getattr(rows, by)
    groups: dict[str, int] = {}
    for place, quantity in zip(given.rows.tolist(), given.given.tolist(), strict=True):
        groups[names[place]] = groups.get(names[place], 0) + quantity
    return Parts(given.quantity, groups)


def largest_first(groups: dict[str, int]) -> dict[str, int]:
    """The groups, the largest by size first."""
    order = np.argsort([-abs(quantity) for quantity in groups.values()], kind="stable")
    names = list(groups)
    return {names[i]: groups[names[i]] for i in order}
