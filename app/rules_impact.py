"""What a version of the rules would change: the analyst's comparison, and what it would put under water."""

from collections.abc import Sequence
from typing import Any, Final

from app.analyst.client import Analyst
from app.analyst.impact import Party
from app.journal import Journal
from app.journal_rows import Query
from engine.locate_desk import LocateDesk
from engine.locates import LIVE, Locate
from engine.rule_model import Document

MOST_SECURITIES: Final = 100
"""Under-water securities whose locates are named: the worst ones."""
MOST_LOCATES: Final = 100
"""Locates named of a security and state."""
MOST_CLIENTS: Final = 200
"""Clients whose limits are looked at, each in one security: those that hold most by live locates."""


async def impact(analyst: Analyst, journal: Journal, desk: LocateDesk, documents: Sequence[Document]) -> dict[str, Any]:
    """The comparison of these rules with the active ones. Raises `AnalystError`, `JournalError` and `RulesError`."""
    parties = [
        Party(security, "client", client, {what.name.lower(): shares for what, shares in held.items() if shares})
        for security, client, held in desk.largest_holders(MOST_CLIENTS)
    ]
    found = await analyst.impact(documents, parties)
    for security in found.get("under_water", ())[:MOST_SECURITIES]:
        locates = [
            locate
            for state in sorted(LIVE)
            for code in desk.codes_of(security["security"])
            for locate in await journal.find(Query(security=code, state=state, limit=MOST_LOCATES))
        ]
        security["locates"] = [_shown(locate) for locate in sorted(locates, key=_newest_first)]
    return found


def _newest_first(locate: Locate) -> int:
    return -locate.sequence


def _shown(locate: Locate) -> dict[str, Any]:
    return {
        "id": f"L{locate.sequence:010d}",
        "client": locate.request.client,
        "type": locate.request.type.value,
        "approved": locate.approved,
        "decrement": locate.decrement,
    }
