"""The events topic: one worker's share of its partitions, decoded a poll at a time into the worker's ring.

There is no consumer group: worker w of n reads the partitions p with p % n == w, and where to go on is kept in the
ring, in the engine's memory, beside the state that came of it. Neither can be newer than the other; what a killed worker
had handed over but not noted is handed over again, and recognised by its sequence number.
"""

import asyncio
import time
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from engine.ring import PARTITIONS
from engine.symbols import Symbols
from feeds.decode import decode
from feeds.kafka_client import connected, end_of, first_to_end, partitions_of
from feeds.kafka_reference import ReferenceView
from feeds.outlet import Outlet, Spent
from feeds.quarantine import Decoded, Origin

log = structlog.get_logger()

TOPIC_INDEX: Final = 0
_POLL_MS: Final = 200
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 1.0
_ANSWER_S: Final = 5.0
_PATIENCE_S: Final = 2.0
STALLED_S: Final = 10.0
"""A position that stands still for so long, with records behind it, is a client that has lost its way."""
SILENT_S: Final = 30.0
"""After so long without an answer the brokers are looked up anew, by the addresses given at start."""


class StalledError(RuntimeError):
    """The client does not go on although there is something to read: the process must start again."""


class _AnewError(RuntimeError):
    """Close the consumer and begin again from the bootstrap servers."""


class EventsFeed:
    """One worker's partitions of the events topic, followed for as long as the worker lives."""

    def __init__(
        self, bootstrap: str, topic: str, share: tuple[int, int], symbols: Symbols, outlet: Outlet, known: ReferenceView
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._worker, self._workers = share
        self._symbols = symbols
        self._outlet = outlet
        self._known = known
        self._polls = 0
        self._asked_s = 0.0

    async def run(self) -> None:
        """Raises `StalledError`; a broker that goes away is waited for."""
        while True:
            try:
                async with connected(self._bootstrap) as consumer:
                    await self._follow(consumer)
            except (_AnewError, KafkaError) as why:
                log.warning("connecting to kafka anew", topic=self._topic, why=str(why) or type(why).__name__)
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        every = await partitions_of(consumer, self._topic)
        if len(every) > PARTITIONS:
            raise ValueError(f"topic {self._topic} has {len(every)} partitions, at most {PARTITIONS} can be followed")
        mine = [partition for partition in every if partition % self._workers == self._worker]
        await self._known.caught_up(consumer)
        places = [TopicPartition(self._topic, partition) for partition in mine]
        ends = await end_of(consumer, self._topic, mine)
        consumer.assign(places)
        self._go_back(consumer, places)
        log.info("reading events", topic=self._topic, partitions=mine, of=len(every), to_catch_up=sum(ends.values()))
        await first_to_end(self._read(consumer, places, ends), self._watch(consumer, places, every))

    def _go_back(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """To the first record that has not been handed over."""
        for place in places:
            consumer.seek(place, int(self._outlet.ring.progress[TOPIC_INDEX, place.partition]))

    async def _read(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], ends: dict[int, int]) -> None:
        ring = self._outlet.ring
        while True:
            if not ring.ready and all(ring.progress[TOPIC_INDEX, partition] >= end for partition, end in ends.items()):
                ring.ready = True
                log.info("events that existed at start are read", topic=self._topic)
            if not places:
                await asyncio.sleep(_LOOK_S)
                continue
            await self._poll(consumer, places)
            self._polls += 1

    async def _poll(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        spent, began = self._outlet.spent, time.perf_counter_ns()
        spent[Spent.BEGAN] = spent[Spent.BEGAN] or time.time_ns()
        try:
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            positions = {place.partition: await consumer.position(place) for place in places}
        except KafkaError as error:
            # the client may have dropped records of the same poll that came before the one it could not read
            log.warning("records could not be read", error=str(error), again_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
            self._go_back(consumer, places)
            return
        spent[Spent.FETCH] += time.perf_counter_ns() - began
        if polled:
            decoded = await self._decode(consumer, polled)
            began = time.perf_counter_ns()
            await self._outlet.decoded(decoded)
            spent[Spent.PUSH] += time.perf_counter_ns() - began
        for partition, position in positions.items():
            self._outlet.ring.progress[TOPIC_INDEX, partition] = position

    async def _decode(self, consumer: AIOKafkaConsumer, polled: dict[TopicPartition, list[ConsumerRecord]]) -> Decoded:
        """Everything of one poll; again, if it names what the reference topic has meanwhile explained."""
        began = time.perf_counter_ns()
        records = list(chain.from_iterable(polled.values()))
        counts = [len(part) for part in polled.values()]
        partitions = np.repeat(np.array([place.partition for place in polled], np.uint16), counts)
        offsets = np.fromiter(map(attrgetter("offset"), records), np.int64, len(records))
        values, headers = list(map(attrgetter("value"), records)), list(map(attrgetter("headers"), records))
        origin = Origin(self._topic, TOPIC_INDEX, partitions, offsets, time.time_ns())
        decoded = decode(values, headers, self._symbols, origin)
        self._outlet.spent[Spent.DECODE] += time.perf_counter_ns() - began
        if any(entry.unknown for entry in decoded.unreadable) and await self._explained(consumer):
            return decode(values, headers, self._symbols, origin)
        return decoded

    async def _explained(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether reference data came that was there before; asked at most once a second."""
        if time.monotonic() - self._asked_s < _LOOK_S:
            return False
        try:
            return await asyncio.wait_for(self._known.caught_up(consumer), _PATIENCE_S)
        except (KafkaError, TimeoutError) as error:
            log.warning("reference data could not be waited for", error=str(error) or type(error).__name__)
            return False
        finally:
            self._asked_s = time.monotonic()

    async def _watch(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], every: Sequence[int]) -> None:
        """Raises `StalledError`, or `_AnewError` where the topic or its brokers changed; says when they are silent."""
        still_s = dict.fromkeys(places, 0.0)
        silent_since: float | None = None
        ends: dict[int, int] = {}
        while True:
            before = {place: int(self._outlet.ring.progress[TOPIC_INDEX, place.partition]) for place in places}
            polls, known = self._polls, ends
            await asyncio.sleep(_LOOK_S)
            try:
                ends = await asyncio.wait_for(end_of(consumer, self._topic, [p.partition for p in places]), _ANSWER_S)
            except (KafkaError, TimeoutError) as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    log.warning("kafka does not answer", error=str(error) or type(error).__name__)
                if time.monotonic() - silent_since > SILENT_S:
                    raise _AnewError(f"no answer for {SILENT_S:.0f} s") from error
                still_s = dict.fromkeys(places, 0.0)
                continue
            if silent_since is not None:
                silent_since = None
                log.info("kafka answers again", bootstrap=self._bootstrap)
            if sorted(consumer.partitions_for_topic(self._topic) or every) != list(every):
                raise _AnewError("the topic has other partitions now")
            if all(offset >= known.get(place.partition, 0) for place, offset in before.items()):
                self._outlet.ring.alive_ns = time.time_ns()
            # a worker that waits for room in its ring does not poll, and has not lost its way
            polled = self._polls > polls
            for place, offset in before.items():
                stands = int(self._outlet.ring.progress[TOPIC_INDEX, place.partition]) == offset < ends[place.partition]
                still_s[place] = still_s[place] + _LOOK_S if polled and stands else 0.0
                if still_s[place] > STALLED_S:
                    raise StalledError(
                        f"{self._topic}[{place.partition}] stands at {offset:,} of {ends[place.partition]:,}"
                    )
