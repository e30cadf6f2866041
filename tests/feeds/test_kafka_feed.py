"""Kafka with a real broker: every record is accounted for, whatever is killed, mixed, late or missing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from app.bench import kafka_broker, services
from engine.ring import FeedWord
from engine.tables import Word
from feeds import kafka as kafka_feed
from feeds import kafka_client, kafka_watch, reference
from feeds.kafka import WorkerFeed
from feeds.kafka_client import Broker
from feeds.kafka_reference import ReferenceFeed, ReferenceView
from feeds.kafka_watch import StalledError
from feeds.quarantine import Reason
from feeds.registry import topics
from feeds.simulator import Records, Simulator
from feeds.simulator_kafka import Producer
from tests.feeds.desk import Desk, until
from tests.feeds.odd_headers import Odd, send_batch


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def _feeding(desk: Desk, bootstrap: str, topic: str) -> AsyncIterator[list[asyncio.Task[None]]]:
    """All workers of the desk read `topic` and `topic-reference`; yields their tasks, the first is worker 0's."""
    named, known = topics(topic, f"{topic}-reference"), ReferenceView(f"{topic}-reference", desk.rings[0])
    count = len(desk.rings)
    coroutines = [
        WorkerFeed(Broker(bootstrap), named, (number, count), desk.symbols, outlet, known, desk.markets).run()
        for number, outlet in enumerate(desk.outlets)
    ]
    applied = desk.machine.tables.array["applied"]
    feed = ReferenceFeed(Broker(bootstrap), named, desk.markets, desk.symbols, desk.outlets[0], applied=applied)
    coroutines.append(feed.run())
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_consumer_that_connected_ahead_knows_its_topics_and_is_given_once(kafka: str, instance: str) -> None:
    topic = f"ahead-{instance}"
    async with Producer(kafka) as producer:
        await producer.make_topics(topic, f"{topic}-reference", 3)
    broker, unused = Broker(kafka), Broker(kafka)
    unused.ahead([topic])
    broker.ahead([topic, "not-there"])
    async with broker.connected() as first, broker.connected() as second:
        assert first is not second
        assert await kafka_client.present(first, [topic]) == {topic: [0, 1, 2]}
        assert await kafka_client.present(second, [topic]) == {topic: [0, 1, 2]}
    await unused.close()


async def _send(producer: Producer, simulator: Simulator, topic: str, events: int, encodings: Sequence[str]) -> None:
    """That many events in portions, each in the next encoding; the start of day is sent by the first call."""
    for number, first in enumerate(range(0, events, 2_000)):
        drafts = simulator.next(min(2_000, events - first), time.time_ns())
        for records in simulator.records(drafts, topic, encodings[number % len(encodings)], 300):
            await producer.send(records, _now_ms())
    await producer.flush()


async def _begin(producer: Producer, simulator: Simulator, topic: str) -> None:
    await producer.make_topics(topic, f"{topic}-reference", simulator.partitions)
    await producer.send_reference(f"{topic}-reference", simulator.reference(), _now_ms())
    for drafts in simulator.start_of_day(time.time_ns()):
        for records in simulator.records(drafts, topic, "arrow"):
            await producer.send(records, _now_ms())
    await producer.flush()


async def test_every_record_of_both_encodings_is_accounted_for(kafka: str, instance: str, tmp_path: Path) -> None:
    topic = f"mixed-{instance}"
    async with Desk(instance, tmp_path, workers=2) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=5)
        await _begin(producer, simulator, topic)
        await _send(producer, simulator, topic, 30_000, ["json", "arrow"])
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.count(Word.READY) == 1, "ready")
            assert desk.observed() == simulator.expected
            await _send(producer, simulator, topic, 10_000, ["arrow", "json"])
            await until(lambda: desk.observed() == simulator.expected, f"{simulator.expected}")
        assert simulator.expected.duplicates * simulator.expected.missing > 0
        assert simulator.expected.unreadable * simulator.expected.unknown > 0
        assert desk.rejected == []
        ends = [int(ring.progress[0, partition]) for partition in range(5) for ring in [desk.rings[partition % 2]]]
        assert all(end > 0 for end in ends)


