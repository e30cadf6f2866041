"""One poll of a Kafka consumer that no sender can stop: the name of a header may be any bytes, and the client wants UTF-8.

Where it is something else the client raises, forgets what it had of that poll, and raises again at the same place for ever; nor
can that place be stepped over, for the records of a batch are read from its first one on. Such a poll is done here instead, of
the same bytes, and the name is kept, so that the decoder sees what it was (`feeds.decode.named`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy

log = structlog.get_logger()

_BYTES: Final = 1 << 20
"""Of one partition; one batch that is longer comes whole."""
_OVERHEAD: Final = 12
"""Bytes of a batch up to the end of its length."""
_LENGTH: Final = slice(8, 12)
_MAGIC: Final = 16
_MODERN: Final = 2
_WITH_REPLICA: Final = 11
"""From this version on an answer says which replica to ask, between what was aborted and the records."""
Polled: TypeAlias = dict[TopicPartition, list[ConsumerRecord]]
Noted: TypeAlias = Callable[[TopicPartition], int]


async def poll(
    consumer: AIOKafkaConsumer,
    noted: Noted,
    *places: TopicPartition,
    timeout_ms: int,
    most: int | None = None,
) -> Polled:
    """As `getmany` of the consumer (`most`: records). `noted`: from where on a partition has not been used yet.

    Raises `KafkaError`, after which the consumer has to go back to what is noted: it may have dropped records.
    """
    try:
        return dict(await consumer.getmany(*places, timeout_ms=timeout_ms, max_records=most))
    except UnicodeDecodeError as error:
        log.warning("a header of a record has a name that is not UTF-8", error=str(error))
    chosen = sorted(places or consumer.assignment())
    read = await _read(consumer, [place for place in chosen if place not in consumer.paused()], noted)
    polled: Polled = {}
    for place, (records, end) in read.items():
        room = len(records) if most is None else most - sum(map(len, polled.values()))
        if records[:room]:
            polled[place] = records[:room]
        consumer.seek(place, records[room].offset if room < len(records) else end)
    return polled


class _Name(bytes):
    """Part of a record. As text it is read with what is not UTF-8 kept as surrogates."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


class _Forgiving(bytearray):
    """A batch whose names of headers are all read."""

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return _Name(part) if isinstance(at, slice) else part


class _Batches:
    """Batches of a fetch, as the client's own reader of a partition asks for them."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def has_next(self) -> bool:
        """Whether another one is there whole: the broker cuts off the last."""
        return self._at + _OVERHEAD <= len(self._raw) and self._end <= len(self._raw)

    @property
    def _end(self) -> int:
        head = self._raw[self._at : self._at + _OVERHEAD]
        return self._at + _OVERHEAD + int.from_bytes(head[_LENGTH], "big", signed=True)

    def next_batch(self) -> "_Batch":
        end = self._end
        raw, self._at = self._raw[self._at : end], end
        if len(raw) <= _MAGIC or raw[_MAGIC] < _MODERN:
            raise CorruptRecordException("records that have headers are of a newer form than these")
        return _Batch(raw)


class _Batch:
    """One of them. What the client asks of it besides its records is the client's own batch's to answer."""

    def __init__(self, raw: bytes) -> None:
        self._batch = _DefaultRecordBatchPy(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Self:
        records = iter(self._batch)  # unpacks it
        records._buffer = _Forgiving(records._buffer)  # noqa: SLF001  what it decodes has no other door
        return self

    def __next__(self) -> Any:
        return next(self._batch)


async def _read(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], noted: Noted
) -> Mapping[TopicPartition, tuple[list[ConsumerRecord], int]]:
    """What is there from where it is noted on, some of each place: a request for each, so that of each one batch comes."""
    oldest = await consumer.beginning_offsets(places) if places else {}
    found = {}
    for place in places:
        found[place] = await _fetched(consumer, place, max(noted(place), oldest[place]))
    return found


async def _fetched(consumer: AIOKafkaConsumer, place: TopicPartition, first: int) -> tuple[list[ConsumerRecord], int]:
    """Records, and the offset behind what was read: not everything in a topic is a record."""
    client = consumer._client  # noqa: SLF001  the consumer itself reads only what it can decode
    leader = client.cluster.leader_for_partition(place)
    if leader is None or leader == -1:
        raise KafkaConnectionError(f"{place.topic}[{place.partition}] has no leader now")
    asked = [(place.topic, [(place.partition, first, _BYTES)])]
    response = await client.send(leader, FetchRequest(0, 0, _BYTES, READ_COMMITTED, asked))
    ((_, ((_, error, _, *told),)),) = response.topics
    if error:
        raise for_code(error)(f"{place.topic}[{place.partition}]")
    aborted = told[2] if response.API_VERSION >= _WITH_REPLICA else told[-2]
    batches, nothing = _Batches(bytes(told[-1] or b"")), None
    reader = PartitionRecords(
        place, batches, aborted, first, nothing, nothing, check_crcs=True, isolation_level=READ_COMMITTED
    )
    return list(reader), reader.next_fetch_offset
