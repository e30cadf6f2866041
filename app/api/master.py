"""The resources of the security master: securities, their history and baskets, exceptions, and what people decide."""

import datetime as dt
from collections.abc import Awaitable
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from app.api.answers import time_of
from app.api.base import Base
from app.api.master_answers import (
    Compositions,
    Counterparties,
    DecideRequest,
    ExceptionHistory,
    ExceptionPage,
    HistoryOfSecurity,
    MergeRequest,
    MovedAnswer,
    NamedAnswer,
    OutcomeAnswer,
    SplitRequest,
    basket_answer,
    decision_answer,
    exception_answer,
    security_answer,
    version_answers,
)
from app.api.parameters import Parameters, number, text_of
from app.api.problems import Fault, ProblemError
from app.api.requests import typed
from app.master_database import DecisionConflictError, MasterStoreError
from app.master_desk import DECIDERS, DecidedError, MasterDesk, NobodyError, NotAPersonError, Outcome
from feeds.master_cases import CaseState

T = TypeVar("T")
MAX_PAGE: Final = 1_000
_VERSIONS: Final = 100
_JSON: Final = msgspec.json.Encoder()


class MasterBase(Base):
    """What goes wrong with securities, as problem documents."""

    @property
    def desk(self) -> MasterDesk:
        """Raises `ProblemError` where nobody keeps a security master."""
        if self.context.master is None:
            raise ProblemError(404, "not-found", "this service keeps no security master")
        return self.context.master

    async def asked(self, answer: Awaitable[T]) -> T:
        """The desk's answer. Raises `ProblemError`."""
        try:
            return await answer
        except NobodyError as error:
            raise ProblemError(404, "not-found", str(error)) from error
        except NotAPersonError as error:
            raise ProblemError(403, "forbidden", str(error)) from error
        except ValueError as error:
            raise ProblemError(422, "invalid", "one field is wrong", (Fault(str(error), pointer="/value"),)) from error
        except (DecidedError, DecisionConflictError) as error:
            raise ProblemError(409, "conflict", str(error)) from error
        except MasterStoreError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(_JSON.encode(value), status)

    def outcome(self, outcome: Outcome) -> None:
        """200 where it is carried out, 202 where it waits."""
        at = None if outcome.at_ns is None else time_of(outcome.at_ns)
        self.json(OutcomeAnswer(outcome.entry, at), 202 if at is None else 200)


class Exceptions(MasterBase):
    """/api/v1/securities/exceptions."""

    async def get(self) -> None:
        """What waits for a person, or for a better record."""
        self.checked_body()
        desk = self.desk
        parameters = Parameters(self, ("state", "security", "limit", "cursor"))
        state = parameters.read("state", CaseState)
        security = parameters.read("security", str)
        limit = parameters.read("limit", lambda text: number(text, 1, MAX_PAGE)) or 100
        before = parameters.read("cursor", _cursor)
        parameters.check()
        books = desk.books
        code = await self.asked(desk.code(security)) if security else None
        found = await self.asked(desk.asked(lambda: books.cases(state, code, before, limit + 1)))
        count = await self.asked(desk.asked(books.open_count))
        last = found[limit - 1] if len(found) > limit else None
        cursor = f"{last.changed_ns}-{last.id}" if last else None
        self.json(ExceptionPage(count, [exception_answer(case) for case in found[:limit]], cursor))


class Exception_(MasterBase):  # noqa: N801  the builtin's name is taken
    """/api/v1/securities/exceptions/{id}."""

    async def get(self, key: str) -> None:
        """One, with its history."""
        self.checked_body()
        case, states = await self.asked(self.desk.case(key))
        books = self.desk.books
        decided = await self.asked(self.desk.asked(lambda: books.decisions([key])))
        told = [decision_answer(*one) for one in decided]
        self.json(ExceptionHistory(exception_answer(case), [exception_answer(one) for one in states], told))


class Decide(MasterBase):
    """/api/v1/securities/exceptions/{id}/decide."""

    roles: ClassVar = {"POST": DECIDERS}

    async def post(self, key: str) -> None:
        """A person says which value is right."""
        asked = typed(self.checked_body(), DecideRequest)
        desk = self.desk
        self.outcome(await self.asked(desk.decide(key, asked.value, asked.comment, self.identity, again=asked.again)))


