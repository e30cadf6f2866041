"""Kafka consumers without a group, which wait for their broker and their topics instead of failing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

log = structlog.get_logger()

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_TOPIC_S: Final = 0.5
_MINUTE_S: Final = 60.0
_FETCH_BYTES: Final = 32 << 20
_PARTITION_BYTES: Final = 4 << 20
"""Of one partition in one fetch: twenty thousand JSON events, a quarter of a second's work of one worker."""
_WAIT_MS: Final = 100
"""How long the broker keeps an idle fetch; one that finds data is answered at once."""
_METADATA_MS: Final = 30_000


class Broker:
    """Where one reader's consumers come from. One that is `ahead` connects while its reader still waits for something else."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._ahead: asyncio.Task[AIOKafkaConsumer] | None = None

    def ahead(self, topics: Sequence[str]) -> None:
        """Connect now, and learn of these topics: the first who asks for a consumer is given this one."""
        self._ahead = asyncio.create_task(self._prepared(topics))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AIOKafkaConsumer]:
        """See `connected`."""
        ahead, self._ahead = self._ahead, None
        consumer = await (_connect(self.bootstrap) if ahead is None else ahead)
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def close(self) -> None:
        """What nobody has asked for."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (await ahead).stop()

    async def _prepared(self, topics: Sequence[str]) -> AIOKafkaConsumer:
        consumer = await _connect(self.bootstrap)
        try:
            await _there(consumer, topics)
        except KafkaError as error:
            log.info("topics could not be asked for ahead", error=str(error) or type(error).__name__)
        except BaseException:
            await consumer.stop()
            raise
        return consumer


@asynccontextmanager
async def connected(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer whose broker answers; tries again, with a line in the log, for as long as it takes.

    It reads committed records only, checks their sums, and begins at the oldest record where an offset has gone.
    """
    async with Broker(bootstrap).connected() as consumer:
        yield consumer


async def _connect(bootstrap: str) -> AIOKafkaConsumer:
    pause_s = _FIRST_PAUSE_S
    while True:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_min_bytes=1,
            fetch_max_wait_ms=_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            metadata_max_age_ms=_METADATA_MS,
        )
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            log.warning("kafka is not reachable", bootstrap=bootstrap, error=str(error), again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except BaseException:
            await consumer.stop()
            raise
        else:
            log.info("kafka connected", bootstrap=bootstrap)
            return consumer


async def present(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> dict[str, list[int]]:
    """Those of the topics that are there, and their partitions in order; waits until one is there (and never makes any)."""
    waited_s = 0.0
    while True:
        try:
            if found := await _there(consumer, topics):
                return found
            missing = "none of them exists yet"
        except KafkaError as error:
            missing = str(error) or type(error).__name__
        if waited_s % _MINUTE_S == 0:
            log.warning("waiting for a topic", topics=list(topics), why=missing)
        await asyncio.sleep(_TOPIC_S)
        waited_s += _TOPIC_S


async def _there(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> dict[str, list[int]]:
    """Those of the topics that are there, and their partitions in order."""
    there = await consumer.topics()
    found = [topic for topic in topics if topic in there]
    # all at once: of a topic that it does not follow yet the client asks the broker, and rests before it looks at the answer
    return dict(zip(found, await asyncio.gather(*(_partitions(consumer, topic) for topic in found)), strict=True))


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    # asking for an offset makes the client follow the topic's metadata from now on
    await consumer.end_offsets([TopicPartition(topic, 0)])
    return sorted(consumer.partitions_for_topic(topic))


async def ends_of_topic(consumer: AIOKafkaConsumer, topic: str) -> dict[TopicPartition, int]:
    """What a topic holds, by partition; nothing where it is not there."""
    if topic not in await consumer.topics():
        return {}
    return await end_of(consumer, [TopicPartition(topic, number) for number in await _partitions(consumer, topic)])


async def end_of(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset behind the last committed record of each partition."""
    return dict(await consumer.end_offsets(list(places))) if places else {}


async def first_to_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them together until one ends; the others are cancelled, and its error is raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
