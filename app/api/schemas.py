"""JSON Schema of what every feed takes, made from the types that decode it: /api/v1/schemas and /api/v1/schemas/{feed}."""

from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from app.api.openapi_parts import content, operation
from engine.model import Concern
from feeds.registry import FEEDS, Feed

_INDEX: Final = "/api/v1/schemas"
_SCHEMA: Final = "application/schema+json"


class FeedForm(msgspec.Struct, frozen=True):
    """A feed and where its schema is. `encodings`: values of the header `enc`; `records`: its forms, of record feeds their
    `type`; `doubtful`: what is doubtful while it is late."""

    name: str
    title: str
    encodings: list[str]
    records: list[str]
    doubtful: list[str]
    schema: str


class FeedForms(msgspec.Struct, frozen=True):
    """All feeds."""

    feeds: list[FeedForm]


SCHEMA_TYPES: Final = (FeedForms,)


def schema_of(feed: Feed) -> dict[str, Any]:
    """The schema of one record of a feed, as builtins."""
    union = reduce(or_, feed.records)
    (made,), definitions = msgspec.json.schema_components([union], ref_template="#/$defs/{name}")
    if feed.permitted is not None:
        fields = definitions[feed.records[0].__name__]["properties"]
        fields["op"] = {"enum": [op.name for op in feed.permitted.ops]}
        fields["kind"] = {"enum": [kind.name for kind in feed.permitted.kinds]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_INDEX}/{feed.name}",
        "title": feed.title,
        **made,
        "$defs": definitions,
    }


def schema_documents() -> dict[str, tuple[str, bytes]]:
    """Path -> media type and body."""
    index = FeedForms(feeds=[_form(feed) for feed in FEEDS])
    made = {_INDEX: ("application/json", msgspec.json.format(msgspec.json.encode(index)))}
    for feed in FEEDS:
        made[f"{_INDEX}/{feed.name}"] = _SCHEMA, msgspec.json.format(msgspec.json.encode(schema_of(feed)))
    return made


def schema_paths() -> dict[str, Any]:
    """The paths for OpenAPI."""
    schema = {"description": "The schema.", "content": {_SCHEMA: {"schema": {"type": "object"}}}}
    feed = {
        "name": "feed",
        "in": "path",
        "required": True,
        "description": "The name of a feed.",
        "schema": {"enum": [feed.name for feed in FEEDS]},
    }
    return {
        _INDEX: {"get": operation("What each feed takes", {"200": content("All feeds.", "FeedForms")}, ())},
        f"{_INDEX}/{{feed}}": {
            "get": operation("JSON Schema of a record of a feed", {"200": schema}, (404,), parameters=[feed])
        },
    }


def _form(feed: Feed) -> FeedForm:
    return FeedForm(
        name=feed.name,
        title=feed.title,
        encodings=["json", "arrow"] if feed.permitted is not None else ["json"],
        records=[str(record.__struct_config__.tag or record.__name__.lower()) for record in feed.records],
        doubtful=[concern.name.lower() for concern in Concern if feed.concern & concern],
        schema=f"{_INDEX}/{feed.name}",
    )
