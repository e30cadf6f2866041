"""/api/v1/history/limits: what clients and aggregation units might still sell, over time. Worked out by the analyst."""

from typing import Final

from tornado.web import RequestHandler

from app.analyst.history import HistoryRequest
from app.api.history import Numbers
from app.api.problems import ProblemError
from app.limits_told import SCOPES
from engine.rule_model import Scope
from engine.tables import Word


class _Limit(Numbers):
    """Of one owner in one security."""

    async def over_time(self, scope: Scope, owner: str, text: str) -> None:
        """Where each number changed; the last point is of now. From now on it is recorded, if it was not."""
        asked, code, limits = self.asked(), self.code(text), self.context.limits
        security, catalogue = self.context.securities.find(text), self.context.securities.tables.catalogue
        now_ns = self.context.securities.tables.count(Word.HEARTBEAT_NS)
        try:
            numbers = limits.numbers((scope, owner, security))
        except KeyError as error:
            raise ProblemError(404, "not-found", str(error.args[0])) from error
        of = [(info, numbers[info.name]) for info in catalogue.calculations if info.name in numbers]
        lines, choices = asked.lines(of, list(numbers), self.context.securities.settle_day(security))
        limits.asked.note((scope, owner, security))
        request = HistoryRequest(
            security=code,
            now_ns=now_ns,
            from_ns=asked.from_ns,
            to_ns=asked.to_ns,
            lines=lines,
            choices=choices,
            points=asked.points,
            form=str(asked.form),
            scope=SCOPES[scope],
            owner=owner,
        )
        await self.tell("/history", request, asked.form)


class ClientLimitHistory(_Limit):
    """/api/v1/history/limits/{client}/{security}."""

    for_clients = True

    async def get(self, client: str, text: str) -> None:
        """404 for a client that is not theirs to see, as for one that there is not."""
        self.checked_body()
        if not self.identity.sees(client):
            raise ProblemError(404, "not-found", f"no client {client!r}")
        await self.over_time(Scope.CLIENT, client, text)


class UnitLimitHistory(_Limit):
    """/api/v1/history/limits/au/{unit}/{security}."""

    async def get(self, unit: str, text: str) -> None:
        """For who sees everybody: a unit's numbers are of many clients."""
        self.checked_body()
        await self.over_time(Scope.AU, unit, text)


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/history/limits/au/([^/]+)/([^/]+)", UnitLimitHistory),
    (r"/api/v1/history/limits/([^/]+)/([^/]+)", ClientLimitHistory),
)
"""Path and handler."""
