"""Alerts and their events as they are kept. Every function is a part of one transaction of the journal's database.

The analyst writes what has begun and ended, the API what people write and acknowledge; both may do so at once, because each
step of an event is taken from the state that it is in.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from app.alerts_schema import ALERT_EVENTS, ALERT_HISTORY, ALERTS

MOST_OF_ONE: Final = 100
"""Alerts of one person."""
MOST: Final = 1_000
KEPT: Final = 10_000
"""Events of one person that are over: the newest, with their steps. Some 40 MB at most, more than anybody reads; a webhook that
is further behind than that is not told of what is forgotten."""
_AT_ONCE: Final = 1_000
"""Of a history that is longer than that so many are removed in one transaction, besides as many as have begun."""
_JSON: Final = msgspec.json.Encoder()


class Severity(StrEnum):
    """How much it matters, to who wrote it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class EventState(StrEnum):
    """What has become of an event."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    """Somebody has seen it: it stays quiet until it has been over once."""
    CLEARED = "cleared"
    """The condition does not hold any more, or is asked for no more."""


OPEN: Final = (EventState.RAISED, EventState.ACKNOWLEDGED)


class Wanted(Struct, frozen=True, kw_only=True):
    """What somebody wants to be told of. `securities`: codes it is kept to; none: all. `margin_percent` of a limit, and
    `hold_s` seconds: how far, and how long, it must be over before it can ring again."""

    name: str
    condition: str
    securities: tuple[str, ...] = ()
    severity: Severity = Severity.MEDIUM
    enabled: bool = True
    sound: bool = False
    webhook: bool = False
    margin_percent: float = 1.0
    hold_s: int = 5


class Alert(Struct, frozen=True, kw_only=True):
    """One of somebody's alerts. `revision` grows with every change."""

    id: str
    owner: str
    revision: int
    created_ns: int
    changed_ns: int
    wanted: Wanted


