"""The life of a break: found, worked on, resolved when its cause is gone, reopened when it is back.

Pure: what was seen is held against what is known, and what comes of it is a list of changes, each with its step. A break that
people have matched counts as resolved for as long as it stays what it was when they did.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from app.breaks.facts import Facts
from app.identity import REVIEWERS, WRITERS, Identity, Role
from engine.break_kinds import BreakKind

MACHINE: Final = "ims"
"""Who takes the steps that nobody asked for."""


class State(StrEnum):
    """Where a break is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class Action(StrEnum):
    """What happens to a break."""

    FOUND = "found"
    CHANGED = "changed"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    ACKNOWLEDGED = "acknowledged"
    GROUPED = "grouped"
    UNGROUPED = "ungrouped"
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    HELD = "held"
    RETURNED = "returned"
    ADJUST_ASKED = "adjust_asked"
    ADJUST_APPROVED = "adjust_approved"
    ADJUST_REJECTED = "adjust_rejected"
    ADJUST_WITHDRAWN = "adjust_withdrawn"
    ADJUSTED = "adjusted"


WORKERS: Final = WRITERS | frozenset({Role.ADMIN})
"""They work on breaks."""
SETTLERS: Final = REVIEWERS
"""They match, keep stock out of what is available, and adjust."""
HOLDABLE: Final = frozenset(
    {BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK, BreakKind.CONTRACT, BreakKind.AVAILABILITY}
)
"""Kinds that are about shares of one security."""


class NoSuchBreakError(LookupError):
    """There is no such break, group, match or adjustment; the message says which."""


class WrongBreakStateError(ValueError):
    """It cannot go from where it is to what was asked for; the message says why."""


class NotForThemError(PermissionError):
    """Not by this person; the message says why."""


class Step(Struct, frozen=True, kw_only=True):
    """One line of the history. `serial` counts the break's steps from 1; `entry` 0: not written yet."""

    number: int
    serial: int
    at_ns: int
    who: str
    action: Action
    state: State
    quantity: int
    comment: str = ""
    detail: dict[str, Any] = {}
    entry: int = 0


class Life(Struct, frozen=True, kw_only=True):
    """A break, whatever state it is in. `first_day`: the business day of its market on which it was found."""

    number: int
    facts: Facts
    state: State
    first_seen_ns: int
    first_day: int
    changed_ns: int
    agreed_ns: int = 0
    """The last look that found both sides alike; 0 where there was none before it was found."""
    resolved_ns: int = 0
    owner: str = ""
    group: str = ""
    held: int = 0
    match: str = ""
    revision: int = 0

    @property
    def key(self) -> str:
        return self.facts.key

    @property
    def open(self) -> bool:
        return self.state != State.RESOLVED

    @property
    def touched(self) -> bool:
        """Whether somebody has had to do with it, so that what happens to it is worth a line of its history."""
        return bool(self.state == State.ACKNOWLEDGED or self.owner or self.group or self.held or self.match)


class Change(Struct, frozen=True):
    """A break as it is after some steps; none where only what is known of it is newer."""

    life: Life
    steps: tuple[Step, ...] = ()


class Seen(Struct, frozen=True):
    """What one look at everything found. `kinds`: those that were looked for and could be; `day_of`: by market's code, the
    business day it is; the day of a break without a market is that under ""."""

    facts: Mapping[str, Facts]
    kinds: Collection[BreakKind]
    at_ns: int
    agreed_ns: int
    day_of: Mapping[str, int]


def stepped(life: Life, action: Action, who: str, at_ns: int, comment: str = "", **more: Any) -> Change:
    """The break after one more step. `more`: fields of it that change, and `detail` of the step."""
    detail = more.pop("detail", {})
    after = replace(life, revision=life.revision + 1, changed_ns=at_ns, **more)
    return Change(after, (step_of(after, action, who, at_ns, comment, detail),))


def and_then(change: Change, action: Action, who: str, at_ns: int, comment: str = "", **more: Any) -> Change:
    """One step more."""
    further = stepped(change.life, action, who, at_ns, comment, **more)
    return Change(further.life, change.steps + further.steps)


def step_of(life: Life, action: Action, who: str, at_ns: int, comment: str, detail: dict[str, Any]) -> Step:
    """The step that led to this."""
    return Step(
        number=life.number,
        serial=life.revision,
        at_ns=at_ns,
        who=who,
        action=action,
        state=life.state,
        quantity=life.facts.quantity,
        comment=comment,
        detail=detail,
    )


def follow(known: Mapping[str, Life], seen: Seen, next_number: int) -> list[Change]:
    """What has become of every break. `known`: by key those that are not resolved, and of the others those that were found
    again or are matched."""
    changes: list[Change] = []
    for key, facts in seen.facts.items():
        life = known.get(key)
        if life is None:
            changes.append(_found(facts, seen, next_number))
            next_number += 1
        elif life.state == State.RESOLVED:
            changes += _again(life, facts, seen)
        else:
            changes += _still(life, facts, seen)
    for key, life in known.items():
        if key not in seen.facts and life.facts.kind in seen.kinds and (life.open or life.match):
            changes.append(_gone(life, seen))
    return changes


