"""What readers need to know of the rules in force, as plain data that travels through shared memory.

A component is one sum per security and day that the kernel keeps: `terms[security, component, day]`. A rule with a condition
of its own splits a term, so a term may be made of several components.
"""

from typing import Final

from msgspec import Struct

from engine.model import DAYS

EVERY_DAY: Final = (1 << DAYS) - 1


class TermInfo(Struct, frozen=True):
    """A term as it is shown. `component` -1: not from rows or decisions (a fact or the clock)."""

    name: str
    title: str
    category: str
    stability: str
    measure: str
    rows: str
    component: int
    source: str = ""
    """What a term that is not from rows reads: the name of a Decided, Fact or Clock, in small letters."""


class ComponentInfo(Struct, frozen=True):
    """One kept sum. `holds`, `lacks`: conditions that its rows meet and do not meet. `maintained`: kept for every security."""

    term: str
    measure: str
    holds: tuple[str, ...]
    lacks: tuple[str, ...]
    maintained: bool


class CalculationInfo(Struct, frozen=True):
    """See `engine.rule_model.Calculation`."""

    name: str
    title: str
    description: str
    expression: str
    scope: str
    unit: str
    show: str
    role: str
    postfix: tuple[tuple[int, int] | str, ...] = ()
    """The expression as `engine.expression.Expression`: readers can run it without a parser."""


class InputInfo(Struct, frozen=True):
    """What a calculation takes in. Quantity on day n: Σ components in `plus` - Σ those in `minus`, or the number `name`.

    `weights`: per day, signed ten-thousandths; empty: named in the expression, not part of `total`. `rule` "": no rule.
    """

    name: str
    kind: str
    """term, fact, clock or calculation"""
    plus: tuple[int, ...]
    minus: tuple[int, ...]
    weights: tuple[int, ...]
    rule: str
    document: str
    version: int
    note: str = ""
    """What the rule says of itself."""
    in_force: int = EVERY_DAY
    """A bit for each day on which the rule is the one that weighs."""


class DocumentInfo(Struct, frozen=True):
    """A document in force."""

    name: str
    version: int
    title: str


class Catalogue(Struct, frozen=True):
    """Everything in force. `inputs[market][calculation]`; places in lists are the indices of the shared arrays."""

    version: int
    """Grows with every publication and every roll of a market's day."""
    documents: tuple[DocumentInfo, ...]
    terms: tuple[TermInfo, ...]
    components: tuple[ComponentInfo, ...]
    calculations: tuple[CalculationInfo, ...]
    inputs: tuple[tuple[tuple[InputInfo, ...], ...], ...]

    def calculation(self, name: str) -> int:
        """The index of a calculation. Raises KeyError."""
        for index, info in enumerate(self.calculations):
            if info.name == name:
                return index
        raise KeyError(f"no calculation {name!r}")

    def playing(self, role: str) -> int:
        """The index of the calculation with a role of `engine.rule_model.Role`. Raises KeyError."""
        for index, info in enumerate(self.calculations):
            if info.role == role:
                return index
        raise KeyError(f"no calculation has the role {role!r}")

    def component(self, term: str) -> int:
        """The component that holds all of a term. Raises KeyError for one that is not kept."""
        for info in self.terms:
            if info.name == term and info.component >= 0:
                return info.component
        raise KeyError(f"no sum is kept of a term {term!r}")