async def test_a_worker_that_starts_again_neither_loses_nor_doubles(kafka: str, instance: str, tmp_path: Path) -> None:
    topic = f"again-{instance}"
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=3)
        await _begin(producer, simulator, topic)
        await _send(producer, simulator, topic, 40_000, ["json"])
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.count(Word.EVENTS) > 0, "the first events")
        # as if it had been killed before it could note what it had handed over
        desk.rings[0].progress[0, :3] = np.maximum(desk.rings[0].progress[0, :3] - 500, 0)
        again = desk.count(Word.DUPLICATES)
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.count(Word.READY) == 1, "ready")
        await until(lambda: desk.rings[0].drained, "drained")
        expected = replace(simulator.expected, duplicates=desk.count(Word.DUPLICATES))
        assert desk.observed() == expected
        assert again <= desk.count(Word.DUPLICATES) <= simulator.expected.duplicates + 1_500


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[tuple[str, services.Server]]:
    """A broker of the test's own, which it may stop and start."""
    folder, port = tmp_path / "broker", services.free_port()
    folder.mkdir()
    try:
        command = kafka_broker.java_command(folder, port, services.free_port())
    except kafka_broker.NoKafkaError as error:
        pytest.skip(str(error))
    server = services.Server(command, folder, lambda log: b"Kafka Server started" in log.read_bytes())
    server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        server.stop()


async def test_a_broker_that_goes_and_comes_back_is_followed_on(
    own_broker: tuple[str, services.Server], instance: str, tmp_path: Path
) -> None:
    bootstrap, server = own_broker
    async with Desk(instance, tmp_path) as desk:
        simulator = desk.simulator(partitions=2)
        async with Producer(bootstrap) as producer:
            await _begin(producer, simulator, "events")
            await _send(producer, simulator, "events", 5_000, ["json"])
        async with _feeding(desk, bootstrap, "events") as tasks:
            await until(lambda: desk.observed() == simulator.expected, "before")
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with Producer(bootstrap) as producer:
                await _send(producer, simulator, "events", 5_000, ["arrow"])
            await until(lambda: desk.observed() == simulator.expected, "after")
            assert not any(task.done() for task in tasks)


async def test_topics_and_a_broker_that_are_not_there_yet_are_waited_for(
    kafka: str, instance: str, tmp_path: Path
) -> None:
    topic = f"late-{instance}"
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=2)
        async with _feeding(desk, kafka, topic) as tasks, _feeding(desk, "127.0.0.1:1", topic) as waiting:
            await _begin(producer, simulator, topic)
            await until(lambda: desk.observed() == simulator.expected, "everything")
            assert not any(task.done() for task in [*tasks, *waiting])


async def test_a_broker_that_goes_while_the_feed_begins_is_asked_again(
    kafka: str, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"begins-{instance}"
    asked: list[int] = []

    async def end_of(consumer: Any, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        asked.append(len(places))
        if len(asked) < 3:
            raise KafkaTimeoutError("no answer")
        return await kafka_client.end_of(consumer, places)

    monkeypatch.setattr(kafka_feed, "end_of", end_of)
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=1)
        await _begin(producer, simulator, topic)
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.observed() == simulator.expected, "everything")
    assert len(asked) >= 3


async def test_a_code_that_the_reference_topic_explains_is_not_quarantined(
    kafka: str, instance: str, tmp_path: Path
) -> None:
    topic = f"explained-{instance}"
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=1)
        await _begin(producer, simulator, topic)
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.observed() == simulator.expected, "the start of day")
            new = reference.Security("NEWCOMER", market="US")
            await producer.send_reference(f"{topic}-reference", [new], _now_ms())
            await producer.send(_records(topic, [_event("NEWCOMER", 1), _event("NOBODY", 2)]), _now_ms())
            await producer.flush()
            await until(lambda: len(desk.unreadable) == 1, "the unknown one")
        (entry,) = desk.unreadable
        assert (entry.reason, b"NOBODY" in entry.raw) == (Reason.UNKNOWN_SECURITY, True)
        assert desk.count(Word.EVENTS) == simulator.expected.events + 1


