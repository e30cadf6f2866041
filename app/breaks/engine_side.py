"""The engine's part in breaks, as one thing: who is asked, what the writer follows, and which limits were overdrawn."""

from collections.abc import Callable, Iterable

from app.breaks.books import BreakBooks
from app.breaks.client import BreaksClient
from app.breaks.overdrawn import OverdrawnWatch
from app.breaks.store import BreakStore, url_of
from app.limits_asked import Name
from app.settings import Settings
from app.stream_limits import Limits
from engine.state import Applied, Machine
from feeds.registry import feed_named


class EngineSide:
    """Made with the service; belongs to its loop."""

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        limits: Limits,
        holders: Callable[[], Iterable[Name]],
        client: BreaksClient,
        effects: Callable[[Applied], None] | None = None,
    ) -> None:
        self.client = client
        self.overdrawn = OverdrawnWatch(limits, holders)
        # not that of starts of day: of one that is newer an adjustment is a part (ADR 21)
        topic = feed_named("trades").index
        self.books = BreakBooks(BreakStore(url_of(settings)), machine, client, topic, effects)

    async def close(self) -> None:
        """After the API has answered everybody."""
        await self.books.close()
        self.client.close()
