"""Saved views in the OpenAPI document."""

from typing import Any, Final

from app.api.openapi_parts import content, operation, parameter, ref
from app.api.views import ViewAnswer, ViewChange, ViewDefault, ViewList, ViewRemoval, ViewRequest
from app.views_store import Page

VIEW_TYPES: Final = (ViewRequest, ViewChange, ViewRemoval, ViewDefault, ViewAnswer, ViewList)
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^V[0-9a-f]{12}$"}}
_NOTHING: Final = {"application/json": {"schema": {"type": "object"}}}


def view_paths() -> dict[str, Any]:
    """Of lists, of one, and of what a page opens with."""
    view = {"200": content("The view.", "ViewAnswer")}
    page = parameter("page", "Of which page.", enum=[page.value for page in Page]) | {"required": True}
    example = {"page": "positions", "name": "Shorts by market", "query": "group=market&totals=1"}
    return {
        "/api/v1/views": {
            "get": operation(
                "Views of a page: your own, and those that others share",
                {"200": content("All of them.", "ViewList")},
                (422, 503),
                parameters=[page],
            ),
            "post": operation(
                "Save a view under a new name",
                {"201": content("It is saved.", "ViewAnswer")},
                (400, 409, 422, 503),
                requestBody=_body("ViewRequest", example),
            ),
        },
        "/api/v1/views/default": {
            "post": operation(
                "Which view a page opens with for you",
                {"200": {"description": "It does.", "content": _NOTHING}},
                (400, 404, 422, 503),
                requestBody=_body("ViewDefault", {"page": "positions", "view": None}),
            )
        },
        "/api/v1/views/{id}": {
            "get": operation("One view", view, (404, 503), parameters=[_ID]),
            "post": operation(
                "Change a view of your own, if nobody has changed it since",
                view,
                (400, 404, 409, 422, 503),
                parameters=[_ID],
                requestBody=_body("ViewChange", {"version": 1, "shared": True}),
            ),
        },
        "/api/v1/views/{id}/remove": {
            "post": operation(
                "Take a view away",
                {"200": {"description": "It is no more.", "content": _NOTHING}},
                (400, 404, 409, 422, 503),
                parameters=[_ID],
                requestBody=_body("ViewRemoval", {"version": 1}),
            )
        },
    }


def _body(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": ref(name), "example": example}}}
