"""What the API answers of orders and limits, as types: the OpenAPI document is made from them."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

from app.api.answers import Shares, kept_time_of, time_of
from app.api.explain_answers import ExplainAnswer
from engine.orders import LimitSeen, Order, OrderReason, OrderState, Side


class OrderAnswer(Struct, frozen=True, kw_only=True):
    """A sell order as it was decided, or as it is now."""

    order: str
    state: OrderState
    reason: Annotated[OrderReason | None, Meta(description="Why it was rejected.")]
    security: Annotated[str, Meta(description="Our code; as asked where the security is not known.")]
    asked_as: str
    client: str
    book: str
    side: Side
    requested: Shares
    approved: Annotated[int, Meta(description="Shares that may be sold; 0 where it was rejected.")]
    executed: Annotated[int, Meta(description="Shares sold so far.")]
    locate: Annotated[str, Meta(description="The locate it names.")]
    covered: Annotated[int, Meta(description="Executed shares that have used up locates.")]
    open: Annotated[int, Meta(description="Approved shares still to be sold; 0 once it has ended.")]
    client_limit: Annotated[LimitSeen | None, Meta(description="Null where the decision did not come so far.")]
    au_limit: Annotated[
        LimitSeen | None, Meta(description="Null also for a token of some clients: it is about others, too.")
    ]
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event the decision has seen.")]
    received_at: dt.datetime
    updated_at: dt.datetime
    took_us: Annotated[int, Meta(description="From the request to the last decision on it, in microseconds.")]
    expires_at: Annotated[dt.datetime | None, Meta(description="Null where nothing was approved.")]
    requested_by: str
    comment: str
    changed_by: str
    remark: str


class OrderLife(Struct, frozen=True, kw_only=True):
    """An order as it is now, and every step of its life, oldest first."""

    now: OrderAnswer
    steps: list[OrderAnswer]


class LimitAnswer(Struct, frozen=True, kw_only=True):
    """What a client or aggregation unit may still sell of a security, and why it is so much."""

    security: str
    owner: str
    long: Annotated[
        int, Meta(description="Shares that may be sold long; negative where more was promised than is there.")
    ]
    short: Annotated[int, Meta(description="Shares that may be sold short.")]
    long_because: ExplainAnswer
    short_because: ExplainAnswer
    stale: Annotated[bool, Meta(description="The feeds are silent or not complete yet: nothing is approved.")]


def order_answer(order: Order, *, with_unit: bool = True) -> OrderAnswer:
    """What a program is told of an order. `with_unit`: also of its unit's limit, which says what other clients sell."""
    request, received = order.request, time_of(order.received_ns)
    return OrderAnswer(
        order=request.order,
        state=order.state,
        reason=order.reason,
        security=request.security,
        asked_as=order.asked_as,
        client=request.client,
        book=request.book,
        side=request.side,
        requested=request.quantity,
        approved=order.quantity,
        executed=order.executed,
        locate=request.locate,
        covered=order.covered,
        open=order.working,
        client_limit=order.client_limit,
        au_limit=order.unit_limit if with_unit else None,
        as_of=kept_time_of(order.as_of_ns) if order.as_of_ns > 0 else None,
        received_at=received,
        updated_at=received if order.updated_ns == order.received_ns else time_of(order.updated_ns),
        took_us=(order.decided_ns - order.received_ns) // 1_000,
        expires_at=kept_time_of(order.expires_ns) if order.open else None,
        requested_by=request.requested_by,
        comment=request.comment,
        changed_by=order.changed_by,
        remark=order.remark,
    )
