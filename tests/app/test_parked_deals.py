"""A step of a deal that nobody has opened waits for the opening, and is used in its turn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.model import DealState
from engine.ring import Message
from engine.tables import Word
from tests.app.parked_world import World
from tests.engine.machines import TODAY, machine, security_records

DAY = str(np.datetime64(TODAY, "D"))
LATER = str(np.datetime64(TODAY + 2, "D"))


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with machine(instance) as made:
        yield (opened := World(made, instance, tmp_path))
        opened.close()


def contract(seq: int, action: str, **more: Any) -> dict[str, Any]:
    fields = {"src": "s1", "seq": seq, "ts": seq, "id": "BRW-1", "action": action, "kind": "SLAB_BORROW"}
    return fields | {"sec": "S2", "book": "B1", "depot": "D1", "settle": DAY} | more


def test_steps_wait_for_the_opening_of_their_deal_and_are_used_in_their_order_before_later_ones(world: World) -> None:
    world.arrive(contract(2, "RERATE", rate=900), contract(3, "RETURN", qty=60))
    world.arrive(contract(4, "INCREASE", qty=1))
    assert (len(world.parking), world.count(Word.PARKED), world.count(Word.PARKED_SHARES)) == (3, 3, 61)
    assert world.count(Word.REJECTED) == 0
    # the close comes in the same poll as the opening: what waited has its turn between the two
    world.arrive(contract(1, "OPEN", qty=100, rate=100), contract(5, "CLOSE"))
    assert (len(world.parking), world.count(Word.PARKED), world.count(Word.PARKED_SHARES)) == (0, 0, 0)
    deal = world.deal()
    assert (deal["opened"], deal["quantity"], deal["state"], deal["rate"]) == (101, 0, DealState.CLOSED, 900)
    assert (world.count(Word.EVENTS), world.count(Word.REJECTED), world.count(Word.MISSING)) == (5, 0, 0)


def test_a_step_that_names_an_unknown_code_and_an_unknown_deal_waits_for_both(world: World) -> None:
    world.arrive(contract(2, "RETURN", qty=30, sec="S9"))
    world.machine.register(Message.SECURITIES, security_records(9))
    world.parking.registered()
    assert [parked.entry.reason for parked in world.parking.records()] == ["unknown_deal"]
    world.arrive(contract(1, "OPEN", qty=100, sec="S9"))
    assert (len(world.parking), world.deal()["quantity"]) == (0, 70)


def test_an_opening_that_was_parked_itself_lets_its_steps_follow(world: World) -> None:
    world.arrive(contract(2, "RETURN", qty=30))
    world.arrive(contract(1, "OPEN", qty=100, counterparty="NEW"))
    assert len(world.parking) == 2
    records = np.zeros(1, world.machine.tables.array["counterparty"].dtype)
    records["code"] = b"NEW"
    world.machine.register(Message.COUNTERPARTIES, records)
    world.parking.registered()
    assert (len(world.parking), world.deal()["quantity"]) == (0, 70)


def test_a_step_that_waits_is_written_in_the_form_of_its_feed(world: World) -> None:
    swap = {"type": "swap", "src": "s1", "seq": 1, "ts": 1, "id": "SW", "side": "SHORT", "sec": "S2", "book": "B1"}
    world.arrive(swap | {"seq": 2, "action": "RETURN", "qty": 5, "settle": DAY}, feed="swaps")
    pledge = {"type": "pledge", "src": "s1", "ts": 1, "id": "SP", "kind": "SWAP_PLEDGE_2", "sec": "S2", "book": "B1"}
    world.arrive(pledge | {"seq": 4, "action": "RECALL", "qty": 5, "due": LATER}, feed="swaps")
    order = {"type": "order", "src": "s1", "ts": 1, "id": "O", "side": "SELL", "sec": "S2", "book": "B1"}
    world.arrive(order | {"seq": 6, "action": "INCREASE", "qty": 7, "settle": DAY}, feed="orders")
    world.arrive(swap | {"seq": 1, "action": "OPEN", "qty": 10, "settle": DAY}, feed="swaps")
    world.arrive(pledge | {"seq": 3, "action": "OPEN", "qty": 10, "settle": DAY}, feed="swaps")
    world.arrive(order | {"seq": 5, "action": "OPEN", "qty": 10, "settle": DAY}, feed="orders")
    assert len(world.parking) == 0
    assert [world.deal(n)["quantity"] for n in (1, 2, 3)] == [5, 10, 17]
    assert world.deal(2)["recalled"] == 5
    assert world.count(Word.REJECTED) == 0


def test_a_step_of_a_deal_that_is_over_does_not_wait(world: World, tmp_path: Path) -> None:
    world.arrive(contract(1, "OPEN", qty=100), contract(2, "CLOSE"), contract(3, "RETURN", qty=1))
    assert (len(world.parking), world.count(Word.REJECTED)) == (0, 1)
    assert world.set_aside(tmp_path) == ["deal_over"]


def test_trying_again_without_the_opening_leaves_a_step_where_it_was(world: World) -> None:
    world.arrive(contract(2, "RETURN", qty=30))
    before = world.parking.records()
    assert world.parking.retry() == (0, 1)
    assert world.parking.records() == before
    assert world.parking.missing(before[0]) == ((255, "s1 BRW-1"),)
    world.parking.tick()
    assert world.machine.tables.array["parked"][2] == 30


def test_a_step_read_twice_waits_once_and_a_snapshot_keeps_it(world: World) -> None:
    world.arrive(contract(2, "RETURN", qty=30))
    kept = world.keeping.state()
    world.offset = 0
    world.arrive(contract(2, "RETURN", qty=30))
    assert (len(world.parking), world.count(Word.REJECTED)) == (1, 0)
    world.keeping.restore(kept)
    world.arrive(contract(1, "OPEN", qty=100))
    assert (len(world.parking), world.deal()["quantity"]) == (0, 70)
