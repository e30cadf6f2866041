"""The reference topic: currencies, securities, books, depots and sources, read by the first worker for all of them.

How far it has been used by the engine is kept in the first worker's ring (`progress[TOPIC_INDEX, 0]`), where the other
workers see it: events are decoded only when the reference data that existed before them is known.
"""

import asyncio
import time
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from engine.model import Market
from engine.ring import Ring
from feeds import reference
from feeds.kafka_client import connected, partitions_of
from feeds.outlet import Outlet
from feeds.quarantine import Origin

log = structlog.get_logger()

TOPIC_INDEX: Final = 1
_POLL_MS: Final = 200
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 0.01


class ReferenceFeed:
    """Keeps the engine's reference data up to date, for as long as the worker lives."""

    def __init__(self, bootstrap: str, topic: str, markets: Sequence[Market], outlet: Outlet) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._markets = markets
        self._outlet = outlet

    async def run(self) -> None:
        """Read from the beginning: what the engine knows already is only said again."""
        async with connected(self._bootstrap) as consumer:
            partitions = await partitions_of(consumer, self._topic)
            if partitions != [0]:
                raise ValueError(
                    f"topic {self._topic} must have one partition, not {len(partitions)}: its order matters"
                )
            place = TopicPartition(self._topic, 0)
            consumer.assign([place])
            consumer.seek(place, 0)
            while True:
                await self._poll(consumer, place)

    async def _poll(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        try:
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            position = await consumer.position(place)
        except KafkaError as error:
            log.warning("reference records could not be read", error=str(error), again_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
            consumer.seek(place, int(self._outlet.ring.progress[TOPIC_INDEX, 0]))
            return
        records = polled.get(place, [])
        if records:
            offsets = np.fromiter(map(attrgetter("offset"), records), np.int64, len(records))
            zeros = np.zeros(len(records), np.uint16)
            origin = Origin(self._topic, TOPIC_INDEX, zeros, offsets, time.time_ns())
            values = [record.value or b"" for record in records]
            decoded = reference.decode(values, self._markets, origin)
            await self._outlet.reference(decoded.messages, decoded.unreadable)
            log.info("reference data read", records=len(records), unreadable=len(decoded.unreadable), offset=position)
        self._outlet.ring.progress[TOPIC_INDEX, 0] = position


class ReferenceView:
    """What any worker sees of how far the reference topic has been used."""

    def __init__(self, topic: str, first_ring: Ring) -> None:
        self._place = TopicPartition(topic, 0)
        self._ring = first_ring

    async def caught_up(self, consumer: AIOKafkaConsumer) -> bool:
        """Wait until everything that is in the topic now has been used. False: there was nothing to wait for."""
        ends = await consumer.end_offsets([self._place])
        if self._ring.progress[TOPIC_INDEX, 0] >= ends[self._place]:
            return False
        while self._ring.progress[TOPIC_INDEX, 0] < ends[self._place]:  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_LOOK_S)
        return True
