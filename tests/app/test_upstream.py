"""Commands over Kafka: each is carried out once and answered, whatever comes twice, broken or early; and decisions are told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaTimeoutError

from app import upstream as upstream_feed
from app.api.problems import ProblemError
from app.api.recording import Key, Reply
from app.decisions_topic import DecisionsTopic, UpstreamStep, topic_of
from app.journal import Journal
from app.outbox import Outbox
from app.upstream import Commands, Upstream, UpstreamAnswer
from app.upstream_topics import upstream
from engine.locate_desk import LocateDesk
from engine.locates import LocateRequest
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import PARTITIONS, TOPICS, FeedWord, Message, Ring
from engine.state import Machine
from feeds import kafka_poll, kafka_watch, requests
from feeds.pulse import Pulse
from feeds.quarantine import Reason, Unreadable
from feeds.registry import feed_named, topics
from tests.app.api.api_world import fill, serving
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules
from tests.engine.machines import events
from tests.feeds.desk import until
from tests.feeds.odd_headers import Odd, send_batch

FEED = feed_named("locates").index


class _Desk:
    """Answers each key once, as the desks do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.away = 0
        self._kept: dict[Key, Reply] = {}

    async def carry_out(self, command: requests.LocateCommand, key: Key, by: str) -> Reply:
        assert by.startswith("kafka:")
        assert isinstance(command, requests.UpstreamRequest)
        if self.away:
            self.away -= 1
            raise ProblemError(503, "unavailable")
        if command.client == "NOBODY":
            raise ProblemError(422, "invalid", "no such client")
        if key not in self._kept:
            self.asked.append((command.security, command.quantity))
            self._kept[key] = Reply(200, b'{"state":"approved"}')
        return self._kept[key]

    def commands(self, topic: str) -> Commands:
        return Commands(topic, FEED, requests.locate_command, lambda command: str(command.security), self.carry_out)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a journal that is there."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    Journal(url).close()
    return url


