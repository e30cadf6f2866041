"""Redis holds the newest inventory, whatever happens to it; the writer never waits."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
import redis

from app.bench.services import Server, free_port
from feeds import redis_publisher
from feeds.redis_publisher import CHANNEL, KEY, RedisPublisher

FIELDS = ["for_loan_0", "remaining_0"]


@contextlib.asynccontextmanager
async def running(publisher: RedisPublisher) -> AsyncIterator[None]:
    """The publisher at work; stopped as the service stops it."""
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def connections(client: "redis.Redis") -> int:
    """How many Redis has seen."""
    told = client.info("stats")
    assert isinstance(told, dict)
    return int(told["total_connections_received"])


def held(client: "redis.Redis", code: str) -> dict[bytes | str, bytes | str]:
    row = client.hgetall(KEY + code)
    assert isinstance(row, dict)
    return row


async def test_every_row_is_a_hash_and_every_batch_a_message(redis_server: tuple[str, Server]) -> None:
    url, _ = redis_server
    codes = [f"S{number}" for number in range(redis_publisher.BATCH + 50)]
    rows = np.arange(2 * len(codes), dtype=np.int64).reshape(-1, 2) * 10**15
    publisher = RedisPublisher(url, FIELDS)
    with redis.Redis.from_url(url) as client, client.pubsub(ignore_subscribe_messages=True) as inbox:
        inbox.subscribe(CHANNEL)
        inbox.get_message(timeout=5)
        publisher.offer(codes, rows)
        async with running(publisher):
            await until(lambda: publisher.published == len(codes))
        assert held(client, "S3") == {b"for_loan_0": b"6000000000000000", b"remaining_0": b"7000000000000000"}
        told: list[str] = []
        while message := inbox.get_message(timeout=0.2):
            batch = json.loads(message["data"])
            assert len(batch) <= redis_publisher.BATCH
            told += batch
    assert told == codes
    assert publisher.failed == 0


async def test_only_the_newest_row_of_a_security_is_kept(redis_server: tuple[str, Server]) -> None:
    url, _ = redis_server
    publisher = RedisPublisher(url, FIELDS)
    for number in range(5_000):
        publisher.offer(["A", "B"], np.array([[number, 1], [-number, 2]], np.int64))
    assert publisher.waiting == 2
    async with running(publisher):
        await until(lambda: publisher.waiting == 0)
    assert publisher.published == 2
    with redis.Redis.from_url(url) as client:
        assert held(client, "A")[b"for_loan_0"] == b"4999"
        assert held(client, "B")[b"for_loan_0"] == b"-4999"


async def test_what_redis_holds_already_is_not_sent_again(redis_server: tuple[str, Server]) -> None:
    url, _ = redis_server
    publisher = RedisPublisher(url, FIELDS)
    with redis.Redis.from_url(url) as client:
        async with running(publisher):
            publisher.offer(["A", "B"], np.array([[1, 2], [3, 4]], np.int64))
            await until(lambda: publisher.published == 2)
            before = connections(client)
            publisher.offer(["A", "B"], np.array([[1, 2], [3, 5]], np.int64))
            await until(lambda: publisher.waiting == 0)
        lost = connections(client) > before  # on a busy machine one may be; then Redis might be an empty one
        assert publisher.published == (4 if lost else 3)
        assert held(client, "B") == {b"for_loan_0": b"3", b"remaining_0": b"5"}


async def test_a_restarted_redis_that_lost_everything_gets_everything(redis_server: tuple[str, Server]) -> None:
    url, server = redis_server
    publisher = RedisPublisher(url, FIELDS)
    async with running(publisher):
        publisher.offer(["A", "B"], np.array([[1, 2], [3, 4]], np.int64))
        await until(lambda: publisher.published == 2)
        server.kill()
        publisher.offer(["A"], np.array([[9, 9]], np.int64))
        await until(lambda: publisher.failed > 0)
        server.start()
        await until(lambda: publisher.waiting == 0)
        with redis.Redis.from_url(url) as client:
            assert held(client, "A") == {b"for_loan_0": b"9", b"remaining_0": b"9"}
            assert held(client, "B") == {b"for_loan_0": b"3", b"remaining_0": b"4"}


async def test_a_restart_is_noticed_while_nothing_changes(redis_server: tuple[str, Server]) -> None:
    url, server = redis_server
    publisher = RedisPublisher(url, FIELDS)
    async with running(publisher):
        publisher.offer(["A"], np.array([[1, 2]], np.int64))
        await until(lambda: publisher.published == 1)
        server.kill()
        server.start()
        await until(lambda: publisher.published == 2)
        with redis.Redis.from_url(url) as client:
            assert held(client, "A") == {b"for_loan_0": b"1", b"remaining_0": b"2"}


async def test_offers_are_cheap_and_bounded_while_redis_is_away() -> None:
    """10,000 securities, offered 100 times without a Redis: a row each is kept, and the last ones leave at once."""
    publisher = RedisPublisher(f"redis://127.0.0.1:{free_port()}/0", FIELDS)
    codes = [f"S{number}" for number in range(10_000)]
    rows = np.zeros((10_000, 2), np.int64)
    async with running(publisher):
        for _ in range(100):
            publisher.offer(codes, rows)
            await asyncio.sleep(0)
        await until(lambda: publisher.failed > 0)
        assert publisher.waiting == 10_000
    assert publisher.published == 0


async def test_what_is_left_is_written_at_the_end(redis_server: tuple[str, Server]) -> None:
    url, _ = redis_server
    publisher = RedisPublisher(url, FIELDS)
    async with running(publisher):
        await asyncio.sleep(0)
        publisher.offer(["A"], np.array([[1, 2]], np.int64))
    with redis.Redis.from_url(url) as client:
        assert held(client, "A")[b"remaining_0"] == b"2"


def test_rows_of_another_shape_are_refused() -> None:
    publisher = RedisPublisher("redis://127.0.0.1:1/0", FIELDS)
    with pytest.raises(ValueError, match=r"\(1, 3\) instead of \(1, 2\)"):
        publisher.offer(["A"], np.zeros((1, 3), np.int64))


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="redis://"):
        RedisPublisher("nonsense", FIELDS)


async def test_a_publisher_ends_though_a_cancellation_was_lost(
    redis_server: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = redis_server
    publisher = RedisPublisher(url, FIELDS)
    flush, stopping = publisher._flush, asyncio.Event()

    async def losing() -> None:
        await flush()
        if stopping.is_set():
            return
        stopping.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(publisher, "_flush", losing)
    publisher.offer(["A"], np.array([[1, 2]], np.int64))
    async with asyncio.timeout(60):
        async with running(publisher):
            await stopping.wait()
    assert publisher.published == 1
