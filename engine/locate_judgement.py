"""What is decided on one request for a locate, from the rules and the inventory as they are. Changes nothing."""

import datetime as dt
from functools import lru_cache
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.holdings import Told
from engine.inventory import Reference
from engine.locate_rules import BY_HAND, NO_DECISION, NO_RATIO, Action, LocateRules
from engine.locate_verdict import Verdict, terms_left, too_dear, verdict
from engine.locates import (
    Evidence,
    FeedPosition,
    LocateRequest,
    LocateType,
    Reason,
    RuleUsed,
    State,
    Subject,
    decrement,
)
from engine.model import Market, Temperature

_COST_UNIT: Final = 10**10
"""Millionths of money times ten-thousandths of a percent, in hundredths of money."""
RULES: Final = "rules"
"""Who has decided where no person has."""


class Inventory(Told, Protocol):
    """What is asked of the machine; see `engine.inventory.Inventory`. Terms: on the settlement day."""

    def temperature(self, security: int) -> Temperature: ...
    def market(self, security: int) -> Market: ...
    def reference_of(self, security: int) -> Reference: ...
    def left(self, security: int, *, long: bool = False, good_for: dt.date | None = None) -> int: ...
    def left_by_day(self, security: int) -> tuple[int, ...]: ...
    def knows_client(self, code: str) -> bool: ...
    def terms_of(self, security: int) -> dict[str, int]: ...
    @property
    def as_of_ns(self) -> int: ...
    @property
    def stale(self) -> bool: ...


class Facts(Struct, frozen=True):
    """What is known about a request besides what it says."""

    asked_as: str = ""
    feed_positions: tuple[FeedPosition, ...] = ()
    decided_by: str = RULES
    created_by: str = ""


class Standing(Struct, frozen=True):
    """What locates are already there: live decrements of the request's type, and shares located today in the security, for
    the client and for everybody."""

    held: int = 0
    today_client: int = 0
    today_security: int = 0


class Outcome(Struct, frozen=True):
    """A decision, not yet taken. `rate`: ten-thousandths of a percent a year; `cost`: a day, in hundredths of `currency`."""

    state: State
    reason: Reason | None
    approved: int
    decrement: int
    ratio_basis_points: int
    reuse: bool
    rate: int | None
    cost: int | None
    currency: str
    evidence: Evidence


class _Seen(Struct, frozen=True):
    """What a decision on a known security rests on."""

    subject: Subject
    terms: dict[str, int]
    reference: Reference
    held: int


def judge(
    inventory: Inventory,
    rules: LocateRules,
    request: LocateRequest,
    security: int,
    standing: Standing,
    now_ns: int,
    facts: Facts,
) -> Outcome:
    """Decide on `request` for the security with that id (0: unknown), as `engine.locate_verdict.verdict` does."""
    if not security:
        found = Verdict(NO_DECISION, NO_RATIO, State.REJECTED, Reason.SECURITY_NOT_FOUND, 0, 0)
        return _outcome(inventory, request, None, found, now_ns, facts)
    seen = _look(inventory, request, security, standing, now_ns)
    found = verdict(rules, request, seen.subject, seen.terms, seen.held)
    return _outcome(inventory, request, seen, found, now_ns, facts)


def judge_by_hand(
    inventory: Inventory,
    rules: LocateRules,
    request: LocateRequest,
    security: int,
    standing: Standing,
    quantity: int,
    now_ns: int,
    facts: Facts,
) -> Outcome:
    """What `facts.decided_by` decides: 0 rejects, less than what was asked for approves in part.

    A person may decide where rules do not, also on stale inputs where the market permits it, but not grant what is not there,
    of no use, or forbidden: raises `ValueError` for more than was asked for or less than the client's minimum, for more than
    what is left in the pool by its decrement, where the borrow is dearer than the client permits, and where the rules reject
    whatever the pool.
    """
    if not 0 <= quantity <= request.quantity:
        raise ValueError(f"{request.quantity:,} shares are asked for, not {quantity:,}")
    if 0 < quantity < request.least:
        raise ValueError(f"less than {request.least:,} shares is of no use to the client")
    seen = _look(inventory, request, security, standing, now_ns)
    rule = rules.decision(seen.subject)
    if quantity and rule.action == Action.REJECT:
        raise ValueError(f"rule {rule.id} forbids it: {rule.reason}")
    if quantity and seen.subject.stale and inventory.market(security).stale_halts:
        raise ValueError("inputs are late, and this market's rules let nobody approve until they are there")
    if quantity and seen.subject.rate is not None and too_dear(request, seen.subject.rate):
        raise ValueError(f"the borrow costs more than the {request.max_rate:g}% a year that the client permits")
    ratio = rules.decrement(seen.subject)
    taken = decrement(ratio.ratio_basis_points, quantity)
    left = min(seen.subject.pool, terms_left(rule, seen.terms, seen.held))
    if taken > max(0, left):
        raise ValueError(f"{quantity:,} shares would take {taken:,} from the pool, which has {max(0, left):,} left")
    state, reason = State.REJECTED, Reason.MANUAL_REJECT
    if quantity:
        state = State.APPROVED if quantity == request.quantity else State.PARTIALLY_APPROVED
    found = Verdict(BY_HAND, ratio, state, None if quantity else reason, quantity, taken)
    return _outcome(inventory, request, seen, found, now_ns, facts)


