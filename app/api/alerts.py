"""/api/v1/alerts: what you want to be told of, what you were told, and for what a condition holds now. Each sees his own."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Final, Literal, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Meta, Struct

from app import alerts_store as store
from app.alerts_desk import AlertsDesk
from app.alerts_store import Alert, EventQuery, EventState, Severity, TooManyError, Wanted
from app.analyst.alerts import AlertTest
from app.analyst.client import AnalystError, BadConditionError
from app.api.alert_answers import (
    AcknowledgeAnswer,
    AlertAnswer,
    AlertEventPage,
    AlertList,
    AlertWord,
    AlertWords,
    alert_answer,
    event_answer,
    event_id,
    event_sequence,
)
from app.api.base import Base
from app.api.parameters import Parameters, number, text_of
from app.api.problems import Fault, ProblemError, pointer
from app.api.requests import typed
from app.identity import Role
from app.outbox import OutboxError
from engine.alert_parse import parse
from engine.alert_words import LONGEST, TIMES, ConditionError, Words
from engine.locates import Name
from engine.model import Classification, Temperature
from engine.rule_model import Role as RuleRole

T = TypeVar("T")
_JSON: Final = msgspec.json.Encoder()
_EVERYBODY: Final = frozenset(Role)
MAX_PAGE: Final = 1_000
MAX_SECURITIES: Final = 1_000
MAX_MARGIN: Final = 50.0
Condition = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST,
        description="When to tell, as in `price falls by 10% within 5 minutes and HTB`.",
    ),
]
Securities = Annotated[
    list[Annotated[Name, Meta(min_length=1)]],
    Meta(max_length=MAX_SECURITIES, description="By any of their names; none: all securities."),
]


class AlertRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What you want to be told of."""

    name: Annotated[Name, Meta(description="How it is called; the condition itself where nothing is said.")] = ""
    condition: Condition
    securities: Securities = msgspec.field(default_factory=list)
    severity: Severity = Severity.MEDIUM
    enabled: bool = True
    sound: Annotated[bool, Meta(description="Whether a page may make a noise.")] = False
    webhook: Annotated[bool, Meta(description="Whether webhooks that take alerts are told, too.")] = False
    margin_percent: Annotated[
        float,
        Meta(ge=0, le=MAX_MARGIN, description="It is over only when its limits are missed by so much of themselves."),
    ] = 1.0
    hold_s: Annotated[int, Meta(ge=0, le=3_600, description="And only when that is so for this long.")] = 5


