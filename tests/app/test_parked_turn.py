"""What waits, and what is explained before it was parked, has its turn where it came: behind what came before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.ring import Message
from engine.tables import Word
from feeds.registry import feed_named
from tests.app.parked_world import World
from tests.engine.machines import machine, security_records


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with machine(instance) as made:
        yield (opened := World(made, instance, tmp_path))
        opened.close()


def begins(seq: int) -> dict[str, Any]:
    return {"type": "book", "src": "s1", "seq": seq, "ts": seq, "book": "B1"}


def position(seq: int, settled: int, security: str = "S9") -> dict[str, Any]:
    told = {"type": "position", "src": "s1", "seq": seq, "ts": seq, "sec": security, "book": "B1", "depot": "D1"}
    return told | {"kind": "FIRM", "sd": settled}


def push(world: World, *records: dict[str, Any]) -> None:
    """A poll of a worker: it does not know the security yet, and the engine has not looked into the ring yet."""
    values = [msgspec.json.encode(record) for record in records]
    places = [(0, world.offset + i) for i in range(len(values))]
    world.offset += len(values)
    world.push(world.decode(feed_named("positions").topic, values, b"json", places))


def held(world: World, security: int = 9) -> int:
    tables = world.machine.tables
    return int(tables.array["position"]["sd"][tables.rows_of(security)].sum())


def drain(world: World) -> None:
    world.machine.register(Message.SECURITIES, security_records(9))
    while world.intake.drain():
        pass


def test_a_position_that_is_explained_before_it_is_parked_comes_behind_the_reset_of_its_book(world: World) -> None:
    push(world, begins(1), position(2, 70, "S2"))
    push(world, position(3, 500))
    drain(world)
    assert (held(world), held(world, 2), len(world.parking)) == (500, 70, 0)


def test_a_start_of_day_behind_it_in_the_same_poll_overtakes_it_even_so(world: World) -> None:
    push(world, begins(1), position(2, 500), begins(3), position(4, 70, "S2"))
    drain(world)
    assert (held(world), held(world, 2), len(world.parking)) == (0, 70, 0)
    assert world.count(Word.QUARANTINED) == 1


def test_events_before_and_behind_what_is_set_aside_are_all_applied(world: World) -> None:
    push(world, begins(1), position(2, 5, "S2"))
    push(world, position(3, 500))
    push(world, position(4, 8, "S3"))
    drain(world)
    assert [held(world, number) for number in (9, 2, 3)] == [500, 5, 8]
    assert world.count(Word.MISSING) == 0
