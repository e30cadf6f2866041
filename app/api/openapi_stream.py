"""Webhooks and the stream in the OpenAPI document."""

from typing import Any, Final

from app.api.openapi_parts import content, operation, ref
from app.api.webhooks import ReplayRequest, WebhookAnswer, WebhookList, WebhookMade, WebhookRequest
from app.breaks.answers import BreakAnswer
from app.stream_availability import Available
from app.stream_limits import LimitNow
from app.stream_messages import Delta, Ended, Heartbeat, Refused, Snapshot, Subscribe, Unsubscribe
from app.webhooks_message import WebhookBody

STREAM_TYPES: Final = (
    *(Subscribe, Unsubscribe, Snapshot, Delta, Heartbeat, Refused, Ended),
    *(Available, LimitNow, BreakAnswer),
    *(WebhookRequest, ReplayRequest, WebhookAnswer, WebhookMade, WebhookList, WebhookBody),
)
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^W[0-9a-f]{8}$"}}
_STREAM: Final = (
    "A websocket. Say who you are in `Authorization`, or, in a browser, by the subprotocols `ims.v1, bearer.TOKEN`. Then say "
    '`{"op":"subscribe","topic":"locates"}`: a snapshot comes, and after it deltas, each with the `sequence` to go on from: '
    '`{"op":"subscribe","topic":"locates","after":17}` gets all that has happened since, also after a restart of the service. '
    "Sequences of `availability`, `limits` and `breaks` are of one `epoch`: say it too, or a snapshot comes. A line is a thing "
    "as it is since its `sequence`; `data` null: it is no more. `data` of locates and orders is what `GET` answers, of the "
    "others `Available`, `LimitNow`, `BreakAnswer` (its causes are left out) and `AlertEventAnswer` (the token's own). A "
    "heartbeat comes every 5 s at least. Who does not take a message in 10 s is cut off with code 1008 and the reason. One "
    "says `Subscribe` and `Unsubscribe`, and is told `Snapshot`, `Delta`, `Heartbeat`, `Refused` and `Ended`."
)


def stream_paths() -> dict[str, Any]:
    """Of the websocket, and of webhooks."""
    webhook = {"200": content("The webhook.", "WebhookAnswer")}
    return {
        "/api/v1/stream": {
            "get": {
                "summary": "Follow locates, orders, availability, limits, breaks and alerts",
                "description": _STREAM,
                "responses": {
                    "101": {"description": "The websocket is open."},
                    **{
                        str(status): {"$ref": "#/components/responses/Problem"}
                        for status in (400, 401, 403, 405, 426, 500, 503)
                    },
                },
            }
        },
        "/api/v1/webhooks": {
            "get": operation("Who is told of decisions", {"200": content("All of them.", "WebhookList")}, (429, 503)),
            "post": operation(
                "Tell somebody of decisions from now on",
                {"201": content("It is told; the secret is said this once.", "WebhookMade")},
                (400, 422, 429, 503),
                requestBody=_body("WebhookRequest", {"url": "https://hooks.example.com/ims", "kinds": ["locates"]}),
                callbacks={
                    "told": {
                        "{$request.body#/url}": {
                            "post": {
                                "summary": "What is sent, signed as Standard Webhooks says: webhook-id, webhook-timestamp,"
                                " webhook-signature",
                                "requestBody": {"content": {"application/json": {"schema": ref("WebhookBody")}}},
                                "responses": {"2XX": {"description": "It is taken; else it is sent again."}},
                            }
                        }
                    }
                },
            ),
        },
        "/api/v1/webhooks/{id}": {"get": operation("One of them", webhook, (404, 429, 503), parameters=[_ID])},
        "/api/v1/webhooks/{id}/replay": {
            "post": operation(
                "Send again what came after a step; one that is dead lives again",
                webhook,
                (400, 404, 409, 422, 429, 503),
                parameters=[_ID],
                requestBody=_body("ReplayRequest", {"kind": "locates", "after": 0}),
            )
        },
        "/api/v1/webhooks/{id}/remove": {
            "post": operation(
                "Tell nobody there any more",
                {
                    "200": {
                        "description": "It is removed.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
                (400, 404, 429, 503),
                parameters=[_ID],
            )
        },
    }


def _body(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": ref(name), "example": example}}}