@lru_cache(maxsize=256)
def _day_of(time_zone: str, quarter: int) -> tuple[dt.date, int]:
    """The same for the second with which a quarter of an hour begins: every zone's midnight is one."""
    zone = ZoneInfo(time_zone)
    date = dt.datetime.fromtimestamp(quarter, zone).date()
    return date, int(dt.datetime.combine(date, dt.time(), zone).timestamp()) * 10**9


def day_of(market: Market, now_ns: int) -> tuple[dt.date, int]:
    """The date in the market, and when it began: UTC nanoseconds."""
    return _day_of(market.time_zone, now_ns // (900 * 10**9) * 900)


def fingerprint(inventory: Inventory, security: int) -> tuple[object, ...]:
    """Differs whenever a decision on the security with that id (0: unknown) might."""
    if not security:
        return (inventory.stale,)
    known = inventory.temperature(security), inventory.reference_of(security)._replace(price=0)
    return inventory.stale, known, inventory.left_by_day(security), tuple(inventory.terms_of(security).values())


def cost_a_day(reference: Reference, shares: int) -> int | None:
    """What borrowing so much costs, in hundredths of its currency; None where price, rate or the year's days are unknown."""
    if reference.rate is None or not reference.price or not reference.day_count:
        return None
    return round(shares * reference.price * reference.rate / (_COST_UNIT * reference.day_count))


def _look(inventory: Inventory, request: LocateRequest, security: int, standing: Standing, now_ns: int) -> _Seen:
    """The security, its market and its pool as they are."""
    market, reference = inventory.market(security), inventory.reference_of(security)
    subject = Subject(
        market=market.code,
        temperature=inventory.temperature(security).name,
        type=request.type,
        date=day_of(market, now_ns)[0],
        country=reference.country or market.code,
        classification=reference.classification,
        client=request.client,
        quantity=request.quantity,
        pool=inventory.left(security, long=request.type == LocateType.LONG, good_for=request.good_for),
        rate=reference.rate,
        located_today_client=standing.today_client,
        located_today_security=standing.today_security,
        stale=inventory.stale,
        designated=reference.designated,
        threshold=reference.threshold,
        volume_30d=reference.volume_30d,
        outstanding=reference.outstanding,
        settlement=request.settlement,
        intraday_cover=request.intraday_cover,
        client_known=inventory.knows_client(request.client),
    )
    return _Seen(subject, inventory.terms_of(security), reference, standing.held)


def _outcome(
    inventory: Inventory, request: LocateRequest, seen: _Seen | None, found: Verdict, now_ns: int, facts: Facts
) -> Outcome:
    """The decision with what it was made on; `seen`: None where the security is unknown."""
    pool = seen.subject.pool if seen else 0
    evidence = Evidence(
        decision_rule=RuleUsed(found.rule.id, found.rule.version),
        decrement_rule=RuleUsed(found.ratio.id, found.ratio.version),
        ratio_basis_points=found.ratio.ratio_basis_points,
        market=seen.subject.market if seen else "",
        temperature=seen.subject.temperature if seen else "",
        pool_before=pool,
        pool_after=pool - found.decrement,
        terms=seen.terms if seen else {},
        as_of_ns=inventory.as_of_ns,
        feed_positions=facts.feed_positions,
        decided_ns=now_ns,
        decided_by=facts.decided_by,
        requested_by=request.requested_by,
        subject=seen.subject if seen else None,
        held=seen.held if seen else 0,
    )
    return Outcome(
        state=found.state,
        reason=found.reason,
        approved=found.approved,
        decrement=found.decrement,
        ratio_basis_points=found.ratio.ratio_basis_points,
        reuse=found.ratio.reuse,
        rate=seen.reference.rate if seen else None,
        cost=cost_a_day(seen.reference, found.approved) if seen else None,
        currency=seen.reference.currency if seen else "",
        evidence=evidence,
    )


def decided(outcome: Outcome, facts: Facts) -> dict[str, Any]:
    """What a decision makes of a locate."""
    evidence = outcome.evidence
    return {
        "state": outcome.state,
        "reason": outcome.reason,
        "rule": evidence.decision_rule,
        "approved": outcome.approved,
        "decrement": outcome.decrement,
        "as_of_ns": evidence.as_of_ns,
        "fee": outcome.rate,
        "changed_by": facts.decided_by,
        "decided_by": facts.decided_by,
        "ratio_basis_points": outcome.ratio_basis_points,
        "reuse": outcome.reuse,
        "cost": outcome.cost,
        "currency": outcome.currency,
    }
