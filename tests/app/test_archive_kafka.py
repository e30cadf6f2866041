"""The archive and a real broker: a past that is produced again, and gaps that are filled, by the command line."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from app import cli
from app.archive_asof import asof
from app.archive_repair import from_kafka
from engine.model import Op
from engine.symbols import Symbols
from feeds import json_events
from feeds.kafka_client import connected
from feeds.quarantine import Origin
from feeds.registry import FEEDS
from feeds.simulator_kafka import Producer
from tests.app.archived import archived, now, seen
from tests.engine.machines import events, machine

_FAR_NS = 2**62
_DAY = "2024-10-04"


def _record(offset: int) -> bytes:
    text = f'"src":"s1","seq":{offset + 1},"ts":{1_000 + offset},"op":"BUY","sec":"S2","book":"B1","depot":"","kind":"FIRM"'
    return f'{{{text},"trade":"{_DAY}","settle":"{_DAY}","qty":{offset + 1},"flags":0}}'.encode()


async def _produce(bootstrap: str, topic: str, count: int) -> None:
    async with Producer(bootstrap) as producer:
        await producer.make_topics(topic, f"{topic}-reference", 1)
    sender = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await sender.start()
    try:
        for offset in range(count):
            await sender.send(topic, _record(offset), partition=0)
        await sender.flush()
    finally:
        await sender.stop()


async def _consumed(bootstrap: str, topic: str) -> list[bytes]:
    async with connected(bootstrap) as consumer:
        place = TopicPartition(topic, 0)
        (end,) = (await consumer.end_offsets([place])).values()
    return [value for _, value, _ in await from_kafka(bootstrap, topic, 0, 0, end)]


def test_a_gap_is_repaired_from_the_broker(
    kafka: str, instance: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic, count = f"repair-{instance}", 4_000
    asyncio.run(_produce(kafka, topic, count))
    folder = tmp_path / "archive" / "messages"
    with archived(folder, instance, ring_bytes=1 << 17) as of:
        for first in range(0, count, 50):
            rows = [
                {"op": Op.BUY, "quantity": at + 1, "offset": at, "time_ns": 1_000 + at}
                for at in range(first, first + 50)
            ]
            of.machine.apply(events(*rows, first_seq=first + 1))
            of.machine.tables.array["applied"][0, 0] = first + 50
            if first in (500, 3_000):
                of.drain.step(at_once=True)
        of.drain.step(at_once=True)
        had = now(of.machine, 2)
        assert len(of.manifest.gaps()) == 1
    named = ["--kafka", kafka, "--events-topic", topic, "--data", str(tmp_path)]
    assert cli.main(["archive", "repair", *named]) == 0
    assert "repaired with" in capsys.readouterr().out
    answer = asof(folder, _FAR_NS, "S2")
    assert (seen(answer.copy), answer.gaps) == (had, ())
    assert cli.main(["archive", "repair", *named]) == 0


def test_what_is_replayed_to_a_topic_makes_the_same_rows_again(kafka: str, instance: str, tmp_path: Path) -> None:
    topic = f"replay-{instance}"
    with archived(tmp_path / "archive" / "messages", instance) as of:
        of.machine.apply(events(*({"security": 1 + at % 3, "quantity": 100 * at} for at in range(30))))
        of.machine.apply(events(*({"op": Op.BUY, "quantity": 5, "topic": 4} for _ in range(4)), first_seq=29))
        of.drain.step(at_once=True)
        had = [now(of.machine, security)["rows"] for security in (1, 2, 3)]
    data = ["--data", str(tmp_path)]
    assert (
        cli.main(["replay", "--from", "2001-01-01", "--to", "2030-01-01", "--kafka", kafka, "--topic", topic, *data])
        == 0
    )
    records = asyncio.run(_consumed(kafka, topic))
    assert len(records) == 32  # what was known already is not told again
    with machine(f"{instance}-again", securities=3) as again:
        symbols, feed = Symbols(again.tables.array["symbols"]), FEEDS[0]
        assert feed.permitted is not None
        decoded = json_events.decode(records, symbols, Origin.of(topic, len(records)), feed.permitted)
        assert not decoded.unreadable
        again.apply(decoded.events)
        assert [now(again, security)["rows"] for security in (1, 2, 3)] == had
