"""Names of feeds and of their topics, for who only wants to say where an event came from: without what it takes to read one."""

from typing import Final

NAMES: Final = tuple(
    (
        "events reference availability prices trades settlements depots external attributes positions orders contracts swaps "
        "corporate_actions fx locates order_requests"
    ).split()
)
"""In the order of their numbers, which are those of `feeds.registry.FEEDS`."""
_OWN: Final = {"availability": "availability"}
_FROM_UPSTREAM: Final = {"locates": "locates", "order_requests": "orders"}


def topics(events: str = "ims.events", reference: str = "ims.reference") -> tuple[str, ...]:
    """The topic of every feed, by its number. All but the two given are named after the first: `ims.events` -> `ims.prices`."""
    prefix = events.removesuffix(".events")
    given = {"events": events, "reference": reference} | _OWN
    given |= {name: f"{prefix}.{of}.requests" for name, of in _FROM_UPSTREAM.items()}
    return tuple(given.get(name, f"{prefix}.{name.replace('_', '-')}") for name in NAMES)