class AlertChange(AlertRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, in place of what was wanted at `revision`."""

    revision: Annotated[int, Meta(ge=1)]


class AlertTestRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For what would it ring now?"""

    condition: Condition
    securities: Securities = msgspec.field(default_factory=list)


class AcknowledgeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of your events you have seen: some of them, all of an alert, or all."""

    events: Annotated[list[str], Meta(max_length=1_000)] | None = None
    alert: str | None = None
    all: Literal[True] | None = None


class _Base(Base):
    """What they have in common."""

    roles: ClassVar = {"GET": _EVERYBODY, "POST": _EVERYBODY}

    @property
    def desk(self) -> AlertsDesk:
        """Raises a 503 where there is none."""
        if self.context.alerts is None:
            raise ProblemError(503, "unavailable", "nothing is watched here")
        return self.context.alerts

    async def do(self, job: Callable[[sa.Connection], T]) -> T:
        """A part of one transaction. Raises a 503 where the database cannot be had."""
        try:
            return await self.desk.outbox.do(job)
        except OutboxError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error

    def problem_of(self, condition: str) -> tuple[str, int, int]:
        """What is wrong with it under the rules in force, and where; "" for nothing."""
        try:
            parse(condition, self.desk.words)
        except ConditionError as error:
            return str(error), *error.place(condition)
        return "", 0, 0

    def checked(self, condition: str, securities: list[str]) -> tuple[str, ...]:
        """The codes of the securities. Raises a 422 with all that is wrong."""
        faults = []
        problem, line, column = self.problem_of(condition)
        if problem:
            faults.append(Fault(problem, pointer=pointer("condition"), line=line, column=column))
        codes = [self.desk.find(text) for text in securities]
        faults += [
            Fault(f"No security {securities[at]}", pointer=pointer("securities", at))
            for at, code in enumerate(codes)
            if code is None
        ]
        if faults:
            raise ProblemError(422, "invalid", faults[0].detail, tuple(faults[:100]))
        return tuple(dict.fromkeys(code for code in codes if code is not None))

    def wanted(self, asked: AlertRequest) -> Wanted:
        """Raises a 422."""
        codes = self.checked(asked.condition, asked.securities)
        return Wanted(
            name=asked.name or asked.condition[:64],
            condition=asked.condition,
            securities=codes,
            severity=asked.severity,
            enabled=asked.enabled,
            sound=asked.sound,
            webhook=asked.webhook,
            margin_percent=asked.margin_percent,
            hold_s=asked.hold_s,
        )

    async def own(self, name: str) -> Alert:
        """One of the asker's. Raises a 404."""
        alert = await self.do(lambda connection: store.one_of(connection, self.identity.user, name))
        if alert is None:
            raise ProblemError(404, "not-found", f"you have no alert {name}")
        return alert

    async def told(self, *alerts: Alert) -> list[AlertAnswer]:
        """With their open events counted."""
        counts = await self.do(lambda connection: store.counts(connection, self.identity.user))
        return [
            alert_answer(
                alert,
                counts.get((alert.id, EventState.RAISED), 0),
                counts.get((alert.id, EventState.ACKNOWLEDGED), 0),
                self.problem_of(alert.wanted.condition)[0],
            )
            for alert in alerts
        ]


class All(_Base):
    """/api/v1/alerts."""

    async def get(self) -> None:
        """All of yours, oldest first."""
        self.checked_body()
        alerts = await self.do(lambda connection: store.all_of(connection, self.identity.user))
        self.answer(_JSON.encode(AlertList(alerts=await self.told(*alerts))))

    async def post(self) -> None:
        """Write one: 201. 409 where you have as many as are kept."""
        wanted = self.wanted(typed(self.checked_body(), AlertRequest))
        now_ns = self.desk.clock()
        try:
            made = await self.do(lambda connection: store.add(connection, self.identity.user, wanted, now_ns))
        except TooManyError as error:
            raise ProblemError(409, "conflict", str(error)) from error
        self.set_header("Location", f"/api/v1/alerts/{made.id}")
        self.answer(_JSON.encode((await self.told(made))[0]), 201)


class One(_Base):
    """/api/v1/alerts/{id}."""

    async def get(self, name: str) -> None:
        """One of yours."""
        self.checked_body()
        self.answer(_JSON.encode((await self.told(await self.own(name)))[0]))


class Change(_Base):
    """/api/v1/alerts/{id}/change."""

    async def post(self, name: str) -> None:
        """409 where it has been changed since the revision that you have seen."""
        asked = typed(self.checked_body(), AlertChange)
        alert, wanted, now_ns = await self.own(name), self.wanted(asked), self.desk.clock()
        changed = None
        if alert.revision == asked.revision:
            changed = await self.do(lambda connection: store.change(connection, alert, wanted, now_ns))
        if changed is None:
            raise ProblemError(409, "conflict", f"{name} has been changed meanwhile: look at it again")
        self.desk.outbox.ring()
        self.answer(_JSON.encode((await self.told(changed))[0]))


class Remove(_Base):
    """/api/v1/alerts/{id}/remove."""

    async def post(self, name: str) -> None:
        """It rings no more, and what is open of it is over."""
        self.checked_body()
        alert, now_ns = await self.own(name), self.desk.clock()
        await self.do(lambda connection: store.remove(connection, alert, now_ns))
        self.desk.outbox.ring()
        self.answer(b"{}")


class Test(_Base):
    """/api/v1/alerts/test."""

    async def post(self) -> None:
        """For what a condition holds now."""
        asked = typed(self.checked_body(), AlertTestRequest)
        codes = self.checked(asked.condition, asked.securities)
        try:
            self.answer(await self.desk.test(AlertTest(asked.condition, codes)))
        except BadConditionError as error:
            fault = Fault(str(error), pointer=pointer("condition"), line=error.line, column=error.column)
            raise ProblemError(422, "invalid", str(error), (fault,)) from error
        except AnalystError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "2"}) from error


class WordList(_Base):
    """/api/v1/alerts/words."""

    async def get(self) -> None:
        """What a condition may say under the rules in force."""
        self.checked_body()
        words = self.desk.words
        numbers = [
            AlertWord(name=column.name, title=column.title, family=column.family, unit=column.unit, tip=column.tip)
            for column in self.desk.columns
            if not column.is_text and column.unit != TIMES
        ]
        few = {
            "market": list(words.markets),
            "temperature": [each.name for each in Temperature if each],
            "classification": [each.name for each in Classification if each],
        }
        attributes = {name: few.get(name, []) for name in dict.fromkeys(words.attributes.values())}
        told = AlertWords(numbers=numbers, attributes=attributes, examples=_examples(words))
        self.answer(_JSON.encode(told))


