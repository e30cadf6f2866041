"""Why two sides differ is found where it is: amounts with their sign, instructions, corporate actions, the other depot."""

from typing import Any

import numpy as np
import pytest

from engine.break_causes import Around, Candidate, agreed_before, candidates, opposites_of
from engine.break_kinds import BreakKind, Cause, Found, Place
from engine.events import EventArray
from engine.model import Flag, Kind, Op, row_key
from engine.records import POSITION
from tests.engine.machines import TODAY, events

DEPOT = Place(security=2, depot=1)


def row(kind: Kind = Kind.FIRM, depot: int = 1, **more: Any) -> Any:
    record = np.zeros(1, POSITION)
    record["key"] = row_key(2, 1, depot, kind)
    for name, value in more.items():
        if isinstance(value, dict):
            for bucket, quantity in value.items():
                record[name][0, bucket] = quantity
        else:
            record[name] = value
    return record[0]


def found(quantity: int, place: Place = DEPOT, kind: BreakKind = BreakKind.DEPOT) -> Found:
    return Found(kind, place, 1_000, 1_000 + quantity)


def likeliest(
    one: Found, rows: list[Any], happened: EventArray | None = None, others: list[Found] | None = None, **more: int
) -> Candidate | None:
    records = np.array(rows, POSITION) if rows else np.zeros(0, POSITION)
    around = Around(records, events()[:0] if happened is None else happened, more.get("event_date", 0), TODAY)
    some = candidates(one, around, opposites_of([one, *(others or [])]))
    return some[0] if some else None


@pytest.mark.parametrize(
    ("quantity", "rows", "cause", "bucket"),
    [
        (300, [row(receipt={2: 300})], Cause.UNSETTLED_TRADE, 2),
        (-300, [row(deliver={1: 300})], Cause.UNSETTLED_TRADE, 1),
        (300, [row(receipt={0: 300})], Cause.LATE_SETTLEMENT, 0),
        (-300, [row(Kind.SLAB_LOAN, receipt={3: 300})], Cause.UNSETTLED_TRADE, 3),
        (300, [row(receipt={1: 100}), row(Kind.CLIENT_FREE, receipt={2: 200})], Cause.UNSETTLED_TRADE, 1),
        (-50, [row(ca_pending=50)], Cause.CORPORATE_ACTION, -1),
    ],
)
def test_an_amount_of_that_size_and_sign_is_the_cause(
    quantity: int, rows: list[Any], cause: Cause, bucket: int
) -> None:
    one = likeliest(found(quantity), rows)
    assert one is not None
    assert (one.cause, one.quantity, one.bucket) == (cause, quantity, bucket)


@pytest.mark.parametrize(
    "rows",
    [
        [row(receipt={2: 300})],  # of the other sign: it would make things worse
        [row(deliver={2: 301})],
        [row(depot=2, deliver={2: 300})],
        [row(Kind.SYNTHETIC, deliver={2: 300})],
        [row(Kind.PAY_TO_HOLD, deliver={2: 300})],
        [],
    ],
)
def test_what_is_not_of_that_size_sign_and_depot_is_not(rows: list[Any]) -> None:
    assert likeliest(found(-300), rows) is None


def test_what_a_custodian_has_stated_nothing_of_at_all_is_a_line_that_is_late_or_missing() -> None:
    nothing = found(-1_000)
    assert likeliest(nothing, [row()]) == Candidate(Cause.START_OF_DAY, -1_000)
    assert likeliest(nothing, [row(), row(Kind.DEPOT)]) is None, "he has stated that there is nothing"
    assert likeliest(nothing, [row(), row(Kind.DEPOT, depot=2)]) == Candidate(Cause.START_OF_DAY, -1_000)
    delivered = likeliest(nothing, [row(deliver={1: 1_000})])
    assert delivered == Candidate(Cause.UNSETTLED_TRADE, -1_000, row=0, bucket=1), "which is likelier"


STATEMENT: dict[str, Any] = {"depot": 1, "kind": Kind.DEPOT, "op": Op.SET, "quantity": 700}
SETTLED: dict[str, Any] = {"depot": 1, "op": Op.SETTLE_RECEIPT, "quantity": 300}
TAKEN: dict[str, Any] = SETTLED | {"op": Op.SETTLE_DELIVERY}


