"""What is decided on one request for a locate, from the rules and the inventory as they are. Changes nothing."""

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from engine.holdings import Told
from engine.locate_rules import (
    BY_HAND,
    NO_DECISION,
    NO_RATIO,
    Action,
    DecisionRule,
    DecrementRule,
    LocateRules,
    local_date,
)
from engine.locates import (
    Evidence,
    FeedPosition,
    LocateRequest,
    LocateType,
    OnInsufficient,
    Reason,
    RuleUsed,
    State,
    Subject,
    decrement,
    largest_within,
)
from engine.model import Market, Temperature


class Inventory(Told, Protocol):
    """What is asked of the machine; see `engine.inventory.Inventory`. Terms and what is left: on the settlement day."""

    def temperature(self, security: int) -> Temperature: ...
    def market(self, security: int) -> Market: ...
    def left(self, security: int, *, long: bool = False) -> int: ...
    def terms_of(self, security: int) -> dict[str, int]: ...
    @property
    def as_of_ns(self) -> int: ...
    @property
    def stale(self) -> bool: ...


class Facts(Struct, frozen=True):
    """What is known about a request besides what it says."""

    asked_as: str = ""
    fee: int | None = None
    feed_positions: tuple[FeedPosition, ...] = ()
    decided_by: str = "rules"
    created_by: str = ""


class Outcome(Struct, frozen=True):
    """A decision, not yet taken."""

    state: State
    reason: Reason | None
    approved: int
    decrement: int
    evidence: Evidence


class _Basis(Struct, frozen=True):
    """What a decision on a security rests on. `held`: live decrements of the request's type."""

    rule: DecisionRule = NO_DECISION
    ratio: DecrementRule = NO_RATIO
    market: str = ""
    temperature: str = ""
    terms: dict[str, int] = {}
    pool: int = 0
    held: int = 0
    stale: bool = False


def judge(
    inventory: Inventory,
    rules: LocateRules,
    request: LocateRequest,
    security: int,
    held: int,
    now_ns: int,
    facts: Facts,
) -> Outcome:
    """Decide on `request` for the security with that id (0: unknown); `held`: live decrements of its type on it.

    Approves no more than what is left in the pool by the *decrement*, never in spite of stale inputs.
    """
    if security:
        basis = _basis(inventory, rules, request, security, held, now_ns)
        state, reason, approved = _verdict(request, basis)
    else:
        basis, state, reason, approved = _Basis(), State.REJECTED, Reason.SECURITY_NOT_FOUND, 0
    return _outcome(inventory, request, basis, state, reason, approved, now_ns, facts)


def judge_by_hand(
    inventory: Inventory,
    rules: LocateRules,
    request: LocateRequest,
    security: int,
    quantity: int,
    now_ns: int,
    facts: Facts,
) -> Outcome:
    """What `facts.decided_by` decides: 0 rejects, less than what was asked for approves in part.

    A person may decide where rules do not, also on stale inputs, but not grant what is not there: raises `ValueError` for more
    than was asked for, or more than what is left in the pool by its decrement.
    """
    if not 0 <= quantity <= request.quantity:
        raise ValueError(f"{request.quantity:,} shares are asked for, not {quantity:,}")
    basis = replace(_basis(inventory, rules, request, security, 0, now_ns), rule=BY_HAND)
    left, taken = basis.pool, decrement(basis.ratio.ratio_basis_points, quantity)
    if taken > max(0, left):
        raise ValueError(f"{quantity:,} shares would take {taken:,} from the pool, which has {max(0, left):,} left")
    state, reason = State.REJECTED, Reason.MANUAL_REJECT
    if quantity:
        state = State.APPROVED if quantity == request.quantity else State.PARTIALLY_APPROVED
    return _outcome(inventory, request, basis, state, None if quantity else reason, quantity, now_ns, facts)


def _outcome(
    inventory: Inventory,
    request: LocateRequest,
    basis: _Basis,
    state: State,
    reason: Reason | None,
    approved: int,
    now_ns: int,
    facts: Facts,
) -> Outcome:
    """The decision with what it was made on."""
    taken = decrement(basis.ratio.ratio_basis_points, approved)
    evidence = Evidence(
        decision_rule=RuleUsed(basis.rule.id, basis.rule.version),
        decrement_rule=RuleUsed(basis.ratio.id, basis.ratio.version),
        ratio_basis_points=basis.ratio.ratio_basis_points,
        market=basis.market,
        temperature=basis.temperature,
        pool_before=basis.pool,
        pool_after=basis.pool - taken,
        terms=basis.terms,
        as_of_ns=inventory.as_of_ns,
        feed_positions=facts.feed_positions,
        decided_ns=now_ns,
        decided_by=facts.decided_by,
        requested_by=request.requested_by,
    )
    return Outcome(state, reason, approved, taken, evidence)


def _basis(
    inventory: Inventory, rules: LocateRules, request: LocateRequest, security: int, held: int, now_ns: int
) -> _Basis:
    market, temperature = inventory.market(security), inventory.temperature(security)
    subject = Subject(market.code, temperature.name, request.type, local_date(market, now_ns))
    terms = inventory.terms_of(security)
    return _Basis(
        rule=rules.decision(subject),
        ratio=rules.decrement(subject),
        market=market.code,
        temperature=temperature.name,
        terms=terms,
        pool=inventory.left(security, long=request.type == LocateType.LONG),
        held=held,
        stale=inventory.stale,
    )


def _verdict(request: LocateRequest, basis: _Basis) -> tuple[State, Reason | None, int]:
    """State, reason and approved quantity."""
    rule = basis.rule
    if rule.action == Action.REJECT:
        return State.REJECTED, rule.reason, 0
    if basis.stale or rule.action == Action.PEND:
        return State.PENDING, Reason.STALE_INPUTS if basis.stale else rule.reason, 0
    shortage, available = Reason.INSUFFICIENT_INVENTORY, basis.pool
    if rule.within_terms:
        permitted = sum(basis.terms[name] for name in rule.within_terms) - basis.held
        if permitted < available:
            shortage, available = Reason.MARKET_RESTRICTION, permitted
    fits = largest_within(basis.ratio.ratio_basis_points, request.quantity, available)
    if fits == request.quantity:
        return State.APPROVED, None, fits
    if fits and request.allow_partial:
        return State.PARTIALLY_APPROVED, shortage, fits
    waits = request.on_insufficient == OnInsufficient.PEND
    return (State.PENDING if waits else State.REJECTED), shortage, 0
