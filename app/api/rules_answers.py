"""What the API answers of rules, as types: the OpenAPI document is made from them."""

import datetime as dt
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import asdict

from app.api.answers import time_of
from app.rules_life import Action, DocumentLife, Life, State, Step


class RuleVersion(Struct, frozen=True, kw_only=True):
    """A version of a document of rules as it is now."""

    document: str
    version: int
    title: str
    state: State
    effective_from: Annotated[
        dt.date | None, Meta(description="In force from this date, once approved; null: at once.")
    ]
    markets: Annotated[tuple[str, ...], Meta(description="Empty: every market.")]
    author: str
    comment: str
    created_at: dt.datetime
    reverted_to: Annotated[
        int | None, Meta(description="The version whose text it has, where it was made by a revert.")
    ]
    submitted_by: str | None
    submitted_at: dt.datetime | None
    approved_by: str | None
    approved_at: dt.datetime | None
    active_at: dt.datetime | None
    retired_at: dt.datetime | None
    impact: Annotated[dict[str, Any] | None, Meta(description="What its last test found, in sum.")]


class RuleText(RuleVersion, frozen=True, kw_only=True):
    """A version with its text, and everything that was done to it."""

    text: Annotated[str, Meta(description="As its author wrote it, byte for byte.")]
    rule_versions: Annotated[
        dict[str, int], Meta(description="In which version each rule last changed; empty before it was active.")
    ]
    steps: "list[RuleStep]"


class RuleStep(Struct, frozen=True, kw_only=True):
    """One line of the audit."""

    entry: int
    document: str
    version: int
    at: dt.datetime
    at_ns: int
    who: str
    action: Action
    state: Annotated[State, Meta(description="After the step.")]
    comment: str
    problems: Annotated[tuple[str, ...], Meta(description="Why rules that were due could not be put in force.")]


class RuleDocument(Struct, frozen=True, kw_only=True):
    """A document of rules."""

    document: str
    title: str
    markets: tuple[str, ...]
    active: RuleVersion | None
    drafts: Annotated[list[RuleVersion], Meta(description="Whatever may still become active, oldest first.")]
    newest: Annotated[int, Meta(description="Its highest version number.")]


class RuleDocuments(Struct, frozen=True, kw_only=True):
    """All documents of rules."""

    documents: list[RuleDocument]


class RuleVersions(Struct, frozen=True, kw_only=True):
    """All versions of a document, newest first."""

    versions: list[RuleVersion]


class RuleAudit(Struct, frozen=True, kw_only=True):
    """What was done, newest first."""

    steps: list[RuleStep]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for older ones; null at the end.")]


class RuleTest(Struct, frozen=True, kw_only=True):
    """A version after its test, and what it would change now."""

    version: RuleVersion
    impact: Annotated[
        dict[str, Any],
        Meta(
            description="`totals` before and after by calculation, `securities` with the largest changes first, and those "
            "`under_water` with the live locates on them, and `limits` of clients that would be overdrawn."
        ),
    ]


class RuleImport(Struct, frozen=True, kw_only=True):
    """The drafts made of an import: empty where nothing differs."""

    versions: list[RuleVersion]


def document_answer(document: DocumentLife) -> RuleDocument:
    """What a program is told of a document."""
    active = document.active
    shown = active or document.lives[document.newest]
    return RuleDocument(
        document=document.name,
        title=shown.version.title,
        markets=shown.version.markets,
        active=version_answer(active) if active else None,
        drafts=[version_answer(life) for life in document.open],
        newest=document.newest,
    )


def version_answer(life: Life) -> RuleVersion:
    """What a program is told of a version."""
    first, submitted, approved = life.steps[0], life.last(Action.SUBMIT), life.last(Action.APPROVE)
    tested = life.last(Action.TEST)
    version = life.version
    return RuleVersion(
        document=version.document,
        version=version.version,
        title=version.title,
        state=life.state,
        effective_from=version.effective_from,
        markets=version.markets,
        author=first.who,
        comment=first.comment,
        created_at=time_of(first.at_ns),
        reverted_to=first.detail.reverted_to or None if first.detail else None,
        submitted_by=submitted.who if submitted else None,
        submitted_at=_when(submitted),
        approved_by=approved.who if approved else None,
        approved_at=_when(approved),
        active_at=_when(life.last(Action.ACTIVATE) or life.last(Action.SHIP)),
        retired_at=_when(life.last(Action.RETIRE)),
        impact=tested.detail.impact if tested and tested.detail else None,
    )


def text_answer(life: Life, text: str) -> RuleText:
    """A version with everything."""
    steps = [step_answer(step) for step in life.steps]
    return RuleText(**asdict(version_answer(life)), text=text, rule_versions=life.rule_versions, steps=steps)


def step_answer(step: Step) -> RuleStep:
    """What a program is told of a step."""
    return RuleStep(
        entry=step.entry,
        document=step.document,
        version=step.version,
        at=time_of(step.at_ns),
        at_ns=step.at_ns,
        who=step.who,
        action=step.action,
        state=step.state,
        comment=step.comment,
        problems=step.detail.problems if step.detail else (),
    )


def _when(step: Step | None) -> dt.datetime | None:
    return time_of(step.at_ns) if step else None
