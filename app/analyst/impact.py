"""`POST /impact`: what documents of rules would change if they were published now."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec import Struct

from app.analyst.attachment import Attachment
from app.analyst.handlers import Guarded, Refusal
from engine.rule_model import Document, RuleBook, RulesError

if TYPE_CHECKING:
    from engine.impact import Impact
    from engine.tables import Tables

log = structlog.get_logger()
ATTEMPTS: Final = 3
"""Readings that other rules, or a market's new day, may cut short before the asker is told to come again."""


class ImpactRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`documents`: all rules as they would be in force, those of the draft in place of the active ones."""

    documents: list[Document]


class ImpactHandler(Guarded):
    """Answers with `engine.impact.Impact` and `took_ms`."""

    async def post(self) -> None:
        """422 with every problem of rules that cannot be used; 429 and 503: come again."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, f"expected application/json, got {kind or 'no Content-Type'}")
        try:
            asked = msgspec.json.decode(self.request.body, type=ImpactRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, str(error)) from error
        await self.answer(partial(measured, self.context.engine, asked))


def measured(engine: Attachment, asked: ImpactRequest) -> bytes:
    """The answer, made in the jobs' thread. Raises `Refusal`, `NoEngineError`."""
    from app.world import rule_book  # noqa: PLC0415  polars and numba take a second: after the port is open
    from engine.classes import TooManyClassesError  # noqa: PLC0415  the same
    from engine.impact_reading import RulesChangedError  # noqa: PLC0415  the same
    from engine.tables import TornReadError  # noqa: PLC0415  the same

    began = time.perf_counter()
    tables = engine.tables()
    try:
        result = _compared(tables, rule_book(asked.documents), partial(engine.alive, tables))
    except RulesError as error:
        problems = [msgspec.to_builtins(problem) for problem in error.problems]
        raise Refusal(422, f"the rules cannot be used: {error}", problems=problems) from error
    except TooManyClassesError as error:
        raise Refusal(422, str(error), problems=[]) from error
    except (TornReadError, RulesChangedError) as error:
        raise Refusal(503, str(error)) from error
    took_ms = round((time.perf_counter() - began) * 1_000, 1)
    return msgspec.json.encode({"took_ms": took_ms} | msgspec.structs.asdict(result))


def _compared(tables: "Tables", book: RuleBook, alive: Callable[[], None]) -> "Impact":
    """Begins again where other rules, or a market's new day, come between; raises `RulesChangedError` in the end."""
    from engine.impact import impact  # noqa: PLC0415  see `measured`
    from engine.impact_reading import RulesChangedError  # noqa: PLC0415  the same

    for _ in range(ATTEMPTS - 1):
        with suppress(RulesChangedError):
            return impact(tables, book, alive=alive)
    return impact(tables, book, alive=alive)


def warm(engine: Attachment) -> None:
    """Load everything, and touch all of the engine's memory once. Raises `NoEngineError`."""
    from app.world import rule_book  # noqa: PLC0415  see `measured`
    from engine.impact_reading import RulesChangedError  # noqa: PLC0415  the same
    from engine.tables import TornReadError  # noqa: PLC0415  the same

    tables = engine.tables()
    try:
        _compared(tables, rule_book(), partial(engine.alive, tables))
    except (RulesError, TornReadError, RulesChangedError) as error:
        log.info("nothing to warm up with", why=str(error))
