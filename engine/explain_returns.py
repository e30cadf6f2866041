"""What to give back of stock borrowed that is no longer needed: the dearest borrow first (domain.md 3)."""

from dataclasses import dataclass

import numpy as np

from engine.explain import Explanation
from engine.explain_rows import SecurityCopy
from engine.model import Kind
from engine.rule_model import Role


@dataclass(frozen=True, slots=True)
class Return:
    """A borrow to give back, wholly or in part."""

    row: int
    """Its place in `SecurityCopy.rows`."""
    rate: int | None
    """Ten-thousandths of a percent a year; None where nobody said (`Op.SET_RATE`)."""
    borrowed: int
    quantity: int
    """Of it to give back."""


def suggested_returns(copy: SecurityCopy, day: int) -> tuple[Return, ...]:
    """Borrow rows from the dearest rate down until the overborrow of a day is given back; of equal rates the largest first.

    Those without a rate come last. Empty where nothing is borrowed too much.
    """
    left = int(copy.values[copy.catalogue.playing(Role.OVERBORROW), day])
    rows = copy.rows
    open_quantity = np.maximum(0, rows.projected[:, day])
    borrows = [i for i, kind in enumerate(rows.kind) if kind == Kind.SLAB_BORROW.name and open_quantity[i] > 0]
    rates = {i: int(rows.record["hypothecated"][i]) for i in borrows}
    borrows.sort(key=lambda i: (-rates[i], -open_quantity[i]))
    result = []
    for i in borrows:
        if left <= 0:
            break
        quantity = min(left, int(open_quantity[i]))
        left -= quantity
        result.append(Return(i, rates[i] or None, int(open_quantity[i]), quantity))
    return tuple(result)


def is_overborrow(explanation: Explanation) -> bool:
    """Whether an explanation is of the number that returns are suggested for."""
    return explanation.calculation.role == Role.OVERBORROW
