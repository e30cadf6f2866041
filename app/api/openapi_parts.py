"""Pieces that the OpenAPI document is put together from."""

from typing import Any


def ref(name: str) -> dict[str, str]:
    """A reference to a type."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(description: str, name: str, media_type: str = "application/json", *, many: bool = False) -> dict[str, Any]:
    """An answer: an object of the type, or (`many`) one or a list of them."""
    schema: dict[str, Any] = ref(name)
    if many:
        schema = {"oneOf": [schema, {"type": "array", "items": ref(name)}]}
    return {"description": description, "content": {media_type: {"schema": schema}}}


def operation(summary: str, good: dict[str, Any], bad: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """An operation: its good answers, and the statuses of its bad ones beside those that all have."""
    problem = {"$ref": "#/components/responses/Problem"}
    responses = good | {str(status): problem for status in sorted({401, 403, 405, 413, 415, 500, *bad})}
    return {"summary": summary, "responses": responses, **more}


def parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"} | schema}
