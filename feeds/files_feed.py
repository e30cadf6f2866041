"""Worker 0's end of the batch files: reads the log of accepted records like one more partition, and decodes as from the wire.

How far it is lives in the engine's memory (`Ring.progress[TOPIC_INDEX, 0]`) and comes back with a snapshot: so a worker or an
engine that starts again goes on where the state ends. A record that is handed over twice is recognised by its number.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import structlog

from engine.ring import PARTITIONS, PROGRESS, TOPICS, FeedWord, Ring
from feeds.files_log import FileLog, Records
from feeds.outlet import Outlet
from feeds.quarantine import Decoded, Origin
from feeds.registry import FEEDS, Reader

log = structlog.get_logger()

TOPIC_INDEX: Final = TOPICS - 2
"""The row of `progress` of the log of files; its partition 0 is the position."""
PARTITION: Final = PARTITIONS - 1
"""What stands as the partition of an event that came in a file: of its feed's topic, offset = its position in the log."""
_LOOK_S: Final = 0.1
_AGAIN_S: Final = 2.0

Decode: TypeAlias = Callable[[int, Sequence[bytes], Origin], Decoded]
"""Number of the feed, records, where they come from -> what they hold. Never raises for what is in a record."""


def origin_of(topic: str, feed: int, first: int, count: int, received_ns: int) -> Origin:
    """Where records of the log come from."""
    positions = np.arange(first, first + count, dtype=np.int64)
    return Origin(topic, feed, np.full(count, PARTITION, np.uint16), positions, received_ns)


class FilesFeed:
    """`topics`: name of each feed's topic, by its number."""

    def __init__(self, files: FileLog, topics: Sequence[str], decode: Decode, outlet: Outlet) -> None:
        self._log = files
        self._topics = topics
        self._decode = decode
        self._outlet = outlet

    @property
    def position(self) -> int:
        """The next record to hand over."""
        return int(self._outlet.ring.progress[TOPIC_INDEX, 0])

    async def catch_up(self) -> int:
        """Hand over what is accepted and was not handed over; returns how many records that were.

        A part that cannot be read is told to the engine (`FeedWord.STUCK`) and stays where it is: nothing is left out.
        """
        began, words = self.position, self._outlet.ring.feeds[TOPIC_INDEX]
        try:
            for records in self._log.records(began):
                await self._hand_over(records)
        except (OSError, pa.ArrowException) as error:
            if words[FeedWord.STUCK] != self.position + 1:
                log.error("the log of files cannot be read", error=str(error), position=self.position)  # noqa: TRY400
            words[FeedWord.STUCK] = self.position + 1
            await asyncio.sleep(_AGAIN_S)
        else:
            words[FeedWord.STUCK] = 0
        return self.position - began

    async def run(self) -> None:
        """Follow the log for ever."""
        while True:
            if handed := await self.catch_up():
                log.info("records of files handed over", records=handed, position=self.position)
            await asyncio.sleep(_LOOK_S)

    async def _hand_over(self, records: Records) -> None:
        origin = origin_of(self._topics[records.feed], records.feed, records.first, len(records.values), time.time_ns())
        progress = np.array([(TOPIC_INDEX, 0, 0, records.end)], PROGRESS)
        if FEEDS[records.feed].reader == Reader.FIRST:  # what others name; with the security master it takes its time
            decoded = await asyncio.to_thread(self._decode, records.feed, records.values, origin)
            await self._outlet.reference(decoded.messages, decoded.unreadable)
            decoded = replace(decoded, messages=[], unreadable=[])
        else:
            decoded = self._decode(records.feed, records.values, origin)
        await self._outlet.decoded(decoded, progress=progress)
        self._outlet.ring.progress[TOPIC_INDEX, 0] = records.end
        await asyncio.sleep(0)  # the other feeds of this worker have their turn after every portion


class FilesView:
    """What any worker sees of how far the files are: those accepted before come before what the topics still have.

    A part that cannot be read holds up what is behind it in the log, but not the topics: Health tells that it is incomplete.
    """

    def __init__(self, files: FileLog, first_ring: Ring) -> None:
        self._log = files
        self._ring = first_ring

    async def caught_up(self) -> None:
        """Wait until everything that is accepted now has been handed over."""
        end = self._log.end
        progress, words = self._ring.progress, self._ring.feeds[TOPIC_INDEX]
        while progress[TOPIC_INDEX, 0] < end and not words[FeedWord.STUCK]:  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_LOOK_S)
