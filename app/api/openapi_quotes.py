"""Quotes in the OpenAPI document."""

from typing import Any, Final

from app.api.answers import QuoteAnswer
from app.api.openapi_parts import content, operation, ref
from app.api.requests import MAX_LINES

QUOTE_TYPES: Final = (QuoteAnswer,)
_EXAMPLE: Final = {"security": "US0378331005", "client": "FUND1", "quantity": 1000}


def quote_paths() -> dict[str, Any]:
    """/api/v1/locates/quotes."""
    line = ref("LocateRequest")
    lines = {"oneOf": [line, {"type": "array", "items": line, "minItems": 1, "maxItems": MAX_LINES}]}
    return {
        "/api/v1/locates/quotes": {
            "post": operation(
                "Ask what a locate, or each of a list, would be answered with now; nothing is held",
                {"200": content("What each line would get if it came alone.", "QuoteAnswer", many=True)},
                (422, 503),
                requestBody={"required": True, "content": {"application/json": {"schema": lines, "example": _EXAMPLE}}},
            )
        }
    }
