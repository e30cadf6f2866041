"""The facts of domain.md 7 that the inventory decides, and more of their kind: events in, numbers out."""

from typing import Any

import pytest

from engine.model import Flag, Kind, Op
from engine.state import Machine
from engine.tables import Word
from tests.engine.machines import TODAY, events, machine

SET, BUY, SELL, SHORT = Op.SET, Op.BUY, Op.SELL, Op.SHORT_SELL
UP, DOWN, FREE = Op.INCREASE, Op.DECREASE, Op.SET_HYPOTHECATABLE


def row(op: Op, quantity: int, day: int = 0, kind: Kind = Kind.FIRM, **more: Any) -> dict[str, Any]:
    dated = {"settle_date": TODAY + day} if op <= Op.SETTLE_DELIVERY else {}
    return {"op": op, "quantity": quantity, "kind": kind, **dated, **more}


def values(made: Machine, name: str, security: int = 2) -> list[int]:
    return made.tables.array["values"][security, made.tables.calculations.index(name)].tolist()  # type: ignore[no-any-return]


LADDERS = [
    # fact 1
    (
        [row(SET, 10_000), row(UP, 2_500, 0), row(UP, 1_500, 2), row(DOWN, 1_000, 1), row(DOWN, 500, 2)],
        {"sd": 10_000, "projected": [12_500, 11_500, 12_500, 12_500, 12_500]},
    ),
    # fact 3
    ([row(SET, -2_000), row(UP, 500)], {"sd": -2_000, "projected": [-1_500] * 5}),
    # fact 4
    ([row(SET, 5_000_000), row(DOWN, 1_000_000, 1)], {"sd": 5_000_000, "projected": [5_000_000] + [4_000_000] * 4}),
    ([row(BUY, 300, 1), row(BUY, 300, 1, flags=Flag.CANCEL)], {"td": 0, "projected": [0] * 5, "intraday_buy": 0}),
    ([row(BUY, 300, 1), row(Op.SETTLE_RECEIPT, 300, 1)], {"td": 300, "sd": 300, "projected": [300] * 5}),
    ([row(SELL, 300, 9)], {"td": -300, "sd": 0, "projected": [0] * 5, "intraday_sell": 300}),
    ([row(SHORT, 40, 2)], {"td": -40, "projected": [0, 0, -40, -40, -40], "intraday_short": 40}),
    ([row(BUY, 7, 1, trade_date=TODAY - 1)], {"td": 7, "intraday_buy": 0}),
    ([row(BUY, 7, -1)], {"td": 0}),
]


@pytest.mark.parametrize(("steps", "expected"), LADDERS)
def test_ladder_follows_the_events(instance: str, steps: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    with machine(instance) as made:
        made.apply(events(row(SET, 0), *steps))
        position = made.tables.array["position"][0]
        ladder = position["sd"] + (position["receipt"] - position["deliver"]).cumsum()[:5]
        found = {name: ladder.tolist() if name == "projected" else int(position[name]) for name in expected}
        assert found == expected
        assert position["td"] == position["sd"] + (position["receipt"] - position["deliver"]).sum()


FOR_LOAN = [
    # fact 9: security 2 is in the first market, security 1 in TW
    ([row(SET, 10_000), row(SET, 4_000, kind=Kind.SLAB_BORROW)], 2, [14_000] * 5),
    ([row(SET, 10_000), row(SET, 4_000, kind=Kind.SLAB_BORROW)], 1, [10_000] * 5),
    # fact 10
    ([row(SET, 10_000), row(SET, 6_000, kind=Kind.REPO_PLEDGE_2)], 2, [4_000, 4_000, 10_000, 10_000, 10_000]),
    ([row(SET, 10_000), row(SET, 6_000, kind=Kind.REPO_PLEDGE_0)], 2, [10_000] * 5),
    ([row(SET, 10_000, kind=Kind.CLIENT_FREE), row(FREE, 8_000, kind=Kind.CLIENT_FREE)], 2, [8_000] * 5),
    ([row(SET, 10_000, kind=Kind.CLIENT_SEGREGATED)], 2, [0] * 5),
    ([row(SET, 500), row(SET, -700, book=2)], 2, [0] * 5),
    (
        [row(SET, 500), row(SET, 200, kind=Kind.SLAB_LOAN), row(DOWN, 200, 3, Kind.SLAB_LOAN)],
        2,
        [300, 300, 300, 500, 500],
    ),
    ([row(SET, 900, kind=Kind.REPO_RECEIVED), row(SET, 900, kind=Kind.REPO_RECEIVED_LOCKED)], 2, [900] * 5),
    ([row(SET, 900, kind=Kind.EXTERNAL_EXCLUSIVE), row(SET, 50, kind=Kind.PAY_TO_HOLD)], 2, [850] * 5),
    ([row(SET, 900, kind=Kind.EXTERNAL_FIRM), row(SET, 900, kind=Kind.SYNTHETIC)], 2, [0] * 5),
    ([row(SET, 900), row(Op.SET_CA_PENDING, 100)], 2, [800] * 5),
    ([row(SET, 900), row(SELL, 400, 1)], 2, [900, 500, 500, 500, 500]),
]


@pytest.mark.parametrize(("steps", "security", "expected"), FOR_LOAN)
def test_for_loan_is_what_the_rules_say(
    instance: str, steps: list[dict[str, Any]], security: int, expected: list[int]
) -> None:
    with machine(instance) as made:
        made.apply(events(*({**step, "security": security} for step in steps)))
        assert values(made, "for_loan", security) == expected


def test_gross_less_reserved_and_located_is_what_remains(instance: str) -> None:
    """Fact 12."""
    with machine(instance) as made:
        kind = Kind.CLIENT_FREE
        steps = [row(SET, 12_500, kind=kind), row(FREE, 12_500, kind=kind), row(Op.SET_RESERVED, 1_000, kind=kind)]
        made.apply(events(*steps))
        made.set_located(2, 1_500)
        assert values(made, "locate_pool") == [11_500] * 5
        assert values(made, "remaining") == [10_000] * 5


def test_pool_counts_firm_lenders_whole_and_indicative_ones_half(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(row(SET, 1_000, kind=Kind.EXTERNAL_FIRM), row(SET, 1_001, kind=Kind.EXTERNAL_INDICATIVE)))
        assert values(made, "locate_pool") == [1_500] * 5


def test_a_start_of_day_snapshot_replaces_its_book_and_leaves_the_others(instance: str) -> None:
    with machine(instance) as made:
        before = [row(SET, 100), row(SET, 70, book=2), row(SET, 5, kind=Kind.EXTERNAL_EXCLUSIVE)]
        made.apply(events(*before, row(Op.RESET_BOOK, 0), row(SET, 40, security=4)))
        assert values(made, "for_loan", 2) == [75] * 5
        assert values(made, "for_loan", 4) == [40] * 5


def test_only_events_that_were_applied_are_remembered(instance: str) -> None:
    with machine(instance) as made:
        batch = events(row(SET, 100), row(BUY, -5), row(BUY, 5, -1), row(SET, 40, security=4))
        made.apply(batch)
        made.apply(batch)
        tables = made.tables
        assert tables.count(Word.RECENT) == 2
        assert tables.array["recent"][:3]["quantity"].tolist() == [100, 40, 0]
