"""/api/v1/history of securities, /utilisation and /events: numbers over time and what happened. Worked out by the analyst."""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tornado.web import RequestHandler

from app.analyst.client import AnalystError, NotKnownError
from app.analyst.history import (
    MOST_EVENTS,
    MOST_LINES,
    MOST_POINTS,
    AskedLine,
    Choice,
    EventsRequest,
    HistoryRequest,
    MarketsRequest,
    MarksRequest,
)
from app.api.base import Base
from app.api.formats import Form, form_of
from app.api.parameters import Parameters, member, number, text_of
from app.api.problems import Fault, ProblemError
from app.identity import Role
from app.moments import moment_ns
from engine.catalogue import CalculationInfo
from engine.model import DAYS, Kind
from engine.rule_model import Role as Plays
from engine.rule_model import Scope, Unit
from engine.tables import TornReadError, Word

_READERS: Final = frozenset({Role.TRADER, Role.OPS, Role.COMPLIANCE, Role.ADMIN})
_DAY_NS: Final = 86_400 * 10**9
LONGEST_NS: Final = 32 * _DAY_NS
_SCALES: Final = {Unit.SHARES: 1, Unit.MONEY: 100, Unit.REPORTING: 100, Unit.BASIS_POINTS: 100}
_FIRST: Final = (Plays.LEND, Plays.POOL_SHORT, Plays.LEFT_SHORT)
"""Whose numbers are told where none are named."""
_CURSOR: Final = 3


