"""Locates and orders as a reader of the stream follows them: the outbox, filtered."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from app.alerts_store import MOST_OF_ONE
from app.bell import Bell
from app.outbox import Kind, Outbox, Step, kept_to_clients
from app.stream_messages import Line, StreamError, Subscribe
from app.stream_session import LINES
from engine.alert_watch import MOST_OPEN as MOST_OPEN_OF_ALERT

MOST_OPEN: Final = {Kind.LOCATES: 20_000, Kind.ORDERS: 20_000, Kind.ALERTS: MOST_OF_ONE * MOST_OPEN_OF_ALERT}
"""Lines of a snapshot: who wants more asks for fewer clients or securities, or lists them over REST. Of alerts: all that one
person can have."""


class Steps:
    """`clients`: whose (None: all); `kept`: the reader may see no others. `find`: the id of a security, 0 for none; a step may
    name it as before a merge."""

    def __init__(
        self,
        outbox: Outbox,
        asked: Subscribe,
        clients: Collection[str] | None,
        find: Callable[[str], int],
        *,
        kept: bool = False,
    ) -> None:
        self._outbox = outbox
        self._kind = Kind(asked.topic.value)
        self._asked = asked
        self._clients = clients
        self._data = kept_to_clients if kept else bytes
        self._find = find
        self._securities: set[int] | None = None
        if asked.securities is not None:
            self._securities = {_found(find, text) for text in asked.securities}
        self.sequence = 0

    @property
    def epoch(self) -> str:
        """The numbers are the journal's: they go on after a restart."""
        return ""

    @property
    def changed(self) -> Bell:
        return self._outbox.changed

    async def begin(self) -> Sequence[Line] | None:
        """What is open; nothing where the reader says how far it is."""
        after = self._asked.after
        if after is not None and after <= await self._outbox.newest(self._kind):
            self.sequence = after
            return None
        if not self._asked.snapshot:
            self.sequence = await self._outbox.newest(self._kind)
            return None
        most = MOST_OPEN[self._kind]
        self.sequence, steps = await self._outbox.open(self._kind, self._clients, most + 1)
        if len(steps) > most:
            raise StreamError(f"more than {most:,} {self._kind} are open: say of which clients")
        return self._lines(steps)

    async def more(self) -> Sequence[Line]:
        """The next ones that are for this reader."""
        steps = await self._outbox.after(self._kind, self.sequence, LINES)
        if steps:
            self.sequence = steps[-1].entry
        return self._lines(steps)

    def end(self) -> None:
        """Nothing is kept for a reader."""

    def _lines(self, steps: Sequence[Step]) -> list[Line]:
        return [Line(step.entry, step.name, msgspec.Raw(self._data(step.data))) for step in steps if self._wanted(step)]

    def _wanted(self, step: Step) -> bool:
        if self._clients is not None and step.client not in self._clients:
            return False
        return self._securities is None or self._find(step.security) in self._securities


def _found(find: Callable[[str], int], text: str) -> int:
    security = find(text)
    if not security:
        raise StreamError(f"no security {text}")
    return security
