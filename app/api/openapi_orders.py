"""Orders and limits in the OpenAPI document."""

from typing import Any, Final

from app.api.openapi_parts import content, operation, ref
from app.api.order_answers import LimitAnswer, OrderAnswer, OrderLife
from app.api.orders import AmendRequest, CancelRequest, ExecutedRequest
from app.api.requests import MAX_LINES
from engine.orders import OrderRequest

ORDER_TYPES: Final = (OrderRequest, AmendRequest, ExecutedRequest, CancelRequest, OrderAnswer, OrderLife, LimitAnswer)
_EXAMPLE: Final = {
    "order": "order-17",
    "security": "US0378331005",
    "client": "FUND1",
    "book": "B0001",
    "side": "short",
    "quantity": 1000,
}
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The order's own id.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}


def order_paths(key: dict[str, Any]) -> dict[str, Any]:
    """`key`: the parameter Idempotency-Key."""
    lines = {
        "oneOf": [
            ref("OrderRequest"),
            {"type": "array", "items": ref("OrderRequest"), "minItems": 1, "maxItems": MAX_LINES},
        ]
    }
    decided = {
        "200": content("Decided: all lines approved, or all rejected.", "OrderAnswer", many=True),
        "207": content("The lines of a list went different ways: see the state of each.", "OrderAnswer", many=True),
    }
    order = {"200": content("The order.", "OrderAnswer")}
    limit = {"200": content("Both limits, explained, of one moment each.", "LimitAnswer")}
    return {
        "/api/v1/orders": {
            "post": operation(
                f"Ask whether an order, or a list of up to {MAX_LINES:,}, may be sold",
                decided,
                (400, 409, 422, 503),
                parameters=[key],
                requestBody={"required": True, "content": {"application/json": {"schema": lines, "example": _EXAMPLE}}},
            )
        },
        "/api/v1/orders/{id}": {
            "get": operation(
                "One order and its history", {"200": content("The order.", "OrderLife")}, (404, 503), parameters=[_ID]
            )
        },
        "/api/v1/orders/{id}/amend": {"post": _step("Another quantity", order, "AmendRequest", {"quantity": 500}, key)},
        "/api/v1/orders/{id}/executed": {
            "post": _step("Say what is sold by now", order, "ExecutedRequest", {"executed": 300}, key)
        },
        "/api/v1/orders/{id}/cancel": {"post": _step("Take back what is not sold", order, "CancelRequest", {}, key)},
        "/api/v1/limits/{client}/{security}": {
            "get": operation(
                "What a client may still sell, and why",
                limit,
                (404, 503),
                parameters=[_named("client"), _named("security")],
            )
        },
        "/api/v1/limits/au/{au}/{security}": {
            "get": operation(
                "What an aggregation unit may still sell, and why",
                limit,
                (404, 503),
                parameters=[_named("au"), _named("security")],
            )
        },
    }


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _step(
    summary: str, order: dict[str, Any], body: str, example: dict[str, Any], key: dict[str, Any]
) -> dict[str, Any]:
    asked = {"content": {"application/json": {"schema": ref(body), "example": example}}}
    return operation(summary, order, (400, 404, 409, 422, 503), parameters=[_ID, key], requestBody=asked)
