"""Lists of locates and orders, and what locates come to: filtered, paged, in any form, and of the asker's clients only."""

import datetime as dt
from collections.abc import Collection
from functools import partial
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from app.api.answers import LocateAnswer, LocatePage, locate_answer
from app.api.base import Base
from app.api.clients import own_filter
from app.api.formats import send
from app.api.order_answers import OrderAnswer, order_answer
from app.api.parameters import Parameters, number, text_of
from app.journal_lists import Query, Totals
from engine.locates import Locate, State, locate_id, sequence_of
from engine.orders import Order, OrderState

S = TypeVar("S", State, OrderState)
MAX_PAGE: Final = 1_000
_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = dt.date(1970, 1, 1)
_LAST_DAY: Final = dt.date(2200, 1, 1)
_JSON: Final = msgspec.json.Encoder()
_FILTERS: Final = ("client", "security", "state", "date", "from", "to")
_PAGING: Final = ("order", "limit", "cursor")


class OrderPage(Struct, frozen=True, kw_only=True):
    """Orders, newest first unless asked for otherwise."""

    orders: list[OrderAnswer]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for what follows; null at the end.")]


class TotalsAnswer(Struct, frozen=True, kw_only=True):
    """What locates come to, in shares."""

    states: Annotated[list[Totals], Meta(description="Of each state there is one in.")]
    count: int
    requested: int
    approved: int
    used: int
    decrement: int
    utilisation: Annotated[float | None, Meta(description="used / approved; null where nothing was approved.")]


class LocateTotals(Base):
    """/api/v1/locates/totals."""

    for_clients = True

    async def get(self) -> None:
        """Counts and shares by state, and in all."""
        self.checked_body()
        parameters = Parameters(self, _FILTERS)
        query = _query(self, parameters, State)
        states = await self.context.lists.totals(query)
        approved, used = sum(each.approved for each in states), sum(each.used for each in states)
        totals = TotalsAnswer(
            states=states,
            count=sum(each.count for each in states),
            requested=sum(each.requested for each in states),
            approved=approved,
            used=used,
            decrement=sum(each.decrement for each in states),
            utilisation=used / approved if approved else None,
        )
        self.answer(_JSON.encode(totals))


async def list_locates(handler: Base) -> None:
    """Answer with a page of locates."""
    handler.checked_body()
    query = _query(handler, Parameters(handler, _FILTERS + _PAGING), State)
    found = await handler.context.lists.find(Locate, query)
    shown = found[: query.limit - 1]
    cursor = locate_id(shown[-1].sequence) if len(found) == query.limit else None
    await send(
        handler,
        LocateAnswer,
        lambda: LocatePage(locates=[locate_answer(locate) for locate in shown], next_cursor=cursor),
    )


async def list_orders(handler: Base) -> None:
    """Answer with a page of orders."""
    handler.checked_body()
    query = _query(handler, Parameters(handler, (*_FILTERS, *_PAGING, "au")), OrderState)
    found = await handler.context.lists.find(Order, query)
    shown = found[: query.limit - 1]
    cursor = str(shown[-1].sequence) if len(found) == query.limit else None
    await send(
        handler,
        OrderAnswer,
        lambda: OrderPage(
            orders=[order_answer(order, with_unit=handler.identity.clients is None) for order in shown],
            next_cursor=cursor,
        ),
    )


def _query(handler: Base, parameters: Parameters, states: type[S]) -> Query:
    """What is asked for, and a row more than shown. Raises `ProblemError`; 403 for a client that is not the asker's."""
    client = parameters.read("client", text_of)
    security = parameters.read("security", text_of)
    day = parameters.read("date", _day)
    since = parameters.read("from", _day) or day
    until = parameters.read("to", _day) or day
    wanted = parameters.read("state", partial(_states, kind=states))
    oldest = parameters.read("order", _order) == "oldest"
    limit = parameters.read("limit", partial(number, least=1, most=MAX_PAGE)) or 100
    beyond = parameters.read("cursor", _sequence if states is OrderState else sequence_of_cursor)
    unit = parameters.read("au", text_of)
    parameters.check()
    own_filter(handler, "client", client)
    return Query(
        clients=handler.identity.clients if client is None else [client],
        securities=None if security is None else _codes(handler, security),
        states=wanted,
        unit=unit,
        since_ns=None if since is None else _day_ns(since),
        until_ns=None if until is None else _day_ns(until) + _DAY_NS,
        beyond=beyond,
        oldest=oldest,
        limit=limit + 1,
    )


def _codes(handler: Base, text: str) -> Collection[str]:
    """The codes under which things of a security may be kept."""
    securities = handler.context.securities
    security = securities.find(text)
    if not security:
        return [text]
    return securities.codes(security)


def _states(text: str, kind: type[S]) -> list[S]:
    """States with commas between them. Raises ValueError."""
    try:
        return [kind(each) for each in text.split(",")]
    except ValueError:
        raise ValueError(f"Expected some of {', '.join(kind)}, with commas between them") from None


def _order(text: str) -> str:
    if text not in ("newest", "oldest"):
        raise ValueError("Expected newest or oldest")
    return text


def sequence_of_cursor(text: str) -> int:
    """Where the page before ended. Raises ValueError."""
    sequence = sequence_of(text)
    if sequence is None:
        raise ValueError("Expected the next_cursor of a page")
    return sequence


def _sequence(text: str) -> int:
    return number(text, 1, 2**63 - 1)


def _day(text: str) -> dt.date:
    """Raises ValueError, also for days that nanoseconds of 64 bits do not reach."""
    day = dt.date.fromisoformat(text)
    if not _EPOCH <= day < _LAST_DAY:
        raise ValueError(f"Expected a day from {_EPOCH} to before {_LAST_DAY}")
    return day


def _day_ns(day: dt.date) -> int:
    return (day - _EPOCH).days * _DAY_NS


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = ((r"/api/v1/locates/totals", LocateTotals),)
