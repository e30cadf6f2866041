"""Numbers over time, what happened, and scarcity in the OpenAPI document."""

from typing import Any, Final

from app.analyst.history import MOST_EVENTS, MOST_POINTS
from app.api.history_answers import EventPage, HistoryPage, MarketPage, MarkPage
from app.api.latencies import LatencyPage
from app.api.openapi_parts import content, listed, operation, parameter
from app.api.scarcity import By, ScarcityPage
from app.limits_told import WatchedLimits
from engine.model import DAYS, Kind

HISTORY_TYPES: Final = (HistoryPage, MarketPage, MarkPage, EventPage, ScarcityPage, LatencyPage, WatchedLimits)
_SECURITY: Final = {
    "name": "security",
    "in": "path",
    "required": True,
    "description": "By any of its names.",
    "schema": {"type": "string"},
}
_BETWEEN: Final = [
    parameter("from", "2026-11-20T14:31:07.25, or 14:31 of today; UTC, or with an offset. A day before the end."),
    parameter("to", "The same. Now; at most 32 days after the beginning."),
]
_POINTS: Final = parameter("points", "About so many of each line.", type="integer", minimum=20, maximum=MOST_POINTS)


def history_paths() -> dict[str, Any]:
    """Path -> operations."""
    bad = (404, 406, 422, 503)
    numbers = [
        parameter(
            "calculation",
            "Names of calculations with commas between them. Of a security: for loan, pool and remaining; of limits: all.",
        ),
        parameter("day", f"0 to {DAYS - 1}, with commas between them; the day on which a trade of today settles."),
        _POINTS,
    ]
    events = [
        parameter("book", "Of this book.", minLength=1),
        parameter("depot", "In this depot.", minLength=1),
        parameter("kind", "Of this kind of position.", enum=list(Kind.__members__)),
        parameter("prices", "1: prices, too.", type="integer", minimum=0, maximum=1),
        parameter("limit", "How many.", type="integer", minimum=1, maximum=MOST_EVENTS),
        parameter("cursor", "`next_cursor` (or the header Next-Cursor) of the page before."),
    ]
    return {
        "/api/v1/history/{security}": {
            "get": operation(
                "Numbers of a security over time, where they changed",
                {"200": listed("By line, then by time; the last point is of now.", "HistoryPage")},
                bad,
                parameters=[_SECURITY, *numbers, *_BETWEEN],
            )
        },
        "/api/v1/history/limits/{client}/{security}": {"get": _of_limits("client", "a client", numbers)},
        "/api/v1/history/limits/au/{au}/{security}": {"get": _of_limits("au", "an aggregation unit", numbers)},
        "/api/v1/limits/watched": {
            "get": operation(
                "Limits that are worked out again and again: the history is written from these",
                {"200": content("Each as of the last look at it.", "WatchedLimits")},
                (404,),
            )
        },
        "/api/v1/history/{security}/marks": {
            "get": operation(
                "What happened to a security that a chart of its numbers should show",
                {"200": listed("In the order of time.", "MarkPage")},
                bad,
                parameters=[_SECURITY, *_BETWEEN],
            )
        },
        "/api/v1/utilisation": {
            "get": operation(
                "How scarce stock was in each market over time",
                {"200": listed("In the order of time.", "MarketPage")},
                bad,
                parameters=[parameter("market", "Of this market."), _POINTS, *_BETWEEN],
            )
        },
        "/api/v1/events/{security}": {
            "get": operation(
                "Events of a security with topic, partition and offset, the newest first",
                {"200": listed("What the last seconds brought is not in it yet.", "EventPage")},
                bad,
                parameters=[_SECURITY, *events, *_BETWEEN],
            )
        },
        "/api/v1/latencies": {
            "get": operation(
                "How fast locates were answered over the last day, ten seconds at a time",
                {"200": listed("Since the engine was started.", "LatencyPage")},
                (406, 422),
                parameters=_BETWEEN,
            )
        },
        "/api/v1/scarcity": {
            "get": operation(
                "How scarce stock is now, by market and group",
                {"200": listed("The cells of a heat map.", "ScarcityPage")},
                (406, 422, 503),
                parameters=[parameter("by", "The second axis.", enum=list(By), default=By.CLASSIFICATION)],
            )
        },
    }


def _of_limits(name: str, whose: str, numbers: list[dict[str, Any]]) -> dict[str, Any]:
    owner = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    return operation(
        f"What {whose} might still sell of a security over time, where it changed",
        {
            "200": listed(
                "By line, then by time; the last point is of now. Known while its orders held something of it, "
                "and for a day after somebody asked.",
                "HistoryPage",
            )
        },
        (404, 406, 422, 503),
        parameters=[owner, _SECURITY, *numbers, *_BETWEEN],
    )
