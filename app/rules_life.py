"""The life of a version of a document of rules: draft, tested, submitted, approved, active on its date, retired.

Pure: what has happened to a version is the list of its steps, and a further step is judged by it. Who made a version,
wrote it or submitted it, is never the one who checks it.
"""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from app.identity import CHECKERS, WRITERS, Identity


class State(StrEnum):
    """Where a version is in its life."""

    DRAFT = "draft"
    TESTED = "tested"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    ACTIVE = "active"
    RETIRED = "retired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    """What is done to a version."""

    SHIP = "ship"
    """It came with the program, and the store was empty."""
    DRAFT = "draft"
    REVERT = "revert"
    IMPORT = "import"
    TEST = "test"
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    ACTIVATE = "activate"
    RETIRE = "retire"
    REFUSE = "refuse"
    """Its date came, and the machine could not take it: it stays approved."""


OPEN: Final = frozenset({State.DRAFT, State.TESTED, State.SUBMITTED, State.APPROVED})
"""Something may still become of it."""
_FROM: Final[Mapping[Action, Mapping[State, State]]] = {
    Action.TEST: {
        State.DRAFT: State.TESTED,
        State.TESTED: State.TESTED,
        State.SUBMITTED: State.SUBMITTED,
        State.APPROVED: State.APPROVED,
    },
    Action.SUBMIT: {State.TESTED: State.SUBMITTED},
    Action.APPROVE: {State.SUBMITTED: State.APPROVED},
    Action.REJECT: {State.SUBMITTED: State.REJECTED},
    Action.WITHDRAW: dict.fromkeys(OPEN, State.WITHDRAWN),
    Action.ACTIVATE: {State.APPROVED: State.ACTIVE},
    Action.RETIRE: {State.ACTIVE: State.RETIRED},
    Action.REFUSE: {State.APPROVED: State.APPROVED},
}
_BEGINNINGS: Final = frozenset({Action.SHIP, Action.DRAFT, Action.REVERT, Action.IMPORT})
_ROLES: Final = {
    Action.DRAFT: WRITERS,
    Action.REVERT: WRITERS,
    Action.IMPORT: WRITERS,
    Action.TEST: WRITERS | CHECKERS,
    Action.SUBMIT: WRITERS,
    Action.APPROVE: CHECKERS,
    Action.REJECT: CHECKERS,
    Action.WITHDRAW: WRITERS | CHECKERS,
}


class WrongStateError(ValueError):
    """The version cannot go from its state to the one asked for."""


class NoSuchVersionError(LookupError):
    """There is no such document, or no such version of it."""


class NotAllowedError(PermissionError):
    """Not by this person."""


class Detail(Struct, frozen=True, omit_defaults=True):
    """What else a step leaves behind. `rule_versions`: of an activation, see `Document.rule_versions`."""

    rule_versions: dict[str, int] = {}
    reverted_to: int = 0
    impact: dict[str, Any] = {}
    """Of a test: the totals, and how much would change."""
    problems: tuple[str, ...] = ()


class Version(Struct, frozen=True):
    """What its author wrote; the text is kept apart. `effective_from` None: at once; `markets` (): all."""

    document: str
    version: int
    title: str = ""
    effective_from: dt.date | None = None
    markets: tuple[str, ...] = ()


class Step(Struct, frozen=True):
    """One line of the audit. `serial` counts the document's steps from 1; `entry` 0: not written yet."""

    document: str
    version: int
    serial: int
    at_ns: int
    who: str
    action: Action
    state: State
    comment: str = ""
    detail: Detail | None = None
    entry: int = 0


class Life(Struct, frozen=True):
    """A version and everything that was done to it, oldest step first."""

    version: Version
    steps: tuple[Step, ...]

    @property
    def state(self) -> State:
        return self.steps[-1].state

    @property
    def author(self) -> str:
        return self.steps[0].who

    @property
    def makers(self) -> frozenset[str]:
        """Who wrote it and who submitted it."""
        return frozenset({self.author} | {step.who for step in self.steps if step.action == Action.SUBMIT})

    def last(self, action: Action) -> Step | None:
        """The newest step of a kind."""
        return next((step for step in reversed(self.steps) if step.action == action), None)

    @property
    def rule_versions(self) -> dict[str, int]:
        """In which version of the document each rule last changed, as it was found when this one became active."""
        active = next((step for step in reversed(self.steps) if step.state == State.ACTIVE), None)
        return active.detail.rule_versions if active and active.detail else {}


class DocumentLife(Struct, frozen=True):
    """All versions of a document."""

    name: str
    lives: Mapping[int, Life]
    serial: int = 0
    """Of its newest step."""

    @property
    def newest(self) -> int:
        return max(self.lives, default=0)

    @property
    def active(self) -> Life | None:
        return next((life for life in self.lives.values() if life.state == State.ACTIVE), None)

    @property
    def open(self) -> list[Life]:
        """Versions that something may still become of, oldest first."""
        return [life for life in self.lives.values() if life.state in OPEN]


def document_in(documents: Mapping[str, DocumentLife], name: str) -> DocumentLife:
    """Raises `NoSuchVersionError`."""
    if name not in documents:
        raise NoSuchVersionError(f"no document {name}")
    return documents[name]


def life_in(documents: Mapping[str, DocumentLife], name: str, number: int) -> Life:
    """Raises `NoSuchVersionError`."""
    life = document_in(documents, name).lives.get(number)
    if life is None:
        raise NoSuchVersionError(f"no version {number} of {name}")
    return life


def newest_in(documents: Mapping[str, DocumentLife], name: str) -> int:
    """The highest version number of a document; 0 for one that there is not yet."""
    return documents[name].newest if name in documents else 0


def check_role(action: Action, who: Identity) -> None:
    """Raises `NotAllowedError` unless one of the roles that it needs is theirs."""
    roles = _ROLES[action]
    if not who.may(roles):
        raise NotAllowedError(f"to {action} rules takes the role {' or '.join(sorted(roles))}")


def check_step(life: Life, action: Action, who: Identity) -> None:
    """Whether a person may take this step now. Raises `NotAllowedError` and `WrongStateError`."""
    check_role(action, who)
    next_state(life, action)
    if action in {Action.APPROVE, Action.REJECT} and who.user in life.makers:
        raise NotAllowedError(f"{who.user} made {_name(life)}: another person checks it")
    if action == Action.WITHDRAW and who.user not in life.makers and not who.may(CHECKERS):
        raise NotAllowedError(f"{_name(life)} is withdrawn by {' or '.join(sorted(life.makers))}, or by an admin")


def next_state(life: Life, action: Action) -> State:
    """The state that a step leads to. Raises `WrongStateError`."""
    state = _FROM[action].get(life.state)
    if state is None:
        wanted = " or ".join(_FROM[action])
        raise WrongStateError(f"{_name(life)} is {life.state}; to {action} it, it must be {wanted}")
    return state


def first_step(version: Version, action: Action, who: str, serial: int, at_ns: int, comment: str = "") -> Step:
    """How a version comes into being. `serial`: one more than the document's last."""
    assert action in _BEGINNINGS
    state = State.ACTIVE if action == Action.SHIP else State.DRAFT
    return Step(version.document, version.version, serial, at_ns, who, action, state, comment)


def further_step(life: Life, action: Action, who: str, serial: int, at_ns: int, comment: str = "") -> Step:
    """What happens to a version next. Raises `WrongStateError`."""
    version = life.version
    return Step(version.document, version.version, serial, at_ns, who, action, next_state(life, action), comment)


def _name(life: Life) -> str:
    return f"version {life.version.version} of {life.version.document}"
