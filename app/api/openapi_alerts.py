"""Alerts in the OpenAPI document."""

from typing import Any, Final

from app.api.alert_answers import (
    AcknowledgeAnswer,
    AlertAnswer,
    AlertEventAnswer,
    AlertEventPage,
    AlertList,
    AlertTestAnswer,
    AlertWords,
)
from app.api.alerts import MAX_PAGE, AcknowledgeRequest, AlertChange, AlertRequest, AlertTestRequest
from app.api.openapi_parts import content, operation, parameter, ref

ALERT_TYPES: Final = (
    *(AlertRequest, AlertChange, AlertTestRequest, AcknowledgeRequest),
    *(AlertAnswer, AlertList, AlertEventAnswer, AlertEventPage, AcknowledgeAnswer, AlertTestAnswer, AlertWords),
)
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^A[0-9a-f]{8}$"}}
_EVENT: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^E[0-9]{10,18}$"},
}
_CONDITION: Final = "price falls by 10% within 5 minutes and not ETF"


def alert_paths() -> dict[str, Any]:
    """Path -> operations."""
    alert = {"200": content("The alert.", "AlertAnswer")}
    gone = {"200": {"description": "It is removed.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    seen = {"200": content("What is acknowledged now.", "AcknowledgeAnswer")}
    filters = [
        parameter(
            "state", "raised, acknowledged, cleared or open, several with commas between; open where nothing is said."
        ),
        parameter("alert", "Of this alert only."),
        parameter("limit", "How many; 100 where nothing is said.", type="integer", minimum=1, maximum=MAX_PAGE),
        parameter("cursor", "Of the page before."),
    ]
    return {
        "/api/v1/alerts": {
            "get": operation("What you want to be told of", {"200": content("All of it.", "AlertList")}, (503,)),
            "post": operation(
                "Write an alert",
                {"201": content("It is watched from now on.", "AlertAnswer")},
                (409, 422, 503),
                requestBody=_body("AlertRequest", {"condition": _CONDITION, "severity": "high"}),
            ),
        },
        "/api/v1/alerts/{id}": {"get": operation("One of yours", alert, (404, 503), parameters=[_ID])},
        "/api/v1/alerts/{id}/change": {
            "post": operation(
                "Say anew what you want to be told of",
                alert,
                (404, 409, 422, 503),
                parameters=[_ID],
                requestBody=_body("AlertChange", {"condition": _CONDITION, "enabled": False, "revision": 1}),
            )
        },
        "/api/v1/alerts/{id}/remove": {"post": operation("Watch it no more", gone, (404, 503), parameters=[_ID])},
        "/api/v1/alerts/test": {
            "post": operation(
                "For what a condition holds now",
                {"200": content("How many, and the first of them.", "AlertTestAnswer")},
                (422, 503),
                requestBody=_body("AlertTestRequest", {"condition": _CONDITION}),
            )
        },
        "/api/v1/alerts/words": {
            "get": operation(
                "What a condition may say", {"200": content("Under the rules in force.", "AlertWords")}, (503,)
            )
        },
        "/api/v1/alerts/events": {
            "get": operation(
                "What you were told",
                {"200": content("Newest first.", "AlertEventPage")},
                (422, 503),
                parameters=filters,
            )
        },
        "/api/v1/alerts/events/acknowledge": {
            "post": operation(
                "You have seen them: they stay quiet until they have been over once",
                seen,
                (422, 503),
                requestBody=_body("AcknowledgeRequest", {"all": True}),
            )
        },
        "/api/v1/alerts/events/{id}/acknowledge": {
            "post": operation("You have seen one", seen, (404, 503), parameters=[_EVENT])
        },
    }


def _body(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": ref(name), "example": example}}}
