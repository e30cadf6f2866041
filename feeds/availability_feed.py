"""Follows a published availability file: what it says at start, and again whenever the file changes.

A file that is refused is kept whole in the quarantine, and the former snapshot stays.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from engine.events import EVENT
from engine.model import Flag, Market
from engine.ring import Message
from engine.symbols import Symbols
from feeds import availability, json_events
from feeds.availability import AvailabilityError, Change, Snapshot
from feeds.outlet import NUMBERS, Outlet
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

log = structlog.get_logger()

TOPIC: Final = "availability"
TOPIC_INDEX: Final = 2
_LOOK_S: Final = 2.0


class AvailabilityFeed:
    """One file. `slot`: where in the ring's `progress` the newest number of the file's source is kept.

    That memory is the engine's: a worker that starts again goes on behind what the former one has sent.
    """

    def __init__(self, path: Path, markets: Sequence[Market], symbols: Symbols, outlet: Outlet, slot: int) -> None:
        self.snapshot: Snapshot | None = None
        self._path = path
        self._currencies = [market.currency.encode() for market in markets]
        self._symbols = symbols
        self._outlet = outlet
        self._slot = slot
        self._seen: tuple[int, int, int] | None = None

    async def look(self) -> bool:
        """Read the file if it is not the one read last; whether there is a new snapshot. Bad lines, and a file that is
        refused, go to the quarantine.
        """
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            if seen == self._seen:
                return False
            content = await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            if self._seen != (0, 0, 0):
                log.error(  # noqa: TRY400  where it came from helps nobody
                    "availability file cannot be read, the former snapshot stays", error=str(error)
                )
            self._seen = (0, 0, 0)
            return False
        self._seen = seen
        try:
            snapshot = await asyncio.to_thread(availability.parse, content, self._path.name)
        except AvailabilityError as error:
            log.error("availability file refused, the former snapshot stays", error=str(error))  # noqa: TRY400  the same
            await self._keep([self._entry(error.line, Reason.AVAILABILITY_REFUSED, str(error), content)])
            return False
        bad = [
            self._entry(line.number, Reason.AVAILABILITY_LINE, line.reason, line.line) for line in snapshot.quarantined
        ]
        await self._keep(bad)
        log.info(
            "availability read",
            file=self._path.name,
            as_of=str(snapshot.as_of),
            loaded=snapshot.size,
            quarantined=len(bad),
        )
        self.snapshot = snapshot
        return True

    async def send(self, former: Snapshot | None) -> None:
        """Hand over what makes `former` the present snapshot: securities first, then what is available of them."""
        assert self.snapshot is not None, "there is a snapshot to send"
        await self._outlet.reference(
            [
                (Message.SECURITIES, self.snapshot.securities(availability.market_of(self.snapshot, self._currencies))),
                (Message.BOOKS, availability.book()),
                (Message.SOURCES, availability.source()),
            ]
        )
        change = Change.between(former, self.snapshot)
        now_ns = time.time_ns()
        first = int(self._outlet.ring.progress[NUMBERS, self._slot]) + 1
        flags = Flag.START_OF_DAY if former is None else None
        values = availability.records(change, first_seq=first, time_ns=now_ns, flags=flags)
        # noted first: a number that was never sent is counted as missing, one that is used twice would hide an event
        self._outlet.ring.progress[NUMBERS, self._slot] = first + len(values) - 1
        numbers = np.arange(first, first + len(values), dtype=np.int64)
        origin = Origin(TOPIC, TOPIC_INDEX, np.zeros(len(values), np.uint16), numbers, now_ns)
        await self._outlet.decoded(json_events.decode(values, self._symbols, origin))

    async def run(self) -> None:
        """Follow the file for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            former = self.snapshot
            if await self.look():
                await self.send(former)

    def _entry(self, line: int, reason: Reason, detail: str, raw: bytes) -> Unreadable:
        return Unreadable(f"{TOPIC}:{self._path.name}", 0, line, reason.value, detail, raw)

    async def _keep(self, entries: list[Unreadable]) -> None:
        if entries:
            await self._outlet.decoded(Decoded(np.empty(0, EVENT), entries))
