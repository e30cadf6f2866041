"""/api/v1/orders and /api/v1/limits: may this be sold, and how much still."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from app.api import posting
from app.api.base import Base
from app.api.clients import own_order
from app.api.explain_answers import explain_answer
from app.api.lists import list_orders
from app.api.order_answers import LimitAnswer, OrderLife, order_answer
from app.api.order_decisions import Late, Step
from app.api.problems import ProblemError
from app.api.requests import typed
from app.identity import WRITERS, acting
from engine.explain import OwnerError, explain
from engine.locates import LIMIT, Name, Quantity, Remark
from engine.model import Decided
from engine.rule_model import Role, Scope
from engine.tables import Tables, TornReadError

_JSON: Final = msgspec.json.Encoder()


class AmendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another quantity for an order."""

    quantity: Quantity
    requested_by: Name = ""
    comment: Remark = ""


class ExecutedRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of an order is sold by now; saying it again changes nothing."""

    executed: Annotated[int, Meta(ge=0, le=LIMIT, description="Shares in all, not since the last time.")]
    requested_by: Name = ""


class CancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes an order back, and why."""

    requested_by: Name = ""
    comment: Remark = ""


class Orders(Base):
    """/api/v1/orders: ask whether one or many may be sold."""

    roles: ClassVar = {"POST": posting.ORDERS.roles}
    for_clients = True

    async def post(self) -> None:
        """Decide. 200, 207 where lines went different ways."""
        reply = await posting.ORDERS.serve(self.context, self.posted())
        self.answer(reply.body, reply.status)

    async def get(self) -> None:
        """List, newest first."""
        await list_orders(self)


class OneOrder(Base):
    """/api/v1/orders/{id}."""

    for_clients = True

    async def get(self, order: str) -> None:
        """The order as it was last written down, with its history."""
        self.checked_body()
        await own_order(self, order)
        found = await self.context.orders.find(order)
        steps = await self.context.orders.journal.order_history(found.sequence)
        now, *life = [order_answer(step, with_unit=self.identity.clients is None) for step in (found, *steps)]
        self.answer(_JSON.encode(OrderLife(now=now, steps=life)))


class OrderStep(Base):
    """/api/v1/orders/{id}/amend, /executed and /cancel."""

    roles: ClassVar = {"POST": WRITERS}
    for_clients = True

    async def post(self, order: str, action: str) -> None:
        """Take the step; 409 where the order cannot."""
        posted = self.posted()
        await own_order(self, order)
        step, late = getattr(self, f"_{action}")(order, posted.body)
        reply = await self.context.orders.moved(order, step, posted.identity, self.key(posted), late)
        self.answer(reply.body, reply.status)

    def _amend(self, order: str, body: bytes) -> tuple[Step, None]:
        asked = typed(body, AmendRequest)
        by, comment = acting(self.identity.user, asked.requested_by), asked.comment
        return lambda desks, now_ns: desks.amend(order, asked.quantity, now_ns, by, comment), None

    def _executed(self, order: str, body: bytes) -> tuple[Step, Late]:
        asked = typed(body, ExecutedRequest)
        by = acting(self.identity.user, asked.requested_by)
        return (
            lambda desks, now_ns: desks.execute(order, asked.executed, now_ns, by),
            lambda desk, ended, now_ns: desk.late(ended, asked.executed, now_ns, by),
        )

    def _cancel(self, order: str, body: bytes) -> tuple[Step, None]:
        asked = typed(body, CancelRequest)
        by, comment = acting(self.identity.user, asked.requested_by), asked.comment
        return lambda desks, now_ns: desks.cancel(order, now_ns, by, comment), None


class ClientLimit(Base):
    """/api/v1/limits/{client}/{security}."""

    for_clients = True

    async def get(self, client: str, text: str) -> None:
        """Both limits of a client in a security, and why they are what they are."""
        self.checked_body()
        if not self.identity.sees(client):
            raise ProblemError(404, "not-found", f"no client {client!r}")
        security, code = _security(self, text)
        decided = self.context.decisions.desk.held_of(code, client) | dict(
            self.context.orders.desk.sells_of(code, "client", client)
        )
        asked = _Asked(security, code, client, (Role.CLIENT_LONG, Role.CLIENT_SHORT), {"client": client}, decided)
        self.answer(await asyncio.to_thread(asked.answer, self.context.securities))
        self.context.limits.asked.note((Scope.CLIENT, client, security))


class UnitLimit(Base):
    """/api/v1/limits/au/{unit}/{security}."""

    async def get(self, unit: str, text: str) -> None:
        """Both limits of an aggregation unit in a security, and why they are what they are."""
        self.checked_body()
        security, code = _security(self, text)
        decided = self.context.orders.desk.sells_of(code, "unit", unit)
        asked = _Asked(security, code, unit, (Role.AU_LONG, Role.AU_SHORT), {"aggregation_unit": unit}, decided)
        self.answer(await asyncio.to_thread(asked.answer, self.context.securities))
        self.context.limits.asked.note((Scope.AU, unit, security))


class _Asked(Struct, frozen=True):
    """A question about limits; the owner may not exist."""

    security: int
    code: str
    owner: str
    roles: tuple[Role, Role]
    of: dict[str, str]
    decided: Mapping[Decided, int]

    def answer(self, securities: Any) -> bytes:
        """The body. Raises `ProblemError`."""
        tables: Tables = securities.tables
        catalogue, day = tables.catalogue, securities.settle_day(self.security)
        try:
            long, short = (
                explain(
                    tables,
                    self.security,
                    catalogue.calculations[catalogue.playing(role)].name,
                    day,
                    decided=self.decided,
                    **self.of,
                )
                for role in self.roles
            )
        except (KeyError, OwnerError) as error:
            raise ProblemError(404, "not-found", str(error.args[0])) from error
        except TornReadError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
        return _JSON.encode(
            LimitAnswer(
                security=self.code,
                owner=self.owner,
                long=long.value,
                short=short.value,
                long_because=explain_answer(long, None),
                short_because=explain_answer(short, None),
                stale=securities.stale,
            )
        )


def _security(handler: Base, text: str) -> tuple[int, str]:
    """The id and our code. Raises a 404."""
    securities = handler.context.securities
    security = securities.find(text)
    if not security:
        raise ProblemError(404, "not-found", f"no security {text}")
    return security, securities.code(security)


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (posting.ORDERS.path, Orders),
    (r"/api/v1/orders/([^/]+)", OneOrder),
    (r"/api/v1/orders/([^/]+)/(amend|executed|cancel)", OrderStep),
    (r"/api/v1/limits/au/([^/]+)/([^/]+)", UnitLimit),
    (r"/api/v1/limits/([^/]+)/([^/]+)", ClientLimit),
)
