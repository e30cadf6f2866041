"""All that comes from Kafka for the desks, and goes back."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from app.api.service import ApiService
from app.decisions_topic import DecisionsTopic, topic_of
from app.upstream import Upstream
from app.upstream_commands import locate_commands, order_commands
from feeds.pulse import Pulse
from feeds.quarantine import Unreadable
from feeds.registry import feed_named


async def upstream(
    bootstrap: str,
    topics: Sequence[str],
    api: ApiService,
    ready: Callable[[], bool],
    pulse: Pulse,
    applied: NDArray[Any],
    keep: Callable[[list[Unreadable]], None],
) -> None:
    """For as long as the engine lives. `topics`: of every feed, by number; `applied`: `Tables.array["applied"]`."""
    locates, orders = (topics[feed_named(name).index] for name in ("locates", "order_requests"))
    outbox = api.telling.outbox
    commands = locate_commands(locates, api.decisions), order_commands(orders, api.orders)
    parts = [Upstream(bootstrap, each, outbox, ready, pulse, applied, keep).run() for each in commands]
    await asyncio.gather(*parts, DecisionsTopic(bootstrap, topic_of(locates), locates, outbox).run())
