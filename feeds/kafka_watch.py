"""Beside the reading: is the broker there, does the client go on, are there other topics, how far behind is each feed?"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from engine.ring import Ring
from feeds.kafka_client import end_of
from feeds.pulse import Pulse

log = structlog.get_logger()

LOOK_S: Final = 1.0
ANSWER_S: Final = 5.0
TOPICS_S: Final = 3.0
"""How often it is asked which topics there are."""
STALLED_S: Final = 10.0
"""A position that stands still for so long, with records behind it, is a client that has lost its way."""
SILENT_S: Final = 30.0
"""After so long without an answer the brokers are looked up anew, by the addresses given at start."""


class StalledError(RuntimeError):
    """The client does not go on although there is something to read: the process must start again."""


class AnewError(RuntimeError):
    """Close the consumer and begin again from the bootstrap servers."""


class Watch:
    """Looks at a consumer once a second. The reader counts `polls`, and ends when there are `others` to read."""

    def __init__(
        self, feed_of: Mapping[str, int], progress: NDArray[np.int64], pulse: Pulse, alive: Ring | None = None
    ) -> None:
        """`progress`: by feed and partition, how far the reader is; `alive`: whose sign of life is made from these topics."""
        self.polls = 0
        self.others = False
        self._feed_of = feed_of
        self._progress = progress
        self._pulse = pulse
        self._alive = alive
        self._consumer: AIOKafkaConsumer
        self._every: Mapping[str, Sequence[int]] = {}
        self._places: Sequence[TopicPartition] = ()

    def begin(
        self, consumer: AIOKafkaConsumer, every: Mapping[str, Sequence[int]], places: Sequence[TopicPartition]
    ) -> None:
        """`every`: the partitions of each topic that is there; `places`: those of this worker."""
        self._consumer, self._every, self._places, self.others = consumer, every, places, False

    async def run(self) -> None:
        """Raises `StalledError`, or `AnewError` where nobody answers; says when brokers are silent."""
        still_s = dict.fromkeys(self._places, 0.0)
        silent_since: float | None = None
        ends: dict[TopicPartition, int] = {}
        topics_s = time.monotonic()
        while True:
            before, polls, known = self._noted(), self.polls, ends
            await asyncio.sleep(LOOK_S)
            try:
                async with asyncio.timeout(ANSWER_S):
                    ends = await end_of(self._consumer, self._places)
                    if time.monotonic() - topics_s > TOPICS_S:
                        topics_s = time.monotonic()
                        await self._look_for_others()
            except (KafkaError, TimeoutError) as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    log.warning("kafka does not answer", error=str(error) or type(error).__name__)
                if time.monotonic() - silent_since > SILENT_S:
                    raise AnewError(f"no answer for {SILENT_S:.0f} s") from error
                still_s = dict.fromkeys(self._places, 0.0)
                continue
            if silent_since is not None:
                silent_since = None
                log.info("kafka answers again")
            self._tell(before, known, ends)
            # a worker that waits for room in its ring does not poll, and has not lost its way
            polled, paused, now = self.polls > polls, self._consumer.paused(), self._noted()
            for place, offset in before.items():
                stands = now[place] == offset < ends[place] and place not in paused
                still_s[place] = still_s[place] + LOOK_S if polled and stands else 0.0
                if still_s[place] > STALLED_S:
                    raise StalledError(f"{place.topic}[{place.partition}] stands at {offset:,} of {ends[place]:,}")

    def _noted(self) -> dict[TopicPartition, int]:
        return {place: int(self._progress[self._feed_of[place.topic], place.partition]) for place in self._places}

    def _tell(
        self,
        before: Mapping[TopicPartition, int],
        known: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        """Of each feed how far it is behind. `known`: the ends a look ago; who has passed those is abreast."""
        now_ns, noted = time.time_ns(), self._noted()
        abreast = True
        for topic in self._every:
            mine = [place for place in self._places if place.topic == topic]
            passed = all(before[place] >= known.get(place, 0) for place in mine)
            abreast &= passed
            lag = sum(max(0, ends[place] - noted[place]) for place in mine)
            self._pulse.at(self._feed_of[topic], lag, now_ns if passed else 0)
        if abreast and self._alive is not None:
            self._alive.alive_ns = now_ns

    async def _look_for_others(self) -> None:
        """A topic that was not there, or has other partitions now: let the reader end between two polls."""
        there = await self._consumer.topics()
        come = [topic for topic in self._feed_of if topic in there and topic not in self._every]
        grown = [
            topic
            for topic, partitions in self._every.items()
            if sorted(self._consumer.partitions_for_topic(topic) or partitions) != list(partitions)
        ]
        if come or grown:
            log.info("there is more to read", topics=come + grown)
            self.others = True
