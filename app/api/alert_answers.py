"""Alerts and their events as the API shows them, and as the stream and webhooks tell of them."""

import datetime as dt
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from app.alerts_store import Alert, AlertEvent, EventState, Severity
from app.api.answers import time_of

_ID: Final = "E{:010d}"


class AlertAnswer(Struct, frozen=True, kw_only=True):
    """One of your alerts."""

    id: str
    revision: Annotated[int, Meta(description="Grows with every change: say it when you change it.")]
    name: str
    condition: str
    securities: Annotated[tuple[str, ...], Meta(description="Codes it is kept to; none: all securities.")]
    severity: Severity
    enabled: bool
    sound: bool
    webhook: bool
    margin_percent: float
    hold_s: int
    raised: Annotated[int, Meta(description="Events that nobody has acknowledged.")]
    acknowledged: Annotated[int, Meta(description="Events that are acknowledged, and not over.")]
    problem: Annotated[
        str, Meta(description="Why the condition cannot be used under the rules in force; empty: it can.")
    ]
    created_at: dt.datetime
    changed_at: dt.datetime


class AlertList(Struct, frozen=True, kw_only=True):
    """All of yours, oldest first."""

    alerts: list[AlertAnswer]


class AlertEventAnswer(Struct, frozen=True, kw_only=True):
    """That a condition held for a security."""

    id: str
    alert: str
    name: Annotated[str, Meta(description="Of the alert, as it was then.")]
    condition: str
    severity: Severity
    sound: bool
    security: str
    ticker: str
    title: Annotated[str, Meta(description="Name of the security.")]
    market: str
    values: Annotated[
        dict[str, float | int | None], Meta(description="What the condition's numbers were then; null: not known.")
    ]
    state: EventState
    raised_at: dt.datetime
    acknowledged_at: dt.datetime | None
    cleared_at: dt.datetime | None
    remark: str


class AlertEventPage(Struct, frozen=True, kw_only=True):
    """Newest first."""

    events: list[AlertEventAnswer]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for what follows; null at the end.")]


class AcknowledgeAnswer(Struct, frozen=True, kw_only=True):
    """Those that were raised, and are acknowledged now."""

    acknowledged: list[str]


class AlertMatch(Struct, frozen=True, kw_only=True):
    """A security for which a condition holds now."""

    security: str
    ticker: str
    title: str
    market: str
    values: dict[str, float | int | None]


class AlertTestAnswer(Struct, frozen=True, kw_only=True):
    """For what a condition holds now."""

    matching: int
    looked_at: Annotated[int, Meta(description="How many securities.")]
    securities: Annotated[list[AlertMatch], Meta(description="The first of them.")]
    took_ms: float


class AlertWord(Struct, frozen=True, kw_only=True):
    """A number that a condition may look at."""

    name: str
    title: str
    family: str
    unit: str
    tip: str


class AlertWords(Struct, frozen=True, kw_only=True):
    """What a condition may say."""

    numbers: list[AlertWord]
    attributes: Annotated[
        dict[str, list[str]], Meta(description="Texts of a security, with all values where they are few.")
    ]
    examples: list[str]


def event_id(sequence: int) -> str:
    """As it is called outside."""
    return _ID.format(sequence)


def event_sequence(text: str) -> int | None:
    """Of an id; None for what is none."""
    digits = text.removeprefix("E")
    good = len(text) - len(digits) == 1 and digits.isascii() and digits.isdigit() and len(digits) <= 18  # noqa: PLR2004
    return int(digits) if good and event_id(int(digits)) == text else None


def alert_answer(alert: Alert, raised: int, acknowledged: int, problem: str) -> AlertAnswer:
    """An alert with how many of its events are open."""
    return AlertAnswer(
        id=alert.id,
        revision=alert.revision,
        **msgspec.structs.asdict(alert.wanted),
        raised=raised,
        acknowledged=acknowledged,
        problem=problem,
        created_at=time_of(alert.created_ns),
        changed_at=time_of(alert.changed_ns),
    )


def event_answer(event: AlertEvent) -> AlertEventAnswer:
    """An event as it is."""
    return AlertEventAnswer(
        id=event_id(event.sequence),
        alert=event.alert,
        name=event.name,
        condition=event.condition,
        severity=event.severity,
        sound=event.sound,
        security=event.security,
        ticker=event.ticker,
        title=event.title,
        market=event.market,
        values=event.values,
        state=event.state,
        raised_at=time_of(event.raised_ns),
        acknowledged_at=time_of(event.acknowledged_ns) if event.acknowledged_ns else None,
        cleared_at=time_of(event.cleared_ns) if event.cleared_ns else None,
        remark=event.remark,
    )
