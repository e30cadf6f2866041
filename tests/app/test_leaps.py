"""One absurd number does not make all else of its source too old; a source that really begins elsewhere is followed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quarantine_store import QuarantineStore
from engine import leaps
from engine.recognise import WINDOW
from engine.tables import Word
from tests.app.parked_world import World
from tests.engine.machines import TODAY, machine

DAY = str(np.datetime64(TODAY, "D"))
FAR = 10**12


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with machine(instance) as made:
        yield (opened := World(made, instance, tmp_path))
        opened.close()


def trade(seq: int, quantity: int = 1, source: str = "s1", **more: Any) -> dict[str, Any]:
    told = {"src": source, "seq": seq, "ts": 1, "op": "BUY", "sec": "S2", "book": "B1", "depot": "D1", "kind": "FIRM"}
    return told | {"trade": DAY, "settle": DAY, "qty": quantity} | more


def held(world: World) -> int:
    return int(world.machine.tables.array["position"]["td"].sum())


def details(world: World, folder: Path) -> list[tuple[str, str]]:
    """Reasons and details of what is in the quarantine, when everything is written."""
    world.keeping.close()
    return [(entry.reason, entry.detail) for entry in QuarantineStore(folder / "quarantine.db").entries()]


def test_an_absurd_number_is_set_aside_and_its_source_goes_on(world: World, tmp_path: Path) -> None:
    world.arrive(trade(1), trade(2), feed="trades")
    world.arrive(trade(2**63 - 1), trade(3), trade(FAR), trade(4), trade(FAR + 1), feed="trades")
    world.arrive(trade(5), trade(6, corrects=FAR), trade(FAR, source="s2"), feed="trades")
    assert (held(world), world.count(Word.QUARANTINED)) == (6, 3)
    assert [int(world.machine.tables.array["missing"][source]) for source in (1,)] == [0]
    told = details(world, tmp_path)
    assert [reason for reason, _ in told if reason != "unknown_original"] == ["leap"] * 3
    assert f"leaps by {FAR - 2:,} beyond 2, the newest number of s1" in [detail for _, detail in told]


def test_a_source_that_counts_on_from_elsewhere_is_followed_there_and_what_was_set_aside_is_in_its_window(
    world: World,
) -> None:
    world.arrive(trade(1), feed="trades")
    world.arrive(trade(FAR), feed="trades")
    world.offset -= 1
    world.arrive(trade(FAR), feed="trades")  # the same once more says nothing
    world.arrive(trade(FAR + 1), feed="trades")
    assert held(world) == 1
    world.arrive(trade(FAR + 2), trade(FAR + 3), feed="trades")
    assert (held(world), int(world.machine.tables.array["newest"][1])) == (3, FAR + 3)
    world.arrive(trade(FAR), trade(FAR + 1), feed="trades")  # read again from the quarantine
    assert held(world) == 5


def test_a_part_goes_with_its_event_and_steps_of_deals_are_looked_at_too(world: World) -> None:
    fields = {"src": "s1", "ts": 1, "kind": "SLAB_BORROW", "sec": "S2", "book": "B1", "depot": "D1", "settle": DAY}
    world.arrive(fields | {"seq": 1, "id": "A", "action": "OPEN", "qty": 100, "rate": 5})
    world.arrive(fields | {"seq": FAR, "id": "A", "action": "RETURN", "qty": 10})
    execution = {"type": "execution", "id": "X", "order": "A", "side": "BUY", "trade": DAY, "qty": 7, "seq": FAR + 9}
    world.arrive(fields | execution | {"kind": "FIRM"}, feed="orders")
    assert (world.deal()["quantity"], world.count(Word.REJECTED), world.count(Word.QUARANTINED)) == (100, 0, 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2**63 - 1)), max_size=20), st.integers(0, 2**62))
def test_what_leaps_is_what_is_beyond_the_window(sent: list[tuple[int, int]], last: int) -> None:
    newest = np.array([0, last, 0], np.int64)
    sources, numbers = (np.array([each[at] for each in sent]) for at in (0, 1))
    sources, numbers = sources.astype(np.uint16), numbers.astype(np.int64)
    expected = [
        source < 3 and (number > leaps.MOST or (newest[source] > 0 and number - int(newest[source]) > WINDOW))
        for source, number in sent
    ]
    assert leaps.which(numbers, sources, newest).tolist() == expected
    assert leaps.any_of(numbers, sources, newest) == any(expected)
