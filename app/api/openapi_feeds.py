"""The part of the OpenAPI document that is about feeds, parked and quarantined records."""

from typing import Any, Final

from app.api import health_answers as told
from app.api.openapi_parts import content, operation, parameter, ref

FEED_TYPES: Final = (
    told.Health,
    told.Feeds,
    told.FeedDetail,
    told.ParkedPage,
    told.QuarantinePage,
    told.Retried,
    told.Discarded,
    told.RetryRequest,
    told.DiscardRequest,
)
_NAME: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The name of a feed.",
    "schema": {"type": "string"},
}
_PAGE: Final = (
    parameter("feed", "Of this feed."),
    parameter("limit", "At most so many.", type="integer", minimum=1, maximum=1_000, default=100),
    parameter("cursor", "`next_cursor` of the page before."),
)


def feed_paths() -> dict[str, Any]:
    """Path -> operations."""
    return {
        "/api/v1/status": {
            "get": operation(
                "The service in one look: feeds, processes, snapshots, archive, what waits, what was set aside",
                {"200": content("Everything.", "Health")},
                (503,),
            )
        },
        "/api/v1/feeds": {"get": operation("How every feed fares", {"200": content("Feeds.", "Feeds")}, (503,))},
        "/api/v1/feeds/{name}": {
            "get": operation(
                "One feed, its sources with their sequence gaps, and how far its partitions are",
                {"200": content("The feed.", "FeedDetail")},
                (404, 503),
                parameters=[_NAME],
            )
        },
        "/api/v1/parked": {
            "get": operation(
                "Records that name something unknown, in the order in which they will be used",
                {"200": content("A page.", "ParkedPage")},
                (422, 503),
                parameters=[*_PAGE, parameter("code", "That name this code.")],
            )
        },
        "/api/v1/quarantine": {
            "get": operation(
                "Records that could not be used, newest first",
                {"200": content("A page.", "QuarantinePage")},
                (422, 503),
                parameters=[*_PAGE, parameter("reason", "For this reason.")],
            )
        },
        **{
            f"/api/v1/{where}/{action}": {
                "post": operation(
                    summary,
                    {"200": content("Done.", answer)},
                    (400, 422, 503),
                    requestBody={
                        "required": True,
                        "content": {"application/json": {"schema": ref(request)}},
                    },
                )
            }
            for where in ("parked", "quarantine")
            for action, summary, request, answer in (
                ("retry", "Read records again and use what can be used by now (ops, admin)", "RetryRequest", "Retried"),
                ("discard", "Give records up for good (ops, admin)", "DiscardRequest", "Discarded"),
            )
        },
    }
