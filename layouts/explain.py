"""A security's numbers as steps that lead from one to the next: what the waterfall draws, and tests can add up."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import BUCKETS, DAYS, KIND_ATTRIBUTES, Kind
from engine.views import (
    WEIGHT_UNIT,
    By,
    Explanation,
    Input,
    InputKind,
    Role,
    Scope,
    SecurityDetail,
    largest_first,
    split,
)
from layouts import formats

CHAIN: Final = (Role.LEND, Role.POOL_SHORT, Role.LEFT_SHORT)
"""Roles of calculations, each made from the one before: the waterfall's first choice is the last of them."""
NOBODY: Final = "none"
"""The group of rows that have no depot, client or entity."""
_OUTWARD: Final = frozenset(("SLAB_LOAN", "REPO_PLEDGE", "SWAP_PLEDGE"))
_INWARD: Final = frozenset(("FIRM", "CLIENT_FREE", "CLIENT_SEGREGATED", "SLAB_BORROW", "REPO_RECEIVED"))


@dataclass(frozen=True, slots=True)
class Step:
    """One bar: from `start` to `end`, in the unit of its calculation. A total stands on zero. `key`: of its input."""

    label: str
    start: int
    end: int
    total: bool = False
    note: str = ""
    key: str = ""

    @property
    def amount(self) -> int:
        """What a total is, or what another step adds."""
        return self.end - self.start


def steps(explanation: Explanation) -> list[Step]:
    """From nothing to the number, through the number that it goes on from. Each total is the engine's own; a step names what
    the shares leave open. A number that is more than its shares is told by category."""
    if any(each.weight is None for each in explanation.inputs):
        return split_steps(explanation, By.CATEGORY)
    before = _goes_on_from(explanation)
    result = steps(before.nested) if before is not None and before.nested is not None else []
    running = result[-1].end if result else 0
    for each in explanation.inputs:
        if each is not before and each.weight is not None:
            note = " · ".join(
                text for text in (each.category, each.rule and f"rule {each.rule} v{each.version}") if text
            )
            result.append(Step(_label(each), running, running + each.share, note=note, key=key_of(explanation, each)))
            running += each.share
    if explanation.value != running:
        result.append(Step("Limit", running, explanation.value, note=explanation.calculation.expression))
    return [*result, _total(explanation)]


def split_steps(explanation: Explanation, by: By) -> list[Step]:
    """The number's groups, the largest first, and the number."""
    result: list[Step] = []
    running = 0
    for name, quantity in largest_first(split(explanation, by)).items():
        label = (name or NOBODY) if by not in (By.CATEGORY, By.STABILITY) else name[:1].upper() + name[1:]
        result.append(Step(label, running, running + quantity, note=f"by {by}"))
        running += quantity
    return [*result, _total(explanation)]


def _total(explanation: Explanation) -> Step:
    info = explanation.calculation
    return Step(info.title or info.name, 0, explanation.value, total=True, note=info.description or info.expression)


def _goes_on_from(explanation: Explanation) -> Input | None:
    """The whole number of another calculation that comes first in this one."""
    first = explanation.inputs[0] if explanation.inputs else None
    return first if first is not None and first.nested is not None and first.weight == WEIGHT_UNIT else None


def _label(given: Input) -> str:
    weight = abs(given.weight or 0) / WEIGHT_UNIT
    return given.title if weight == 1 else f"{given.title} \N{MULTIPLICATION SIGN}{weight:g}"


def key_of(explanation: Explanation, given: Input) -> str:
    """What an input is known by as long as the rules do not change."""
    return f"{explanation.calculation.name}/{given.name}/{given.rule}"


def inputs(explanation: Explanation) -> Iterator[tuple[str, Explanation, Input]]:
    """Every input of a number and of the numbers inside it, once, with its key and the number that it is of."""
    seen: set[str] = set()
    waiting = [explanation]
    while waiting:
        here = waiting.pop(0)
        for each in here.inputs:
            key = key_of(here, each)
            if key not in seen:
                seen.add(key)
                yield key, here, each
                if each.nested is not None:
                    waiting.append(each.nested)


def rule_text(explanation: Explanation, given: Input, currencies: tuple[str, str]) -> str:
    """What a person wants to know of an input: quantity, weight and share, rows, and the rule that says so."""
    quantity = formats.quantity(given, currencies)
    parts = [f"{given.title}: {quantity}"]
    if given.weight is None:
        parts.append(f"named in {explanation.calculation.expression}")
    else:
        parts.append(f"\N{MULTIPLICATION SIGN} {given.weight / WEIGHT_UNIT:g} = {given.share:,}")
    if given.rule:
        parts.append(f"rule {given.rule}, version {given.version} of {given.document}")
    if given.kind == InputKind.ROWS:
        parts.append(f"{words(given.measure).lower()} of rows where {given.condition or 'any'}")
    elif given.nested is not None:
        parts.append(given.nested.calculation.expression)
    if given.stability:
        parts.append(given.stability)
    if given.note:
        parts.append(given.note)
    return " · ".join(parts)


def choosable(detail: SecurityDetail) -> list[tuple[str, str]]:
    """Names and titles of the calculations of a security."""
    return [
        (each.name, each.title or each.name) for each in detail.catalogue.calculations if each.scope == Scope.SECURITY
    ]


def first_choice(detail: SecurityDetail) -> str:
    """The calculation at the end of the chain."""
    return detail.catalogue.calculations[detail.catalogue.playing(CHAIN[-1])].name


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
    receipt, deliver = rows.record["receipt"], rows.record["deliver"]
    receipts = np.where(inward, receipt, 0) + np.where(outward, deliver, 0)
    deliveries = np.where(inward, deliver, 0) + np.where(outward, receipt, 0)
    coming = receipts.sum(axis=0).reshape(BUCKETS)
    going = deliveries.sum(axis=0).reshape(BUCKETS)
    return Ladder(coming, going, int((sign * rows.record["sd"]).sum()) + np.cumsum(coming - going))


def day_labels(detail: SecurityDetail) -> list[str]:
    """SD0..SD4 with their dates, and the bucket of everything later."""
    return [f"SD{day} {date:%d %b}" for day, date in enumerate(detail.days[:DAYS])] + ["later"]


def words(name: str) -> str:
    """A name of the code as words: SLAB_LOAN -> Slab loan."""
    return name.replace("_", " ").capitalize()
