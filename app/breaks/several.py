"""What people make of breaks: groups, matches of many with many, and adjustments that a second person approves. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.breaks.life import (
    MACHINE,
    SETTLERS,
    Action,
    Change,
    Life,
    NotForThemError,
    State,
    WrongBreakStateError,
    and_then,
    check_role,
    stepped,
)
from app.identity import MACHINE_USER, Identity
from engine.break_kinds import BreakKind

MATCHABLE: Final = frozenset({BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK, BreakKind.CONTRACT})
"""Kinds of which one side's too much may be another's too little."""
ADJUSTABLE: Final = frozenset({BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK})
"""Kinds that a change of our own books can solve."""


class GroupState(StrEnum):
    """Whether a group is still one."""

    LIVE = "live"
    DISSOLVED = "dissolved"


class Group(Struct, frozen=True, kw_only=True):
    """Breaks that belong together."""

    number: int
    name: str
    state: GroupState
    by: str
    at_ns: int

    @property
    def id(self) -> str:
        return f"G{self.number:010d}"


class MatchState(StrEnum):
    """Whether a match still holds."""

    LIVE = "live"
    UNDONE = "undone"
    LAPSED = "lapsed"


class Match(Struct, frozen=True, kw_only=True):
    """Breaks that explain each other. `residual`: what they come to together."""

    number: int
    breaks: tuple[int, ...]
    residual: int
    forced: bool
    by: str
    at_ns: int
    comment: str
    state: MatchState

    @property
    def id(self) -> str:
        return f"M{self.number:010d}"


class AdjustState(StrEnum):
    """Where an adjustment is."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    APPLIED = "applied"
    FAILED = "failed"


class Adjustment(Struct, frozen=True, kw_only=True):
    """A change of our own books that somebody asks for. `quantity`: by how much; of a TD/SD break of what is contractual alone,
    of others of what is settled, too."""

    number: int
    of: int
    """The break."""
    security: str
    book: str
    depot: str
    position_type: str
    quantity: int
    contractual: bool
    state: AdjustState
    asked_by: str
    asked_ns: int
    comment: str
    decided_by: str = ""
    decided_ns: int = 0
    decision_comment: str = ""
    problem: str = ""

    @property
    def id(self) -> str:
        return f"A{self.number:010d}"


def group(lives: Sequence[Life], made: Group, who: Identity, comment: str) -> list[Change]:
    """These breaks belong together from now on, and to no group they were in before."""
    return [
        stepped(life, Action.GROUPED, who.user, made.at_ns, comment, group=made.id, detail={"group": made.id})
        for life in lives
    ]


def ungroup(lives: Sequence[Life], who: Identity, at_ns: int, comment: str) -> list[Change]:
    """These belong to no group."""
    return [
        stepped(life, Action.UNGROUPED, who.user, at_ns, comment, group="", detail={"group": life.group})
        for life in lives
        if life.group
    ]


def match(lives: Sequence[Life], made: Match, who: Identity) -> list[Change]:
    """These explain each other; each is resolved, and what was kept back for it is available again.

    Raises `WrongBreakStateError` where they do not, unless somebody forces them to.
    """
    check_role(who, SETTLERS)
    for life in lives:
        if not life.open:
            raise WrongBreakStateError(f"B{life.number:010d} is resolved")
        if life.facts.kind not in MATCHABLE and not made.forced:
            raise WrongBreakStateError(
                f"B{life.number:010d}, of kind {life.facts.kind}, has no other side to match with"
            )
    if not made.forced:
        tolerated = max(life.facts.tolerance for life in lives)
        if abs(made.residual) > tolerated:
            raise WrongBreakStateError(
                f"together they come to {made.residual:,}, and {tolerated:,} is tolerated: force it, with a reason"
            )
        _same_shares(lives)
    return [_matched(life, made, who) for life in lives]


def residual_of(lives: Sequence[Life]) -> int:
    """What breaks come to together."""
    return sum(life.facts.quantity for life in lives)


