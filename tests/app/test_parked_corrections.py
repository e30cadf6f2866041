"""What corrects a record that waits is not thrown away: it waits behind it, or takes its place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.quarantine_store import QuarantineStore
from engine.model import Kind
from engine.ring import Message
from engine.tables import Word
from tests.app.parked_world import World
from tests.engine.machines import TODAY, machine, security_records

DAY = str(np.datetime64(TODAY, "D"))


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with machine(instance) as made:
        yield (opened := World(made, instance, tmp_path))
        opened.close()


def execution(seq: int, security: str = "S9", quantity: int = 100, **more: Any) -> dict[str, Any]:
    told = {"type": "execution", "src": "s1", "seq": seq, "ts": seq, "id": f"X-{seq}", "order": "O-1", "side": "BUY"}
    row = {"sec": security, "book": "B1", "depot": "D1", "kind": "FIRM", "trade": DAY, "settle": DAY, "qty": quantity}
    return told | row | more


def cancel(seq: int, corrects: int) -> dict[str, Any]:
    return {"type": "execution_cancel", "src": "s1", "seq": seq, "ts": seq, "corrects": corrects}


def explain(world: World, securities: int = 9) -> None:
    world.machine.register(Message.SECURITIES, security_records(securities))
    world.parking.registered()


def held(world: World, security: int = 9) -> int:
    tables = world.machine.tables
    rows = tables.array["position"][tables.rows_of(security)]
    return int(rows["td"][rows["key"].astype(np.int64) & 0xFF == Kind.FIRM].sum())


def reasons(world: World, folder: Path) -> list[str]:
    """Of what is in the quarantine, when everything is written."""
    world.keeping.close()
    return [entry.reason for entry in QuarantineStore(folder / "quarantine.db").entries()]


@pytest.mark.parametrize("polls", [1, 2])
def test_a_trade_that_is_cancelled_before_it_is_explained_never_stands(world: World, polls: int) -> None:
    sent = [execution(1), cancel(2, 1)]
    for records in [sent] if polls == 1 else [[record] for record in sent]:
        world.arrive(*records, feed="orders")
    assert (len(world.parking), world.count(Word.PARKED_SHARES)) == (2, 100)
    explain(world)
    assert (held(world), len(world.parking)) == (0, 0)
    assert [world.count(word) for word in (Word.CORRECTED, Word.REJECTED, Word.MISSING)] == [1, 0, 0]


def test_a_correction_that_names_what_is_known_takes_the_place_of_a_mistyped_record(
    world: World, tmp_path: Path
) -> None:
    opened = {"type": "order", "src": "s1", "seq": 1, "ts": 1, "id": "O-1", "action": "OPEN", "side": "BUY"}
    world.arrive(opened | {"sec": "S2", "book": "B1", "qty": 500, "settle": DAY}, feed="orders")
    wrong = execution(2, "MISTYPED", 200)
    world.arrive(wrong, feed="orders")
    world.arrive(execution(3, "S2", 80, corrects=2), feed="orders")
    assert (held(world, 2), len(world.parking)) == (80, 0)
    assert world.deal()["quantity"] == 300  # the market filled 200 of it
    world.offset -= 2
    world.arrive(wrong, feed="orders")  # a worker that was killed reads its last poll again
    world.arrive(execution(3, "S2", 80, corrects=2), feed="orders")
    world.arrive(cancel(4, 3), feed="orders")
    assert (held(world, 2), len(world.parking)) == (0, 0)
    assert reasons(world, tmp_path) == ["replaced"]


def test_corrections_of_a_trade_that_waits_are_used_in_their_order(world: World) -> None:
    world.arrive(execution(1), execution(2, "S8", 7), feed="orders")
    world.arrive(execution(3, quantity=60, corrects=1), cancel(4, 3), feed="orders")
    world.arrive(execution(5, quantity=30), feed="orders")
    assert len(world.parking) == 4
    explain(world)
    assert (held(world), held(world, 8), len(world.parking)) == (30, 7, 0)
    assert (world.count(Word.REJECTED), world.count(Word.MISSING)) == (0, 0)


def test_a_snapshot_keeps_what_waits_behind_another_and_trying_again_leaves_it_there(world: World) -> None:
    world.arrive(execution(1), cancel(2, 1), feed="orders")
    before = world.parking.records()
    assert world.parking.retry() == (0, 2)
    assert world.parking.retry([before[1].id]) == (0, 1)
    world.keeping.restore(world.keeping.state())
    assert world.parking.records() == before
    explain(world)
    assert (held(world), len(world.parking)) == (0, 0)


def test_a_correction_of_what_was_given_up_is_refused_where_it_can_be_seen(world: World, tmp_path: Path) -> None:
    world.arrive(execution(1), cancel(2, 1), feed="orders")
    world.parking.discard([world.parking.records()[0].id], "ann", "a test")
    world.parking.tick()
    assert (len(world.parking), world.count(Word.REJECTED)) == (0, 1)
    assert reasons(world, tmp_path) == ["unknown_original"]


def test_trades_and_their_corrections_in_the_form_of_events_do_the_same(world: World) -> None:
    told = {"src": "s1", "ts": 1, "op": "BUY", "book": "B1", "depot": "D1", "kind": "FIRM", "trade": DAY, "settle": DAY}
    world.arrive(told | {"seq": 1, "sec": "S9", "qty": 5}, told | {"seq": 2, "sec": "S10", "qty": 9}, feed="trades")
    world.arrive(told | {"seq": 3, "sec": "S2", "qty": 4, "corrects": 1}, feed="trades")
    world.arrive(told | {"seq": 4, "sec": "S2", "qty": 9, "corrects": 2, "flags": 1}, feed="trades")
    assert (held(world, 2), len(world.parking)) == (4, 2)
    explain(world, 10)
    assert (held(world, 10), held(world, 2), len(world.parking)) == (0, 4, 0)
