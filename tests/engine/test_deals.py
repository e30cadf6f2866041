"""The life of a deal as its row feels it: what is opened, recalled, returned, rated anew, closed, and undone."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import CORRECTION, DEAL_STEP
from engine.model import NO_DATE, RATE_UNKNOWN, Capacity, DealAction, DealState, Flag, Kind, Op
from engine.recognise import DEAL_KNOWN, MORE_THAN_OPEN, PAST_SETTLEMENT, UNKNOWN_DEAL, UNKNOWN_ORIGINAL
from engine.registry import CapacityError
from engine.state import Machine
from engine.tables import Word
from tests.engine.arrivals import execution, step, steps_of
from tests.engine.machines import SMALL, TODAY, events, machine


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine(f"test-{os.getpid()}-deals") as machine_:
        yield machine_


def steps(*rows: dict[str, Any], first_seq: int = 1) -> Any:
    """Steps of source 1: `code`, `action`, `rate`, `due`, the rest is the event's; defaults: a borrow of today."""
    ours = ("code", "action", "rate", "due")
    batch = np.zeros(len(rows), DEAL_STEP)
    batch["event"] = events(
        *(
            {"kind": Kind.SLAB_BORROW, "op": Op.INCREASE, "settle_date": TODAY, "quantity": 0}
            | {name: value for name, value in row.items() if name not in ours}
            for row in rows
        ),
        first_seq=first_seq,
    )
    for name, otherwise in (("code", b"D1"), ("action", DealAction.OPEN), ("rate", RATE_UNKNOWN)):
        batch[name] = [row.get(name, otherwise) for row in rows]
    batch["due_date"] = [row.get("due", NO_DATE) for row in rows]
    return batch


def the_row(made: Machine) -> Any:
    assert made.tables.count(Word.ROWS) == 1
    return made.tables.array["position"][0]


def test_a_recall_is_expected_back_on_its_due_date_and_a_return_fulfils_it_first(made: Machine) -> None:
    made.step(
        steps(
            {"quantity": 1_000},
            {"action": DealAction.RECALL, "quantity": 300, "due": TODAY + 3},
            {"action": DealAction.RETURN, "quantity": 400, "settle_date": TODAY + 1},
        )
    )
    row, deal = the_row(made), made.tables.array["deal"][1]
    assert (row["td"], row["receipt"].tolist()) == (600, [1_000, 0, 0, 0, 0, 0])
    assert row["deliver"].tolist() == [0, 400, 0, 0, 0, 0]
    assert (deal["quantity"], deal["recalled"], deal["due_date"]) == (600, 0, NO_DATE)


def test_contracts_of_one_row_have_the_average_rate_weighed_by_quantity(made: Machine) -> None:
    made.step(
        steps(
            {"quantity": 600, "rate": 100},
            {"code": b"D2", "quantity": 500, "rate": 400},
            {"code": b"D3", "quantity": 9},
        )
    )
    assert the_row(made)["hypothecated"] == (600 * 100 + 500 * 400) // 1_100
    made.step(
        steps({"action": DealAction.RERATE, "rate": 200}, {"code": b"D2", "action": DealAction.CLOSE}, first_seq=10)
    )
    assert the_row(made)["hypothecated"] == 200


def test_what_cannot_be_is_refused_and_changes_nothing(made: Machine) -> None:
    made.step(steps({"quantity": 100}))
    before = the_row(made).copy()
    refused = made.step(
        steps(
            {"quantity": 100},
            {"action": DealAction.RETURN, "quantity": 101},
            {"action": DealAction.RETURN, "quantity": 1, "code": b"D9"},
            {"action": DealAction.RETURN, "quantity": 1, "settle_date": TODAY - 1},
            first_seq=2,
        )
    )
    assert refused.outcomes.tolist() == [DEAL_KNOWN, MORE_THAN_OPEN, UNKNOWN_DEAL, PAST_SETTLEMENT]
    assert (the_row(made) == before).all()


def test_a_step_of_an_unknown_deal_may_come_again_when_the_deal_is_known(made: Machine) -> None:
    early = steps({"action": DealAction.RETURN, "quantity": 40}, first_seq=2)
    assert made.step(early).outcomes.tolist() == [UNKNOWN_DEAL]
    assert made.gaps(1) == [(1, 2)]
    made.step(steps({"quantity": 100}))
    assert not made.step(early).outcomes.size
    assert (the_row(made)["td"], made.gaps(1)) == (60, [])


