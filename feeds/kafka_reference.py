"""Topics that the first worker reads for all of them: reference data, corporate actions, exchange rates.

How far the reference topic has been used by the engine is kept in the first worker's ring (`progress[REFERENCE, 0]`), where
the other workers see it: events are decoded only when the reference data that existed before them is known.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from engine.model import Market
from engine.ring import Message, Ring
from engine.symbols import Symbols
from feeds.decode import decode
from feeds.kafka_client import Broker, end_of, ends_of_topic, first_to_end, present
from feeds.kafka_poll import poll
from feeds.kafka_watch import AnewError, Watch
from feeds.master_door import Door
from feeds.outlet import Outlet
from feeds.pulse import Pulse, as_progress
from feeds.quarantine import Decoded, Origin
from feeds.registry import FEEDS, POSITIONS, REFERENCE, Reader, feed_named

log = structlog.get_logger()

_POLL_MS: Final = 200
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 0.01
_ACTIONS: Final = feed_named("corporate_actions").index
_MASTERED: Final = frozenset({Message.SECURITIES, Message.NAMES, Message.MOVES, Message.COUNTERPARTIES})
"""What the security master says."""


class ReferenceFeed:
    """Keeps what the engine knows up to date, for as long as the worker lives. `topics`: of every feed, by number."""

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[str],
        markets: Sequence[Market],
        symbols: Symbols,
        outlet: Outlet,
        master: Door | None = None,
        applied: NDArray[np.int64] | None = None,
    ) -> None:
        """`applied`: `Tables.array["applied"]`; corporate actions wait for the start of day that would wipe them out."""
        self._broker = broker
        self._feed_of = {topics[feed.index]: feed.index for feed in FEEDS if feed.reader == Reader.FIRST}
        self._reference = topics[REFERENCE]
        self._markets = markets
        self._symbols = symbols
        self._outlet = outlet
        self._master = master
        self._applied = applied
        self._topics = topics
        self._pulse = Pulse(outlet.ring)
        self._watch = Watch(self._feed_of, outlet.ring.progress, self._pulse)

    async def run(self) -> None:
        """From where the engine's memory says on; of a new engine, from the beginning."""
        while True:
            try:
                async with self._broker.connected() as consumer:
                    while True:
                        await self._follow(consumer)
            except (AnewError, KafkaError) as why:
                log.warning("connecting to kafka anew", why=str(why) or type(why).__name__)
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        every = await present(consumer, list(self._feed_of))
        if every.get(self._reference, [0]) != [0]:
            raise ValueError(f"topic {self._reference} must have one partition: its order matters")
        places = [TopicPartition(topic, number) for topic, numbers in every.items() for number in numbers]
        ends = await end_of(consumer, places)
        await self._catch_up(consumer, ends)
        consumer.assign(places)
        self._go_back(consumer, places)
        self._watch.begin(consumer, every, places)
        for topic, feed in self._feed_of.items():
            self._pulse.follows(feed, len(every.get(topic, [])))
        log.info("reading reference data", topics=list(every), to_catch_up=sum(ends.values()))
        positions = self._topics[POSITIONS]
        before = {} if self._applied is None else await ends_of_topic(consumer, positions)
        begun = {place.partition: end for place, end in before.items()}
        told = ends.get(TopicPartition(self._reference, 0), 0)
        if begun or self._known() < told:
            consumer.pause(*(place for place in places if self._feed_of[place.topic] == _ACTIONS))
        await first_to_end(self._read(consumer, places, begun, told), self._watch.run())

    async def _catch_up(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        """What the engine has used and the security master has not, to the master alone: its store may be empty, or older than
        the snapshot from which the engine came."""
        every = dict(self._late(ends))
        for feed in (REFERENCE, _ACTIONS):  # these name what those are about
            late = {place: span for place, span in every.items() if self._feed_of[place.topic] == feed}
            if late:
                await self._catch_up_with(consumer, late)

    async def _catch_up_with(self, consumer: AIOKafkaConsumer, late: Mapping[TopicPartition, tuple[int, int]]) -> None:
        consumer.assign(list(late))
        for place, (first, _) in late.items():
            consumer.seek(place, first)
        read = 0
        while late:
            firsts = {place: first for place, (first, _) in late.items()}
            polled = await poll(consumer, firsts.__getitem__, *late, timeout_ms=_POLL_MS)
            for place, records in polled.items():
                before = [record for record in records if record.offset < late[place][1]]
                if before:
                    decoded = await self._decoded(place, before, time.time_ns())
                    await self._outlet.reference([told for told in decoded.messages if told[0] in _MASTERED])
                    read += len(before)
            ats = {place: await consumer.position(place) for place in late}
            late = {place: (ats[place], end) for place, (_, end) in late.items() if ats[place] < end}
        if read:
            log.info("the security master has caught up with the engine", records=read)

    def _late(self, ends: Mapping[TopicPartition, int]) -> Iterator[tuple[TopicPartition, tuple[int, int]]]:
        """Partitions of which the master has used less than the engine: from which offset to which."""
        for place, end in ends.items():
            feed, progress = self._feed_of[place.topic], self._outlet.ring.progress
            if self._master is not None and feed in (REFERENCE, _ACTIONS):
                first, until = self._master.used(feed, place.partition), min(int(progress[feed, place.partition]), end)
                if first < until:
                    yield place, (first, until)

    def _go_back(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        for place in places:
            consumer.seek(place, self._noted(place))

    def _known(self) -> int:
        return int(self._outlet.ring.progress[REFERENCE, 0])

    def _noted(self, place: TopicPartition) -> int:
        return int(self._outlet.ring.progress[self._feed_of[place.topic], place.partition])

    async def _read(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], begun: Mapping[int, int], told: int
    ) -> None:
        """What there must be before corporate actions are read. `begun`: by partition, how far the start of day has been
        applied; `told`: how far reference data has been used, for what they name may be there."""
        while not self._watch.others:
            if consumer.paused() and self._known() >= told:
                applied = {} if self._applied is None else self._applied[POSITIONS]
                if all(applied[partition] >= end for partition, end in begun.items()):
                    consumer.resume(*consumer.paused())
            await self._poll(consumer, places)
            self._watch.polls += 1

    async def _poll(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        try:
            polled = await poll(consumer, self._noted, timeout_ms=_POLL_MS)
            positions = {place: await consumer.position(place) for place in places}
        except KafkaError as error:
            log.warning("reference records could not be read", error=str(error), again_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
            self._go_back(consumer, places)
            return
        in_order = sorted(polled.items(), key=lambda part: (self._feed_of[part[0].topic], part[0].partition))
        for place, records in in_order:
            await self._use(place, records)
        for place, position in positions.items():
            self._outlet.ring.progress[self._feed_of[place.topic], place.partition] = position

    async def _use(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Records of one partition; returns when the engine has used them."""
        feed, received_ns = self._feed_of[place.topic], time.time_ns()
        decoded, end = await self._decoded(place, records, received_ns), records[-1].offset + 1
        progress = as_progress({(feed, place.partition): end})
        await self._outlet.reference(decoded.messages)
        await self._outlet.decoded(Decoded(decoded.events, decoded.unreadable), progress=progress)
        self._outlet.ring.progress[feed, place.partition] = end
        self._pulse.handed_over(feed, len(records), decoded, received_ns, records[-1].timestamp * 1_000_000)
        log.info("reference data read", topic=place.topic, records=len(records), unreadable=len(decoded.unreadable))

    async def _decoded(self, place: TopicPartition, records: Sequence[ConsumerRecord], received_ns: int) -> Decoded:
        """Not on the loop: the security master writes to disk."""
        offsets = np.fromiter(map(attrgetter("offset"), records), np.int64, len(records))
        numbers = np.full(len(records), place.partition, np.uint16)
        origin = Origin(place.topic, self._feed_of[place.topic], numbers, offsets, received_ns)
        values, headers = list(map(attrgetter("value"), records)), list(map(attrgetter("headers"), records))
        return await asyncio.to_thread(decode, values, headers, self._symbols, origin, self._markets, self._master)


class ReferenceView:
    """What any worker sees of how far the reference topic has been used."""

    def __init__(self, topic: str, first_ring: Ring) -> None:
        self._place = TopicPartition(topic, 0)
        self._ring = first_ring
        self._there = False

    async def caught_up(self, consumer: AIOKafkaConsumer) -> bool:
        """Wait until everything that is in the topic now has been used. False: there was nothing to wait for."""
        self._there = self._there or self._place.topic in await consumer.topics()
        if not self._there:
            return False
        ends = await consumer.end_offsets([self._place])
        if self._ring.progress[REFERENCE, 0] >= ends[self._place]:
            return False
        while self._ring.progress[REFERENCE, 0] < ends[self._place]:  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_LOOK_S)
        return True
