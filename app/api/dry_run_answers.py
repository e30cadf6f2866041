"""What the API answers of a dry run, as types: the OpenAPI document and the columns of its lines are made from them."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

from app.api.answers import time_of
from engine.locate_dry_run import Count, DryRun, Line, Outcome
from engine.locates import LocateType, Reason, State, locate_id


class DryRunOutcome(Struct, frozen=True, kw_only=True):
    """What was, or would have been, decided."""

    state: State
    reason: Reason | None
    approved: Annotated[int, Meta(description="Whole shares.")]
    decrement: Annotated[int, Meta(description="Whole shares taken from the pool.")]
    rule: str
    version: Annotated[int, Meta(description="Of the rule's document, in which the rule last changed.")]
    by: Annotated[str, Meta(description="rules, or the person who decided.")]


class DryRunLine(Struct, frozen=True, kw_only=True):
    """A request that would have been decided otherwise."""

    id: str
    at: dt.datetime
    security: str
    client: str
    type: LocateType
    requested: int
    was: DryRunOutcome
    would: DryRunOutcome
    later: Annotated[
        DryRunOutcome | None, Meta(description="The newest decision of the period on a request that was left pending.")
    ]


class DryRunCount(Struct, frozen=True, kw_only=True):
    """Requests, and their whole shares."""

    requests: int
    requested: int
    approved: int
    decrement: int


class DryRunSides(Struct, frozen=True, kw_only=True):
    """The same requests as they were decided, and as they would have been; by a rule: those that it decided, and would."""

    was: DryRunCount
    would: DryRunCount


class DryRunStates(DryRunSides, frozen=True, kw_only=True):
    """Requests by what became of them and what would have."""

    from_state: State
    to_state: State


class DryRunRule(DryRunSides, frozen=True, kw_only=True):
    """What a rule decided and would decide."""

    rule: str
    version: int


class DryRunReviews(Struct, frozen=True, kw_only=True):
    """Requests left to a person."""

    was: int
    would: int
    spared: Annotated[int, Meta(description="Of those that were: on which rules would have decided.")]
    decided: Annotated[int, Meta(description="Of those that were: on which a person decided in the period.")]
    decided_alike: Annotated[
        int, Meta(description="Of those decided and spared: to which rules would have given as much as the person did.")
    ]


class RuleDryRun(Struct, frozen=True, kw_only=True):
    """What rules would have decided on the requests of a period, against what was decided. Each is judged as it was then; what
    other decisions would have left in the pool for the next is not followed."""

    lines: Annotated[list[DryRunLine], Meta(description="Those that differ, oldest first, as many as were asked for.")]
    since: dt.datetime
    until: Annotated[dt.datetime, Meta(description="Earlier than asked for where it could not be read in time.")]
    complete: Annotated[bool, Meta(description="Whether the whole period was read.")]
    requests: Annotated[int, Meta(description="Requests judged.")]
    unknown: Annotated[int, Meta(description="Requests without the evidence to judge by.")]
    differ: Annotated[int, Meta(description="Requests that would have been decided otherwise.")]
    total: DryRunSides
    reviews: DryRunReviews
    states: list[DryRunStates]
    rules: list[DryRunRule]
    took_ms: int

    @property
    def next_cursor(self) -> None:
        """There are no further pages: counts are of the whole period."""
        return None


def dry_run_answer(run: DryRun, since_ns: int, until_ns: int, *, complete: bool, took_ms: int) -> RuleDryRun:
    """What a program is told of a dry run."""
    reviews = run.reviews()
    return RuleDryRun(
        lines=list(map(_line, run.lines)),
        since=time_of(since_ns),
        until=time_of(until_ns),
        complete=complete,
        requests=run.requests,
        unknown=run.unknown,
        differ=run.differ,
        total=DryRunSides(was=_count(run.total.was), would=_count(run.total.would)),
        reviews=DryRunReviews(
            was=reviews.was,
            would=reviews.would,
            spared=reviews.spared,
            decided=reviews.decided,
            decided_alike=reviews.decided_alike,
        ),
        states=[
            DryRunStates(from_state=was, to_state=would, was=_count(sides.was), would=_count(sides.would))
            for (was, would), sides in sorted(run.states.items())
        ],
        rules=[
            DryRunRule(rule=rule.id, version=rule.version, was=_count(sides.was), would=_count(sides.would))
            for rule, sides in sorted(run.rules.items(), key=lambda item: (item[0].id, item[0].version))
        ],
        took_ms=took_ms,
    )


def _line(line: Line) -> DryRunLine:
    request = line.request
    return DryRunLine(
        id=locate_id(line.sequence),
        at=time_of(line.at_ns),
        security=request.security,
        client=request.client,
        type=request.type,
        requested=request.quantity,
        was=_outcome(line.was),
        would=_outcome(line.would),
        later=None if line.later is None else _outcome(line.later),
    )


def _outcome(outcome: Outcome) -> DryRunOutcome:
    return DryRunOutcome(
        state=outcome.state,
        reason=outcome.reason,
        approved=outcome.approved,
        decrement=outcome.decrement,
        rule=outcome.rule.id,
        version=outcome.rule.version,
        by=outcome.by,
    )


def _count(count: Count) -> DryRunCount:
    return DryRunCount(
        requests=count.requests, requested=count.asked, approved=count.approved, decrement=count.decrement
    )
