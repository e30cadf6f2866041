"""The resources of breaks, as the process of breaks answers them; the engine's API hands requests on."""

import asyncio
import time
from enum import Enum
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import structlog
from msgspec import Struct
from tornado.web import HTTPError, RequestHandler

from app.api import problems
from app.api.formats import send
from app.api.parameters import Parameters, number, text_of
from app.api.problems import ProblemError
from app.api.requests import typed
from app.breaks import requests
from app.breaks.answers import (
    AdjustmentPage,
    BreakAnswer,
    BreakPage,
    adjustment_answer,
    moment,
    number_of,
)
from app.breaks.life import Life, NoSuchBreakError, NotForThemError, State, WrongBreakStateError
from app.breaks.listing import ORDERS, Wanted, chosen, having, words_of
from app.breaks.room import Room
from app.breaks.several import AdjustState
from app.breaks.sides import Drill
from app.breaks.store import BreakStoreError
from app.identity import MACHINE_USER, Identity, IdentityError, read_token
from engine.break_kinds import BreakKind, Severity
from engine.tables import TornReadError

T = TypeVar("T", bound=Struct)
E = TypeVar("E", bound=Enum)
log = structlog.get_logger()
MAX_PAGE: Final = 1_000
_RESOLVED: Final = 10_000
"""Of the resolved ones the newest are listed."""
_JSON: Final = msgspec.json.Encoder()
FILTERS: Final = (
    *("kind", "severity", "state", "market", "security", "depot", "book", "client", "owner", "group", "held"),
    *("age_min", "value_min", "text"),
)
LONGEST_TEXT: Final = 200
"""Characters to look for."""


