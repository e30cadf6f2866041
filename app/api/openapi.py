"""The OpenAPI 3.1 document, made from the types that decode and encode the bodies, and the page that shows it."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, Final

import msgspec

from app.api import answers
from app.api.asof import asof_paths
from app.api.explain_answers import ExplainAnswer
from app.api.openapi_alerts import ALERT_TYPES, alert_paths
from app.api.openapi_breaks import BREAK_TYPES, break_paths
from app.api.openapi_feeds import FEED_TYPES, feed_paths
from app.api.openapi_files import FILE_TYPES, file_paths
from app.api.openapi_history import HISTORY_TYPES, history_paths
from app.api.openapi_lists import LIST_TYPES, list_paths
from app.api.openapi_master import MASTER_TYPES, master_paths
from app.api.openapi_orders import ORDER_TYPES, order_paths
from app.api.openapi_parts import content, operation, parameter, ref
from app.api.openapi_quotes import QUOTE_TYPES, quote_paths
from app.api.openapi_rules import RULE_TYPES, rule_paths
from app.api.openapi_stream import STREAM_TYPES, stream_paths
from app.api.openapi_views import VIEW_TYPES, view_paths
from app.api.problems import KINDS, Problem
from app.api.requests import MAX_LINES, ActionsRequest, ApproveRequest, AskRequest, EndRequest, RejectRequest
from app.api.schemas import SCHEMA_TYPES, schema_documents, schema_paths
from engine.explain_split import By
from engine.locates import LocateRequest
from engine.model import DAYS

_TYPES: Final = (
    LocateRequest,
    EndRequest,
    ApproveRequest,
    RejectRequest,
    AskRequest,
    ActionsRequest,
    answers.LocateAnswer,
    answers.ActionsAnswer,
    answers.HistoryAnswer,
    ExplainAnswer,
    *RULE_TYPES,
    *FEED_TYPES,
    *SCHEMA_TYPES,
    *MASTER_TYPES,
    *FILE_TYPES,
    *HISTORY_TYPES,
    *ORDER_TYPES,
    *QUOTE_TYPES,
    *LIST_TYPES,
    *STREAM_TYPES,
    *BREAK_TYPES,
    *VIEW_TYPES,
    *ALERT_TYPES,
    Problem,
)
_PAGE: Final = {
    "/api/v1/docs": ("index.html", "text/html; charset=utf-8"),
    "/api/v1/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/api/v1/docs.css": ("docs.css", "text/css; charset=utf-8"),
}
_EXAMPLE: Final = {"security": "US0378331005", "client": "FUND1", "quantity": 1000, "reference": "order-17/1"}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new one for every new request, the same when it is sent again: the same key with the same body gets "
    "the same answer, byte for byte, for seven days, also after a restart; with another body 422. While the first is "
    "still being answered: 409.",
    "schema": {"type": "string", "maxLength": 128, "pattern": "^[!-~]+$"},
}
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^L[0-9]{10,18}$"}}
_SECURITY: Final = {
    "name": "security",
    "in": "path",
    "required": True,
    "description": "Code, ISIN, CUSIP, SEDOL, FIGI, or TICKER@MARKET.",
    "schema": {"type": "string"},
}
_CALCULATION: Final = {
    "name": "calculation",
    "in": "path",
    "required": True,
    "description": "The name of a calculation of the rules in force.",
    "schema": {"type": "string"},
}


@cache
def documents() -> Mapping[str, tuple[str, bytes]]:
    """Path -> media type and body."""
    page = files("app.api").joinpath("page")
    shown = {path: (kind, page.joinpath(name).read_bytes()) for path, (name, kind) in _PAGE.items()}
    shown |= schema_documents()
    return shown | {"/api/v1/openapi.json": ("application/json", msgspec.json.format(msgspec.json.encode(openapi())))}


def openapi() -> dict[str, Any]:
    """The document as builtins."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "IMS: locates, orders, availability and rules",
            "version": _version(),
            "description": "Quantities are whole shares. Times are UTC. A locate is on disk before it is answered. "
            "Every error is a problem document (RFC 9457) with a pointer per wrong field; 429 and 503 say in Retry-After "
            "when to ask again. Lists are JSON, CSV or an Arrow stream, as Accept asks. A token for some clients shows "
            "theirs only.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _merged(_paths(), order_paths(_KEY), list_paths())
        | quote_paths()
        | rule_paths()
        | feed_paths()
        | schema_paths()
        | file_paths()
        | master_paths()
        | asof_paths()
        | break_paths()
        | history_paths()
        | stream_paths()
        | view_paths()
        | alert_paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": content("What went wrong.", "Problem", "application/problem+json")},
        },
        "x-problems": KINDS,
    }


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Paths with the operations that any of the parts has of them."""
    paths: dict[str, Any] = {}
    for part in parts:
        for path, operations in part.items():
            paths[path] = paths.get(path, {}) | operations
    return paths


def _version() -> str:
    try:
        return version("ims")
    except PackageNotFoundError:
        return "0"


def _paths() -> dict[str, Any]:
    locate = {"200": content("The locate.", "LocateAnswer")}
    lines = {"oneOf": [ref("LocateRequest"), _list_of("LocateRequest")]}
    decided = {
        "200": content("Decided: all lines granted, or all refused.", "LocateAnswer", many=True),
        "202": content("Pending, all of them.", "LocateAnswer", many=True),
        "207": content("The lines of a list went different ways: see the state of each.", "LocateAnswer", many=True),
    }
    asked = {"required": True, "content": {"application/json": {"schema": lines, "example": _EXAMPLE}}}
    ended = {"content": {"application/json": {"schema": ref("EndRequest"), "example": {}}}}
    return {
        "/api/v1/locates": {
            "post": operation(
                f"Ask for one locate, or for a list of up to {MAX_LINES:,}",
                decided,
                (400, 409, 422, 503),
                parameters=[_KEY],
                requestBody=asked,
            ),
        },
        "/api/v1/locates/{id}": {"get": operation("One locate", locate, (404, 503), parameters=[_ID])},
        "/api/v1/locates/{id}/evidence": {
            "get": operation(
                "What it was decided on, and its history",
                {"200": content("Every step.", "HistoryAnswer")},
                (404, 503),
                parameters=[_ID],
            )
        },
        "/api/v1/locates/{id}/approve": {
            "post": _review("Approve a pending request, in full or in part", locate, "ApproveRequest")
        },
        "/api/v1/locates/{id}/reject": {"post": _review("Reject a pending request", locate, "RejectRequest")},
        "/api/v1/locates/{id}/ask": {"post": _review("Ask before deciding; it stays pending", locate, "AskRequest")},
        "/api/v1/locates/actions": {
            "post": operation(
                "The same step for many locates",
                {
                    "200": content("All of them, or none, could take it.", "ActionsAnswer"),
                    "207": content("Some could not take it: see each.", "ActionsAnswer"),
                },
                (400, 409, 422, 503),
                parameters=[_KEY],
                requestBody={
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": ref("ActionsRequest"),
                            "example": {"action": "approve", "ids": ["L0000000001"]},
                        }
                    },
                },
            )
        },
        "/api/v1/locates/{id}/release": {"post": _ending("Give back what is not needed", locate, ended)},
        "/api/v1/locates/{id}/cancel": {"post": _ending("Withdraw a locate, or a pending request", locate, ended)},
        "/api/v1/availability/{security}": {
            "get": operation(
                "What can be lent and located now",
                {"200": content("Availability.", "Availability")},
                (404,),
                parameters=[_SECURITY],
            )
        },
        "/api/v1/explain/{security}/{calculation}": {
            "get": operation(
                "How a number comes about: inputs, weights, rules and rows, exact to the share",
                {"200": content("The explanation, all of one moment.", "ExplainAnswer")},
                (404, 422, 503),
                parameters=[
                    _SECURITY,
                    _CALCULATION,
                    parameter(
                        "day",
                        "Business days from today; where it is not given, the day on which a trade of today settles.",
                        type="integer",
                        minimum=0,
                        maximum=DAYS - 1,
                    ),
                    parameter("client", "Whose number, for a calculation of a client."),
                    parameter("au", "Whose number, for a calculation of an aggregation unit."),
                    parameter("by", "Split the value by this, too.", enum=[by.value for by in By]),
                ],
            )
        },
    }


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name), "minItems": 1, "maxItems": MAX_LINES}


def _review(summary: str, locate: dict[str, Any], body: str) -> dict[str, Any]:
    example = {"comment": "For which sale?"} if body == "AskRequest" else {}
    asked = {"content": {"application/json": {"schema": ref(body), "example": example}}}
    return operation(summary, locate, (400, 404, 409, 422, 503), parameters=[_ID, _KEY], requestBody=asked)


def _ending(summary: str, locate: dict[str, Any], ended: dict[str, Any]) -> dict[str, Any]:
    return operation(summary, locate, (400, 404, 409, 422, 503), parameters=[_ID, _KEY], requestBody=ended)
