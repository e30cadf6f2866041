"""Commands that upstream systems send over Kafka: read, carried out by the same desks as over REST, answered on a topic.

A command is carried out once, however often it is read: by its `id`, or else by its place in the topic. How far a topic was
read is noted beside what was decided, and only once the answers are there; nothing here waits for a group of consumers. What
is about the same thing keeps its order.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from app.api.problems import ProblemError
from app.api.recording import Key, Reply
from app.decisions_topic import ANSWER_MS, make_topic, topic_of
from app.outbox import Outbox, OutboxError
from feeds import requests
from feeds.decode import named
from feeds.kafka_client import end_of, present
from feeds.kafka_poll import poll
from feeds.kafka_watch import AnewError, StalledError, Watch
from feeds.pulse import Pulse
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

log = structlog.get_logger()

_POLL_MS: Final = 200
_MOST: Final = 500
"""Commands of one poll."""
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 1.0
_BEGIN_S: Final = 30.0
"""A broker that has not answered all questions of the beginning by then is asked anew."""
_UNAVAILABLE: Final = 503
_UNPROCESSABLE: Final = 422
_OLD_DAYS: Final = 7
"""A command that is older than answers are remembered could not be told from one that was answered: it is not carried out."""
_OLD_MS: Final = _OLD_DAYS * 86_400 * 1_000


@dataclass(frozen=True, slots=True)
class Commands:
    """What a topic holds. `about`: commands of the same keep their order; `carry_out` raises `ProblemError`."""

    topic: str
    feed: int
    decode: Callable[[bytes], Any]
    about: Callable[[Any], str]
    carry_out: Callable[[Any, Key, str], Awaitable[Reply]]


class UpstreamAnswer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="answer"):
    """What goes back: `status` and `answer` are those of REST, a locate, an order or a problem document."""

    topic: str
    partition: int
    offset: int
    status: int
    answer: msgspec.Raw
    id: str = ""


class Upstream:
    """A topic of commands, for as long as the engine lives. `ready`: whether the inventory is there to decide on."""

    def __init__(
        self,
        bootstrap: str,
        commands: Commands,
        outbox: Outbox,
        ready: Callable[[], bool],
        pulse: Pulse,
        applied: NDArray[Any],
        keep: Callable[[list[Unreadable]], None],
    ) -> None:
        self._bootstrap = bootstrap
        self._commands = commands
        self._answers = topic_of(commands.topic)
        self._by = f"kafka:{commands.topic}"
        self._outbox = outbox
        self._ready = ready
        self._pulse = pulse
        self._applied = applied[commands.feed]
        self._keep = keep
        self._watch = Watch({commands.topic: commands.feed}, applied, pulse)

    async def run(self) -> None:
        """A broker or a topic that is not there is waited for."""
        while not self._ready():  # noqa: ASYNC110  shared memory has no event
            await asyncio.sleep(_LOOK_S)
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError, OutboxError, ProblemError, AnewError, StalledError) as error:
                log.warning(
                    "commands cannot be read", topic=self._commands.topic, error=str(error) or type(error).__name__
                )
                await asyncio.sleep(_AGAIN_S)

    # parts

    async def _follow(self) -> None:
        """Until the topic has other partitions."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            request_timeout_ms=ANSWER_MS,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=ANSWER_MS
        )
        try:
            async with asyncio.timeout(_BEGIN_S):
                await consumer.start()
            every = await present(consumer, [self._commands.topic])
            async with asyncio.timeout(_BEGIN_S):
                places = [TopicPartition(self._commands.topic, number) for number in every[self._commands.topic]]
                await make_topic(self._bootstrap, self._answers, like=self._commands.topic)
                await producer.start()
                consumer.assign(places)
                await self._go_back(consumer, places)
            self._pulse.follows(self._commands.feed, len(places))
            self._watch.begin(consumer, every, places)
            log.info("commands are read", topic=self._commands.topic, partitions=len(places))
            await self._read(consumer, producer, places)
        finally:
            await consumer.stop()
            await producer.stop()

    async def _read(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, places: Sequence[TopicPartition]
    ) -> None:
        """Until the watch has seen that there is more to read, or ends. It ends nothing that is being decided."""
        watching = asyncio.create_task(self._watch.run())
        try:
            while not self._watch.others and not watching.done():
                await self._poll(consumer, producer, places)
                self._watch.polls += 1
            if watching.done():
                watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _poll(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, places: Sequence[TopicPartition]
    ) -> None:
        polled = await poll(consumer, self._noted, timeout_ms=_POLL_MS, most=_MOST)
        positions = {place: await consumer.position(place) for place in places}
        if polled:
            await self._answer_all(producer, [record for part in polled.values() for record in part])
        for place, offset in positions.items():  # not everything in a topic is a record
            if offset != self._noted(place):
                self._outbox.advance(self._by, str(place.partition), offset)
                self._applied[place.partition] = offset

    async def _go_back(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """To where the notes say; a topic that holds less than they say is another one, and read from its beginning."""
        ends, begins = await end_of(consumer, places), await consumer.beginning_offsets(places)
        for place in places:
            noted = await self._outbox.cursor(self._by, str(place.partition))
            offset = begins[place] if noted is None or noted > ends[place] else noted
            consumer.seek(place, offset)
            self._applied[place.partition] = offset

    def _noted(self, place: TopicPartition) -> int:
        return int(self._applied[place.partition])

    async def _answer_all(self, producer: AIOKafkaProducer, records: Sequence[ConsumerRecord]) -> None:
        """Those about different things side by side, for each waits for the disk."""
        unreadable: list[Unreadable] = []
        refused: list[UpstreamAnswer] = []
        chains: dict[str, list[tuple[ConsumerRecord, Any]]] = {}
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            origin = Origin.of(record.topic, 1, first=record.offset, partition=record.partition)
            try:
                command = self._commands.decode(record.value or b"")
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                unreadable.append(requests.unreadable(record.value or b"", error, origin))
                continue
            if (why := _refusal(record, now_ms)) is not None:
                log.warning("a command is refused", partition=record.partition, offset=record.offset, why=why[1])
                unreadable.append(origin.unreadable(0, *why, record.value))
                problem = ProblemError(_UNPROCESSABLE, "invalid", why[1])
                refused.append(_answer(record, command, Reply(problem.status, problem.document())))
                continue
            chains.setdefault(self._commands.about(command), []).append((record, command))
        answered = await asyncio.gather(*(self._carry_out(chain) for chain in chains.values()))
        sent = [
            await producer.send(self._answers, msgspec.json.encode(answer), key=answer.id.encode() or None)
            for answers in (refused, *answered)
            for answer in answers
        ]
        await asyncio.gather(*sent)
        if unreadable:
            self._keep(unreadable)
        decoded, newest_ns = Decoded(unreadable=unreadable), records[-1].timestamp * 1_000_000
        self._pulse.handed_over(self._commands.feed, len(records), decoded, time.time_ns(), newest_ns)

    async def _carry_out(self, chain: Sequence[tuple[ConsumerRecord, Any]]) -> list[UpstreamAnswer]:
        """One after the other. Raises `ProblemError` where nothing can be decided at the moment."""
        answers = []
        for record, command in chain:
            name = command.id or f"{record.partition}/{record.offset}"
            digest = hashlib.blake2b(msgspec.json.encode(command), digest_size=16).hexdigest()
            key = Key(_scope(self._commands.topic), name, digest)
            try:
                reply = await self._commands.carry_out(command, key, self._by)
            except ProblemError as problem:
                if problem.status == _UNAVAILABLE:
                    raise
                reply = Reply(problem.status, problem.document())
            answers.append(_answer(record, command, reply))
        return answers


def _answer(record: ConsumerRecord, command: Any, reply: Reply) -> UpstreamAnswer:
    place = (record.topic, record.partition, record.offset)
    return UpstreamAnswer(*place, reply.status, msgspec.Raw(reply.body), command.id or "")


def _refusal(record: ConsumerRecord, now_ms: int) -> tuple[Reason, str] | None:
    """Why a command is not carried out, whatever it says."""
    if not all(named(name) for name, _ in record.headers):
        return Reason.ENCODING, "a header of the record has a name that is not UTF-8"
    if now_ms - record.timestamp > _OLD_MS:
        told = f"older than {_OLD_DAYS} days: the time of its record is {record.timestamp}, in ms since 1970; now is {now_ms}"
        return Reason.TOO_OLD, told
    return None


def _scope(topic: str) -> str:
    """Whose keys they are, in 16 characters."""
    return hashlib.sha256(f"kafka {topic}".encode()).hexdigest()[:16]