class Events(_Base):
    """/api/v1/alerts/events."""

    async def get(self) -> None:
        """Newest first; what is open, where nothing else is asked for."""
        self.checked_body()
        parameters = Parameters(self, ("state", "alert", "limit", "cursor"))
        states = parameters.read("state", _states) or store.OPEN
        alert = parameters.read("alert", text_of)
        limit = parameters.read("limit", lambda text: number(text, 1, MAX_PAGE)) or 100
        before = parameters.read("cursor", _sequence)
        parameters.check()
        query = EventQuery(self.identity.user, states, alert, before, limit + 1)
        found = await self.do(lambda connection: store.find(connection, query))
        shown = found[:limit]
        cursor = event_id(shown[-1].sequence) if len(found) > limit else None
        self.answer(_JSON.encode(AlertEventPage(events=[event_answer(each) for each in shown], next_cursor=cursor)))


class Acknowledge(_Base):
    """/api/v1/alerts/events/acknowledge."""

    async def post(self) -> None:
        """They stay quiet until they have been over once."""
        asked = typed(self.checked_body(), AcknowledgeRequest)
        given = [field for field in (asked.events, asked.alert, asked.all) if field is not None]
        if len(given) != 1:
            fault = Fault("Expected one of events, alert and all", pointer="")
            raise ProblemError(422, "invalid", "say which, in one way", (fault,))
        sequences = None if asked.events is None else [event_sequence(text) for text in asked.events]
        wrong = [at for at, sequence in enumerate(sequences or ()) if sequence is None]
        if wrong:
            faults = tuple(Fault("No event has such an id", pointer=pointer("events", at)) for at in wrong[:100])
            raise ProblemError(422, "invalid", "these are no events", faults)
        chosen = None if sequences is None else [each for each in sequences if each is not None]
        await _acknowledge(self, chosen, asked.alert)


class AcknowledgeOne(_Base):
    """/api/v1/alerts/events/{id}/acknowledge."""

    async def post(self, text: str) -> None:
        """One of them; 404 where you have no such event that is raised."""
        self.checked_body()
        sequence = event_sequence(text)
        if sequence is None:
            raise ProblemError(404, "not-found", f"no event {text}")
        await _acknowledge(self, [sequence], None, needed=True)


async def _acknowledge(handler: _Base, events: list[int] | None, alert: str | None, *, needed: bool = False) -> None:
    owner, now_ns = handler.identity.user, handler.desk.clock()
    seen = await handler.do(lambda connection: store.acknowledge(connection, owner, now_ns, events=events, alert=alert))
    if needed and not seen:
        raise ProblemError(404, "not-found", "you have no such event that waits to be acknowledged")
    handler.desk.outbox.ring()
    handler.answer(_JSON.encode(AcknowledgeAnswer(acknowledged=[event_id(each.sequence) for each in seen])))


def _states(text: str) -> tuple[EventState, ...]:
    given = text.split(",")
    known = {state.value: state for state in EventState} | {"open": None}
    if any(each not in known for each in given):
        raise ValueError(f"Expected some of {', '.join(known)}, with commas between")
    named = [known[each] for each in given if each != "open"]
    return tuple(dict.fromkeys([*(state for state in named if state), *(store.OPEN if "open" in given else ())]))


def _sequence(text: str) -> int:
    sequence = event_sequence(text)
    if sequence is None:
        raise ValueError("Expected the cursor of an answer")
    return sequence


def _examples(words: Words) -> list[str]:
    """Conditions that can be used under these rules: of the roles, which are always played."""
    left, lend = (words.numbers[role].name.partition(".")[0] for role in (RuleRole.LEFT_SHORT, RuleRole.LEND))
    return [
        f"{left} < 10,000 and HTB",
        f"{left} < 10% of {lend} and not ETF",
        "price falls by 10% within 5 minutes",
        "fee > 5% and temperature < HTB",
    ]


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (r"/api/v1/alerts", All),
    (r"/api/v1/alerts/test", Test),
    (r"/api/v1/alerts/words", WordList),
    (r"/api/v1/alerts/events", Events),
    (r"/api/v1/alerts/events/acknowledge", Acknowledge),
    (r"/api/v1/alerts/events/([^/]+)/acknowledge", AcknowledgeOne),
    (r"/api/v1/alerts/([^/]+)", One),
    (r"/api/v1/alerts/([^/]+)/change", Change),
    (r"/api/v1/alerts/([^/]+)/remove", Remove),
)