async def test_headers_decide_and_records_without_a_value_are_kept(kafka: str, instance: str, tmp_path: Path) -> None:
    topic = f"headers-{instance}"
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=1)
        await _begin(producer, simulator, topic)
        await producer.send(replace(_records(topic, [_event("NOBODY", 1)]), encoding="avro"), _now_ms())
        await producer.send(replace(_records(topic, [b"{}"]), encoding="arrow"), _now_ms())
        await producer.flush()
        async with _feeding(desk, kafka, topic):
            await until(lambda: len(desk.unreadable) == 2, "two records")
        assert [entry.reason for entry in desk.unreadable] == [Reason.ENCODING, Reason.MALFORMED]


async def test_a_header_that_is_not_text_costs_its_record_alone_whatever_shares_its_batch(
    kafka: str, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"odd-{instance}"
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=2)
        await _begin(producer, simulator, topic)
        await producer.send_reference(f"{topic}-reference", [reference.Security("NEW", market="US")], _now_ms())
        await producer.flush()
        odd = [("trace", b"1"), (Odd("n"), b"2")]
        trades = [(_event("NEW", seq, qty=seq), odd if seq == 2 else []) for seq in (1, 2, 3)]
        await send_batch(kafka, topic, trades, monkeypatch)
        later = [reference.encode(reference.Security(code, market="US")) for code in ("LOST", "LATER")]
        await send_batch(kafka, f"{topic}-reference", [(later[0], odd), (later[1], [])], monkeypatch)
        async with _feeding(desk, kafka, topic) as tasks:
            await until(lambda: desk.count(Word.READY) == 1 and len(desk.unreadable) >= 2, "all is read")
            await send_batch(kafka, topic, [(_event("LATER", 4), [])], monkeypatch)
            await until(lambda: desk.count(Word.EVENTS) == simulator.expected.events + 3, "what came behind it")
            assert not any(task.done() for task in tasks)
        kept = {(entry.topic, entry.partition, entry.raw, entry.reason) for entry in desk.unreadable}
        assert kept == {
            (topic, 0, trades[1][0], Reason.ENCODING),
            (f"{topic}-reference", 0, later[0], Reason.ENCODING),
        }
        assert all("not UTF-8" in entry.detail for entry in desk.unreadable)
        assert desk.count(Word.MISSING) == simulator.expected.missing + 1  # the number of the one that is set aside


async def test_the_start_of_day_comes_before_trades_and_a_topic_that_comes_later_is_read(
    kafka: str, instance: str, tmp_path: Path
) -> None:
    topic, now = f"{instance}.events", _now_ms()
    prices, trades, positions = (f"{instance}.{name}" for name in ("prices", "trades", "positions"))
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        await producer.make_topics(trades, f"{topic}-reference", 1)
        await producer.make_topics(positions, f"{topic}-reference", 1)
        named: list[Any] = [reference.Security("NEW", market="US"), reference.Book("B1"), reference.Depot("DTC")]
        await producer.send_reference(f"{topic}-reference", [*named, reference.Source("stray-0")], now)
        day = desk.machine.tables.array["today"][0] + np.datetime64("1970-01-01", "D")
        await producer.send(_records(trades, [_event("NEW", 3, "BUY", "B1", f'"{day}"', 5)]), now)
        head = '"src":"stray-0","ts":1,"book":"B1"'
        begins = f'{{"type":"book",{head},"seq":1}}'
        held = f'{{"type":"position",{head},"seq":2,"sec":"NEW","depot":"","kind":"FIRM","sd":100}}'
        await producer.send(_records(positions, [begins.encode(), held.encode()]), now)
        await producer.flush()
        async with _feeding(desk, kafka, topic):
            await until(lambda: desk.count(Word.READY) == 1, "ready")
            assert desk.applied()[1:].tolist() == [[105], [100]]
            await producer.make_topics(prices, f"{topic}-reference", 1)
            await producer.send(_records(prices, [_event("NEW", 4), _event("NEW", 5, "BUY", "B1", "null", 1)]), now)
            await producer.flush()
            await until(lambda: len(desk.unreadable) == 1, "a trade is no price")
            words = desk.rings[0].feeds[3]
            await until(lambda: bool(words[FeedWord.ALIVE_NS]), "abreast")
        assert desk.count(Word.EVENTS) == 4
        told = [int(words[word]) for word in (FeedWord.RECORDS, FeedWord.EVENTS, FeedWord.UNREADABLE, FeedWord.LAG)]
        assert told == [2, 1, 1, 0]
        assert desk.machine.tables.array["applied"][3, 0] == 2


