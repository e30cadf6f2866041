"""A webhook is told of everything that was decided, in order, signed, whatever fails in between; and nobody else is."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.journal import Journal
from app.outbox import Kind, Outbox
from app.webhooks import WebhookError, Webhooks
from app.webhooks_message import origins_of, refusal
from app.webhooks_store import WebhookState
from engine.locate_desk import LocateDesk
from engine.locates import LocateRequest
from tests.app.journal_urls import STORES, journal_url
from tests.app.webhook_receiver import Receiver, genuine, receiving
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules
from tests.feeds.desk import until


class _World:
    """A journal that locates are written to, and webhooks that are told."""

    def __init__(self, url: str, origin: str, pauses_s: tuple[float, ...] = (0.01, 0.01, 0.01)) -> None:
        self._url, self._origin, self._pauses_s = url, origin, pauses_s
        self.journal = Journal(url)
        inventory = PlainInventory()
        inventory.add("X", 1_000_000)
        self._desk = LocateDesk(inventory, shipped_rules())
        self._begin()

    def _begin(self) -> None:
        self.outbox = Outbox(self._url)
        self.webhooks = Webhooks(self.outbox, "secret", self._origin, lambda: NOON_NS, self._pauses_s)
        self._task = asyncio.create_task(self.webhooks.run())

    async def decide(self, count: int, client: str = "FUND1") -> None:
        for _ in range(count):
            request = LocateRequest(security="X", client=client, quantity=1)
            change = self._desk.decide(request, NOON_NS, NOON_NS * 2)
            await self.journal.write([change])
            self._desk.settle(change)
        self.outbox.ring()

    async def restart(self) -> None:
        """The end without noting how far anybody is, and another beginning."""
        await self._end()
        self.outbox._unwritten.clear()
        self.outbox.close()
        self._begin()

    async def _end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self._end()
        self.outbox.close()
        self.journal.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(params=STORES)
async def world(receiver: Receiver, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[_World]:
    world = _World(journal_url(request.param, request, tmp_path), receiver.origin)
    yield world
    await world.close()


@pytest.fixture
async def small(receiver: Receiver, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[_World]:
    world = _World(journal_url("sqlite", request, tmp_path), receiver.origin)
    yield world
    await world.close()


async def test_what_happens_after_the_registration_comes_in_order_and_signed(world: _World, receiver: Receiver) -> None:
    await world.decide(3)
    made, secret = await world.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await world.decide(250)
    await until(lambda: len(receiver.events) == 250, "all have come")
    assert receiver.sequences() == list(range(4, 254))
    assert {event["state"] for event in receiver.events} == {"approved"}
    assert receiver.events[0]["data"]["id"] == receiver.events[0]["key"] == "L0000000004"
    assert all(genuine(secret, headers, body) for headers, body in receiver.messages)
    headers, body = receiver.messages[0]
    assert not genuine(secret, headers, body.replace(b"FUND1", b"FUND2"))
    async with asyncio.timeout(90):
        while await _taken(world) != {made.webhook.id: {Kind.LOCATES: 253}}:  # noqa: ASYNC110  an answer has no event
            await asyncio.sleep(0.01)


async def test_a_restart_loses_nothing_and_what_comes_twice_has_its_number(world: _World, receiver: Receiver) -> None:
    await world.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await world.decide(5)
    await until(lambda: len(receiver.events) == 5, "the first have come")
    await world.restart()
    await world.decide(5)
    await until(lambda: receiver.sequences()[-1:] == [10], "the last has come")
    assert sorted(set(receiver.sequences())) == list(range(1, 11))


async def test_what_is_not_taken_is_sent_again_under_the_same_id(small: _World, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 404]
    await small.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await small.decide(1)
    await small.decide(1)
    await until(lambda: len(receiver.events) == 2, "both have come")
    assert receiver.sequences() == [1, 2]


async def test_a_hook_that_takes_nothing_dies_and_a_replay_brings_it_back_without_a_gap(
    small: _World, receiver: Receiver
) -> None:
    receiver.answers = [500] * 4
    made, _ = await small.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await small.decide(2)
    await until(lambda: _dead(small), "it is dead")
    (now,) = await small.webhooks.all()
    assert "500" in now.error
    await small.restart()
    (now,) = await small.webhooks.all()
    assert now.webhook.state == WebhookState.DEAD
    await small.decide(1)
    await small.webhooks.replay(made.webhook.id, Kind.LOCATES, 0)
    await until(lambda: len(receiver.events) == 3, "all have come")
    assert receiver.sequences() == [1, 2, 3]
    with pytest.raises(WebhookError, match="newest"):
        await small.webhooks.replay(made.webhook.id, Kind.LOCATES, 99)


async def test_who_says_gone_is_not_asked_again(small: _World, receiver: Receiver) -> None:
    receiver.answers = [410, 410]
    await small.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await small.decide(1)
    await until(lambda: _dead(small), "it is dead")
    assert receiver.answers == [410]


async def test_a_hook_for_a_client_hears_of_no_other(small: _World, receiver: Receiver) -> None:
    await small.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], ["FUND2"], "ann", "")
    await small.decide(3)
    await small.decide(2, "FUND2")
    await until(lambda: len(receiver.events) == 2, "its own have come")
    assert {event["data"]["client"] for event in receiver.events} == {"FUND2"}


async def test_a_removed_hook_hears_nothing_more(small: _World, receiver: Receiver) -> None:
    made, _ = await small.webhooks.register(f"{receiver.origin}/hook", [Kind.LOCATES], None, "ann", "")
    await small.webhooks.remove(made.webhook.id)
    assert await small.webhooks.all() == []
    assert await small.outbox.cursor(made.webhook.consumer, Kind.LOCATES) is None


async def _taken(world: _World) -> dict[str, dict[Kind, int]]:
    return {now.webhook.id: now.sequences for now in await world.webhooks.all()}


def _dead(world: _World) -> bool:
    return {webhook.state for webhook in world.webhooks._webhooks.values()} == {WebhookState.DEAD}


ORIGINS = origins_of("https://hooks.example.com, http://10.0.0.5:8080")


@pytest.mark.parametrize(
    "url",
    ["https://hooks.example.com/a?b=c", "https://HOOKS.example.com:443/", "http://10.0.0.5:8080/x"],
)
def test_listed_origins_may_be_sent_to(url: str) -> None:
    assert refusal(url, ORIGINS) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com.evil.example/",
        "https://hooks.example.com@evil.example/",
        "https://user:secret@hooks.example.com/",
        "https://evil.example\\@hooks.example.com/",
        "https://evil.example#hooks.example.com",
        "https://hooks.example.com:99999/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.5/",
        "http://[::1]:8080/",
        "file:///etc/passwd",
        "hooks.example.com",
        "",
    ],
)
async def test_nothing_else_may_be_sent_to(small: _World, url: str) -> None:
    assert refusal(url, ORIGINS)
    with pytest.raises(WebhookError):
        await small.webhooks.register(url, [Kind.LOCATES], None, "ann", "")


@pytest.mark.parametrize("text", ["hooks.example.com", "https://a.example/path", "https://u@a.example"])
def test_a_setting_that_names_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|address"):
        origins_of(text)


async def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Twice; what comes twice comes with the same number and the same contents."""
    url, count, chance = f"sqlite:///{tmp_path / 'journal.db'}", 400, random.Random(5)
    async with receiving() as receiver:
        for wanted in (60, 200, count):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.app.webhook_process", url, receiver.origin, str(count)),
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=asyncio.subprocess.DEVNULL,
            )
            if wanted < count:
                receiver.answers = [503] * chance.randrange(3)
            await until(lambda wanted=wanted: max(receiver.sequences(), default=0) >= wanted, "so many", 40)  # type: ignore[misc]
            process.kill()
            await process.wait()
    seen: dict[int, object] = {}
    for event in receiver.events:
        assert seen.setdefault(event["sequence"], event) == event
        assert event["sequence"] - 1 in seen or event["sequence"] == 1, "no gap, whenever"
    assert sorted(seen) == list(range(1, count + 1))