@contextlib.asynccontextmanager
async def _reading(
    bootstrap: str, topic: str, desk: _Desk, ring: Ring, kept: list[Unreadable], url: str
) -> AsyncIterator[None]:
    applied = np.zeros((TOPICS, PARTITIONS), np.int64)
    outbox = Outbox(url)
    reader = Upstream(bootstrap, desk.commands(topic), outbox, lambda: True, Pulse(ring), applied, kept.extend)
    task = asyncio.create_task(reader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        outbox.close()


async def _heard(bootstrap: str, topic: str, enough: Callable[[list[Any]], bool], kind: Any) -> list[Any]:
    """What is on a topic, from its beginning until it is enough."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", metadata_max_age_ms=300
    )
    await consumer.start()
    try:
        heard: list[Any] = []
        async with asyncio.timeout(60):
            while not enough(heard):
                heard.append(msgspec.json.decode((await consumer.getone()).value, type=kind))
        return heard
    finally:
        await consumer.stop()


def _up_to(newest: int) -> Callable[[list[Any]], bool]:
    return lambda heard: bool(heard) and heard[-1].sequence == newest


async def _make(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


def _request(name: str, quantity: int, client: str = "FUND") -> bytes:
    return msgspec.json.encode({"id": name, "security": "AAA", "client": client, "quantity": quantity})


async def test_commands_are_answered_once_each_and_in_order_whatever_comes_twice(
    kafka: str, instance: str, url: str
) -> None:
    topic = f"{instance}.locates.requests"
    desk, kept, ring = _Desk(), list[Unreadable](), Ring.create(f"{instance}.ring0", 1 << 20)
    desk.away = 1  # the journal is away for a moment: the command is read again
    try:
        await _make(kafka, topic)
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for value in (_request("a", 100), _request("b", 200), _request("a", 100), b"{", _request("c", 5, "NOBODY")):
                await producer.send_and_wait(topic, value)
            async with _reading(kafka, topic, desk, ring, kept, url):
                answers = await _heard(kafka, topic_of(topic), lambda heard: len(heard) == 4, UpstreamAnswer)
                await until(lambda: ring.feeds[FEED, FeedWord.RECORDS] == 5, "all are noted")
            await producer.send_and_wait(topic, _request("d", 300))
            async with _reading(kafka, topic, desk, ring, kept, url):
                again = await _heard(kafka, topic_of(topic), lambda heard: len(heard) == 5, UpstreamAnswer)
    finally:
        ring.close()
    assert [(answer.id, answer.status) for answer in answers] == [("a", 200), ("b", 200), ("a", 200), ("c", 422)]
    assert msgspec.json.decode(answers[0].answer) == {"state": "approved"}
    assert desk.asked == [("AAA", 100), ("AAA", 200), ("AAA", 300)]
    assert [(entry.reason, entry.raw) for entry in kept] == [("malformed", b"{")]
    assert again[-1].id == "d"  # what was answered before is not read again


async def test_a_command_with_an_odd_time_or_header_is_answered_and_kept_and_those_behind_it_are_carried_out(
    kafka: str, instance: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, now_s = f"{instance}.locates.requests", int(time.time())
    desk, kept, ring = _Desk(), list[Unreadable](), Ring.create(f"{instance}.ring0", 1 << 20)
    try:
        await _make(kafka, topic)
        await send_batch(kafka, topic, [(_request("seconds", 1), [])], monkeypatch, stamp_ms=now_s)
        odd = [(Odd("trace"), b"1")]
        await send_batch(kafka, topic, [(_request("odd", 2), odd), (_request("fine", 3), [])], monkeypatch)
        async with _reading(kafka, topic, desk, ring, kept, url):
            answers = await _heard(kafka, topic_of(topic), lambda heard: len(heard) == 3, UpstreamAnswer)
            await until(lambda: ring.feeds[FEED, FeedWord.RECORDS] == 3, "all are noted")
    finally:
        ring.close()
    told = {answer.id: answer.status for answer in answers}
    assert told == {"seconds": 422, "odd": 422, "fine": 200}
    (old,) = (msgspec.json.decode(answer.answer) for answer in answers if answer.id == "seconds")
    assert old["detail"].startswith(f"older than 7 days: the time of its record is {now_s}")
    assert [quantity for _, quantity in desk.asked] == [3]
    assert [(entry.offset, entry.reason, entry.raw) for entry in kept] == [
        (0, Reason.TOO_OLD, _request("seconds", 1)),
        (1, Reason.ENCODING, _request("odd", 2)),
    ]


async def test_commands_of_a_broker_that_is_away_are_no_live_feed_and_a_reader_that_stands_still_begins_anew(
    kafka: str, instance: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"{instance}.locates.requests"
    desk, ring = _Desk(), Ring.create(f"{instance}.ring0", 1 << 20)
    looks: list[int] = []
    lost: set[int] = set()

    async def silent(*_: Any) -> dict[Any, int]:
        looks.append(int(ring.feeds[FEED, FeedWord.ALIVE_NS]))
        raise KafkaTimeoutError("no answer")

    async def forgetful(consumer: Any, *args: Any, **kwargs: Any) -> Any:
        lost.add(id(consumer))
        if len(lost) > 1:
            return await kafka_poll.poll(consumer, *args, **kwargs)
        await asyncio.sleep(0.01)
        return {}

    monkeypatch.setattr(kafka_watch, "LOOK_S", 0.05)
    monkeypatch.setattr(kafka_watch, "STALLED_S", 0.3)
    try:
        await _make(kafka, topic)
        async with _reading(kafka, topic, desk, ring, [], url):
            await until(lambda: ring.feeds[FEED, FeedWord.ALIVE_NS] > 0, "alive")
            with monkeypatch.context() as patch:
                patch.setattr(kafka_watch, "end_of", silent)
                await until(lambda: len(looks) > 10, "it was asked for long enough")
            assert len(set(looks)) == 1
            await until(lambda: ring.feeds[FEED, FeedWord.ALIVE_NS] > looks[-1], "alive again")
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(topic, _request("a", 100))
        monkeypatch.setattr(upstream_feed, "poll", forgetful)
        async with _reading(kafka, topic, desk, ring, [], url):
            await until(lambda: desk.asked == [("AAA", 100)], "the second consumer reads it")
        assert len(lost) == 2
    finally:
        ring.close()


async def test_every_step_is_told_and_a_restart_goes_on_where_it_was(kafka: str, instance: str, url: str) -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000)
    desk, journal, topic = LocateDesk(inventory, shipped_rules()), Journal(url), f"{instance}.decisions"

    async def decide(outbox: Outbox, quantities: Sequence[int]) -> None:
        for quantity in quantities:
            request = LocateRequest(security="X", client="FUND1", quantity=quantity)
            change = desk.decide(request, NOON_NS, NOON_NS * 2)
            await journal.write([change])
            desk.settle(change)
            outbox.ring()

    before = Outbox(url)
    await decide(before, [1, 2])  # nobody listened yet
    before.close()
    for quantities in ([3, 4], [5]):
        outbox = Outbox(url)
        task = asyncio.create_task(DecisionsTopic(kafka, topic, f"{instance}.none", outbox).run())
        await decide(outbox, quantities)
        steps = await _heard(kafka, topic, _up_to(quantities[-1]), UpstreamStep)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        outbox.close()
    journal.close()
    # nothing from before anybody listened, and nothing left out; what comes twice has the same number
    assert list(dict.fromkeys(step.sequence for step in steps)) == [3, 4, 5]
    assert all(msgspec.json.decode(step.data)["requested"] == step.sequence for step in steps)
    assert {step.state for step in steps} == {"approved"}


async def test_a_sell_order_lives_and_a_locate_is_released_over_kafka_as_over_rest(
    kafka: str, instance: str, tmp_path: Path
) -> None:
    async with serving(instance, tmp_path, _sellable) as api:
        named = topics(f"{instance}.events")
        orders, decisions = named[feed_named("order_requests").index], f"{instance}.decisions"
        locates = named[feed_named("locates").index]
        ring = Ring.create(f"{instance}.ring0", 1 << 20)
        applied = np.zeros((TOPICS, PARTITIONS), np.int64)
        for topic in (orders, locates):
            await _make(kafka, topic)
        located = await api.locate(quantity=10)
        new = {"order": "O1", "security": "S1", "client": "FUND1", "book": _book(api.machine), "side": "long"}
        said: list[dict[str, Any]] = [
            new | {"quantity": 100},
            {"command": "amend", "order": "O1", "quantity": 80, "id": "a"},
            {"command": "executed", "order": "O1", "executed": 30},
            {"command": "amend", "order": "O1", "quantity": 80, "id": "a"},
            {"command": "cancel", "order": "O1"},
            {"command": "cancel", "order": "O2"},
        ]
        task = asyncio.create_task(
            upstream(kafka, named, api.service, lambda: True, Pulse(ring), applied, lambda _kept: None)
        )
        try:
            async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
                for command in said:
                    await producer.send_and_wait(orders, msgspec.json.encode(command))
                end = {"command": "release", "locate": located["id"]}
                await producer.send_and_wait(locates, msgspec.json.encode(end))
            heard = await _heard(kafka, decisions, lambda heard: len(heard) >= 13, UpstreamAnswer | UpstreamStep)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ring.close()
    answers = [each for each in heard if isinstance(each, UpstreamAnswer) and each.topic == orders]
    decoded = [msgspec.json.decode(answer.answer) for answer in answers]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 200, 404]
    assert [(each["state"], each["open"], each["executed"]) for each in decoded[:5]] == [
        ("approved", 100, 0),
        ("approved", 80, 0),
        ("approved", 50, 30),
        ("approved", 80, 0),  # the first answer to the same id
        ("cancelled", 0, 30),
    ]
    steps = [(step.key, step.state) for step in heard if isinstance(step, UpstreamStep)]
    assert [each for each in steps if each[0] == "O1"] == [("O1", "approved")] * 3 + [("O1", "cancelled")]
    assert [state for key, state in steps if key == located["id"]] == ["approved", "released"]


def _sellable(made: Machine) -> None:
    """FUND1's book holds 3,000 of S1."""
    fill(made)
    books = np.zeros(1, BOOK)
    books[0] = (_book(made).encode(), b"FUND1", b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)
    seq = int(made.tables.array["newest"].max()) + 1
    row = {"security": 1, "book": 1, "kind": Kind.CLIENT_FREE, "op": Op.SET, "quantity": 3_000, "seq": seq}
    made.apply(events(row))


def _book(made: Machine) -> str:
    return bytes(made.tables.array["book"][1]["code"]).decode()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'{"command":"shout"}', "new, cancel, release"),
        (b'{"command":"cancel","locate":"17"}', "locate"),
        (b'{"command":"release"}', "locate"),
        (b'{"security":"A","client":"F","quantity":1,"type":"step"}', "type"),
        (b'{"security":"A","client":"F","quantity":1,"quantity":9}', "more than once"),
        (b"[]", "object"),
        (b"\xff", "utf-8|UTF-8|malformed"),
    ],
)
def test_what_is_no_command_is_said_to_be_none(value: bytes, why: str) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeError), match=why):
        requests.locate_command(value)


def test_without_a_command_it_is_a_new_one() -> None:
    order = {"order": "o", "security": "A", "client": "F", "book": "B", "side": "long", "quantity": 1}
    plain = requests.order_command(msgspec.json.encode(order))
    assert plain == requests.order_command(msgspec.json.encode({"command": "new"} | order))
    assert isinstance(plain, requests.NewOrder)
    assert requests.order_asked(plain).order == "o"
