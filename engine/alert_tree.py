"""What the condition of an alert is made of, once it is read: tests of one security, put together by `All` and `Some`.

There is no "not": negation was carried down to the tests, where a number that is not known fails either way. So each test has
a wider twin, with its limit moved by a margin, and what holds strictly always holds widely, too: hysteresis needs no more.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from engine.views_columns import Column


class Compare(StrEnum):
    """How a number stands to its limit."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    EQUAL = "="
    OTHER = "!="

    @property
    def opposite(self) -> "Compare":
        """What holds of a known number where this does not."""
        return _OPPOSITE[self]

    @property
    def mirrored(self) -> "Compare":
        """The same with its sides exchanged."""
        return _MIRRORED[self]


_OPPOSITE = {
    Compare.BELOW: Compare.AT_LEAST,
    Compare.AT_LEAST: Compare.BELOW,
    Compare.ABOVE: Compare.AT_MOST,
    Compare.AT_MOST: Compare.ABOVE,
    Compare.EQUAL: Compare.OTHER,
    Compare.OTHER: Compare.EQUAL,
}
_MIRRORED = {
    Compare.BELOW: Compare.ABOVE,
    Compare.ABOVE: Compare.BELOW,
    Compare.AT_MOST: Compare.AT_LEAST,
    Compare.AT_LEAST: Compare.AT_MOST,
    Compare.EQUAL: Compare.EQUAL,
    Compare.OTHER: Compare.OTHER,
}


class Direction(StrEnum):
    """Which way a number has gone."""

    EITHER = "changes"
    UP = "rises"
    DOWN = "falls"


@dataclass(frozen=True, slots=True)
class NumberTest:
    """The sum of `factor` x number, as shown, stands to `limit` as `compare` says. Fails where one of them is not known."""

    terms: tuple[tuple[Fraction, Column], ...]
    compare: Compare
    limit: Fraction


@dataclass(frozen=True, slots=True)
class KnownTest:
    """Whether a number is known."""

    column: Column
    known: bool


@dataclass(frozen=True, slots=True)
class ChangeTest:
    """Whether a number has gone so far since the window began; `share`: `amount` is a part of what it was then.

    `quiet`: it has not. Fails where the number is not known now, or was not then.
    """

    column: Column
    direction: Direction
    amount: Fraction
    share: bool
    window_s: int
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class TextTest:
    """Whether a text of the security is one of `texts` (in small letters), or (`inside`) has one of them in it."""

    attribute: str
    texts: frozenset[str]
    inside: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """Each of them."""

    parts: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of them."""

    parts: tuple["Test", ...]


Leaf: TypeAlias = NumberTest | KnownTest | ChangeTest | TextTest
Test: TypeAlias = Leaf | All | Some


def negated(test: Test) -> Test:
    """What holds where `test` does not, numbers that are not known left aside."""
    match test:
        case All(parts):
            return Some(tuple(negated(part) for part in parts))
        case Some(parts):
            return All(tuple(negated(part) for part in parts))
        case NumberTest(terms, compare, limit):
            return NumberTest(terms, compare.opposite, limit)
        case KnownTest(column, known):
            return KnownTest(column, not known)
        case ChangeTest():
            return ChangeTest(test.column, test.direction, test.amount, test.share, test.window_s, not test.quiet)
        case TextTest():
            return TextTest(test.attribute, test.texts, test.inside, not test.negated)


def leaves(test: Test) -> list[Leaf]:
    """The tests in it, from left to right."""
    if isinstance(test, All | Some):
        return [leaf for part in test.parts for leaf in leaves(part)]
    return [test]


def columns(test: Test) -> tuple[Column, ...]:
    """The numbers it looks at, each once, in the order in which they are named."""
    found: dict[str, Column] = {}
    for leaf in leaves(test):
        if isinstance(leaf, NumberTest):
            found |= {column.name: column for _, column in leaf.terms}
        elif not isinstance(leaf, TextTest):
            found[leaf.column.name] = leaf.column
    return tuple(found.values())
