"""Rules of locates as data: who decides what, and how much of an approval is taken out of the pool.

Of the rules that match, the one with the highest priority wins, and among equals the first. Dates are the market's own,
`effective_to` included. What a document says of them is read by `engine.rule_locates`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import force_setattr

from engine.locates import WHOLE, LocateType, Reason, Subject
from engine.model import RATE_UNIT, Market

PERCENT: Final = 100 * RATE_UNIT
"""100% in ten-thousandths of a percent."""


class Action(StrEnum):
    """What a rule does with a request."""

    APPROVE = "approve"
    """Up to what the pool holds."""
    REJECT = "reject"
    PEND = "pend"


class Number(StrEnum):
    """What a rule may ask for a range of: shares, or percents (kept in ten-thousandths of a percent)."""

    QUANTITY = "quantity"
    POOL = "pool"
    """Shares left before the request."""
    CLIENT_TODAY = "client_today"
    """Shares located today for the client in the security, with the request."""
    SECURITY_TODAY = "security_today"
    """The same for all clients."""
    RATE = "rate_percent"
    """Borrow fee, a year."""
    OF_POOL = "pool_percent"
    """The request as a part of the pool."""
    OF_VOLUME = "volume_percent"
    """`SECURITY_TODAY` as a part of the shares traded a day, on an average of thirty."""
    OF_OUTSTANDING = "outstanding_percent"
    """`SECURITY_TODAY` as a part of the shares issued."""


PERCENTS: Final = frozenset({Number.RATE, Number.OF_POOL, Number.OF_VOLUME, Number.OF_OUTSTANDING})
_VALUES: Final[Mapping[Number, Callable[[Subject], tuple[int, int] | None]]] = {
    Number.QUANTITY: lambda subject: (subject.quantity, 1),
    Number.POOL: lambda subject: (subject.pool, 1),
    Number.CLIENT_TODAY: lambda subject: (subject.located_today_client + subject.quantity, 1),
    Number.SECURITY_TODAY: lambda subject: (_security_today(subject), 1),
    Number.RATE: lambda subject: None if subject.rate is None else (subject.rate, 1),
    Number.OF_POOL: lambda subject: (subject.quantity * PERCENT, max(0, subject.pool)),
    Number.OF_VOLUME: lambda subject: _part(_security_today(subject), subject.volume_30d),
    Number.OF_OUTSTANDING: lambda subject: _part(_security_today(subject), subject.outstanding),
}
"""Each as a fraction, so that nothing is rounded; None where it is not known. What is asked of an empty pool is without end."""


class Range(Struct, frozen=True, kw_only=True):
    """Bounds of a number, in its unit; those of None are not asked for. `least` and `most` are inside."""

    number: Number
    least: int | None = None
    above: int | None = None
    most: int | None = None
    below: int | None = None

    def holds(self, subject: Subject) -> bool:
        """Whether the number is within. One that is not known is within nothing."""
        value = _VALUES[self.number](subject)
        if value is None:
            return False
        over, under = value
        return (
            (self.least is None or over >= self.least * under)
            and (self.above is None or over > self.above * under)
            and (self.most is None or over <= self.most * under)
            and (self.below is None or over < self.below * under)
        )


class Rule(Struct, frozen=True, kw_only=True):
    """What a rule applies to; what it does not ask for may be anything.

    `version`: of its document, in which it last changed.
    """

    id: str
    version: int
    note: str = ""
    document: str = ""
    priority: int = 0
    markets: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    temperatures: frozenset[str] = frozenset()
    classifications: frozenset[str] = frozenset()
    types: frozenset[LocateType] = frozenset()
    settlements: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    designated: bool | None = None
    threshold: bool | None = None
    stale: bool | None = None
    intraday_cover: bool | None = None
    client_known: bool | None = None
    ranges: tuple[Range, ...] = ()
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None

    def matches(self, subject: Subject) -> bool:
        """Whether the rule is for such a request."""
        return (
            (not self.markets or subject.market in self.markets)
            and (not self.countries or subject.country in self.countries)
            and (not self.temperatures or subject.temperature in self.temperatures)
            and (not self.classifications or subject.classification in self.classifications)
            and (not self.types or subject.type in self.types)
            and (self.designated is None or subject.designated == self.designated)
            and (self.threshold is None or subject.threshold == self.threshold)
            and (self.effective_from is None or self.effective_from <= subject.date)
            and (self.effective_to is None or subject.date <= self.effective_to)
            and (not self.clients or subject.client in self.clients)
            and (not self.settlements or subject.settlement in self.settlements)
            and (self.stale is None or subject.stale == self.stale)
            and (self.intraday_cover is None or subject.intraday_cover == self.intraday_cover)
            and (self.client_known is None or subject.client_known == self.client_known)
            and all(one.holds(subject) for one in self.ranges)
        )


class DecisionRule(Rule, frozen=True, kw_only=True):
    """Approve, reject or leave to a person. `within_terms`: approve no more than these terms hold together."""

    action: Action
    reason: Reason | None = None
    within_terms: tuple[str, ...] = ()


class DecrementRule(Rule, frozen=True, kw_only=True):
    """The part of an approved quantity that leaves the pool.

    `reuse`: whether what is given back before the market's close may be promised again on the same day.
    """

    ratio_basis_points: int
    reuse: bool = True


NO_DECISION: Final = DecisionRule(id="none", version=1, note="No rule matches: a person decides.", action=Action.PEND)
BY_HAND: Final = DecisionRule(id="by_hand", version=1, note="A person decided.", action=Action.PEND)
NO_RATIO: Final = DecrementRule(id="none", version=1, note="No rule matches: all of it.", ratio_basis_points=WHOLE)


class LocateRules(Struct, frozen=True, kw_only=True):
    """The rules in force, in the order in which they are asked: highest priority first."""

    decisions: tuple[DecisionRule, ...] = ()
    decrements: tuple[DecrementRule, ...] = ()

    def __post_init__(self) -> None:
        for name in ("decisions", "decrements"):
            rules: tuple[Rule, ...] = getattr(self, name)
            force_setattr(self, name, tuple(sorted(rules, key=lambda rule: -rule.priority)))

    def decision(self, subject: Subject) -> DecisionRule:
        """The rule that decides; `NO_DECISION` where none matches."""
        market = subject.market
        for rule in self.decisions:
            # most rules are another market's: that is seen without a call
            if (not rule.markets or market in rule.markets) and rule.matches(subject):
                return rule
        return NO_DECISION

    def decrement(self, subject: Subject) -> DecrementRule:
        """The rule that says what is taken; `NO_RATIO` where none matches."""
        market = subject.market
        for rule in self.decrements:
            if (not rule.markets or market in rule.markets) and rule.matches(subject):
                return rule
        return NO_RATIO


def local_date(market: Market, now_ns: int) -> dt.date:
    """The date of a moment in the market's own time zone."""
    return dt.datetime.fromtimestamp(now_ns // 1_000_000_000, ZoneInfo(market.time_zone)).date()


def _security_today(subject: Subject) -> int:
    return subject.located_today_security + subject.quantity


def _part(shares: int, of: int) -> tuple[int, int] | None:
    return (shares * PERCENT, of) if of > 0 else None
