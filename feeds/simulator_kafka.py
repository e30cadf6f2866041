"""The simulator's way to a real Kafka: topics, reference data and events, in few large requests.

Records are packed into batches here rather than given to the client one at a time, which would cost a future each. The
producer is idempotent, so what a retry sends again is stored once and the accounting stays exact.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from numpy.typing import NDArray

from feeds import reference
from feeds.simulator import Records

BATCH_BYTES: Final = 512 << 10
_REQUEST_BYTES: Final = 4 << 20
_IN_FLIGHT: Final = 64
"""Batches handed to the client and not yet stored; beyond it the sender waits."""
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
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            kept = {"cleanup.policy": "compact"}
            for topic in (NewTopic(events, partitions, 1), NewTopic(reference_topic, 1, 1, topic_configs=kept)):
                try:
                    await admin.create_topics([topic])
                except TopicAlreadyExistsError:
                    continue
        finally:
            await admin.close()
        return len(await self._producer.partitions_for(events))

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

    async def newest(self, topic: str, prefix: str, partitions: int) -> NDArray[np.int64]:
        """Per partition p, the newest number that source `prefix-p` has at its end; 0 where there is none."""
        found = np.zeros(partitions, np.int64)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._servers, enable_auto_commit=False)
        await consumer.start()
        try:
            places = [TopicPartition(topic, partition) for partition in range(partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, max(0, ends[place] - _TAIL))
            left = {place for place in places if ends[place] > 0}
            while left:
                for place, records in (await consumer.getmany(*left, timeout_ms=1_000)).items():
                    name = f"{prefix}-{place.partition}"
                    numbers = [
                        _number(record.value or b"", dict(record.headers).get("enc"), name) for record in records
                    ]
                    found[place.partition] = max(int(found[place.partition]), *numbers)
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