class AlertEvent(Struct, frozen=True, kw_only=True):
    """That an alert's condition held for a security. `values`: what its numbers were then, as shown; null: not known."""

    sequence: int = 0
    alert: str
    owner: str
    name: str
    condition: str
    severity: Severity
    sound: bool
    webhook: bool
    security: str
    ticker: str
    title: str
    market: str
    values: dict[str, float | int | None]
    state: EventState
    raised_ns: int
    acknowledged_ns: int = 0
    cleared_ns: int = 0
    remark: str = ""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`before`: a sequence; newest first from there on."""

    owner: str
    states: Collection[EventState]
    alert: str | None = None
    before: int | None = None
    limit: int = 100


class TooManyError(ValueError):
    """No more alerts are kept; the message says of whom."""


# what people write


def all_of(connection: sa.Connection, owner: str) -> list[Alert]:
    """Oldest first."""
    column = ALERTS.c
    chosen = sa.select(column.document).where(column.owner == owner).order_by(column.created_ns, column.id)
    return [_alert(document) for document in connection.execute(chosen).scalars()]


def one_of(connection: sa.Connection, owner: str, name: str) -> Alert | None:
    """None where this person has no such alert."""
    chosen = sa.select(ALERTS.c.document).where(ALERTS.c.id == name, ALERTS.c.owner == owner)
    document = connection.execute(chosen).scalar_one_or_none()
    return None if document is None else _alert(document)


def add(connection: sa.Connection, owner: str, wanted: Wanted, now_ns: int) -> Alert:
    """Raises `TooManyError`."""
    count = sa.select(sa.func.count()).select_from(ALERTS)
    if connection.execute(count.where(ALERTS.c.owner == owner)).scalar_one() >= MOST_OF_ONE:
        raise TooManyError(f"you have {MOST_OF_ONE} alerts already")
    if connection.execute(count).scalar_one() >= MOST:
        raise TooManyError(f"there are {MOST:,} alerts already")
    alert = Alert(
        id=f"A{secrets.token_hex(4)}", owner=owner, revision=1, created_ns=now_ns, changed_ns=now_ns, wanted=wanted
    )
    connection.execute(sa.insert(ALERTS).values(_row(alert) | {"owner": owner, "created_ns": now_ns}))
    return alert


def change(connection: sa.Connection, alert: Alert, wanted: Wanted, now_ns: int) -> Alert | None:
    """The alert with what is wanted now; what is open of it stays open where the same is watched on. None where somebody was
    faster."""
    changed = replace(alert, revision=alert.revision + 1, changed_ns=now_ns, wanted=wanted)
    written = sa.update(ALERTS).where(ALERTS.c.id == alert.id, ALERTS.c.revision == alert.revision)
    if not connection.execute(written.values(_row(changed))).rowcount:
        return None
    if not wanted.enabled:
        clear(connection, open_events(connection, [alert.id]), now_ns, "switched off")
    return changed


def remove(connection: sa.Connection, alert: Alert, now_ns: int) -> None:
    """And what is open of it is over."""
    connection.execute(sa.delete(ALERTS).where(ALERTS.c.id == alert.id))
    clear(connection, open_events(connection, [alert.id]), now_ns, "the alert was removed")


# events


def revisions(connection: sa.Connection) -> dict[str, int]:
    """Of all that are to be watched."""
    chosen = sa.select(ALERTS.c.id, ALERTS.c.revision).where(ALERTS.c.enabled)
    return {row.id: row.revision for row in connection.execute(chosen)}


def watched(connection: sa.Connection, names: Collection[str]) -> list[Alert]:
    """The alerts of these names that are to be watched."""
    chosen = sa.select(ALERTS.c.document).where(ALERTS.c.id.in_(list(names)), ALERTS.c.enabled)
    return [_alert(document) for document in connection.execute(chosen).scalars()]


def open_events(connection: sa.Connection, alerts: Collection[str] | None) -> list[AlertEvent]:
    """Of these alerts (None: of all), oldest first."""
    column = ALERT_EVENTS.c
    chosen = sa.select(column.document).where(column.state.in_([state.value for state in OPEN]))
    if alerts is not None:
        chosen = chosen.where(column.alert.in_(list(alerts)))
    return [event_of(document) for document in connection.execute(chosen.order_by(column.sequence)).scalars()]


def find(connection: sa.Connection, query: EventQuery) -> list[AlertEvent]:
    """Newest first."""
    column = ALERT_EVENTS.c
    chosen = sa.select(column.document).where(
        column.owner == query.owner, column.state.in_([state.value for state in query.states])
    )
    if query.alert is not None:
        chosen = chosen.where(column.alert == query.alert)
    if query.before is not None:
        chosen = chosen.where(column.sequence < query.before)
    found = connection.execute(chosen.order_by(column.sequence.desc()).limit(query.limit))
    return [event_of(document) for document in found.scalars()]


def counts(connection: sa.Connection, owner: str) -> dict[tuple[str, EventState], int]:
    """How many events are open, by alert and state."""
    column = ALERT_EVENTS.c
    chosen = (
        sa.select(column.alert, column.state, sa.func.count())
        .where(column.owner == owner, column.state.in_([state.value for state in OPEN]))
        .group_by(column.alert, column.state)
    )
    return {(alert, EventState(state)): count for alert, state, count in connection.execute(chosen)}


def begin(connection: sa.Connection, events: Sequence[AlertEvent]) -> list[AlertEvent]:
    """Write down what has begun; the events with their sequences. Nobody else may do so at the same time.

    Of the same people what is over and older than the newest `KEPT` is forgotten.
    """
    if not events:
        return []
    last = connection.execute(sa.select(sa.func.max(ALERT_EVENTS.c.sequence))).scalar_one() or 0
    made = [replace(event, sequence=last + number) for number, event in enumerate(events, start=1)]
    rows = [
        {
            "sequence": event.sequence,
            "alert": event.alert,
            "owner": event.owner,
            "security": event.security,
            "state": event.state.value,
            "raised_ns": event.raised_ns,
            "document": _JSON.encode(event).decode(),
        }
        for event in made
    ]
    connection.execute(sa.insert(ALERT_EVENTS), rows)
    _remember(connection, made, [event.raised_ns for event in made])
    for owner, count in Counter(event.owner for event in made).items():
        _forget(connection, owner, count + _AT_ONCE)
    return made


def clear(connection: sa.Connection, events: Iterable[AlertEvent], now_ns: int, remark: str = "") -> list[AlertEvent]:
    """They are over; those that are over already are left out."""
    over = [replace(event, state=EventState.CLEARED, cleared_ns=now_ns, remark=remark) for event in events]
    return _step(connection, over, OPEN, now_ns)


def acknowledge(
    connection: sa.Connection,
    owner: str,
    now_ns: int,
    *,
    events: Collection[int] | None = None,
    alert: str | None = None,
) -> list[AlertEvent]:
    """Somebody has seen these of his own events, or all of an alert, or all there are; those that are raised."""
    column = ALERT_EVENTS.c
    chosen = sa.select(column.document).where(column.owner == owner, column.state == EventState.RAISED.value)
    if events is not None:
        chosen = chosen.where(column.sequence.in_(sorted(events)))
    if alert is not None:
        chosen = chosen.where(column.alert == alert)
    raised = [event_of(document) for document in connection.execute(chosen.order_by(column.sequence)).scalars()]
    seen = [replace(event, state=EventState.ACKNOWLEDGED, acknowledged_ns=now_ns) for event in raised]
    return _step(connection, seen, (EventState.RAISED,), now_ns)


def event_of(document: str) -> AlertEvent:
    """As it stands in the history."""
    return msgspec.json.decode(document, type=AlertEvent)


# parts


def _step(
    connection: sa.Connection, events: Sequence[AlertEvent], before: Collection[EventState], now_ns: int
) -> list[AlertEvent]:
    column = ALERT_EVENTS.c
    taken = []
    for event in events:
        written = sa.update(ALERT_EVENTS).where(
            column.sequence == event.sequence, column.state.in_([state.value for state in before])
        )
        if connection.execute(written.values(state=event.state.value, document=_JSON.encode(event).decode())).rowcount:
            taken.append(event)
    _remember(connection, taken, [now_ns] * len(taken))
    return taken


def _remember(connection: sa.Connection, events: Sequence[AlertEvent], times_ns: Sequence[int]) -> None:
    if events:
        rows: list[Mapping[str, Any]] = [
            {
                "sequence": event.sequence,
                "at_ns": at_ns,
                "state": event.state.value,
                "document": _JSON.encode(event).decode(),
            }
            for event, at_ns in zip(events, times_ns, strict=True)
        ]
        connection.execute(sa.insert(ALERT_HISTORY), rows)


def _forget(connection: sa.Connection, owner: str, most: int) -> None:
    """Of what is over of one person the oldest beyond `KEPT`, and its steps: at most so many. What is open stays."""
    column = ALERT_EVENTS.c
    over = column.owner == owner, column.state == EventState.CLEARED.value
    newest = sa.select(column.sequence).where(*over).order_by(column.sequence.desc())
    last = connection.execute(newest.offset(KEPT).limit(1)).scalar_one_or_none()
    if last is None:
        return
    oldest = sa.select(column.sequence).where(*over, column.sequence <= last).order_by(column.sequence)
    gone = connection.execute(oldest.limit(most)).scalars().all()
    for table in (ALERT_HISTORY, ALERT_EVENTS):
        connection.execute(sa.delete(table).where(table.c.sequence.in_(gone)))


def _alert(document: str) -> Alert:
    return msgspec.json.decode(document, type=Alert)


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "enabled": alert.wanted.enabled,
        "revision": alert.revision,
        "document": _JSON.encode(alert).decode(),
    }
