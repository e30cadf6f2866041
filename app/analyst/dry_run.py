"""`POST /dry-run`: what documents of rules would have decided on requests of the past."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from app.analyst.handlers import Guarded, Refusal
from app.settings import Settings
from engine.rule_model import Document, RulesError

BUDGET_S: Final = 20.0
"""How long one may read; how far it came it says."""
MOST_LINES: Final = 100_000


class DryRunRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`documents`: all rules as they would be in force; `until_ns`: outside of the period; `lines`: how many are shown of those
    that differ; `form`: the media type of the answer."""

    documents: list[Document]
    since_ns: int
    until_ns: int
    lines: Annotated[int, Meta(ge=0, le=MOST_LINES)]
    form: str = "application/json"


class DryRunHandler(Guarded):
    """Answers with `app.api.dry_run_answers.RuleDryRun`, or its lines."""

    async def post(self) -> None:
        """422 with every problem of rules that cannot be used; 429 and 503: come again."""
        try:
            asked = msgspec.json.decode(self.request.body, type=DryRunRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, str(error)) from error
        await self.answer(partial(compared, self.context.settings, asked, lambda: not self.gone))


def compared(settings: Settings, asked: DryRunRequest, wanted: Callable[[], bool]) -> bytes:
    """The answer, made in the jobs' thread; ends early where it is not `wanted` any more. Raises `Refusal`."""
    # polars, numba and the API's types take a second to import: after the port is open
    from sqlalchemy import exc  # noqa: PLC0415

    from app.api.dry_run_answers import DryRunLine, dry_run_answer  # noqa: PLC0415
    from app.api.formats import Form, body_of  # noqa: PLC0415
    from app.database import connect  # noqa: PLC0415
    from app.past_decisions import past_decisions  # noqa: PLC0415
    from app.world import rule_book  # noqa: PLC0415
    from engine.locate_dry_run import DryRun  # noqa: PLC0415

    began = time.perf_counter()
    try:
        run = DryRun(rule_book(asked.documents).locates, asked.lines)
    except RulesError as error:
        raise Refusal(422, str(error), problems=msgspec.to_builtins(error.problems)) from error
    until_ns = asked.until_ns
    journal = connect(settings.database_url)
    try:
        for past in past_decisions(journal, asked.since_ns, asked.until_ns):
            if time.perf_counter() - began > BUDGET_S or not wanted():
                until_ns = past.at_ns
                break
            run.add(past)
    except exc.SQLAlchemyError as error:
        raise Refusal(503, f"the journal cannot be read: {error}") from error
    finally:
        journal.dispose()
    took_ms = round((time.perf_counter() - began) * 1_000)
    complete = until_ns == asked.until_ns
    page = dry_run_answer(run, asked.since_ns, until_ns, complete=complete, took_ms=took_ms)
    return body_of(Form(asked.form), page, DryRunLine)
