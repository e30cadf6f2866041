"""Pieces that the OpenAPI document is put together from."""

from typing import Any, Final

_ARROW: Final = "application/vnd.apache.arrow.stream"
_TEXT: Final = {"type": "string"}


def ref(name: str) -> dict[str, str]:
    """A reference to a type."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(description: str, name: str, media_type: str = "application/json", *, many: bool = False) -> dict[str, Any]:
    """An answer: an object of the type, or (`many`) one or a list of them."""
    schema: dict[str, Any] = ref(name)
    if many:
        schema = {"oneOf": [schema, {"type": "array", "items": ref(name)}]}
    return {"description": description, "content": {media_type: {"schema": schema}}}


def listed(description: str, name: str) -> dict[str, Any]:
    """A page of a list: as JSON of the type, as CSV with a header, or as an Arrow stream."""
    schema = {"application/json": ref(name), "text/csv": {"type": "string"}, _ARROW: {"type": "string"}}
    cursor = {"Next-Cursor": {"description": "The next page's cursor, where it is not in the body.", "schema": _TEXT}}
    answer = {media_type: {"schema": each} for media_type, each in schema.items()}
    return {"description": description, "headers": cursor, "content": answer}


def operation(summary: str, good: dict[str, Any], bad: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """An operation: its good answers, and the statuses of its bad ones beside those that all have."""
    problem = {"$ref": "#/components/responses/Problem"}
    responses = good | {str(status): problem for status in sorted({400, 401, 403, 405, 413, 415, 429, 500, *bad})}
    return {"summary": summary, "responses": responses, **more}


def parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"} | schema}
