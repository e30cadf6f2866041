"""Decisions of the past, as the journal keeps them: read page by page, beside whoever writes it."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from app.journal_schema import HISTORY
from engine.locate_dry_run import Outcome, Past
from engine.locates import LocateRequest, Reason, RuleUsed, State, Subject

PAGE: Final = 2_000
SLACK_NS: Final = 3_600 * 10**9
"""By how much the clock may once have been set back: steps are in the order in which they were written."""
_COLUMNS: Final = (HISTORY.c.entry, HISTORY.c.sequence, HISTORY.c.at_ns, HISTORY.c.document, HISTORY.c.evidence)


class _Kept(Struct, frozen=True):
    """Of a locate what is needed here."""

    request: LocateRequest
    state: State
    reason: Reason | None
    approved: int
    decrement: int
    received_ns: int


class _Grounds(Struct, frozen=True):
    """The same of its evidence."""

    decision_rule: RuleUsed
    terms: dict[str, int]
    decided_ns: int
    decided_by: str
    subject: Subject | None = None
    held: int = 0


_LOCATE: Final = msgspec.json.Decoder(_Kept)
_GROUNDS: Final = msgspec.json.Decoder(_Grounds)


def past_decisions(engine: sa.Engine, since_ns: int, until_ns: int) -> Iterator[Past]:
    """Decisions from `since_ns` to before `until_ns`, oldest first. Raises `sqlalchemy.exc.SQLAlchemyError`."""
    entry = _first_entry(engine, since_ns - SLACK_NS)
    while True:
        chosen = sa.select(*_COLUMNS).where(HISTORY.c.entry >= entry).order_by(HISTORY.c.entry).limit(PAGE)
        with engine.connect() as connection:
            rows = connection.execute(chosen).all()
        for row in rows:
            if row.at_ns >= until_ns + SLACK_NS:
                return
            if row.evidence is not None and since_ns <= row.at_ns < until_ns:
                yield _past(row)
        if len(rows) < PAGE:
            return
        entry = rows[-1].entry + 1


def _first_entry(engine: sa.Engine, at_ns: int) -> int:
    """An entry before which all are older. There is no index of times: entries are in their order, near enough."""
    with engine.connect() as connection:
        low, high = connection.execute(sa.select(sa.func.min(HISTORY.c.entry), sa.func.max(HISTORY.c.entry))).one()
        low, high = low or 0, high or 0
        while low < high:
            middle = (low + high) // 2
            chosen = sa.select(HISTORY.c.at_ns).where(HISTORY.c.entry >= middle).order_by(HISTORY.c.entry).limit(1)
            if connection.execute(chosen).scalar_one() < at_ns:
                low = middle + 1
            else:
                high = middle
    return low


def _past(row: Any) -> Past:
    locate, grounds = _LOCATE.decode(row.document), _GROUNDS.decode(row.evidence or "")
    outcome = Outcome(
        locate.state, locate.reason, locate.approved, locate.decrement, grounds.decision_rule, grounds.decided_by
    )
    first = locate.received_ns == grounds.decided_ns
    return Past(row.sequence, row.at_ns, first, locate.request, outcome, grounds.subject, grounds.terms, grounds.held)
