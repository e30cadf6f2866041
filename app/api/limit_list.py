"""/api/v1/limits: what a client or an aggregation unit may still sell, in every security where it has something."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from app.api.base import Base
from app.api.clients import own_filter
from app.api.formats import send
from app.api.parameters import Parameters, number, text_of
from app.api.problems import Fault, ProblemError
from app.limits_told import SCOPES
from app.stream_limits import LimitLeft
from engine.rule_model import Scope
from engine.tables import Tables, TornReadError, Word

MAX_PAGE: Final = 1_000
_A_TURN: Final = 2
"""Securities worked out before others get their turn on the loop that decides: a millisecond or less."""
_SCANNED: Final = 65_536
_HOLDER: Final = {Scope.CLIENT: "client", Scope.AU: "unit"}
"""What order holdings call a scope."""


_RANK: Final = {Scope.CLIENT: 0, Scope.AU: 1}
"""In which order owners come."""


class Limit(Struct, frozen=True, kw_only=True):
    """Both limits of an owner in a security."""

    scope: Annotated[str, Meta(description="client or au.")]
    owner: str
    security: str
    name: str
    ticker: str
    market: str
    long: LimitLeft
    short: LimitLeft
    stale: Annotated[bool, Meta(description="The feeds are silent or not complete yet: nothing is approved.")]


class LimitPage(Struct, frozen=True, kw_only=True):
    """By owner, then in the order in which securities became known."""

    limits: list[Limit]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for more; null at the end.")]


class Limits(Base):
    """Filtered by client, aggregation unit and security; one of the three is needed."""

    for_clients = True

    async def get(self) -> None:
        """Every security in which the owner has a position, a locate or an order."""
        self.checked_body()
        parameters = Parameters(self, ("client", "au", "security", "limit", "cursor"))
        client, unit = parameters.read("client", text_of), parameters.read("au", text_of)
        security = parameters.read("security", self._security)
        limit = parameters.read("limit", partial(number, least=1, most=MAX_PAGE)) or 100
        after = parameters.read("cursor", _cursor)
        parameters.check()
        own_filter(self, "client", client)
        if self.identity.clients is not None and unit is not None:
            raise ProblemError(403, "forbidden", "a token for some clients shows no aggregation unit")
        if client is None and unit is None and security is None:
            fault = Fault("Give a client, an au or a security", parameter="client")
            raise ProblemError(422, "invalid", "the query cannot be used", (fault,))
        owners = self._owners(client, unit, security)
        found: list[tuple[Scope, str, int]] = []
        for scope, owner in owners:
            if len(found) > limit:
                break
            if after is not None and (_RANK[scope], owner) < after[:2]:
                continue
            first = after[2] if after is not None and (_RANK[scope], owner) == after[:2] else 0
            ids = [security] if security else await self._ids(scope, owner)
            found += [(scope, owner, each) for each in ids if each > first]
        rows = await self._rows(found[:limit])
        more = _after(*found[limit - 1]) if len(found) > limit else None
        await send(self, Limit, lambda: LimitPage(limits=rows, next_cursor=more))

    def _security(self, text: str) -> int:
        security = self.context.securities.find(text_of(text))
        if not security:
            raise ValueError("No such security")
        return security

    def _owners(self, client: str | None, unit: str | None, security: int | None) -> list[tuple[Scope, str]]:
        """Who was asked about: the named, or all that have rows or hold something of a security; clients first, by name."""
        named = [(Scope.CLIENT, client)] if client is not None else []
        if unit is not None:
            named.append((Scope.AU, unit))
        if named or security is None:
            return named
        array = self.context.securities.tables.array
        rows = self.context.securities.tables.rows_of(security)
        books = array["position"]["key"][rows].astype(np.int64) >> 24 & 0xFFFF
        clients = {each.decode() for each in np.unique(array["book"]["client"][books]).tolist()}
        market = int(array["security"][security]["market"])
        unit_of = array["book_unit"][books, market].astype(np.int64)
        units = np.where(unit_of > 0, array["unit"]["code"][unit_of], array["book"]["aggregation_unit"][books])
        code, orders = self.context.securities.code(security), self.context.orders.desk
        holding = self.context.decisions.desk.clients_with(code) | orders.sellers("client", code)
        if holding - clients:  # who has no book has no limit
            clients |= holding & {each.decode() for each in np.unique(array["book"]["client"]).tolist()}
        every = [(Scope.CLIENT, name) for name in sorted(clients - {""}) if self.identity.sees(name)]
        if self.identity.clients is None:
            names = {each.decode() for each in np.unique(units).tolist()} | orders.sellers("unit", code)
            every += [(Scope.AU, name) for name in sorted(names - {""})]
        return every

    async def _ids(self, scope: Scope, owner: str) -> list[int]:
        """Securities in which an owner has rows, or decisions hold something."""
        tables = self.context.securities.tables
        try:
            ids = set((await asyncio.to_thread(_with_rows, tables, scope, owner)).tolist())
        except TornReadError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
        held = self.context.orders.desk.sold_by(_HOLDER[scope], owner)
        if scope == Scope.CLIENT:
            held |= self.context.decisions.desk.located_by(owner)
        return sorted(ids | held)

    async def _rows(self, asked: Iterable[tuple[Scope, str, int]]) -> list[Limit]:
        rows: list[Limit] = []
        for place, (scope, owner, security) in enumerate(asked):
            if place and place % _A_TURN == 0:
                await asyncio.sleep(0)
            rows.append(self._row(scope, owner, security))
        return rows

    def _row(self, scope: Scope, owner: str, security: int) -> Limit:
        """Worked out between two events, as a decision would. Raises a 404 for an owner that no book has."""
        securities = self.context.securities
        try:
            now = self.context.limits.of((scope, owner, security))
        except KeyError as error:
            raise ProblemError(404, "not-found", str(error.args[0])) from error
        self.context.limits.asked.note((scope, owner, security))
        record = securities.tables.array["security"][security]
        return Limit(
            scope=SCOPES[scope],
            owner=owner,
            security=now.security,
            name=bytes(record["name"]).decode("utf-8", "replace"),
            ticker=bytes(record["ticker"]).decode("utf-8", "replace"),
            market=securities.market(security).code,
            long=now.long,
            short=now.short,
            stale=securities.stale,
        )


def _with_rows(tables: Tables, scope: Scope, owner: str) -> NDArray[np.int64]:
    """Securities in which an owner's books have rows, ascending. Beside the writer: keys of rows never change."""
    array, name = tables.array, owner.encode()
    books, markets = array["book"], array["security"]["market"].astype(np.int64)
    if scope == Scope.CLIENT:
        mine = np.repeat((books["client"] == name)[:, None], len(tables.markets), axis=1)
    else:
        unit = array["book_unit"].astype(np.int64)
        mine = np.where(unit > 0, array["unit"]["code"][unit], books["aggregation_unit"][:, None]) == name
    found = np.zeros(len(markets), bool)
    keys, count = array["position"]["key"], tables.count(Word.ROWS)
    for start in range(0, count, _SCANNED):
        key = keys[start : min(start + _SCANNED, count)].astype(np.int64)
        security = key >> 40
        found[security[mine[key >> 24 & 0xFFFF, markets[security]]]] = True
    return np.flatnonzero(found)


def _after(scope: Scope, owner: str, security: int) -> str:
    """The cursor for what comes after this row."""
    return f"{_RANK[scope]}-{security}-{owner}"


def _cursor(text: str) -> tuple[int, str, int]:
    """Rank of the scope, owner and security of the row before. Raises ValueError."""
    rank, _, rest = text.partition("-")
    security, dash, owner = rest.partition("-")
    if not dash:
        raise ValueError("Expected the next_cursor of a page")
    return number(rank, 0, len(_RANK)), owner, number(security, 0, 2**31)


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = ((r"/api/v1/limits", Limits),)
