"""What the API answers, as types: the OpenAPI document is made from them."""

import datetime as dt
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.locate_judgement import RULES, Outcome
from engine.locates import (
    Evidence,
    FeedPosition,
    IdentifierKind,
    Locate,
    LocateRequest,
    LocateType,
    OnInsufficient,
    Reason,
    RuleUsed,
    Settlement,
    State,
    Subject,
    locate_id,
)
from engine.model import RATE_UNIT

QUOTE_NS: Final = 30 * 10**9
"""How long a quote is worth anything."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Shares = Annotated[int, Meta(description="Whole shares.")]


class Decided(StrEnum):
    """Who has decided."""

    AUTO = "auto"
    MANUAL = "manual"


class DecisionAnswer(Struct, frozen=True, kw_only=True):
    """Who decided, and by which rule as it stood."""

    by: Decided
    rule: str
    version: Annotated[int, Meta(description="Of the rules' document, in which the rule last changed.")]
    user: Annotated[str, Meta(description="The person; empty where rules have decided.")]


class LocateAnswer(Struct, frozen=True, kw_only=True):
    """A locate as it is now."""

    id: str
    state: State
    reason: Annotated[Reason | None, Meta(description="Why it was not approved in full.")]
    security: Annotated[str, Meta(description="Our code; as asked where the security is not known.")]
    asked_as: str
    identifier_type: IdentifierKind | None
    market: Annotated[str, Meta(description="As asked.")]
    client: str
    au: str
    type: LocateType
    settlement: Settlement
    requested: Shares
    approved: Shares
    decrement: Annotated[
        int,
        Meta(description="Shares held from the pool now. What was used stays held until the market's close; then 0."),
    ]
    used: Annotated[int, Meta(description="Approved shares sold by orders.")]
    remaining: Annotated[int, Meta(description="Approved shares that may still be sold: 0 once it has ended.")]
    decision: DecisionAnswer
    rate: Annotated[float | None, Meta(description="Borrow fee, percent a year; null where unknown.")]
    fee: Annotated[
        float | None,
        Meta(description="What borrowing the approved shares costs a day, in `currency`; null where unknown."),
    ]
    currency: str
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event the decision has seen.")]
    received_at: dt.datetime
    updated_at: dt.datetime
    expires_at: Annotated[dt.datetime | None, Meta(description="Null where nothing was approved.")]
    allow_partial: bool
    minimum_quantity: Shares
    on_insufficient: OnInsufficient
    max_rate: float | None
    intraday_cover: bool
    good_for: dt.date | None
    priority: int
    reference: str
    requested_by: str
    comment: str
    created_by: Annotated[str, Meta(description="Whose token asked for it.")]
    changed_by: str
    remark: str
    evidence: Annotated[str, Meta(description="Where the evidence and the history are.")]


class QuoteAnswer(Struct, frozen=True, kw_only=True):
    """What a request would get if it came now, alone. Nothing is held: it may get less later."""

    state: State
    reason: Annotated[Reason | None, Meta(description="Why it would not be approved in full.")]
    security: Annotated[str, Meta(description="Our code; as asked where the security is not known.")]
    asked_as: str
    client: str
    type: LocateType
    requested: Shares
    approved: Shares
    decrement: Annotated[int, Meta(description="Shares that it would hold from the pool.")]
    pool: Annotated[
        int | None, Meta(description="Left for locates now; may be negative. Null to a token for some clients only.")
    ]
    decision: DecisionAnswer
    rate: Annotated[float | None, Meta(description="Borrow fee, percent a year; null where unknown.")]
    fee: Annotated[float | None, Meta(description="A day, in `currency`; null where unknown.")]
    currency: str
    reference: str
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event that is in it.")]
    quoted_at: dt.datetime
    expires_at: Annotated[dt.datetime, Meta(description="It tells nothing after that.")]


class ActionAnswer(Struct, frozen=True, kw_only=True):
    """What became of one step of many."""

    id: str
    status: Annotated[int, Meta(description="What the step alone would have been answered with.")]
    locate: LocateAnswer | None
    problem: Annotated[str | None, Meta(description="Why it was not taken.")]


class ActionsAnswer(Struct, frozen=True, kw_only=True):
    """A result for each locate, in the order asked for."""

    results: list[ActionAnswer]


class LocatePage(Struct, frozen=True, kw_only=True):
    """Locates, newest first."""

    locates: list[LocateAnswer]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for older ones; null at the end.")]


class EvidenceAnswer(Struct, frozen=True, kw_only=True):
    """What one decision was made on."""

    decision_rule: RuleUsed
    decrement_rule: RuleUsed
    ratio_basis_points: int
    market: str
    temperature: str
    pool_before: Annotated[int, Meta(description="Left for locates before the decision; may be negative.")]
    pool_after: Shares
    terms: Annotated[dict[str, int], Meta(description="Every term on the settlement day, before the decision.")]
    as_of: dt.datetime | None
    subject: Annotated[
        Subject | None, Meta(description="What the rules were asked about; rate in ten-thousandths of a percent.")
    ]
    feed_positions: tuple[FeedPosition, ...]
    decided_at: dt.datetime
    decided_by: str
    requested_by: str


class TransitionAnswer(Struct, frozen=True, kw_only=True):
    """One step of a locate's life; `evidence` where something was decided."""

    state: State
    reason: Reason | None
    at: dt.datetime
    approved: int
    decrement: int
    used: int
    changed_by: str
    remark: str
    evidence: EvidenceAnswer | None