class BreakBase(RequestHandler):
    """Whoever comes with the token of somebody, as the engine's API hands it on; a token for some clients never comes."""

    room: Room
    identity: Identity

    def initialize(self, room: Room) -> None:
        """Called by tornado for every request."""
        self.room = room

    def set_default_headers(self) -> None:
        self.set_header("Server", "ims")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        _, _, token = self.request.headers.get("Authorization", "").partition(" ")
        try:
            self.identity = read_token(self.room.settings.secret, token.strip(), time.time())
        except IdentityError as error:
            raise ProblemError(401, "unauthorized", str(error)) from error
        if self.identity.clients is not None:
            raise ProblemError(403, "forbidden", "breaks are not shown to a token for some clients only")

    def body_as(self, kind: type[T]) -> T:
        """The body. Raises `ProblemError`."""
        return typed(self.request.body, kind)

    def answer(self, body: bytes, status: int = 200, media_type: str = "application/json") -> None:
        """The whole answer."""
        self.set_status(status)
        self.set_header("Content-Type", media_type)
        self.finish(body)

    def json(self, value: Any, status: int = 200) -> None:
        """The same of a struct."""
        self.answer(_JSON.encode(value), status)

    def number(self, text: str) -> int:
        """The number of a break's id. Raises a 404."""
        found = number_of(text)
        if found is None:
            raise ProblemError(404, "not-found", f"no break {text}")
        return found

    def compute_etag(self) -> str | None:
        """None: nothing is stored, so nothing is compared."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = as_problem(kwargs["exc_info"][1] if "exc_info" in kwargs else None, status_code)
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.answer(error.document(self.request.path), error.status, problems.MEDIA_TYPE)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        known = (ProblemError, HTTPError, NoSuchBreakError, NotForThemError, WrongBreakStateError, BreakStoreError)
        if not isinstance(value, known):
            log.error("a request failed", path=self.request.path, exc_info=(typ, value, tb))


def as_problem(error: BaseException | None, status: int = 500) -> ProblemError:
    """What went wrong, as its sender is told."""
    match error:
        case ProblemError():
            return error
        case NoSuchBreakError():
            return ProblemError(404, "not-found", str(error))
        case NotForThemError():
            return ProblemError(403, "forbidden", str(error))
        case WrongBreakStateError():
            return ProblemError(409, "conflict", str(error))
        case BreakStoreError() | TornReadError():
            return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})
        case HTTPError():
            return ProblemError(error.status_code, "invalid", error.log_message or "")
    return ProblemError(status, "internal")


class Breaks(BreakBase):
    """/api/v1/breaks."""

    async def get(self) -> None:
        """Filtered, in an order, a page at a time."""
        parameters = Parameters(self, (*FILTERS, "order", "limit", "cursor"))
        wanted, text = self._wanted(parameters), parameters.read("text", _words) or ""
        limit = parameters.read("limit", partial(number, least=1, most=MAX_PAGE)) or 100
        first = parameters.read("cursor", partial(number, least=1, most=2**31)) or 0
        parameters.check()
        room = self.room
        lives: list[Life] = room.desk.open
        if wanted.states is not None and State.RESOLVED in wanted.states:
            lives = lives + await room.desk.resolved(_RESOLVED)
        last = len(room.desk.rank) + 1
        found = chosen(lives, wanted, lambda one: room.desk.rank.get(one.number, last), room.age_days)
        searched = len(found)
        found = having(found, words_of(text, room.security_named), room.desk.group_name)
        answers = [room.answer(one) for one in found[first : first + limit]]
        page = BreakPage(
            breaks=answers,
            next_cursor=str(first + limit) if len(found) > first + limit else None,
            total=len(found),
            searched=searched,
            as_of=moment(room.measured.at_ns),
            checked_ms=round(room.measured.took_ms, 1),
            complete=room.complete,
        )
        await send(self, BreakAnswer, lambda: page)

    def _wanted(self, parameters: Parameters) -> Wanted:
        security = parameters.read("security", text_of)
        return Wanted(
            kinds=parameters.read("kind", partial(_some, of=BreakKind)),
            severities=parameters.read("severity", partial(_some, of=Severity)),
            states=parameters.read("state", partial(_some, of=State)),
            market=parameters.read("market", text_of),
            security=None if security is None else self.room.security_code(security),
            depot=parameters.read("depot", text_of),
            book=parameters.read("book", text_of),
            client=parameters.read("client", text_of),
            owner=parameters.read("owner", text_of),
            group=parameters.read("group", text_of),
            held=parameters.read("held", _yes),
            age_min=parameters.read("age_min", partial(number, least=0, most=10**6)),
            value_min=parameters.read("value_min", partial(number, least=0, most=2**53)),
            order=parameters.read("order", _order) or "rank",
        )


class Summary(BreakBase):
    """/api/v1/breaks/summary."""

    async def get(self) -> None:
        """What there is, in numbers."""
        Parameters(self, ()).check()
        self.json(await self.room.summary())


class One(BreakBase):
    """/api/v1/breaks/{id}."""

    async def get(self, text: str) -> None:
        """A break, its history and what hangs on it."""
        Parameters(self, ()).check()
        self.json(await self.room.detail(await self.room.desk.one(self.number(text))))


class Sides(BreakBase):
    """/api/v1/breaks/{id}/sides."""

    async def get(self, text: str) -> None:
        """Both sides beside each other."""
        Parameters(self, ()).check()
        life = await self.room.desk.one(self.number(text))
        watch = self.room.watch
        if watch is None:
            raise ProblemError(503, "unavailable", self.room.away, headers={"Retry-After": "2"})
        drill = Drill(watch.tables, watch.namer, self.room.topics)
        try:
            sides = await asyncio.to_thread(drill.sides, life)
        except KeyError as error:
            if self.room.watch is watch:
                raise
            detail = "the engine has ended meanwhile"  # and its tables with it
            raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "2"}) from error
        self.json(sides)


class Adjustments(BreakBase):
    """/api/v1/breaks/adjustments."""

    async def get(self) -> None:
        """The newest first."""
        parameters = Parameters(self, ("state",))
        states = parameters.read("state", partial(_some, of=AdjustState))
        parameters.check()
        found = await self.room.desk.adjustments(states)
        self.json(AdjustmentPage(adjustments=[adjustment_answer(one) for one in found]))


class Outcome(BreakBase):
    """/internal/adjustments/{n}: the engine tells what became of one."""

    async def post(self, text: str) -> None:
        """It is in the books, or cannot be."""
        if self.identity.user != MACHINE_USER:
            raise ProblemError(403, "forbidden", "this is the engine's to say")
        problem = self.body_as(requests.OutcomeRequest).problem
        self.json(adjustment_answer(await self.room.desk.adjusted(text, number_of(text, "A"), problem)))


class Changes(BreakBase):
    """/internal/changes: what the stream tells."""

    async def get(self) -> None:
        """Everything, or what has changed since a number of the same epoch."""
        parameters = Parameters(self, ("epoch", "after"))
        epoch = parameters.read("epoch", str) or ""
        after = parameters.read("after", partial(number, least=0, most=2**62)) or 0
        parameters.check()
        board = self.room.told()
        known = board.knows(epoch, after)
        lines = board.since(after) if known else board.all()
        self.json({"epoch": board.epoch, "sequence": board.sequence, "whole": not known, "lines": lines})


def _some(text: str, of: type[E]) -> list[E]:
    """Members with commas between them. Raises ValueError."""
    try:
        return [of(each) for each in text.split(",")]
    except ValueError:
        expected = ", ".join(str(member.value) for member in of)
        raise ValueError(f"Expected some of {expected}, with commas between them") from None


def _words(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"Expected at most {LONGEST_TEXT} characters")
    return text_of(text)


def _order(text: str) -> str:
    if text not in ORDERS:
        raise ValueError(f"Expected one of {', '.join(ORDERS)}")
    return text


def _yes(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("Expected true or false")
    return text == "true"


class Live(RequestHandler):
    """/health/live."""

    def get(self) -> None:
        self.finish({"state": "live"})


class Ready(RequestHandler):
    """/health/ready: 200 while the tables are looked at, 503 with the reason where they are not."""

    def initialize(self, room: Room) -> None:
        """Called by tornado for every request."""
        self.room = room

    def get(self) -> None:
        self.set_status(503 if self.room.away else 200)
        self.finish({"state": "down" if self.room.away else "live", "reason": self.room.away})


READING: Final = (
    (r"/api/v1/breaks", Breaks),
    (r"/api/v1/breaks/summary", Summary),
    (r"/api/v1/breaks/adjustments", Adjustments),
)
OF_ONE: Final = ((r"/api/v1/breaks/([^/]+)", One), (r"/api/v1/breaks/([^/]+)/sides", Sides))
INTERNAL: Final = (
    (r"/internal/changes", Changes),
    (r"/internal/adjustments/([^/]+)", Outcome),
)
