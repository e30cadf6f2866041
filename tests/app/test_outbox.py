"""The outbox tells every step once per asking, in order, on both stores; and remembers who has had what."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app import outbox as module
from app.bell import Bell, rung
from app.journal import Journal
from app.outbox import Kind, Outbox
from engine.locate_desk import LocateDesk
from engine.locates import LocateRequest, State
from tests.app.journal_urls import STORES, journal_url
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules


class _World:
    """A journal, and the outbox that reads it."""

    def __init__(self, url: str) -> None:
        self.url, self.journal, self.outbox = url, Journal(url), Outbox(url)
        inventory = PlainInventory()
        inventory.add("X", 1_000_000)
        self.desk = LocateDesk(inventory, shipped_rules())

    async def decide(self, count: int, client: str = "FUND1") -> None:
        for _ in range(count):
            change = self.desk.decide(LocateRequest(security="X", client=client, quantity=1), NOON_NS, NOON_NS * 2)
            await self.journal.write([change])
            self.desk.settle(change)
        self.outbox.ring()


@pytest.fixture(params=STORES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[_World]:
    world = _World(journal_url(request.param, request, tmp_path))
    yield world
    world.outbox.close()
    world.journal.close()


async def _all(outbox: Outbox, entry: int, limit: int) -> list[int]:
    found: list[int] = []
    while steps := await outbox.after(Kind.LOCATES, found[-1] if found else entry, limit):
        found += [step.entry for step in steps]
    return found


async def test_whoever_asks_gets_every_step_in_order_however_far_behind(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 4)
    monkeypatch.setattr(module, "PAGE", 3)
    assert await _all(world.outbox, 0, 3) == []
    for more in (1, 5, 2):
        await world.decide(more)
        newest = await world.outbox.newest(Kind.LOCATES)
        for entry in range(newest + 1):
            for limit in (1, 3, 10):
                assert await _all(world.outbox, entry, limit) == list(range(entry + 1, newest + 1))


async def test_what_is_open_is_of_one_moment_and_of_the_clients_asked_for(world: _World) -> None:
    await world.decide(2)
    await world.decide(1, "FUND2")
    change = world.desk.end(1, State.RELEASED, NOON_NS, "ann", "")
    await world.journal.write([change])
    newest, steps = await world.outbox.open(Kind.LOCATES, None, 10)
    assert (newest, [step.name for step in steps]) == (4, ["L0000000002", "L0000000003"])
    assert [step.client for step in (await world.outbox.open(Kind.LOCATES, ["FUND2"], 10))[1]] == ["FUND2"]
    assert len((await world.outbox.open(Kind.LOCATES, None, 1))[1]) == 1


async def test_how_far_somebody_is_outlives_the_process(world: _World) -> None:
    assert await world.outbox.cursor("someone", Kind.LOCATES) is None
    assert await world.outbox.cursor_or("someone", Kind.LOCATES, 7) == 7
    world.outbox.advance("someone", Kind.LOCATES, 9)
    world.outbox.advance("another", Kind.ORDERS, 1)
    await asyncio.gather(world.outbox.flush(), world.outbox.flush())
    world.outbox.advance("someone", Kind.LOCATES, 10)
    world.outbox.close()
    world.outbox = Outbox(world.url)
    assert await world.outbox.cursor("someone", Kind.LOCATES) == 10
    await world.outbox.forget("someone")
    assert await world.outbox.cursor("someone", Kind.LOCATES) is None
    assert await world.outbox.cursor("another", Kind.ORDERS) == 1


async def test_a_bell_misses_nobody_and_many_rings_are_one() -> None:
    bell = Bell()
    with bell.heard() as listener:
        assert await rung(listener, 5.0), "to look at what there is"
        bell.ring()
        bell.ring()
        assert await rung(listener, 5.0)
        assert not await rung(listener, 0.0)
    bell.ring()
    assert not listener.is_set()
