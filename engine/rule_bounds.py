"""Between what limits a calculation can move, whatever the positions are: one that can never be above zero is a slip."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.expression import ANYTHING, NOT_NEGATIVE, Interval, added, bounds, scaled
from engine.model import Clock
from engine.rule_model import SIGNED, WEIGHT_UNIT, Calculation, Rule, RuleBook, Term
from engine.rule_sql import read_expression

_FIRST: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Hopeless:
    """A calculation that cannot be above zero; `rule`: the one that most likely did it; `where`: market and date in words."""

    calculation: str
    rule: Rule | None
    where: str


def chain(rules: Sequence[Rule], market: str | None, date: dt.date) -> list[Rule]:
    """Of the rules of one calculation and input those that are in force, first the one that is asked first.

    A higher priority is asked earlier; of the same priority one with a condition, then one for some markets, then by id. What
    comes after one without a condition is never asked, and left out.
    """
    found = []
    for rule in sorted(rules, key=lambda r: (-r.priority, not r.condition, not r.markets, r.id)):
        if (
            (not rule.markets or market in rule.markets)
            and (rule.effective_from is None or rule.effective_from <= date)
            and (rule.effective_to is None or date <= rule.effective_to)
        ):
            found.append(rule)
            if not rule.condition:
                break
    return found


def by_input(book: RuleBook) -> dict[str, dict[str, list[Rule]]]:
    """The rules of each calculation and input, inputs in the order of the book."""
    found: dict[str, dict[str, list[Rule]]] = {calculation.name: {} for calculation in book.calculations}
    for rule in book.rules:
        found[rule.calculation].setdefault(rule.input, []).append(rule)
    return found


def hopeless(book: RuleBook, order: Sequence[Calculation]) -> list[Hopeless]:
    """Calculations that cannot be above zero in some market from some date on: each once, first for the rest of the markets."""
    markets = [None, *sorted({market for rule in book.rules for market in rule.markets})]
    starts = {_FIRST}
    starts |= {rule.effective_from for rule in book.rules if rule.effective_from}
    day = dt.timedelta(days=1)
    starts |= {rule.effective_to + day for rule in book.rules if rule.effective_to and rule.effective_to < dt.date.max}
    rules, found = by_input(book), dict[str, Hopeless]()
    for market in markets:
        for date in sorted(starts):
            for one in _on(book, order, rules, market, date):
                found.setdefault(one.calculation, one)
    return list(found.values())


def _on(
    book: RuleBook,
    order: Sequence[Calculation],
    rules: dict[str, dict[str, list[Rule]]],
    market: str | None,
    date: dt.date,
) -> list[Hopeless]:
    terms = {term.name: term for term in book.terms}
    intervals = {term.name: _interval(term) for term in book.terms}
    found = []
    for calculation in order:
        parts, blamed = list[Interval](), list[Rule]()
        for name, of_input in rules[calculation.name].items():
            for rule in chain(of_input, market, date):
                own = intervals[name]
                if rule.measure is not None and name in terms:
                    own = ANYTHING if rule.measure in SIGNED else NOT_NEGATIVE
                parts.append(scaled(own, rule.weight / WEIGHT_UNIT))
                blamed += [rule] if rule.weight <= 0 else []
        total = added(parts)
        low, high = bounds(read_expression(calculation.expression).code, {**intervals, "total": total})
        # what is always zero is refused only where a total below zero is held there: a market may have no rules for it
        if high < 0 or (high == 0 and (low < 0 or (total[0] < 0 and total[1] <= 0))):
            where = (f" in {market}" if market else "") + (f" on {date}" if date > _FIRST else "")
            blamed.sort(key=lambda rule: (bool(rule.markets), rule.priority, rule.effective_from or dt.date.min))
            found.append(Hopeless(calculation.name, blamed[-1] if blamed else None, where))
            low, high = ANYTHING
        intervals[calculation.name] = low, high
    return found


def _interval(term: Term) -> Interval:
    if isinstance(term.source, Clock):
        return 0.0, 1.0
    return ANYTHING if term.measure in SIGNED else NOT_NEGATIVE