def test_a_fill_takes_a_working_order_off_the_day_on_which_it_was_expected(made: Machine) -> None:
    order = {"kind": Kind.OPEN_ORDER, "quantity": 500, "settle_date": TODAY + 2}
    fill = {"kind": Kind.OPEN_ORDER, "action": DealAction.RETURN, "quantity": 700, "flags": Flag.PART, "seq": 2}
    trade = {"code": b"", "op": Op.BUY, "quantity": 700, "kind": Kind.FIRM, "settle_date": TODAY + 2}
    made.step(steps(order, trade, fill))
    rows = {int(row["key"]) & 0xFF: row for row in made.tables.array["position"][: made.tables.count(Word.ROWS)]}
    assert not rows[Kind.OPEN_ORDER]["receipt"].any()
    assert rows[Kind.FIRM]["td"] == 700
    assert made.tables.array["deal"][1]["state"] == DealState.CLOSED
    bust = np.zeros(1, CORRECTION)
    bust["event"], bust["corrects"] = events({"flags": Flag.CANCEL}, first_seq=9), 2
    assert not made.correct(bust).outcomes.size
    assert not made.tables.array["position"]["td"][:2].any()


def test_a_step_of_a_deal_cannot_be_corrected_by_its_number(made: Machine) -> None:
    made.step(steps({"quantity": 100}))
    taken_back = np.zeros(1, CORRECTION)
    taken_back["event"], taken_back["corrects"] = events({"flags": Flag.CANCEL}, first_seq=2), 1
    assert made.correct(taken_back).outcomes.tolist() == [UNKNOWN_ORIGINAL]


def test_places_of_deals_that_are_over_are_used_again(made: Machine) -> None:
    for number in range(3 * SMALL.deals):
        code = f"D{number}".encode()
        two = steps({"code": code, "quantity": 5}, {"code": code, "action": DealAction.CLOSE}, first_seq=1 + 2 * number)
        assert not made.step(two).outcomes.size
    assert made.tables.count(Word.DEALS) <= SMALL.deals


def test_a_full_table_of_deals_stops_the_writer() -> None:
    with machine(
        f"test-{os.getpid()}-full", Capacity(securities=8, books=4, depots=4, sources=2, rows=64, deals=2)
    ) as made:
        opened = steps(*({"code": f"D{n}".encode(), "quantity": 1} for n in range(3)))
        with pytest.raises(CapacityError, match="--capacity-deals 4"):
            made.step(opened)


ours = step.map(lambda row: row | {"code": b"BORROW-1", "source": 1})
others = step.map(lambda row: row if row["code"] != b"BORROW-1" else row | {"code": b"LOAN"})


@given(st.lists(st.one_of(ours, ours, others, execution), min_size=3, max_size=25))
@settings(max_examples=40, deadline=None)
def test_a_cancelled_deal_leaves_no_trace(rows: list[dict[str, Any]]) -> None:
    numbered = [row | {"source": 1, "seq": at} for at, row in enumerate(rows, 1)]
    undo = numbered[0] | {"code": b"BORROW-1", "action": DealAction.CANCEL, "seq": len(rows) + 1}
    undo = {name: value for name, value in undo.items() if name not in ("trade", "fill")} | {"trade": 0}
    undo |= {"quantity": 0, "settle": 0, "due": None, "rate": 0, "flags": 0}
    apart = [row for row in numbered if row.get("code") != b"BORROW-1"]
    with (
        machine(f"test-{os.getpid()}-with", securities=20) as with_it,
        machine(f"test-{os.getpid()}-less", securities=20) as less,
    ):
        for row in [*numbered, undo]:  # one by one here, together there: how they are cut changes nothing either
            with_it.step(steps_of([row], TODAY))
        less.step(steps_of(apart, TODAY))
        assert held(with_it) == held(less)
        assert (with_it.tables.array["values"] == less.tables.array["values"]).all()


def held(of: Machine) -> dict[int, list[Any]]:
    """What rows hold, by key, without the empty ones."""
    words = of.tables.array["position"][: of.tables.count(Word.ROWS)].view("<i8").reshape(-1, 24)
    return {row[0]: row[2:] for row in words.tolist() if any(row[2:])}