class Merge(MasterBase):
    """/api/v1/securities/{id}/merge."""

    roles: ClassVar = {"POST": DECIDERS}

    async def post(self, text: str) -> None:
        """It becomes another one, with its names and its positions."""
        asked = typed(self.checked_body(), MergeRequest)
        code = await self.asked(self.desk.code(text))
        self.outcome(await self.asked(self.desk.merge(code, asked.into, asked.comment, self.identity)))


class Split(MasterBase):
    """/api/v1/securities/{id}/split."""

    roles: ClassVar = {"POST": DECIDERS}

    async def post(self, text: str) -> None:
        """Positions go to another one, or what a merge brought goes home."""
        asked = typed(self.checked_body(), SplitRequest)
        code = await self.asked(self.desk.code(text))
        split = self.desk.split(code, asked.to, asked.book, asked.depot, asked.comment, self.identity)
        self.outcome(await self.asked(split))


class Named(MasterBase):
    """/api/v1/securities?name=."""

    for_clients = True

    async def get(self) -> None:
        """Our code of whoever has that name, now or formerly: nobody is an answer, too."""
        self.checked_body()
        parameters = Parameters(self, ("name",))
        name = parameters.read("name", text_of)
        parameters.check()
        if name is None:
            raise ProblemError(422, "invalid", "the query cannot be used", (Fault("Missing", parameter="name"),))
        found = await self.asked(self._code(name)) or await self.asked(self._code(name.upper()))
        self.json(NamedAnswer([found] if found else []))

    async def _code(self, name: str) -> str | None:
        try:
            return await self.desk.code(name)
        except NobodyError:
            return None


class SecurityResource(MasterBase):
    """/api/v1/securities/{id}."""

    async def get(self, text: str) -> None:
        """As everybody sees it, and how that came about."""
        self.checked_body()
        desk = self.desk
        code, today = await self.asked(desk.code(text)), dt.datetime.now(dt.UTC).date()

        def look() -> Any:
            books = desk.books
            versions = books.versions(code, 1)
            if not versions:
                raise NobodyError(f"the security master has nobody's word of {code}")
            open_, decided = (books.cases(state, code, None, MAX_PAGE) for state in (CaseState.OPEN, CaseState.DECIDED))
            return security_answer(
                text, code, versions[0], books.claims(code), books.leads(code), [*open_, *decided], desk.rules, today
            )

        self.json(await self.asked(desk.asked(look)))


class History(MasterBase):
    """/api/v1/securities/{id}/history."""

    async def get(self, text: str) -> None:
        """Versions, decisions and moved positions, the newest first."""
        self.checked_body()
        desk = self.desk
        code = await self.asked(desk.code(text))

        def look() -> HistoryOfSecurity:
            books = desk.books
            versions = books.versions(code, _VERSIONS + 1)
            moved = [MovedAnswer(time_of(m["at_ns"]), m["source"], m["target"], m["rows"]) for m in books.moved(code)]
            decisions = [decision_answer(*one) for one in books.decisions([code])]
            return HistoryOfSecurity(code, version_answers(versions)[:_VERSIONS], decisions, moved)

        self.json(await self.asked(desk.asked(look)))


class CompositionResource(MasterBase):
    """/api/v1/securities/{id}/composition."""

    async def get(self, text: str) -> None:
        """Pricing and creation baskets."""
        self.checked_body()
        desk = self.desk
        code = await self.asked(desk.code(text))
        found = await self.asked(desk.asked(lambda: desk.books.baskets(code)))
        self.json(Compositions(code, [basket_answer(one, desk.rules) for one in found]))


class CounterpartyResource(MasterBase):
    """/api/v1/counterparties."""

    async def get(self) -> None:
        """By code, each with its legal entity identifier."""
        self.checked_body()
        self.json(Counterparties(await self.asked(self.desk.asked(self.desk.books.counterparties))))


def _cursor(text: str) -> tuple[int, str]:
    at, _, key = text.partition("-")
    return number(at, 0, 2**63 - 1), key


RESOURCES: Final = (
    (r"/api/v1/securities", Named),
    (r"/api/v1/securities/exceptions", Exceptions),
    (r"/api/v1/securities/exceptions/([^/]+)", Exception_),
    (r"/api/v1/securities/exceptions/([^/]+)/decide", Decide),
    (r"/api/v1/securities/([^/]+)/merge", Merge),
    (r"/api/v1/securities/([^/]+)/split", Split),
    (r"/api/v1/securities/([^/]+)/history", History),
    (r"/api/v1/securities/([^/]+)/composition", CompositionResource),
    (r"/api/v1/securities/([^/]+)", SecurityResource),
    (r"/api/v1/counterparties", CounterpartyResource),
)