def _event(security: str, seq: int, op: str = "PRICE", book: str = "", settle: str = "null", qty: int = 1) -> bytes:
    return (
        f'{{"src":"stray-0","seq":{seq},"ts":1,"op":"{op}","sec":"{security}","book":"{book}","depot":"","kind":"FIRM",'
        f'"trade":null,"settle":{settle},"qty":{qty},"flags":0}}'
    ).encode()


def _records(topic: str, values: list[bytes]) -> Records:
    return Records(topic, 0, values, None, "json", len(values))


class _LostClient:
    """A client that has something to read and does not read it."""

    def __init__(self, *, silent: bool = False, topics: Sequence[str] = ("t.events",), paused: bool = False) -> None:
        self.silent = silent
        self._topics = topics
        self._paused = paused

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.silent:
            raise TimeoutError("no answer")
        return dict.fromkeys(places, 100)

    async def topics(self) -> set[str]:
        return set(self._topics)

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0}

    def paused(self) -> set[TopicPartition]:
        return {PLACE} if self._paused else set()


PLACE = TopicPartition("t.events", 0)


def _watching(desk: Desk, client: _LostClient, monkeypatch: pytest.MonkeyPatch) -> tuple[WorkerFeed, Any]:
    for name, seconds in (("LOOK_S", 0.01), ("STALLED_S", 0.1), ("SILENT_S", 0.3), ("TOPICS_S", 0.03)):
        monkeypatch.setattr(kafka_watch, name, seconds)
    known = ReferenceView("reference", desk.rings[0])
    feed = WorkerFeed(Broker("127.0.0.1:1"), topics("t.events"), (0, 1), desk.symbols, desk.outlets[0], known)
    feed.watch.begin(client, {"t.events": [0]}, [PLACE])
    return feed, feed.watch.run()


async def _polling(feed: WorkerFeed, task: asyncio.Task[None], done: Callable[[], bool]) -> None:
    def polls_on() -> bool:
        feed.watch.polls += 1
        return done()

    await until(polls_on, "the watch speaks up")
    task.cancel()


async def test_a_client_that_does_not_go_on_ends_the_worker(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Desk(instance, tmp_path) as desk:
        feed, watching = _watching(desk, _LostClient(), monkeypatch)
        task = asyncio.create_task(watching)
        await _polling(feed, task, task.done)
        with pytest.raises(StalledError, match=r"t.events\[0\] stands at 0 of 100"):
            task.result()


async def test_silent_brokers_a_full_ring_and_a_topic_that_waits_for_another_are_not_taken_for_a_lost_client(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Desk(instance, tmp_path) as desk:
        _, watching = _watching(desk, _LostClient(), monkeypatch)  # nothing polls: the ring is full
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watching, 0.5)
        feed, watching = _watching(desk, _LostClient(paused=True), monkeypatch)
        feed.watch.polls += 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watching, 0.5)
        feed, watching = _watching(desk, _LostClient(silent=True), monkeypatch)
        feed.watch.polls += 1
        with pytest.raises(kafka_watch.AnewError):
            await asyncio.wait_for(watching, 120)


async def test_lag_is_told_by_feed_and_a_topic_that_comes_is_seen(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Desk(instance, tmp_path) as desk:
        client = _LostClient(topics=("t.events", "t.trades"))
        desk.rings[0].progress[0, 0] = 60
        feed, watching = _watching(desk, client, monkeypatch)
        task = asyncio.create_task(watching)
        words = desk.rings[0].feeds[0]
        await _polling(feed, task, lambda: feed.watch.others and bool(words[FeedWord.LAG] == 40))
        assert words[FeedWord.ALIVE_NS] > 0  # at first: nothing was known to be there
