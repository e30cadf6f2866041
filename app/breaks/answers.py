"""Breaks as they go over the wire."""

import datetime as dt
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from app.api.answers import time_of
from app.breaks.facts import CauseFound, Facts, Subject
from app.breaks.life import Action, Life, State, Step
from app.breaks.several import Adjustment, AdjustState, Group, Match, MatchState
from engine.break_kinds import BreakKind, Cause, Severity

_ID = "^B[0-9]{10}$"


class BreakCause(Struct, frozen=True, kw_only=True):
    """A candidate for why two sides differ."""

    cause: Cause
    quantity: Annotated[int, Meta(description="How much of the difference it explains.")]
    text: str
    book: str
    depot: str
    security: str
    on: dt.date | None
    break_id: Annotated[str, Meta(description="The equal and opposite break, of a wrong mapping; empty for none.")]


class BreakAnswer(Struct, frozen=True, kw_only=True):
    """A break as it is now. Texts that do not apply are empty, numbers null."""

    id: str
    kind: BreakKind
    severity: Severity
    state: State
    title: str
    security: str
    isin: str
    name: str
    market: str
    temperature: str
    book: str
    depot: str
    position_type: str
    client: str
    aggregation_unit: str
    counterparty: str
    contract: str
    number: str
    feed: str
    source: str
    topic: str
    reason: str
    unit: Annotated[str, Meta(description="shares, records, seconds, sources or books.")]
    ours: int | None
    theirs: int | None
    quantity: Annotated[
        int, Meta(description="theirs - ours, where there are two sides; how many or how long elsewhere.")
    ]
    tolerance: int
    value: Annotated[float | None, Meta(description="In the reporting currency; null where price or rate are unknown.")]
    explained: Annotated[
        int, Meta(description="How much of the quantity, whatever its sign, the likeliest cause explains.")
    ]
    unexplained: int
    cause: Annotated[str, Meta(description="The likeliest; empty for none.")]
    causes: list[BreakCause]
    sellable: Annotated[int, Meta(description="Shares that could be sold and may not be there.")]
    lendable: Annotated[int, Meta(description="Shares that could be lent and may not be there.")]
    located: Annotated[int, Meta(description="Shares promised to clients that would not be covered.")]
    affected: int
    rank: Annotated[int | None, Meta(description="1 for the one on which most hangs; null for a resolved one.")]
    value_date: Annotated[dt.date, Meta(description="The business day of its market on which it was found.")]
    first_seen_at: dt.datetime
    last_changed_at: dt.datetime
    resolved_at: dt.datetime | None
    age_days: Annotated[
        int | None,
        Meta(
            description="Business days of its market since it was found, of a resolved one until it was resolved; null "
            "while there is no engine whose calendars could be counted by."
        ),
    ]
    owner: str
    group: str
    group_name: Annotated[str, Meta(description="What people call the group.")]
    held: Annotated[int, Meta(description="Shares kept out of what is available until it is solved.")]
    match: str
    revision: Annotated[int, Meta(description="Grows with every step of its history.")]


class BreakPage(Struct, frozen=True, kw_only=True):
    """Breaks, in the order asked for. `total`: of all pages; `searched`: among how many the text was looked for."""

    breaks: list[BreakAnswer]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for what follows; null at the end.")]
    total: int
    searched: Annotated[int, Meta(description="How many there are whatever `text` says.")]
    as_of: Annotated[dt.datetime | None, Meta(description="When everything was last looked at.")]
    checked_ms: float
    complete: Annotated[
        bool, Meta(description="false: something could not be looked at, or there are more than are kept.")
    ]


class BreakStep(Struct, frozen=True, kw_only=True):
    """One line of a break's history."""

    entry: int
    at: dt.datetime
    who: str
    action: Action
    state: State
    quantity: int
    comment: str
    detail: dict[str, Any]


class BreakComment(Struct, frozen=True, kw_only=True):
    """What somebody said."""

    at: dt.datetime
    who: str
    text: str


class AffectedLocate(Struct, frozen=True, kw_only=True):
    """A live locate of the security."""

    id: str
    client: str
    quantity: int
    approved: int
    remaining: int
    state: str


class AffectedLimit(Struct, frozen=True, kw_only=True):
    """A limit in the security: whose, and what is left of it."""

    scope: str
    owner: str
    side: str
    left: int


class AdjustmentAnswer(Struct, frozen=True, kw_only=True):
    """A change of our own books that somebody asks for, and what became of it."""

    id: str
    break_id: str
    security: str
    book: str
    depot: str
    position_type: str
    quantity: int
    state: AdjustState
    asked_by: str
    asked_at: dt.datetime
    decided_by: str
    decided_at: dt.datetime | None
    comment: str
    decision_comment: str
    problem: str


class AdjustmentPage(Struct, frozen=True, kw_only=True):
    """The newest first."""

    adjustments: list[AdjustmentAnswer]


class BreakDetail(BreakAnswer, frozen=True, kw_only=True):
    """A break, what was done about it, and what hangs on it."""

    history: list[BreakStep]
    comments: list[BreakComment]
    locates: Annotated[
        list[AffectedLocate] | None, Meta(description="Live ones; null while the journal cannot be read.")
    ]
    limits: Annotated[
        list[AffectedLimit] | None, Meta(description="Of one that is open; null while the engine does not answer.")
    ]
    adjustments: list[AdjustmentAnswer]
    group_members: list[str]
    match_members: list[str]


