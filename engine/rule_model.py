"""The words of rules (domain.md 3): what a document of rules says, once it has been read and checked.

A term is a sum over the rows that a condition selects. A rule gives a term its weight in a calculation, for some markets, some
dates and, where it has a condition of its own, some of the term's rows. A calculation is an expression over `total` (the
weighed sum of its rules) and over names of terms, facts and other calculations.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from engine.locate_rules import DecisionRule, DecrementRule, LocateRules
from engine.model import Clock, Decided, Fact

FORMAT: Final = 1
"""The newest form of a document that this program reads."""
WEIGHT_UNIT: Final = 10_000
"""Weights are whole ten-thousandths."""


class Measure(IntEnum):
    """What a row gives to a term on a day. `projected[n]`: domain.md 2."""

    LONG = 0
    """max(0, projected[n])"""
    SHORT = 1
    """max(0, -projected[n])"""
    FREE = 2
    """min(hypothecatable, max(0, projected[n]))"""
    NET = 3
    """projected[n], signed"""
    EXPIRED = 4
    """sd - projected[n], signed: what has left the row by then"""
    TD_LONG = 5
    TD_NET = 6
    SD_LONG = 7
    SD_NET = 8
    RATED_LONG = 9
    """long x rate, in millionths of a share a year: what contracts with a rate of their own cost"""
    UNRATED_LONG = 10
    """long, of rows without a rate"""
    TD_BREAK = 11
    """td - sd - what is expected on all days, signed: 0 in a row that agrees with itself"""
    RESERVED = 12
    CA_PENDING = 13
    """From here on not from rows."""
    DECIDED = 14
    FACT = 15
    CLOCK = 16


ROW_MEASURES: Final = Measure.CA_PENDING
"""The last measure that rows give."""
SIGNED: Final = frozenset(
    {Measure.NET, Measure.EXPIRED, Measure.TD_NET, Measure.SD_NET, Measure.TD_BREAK, Measure.CA_PENDING}
)
"""Measures that may be negative."""


class Scope(StrEnum):
    """Whose number a calculation is. Those of a security are kept up to date, the others are made when they are asked for."""

    SECURITY = "security"
    CLIENT = "client"
    AU = "au"


class Unit(StrEnum):
    """What a calculation's int64 counts."""

    SHARES = "shares"
    MONEY = "money"
    """Hundredths of the security's currency."""
    REPORTING = "reporting"
    """Hundredths of the reporting currency."""
    BASIS_POINTS = "basis_points"


class Show(StrEnum):
    """Which days of a calculation a table shows."""

    DAYS = "days"
    SETTLEMENT = "settlement"
    """The day on which a trade of today settles."""
    TODAY = "today"
    NONE = "none"


class Role(StrEnum):
    """What the rest of the machine asks of the rules, whatever a calculation is called. Each is played exactly once."""

    LEND = "lend"
    POOL_SHORT = "pool_short"
    LEFT_SHORT = "left_short"
    """The pool less what live locates hold."""
    POOL_LONG = "pool_long"
    LEFT_LONG = "left_long"
    UTILISATION = "utilisation"
    OVERBORROW = "overborrow"
    CLIENT_LONG = "client_long"
    CLIENT_SHORT = "client_short"
    AU_LONG = "au_long"
    AU_SHORT = "au_short"


@dataclass(frozen=True, slots=True)
class Document:
    """A document of rules as text. `rule_versions`: in which version of the document each of its rules last changed."""

    name: str
    version: int
    text: str
    rule_versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Term:
    """`rows`: the condition that selects its rows; `source`: what a term that is not from rows reads."""

    name: str
    title: str
    measure: Measure
    rows: str = ""
    category: str = ""
    stability: str = ""
    source: Decided | Fact | Clock | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class Calculation:
    """`expression`: SQL; `role` None: nobody but readers asks for it."""

    name: str
    title: str
    expression: str
    scope: Scope = Scope.SECURITY
    unit: Unit = Unit.SHARES
    show: Show = Show.NONE
    role: Role | None = None
    description: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`input`: a term or another calculation. `condition` "": all of the term's rows. `markets` (): every market.

    Of the rules of one calculation and input, the one with the highest `priority` that is in force on the day and whose
    condition holds weighs a row; `effective_to` is included. `measure` None: the term's own.
    """

    id: str
    calculation: str
    input: str
    weight: int
    document: str
    version: int
    condition: str = ""
    measure: Measure | None = None
    markets: tuple[str, ...] = ()
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None
    priority: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a document says of itself. `effective_from`: the date from which this version of it is in force."""

    document: str
    title: str
    markets: tuple[str, ...] = ()
    effective_from: dt.date | None = None


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Everything that is in force together: checked, not yet compiled for a day."""

    documents: tuple[Document, ...]
    terms: tuple[Term, ...]
    calculations: tuple[Calculation, ...]
    rules: tuple[Rule, ...]
    headings: tuple[Heading, ...] = ()
    decisions: tuple[DecisionRule, ...] = ()
    """What is decided on requests for locates, and (`decrements`) how much of an approval leaves the pool."""
    decrements: tuple[DecrementRule, ...] = ()

    @property
    def every_rule(self) -> tuple[Rule | DecisionRule | DecrementRule, ...]:
        """Rules of every sort."""
        return (*self.rules, *self.decisions, *self.decrements)

    @property
    def locates(self) -> LocateRules:
        """The rules of locates, in the order in which they are asked."""
        return LocateRules(decisions=self.decisions, decrements=self.decrements)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a document, and where: line and column from 1, 0 where it is the whole."""

    document: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.document}{place}: {self.message}"


class RulesError(ValueError):
    """Rules that cannot be used; says every problem found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