def _found(facts: Facts, seen: Seen, number: int) -> Change:
    day = seen.day_of.get(facts.about.market, seen.day_of[""])
    life = Life(
        number=number,
        facts=facts,
        state=State.OPEN,
        first_seen_ns=seen.at_ns,
        first_day=day,
        changed_ns=seen.at_ns,
        agreed_ns=seen.agreed_ns,
        revision=1,
    )
    return Change(life, (step_of(life, Action.FOUND, MACHINE, seen.at_ns, "", {}),))


def _again(life: Life, facts: Facts, seen: Seen) -> list[Change]:
    """It was resolved: by a match that still holds, or it is back."""
    if life.match and facts.quantity == life.facts.quantity:
        return []
    why = "it is not what it was when it was matched" if life.match else "it is back"
    day = seen.day_of.get(facts.about.market, seen.day_of[""])
    fresh = {"first_day": day, "first_seen_ns": seen.at_ns, "agreed_ns": seen.agreed_ns} if not life.match else {}
    return [
        stepped(
            life,
            Action.REOPENED,
            MACHINE,
            seen.at_ns,
            why,
            state=State.REOPENED,
            facts=facts,
            resolved_ns=0,
            match="",
            **fresh,
        )
    ]


def _still(life: Life, facts: Facts, seen: Seen) -> list[Change]:
    if facts.quantity != life.facts.quantity and life.touched:
        detail = {"before": life.facts.quantity}
        return [stepped(life, Action.CHANGED, MACHINE, seen.at_ns, "", facts=facts, detail=detail)]
    if facts == life.facts:
        return []
    changed_ns = life.changed_ns if facts.quiet() == life.facts.quiet() else seen.at_ns
    return [Change(replace(life, facts=facts, changed_ns=changed_ns))]


def _gone(life: Life, seen: Seen) -> Change:
    """Its cause is gone; what was kept out of what is available comes back, and it makes up for no other break any more."""
    change = Change(life)
    if life.held:
        change = and_then(
            change, Action.RETURNED, MACHINE, seen.at_ns, "it is solved", held=0, detail={"shares": life.held}
        )
    return and_then(
        change,
        Action.RESOLVED,
        MACHINE,
        seen.at_ns,
        "its cause is gone",
        state=State.RESOLVED,
        resolved_ns=seen.at_ns,
        match="",
    )


# what people do


def check_role(who: Identity, roles: frozenset[Role]) -> None:
    """Raises `NotForThemError`."""
    if not who.may(roles):
        raise NotForThemError(f"this takes the role {' or '.join(sorted(roles))}")


def _must_be_open(life: Life) -> None:
    if not life.open:
        raise WrongBreakStateError(f"{life.number} is resolved")


def assign(life: Life, owner: str, who: Identity, at_ns: int, comment: str) -> Change:
    """It is somebody's, or ("") nobody's."""
    check_role(who, WORKERS)
    _must_be_open(life)
    return stepped(life, Action.ASSIGNED, who.user, at_ns, comment, owner=owner, detail={"owner": owner})


def comment_on(life: Life, who: Identity, at_ns: int, comment: str) -> Change:
    """Something is said of it; of a resolved one, too."""
    check_role(who, WORKERS)
    return stepped(life, Action.COMMENTED, who.user, at_ns, comment)


def acknowledge(life: Life, who: Identity, at_ns: int, comment: str) -> Change:
    """Somebody has seen it."""
    check_role(who, WORKERS)
    if life.state not in (State.OPEN, State.REOPENED):
        raise WrongBreakStateError(f"it is {life.state}")
    return stepped(life, Action.ACKNOWLEDGED, who.user, at_ns, comment, state=State.ACKNOWLEDGED)


def hold(life: Life, quantity: int | None, who: Identity, at_ns: int, comment: str) -> Change:
    """Keep shares out of what is available until it is solved: so many, or what is missing."""
    check_role(who, SETTLERS)
    _must_be_open(life)
    if life.facts.kind not in HOLDABLE or not life.facts.about.security:
        raise WrongBreakStateError(f"a break of kind {life.facts.kind} is about no shares that could be kept back")
    shares = abs(life.facts.quantity) if quantity is None else quantity
    if shares == life.held:
        raise WrongBreakStateError(f"{shares:,} shares are kept back already")
    return stepped(life, Action.HELD, who.user, at_ns, comment, held=shares, detail={"shares": shares})


def give_back(life: Life, who: Identity, at_ns: int, comment: str) -> Change:
    """What was kept back is available again."""
    check_role(who, SETTLERS)
    if not life.held:
        raise WrongBreakStateError("nothing is kept back")
    return stepped(life, Action.RETURNED, who.user, at_ns, comment, held=0, detail={"shares": life.held})
