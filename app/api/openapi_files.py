"""Batch files in the OpenAPI document."""

from typing import Any, Final

from app.api.files import TYPES
from app.api.openapi_parts import content, operation, parameter, ref
from app.files_store import FileState

FILE_TYPES: Final = TYPES
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_FEED: Final = {"name": "feed", "in": "path", "required": True, "schema": {"type": "string"}}


def file_paths() -> dict[str, Any]:
    """Path -> operations."""
    text = {"description": "The report.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    answers = {"description": "A line for every row.", "content": {"text/csv": {"schema": {"type": "string"}}}}
    forced = {"required": True, "content": {"application/json": {"schema": ref("ForceRequest")}}}
    return {
        "/api/v1/files": {
            "get": operation(
                "Batch files, newest first, and what waits in the drop folder",
                {"200": content("A page.", "FilePage")},
                (422, 503),
                parameters=[
                    parameter("feed", "Of this feed."),
                    parameter("state", "In this state.", enum=[state.value for state in FileState]),
                    parameter("limit", "At most so many.", type="integer", minimum=1, maximum=1_000, default=100),
                    parameter("cursor", "`next_cursor` of the page before."),
                ],
            )
        },
        "/api/v1/files/forms/{feed}": {
            "get": operation(
                "What the files of a feed look like",
                {"200": content("Columns.", "FileFormAnswer")},
                (404,),
                parameters=[_FEED],
            )
        },
        "/api/v1/files/{id}": {
            "get": operation(
                "The report of a file", {"200": content("All of it.", "FileReport")}, (404, 503), parameters=[_ID]
            )
        },
        "/api/v1/files/{id}/text": {
            "get": operation("The report for a person", {"200": text}, (404, 503), parameters=[_ID])
        },
        "/api/v1/files/{id}/answers": {
            "get": operation(
                "What was answered to each row of a file of requests", {"200": answers}, (404, 503), parameters=[_ID]
            )
        },
        "/api/v1/files/{id}/force": {
            "post": operation(
                "Load a file that was refused for doubts only (ops, admin)",
                {
                    "202": {
                        "description": "It is tried again.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
                (400, 404, 409, 422, 503),
                parameters=[_ID],
                requestBody=forced,
            )
        },
    }
