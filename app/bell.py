"""Says to all who listen that there is something new; what it is, each looks up by himself."""

import asyncio
import contextlib
from collections.abc import Iterator


class Bell:
    """Belongs to one loop. A listener clears his event, then looks: so nothing is missed, and many rings are one."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        for listener in self._listeners:
            listener.set()

    def add(self, listener: asyncio.Event) -> None:
        """Wake this one from now on; it is woken at once, to look at what there is."""
        self._listeners.add(listener)
        listener.set()

    def remove(self, listener: asyncio.Event) -> None:
        self._listeners.discard(listener)

    @contextlib.contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event that is set with every ring, for as long as it is wanted."""
        listener = asyncio.Event()
        self.add(listener)
        try:
            yield listener
        finally:
            self.remove(listener)


async def rung(listener: asyncio.Event, timeout_s: float) -> bool:
    """Whether it rang within the time; cleared, so that the next ring is another one."""
    try:
        async with asyncio.timeout(timeout_s):
            await listener.wait()
    except TimeoutError:
        return False
    listener.clear()
    return True
