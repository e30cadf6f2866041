"""The facts of domain.md 7 that the inventory decides, each once on the real machine, and what its events leave behind.

Many more of their kind stand in tests/engine/facts. Fact 5 is in tests/feeds/test_calendars.py, too, fact 6 in
test_locate_facts.py.
"""

from typing import Any

import pytest

from engine.explain import explain
from engine.locate_desk import LocateDesk
from engine.locates import LocateRequest, Reason, State
from engine.model import CounterpartyKind, Decided, Kind, Op, Temperature
from engine.records import COUNTERPARTY
from engine.ring import Message
from engine.state import Machine
from engine.tables import Word
from tests.engine.locate_inventory import NOON_NS, shipped_rules
from tests.engine.machines import TODAY, events, machine, named

SET, BUY, SHORT = Op.SET, Op.BUY, Op.SHORT_SELL
UP, DOWN, FREE = Op.INCREASE, Op.DECREASE, Op.SET_HYPOTHECATABLE
CLOSE_NS = NOON_NS + 3_600_000_000_000


def row(op: Op, quantity: int, day: int = 0, kind: Kind = Kind.FIRM, **more: Any) -> dict[str, Any]:
    dated = {"settle_date": TODAY + day} if op <= Op.SETTLE_DELIVERY else {}
    return {"op": op, "quantity": quantity, "kind": kind, **dated, **more}


def values(made: Machine, name: str, security: int = 2) -> list[int]:
    return made.tables.array["values"][security, made.tables.catalogue.calculation(name)].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("steps", "projected"),
    [
        # fact 1
        (
            [row(SET, 10_000), row(UP, 2_500, 0), row(UP, 1_500, 2), row(DOWN, 1_000, 1), row(DOWN, 500, 2)],
            [12_500, 11_500, 12_500, 12_500, 12_500],
        ),
        # facts 2, 3 and 4
        ([row(SET, 5_000), row(DOWN, 1_000, 0), row(UP, 500, 1)], [4_000, 4_500, 4_500, 4_500, 4_500]),
        ([row(SET, -2_000), row(UP, 500)], [-1_500] * 5),
        ([row(SET, 5_000_000), row(DOWN, 1_000_000, 1)], [5_000_000] + [4_000_000] * 4),
    ],
)
def test_facts_1_to_4_ladder_follows_the_events(
    instance: str, steps: list[dict[str, Any]], projected: list[int]
) -> None:
    with machine(instance) as made:
        made.apply(events(*steps))
        position = made.tables.array["position"][0]
        ladder = position["sd"] + (position["receipt"] - position["deliver"]).cumsum()[:5]
        assert ladder.tolist() == projected
        assert position["td"] == projected[4]


@pytest.mark.parametrize(("quantity", "left"), [(4_000, 0), (4_001, -1)])
def test_fact_7_limits_of_a_short_sell(instance: str, quantity: int, left: int) -> None:
    """A client's limit of 5,000 of which 1,000 are used, and 25,000 of an aggregation unit of which 5,000 are."""
    with machine(instance) as made:
        book = made.tables.array["book"][1:2].copy()
        book["client"], book["aggregation_unit"] = b"C1", b"A1"
        made.register(Message.BOOKS, book)
        made.apply(events(row(SET, 25_000, kind=Kind.SLAB_BORROW)))
        of_client = {Decided.APPROVED_SHORT_LOCATES: 5_000, Decided.SHORT_SELLS: 1_000 + quantity}
        of_unit = {Decided.SHORT_SELLS: 5_000 + quantity}
        assert explain(made.tables, 2, "client_short", 1, client="C1", decided=of_client).value == left
        unit = explain(made.tables, 2, "au_short", 1, aggregation_unit="A1", decided=of_unit)
        assert unit.value == 20_000 - quantity


def test_fact_8_a_long_sell_uses_the_long_limit_alone(instance: str) -> None:
    with machine(instance) as made:
        book = made.tables.array["book"][1:2].copy()
        book["client"] = b"C1"
        made.register(Message.BOOKS, book)
        made.apply(events(row(SET, 2_000, kind=Kind.CLIENT_FREE)))
        for sold in (0, 500):
            decided = {Decided.OPEN_LONG_SELLS: sold, Decided.APPROVED_SHORT_LOCATES: 300}
            assert explain(made.tables, 2, "client_long", 1, client="C1", decided=decided).value == 2_000 - sold
            assert explain(made.tables, 2, "client_short", 1, client="C1", decided=decided).value == 300


@pytest.mark.parametrize(("security", "for_loan"), [(2, 14_000), (1, 10_000)])
def test_fact_9_borrowed_stock_is_lent_on_but_not_in_taiwan(instance: str, security: int, for_loan: int) -> None:
    with machine(instance) as made:
        steps = [row(SET, 10_000), row(SET, 4_000, kind=Kind.SLAB_BORROW)]
        made.apply(events(*({**step, "security": security} for step in steps)))
        assert values(made, "for_loan", security) == [for_loan] * 5


def test_fact_10_pledged_stock_counts_once_it_can_be_called_back(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(row(SET, 10_000), row(SET, 6_000, kind=Kind.REPO_PLEDGE_2)))
        assert values(made, "for_loan") == [4_000, 4_000, 10_000, 10_000, 10_000]
        assert values(made, "for_pledge") == [4_000] * 5


def test_fact_11_borrows_that_are_no_longer_needed(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(row(SET, 5_000, kind=Kind.SLAB_BORROW), row(SHORT, 5_000), row(BUY, 3_000)))
        assert values(made, "overborrow") == [3_000] * 5
        made.apply(events(row(SET, 2_000, kind=Kind.PAY_TO_HOLD), first_seq=4))
        assert values(made, "overborrow") == [1_000] * 5


def test_fact_12_gross_less_reserved_and_located_is_what_remains(instance: str) -> None:
    with machine(instance) as made:
        kind = Kind.CLIENT_FREE
        steps = [row(SET, 12_500, kind=kind), row(FREE, 12_500, kind=kind), row(Op.SET_RESERVED, 1_000, kind=kind)]
        made.apply(events(*steps))
        made.set_decided(2, Decided.SHORT_LOCATES, 1_500)
        assert values(made, "locate_pool") == [11_500] * 5
        assert values(made, "remaining") == [10_000] * 5


@pytest.mark.parametrize(
    ("partial", "state", "approved"), [(True, State.PARTIALLY_APPROVED, 400), (False, State.REJECTED, 0)]
)
def test_fact_13_two_requests_never_share_the_same_stock(
    instance: str, partial: bool, state: State, approved: int
) -> None:
    with machine(instance) as made:
        security = made.tables.array["security"][2:3].copy()
        security["temperature"] = Temperature.HTB
        made.register(Message.SECURITIES, security)
        client = named(COUNTERPARTY, "FUND", 1)
        client["kind"] = CounterpartyKind.CLIENT
        made.register(Message.COUNTERPARTIES, client)
        made.apply(events(row(SET, 1_000)))
        made.tables.state[Word.READY] = 1
        desk = LocateDesk(made.inventory, shipped_rules())
        asked = LocateRequest(security="S2", client="FUND1", quantity=600, allow_partial=partial)
        first, second = (desk.decide(asked, NOON_NS, CLOSE_NS).after for _ in range(2))
        assert (first.state, first.approved) == (State.APPROVED, 600)
        assert (second.state, second.approved, second.reason) == (state, approved, Reason.INSUFFICIENT_INVENTORY)
        assert values(made, "remaining") == [1_000 - 600 - approved] * 5


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
