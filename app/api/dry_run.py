"""The resource of dry runs: what a version of rules would have decided on requests of the past."""

import datetime as dt
from functools import partial
from typing import Final

from app.analyst.dry_run import MOST_LINES
from app.api.formats import Form, form_of
from app.api.parameters import Parameters, number
from app.api.problems import Fault, ProblemError
from app.api.rule_base import RuleBase, number_or_missing
from app.moments import moment_ns
from app.rules_desk import TESTED_LINES, TESTED_NS

DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = dt.date(1970, 1, 1)
_LAST_DAY: Final = dt.date(2200, 1, 1)


class DryRuns(RuleBase):
    """/api/v1/rules/{document}/versions/{n}/dry-run."""

    async def get(self, name: str, text: str) -> None:
        """What the version would have decided on the requests of a period, against what was decided."""
        self.checked_body()
        form = form_of(self.request.headers.get("Accept", ""))
        parameters = Parameters(self, ("from", "to", "limit"))
        now_ns = self.context.decisions.clock()
        since_ns = parameters.read("from", partial(begin_ns, now_ns=now_ns))
        until_ns = parameters.read("to", partial(end_ns, now_ns=now_ns))
        limit = parameters.read("limit", partial(number, least=0, most=MOST_LINES))
        parameters.check()
        until_ns = now_ns if until_ns is None else until_ns
        since_ns = until_ns - TESTED_NS if since_ns is None else since_ns
        if since_ns >= until_ns:
            fault = Fault("Expected a moment before the end of the period", parameter="from")
            raise ProblemError(422, "invalid", "the query cannot be used", (fault,))
        lines = TESTED_LINES if limit is None else limit
        version = number_or_missing(name, text)
        rules = self.context.rules
        body = await self.asked(rules.dry_run(name, version, since_ns, until_ns, lines, form.value))
        self.set_header("Vary", "Accept")
        if form != Form.JSON:
            self.set_header("Content-Disposition", f'attachment; filename="dry-run.{form.name.lower()}"')
        self.answer(body, media_type=f"{form}; charset=utf-8; header=present" if form == Form.CSV else str(form))


def begin_ns(text: str, now_ns: int) -> int:
    """The moment at which a period begins: a day (UTC) or a moment. Raises ValueError."""
    return _moment(text, now_ns, 0)


def end_ns(text: str, now_ns: int) -> int:
    """The moment before which a period ends: a day (UTC), which is in it, or a moment. Raises ValueError."""
    return _moment(text, now_ns, DAY_NS)


def _moment(text: str, now_ns: int, of_day_ns: int) -> int:
    try:
        day = dt.date.fromisoformat(text)
        at_ns = (day - _EPOCH).days * DAY_NS + of_day_ns
    except ValueError:
        at_ns = moment_ns(text, dt.datetime.fromtimestamp(now_ns / 1e9, dt.UTC))
    if not 0 <= at_ns < (_LAST_DAY - _EPOCH).days * DAY_NS:
        raise ValueError(f"Expected a day or a moment from {_EPOCH} to before {_LAST_DAY}")
    return at_ns