def _same_shares(lives: Sequence[Life]) -> None:
    """Shares of one security, or of several in the same depot: then one was taken for the other. Contracts have none."""
    securities = {life.facts.about.security for life in lives}
    depots = {life.facts.about.depot for life in lives}
    if len(securities) > 1 and (len(depots) > 1 or "" in depots):
        raise WrongBreakStateError("they are about different securities, not in one depot: force it, with a reason")


def _matched(life: Life, made: Match, who: Identity) -> Change:
    change = Change(life)
    if life.held:
        change = and_then(
            change, Action.RETURNED, who.user, made.at_ns, "it is matched", held=0, detail={"shares": life.held}
        )
    detail = {"match": made.id, "forced": made.forced, "residual": made.residual}
    return and_then(
        change,
        Action.MATCHED,
        who.user,
        made.at_ns,
        made.comment,
        state=State.RESOLVED,
        resolved_ns=made.at_ns,
        match=made.id,
        detail=detail,
    )


def unmatch(lives: Sequence[Life], undone: Match, who: str, at_ns: int, comment: str) -> list[Change]:
    """A match does not hold any more: what it had resolved is open again."""
    return [
        stepped(
            life,
            Action.UNMATCHED,
            who,
            at_ns,
            comment,
            state=State.REOPENED,
            resolved_ns=0,
            match="",
            detail={"match": undone.id},
        )
        for life in lives
        if life.match == undone.id
    ]


def lapse(matches: Mapping[str, Match], changes: Sequence[Change], lives: Mapping[int, Life], at_ns: int) -> tuple[
    list[Match], list[Change]
]:  # fmt: skip
    """Matches of which a break is open again, or gone, have ended, and their other breaks are open again. `lives`: all breaks
    of these matches, as they were before the changes."""
    left = {change.life.number for change in changes if not change.life.match}
    ended, further = [], []
    for one in matches.values():
        if one.state != MatchState.LIVE or not left & set(one.breaks):
            continue
        ended.append(replace(one, state=MatchState.LAPSED))
        others = [lives[number] for number in one.breaks if number not in left and number in lives]
        further += unmatch(others, one, MACHINE, at_ns, "another break of the match is not what it was")
    return ended, further


def may_ask(life: Life, who: Identity) -> None:
    """Raises where an adjustment cannot be asked for."""
    check_role(who, SETTLERS)
    if life.facts.kind not in ADJUSTABLE:
        raise WrongBreakStateError(f"a break of kind {life.facts.kind} is not solved by a change of our books")
    if not life.open:
        raise WrongBreakStateError("it is resolved")


def decided(
    asked: Adjustment, life: Life, action: Action, who: Identity, at_ns: int, comment: str
) -> tuple[Adjustment, Change]:
    """A second person has decided on it; or who asked has thought better of it."""
    check_role(who, SETTLERS)
    if asked.state != AdjustState.PENDING:
        raise WrongBreakStateError(f"it is {asked.state}")
    if who.user == MACHINE_USER:
        raise NotForThemError("a person decides on adjustments")
    own = asked.asked_by == who.user
    if action == Action.ADJUST_WITHDRAWN and not own:
        raise NotForThemError(f"only {asked.asked_by}, who asked for it, withdraws it")
    if action != Action.ADJUST_WITHDRAWN and own:
        raise NotForThemError("who asked for an adjustment does not decide on it")
    state = {
        Action.ADJUST_APPROVED: AdjustState.APPROVED,
        Action.ADJUST_REJECTED: AdjustState.REJECTED,
        Action.ADJUST_WITHDRAWN: AdjustState.WITHDRAWN,
    }[action]
    if state == AdjustState.APPROVED and not life.open:
        raise WrongBreakStateError("its break is resolved: there is nothing to adjust any more")
    after = replace(asked, state=state, decided_by=who.user, decided_ns=at_ns, decision_comment=comment)
    return after, stepped(life, action, who.user, at_ns, comment, detail={"adjustment": asked.id})