class KindSummary(Struct, frozen=True, kw_only=True):
    """Breaks of one kind that are not resolved."""

    kind: BreakKind
    open: int
    acknowledged: int
    reopened: int
    critical: int
    high: int
    medium: int
    low: int
    value: float
    affected: int


class BreakSummary(Struct, frozen=True, kw_only=True):
    """What there is, in numbers."""

    total: int
    by_kind: list[KindSummary]
    unowned: int
    held: int
    adjustments_pending: int
    oldest_age_days: Annotated[int | None, Meta(description="null while there is no engine.")]
    as_of: dt.datetime | None
    checked_ms: float
    stale: Annotated[bool, Meta(description="Something could not be looked at: its breaks are as they were before.")]
    stale_reason: str


class BreakGroup(Struct, frozen=True, kw_only=True):
    """Breaks that belong together."""

    id: str
    name: str
    breaks: list[str]
    by: str
    at: dt.datetime


class BreakGroups(Struct, frozen=True, kw_only=True):
    """Groups that were not dissolved, the newest first."""

    groups: list[BreakGroup]


class BreakMatch(Struct, frozen=True, kw_only=True):
    """Breaks that explain each other."""

    id: str
    ids: list[str]
    residual: int
    forced: bool
    by: str
    at: dt.datetime
    comment: str
    state: MatchState


class ActionResult(Struct, frozen=True, kw_only=True):
    """What became of one of many. `status`: as an answer of its own would have."""

    id: str
    status: int
    problem: str
    state: str


class ActionResults(Struct, frozen=True, kw_only=True):
    """In the order asked for."""

    results: list[ActionResult]


def break_id(number: int) -> str:
    """The id of a break."""
    return f"B{number:010d}"


def number_of(text: str, letter: str = "B") -> int | None:
    """The number of an id; None for what is none."""
    digits = text[1:]
    whole = text[:1] == letter and len(text) == 11 and digits.isascii() and digits.isdigit()  # noqa: PLR2004
    return int(digits) if whole and int(digits) else None


def moment(at_ns: int) -> dt.datetime | None:
    """None for 0."""
    return time_of(at_ns) if at_ns else None


_AS_FOUND: Final = (
    *(name for name in Facts.__struct_fields__ if name in BreakAnswer.__struct_fields__ and name != "causes"),
    "explained",
    "affected",
)
"""What the answer takes over as it was found."""


def fields_of(
    life: Life, rank: int | None, age_days: int | None, group: str, ids: dict[str, int], *, causes: bool = True
) -> dict[str, Any]:
    """The fields of `BreakAnswer`. `group`: the name of its group; `ids`: numbers of breaks by their keys."""
    facts, about = life.facts, life.facts.about
    named = {name: getattr(about, name) for name in Subject.__struct_fields__}
    named |= {name: getattr(facts, name) for name in _AS_FOUND}
    return named | {
        "id": break_id(life.number),
        "state": life.state,
        "unexplained": abs(facts.quantity) - facts.explained,
        "cause": _likeliest(facts),
        "causes": [_cause(one, ids) for one in facts.causes] if causes else [],
        "rank": rank,
        "value_date": dt.date(1970, 1, 1) + dt.timedelta(days=life.first_day),
        "first_seen_at": time_of(life.first_seen_ns),
        "last_changed_at": time_of(life.changed_ns),
        "resolved_at": moment(life.resolved_ns),
        "age_days": age_days,
        "owner": life.owner,
        "group": life.group,
        "group_name": group,
        "held": life.held,
        "match": life.match,
        "revision": life.revision,
    }


def step_answer(step: Step) -> BreakStep:
    """A line of the history."""
    return BreakStep(
        entry=step.entry,
        at=time_of(step.at_ns),
        who=step.who,
        action=step.action,
        state=step.state,
        quantity=step.quantity,
        comment=step.comment,
        detail=step.detail,
    )


def adjustment_answer(one: Adjustment) -> AdjustmentAnswer:
    """An adjustment."""
    return AdjustmentAnswer(
        id=one.id,
        break_id=break_id(one.of),
        security=one.security,
        book=one.book,
        depot=one.depot,
        position_type=one.position_type,
        quantity=one.quantity,
        state=one.state,
        asked_by=one.asked_by,
        asked_at=time_of(one.asked_ns),
        decided_by=one.decided_by,
        decided_at=moment(one.decided_ns),
        comment=one.comment,
        decision_comment=one.decision_comment,
        problem=one.problem,
    )


def match_answer(one: Match) -> BreakMatch:
    """A match."""
    return BreakMatch(
        id=one.id,
        ids=[break_id(number) for number in one.breaks],
        residual=one.residual,
        forced=one.forced,
        by=one.by,
        at=time_of(one.at_ns),
        comment=one.comment,
        state=one.state,
    )


def group_answer(one: Group, members: list[int]) -> BreakGroup:
    """A group and who is in it."""
    return BreakGroup(
        id=one.id, name=one.name, breaks=[break_id(number) for number in members], by=one.by, at=time_of(one.at_ns)
    )


def _likeliest(facts: Facts) -> str:
    return facts.causes[0].cause.value if facts.causes else ""


def _cause(one: CauseFound, ids: dict[str, int]) -> BreakCause:
    return BreakCause(
        cause=one.cause,
        quantity=one.quantity,
        text=one.text,
        book=one.book,
        depot=one.depot,
        security=one.security,
        on=one.on,
        break_id=break_id(ids[one.key]) if one.key in ids else "",
    )
