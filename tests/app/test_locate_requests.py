"""Locates asked for over Kafka: each is decided once and answered, whatever comes twice, broken or early."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.api.problems import ProblemError
from app.api.recording import Key, Reply
from app.locate_requests import LocateRequests, UpstreamAnswer, answers_topic
from engine.locates import LocateRequest
from engine.ring import PARTITIONS, TOPICS, FeedWord, Ring
from feeds.pulse import Pulse
from feeds.quarantine import Unreadable
from feeds.registry import feed_named
from tests.feeds.desk import until

FEED = feed_named("locates").index


class _Desk:
    """Answers each key once, as `Decisions` does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.away = 0
        self._kept: dict[Key, Reply] = {}

    async def submit(self, requests: Sequence[LocateRequest], *, single: bool, key: Key | None, by: str = "") -> Reply:
        assert single, "one request per record"
        assert key is not None, "what comes twice must be known"
        assert by.startswith("kafka:")
        if self.away:
            self.away -= 1
            raise ProblemError(503, "unavailable")
        (request,) = requests
        if request.client == "NOBODY":
            raise ProblemError(422, "invalid", "no such client")
        if key not in self._kept:
            self.asked.append((request.security, request.quantity))
            self._kept[key] = Reply(200, b'{"state":"approved"}')
        return self._kept[key]


@contextlib.asynccontextmanager
async def _reading(bootstrap: str, topic: str, desk: _Desk, ring: Ring, kept: list[Unreadable]) -> AsyncIterator[None]:
    applied = np.zeros((TOPICS, PARTITIONS), np.int64)
    reader = LocateRequests(bootstrap, topic, topic, desk, lambda: True, Pulse(ring), applied, kept.extend)
    task = asyncio.create_task(reader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _answers(bootstrap: str, topic: str, count: int) -> list[UpstreamAnswer]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", metadata_max_age_ms=300
    )
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            return [msgspec.json.decode((await consumer.getone()).value, type=UpstreamAnswer) for _ in range(count)]
    finally:
        await consumer.stop()


async def _make(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


def _request(name: str, quantity: int, client: str = "FUND") -> bytes:
    return msgspec.json.encode({"id": name, "security": "AAA", "client": client, "quantity": quantity})


async def test_requests_are_answered_once_each_and_in_order_whatever_comes_twice(kafka: str, instance: str) -> None:
    topic = f"{instance}.locates.requests"
    desk, kept, ring = _Desk(), list[Unreadable](), Ring.create(f"{instance}.ring0", 1 << 20)
    desk.away = 1  # the journal is away for a moment: the request is read again
    try:
        await _make(kafka, topic)
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for value in (_request("a", 100), _request("b", 200), _request("a", 100), b"{", _request("c", 5, "NOBODY")):
                await producer.send_and_wait(topic, value)
            async with _reading(kafka, topic, desk, ring, kept):
                answers = await _answers(kafka, answers_topic(topic), 4)
                await until(lambda: ring.feeds[FEED, FeedWord.RECORDS] == 5, "all are noted")
            await producer.send_and_wait(topic, _request("d", 300))
            async with _reading(kafka, topic, desk, ring, kept):
                again = await _answers(kafka, answers_topic(topic), 5)
    finally:
        ring.close()
    assert [(answer.id, answer.status) for answer in answers] == [("a", 200), ("b", 200), ("a", 200), ("c", 422)]
    assert msgspec.json.decode(answers[0].answer) == {"state": "approved"}
    assert desk.asked == [("AAA", 100), ("AAA", 200), ("AAA", 300)]
    assert [(entry.reason, entry.raw) for entry in kept] == [("malformed", b"{")]
    assert again[-1].id == "d"  # what was answered before is not read again
