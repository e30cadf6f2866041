"""Locates that upstream systems ask for over Kafka: read, decided by the same desk as over REST, answered on a topic.

A request is decided once, however often it is read: by its `id`, or else by its place in the topic. It counts as read, in the
broker's own memory of this consumer group, only when its answer is there. Requests of one security keep their order.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from app.api.problems import ProblemError
from app.api.recording import Key, Reply
from engine.locates import LocateRequest
from feeds.kafka_client import present
from feeds.pulse import Pulse
from feeds.quarantine import Decoded, Origin, Reason, Unreadable
from feeds.registry import feed_named
from feeds.requests import UpstreamRequest, asked, decode_one

log = structlog.get_logger()

_POLL_MS: Final = 200
_MOST: Final = 500
"""Requests of one poll."""
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 1.0
_UNAVAILABLE: Final = 503
_OLD_MS: Final = 7 * 86_400 * 1_000
"""A request that is older than answers are remembered could not be told from one that was answered: it is not decided."""


class Desk(Protocol):
    """Who decides: `app.api.decisions.Decisions`."""

    async def submit(self, requests: Sequence[LocateRequest], *, single: bool, key: Key | None, by: str = "") -> Reply:
        """Decide; raises `ProblemError`."""
        ...


class UpstreamAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes back: `status` and `answer` are those of REST, a locate or a problem document."""

    topic: str
    partition: int
    offset: int
    status: int
    answer: msgspec.Raw
    id: str = ""


def answers_topic(requests: str) -> str:
    """`ims.locates.requests` is answered on `ims.decisions`."""
    return f"{requests.removesuffix('.locates.requests')}.decisions"


class LocateRequests:
    """The topic of requests, for as long as the engine lives. `ready`: whether the inventory is there to decide on."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        desk: Desk,
        ready: Callable[[], bool],
        pulse: Pulse,
        applied: NDArray[Any],
        keep: Callable[[list[Unreadable]], None],
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._answers = answers_topic(topic)
        self._group = group
        self._desk = desk
        self._ready = ready
        self._pulse = pulse
        self._feed = feed_named("locates").index
        self._applied = applied[self._feed]
        self._keep = keep

    async def run(self) -> None:
        """A broker or a topic that is not there is waited for."""
        while not self._ready():  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_LOOK_S)
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, ProblemError) as error:
                log.warning("requests for locates cannot be read", error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,  # for its memory of what was read; there is one reader, and nothing to balance
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        try:
            await consumer.start()
            every = await present(consumer, [self._topic])
            places = [TopicPartition(self._topic, number) for number in every[self._topic]]
            await self._make_answers(len(places))
            await producer.start()
            consumer.assign(places)
            self._pulse.follows(self._feed, len(places))
            while True:
                polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST)
                if polled:
                    await self._answer_all(producer, [record for part in polled.values() for record in part])
                    read = {place: records[-1].offset + 1 for place, records in polled.items()}
                    await consumer.commit(read)
                    for place, offset in read.items():
                        self._applied[place.partition] = offset
                self._pulse.at(self._feed, _lag(consumer, polled), time.time_ns())
        finally:
            await consumer.stop()
            await producer.stop()

    async def _make_answers(self, partitions: int) -> None:
        """The topic of answers is ours to make."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            if self._answers not in await admin.list_topics():
                (asked_on,) = await admin.describe_topics([self._topic])
                copies = len(asked_on["partitions"][0]["replicas"])
                await admin.create_topics([NewTopic(self._answers, partitions, copies)])
        finally:
            await admin.close()

    async def _answer_all(self, producer: AIOKafkaProducer, records: Sequence[ConsumerRecord]) -> None:
        """Those of different securities side by side, for each waits for the disk."""
        unreadable: list[Unreadable] = []
        chains: dict[str, list[tuple[ConsumerRecord, UpstreamRequest]]] = {}
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            try:
                request = decode_one(record.value or b"")
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                unreadable.append(_entry(record, error))
                continue
            if now_ms - record.timestamp > _OLD_MS:
                log.warning("an old request for a locate is left", partition=record.partition, offset=record.offset)
                continue
            chains.setdefault(request.security, []).append((record, request))
        answered = await asyncio.gather(*(self._decide(chain) for chain in chains.values()))
        sent = [
            await producer.send(self._answers, msgspec.json.encode(answer), key=answer.id.encode() or None)
            for chain in answered
            for answer in chain
        ]
        await asyncio.gather(*sent)
        if unreadable:
            self._keep(unreadable)
        self._pulse.handed_over(
            self._feed, len(records), Decoded(unreadable=unreadable), time.time_ns(), records[-1].timestamp * 1_000_000
        )

    async def _decide(self, chain: Sequence[tuple[ConsumerRecord, UpstreamRequest]]) -> list[UpstreamAnswer]:
        """One after the other. Raises `ProblemError` where nothing can be decided at the moment."""
        answers = []
        for record, request in chain:
            name = request.id or f"{record.partition}/{record.offset}"
            digest = hashlib.blake2b(msgspec.json.encode(asked(request)), digest_size=16).hexdigest()
            key = Key(f"kafka:{self._topic}", name, digest)
            try:
                reply = await self._desk.submit([asked(request)], single=True, key=key, by=f"kafka:{self._topic}")
            except ProblemError as problem:
                if problem.status == _UNAVAILABLE:
                    raise
                reply = Reply(problem.status, problem.document())
            place = (record.topic, record.partition, record.offset)
            answers.append(UpstreamAnswer(*place, reply.status, msgspec.Raw(reply.body), request.id or ""))
        return answers


def _entry(record: ConsumerRecord, error: Exception) -> Unreadable:
    reason = Reason.INVALID if isinstance(error, msgspec.ValidationError) else Reason.MALFORMED
    origin = Origin.of(record.topic, 1, first=record.offset, partition=record.partition)
    return origin.unreadable(0, reason, str(error), record.value or b"")


def _lag(consumer: AIOKafkaConsumer, polled: dict[TopicPartition, list[ConsumerRecord]]) -> int:
    """Records that are there and not yet read, as far as the client knows."""
    ends = {place: consumer.last_stable_offset(place) for place in polled}
    return sum(max(0, (ends[place] or 0) - records[-1].offset - 1) for place, records in polled.items())
