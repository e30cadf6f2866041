"""/api/v1/limits/watched: every number of those limits that are worked out again and again; the history is written from it."""

from typing import Final

import msgspec

from app.api.base import Base
from app.api.problems import ProblemError
from app.breaks.overdrawn import OverdrawnWatch
from app.limits_told import SCOPES, LimitWatch
from engine.tables import Tables, Word

_JSON: Final = msgspec.json.Encoder()


class Watched(Base):
    """For who sees everybody."""

    async def get(self) -> None:
        """All of them at once: they are encoded already."""
        self.checked_body()
        if self.context.breaks is None:
            raise ProblemError(404, "not-found", "nobody looks at limits here")
        self.answer(body_of(self.context.securities.tables, self.context.breaks.overdrawn))


def body_of(tables: Tables, watch: OverdrawnWatch) -> bytes:
    """`WatchedLimits` as JSON."""
    calculations = tables.catalogue.calculations
    of = LimitWatch(
        ready=bool(tables.count(Word.READY)),
        generation=tables.generation,
        rules=tables.count(Word.RULES),
        place=tables.count(Word.LOG),
        stale=tables.count(Word.STALE),
        as_of_ns=tables.count(Word.LAST_EVENT_NS),
        calculations={
            name: [each.name for each in calculations if each.scope == scope] for scope, name in SCOPES.items()
        },
    )
    return b'%s,"limits":%s}' % (_JSON.encode(of)[:-1], watch.told())


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = ((r"/api/v1/limits/watched", Watched),)
"""Path and handler."""