class Over(Base):
    """Something between two moments. Without any: the last day."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"GET": _READERS}

    def between(self, parameters: Parameters) -> tuple[int, int]:
        """Raises a 422 where they are the wrong way round, or too far apart."""
        now_ns = self.context.decisions.clock()
        now = dt.datetime.fromtimestamp(now_ns / 1e9, dt.UTC)
        to_ns = parameters.read("to", partial(moment_ns, now=now))
        from_ns = parameters.read("from", partial(moment_ns, now=now))
        parameters.check()
        to_ns = now_ns if to_ns is None else to_ns
        from_ns = to_ns - _DAY_NS if from_ns is None else from_ns
        if not 0 <= from_ns < to_ns or to_ns - from_ns > LONGEST_NS:
            fault = Fault(f"Expected a moment before the end, at most {LONGEST_NS // _DAY_NS} days", parameter="from")
            raise ProblemError(422, "invalid", "the query cannot be used", (fault,))
        return from_ns, to_ns

    def code(self, text: str) -> str:
        """Our code of a security. Raises a 404."""
        security = self.context.securities.find(text)
        if not security:
            raise ProblemError(404, "not-found", f"no security {text}")
        return self.context.securities.code(security)

    @property
    def form(self) -> Form:
        return form_of(self.request.headers.get("Accept", ""))

    async def tell(self, path: str, asked: Struct, form: Form) -> None:
        """Answer as the analyst does: 404 where nothing is kept, 503 where nobody can look now."""
        if self.context.told is None:
            raise ProblemError(404, "not-found", "this service keeps no archive: nothing is recorded")
        try:
            body = await self.context.told(path, asked)
        except NotKnownError as error:
            raise ProblemError(404, "not-found", str(error)) from error
        except AnalystError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "2"}) from error
        self.set_header("Vary", "Accept")
        self.answer(body, media_type=f"{form}; charset=utf-8; header=present" if form == Form.CSV else str(form))


class Asked(NamedTuple):
    """What a chart of numbers asks for. `names`, `days`: None: those that go without saying."""

    form: Form
    names: list[str] | None
    days: list[int] | None
    points: int
    from_ns: int
    to_ns: int

    def lines(
        self, of: Sequence[tuple[CalculationInfo, NDArray[np.int64]]], first: Sequence[str], day: int
    ) -> tuple[list[AskedLine], list[Choice]]:
        """What is asked `of` calculations and what they are now, by day; and what may be asked. `first`, `day`: what goes
        without saying. Raises `ProblemError`.
        """
        known = {info.name: (info, values) for info, values in of}
        if unknown := [name for name in self.names or () if name not in known]:
            raise ProblemError(404, "not-found", f"no calculation {', '.join(unknown)}")
        chosen, on = self.names or first, self.days or [day]
        if len(chosen) * len(on) > MOST_LINES:
            fault = Fault(f"Expected at most {MOST_LINES} calculations and days", parameter="calculation")
            raise ProblemError(422, "invalid", "the query cannot be used", (fault,))
        lines = [
            AskedLine(info.name, at, int(values[at]), info.title, info.unit, _SCALES[Unit(info.unit)])
            for info, values in map(known.__getitem__, chosen)
            for at in on
        ]
        return lines, [Choice(info.name, info.title or info.name, info.unit) for info, _ in of]


class Numbers(Over):
    """Calculations over time."""

    def asked(self) -> Asked:
        """Raises `ProblemError`."""
        form, parameters = self.form, Parameters(self, ("calculation", "day", "from", "to", "points"))
        names = parameters.read("calculation", _names)
        days = parameters.read("day", _days)
        points = parameters.read("points", partial(number, least=20, most=MOST_POINTS)) or 2_000
        return Asked(form, names, days, points, *self.between(parameters))


class History(Numbers):
    """/api/v1/history/{security}: calculations over time."""

    async def get(self, text: str) -> None:
        """Where each number changed. 404 for a security or a calculation that there is not."""
        self.checked_body()
        asked = self.asked()
        code = self.code(text)
        lines, choices, now_ns = self._lines(text, asked)
        request = HistoryRequest(
            code, now_ns, asked.from_ns, asked.to_ns, lines, choices, asked.points, str(asked.form)
        )
        await self.tell("/history", request, asked.form)

    def _lines(self, text: str, asked: Asked) -> tuple[list[AskedLine], list[Choice], int]:
        """What is asked for, with what it is now; what may be asked for. All of one epoch. Raises `ProblemError`."""
        securities = self.context.securities
        tables, security = securities.tables, securities.find(text)
        try:
            catalogue, values, now_ns = tables.read(
                lambda: (tables.catalogue, tables.array["values"][security].copy(), tables.count(Word.HEARTBEAT_NS))
            )
        except TornReadError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
        of = [(info, values[i]) for i, info in enumerate(catalogue.calculations) if info.scope == Scope.SECURITY]
        first = [catalogue.calculations[catalogue.playing(role)].name for role in _FIRST]
        return *asked.lines(of, first, securities.settle_day(security)), now_ns


class Marks(Over):
    """/api/v1/history/{security}/marks: what happened meanwhile."""

    async def get(self, text: str) -> None:
        """Corporate actions, large trades, rules, days, decisions; when feeds were late, and when nobody looked."""
        self.checked_body()
        form, parameters = self.form, Parameters(self, ("from", "to"))
        from_ns, to_ns = self.between(parameters)
        await self.tell("/marks", MarksRequest(self.code(text), from_ns, to_ns, str(form)), form)


class Utilisation(Over):
    """/api/v1/utilisation: markets over time."""

    async def get(self) -> None:
        """As often as the recorder looked."""
        self.checked_body()
        form, parameters = self.form, Parameters(self, ("market", "from", "to", "points"))
        market = parameters.read("market", self._market) or ""
        points = parameters.read("points", partial(number, least=20, most=MOST_POINTS)) or 2_000
        from_ns, to_ns = self.between(parameters)
        await self.tell("/markets", MarketsRequest(from_ns, to_ns, market, points, str(form)), form)

    def _market(self, text: str) -> str:
        self.context.securities.market_index(text)
        return text


class Events(Over):
    """/api/v1/events/{security}: every event, the newest first."""

    async def get(self, text: str) -> None:
        """With the place it came from. What the last seconds brought is not on disk yet."""
        self.checked_body()
        names = ("from", "to", "book", "depot", "kind", "prices", "limit", "cursor")
        form, parameters = self.form, Parameters(self, names)
        wanted = {name: parameters.read(name, text_of) or "" for name in ("book", "depot")}
        kind = parameters.read("kind", partial(member, of=Kind))
        quotes = parameters.read("prices", partial(number, least=0, most=1))
        limit = parameters.read("limit", partial(number, least=1, most=MOST_EVENTS)) or 100
        cursor = parameters.read("cursor", _place)
        from_ns, to_ns = self.between(parameters)
        asked = EventsRequest(
            security=self.code(text),
            from_ns=from_ns,
            to_ns=to_ns if cursor is None else min(to_ns, cursor[2]),
            kind="" if kind is None else kind.name,
            quotes=bool(quotes),
            before=(2**62, 0) if cursor is None else cursor[:2],
            limit=limit,
            form=str(form),
            **wanted,
        )
        await self.tell("/events", asked, form)


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name for name in text_of(text).split(",") if name))


def _days(text: str) -> list[int]:
    return sorted({number(each, 0, DAYS - 1) for each in text.split(",")})


def _place(text: str) -> tuple[int, int, int]:
    parts = text.split(".")
    if len(parts) != _CURSOR:
        raise ValueError("Expected a cursor of the page before")
    place, within, to_ns = (number(part, 0, 2**62) for part in parts)
    return place, within, to_ns


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/history/([^/]+)", History),
    (r"/api/v1/history/([^/]+)/marks", Marks),
    (r"/api/v1/utilisation", Utilisation),
    (r"/api/v1/events/([^/]+)", Events),
)
"""Path and handler."""
