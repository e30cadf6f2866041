"""The simulator's way to a real Kafka: topics, reference data and events, in few large requests.

Records are packed into batches here rather than given to the client one at a time, which would cost a future each. The
producer is idempotent, so what a retry sends again is stored once and the accounting stays exact.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from feeds import reference
from feeds.partitions import partitions_of
from feeds.simulator import Records
from feeds.simulator_asides import Aside

BATCH_BYTES: Final = 512 << 10
_REQUEST_BYTES: Final = 4 << 20
_PATIENCE_MS: Final = 600_000
"""How long the client tries again to store what it was given: a broker that went is waited for."""
_IN_FLIGHT: Final = 64
"""Batches handed to the client and not yet stored; beyond it the sender waits."""
_JSON: Final = (("enc", b"json"),)
_TAIL: Final = 4_096
"""Records from the end of a partition in which the newest number of its source is looked for."""


def key_of(record: reference.Record) -> bytes:
    """What a record of the reference topic is about: a later one of the same key replaces it."""
    parts = (getattr(record, name, "") for name in ("code", "book", "market", "security", "kind", "source", "target"))
    return ":".join([type(record).__name__.lower(), *(str(part) for part in parts if part)]).encode()


class Producer:
    """Sends `Records`; an async context manager. Times are milliseconds since 1970."""

    def __init__(self, servers: str, compression: str | None = None) -> None:
        self._servers = servers
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers,
            enable_idempotence=True,
            compression_type=compression,
            max_batch_size=BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
            request_timeout_ms=_PATIENCE_MS,
        )
        self._waiting: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except KafkaError:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self._producer.stop()

    async def make_topics(self, events: str, reference_topic: str, partitions: int) -> int:
        """Create the topics that are missing; returns how many partitions the events have, which may be from before."""
        counts = await self.make_each({events: partitions, reference_topic: 1}, compacted=reference_topic)
        return counts[events]

    async def make_each(self, partitions: Mapping[str, int], compacted: str) -> dict[str, int]:
        """The same for any topics, of which one keeps the newest record of each key."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            kept = {"cleanup.policy": "compact"}
            there = await admin.list_topics()
            for topic in partitions.keys() - set(there):
                configs = kept if topic == compacted else None
                with contextlib.suppress(TopicAlreadyExistsError):
                    await admin.create_topics([NewTopic(topic, partitions[topic], 1, topic_configs=configs)])
        finally:
            await admin.close()
        return {topic: len(await self._producer.partitions_for(topic)) for topic in partitions}

    async def send_reference(self, topic: str, records: Sequence[reference.Record], now_ms: int) -> None:
        """Each record under its kind and code; returns when all are stored."""
        keys = list(map(key_of, records))
        values = [reference.encode(record) for record in records]
        await self._send(topic, 0, values, keys, (), now_ms)
        await self.flush()

    async def send(self, records: Records, now_ms: int) -> None:
        """Hand records over in order; returns before they are stored, see `flush`."""
        headers = (("enc", records.encoding.encode()),)
        await self._send(records.topic, records.partition, records.values, records.keys, headers, now_ms)

    async def flush(self) -> None:
        """Wait until all that was handed over is stored. Raises aiokafka's errors for what could not be."""
        while self._waiting:
            await self._collect(asyncio.ALL_COMPLETED)

    async def send_asides(
        self, topics: Sequence[str], asides: Sequence[Aside], partitions: Sequence[int], now_ns: int
    ) -> None:
        """Records without numbers, each to where its key belongs."""
        for aside in asides:
            key = np.array([aside.key.encode()])
            partition = int(partitions_of(key, partitions[aside.route])[0])
            await self._send(
                topics[aside.route], partition, [aside.value(now_ns)], [key[0]], _JSON, now_ns // 1_000_000
            )

    async def newest(self, sources: Mapping[str, tuple[str, int]]) -> dict[str, int]:
        """The newest number that each source has at the end of its topic and partition; 0 where there is none."""
        found = dict.fromkeys(sources, 0)
        named: dict[TopicPartition, list[str]] = {}
        for source, place in sources.items():
            named.setdefault(TopicPartition(*place), []).append(source)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._servers, enable_auto_commit=False)
        await consumer.start()
        try:
            places = list(named)
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, max(0, ends[place] - _TAIL))
            left = {place for place in places if ends[place] > 0}
            while left:
                for place, records in (await consumer.getmany(*left, timeout_ms=1_000)).items():
                    for record in records:
                        encoding = dict(record.headers).get("enc")
                        for source in named[place]:
                            number = _number(record.value or b"", encoding, source)
                            found[source] = max(found[source], number)
                positions = [(place, await consumer.position(place)) for place in left]
                left -= {place for place, position in positions if position >= ends[place]}
        finally:
            await consumer.stop()
        return found

    async def _send(
        self,
        topic: str,
        partition: int,
        values: Sequence[bytes],
        keys: Sequence[bytes] | None,
        headers: Sequence[tuple[str, bytes]],
        now_ms: int,
    ) -> None:
        batch = self._producer.create_batch()
        listed = list(headers)  # the client's compiled builder takes nothing else
        empty = True
        for at, value in enumerate(values):
            key = keys[at] if keys is not None else None
            if batch.append(key=key, value=value, timestamp=now_ms, headers=listed) is None:
                await self._submit(batch, topic, partition)
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=now_ms, headers=listed)
            empty = False
        if not empty:
            await self._submit(batch, topic, partition)

    async def _submit(self, batch: Any, topic: str, partition: int) -> None:
        self._waiting.add(await self._producer.send_batch(batch, topic, partition=partition))
        while len(self._waiting) >= _IN_FLIGHT:
            await self._collect(asyncio.FIRST_COMPLETED)

    async def _collect(self, when: str) -> None:
        done, self._waiting = await asyncio.wait(self._waiting, return_when=when)
        for future in done:
            future.result()


class _Numbered(msgspec.Struct):
    """What is looked at of a JSON event."""

    src: str
    seq: int


_DECODER = msgspec.json.Decoder(_Numbered)


def _number(value: bytes, encoding: bytes | None, source: str) -> int:
    """The newest sequence number of the source in a record; 0 where there is none, or it cannot be read."""
    try:
        if encoding != b"arrow":
            event = _DECODER.decode(value)
            return event.seq if event.src == source else 0
        batch = pa.ipc.open_stream(value).read_next_batch()
        mine = np.array(batch.column("src").to_pylist()) == source
        return int(batch.column("seq").to_numpy()[mine].max(initial=0))
    except (msgspec.DecodeError, UnicodeError, pa.ArrowException, OSError, KeyError, StopIteration):
        return 0
