"""What every feed takes is told as JSON Schema, by the types that decode it."""

from typing import Any

import msgspec
import pytest

from app.api.openapi import documents
from app.api.schemas import schema_of
from feeds.registry import FEEDS
from tests.feeds.record_samples import samples

SAMPLES = samples()


def _definition(schema: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The definition that a record is to follow."""
    choice = schema.get("discriminator")
    name = (choice["mapping"][record[choice["propertyName"]]] if choice else schema["$ref"]).removeprefix("#/$defs/")
    found: dict[str, Any] = schema["$defs"][name]
    return found


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_good_records_have_the_fields_that_the_schema_of_their_feed_tells(feed: Any) -> None:
    schema = schema_of(feed)
    for raw in SAMPLES[feed.name]:
        record = msgspec.json.decode(raw)
        definition = _definition(schema, record)
        assert definition["additionalProperties"] is False
        assert set(definition.get("required", ())) <= set(record) <= set(definition["properties"])


@pytest.mark.parametrize("feed", [feed for feed in FEEDS if feed.permitted], ids=lambda feed: feed.name)
def test_a_feed_of_events_names_what_it_may_say(feed: Any) -> None:
    fields = schema_of(feed)["$defs"]["Event"]["properties"]
    assert fields["op"]["enum"] == [op.name for op in feed.permitted.ops]
    assert fields["kind"]["enum"] == [kind.name for kind in feed.permitted.kinds]


def test_all_schemas_are_served_and_named_in_the_openapi_document() -> None:
    served = documents()
    index = msgspec.json.decode(served["/api/v1/schemas"][1])
    assert [feed["name"] for feed in index["feeds"]] == [feed.name for feed in FEEDS]
    for feed in index["feeds"]:
        media_type, body = served[feed["schema"]]
        assert media_type == "application/schema+json"
        assert msgspec.json.decode(body)["$id"] == feed["schema"]
    assert "/api/v1/schemas/{feed}" in msgspec.json.decode(served["/api/v1/openapi.json"][1])["paths"]
