"""Every step of every locate and order on a Kafka topic, from the outbox: what is on it has happened, and all that happens is.

A step is sent at least once, those of one locate or order in their order and to one partition. A consumer drops a step whose
`sequence` is not greater than the last it had of that `kind` in the partition.
"""

import asyncio
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from app.bell import rung
from app.outbox import DECISIONS, Kind, Outbox, OutboxError, Step

log = structlog.get_logger()

ANSWER_MS: Final = 10_000
"""How long a broker may take for an answer: its own way is 40 s, in which a broker that is back would stay unnoticed."""
_STEPS: Final = 500
_LOOK_S: Final = 30.0
_AGAIN_S: Final = 1.0
_JSON: Final = msgspec.json.Encoder()


class UpstreamStep(msgspec.Struct, frozen=True, tag_field="type", tag="step"):
    """One step of one locate or order; `data` as REST would have answered then."""

    kind: Kind
    sequence: int
    key: str
    state: str
    data: msgspec.Raw


def topic_of(topic: str) -> str:
    """`ims.locates.requests` and `ims.orders.requests` are answered on `ims.decisions`."""
    return f"{topic.removesuffix('.locates.requests').removesuffix('.orders.requests')}.decisions"


async def make_topic(bootstrap: str, topic: str, *, like: str) -> None:
    """Make a topic of ours with as many partitions and copies as another has, where it is not there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=ANSWER_MS)
    await admin.start()
    try:
        there = await admin.list_topics()
        if topic not in there:
            # only of one that is there: asking for another could make it
            known: list[Any] = (await admin.describe_topics([like]))[0]["partitions"] if like in there else []
            made = NewTopic(topic, max(1, len(known)), len(known[0]["replicas"]) if known else 1)
            response = await admin.create_topics([made])
            for _, code, *_ in response.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    log.warning("the topic of decisions could not be made", topic=topic, code=code)
    finally:
        await admin.close()


class DecisionsTopic:
    """`topic`: of decisions; `like`: the topic it is made like, where it is not there."""

    def __init__(self, bootstrap: str, topic: str, like: str, outbox: Outbox) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._like = like
        self._outbox = outbox
        self._consumer = f"kafka:{topic}"

    async def run(self) -> None:
        """For as long as the engine lives; a broker that is not there is waited for."""
        while True:
            try:
                await self._send()
            except (KafkaError, OSError, TimeoutError, OutboxError) as error:
                log.warning("steps wait for the topic", topic=self._topic, error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN_S)

    # parts

    async def _send(self) -> None:
        for kind in DECISIONS:
            # whoever listens for the first time is told from here on
            await self._outbox.cursor_or(self._consumer, kind, self._outbox.begun[kind])
        await make_topic(self._bootstrap, self._topic, like=self._like)
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            request_timeout_ms=ANSWER_MS,
        )
        try:
            await producer.start()
            with self._outbox.changed.heard() as listener:
                while True:
                    while any([await self._some(producer, kind) for kind in DECISIONS]):
                        pass
                    await rung(listener, _LOOK_S)
        finally:
            await producer.stop()

    async def _some(self, producer: AIOKafkaProducer, kind: Kind) -> bool:
        """The next steps of a kind; whether there were any."""
        entry = await self._outbox.cursor_or(self._consumer, kind, self._outbox.begun[kind])
        steps = await self._outbox.after(kind, entry, _STEPS)
        if not steps:
            return False
        sent = [await producer.send(self._topic, _encoded(kind, step), key=step.name.encode()) for step in steps]
        await asyncio.gather(*sent)
        self._outbox.advance(self._consumer, kind, steps[-1].entry)
        return True


def _encoded(kind: Kind, step: Step) -> bytes:
    return _JSON.encode(UpstreamStep(kind, step.entry, step.name, step.state, msgspec.Raw(step.data)))