class HistoryAnswer(Struct, frozen=True, kw_only=True):
    """A locate's life, oldest step first."""

    id: str
    transitions: list[TransitionAnswer]


class Availability(Struct, frozen=True, kw_only=True):
    """What can be lent and located of one security now."""

    security: str
    name: str
    ticker: str
    isin: str
    isin_masked: Annotated[bool, Meta(description="The ISIN is incomplete as published and names nothing.")]
    cusip: str
    sedol: str
    figi: str
    market: str
    currency: str
    country: str
    temperature: str
    fee_percent: float | None
    rebate_percent: float | None
    lend: Annotated[tuple[int, ...], Meta(description="Shares for loan on the business days SD0 to SD4.")]
    settle_day: Annotated[
        int,
        Meta(
            description="The day on which a sale of today settles; pools, what is located and left, and terms are of it."
        ),
    ]
    pool: Annotated[int, Meta(description="Shares for locates of short sales.")]
    located: Annotated[int, Meta(description="What live locates hold of the pool.")]
    left: Annotated[int, Meta(description="What is left of the pool; may be negative.")]
    pool_long: Annotated[int, Meta(description="Shares for locates of long sales.")]
    left_long: Annotated[int, Meta(description="What live locates leave of them; may be negative.")]
    at_least: Annotated[bool, Meta(description="External availability is a floor the lender published, not a count.")]
    calculations: Annotated[
        dict[str, tuple[int, ...]],
        Meta(
            description="Every calculation of the rules in force, SD0 to SD4: whole shares; money in hundredths; parts in"
            " basis points."
        ),
    ]
    terms: Annotated[dict[str, int], Meta(description="Every sum that they are made of.")]
    as_of: Annotated[
        dt.datetime | None, Meta(description="The newest event that is in these numbers, of any security.")
    ]
    updated_at: Annotated[dt.datetime | None, Meta(description="The newest event of this security.")]
    stale: Annotated[bool, Meta(description="The feeds are silent or not complete yet: nothing is approved.")]
    now: dt.datetime


class AvailabilityPage(Struct, frozen=True, kw_only=True):
    """Securities in the order in which they became known."""

    securities: list[Availability]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for more; null at the end.")]


