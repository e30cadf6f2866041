"""/api/v1/asof: what the inventory of a security was at a moment. Worked out by the analyst, beside everything else."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from tornado.web import RequestHandler

from app.analyst.asof import AsOfRequest
from app.analyst.client import AnalystError, NotKnownError
from app.api.base import Base
from app.api.openapi_parts import operation, parameter
from app.api.parameters import Parameters
from app.api.problems import Fault, ProblemError
from app.identity import Role
from app.moments import moment_ns
from engine.explain_rows import copy_of
from engine.model import Decided
from engine.tables import TornReadError, Word

NOW: Final = -1
_READERS: Final = frozenset({Role.TRADER, Role.OPS, Role.COMPLIANCE, Role.ADMIN})


class AsOf(Base):
    """One security at one moment."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"GET": _READERS}

    async def get(self) -> None:
        """404 where the archive does not reach or there was no such security, 503 where nobody can look now."""
        self.checked_body()
        parameters = Parameters(self, ("security", "time"))
        security = parameters.read("security", str)
        at_ns = parameters.read("time", lambda text: NOW if text == "now" else moment_ns(text, dt.datetime.now(dt.UTC)))
        parameters.check()
        if not security or at_ns is None:
            missing = "time" if security else "security"
            raise ProblemError(422, "invalid", "the query cannot be used", (Fault("Required", parameter=missing),))
        if at_ns == NOW:
            self.answer(await asyncio.to_thread(self._present, security))
            return
        if self.context.past is None:
            raise ProblemError(404, "not-found", "this service keeps no archive")
        try:
            self.answer(await self.context.past(AsOfRequest(security, at_ns)))
        except NotKnownError as error:
            raise ProblemError(404, "not-found", str(error)) from error
        except AnalystError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "2"}) from error

    def _present(self, text: str) -> bytes:
        """What is, in the same form: beside what was it says what has changed. Raises `ProblemError`."""
        # what reads the archive takes a while to import, and the engine starts without it
        from app.archive_answer import answer  # noqa: PLC0415
        from app.archive_asof import AsOf as Found  # noqa: PLC0415

        securities = self.context.securities
        tables, security = securities.tables, securities.find(text)
        if not security:
            raise ProblemError(404, "not-found", f"no security {text}")
        try:
            copy = copy_of(tables, security)
            held, place, at_ns = tables.read(
                lambda: (
                    tables.array["decided"][security].copy(),
                    tables.count(Word.LOG),
                    tables.count(Word.HEARTBEAT_NS),
                )
            )
        except TornReadError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
        decided = {what.name.lower(): int(held[what]) for what in Decided if held[what]}
        found = Found(copy, tables.generation, place, at_ns, 0, 0, decided, at_ns, ())
        return msgspec.json.encode(answer(found, at_ns))


def asof_paths() -> dict[str, Any]:
    """Path -> operations."""
    shown = {"application/json": {"schema": {"type": "object"}}}
    told = (
        "Calculations by day, terms, facts, rows; `exact` is false, and `gaps` say why, where something may be missing."
    )
    needed = {"required": True}
    return {
        "/api/v1/asof": {
            "get": operation(
                "What the inventory of a security was",
                {"200": {"description": told, "content": shown}},
                (404, 422, 503),
                parameters=[
                    parameter("security", "Code, ISIN, CUSIP, SEDOL, FIGI or TICKER@MARKET.") | needed,
                    parameter("time", "2026-11-20T14:31:07.25, or 14:31 of today; UTC, or with an offset; or now.")
                    | needed,
                ],
            )
        }
    }


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = ((r"/api/v1/asof", AsOf),)
"""Path and handler."""
