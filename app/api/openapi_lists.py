"""Lists in the OpenAPI document: locates, orders, positions, availability, the easy-to-borrow list and limits."""

from typing import Any, Final

from app.api import availability, lists, positions
from app.api.answers import Availability, AvailabilityPage, LocatePage
from app.api.limit_list import LimitPage
from app.api.openapi_parts import content, listed, operation, parameter
from engine.locates import State
from engine.model import Classification, Kind, Temperature
from engine.orders import OrderState

LIST_TYPES: Final = (
    LocatePage,
    lists.OrderPage,
    lists.TotalsAnswer,
    positions.PositionPage,
    Availability,
    AvailabilityPage,
    availability.EasyToBorrowPage,
    LimitPage,
)
_CURSOR: Final = parameter("cursor", "`next_cursor` (or the header Next-Cursor) of the page before.")
_CLIENT: Final = parameter("client", "Of this client.", minLength=1)
_SECURITY: Final = parameter("security", "By any of its names.", minLength=1)
_UNIT: Final = parameter("au", "Of this aggregation unit.", minLength=1)
_MARKET: Final = parameter("market", "Of this market.")
_DAYS: Final = (
    parameter("date", "Received on this day, UTC.", format="date"),
    parameter("from", "Received on this day or later.", format="date"),
    parameter("to", "Received on this day or before.", format="date"),
)
_ORDER: Final = parameter("order", "What comes first.", enum=["newest", "oldest"], default="newest")
_TEXTS: Final = {
    "temperature": list(Temperature.__members__),
    "kind": list(Kind.__members__),
}


def list_paths() -> dict[str, Any]:
    """Path -> the operations of GET."""
    return {
        "/api/v1/locates": _list("List locates, newest first", "LocatePage", [*_life(State), _ORDER], lists.MAX_PAGE),
        "/api/v1/locates/totals": {
            "get": operation(
                "What locates come to: counts and shares by state, and how much of them is used",
                {"200": content("In shares.", "TotalsAnswer")},
                (400, 422, 503),
                parameters=_life(State),
            )
        },
        "/api/v1/orders": _list(
            "List orders, newest first", "OrderPage", [*_life(OrderState), _UNIT, _ORDER], lists.MAX_PAGE
        ),
        "/api/v1/limits": _list(
            "What a client or an aggregation unit may still sell, wherever it has something; one filter is needed",
            "LimitPage",
            [_CLIENT, _UNIT, _SECURITY],
            lists.MAX_PAGE,
            404,
        ),
        "/api/v1/positions": _list(
            "Rows of the position table, in the order in which they began",
            "PositionPage",
            [
                *(parameter(name, "Rows that are this.", **_choice(name)) for name in positions.TEXTS),
                *(parameter(name, _bound(name), type="integer") for name in positions.BOUNDS),
            ],
            positions.MAX_PAGE,
        ),
        "/api/v1/availability": _list(
            "What can be lent and located now, of many securities",
            "AvailabilityPage",
            [
                _MARKET,
                parameter("temperature", "Of this temperature.", enum=_TEXTS["temperature"]),
                parameter("classification", "Of this sort.", enum=list(Classification.__members__)),
                parameter("left_min", "At least so much left for short locates.", type="integer"),
            ],
            availability.MAX_PAGE,
        ),
        "/api/v1/easy-to-borrow": _list(
            "What may be located without asking a person: general collateral with something left",
            "EasyToBorrowPage",
            [_MARKET, parameter("left_min", "At least so much left.", type="integer")],
            availability.MAX_PAGE,
        ),
    }


def _list(
    summary: str, page: str, filters: list[dict[str, Any]], most: int, *statuses: int
) -> dict[str, dict[str, Any]]:
    size = parameter("limit", "At most so many.", type="integer", minimum=1, maximum=most, default=100)
    good = {"200": listed("A page; the same rows in every form.", page)}
    found = operation(summary, good, (400, 406, 422, 503, *statuses), parameters=[*filters, size, _CURSOR])
    return {"get": found}


def _life(states: type[State] | type[OrderState]) -> list[dict[str, Any]]:
    some = f"In one of these states, with commas between them: {', '.join(states)}."
    return [_CLIENT, _SECURITY, parameter("state", some), *_DAYS]


def _choice(name: str) -> dict[str, Any]:
    return {"enum": _TEXTS[name]} if name in _TEXTS else {"minLength": 1}


def _bound(name: str) -> str:
    quantity, _, bound = name.rpartition("_")
    return f"Rows whose {quantity} is at {'least' if bound == 'min' else 'most'} this."