def test_a_settlement_that_the_custodian_has_not_stated_yet_is_an_unmatched_instruction() -> None:
    one = likeliest(found(-300), [], events(STATEMENT, SETTLED, TAKEN))
    assert one == Candidate(Cause.UNMATCHED_INSTRUCTION, -300, event=1)
    assert likeliest(found(-300), [], events(SETTLED, STATEMENT, TAKEN)) is None, "that statement has it"
    assert likeliest(found(-300), [], events(STATEMENT, TAKEN | {"flags": Flag.CANCEL})) == one


def test_several_settlements_since_the_statement_explain_a_difference_together() -> None:
    happened = events(STATEMENT, SETTLED | {"quantity": 500}, TAKEN | {"quantity": 150}, TAKEN | {"quantity": 50})
    assert likeliest(found(-300), [], happened) == Candidate(Cause.UNMATCHED_INSTRUCTION, -300, event=3, together=3)
    assert likeliest(found(-299), [], happened) is None


def test_the_same_quantity_the_other_way_round_elsewhere_is_a_wrong_mapping() -> None:
    there, other = Place(security=2, depot=3), Place(security=5, depot=1)
    assert likeliest(found(-300), [], others=[found(300, there)]) == Candidate(
        Cause.WRONG_MAPPING, -300, opposite=there
    )
    assert likeliest(found(-300), [], others=[found(300, other)]) == Candidate(
        Cause.WRONG_MAPPING, -300, opposite=other
    )
    assert likeliest(found(-300), [], others=[found(300, Place(security=5, depot=3))]) is None
    assert likeliest(found(-300), [], others=[found(-300, there)]) is None
    due = [row(deliver={1: 300})]
    assert likeliest(found(-300), due, others=[found(300, other)]) == Candidate(
        Cause.UNSETTLED_TRADE, -300, row=0, bucket=1
    ), "the same quantity of another security may be chance"
    assert likeliest(found(-300), due, others=[found(300, there)]) == Candidate(
        Cause.WRONG_MAPPING, -300, opposite=there
    )


def test_a_corporate_action_that_is_near_is_named_though_it_explains_nothing_yet() -> None:
    assert likeliest(found(-300), [], event_date=TODAY + 1) == Candidate(Cause.CORPORATE_ACTION, 0)
    assert likeliest(found(-300), [], event_date=TODAY + 30) is None


def test_a_trade_that_one_side_has_not_is_the_cause_of_a_row_that_differs_from_itself() -> None:
    place = Place(security=2, book=1, depot=1, row_kind=Kind.FIRM)
    bought = events({"depot": 1, "op": Op.BUY, "quantity": 40}, {"depot": 1, "book": 2, "op": Op.BUY, "quantity": 41})
    for kind in (BreakKind.TD_SD, BreakKind.FRONT_BACK):
        one = likeliest(found(-40, place, kind), [], bought)
        assert one == Candidate(Cause.UNSETTLED_TRADE, -40, event=0)
        assert likeliest(found(41, place, kind), [], bought) is None


def test_the_last_moment_both_sides_agreed_is_found_by_taking_events_back() -> None:
    def at(op: Op, quantity: int, kind: Kind = Kind.FIRM) -> dict[str, Any]:
        return {"depot": 1, "op": op, "quantity": quantity, "kind": kind}

    happened = events(
        at(Op.SET, 1_000, Kind.DEPOT),
        at(Op.SETTLE_RECEIPT, 100),
        at(Op.SET, 1_100, Kind.DEPOT),
        at(Op.BUY, 7),
        at(Op.SETTLE_DELIVERY, 30),
        at(Op.SETTLE_RECEIPT, 5),
    )
    one = Found(BreakKind.DEPOT, DEPOT, ours=1_075, theirs=1_100)
    assert agreed_before(one, happened) == (4, 1_100)
    assert agreed_before(Found(BreakKind.DEPOT, DEPOT, 999, 1_100), happened) is None
    assert agreed_before(one, events(at(Op.SET, 5))) is None, "what was there before a start of day is not known"
