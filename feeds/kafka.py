"""The topics of all feeds that workers share: one worker's part of their partitions, decoded a poll at a time into its ring.

There is no consumer group: worker w of n reads the partitions p with p % n == w of every topic, and where to go on is kept in
the ring, in the engine's memory, beside the state that came of it. Neither can be newer than the other; what a killed worker
had handed over but not noted is handed over again, and recognised by its sequence number.

A topic that is not there yet holds nothing up; it is read once it is there. Between topics Kafka knows no order: start-of-day
positions that are there when a worker begins are read before everything else, and first of each poll.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from engine.model import Market
from engine.symbols import Symbols
from feeds.decode import Headers, decode
from feeds.kafka_client import Broker, end_of, first_to_end, present
from feeds.kafka_poll import Polled, poll
from feeds.kafka_reference import ReferenceView
from feeds.kafka_watch import AnewError, Watch
from feeds.outlet import Outlet, Spent
from feeds.pulse import Pulse, as_progress
from feeds.quarantine import Decoded, Origin
from feeds.registry import FEEDS, POSITIONS, Reader

log = structlog.get_logger()

_POLL_MS: Final = 200
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 1.0
_PATIENCE_S: Final = 2.0
PARTITIONS: Final = 255
"""The most of one topic; number 255 is for what comes without a broker."""


class WorkerFeed:
    """One worker's partitions of all topics, followed for as long as the worker lives. `topics`: of every feed, by number."""

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[str],
        share: tuple[int, int],
        symbols: Symbols,
        outlet: Outlet,
        known: ReferenceView,
        markets: Sequence[Market] = (),
    ) -> None:
        self._broker = broker
        self._feed_of = {topics[feed.index]: feed.index for feed in FEEDS if feed.reader == Reader.WORKERS}
        self._positions = topics[POSITIONS]
        self._worker, self._workers = share
        self._symbols = symbols
        self._markets = markets
        self._outlet = outlet
        self._known = known
        self._pulse = Pulse(outlet.ring)
        self._asked_s = 0.0
        self._looked_s = 0.0
        self.watch = Watch(self._feed_of, outlet.ring.progress, self._pulse, outlet.ring)

    async def run(self) -> None:
        """Raises `StalledError`; a broker that goes away is waited for."""
        while True:
            try:
                async with self._broker.connected() as consumer:
                    while True:
                        await self._follow(consumer)
            except (AnewError, KafkaError) as why:
                log.warning("connecting to kafka anew", why=str(why) or type(why).__name__)
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Until the topics, or their partitions, are others."""
        every = await present(consumer, list(self._feed_of))
        for topic, partitions in every.items():
            if len(partitions) > PARTITIONS:
                raise ValueError(
                    f"topic {topic} has {len(partitions)} partitions, at most {PARTITIONS} can be followed"
                )
        await self._known.caught_up(consumer)
        places = [
            TopicPartition(topic, partition)
            for topic, partitions in every.items()
            for partition in partitions
            if partition % self._workers == self._worker
        ]
        ends = await end_of(consumer, places)
        consumer.assign(places)
        self._go_back(consumer, places)
        waiting = [place for place in places if place.topic != self._positions]
        if self._behind(place for place in ends.items() if place[0].topic == self._positions):
            consumer.pause(*waiting)
        self.watch.begin(consumer, every, places)
        for topic, feed in self._feed_of.items():
            self._pulse.follows(feed, sum(place.topic == topic for place in places))
        left = sum(max(0, end - self._noted(place)) for place, end in ends.items())
        log.info("reading", topics=list(every), partitions=len(places), to_catch_up=left)
        await first_to_end(self._read(consumer, places, ends), self.watch.run())

    def _go_back(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """To the first record that has not been handed over."""
        for place in places:
            consumer.seek(place, self._noted(place))

    def _noted(self, place: TopicPartition) -> int:
        return int(self._outlet.ring.progress[self._feed_of[place.topic], place.partition])

    def _behind(self, ends: Iterable[tuple[TopicPartition, int]]) -> bool:
        return any(self._noted(place) < end for place, end in ends)

    async def _read(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], ends: dict[TopicPartition, int]
    ) -> None:
        """Polls until the watch has seen that there is another topic to read."""
        ring, begins = self._outlet.ring, bool(consumer.paused())
        before = {place: end for place, end in ends.items() if place.topic == self._positions}
        while not self.watch.others:
            if begins and not self._behind(before.items()):
                begins = False
                consumer.resume(*consumer.paused())
            if not ring.ready and not self._behind(ends.items()):
                ring.ready = True
                log.info("what existed at start is read", **self._outlet.seconds())
            if not places:
                await asyncio.sleep(_LOOK_S)
                continue
            await self._poll(consumer, places)
            self.watch.polls += 1

    async def _poll(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        spent, began = self._outlet.spent, time.perf_counter_ns()
        spent[Spent.BEGAN] = spent[Spent.BEGAN] or time.time_ns()
        try:
            polled = await poll(consumer, self._noted, timeout_ms=_POLL_MS)
            positions = {place: await consumer.position(place) for place in self._asked(polled, places)}
        except KafkaError as error:
            # the client may have dropped records of the same poll that came before the one it could not read
            log.warning("records could not be read", error=str(error), again_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
            self._go_back(consumer, places)
            return
        spent[Spent.FETCH] += time.perf_counter_ns() - began
        noted = {(self._feed_of[place.topic], place.partition): offset for place, offset in positions.items()}
        received_ns = time.time_ns()
        by_feed = self._by_feed(polled)
        parts = [await self._decode(consumer, feed, part, received_ns) for feed, part in by_feed]
        began = time.perf_counter_ns()
        if noted:
            await self._outlet.decoded(*parts, progress=as_progress(noted))
        spent[Spent.PUSH] += time.perf_counter_ns() - began
        for (feed, partition), offset in noted.items():
            self._outlet.ring.progress[feed, partition] = offset
        for (feed, part), decoded in zip(by_feed, parts, strict=True):
            stamp_ns = max(records[-1].timestamp for records in part.values()) * 1_000_000
            self._pulse.handed_over(feed, sum(map(len, part.values())), decoded, received_ns, stamp_ns)

    def _asked(self, polled: Polled, places: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Whose position to note: of what was polled, and now and then of all, for not everything in a topic is a record."""
        if time.monotonic() - self._looked_s < _LOOK_S:
            return list(polled)
        self._looked_s = time.monotonic()
        return places

    def _by_feed(self, polled: Polled) -> list[tuple[int, Polled]]:
        """A poll by feed, start-of-day positions first."""
        parts: dict[int, Polled] = {}
        for place, records in polled.items():
            parts.setdefault(self._feed_of[place.topic], {})[place] = records
        first = self._feed_of[self._positions]
        return sorted(parts.items(), key=lambda part: (part[0] != first, part[0]))

    async def _decode(self, consumer: AIOKafkaConsumer, feed: int, polled: Polled, received_ns: int) -> Decoded:
        """A feed's part of a poll; again, if it names what has become known meanwhile."""
        began = time.perf_counter_ns()
        records = list(chain.from_iterable(polled.values()))
        counts = [len(part) for part in polled.values()]
        partitions = np.repeat(np.array([place.partition for place in polled], np.uint16), counts)
        offsets = np.fromiter(map(attrgetter("offset"), records), np.int64, len(records))
        values: list[bytes | None] = list(map(attrgetter("value"), records))
        headers: list[Headers] = list(map(attrgetter("headers"), records))
        origin = Origin(next(iter(polled)).topic, feed, partitions, offsets, received_ns)
        decoded = decode(values, headers, self._symbols, origin, self._markets)
        self._outlet.spent[Spent.DECODE] += time.perf_counter_ns() - began
        if any(entry.unknown for entry in decoded.unreadable) and (
            await self._explained(consumer) or self._known_now(decoded, values, headers, origin)
        ):
            return decode(values, headers, self._symbols, origin, self._markets)
        return decoded

    def _known_now(
        self, decoded: Decoded, values: Sequence[bytes | None], headers: Sequence[Headers], origin: Origin
    ) -> bool:
        """Whether a code that was unknown when its record was decoded is known: what came after it must not overtake it."""
        unknown = {(entry.partition, entry.offset) for entry in decoded.unreadable if entry.unknown}
        at = zip(origin.partitions.tolist(), origin.offsets.tolist(), strict=True)
        chosen = np.array([number for number, place in enumerate(at) if place in unknown], np.intp)
        some, told = [values[number] for number in chosen], [headers[number] for number in chosen]
        again = decode(some, told, self._symbols, origin.take(chosen), self._markets)
        return sum(entry.unknown for entry in again.unreadable) < sum(entry.unknown for entry in decoded.unreadable)

    async def _explained(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether reference data came that was there before; asked at most once a second."""
        if time.monotonic() - self._asked_s < _LOOK_S:
            return False
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._known.caught_up(consumer)
        except (KafkaError, TimeoutError) as error:
            log.warning("reference data could not be waited for", error=str(error) or type(error).__name__)
            return False
        finally:
            self._asked_s = time.monotonic()
