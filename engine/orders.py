"""The words of sell orders (domain.md 5): a request, the decision on it, and what it holds of two limits.

Quantities are whole shares; times are UTC nanoseconds.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.locates import Code, LocateType, Name, Named, Quantity, Remark
from engine.model import Decided


class Side(StrEnum):
    """What is sold: stock that is held, or stock that is not."""

    LONG = "long"
    SHORT = "short"


LOCATES_OF: Final[Mapping[Side, LocateType]] = {Side.LONG: LocateType.LONG, Side.SHORT: LocateType.SHORT}
"""Which locates a sale uses up."""


class OrderState(StrEnum):
    """Where an order is in its life; see `NEXT`."""

    APPROVED = "approved"
    REJECTED = "rejected"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class OrderReason(StrEnum):
    """Why an order was rejected."""

    INVALID_ORDER = "invalid_order"
    INSUFFICIENT_CLIENT_LIMIT = "insufficient_client_limit"
    INSUFFICIENT_AU_LIMIT = "insufficient_au_limit"
    CLIENT_LIMIT_NOT_FOUND = "client_limit_not_found"
    AU_LIMIT_NOT_FOUND = "au_limit_not_found"
    STALE_INPUTS = "stale_inputs"


NEXT: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    OrderState.APPROVED: frozenset({OrderState.APPROVED, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.FILLED: frozenset({OrderState.EXPIRED}),
    OrderState.CANCELLED: frozenset({OrderState.EXPIRED}),
}
"""Where a state may lead; a state that is not here is final. Executed short sells are counted until their day ends, so filled
and cancelled orders still expire. Approved to approved: executed in part, or amended."""


class OrderRequest(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sell order, as an order system asks for it before it sends it on."""

    order: Annotated[Name, Meta(min_length=1, description="The order's id; the same id twice gets the first answer.")]
    client: Annotated[Name, Meta(min_length=1, description="Whose limit it takes.")]
    book: Annotated[
        Code,
        Meta(
            description="The book it is sold from: the client's or the firm's. Its aggregation unit has a limit, too."
        ),
    ]
    side: Annotated[Side, Meta(description="long: stock that is held; short: stock that is not.")]
    quantity: Quantity
    locate: Annotated[
        Annotated[str, Meta(max_length=20)],
        Meta(description="The id of the locate that it uses up; without one, the client's oldest first."),
    ] = ""
    requested_by: Annotated[Name, Meta(description="The person or system asking.")] = ""
    comment: Remark = ""


class LimitSeen(Struct, frozen=True):
    """A limit at the moment of the decision, and what the order left of it."""

    owner: str
    before: int
    after: int


class Order(Struct, frozen=True, kw_only=True):
    """An order and what became of it. `security` of the request is our code where the security is known."""

    sequence: int
    request: OrderRequest
    asked_as: str
    state: OrderState
    reason: OrderReason | None
    quantity: int
    """What is approved: the request's, or what it was amended to; 0 where it was rejected."""
    executed: int
    client_limit: LimitSeen | None
    unit_limit: LimitSeen | None
    """None where the decision did not come so far."""
    received_ns: int
    decided_ns: int
    updated_ns: int
    expires_ns: int
    as_of_ns: int
    changed_by: str = ""
    remark: str = ""
    covered: int = 0
    """Executed shares that have used up locates; those locates count them for the client's limit."""

    @property
    def working(self) -> int:
        """Shares still to be sold."""
        return self.quantity - self.executed if self.state == OrderState.APPROVED else 0

    @property
    def open(self) -> bool:
        """It still holds something, or may."""
        return self.state in NEXT

    @property
    def counts_as(self) -> Decided:
        """What the calculations count it under."""
        return Decided.OPEN_LONG_SELLS if self.request.side == Side.LONG else Decided.SHORT_SELLS

    @property
    def held(self) -> int:
        """What it holds of both limits: long what is still to be sold, short all that was not cancelled."""
        long = self.request.side == Side.LONG
        match self.state:
            case OrderState.APPROVED:
                return self.quantity - self.executed if long else self.quantity
            case OrderState.FILLED | OrderState.CANCELLED:
                return 0 if long else self.executed
            case _:
                return 0

    @property
    def held_of_client(self) -> int:
        """What it holds of the client's limit: the same, less what its locates do not count as approved any more."""
        return self.held if self.request.side == Side.LONG else max(0, self.held - self.covered)


class OrderChange(Struct, frozen=True):
    """One transition of one order."""

    before: Order | None
    after: Order
