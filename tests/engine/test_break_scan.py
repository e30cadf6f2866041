"""What does not agree is found in the tables: by hand-written facts, and the same as by a slow look at every row."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.break_kinds import BreakKind, Found, Place
from engine.break_scan import BreakScan
from engine.events import DEAL_STEP
from engine.model import NO_DATE, RATE_UNKNOWN, STOCK, CounterpartyKind, DealAction, Decided, Kind, Op
from engine.records import BOOK, COUNTERPARTY, UNIT
from engine.ring import Message
from engine.state import Machine
from engine.tables import Word
from tests.engine.machines import TODAY, events, machine

CUSTODY = 3
"""The book that statements come in."""


def row(kind: Kind, quantity: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "quantity": quantity, "depot": 1} | more


def stated(quantity: int, **more: Any) -> dict[str, Any]:
    return row(Kind.DEPOT, quantity, book=CUSTODY) | more


def besides(scan: BreakScan) -> list[Found]:
    """Everything found but that the books of this machine have no units."""
    return [found for found in scan.found if found.kind != BreakKind.PARTY]


def depot_breaks(scan: BreakScan) -> dict[tuple[int, int], tuple[int, int]]:
    scan.turn()
    return {
        (found.place.security, found.place.depot): (found.ours, found.theirs)
        for found in scan.found
        if found.kind == BreakKind.DEPOT
    }


@pytest.mark.parametrize(
    ("rows", "differs"),
    [
        ([row(Kind.FIRM, 1_000), stated(1_000)], {}),
        ([row(Kind.FIRM, 1_000), stated(900)], {(2, 1): (1_000, 900)}),
        ([row(Kind.FIRM, 1_000), row(Kind.CLIENT_FREE, 500), row(Kind.CLIENT_SEGREGATED, 50), stated(1_550)], {}),
        ([row(Kind.SLAB_BORROW, 300), row(Kind.REPO_RECEIVED, 70), row(Kind.REPO_RECEIVED_LOCKED, 7), stated(377)], {}),
        ([row(Kind.FIRM, 1_000), row(Kind.SLAB_LOAN, 400), row(Kind.REPO_PLEDGE_3, 100), stated(500)], {}),
        ([row(Kind.FIRM, 1_000), row(Kind.PAY_TO_HOLD, 99), row(Kind.SWAP_PLEDGE_0, 5), stated(1_000)], {}),
        ([row(Kind.FIRM, -200), row(Kind.SLAB_BORROW, 200), stated(1)], {(2, 1): (0, 1)}),
        ([row(Kind.FIRM, 1_000)], {}),  # nobody states anything of this depot
        ([row(Kind.FIRM, 1_000), stated(5, security=4)], {(2, 1): (1_000, 0), (4, 1): (0, 5)}),
        ([row(Kind.FIRM, -1_000), stated(5, security=4), row(Kind.FIRM, 5, security=4)], {}),
        ([row(Kind.FIRM, 10), row(Kind.FIRM, 20, depot=2), stated(30), stated(0, depot=2)],
         {(2, 1): (10, 30), (2, 2): (20, 0)}),
    ],
)  # fmt: skip
def test_a_depot_break_is_what_the_custodian_states_less_what_rows_that_move_stock_come_to(
    instance: str, rows: list[dict[str, Any]], differs: dict[tuple[int, int], tuple[int, int]]
) -> None:
    with machine(instance) as made:
        made.apply(events(*rows))
        assert depot_breaks(BreakScan(made.tables)) == differs


def test_what_has_not_settled_is_not_expected_in_the_depot(instance: str) -> None:
    with machine(instance) as made:
        buy = row(Kind.FIRM, 100, op=Op.BUY, settle_date=TODAY)
        made.apply(events(row(Kind.FIRM, 1_000), stated(1_000), buy))
        scan = BreakScan(made.tables)
        assert depot_breaks(scan) == {}
        made.apply(events(buy | {"op": Op.SETTLE_RECEIPT}, first_seq=10))
        assert depot_breaks(scan) == {(2, 1): (1_100, 1_000)}
        made.apply(events(stated(1_100), first_seq=20))
        assert depot_breaks(scan) == {}


def test_a_row_that_does_not_agree_with_itself_is_found_and_goes(instance: str) -> None:
    with machine(instance) as made:
        made.apply(
            events(row(Kind.FIRM, 5_000), row(Kind.FIRM, 1_000, op=Op.DECREASE), row(Kind.FIRM, 5_000, op=Op.SET_TD))
        )
        scan = BreakScan(made.tables)
        scan.turn()
        assert besides(scan) == [
            Found(BreakKind.TD_SD, Place(security=2, book=1, depot=1, row_kind=Kind.FIRM), 5_000, 4_000)
        ]
        made.apply(events(row(Kind.FIRM, 4_000, op=Op.SET_TD), first_seq=10))
        assert scan.turn() == 1
        assert not besides(scan)


def test_only_what_something_has_happened_to_is_looked_at_again(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(*(row(Kind.FIRM, 10, security=n) for n in range(1, 9))))
        scan = BreakScan(made.tables)
        assert scan.turn() == 8
        assert scan.turn() == 0
        made.apply(events(row(Kind.FIRM, 11, security=5), first_seq=20))
        assert scan.turn() == 1
        made.roll(np.asarray(made.tables.array["today"]) + 1)
        assert scan.turn() == 8


def test_a_start_of_day_is_held_against_the_close_before(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(row(Kind.FIRM, 1_000), row(Kind.SLAB_BORROW, 77)))
        scan = BreakScan(made.tables)
        scan.turn()
        rows = made.tables.array["position"][: made.tables.count(Word.ROWS)]
        scan.close_at(rows["td"].copy(), np.ones(len(rows), np.uint8))
        bought = row(Kind.FIRM, 30, op=Op.BUY)
        made.apply(events(row(Kind.FIRM, 1_000), bought, row(Kind.SLAB_BORROW, 70), first_seq=10))
        scan.turn()
        assert not besides(scan), "what was traded today, and contracts, were not there at the close"
        made.apply(events(row(Kind.FIRM, 900), bought, first_seq=20))
        scan.turn()
        place = Place(security=2, book=1, depot=1, row_kind=Kind.FIRM)
        assert besides(scan) == [Found(BreakKind.FRONT_BACK, place, 1_000, 900)]


def test_a_book_without_a_unit_is_found_where_it_holds_something(instance: str) -> None:
    with machine(instance) as made:
        books = np.zeros(2, BOOK)
        books["code"], books["aggregation_unit"] = [b"B1", b"B2"], [b"", b"AU1"]
        made.register(Message.BOOKS, books)
        unit = np.zeros(1, UNIT)
        unit["code"] = b"AU1"
        made.register(Message.UNITS, unit)
        made.apply(events(row(Kind.FIRM, 10), row(Kind.FIRM, 10, book=2), row(Kind.SLAB_LOAN, 10, book=4)))
        scan = BreakScan(made.tables)
        scan.turn()
        market = int(made.tables.array["security"]["market"][2])
        assert [(found.kind, found.place) for found in scan.found] == [(BreakKind.PARTY, Place(book=1, market=market))]


def test_more_promised_than_there_is_is_below_zero(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(row(Kind.FIRM, 100)))
        made.set_decided(2, Decided.SHORT_LOCATES, 130)
        scan = BreakScan(made.tables)
        scan.turn()
        assert [(f.kind, f.place.number, f.ours) for f in besides(scan)] == [
            (BreakKind.AVAILABILITY, "left_short", -30)
        ]


def _deal(made: Machine, code: str, kind: Kind, quantity: int, **more: Any) -> None:
    record = np.zeros(1, DEAL_STEP)
    step = {"seq": made.tables.count(Word.EVENTS) + 500, "source": 2, "security": 2, "book": 2, "depot": 1}
    step |= {"kind": kind, "op": Op.INCREASE, "quantity": quantity, "settle_date": TODAY, "trade_date": TODAY}
    action = more.pop("action", DealAction.OPEN)
    due = more.pop("due_date", NO_DATE)
    for name, value in (step | more).items():
        if name in step:
            record["event"][name] = value
    record["code"], record["action"], record["rate"] = code.encode(), action, RATE_UNKNOWN
    record["due_date"], record["end_date"], record["counterparty"] = due, NO_DATE, 1
    assert not made.step(record).rejected.size


def test_contracts_are_held_against_what_a_counterparty_states(instance: str) -> None:
    with machine(instance) as made:
        party = np.zeros(1, COUNTERPARTY)
        party["code"], party["kind"] = b"BROKER", CounterpartyKind.BROKER
        made.register(Message.COUNTERPARTIES, party)
        books = np.zeros(1, BOOK)
        books["code"], books["client"], books["aggregation_unit"] = b"B3", b"BROKER", b"AU1"
        made.register(Message.BOOKS, books)
        _deal(made, "C1", Kind.SLAB_LOAN, 500)
        _deal(made, "C2", Kind.SLAB_BORROW, 120)
        scan = BreakScan(made.tables)

        def contracts() -> list[tuple[Place, int, int]]:
            scan.turn()
            return [(f.place, f.ours, f.theirs) for f in scan.found if f.kind == BreakKind.CONTRACT]

        assert contracts() == [], "the counterparty states nothing"
        made.apply(events(stated(300, depot=0), first_seq=50))
        assert contracts() == [(Place(security=2, counterparty=1), 380, 300)]
        made.apply(events(stated(380, depot=0), first_seq=60))
        assert contracts() == []
        _deal(made, "C1", Kind.SLAB_LOAN, 200, action=DealAction.RECALL, due_date=TODAY)
        assert contracts() == []
        made.roll(np.asarray(made.tables.array["today"]) + 1)
        ((place, ours, theirs),) = contracts()
        assert (place.number, ours, theirs) == ("recall_overdue", 500, 300)


_KINDS = (
    *(Kind.FIRM, Kind.CLIENT_FREE, Kind.SLAB_BORROW, Kind.SLAB_LOAN, Kind.REPO_PLEDGE_2, Kind.SYNTHETIC),
    *(Kind.DEPOT, Kind.DEPOT, Kind.DEPOT),
)
_OPS = (Op.SET, Op.SET, Op.BUY, Op.SELL, Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY, Op.SET_TD, Op.INCREASE)
_event = st.fixed_dictionaries(
    {
        "security": st.integers(1, 6),
        "book": st.integers(1, 3),
        "depot": st.integers(0, 3),
        "kind": st.sampled_from(_KINDS),
        "op": st.sampled_from(_OPS),
        "quantity": st.integers(0, 40),
    }
)


def slow(made: Machine) -> Counter[tuple[BreakKind, int, int, int, int, int, int]]:
    """The same by looking at every row of the table in Python."""
    expected: dict[tuple[int, int], int] = {}
    statements: dict[tuple[int, int], int] = {}
    found: Counter[tuple[BreakKind, int, int, int, int, int, int]] = Counter()
    for record in made.tables.array["position"][: made.tables.count(Word.ROWS)]:
        key = int(record["key"])
        security, book, depot, kind = key >> 40, key >> 24 & 0xFFFF, key >> 8 & 0xFFFF, key & 0xFF
        sd, td = int(record["sd"]), int(record["td"])
        should = sd + int(record["receipt"].sum()) - int(record["deliver"].sum())
        if td != should:
            found[BreakKind.TD_SD, security, book, depot, kind, td, should] += 1
        if depot and kind == Kind.DEPOT:
            statements[security, depot] = statements.get((security, depot), 0) + sd
        elif depot and STOCK[kind]:
            expected[security, depot] = expected.get((security, depot), 0) + STOCK[kind] * sd
    speaking = {depot for _, depot in statements}
    for place in expected.keys() | statements.keys():
        ours, theirs = expected.get(place, 0), statements.get(place, 0)
        silent = place not in statements and (place[1] not in speaking or ours <= 0)
        if not silent and ours != theirs:
            found[BreakKind.DEPOT, place[0], 0, place[1], -1, ours, theirs] += 1
    return found


def looked(scan: BreakScan) -> Counter[tuple[BreakKind, int, int, int, int, int, int]]:
    kinds = (BreakKind.DEPOT, BreakKind.TD_SD)
    return Counter(
        (f.kind, f.place.security, f.place.book, f.place.depot, f.place.row_kind, f.ours, f.theirs)
        for f in scan.found
        if f.kind in kinds
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_event, min_size=1, max_size=12), min_size=1, max_size=8))
def test_looking_at_what_changed_is_looking_at_everything(instance: str, batches: list[list[dict[str, Any]]]) -> None:
    with machine(instance) as made:
        scan, seq = BreakScan(made.tables), 1
        for batch in batches:
            made.apply(events(*batch, first_seq=seq))
            seq += len(batch)
            scan.turn()
            assert looked(scan) == slow(made)
        again = BreakScan(made.tables)
        again.turn(whole=True)
        assert looked(again) == looked(scan)
