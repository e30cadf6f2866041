"""Rules of locates as data: who decides what, and how much of an approval is taken out of the pool.

Both lists are tried in order and the first rule that matches wins. Dates are the market's own, `until` included.
"""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from engine.locates import WHOLE, LocateType, Reason, Subject
from engine.model import Market, Temperature

Ratio = Annotated[int, Meta(ge=0, le=WHOLE)]


class Action(StrEnum):
    """What a rule does with a request."""

    APPROVE = "approve"
    """Up to what the pool holds."""
    REJECT = "reject"
    PEND = "pend"


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule applies to. An empty selector applies to all; `since` and `until` are days of validity."""

    id: str
    version: Annotated[int, Meta(ge=1)]
    note: str
    markets: frozenset[str] = frozenset()
    temperatures: frozenset[str] = frozenset()
    types: frozenset[LocateType] = frozenset()
    since: dt.date | None = None
    until: dt.date | None = None

    def matches(self, subject: Subject) -> bool:
        return (
            (not self.markets or subject.market in self.markets)
            and (not self.temperatures or subject.temperature in self.temperatures)
            and (not self.types or subject.type in self.types)
            and (self.since is None or self.since <= subject.date)
            and (self.until is None or subject.date <= self.until)
        )


class DecisionRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Approve, reject or leave to a person. `within_terms`: approve no more than these terms hold together."""

    action: Action
    reason: Reason | None = None
    within_terms: tuple[str, ...] = ()


class DecrementRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of an approved quantity that leaves the pool."""

    ratio_basis_points: Ratio


NO_DECISION: Final = DecisionRule(id="none", version=1, note="No rule matches: a person decides.", action=Action.PEND)
BY_HAND: Final = DecisionRule(id="by_hand", version=1, note="A person decided.", action=Action.PEND)
NO_RATIO: Final = DecrementRule(id="none", version=1, note="No rule matches: all of it.", ratio_basis_points=WHOLE)


class LocateRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules in force (assets/rules/locates.yaml)."""

    decisions: tuple[DecisionRule, ...]
    decrements: tuple[DecrementRule, ...]

    def decision(self, subject: Subject) -> DecisionRule:
        return next((rule for rule in self.decisions if rule.matches(subject)), NO_DECISION)

    def decrement(self, subject: Subject) -> DecrementRule:
        return next((rule for rule in self.decrements if rule.matches(subject)), NO_RATIO)

    def problems(self, term_names: frozenset[str]) -> list[str]:
        """What is wrong with the rules, in words; empty where nothing is."""
        known = {temperature.name for temperature in Temperature}
        found = []
        for rules in (self.decisions, self.decrements):
            ids = [rule.id for rule in rules]
            found += [f"{name}: used twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
            found += [f"{rule.id}: no temperature {name}" for rule in rules for name in rule.temperatures - known]
        for rule in self.decisions:
            found += [f"{rule.id}: no term {name}" for name in rule.within_terms if name not in term_names]
            if rule.action == Action.REJECT and rule.reason is None:
                found.append(f"{rule.id}: a rejection needs a reason")
        return found


def local_date(market: Market, now_ns: int) -> dt.date:
    """The date of a moment in the market's own time zone."""
    return dt.datetime.fromtimestamp(now_ns // 1_000_000_000, ZoneInfo(market.time_zone)).date()
