"""The worker as a process: it waits for its engine, survives kill -9 without loss, and goes when its engine or parent goes."""

import asyncio
import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings import Settings
from engine.tables import Word
from feeds.simulator_kafka import Producer
from tests.feeds.desk import Desk, until

PATIENCE_S = 180


@contextlib.asynccontextmanager
async def _worker(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process as the supervisor starts it; READY has been read."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.child", "worker"),
        env=os.environ | {"IMS_SETTINGS": settings.to_json(), "IMS_WORKER": "0"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line.strip() == b"READY"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _settings(instance: str, tmp_path: Path, **more: object) -> Settings:
    given = {"instance": instance, "data": str(tmp_path), "securities": 300, "rate": 2_000} | more
    return Settings.load(given)


async def test_it_feeds_the_simulated_day_and_stops_orderly(instance: str, tmp_path: Path) -> None:
    async with Desk(instance, tmp_path) as desk, _worker(_settings(instance, tmp_path)) as worker:
        await until(lambda: desk.count(Word.READY) == 1, "ready")
        opening = desk.count(Word.EVENTS)
        await until(lambda: desk.count(Word.EVENTS) > opening + 1_000, "the day")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), PATIENCE_S) == 0


async def test_it_waits_for_an_engine_that_starts_later(instance: str, tmp_path: Path) -> None:
    settings = _settings(instance, tmp_path)
    starting = asyncio.create_task(_first_line(settings))
    async with Desk(instance, tmp_path):
        assert await asyncio.wait_for(starting, PATIENCE_S) == b"READY"


async def _first_line(settings: Settings) -> bytes:
    async with _worker(settings):
        return b"READY"


async def test_it_ends_when_its_engine_is_gone(instance: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(Desk(instance, tmp_path))
        worker = await stack.enter_async_context(_worker(_settings(instance, tmp_path)))
        await until(lambda: desk.count(Word.EVENTS) > 0, "events")
        for ring in desk.rings:
            ring.segment.path.unlink()
        assert await asyncio.wait_for(worker.wait(), PATIENCE_S) != 0


async def test_it_ends_when_its_parent_is_gone(instance: str, tmp_path: Path) -> None:
    async with Desk(instance, tmp_path), _worker(_settings(instance, tmp_path)) as worker:
        assert worker.stdin is not None
        worker.stdin.close()
        assert await asyncio.wait_for(worker.wait(), PATIENCE_S) == 0


def _more_than(desk: Desk, events: int) -> bool:
    return desk.count(Word.EVENTS) > events


@pytest.mark.parametrize("encoding", ["json", "arrow"])
async def test_kill_9_in_the_middle_of_kafka_loses_and_doubles_nothing(
    kafka: str, instance: str, tmp_path: Path, encoding: str
) -> None:
    topic = f"killed-{instance}"
    settings = _settings(instance, tmp_path, kafka=kafka, events_topic=topic, reference_topic=f"{topic}-reference")
    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        simulator = desk.simulator(partitions=3)
        await producer.make_topics(topic, settings.reference_topic, 3)
        await producer.send_reference(settings.reference_topic, simulator.reference(), 1)
        for drafts in [*simulator.start_of_day(time.time_ns()), simulator.next(60_000, time.time_ns())]:
            for records in simulator.records(drafts, topic, encoding, 100):
                await producer.send(records, 1)
        await producer.flush()
        for part in range(3):
            async with _worker(settings) as worker:
                await until(functools.partial(_more_than, desk, part * 5_000), "some events")
                worker.kill()
                await worker.wait()
        async with _worker(settings):
            await until(lambda: desk.rings[0].ready and desk.rings[0].drained, "caught up")
        observed, expected = desk.observed(), simulator.expected
        assert (observed.events, observed.missing) == (expected.events, expected.missing)
        assert (observed.unreadable, observed.unknown) == (expected.unreadable, expected.unknown)
