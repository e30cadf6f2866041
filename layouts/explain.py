"""A security's numbers as steps that lead from one to the next: what the waterfall draws, and tests can add up."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import BUCKETS, DAYS, KIND_ATTRIBUTES, Kind
from engine.views import SecurityDetail

CHAIN: Final = ("for_loan", "locate_pool", "remaining")
"""Calculations in the order in which each is made from the one before."""
TITLES: Final = {"for_loan": "For loan", "locate_pool": "Pool", "remaining": "Remaining"}
_OUTWARD: Final = frozenset(("SLAB_LOAN", "REPO_PLEDGE"))
_INWARD: Final = frozenset(("FIRM", "CLIENT_FREE", "CLIENT_SEGREGATED", "SLAB_BORROW", "REPO_RECEIVED"))


@dataclass(frozen=True, slots=True)
class Step:
    """One bar: from `start` to `end`, shares. A total stands on zero."""

    label: str
    start: int
    end: int
    total: bool = False
    note: str = ""

    @property
    def amount(self) -> int:
        """What a total is, or what another step adds."""
        return self.end - self.start


def steps(detail: SecurityDetail, day: int) -> list[Step]:
    """From nothing to what remains on a day. Each total is the engine's own number; a step names what the parts leave open."""
    result: list[Step] = []
    running = 0
    for calculation in CHAIN:
        for part in detail.parts(calculation, day):
            if part.name in CHAIN:
                continue
            result.append(Step(_label(part.name, part.weight), running, running + part.share, note=part.category))
            running += part.share
        value = int(detail.values[calculation][day])
        if value != running:
            result.append(Step("Not below zero", running, value, note=detail.expressions.get(calculation, "")))
        result.append(Step(TITLES[calculation], 0, value, total=True))
        running = value
    return result


@dataclass(frozen=True, slots=True)
class Ladder:
    """Stock that comes and goes, shares by bucket SD0..SD4 and later; `projected` is what is there after each bucket."""

    receipts: NDArray[np.int64]
    deliveries: NDArray[np.int64]
    projected: NDArray[np.int64]


def ladder(detail: SecurityDetail) -> Ladder:
    """Over the rows that move stock: what was lent or pledged counts against the stock, so its return is a receipt."""
    rows = detail.rows
    types = [KIND_ATTRIBUTES[Kind[kind]].position_type for kind in rows.kind]
    sign = np.array([1 if t in _INWARD else -1 if t in _OUTWARD else 0 for t in types], np.int64)
    inward, outward = (sign > 0)[:, None], (sign < 0)[:, None]
    receipts = np.where(inward, rows.receipt, 0) + np.where(outward, rows.deliver, 0)
    deliveries = np.where(inward, rows.deliver, 0) + np.where(outward, rows.receipt, 0)
    coming = receipts.sum(axis=0).reshape(BUCKETS)
    going = deliveries.sum(axis=0).reshape(BUCKETS)
    return Ladder(coming, going, int((sign * rows.sd).sum()) + np.cumsum(coming - going))


def day_labels(detail: SecurityDetail) -> list[str]:
    """SD0..SD4 with their dates, and the bucket of everything later."""
    return [f"SD{day} {date:%d %b}" for day, date in enumerate(detail.days[:DAYS])] + ["later"]


def _label(name: str, weight: float) -> str:
    text = name.replace("_", " ").capitalize()
    return text if abs(weight) == 1 else f"{text} \N{MULTIPLICATION SIGN}{abs(weight):g}"