def time_of(ns: int) -> dt.datetime:
    """UTC, to the microsecond."""
    return _EPOCH + dt.timedelta(microseconds=ns // 1_000)


kept_time_of: Final = lru_cache(maxsize=1_024)(time_of)
"""The same, for moments that many answers share: it costs a tenth."""


def percent(rate: int | None) -> float | None:
    """A rate of the model as percent."""
    return None if rate is None else rate / RATE_UNIT


def money(hundredths: int | None) -> float | None:
    """An amount of the model in its currency."""
    return None if hundredths is None else hundredths / 100


def locate_answer(locate: Locate) -> LocateAnswer:
    """What a program is told of a locate."""
    request, name = locate.request, locate_id(locate.sequence)
    received = time_of(locate.received_ns)
    dated = locate.approved > 0 or locate.open
    return LocateAnswer(
        id=name,
        state=locate.state,
        reason=locate.reason,
        security=request.security,
        asked_as=locate.asked_as,
        identifier_type=request.identifier_type,
        market=request.market,
        client=request.client,
        au=request.au,
        type=request.type,
        settlement=request.settlement,
        requested=request.quantity,
        approved=locate.approved,
        decrement=locate.decrement,
        used=locate.used,
        remaining=locate.remaining,
        decision=_decision(locate.rule, locate.decided_by or RULES),
        rate=percent(locate.fee),
        fee=money(locate.cost),
        currency=locate.currency,
        as_of=kept_time_of(locate.as_of_ns) if locate.as_of_ns > 0 else None,
        received_at=received,
        updated_at=received if locate.updated_ns == locate.received_ns else time_of(locate.updated_ns),
        expires_at=kept_time_of(locate.expires_ns) if dated else None,
        allow_partial=request.allow_partial,
        minimum_quantity=request.minimum_quantity,
        on_insufficient=request.on_insufficient,
        max_rate=request.max_rate,
        intraday_cover=request.intraday_cover,
        good_for=request.good_for,
        priority=request.priority,
        reference=request.reference,
        requested_by=request.requested_by,
        comment=request.comment,
        created_by=locate.created_by,
        changed_by=locate.changed_by,
        remark=locate.remark,
        evidence=f"/api/v1/locates/{name}/evidence",
    )


def quote_answer(
    request: LocateRequest, asked_as: str, outcome: Outcome, now_ns: int, *, with_pool: bool
) -> QuoteAnswer:
    """What a program is told of what would be decided."""
    evidence = outcome.evidence
    return QuoteAnswer(
        state=outcome.state,
        reason=outcome.reason,
        security=request.security,
        asked_as=asked_as,
        client=request.client,
        type=request.type,
        requested=request.quantity,
        approved=outcome.approved,
        decrement=outcome.decrement,
        pool=evidence.pool_before if with_pool else None,
        decision=_decision(evidence.decision_rule, evidence.decided_by),
        rate=percent(outcome.rate),
        fee=money(outcome.cost),
        currency=outcome.currency,
        reference=request.reference,
        as_of=time_of(evidence.as_of_ns) if evidence.as_of_ns > 0 else None,
        quoted_at=time_of(now_ns),
        expires_at=time_of(now_ns + QUOTE_NS),
    )


def _decision(rule: RuleUsed, decided_by: str) -> DecisionAnswer:
    auto = decided_by == RULES
    return DecisionAnswer(
        by=Decided.AUTO if auto else Decided.MANUAL,
        rule=rule.id,
        version=rule.version,
        user="" if auto else decided_by,
    )


def transition_answer(locate: Locate, evidence: Evidence | None) -> TransitionAnswer:
    """What a program is told of one step."""
    return TransitionAnswer(
        state=locate.state,
        reason=locate.reason,
        at=time_of(locate.updated_ns),
        approved=locate.approved,
        decrement=locate.decrement,
        used=locate.used,
        changed_by=locate.changed_by,
        remark=locate.remark,
        evidence=None if evidence is None else _evidence_answer(evidence),
    )


def _evidence_answer(evidence: Evidence) -> EvidenceAnswer:
    return EvidenceAnswer(
        decision_rule=evidence.decision_rule,
        decrement_rule=evidence.decrement_rule,
        ratio_basis_points=evidence.ratio_basis_points,
        market=evidence.market,
        temperature=evidence.temperature,
        pool_before=evidence.pool_before,
        pool_after=evidence.pool_after,
        terms=evidence.terms,
        as_of=time_of(evidence.as_of_ns) if evidence.as_of_ns > 0 else None,
        subject=evidence.subject,
        feed_positions=evidence.feed_positions,
        decided_at=time_of(evidence.decided_ns),
        decided_by=evidence.decided_by,
        requested_by=evidence.requested_by,
    )
