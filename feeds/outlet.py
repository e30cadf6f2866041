"""A decode worker's end of its ring: pushes in order, waits when there is no room (that is the backpressure)."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from engine.model import Flag
from engine.ring import TOPICS, Message, Ring
from feeds import quarantine
from feeds.quarantine import Decoded, Unreadable

NUMBERS: Final = TOPICS - 1
"""The row of `Ring.progress` in which sources without a broker keep their newest numbers."""
EVENTS: Final = 16_384
"""Events of one message: a megabyte, so that the engine begins before a large poll is all there."""
_RECORDS: Final = 8_192
_ENTRIES_BYTES: Final = 4 << 20
_RAW_BYTES: Final = 16 << 20
_FULL_S: Final = 0.0005
_DRAIN_S: Final = 0.001


_SPENT: Final = 56
"""Of the ring's words: the last cache line, far from those that the ring itself uses."""


class Spent(IntEnum):
    """Where a worker's time went, nanoseconds in `Outlet.spent`; in shared memory, so that others can see it."""

    FETCH = 0
    """Waiting for the broker, and the client's making of records."""
    DECODE = 1
    PUSH = 2
    """Handing over, with waiting for the engine where the ring is full."""
    BEGAN = 3
    """Not a duration: the moment of the first poll, nanoseconds since 1970."""


class Outlet:
    """Everything that goes into a ring goes through here, one message after the other."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.spent: NDArray[np.int64] = ring.segment.arrays["words"][_SPENT : _SPENT + len(Spent)]
        self._order = asyncio.Lock()

    def seconds(self) -> dict[str, float]:
        """What `spent` says, for people: since the first poll, and what that was spent on."""
        spent = {f"{what.name.lower()}_s": self.spent[what] / 1e9 for what in (Spent.FETCH, Spent.DECODE, Spent.PUSH)}
        since_s = (time.time_ns() - int(self.spent[Spent.BEGAN])) / 1e9 if self.spent[Spent.BEGAN] else 0.0
        return {name: round(seconds, 2) for name, seconds in ({"since_s": since_s} | spent).items()}

    async def decoded(self, *polled: Decoded, progress: NDArray[np.void] | None = None) -> None:
        """Hand over what was decoded, then how far its sources are read (dtype `PROGRESS`); returns when it is in the ring.

        Nothing of anybody else gets between what was decoded and its progress.
        """
        async with self._order:
            for decoded in polled:
                for message, records in decoded.messages:
                    await self._push_all(message, records, EVENTS if message == Message.EVENTS else _RECORDS)
                await self._push_all(Message.EVENTS, decoded.events, EVENTS)
                await self._push_all(Message.DEALS, decoded.steps, _RECORDS)
                # before what corrects it: that waits behind what waits
                for part in _portions(decoded.unreadable):
                    await self._push(Message.QUARANTINE, np.frombuffer(quarantine.encode(part), np.uint8))
                await self._push_all(Message.CORRECTIONS, decoded.corrections, _RECORDS)
            if progress is not None and progress.size:
                await self._push(Message.PROGRESS, progress)

    async def reference(
        self,
        messages: Sequence[tuple[Message, NDArray[np.void]]],
        unreadable: Sequence[Unreadable] = (),
        progress: NDArray[np.void] | None = None,
    ) -> None:
        """Hand over reference data; returns when the engine has used it, so that events may name the new codes."""
        async with self._order:
            for message, records in messages:
                await self._push_all(message, records, _RECORDS)
            for part in _portions(unreadable):
                await self._push(Message.QUARANTINE, np.frombuffer(quarantine.encode(part), np.uint8))
            if progress is not None and progress.size:
                await self._push(Message.PROGRESS, progress)
            while not self.ring.drained:  # noqa: ASYNC110  shared memory has no event
                await asyncio.sleep(_DRAIN_S)

    async def _push_all(self, message: Message, records: NDArray[np.void], size: int) -> None:
        for first, end in _cuts(message, records, size):
            await self._push(message, records[first:end])

    async def _push(self, message: Message, records: NDArray[Any]) -> None:
        while not self.ring.push(message, records):  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_FULL_S)


def _cuts(message: Message, records: NDArray[np.void], size: int) -> Iterator[tuple[int, int]]:
    """Where to cut records into messages of some `size`: never between an event and the parts that belong to it."""
    if len(records) <= size or message not in (Message.EVENTS, Message.DEALS):
        yield from ((first, first + size) for first in range(0, len(records), size))
        return
    flags = records["flags"] if message == Message.EVENTS else records["event"]["flags"]
    heads = np.flatnonzero(flags & Flag.PART == 0)
    at = np.unique(heads[np.searchsorted(heads, np.arange(0, len(records), size), side="right") - 1])
    yield from pairwise([*at.tolist(), len(records)])


def _portions(entries: Sequence[Unreadable]) -> list[list[Unreadable]]:
    """Entries in portions that fit the ring. One that never could is cut, and says so."""
    portions: list[list[Unreadable]] = []
    room = 0
    for entry in entries:
        kept, size = entry, len(entry.raw)
        if size > _RAW_BYTES:
            detail = f"{entry.detail} (only the first {_RAW_BYTES:,} of {size:,} bytes are kept)"
            kept = structs.replace(entry, raw=entry.raw[:_RAW_BYTES], detail=detail)
        if not portions or size + 256 > room:
            portions.append([])
            room = _ENTRIES_BYTES
        portions[-1].append(kept)
        room -= size + 256
    return portions
