"""`POST /impact`: what documents of rules would change if they were published now."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import structlog
from msgspec import Meta, Struct

from app.analyst.attachment import Attachment
from app.analyst.handlers import Guarded, Refusal
from engine.model import Decided, Namespace
from engine.rule_model import Document, Problem, RuleBook, RulesError, Scope

if TYPE_CHECKING:
    from engine.impact import Impact
    from engine.impact_limits import Holding
    from engine.tables import Tables

log = structlog.get_logger()
MOST_PARTIES: Final = 2_000
ATTEMPTS: Final = 3
"""Readings that other rules, or a market's new day, may cut short before the asker is told to come again."""


class Party(Struct, frozen=True, forbid_unknown_fields=True):
    """What decisions hold of a client or an aggregation unit in a security: shares by a `Decided` in small letters."""

    security: str
    scope: Literal["client", "au"]
    owner: str
    decided: dict[str, int]


class ImpactRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`documents`: all rules as they would be in force, those of the draft in place of the active ones; `parties`: those
    whose limits are to be looked at, too."""

    documents: list[Document]
    parties: Annotated[list[Party], Meta(max_length=MOST_PARTIES)] = []


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
        holdings = [_holding(tables, party) for party in asked.parties]
        result = _compared(tables, rule_book(asked.documents), holdings, partial(engine.alive, tables))
    except RulesError as error:
        raise _unusable(error.problems) from error
    except TooManyClassesError as error:
        raise _unusable((Problem("rules", 0, 0, str(error)),)) from error
    except (TornReadError, RulesChangedError) as error:
        raise Refusal(503, str(error)) from error
    took_ms = round((time.perf_counter() - began) * 1_000, 1)
    return msgspec.json.encode({"took_ms": took_ms} | msgspec.structs.asdict(result))


def _unusable(problems: tuple[Problem, ...]) -> Refusal:
    texts = "; ".join(map(str, problems))
    return Refusal(422, f"the rules cannot be used: {texts}", problems=msgspec.to_builtins(problems))


def _holding(tables: "Tables", party: Party) -> "Holding":
    """Raises `Refusal`."""
    from engine.impact_limits import Holding  # noqa: PLC0415  see `measured`
    from engine.symbols import Symbols  # noqa: PLC0415  the same

    security = Symbols(tables.array["symbols"]).find_one(Namespace.SECURITY, party.security)
    if not security:
        raise Refusal(400, f"no security {party.security!r}")
    try:
        decided = {Decided[name.upper()]: quantity for name, quantity in party.decided.items()}
    except KeyError as error:
        raise Refusal(400, f"decisions hold nothing by the name of {error.args[0].lower()!r}") from error
    return Holding(security, Scope(party.scope), party.owner, decided)


def _compared(tables: "Tables", book: RuleBook, holdings: "Sequence[Holding]", alive: Callable[[], None]) -> "Impact":
    """Begins again where other rules, or a market's new day, come between; raises `RulesChangedError` in the end."""
    from engine.impact import impact  # noqa: PLC0415  see `measured`
    from engine.impact_reading import RulesChangedError  # noqa: PLC0415  the same

    for _ in range(ATTEMPTS - 1):
        with suppress(RulesChangedError):
            return impact(tables, book, holdings, alive=alive)
    return impact(tables, book, holdings, alive=alive)


def warm(engine: Attachment) -> None:
    """Load everything, and touch all of the engine's memory once. Raises `NoEngineError`."""
    from app.world import rule_book  # noqa: PLC0415  see `measured`
    from engine.impact_reading import RulesChangedError  # noqa: PLC0415  the same
    from engine.tables import TornReadError  # noqa: PLC0415  the same

    tables = engine.tables()
    try:
        _compared(tables, rule_book(), (), partial(engine.alive, tables))
    except (RulesError, TornReadError, RulesChangedError) as error:
        log.info("nothing to warm up with", why=str(error))
