"""What rules say of a request: pure, so that the desk and a dry run over history decide alike."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from engine.locate_rules import Action, DecisionRule, DecrementRule, LocateRules
from engine.locates import LocateRequest, OnInsufficient, Reason, State, Subject, decrement, largest_within
from engine.model import RATE_UNIT

_ANY: Final = 1 << 62


class Verdict(Struct, frozen=True):
    """A decision, not yet taken."""

    rule: DecisionRule
    ratio: DecrementRule
    state: State
    reason: Reason | None
    approved: int
    decrement: int


def verdict(
    rules: LocateRules, request: LocateRequest, subject: Subject, terms: Mapping[str, int], held: int
) -> Verdict:
    """`terms`: every term of the inventory on the settlement day; `held`: live decrements of the request's type.

    Approves no more than what is left in the pool by the *decrement*, never in spite of stale inputs, and nothing that
    is of no use to the client: less than its minimum, or dearer than its maximum.
    """
    rule, ratio = rules.decision(subject), rules.decrement(subject)
    state, reason, approved = _decide(rule, ratio.ratio_basis_points, request, subject, terms, held)
    return Verdict(rule, ratio, state, reason, approved, decrement(ratio.ratio_basis_points, approved))


def _decide(
    rule: DecisionRule,
    ratio_basis_points: int,
    request: LocateRequest,
    subject: Subject,
    terms: Mapping[str, int],
    held: int,
) -> tuple[State, Reason | None, int]:
    if rule.action == Action.REJECT:
        return State.REJECTED, rule.reason, 0
    if subject.stale or rule.action == Action.PEND:
        return State.PENDING, Reason.STALE_INPUTS if subject.stale else rule.reason, 0
    if too_dear(request, subject.rate):
        return _refused(request), Reason.RATE_EXCEEDED, 0
    shortage, available = Reason.INSUFFICIENT_INVENTORY, subject.pool
    permitted = terms_left(rule, terms, held)
    if permitted < available:
        shortage, available = Reason.MARKET_RESTRICTION, permitted
    fits = largest_within(ratio_basis_points, request.quantity, available)
    if fits == request.quantity:
        return State.APPROVED, None, fits
    if fits >= request.least:
        return State.PARTIALLY_APPROVED, shortage, fits
    return _refused(request), shortage, 0


def terms_left(rule: DecisionRule, terms: Mapping[str, int], held: int) -> int:
    """What the terms that a rule keeps to hold beside live locates; more than anybody asks for where it keeps to none."""
    # a term that a later version of the calculations has dropped holds nothing
    return sum(terms.get(name, 0) for name in rule.within_terms) - held if rule.within_terms else _ANY


def too_dear(request: LocateRequest, rate: int | None) -> bool:
    """Whether the borrow costs more than the request permits, or nobody knows. `rate`: ten-thousandths of a percent."""
    return request.max_rate is not None and (rate is None or rate > round(request.max_rate * RATE_UNIT))


def _refused(request: LocateRequest) -> State:
    return State.PENDING if request.on_insufficient == OnInsufficient.PEND else State.REJECTED
