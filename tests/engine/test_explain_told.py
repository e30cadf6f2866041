"""What an explanation says, by hand: rules, rows, labels, splits and what to give back."""

import datetime as dt
from collections.abc import Iterator

import pytest

from app import world
from engine.explain import Input, InputKind, explain
from engine.explain_parts import LIMIT
from engine.explain_returns import is_overborrow, suggested_returns
from engine.explain_rows import copy_of
from engine.explain_split import By, largest_first, split
from engine.model import Decided, Kind, Op
from engine.records import BOOK, CURRENCY
from engine.ring import Message
from engine.rule_model import Document, Role
from engine.state import Machine
from tests.engine.machines import TODAY, events, machine, named

WRITTEN = [
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 10_000, "book": 1},
    {"op": Op.BUY, "kind": Kind.FIRM, "quantity": 500, "book": 1, "settle_date": TODAY + 2},
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": -900, "book": 2},
    {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 4_000, "book": 2, "depot": 3},
    {"op": Op.SET, "kind": Kind.REPO_PLEDGE_2, "quantity": 600, "book": 1, "depot": 1},
    {"op": Op.SET, "kind": Kind.EXTERNAL_INDICATIVE, "quantity": 301, "book": 3},
    {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 4_000, "book": 2, "security": 3},
]


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        books = named(BOOK, "B", 4)
        books["client"], books["entity"] = ["C1", "C2", "", ""], ["E1", "E1", "E2", "E2"]
        running.register(Message.BOOKS, books)
        running.apply(events(*WRITTEN))
        running.set_decided(2, Decided.SHORT_LOCATES, 40)
        yield running


def told(made: Machine, calculation: str, day: int, security: int = 2) -> dict[str, Input]:
    return {each.name: each for each in explain(made.tables, security, calculation, day).inputs}


def test_an_input_is_told_with_its_rule_and_just_its_rows(made: Machine) -> None:
    whole = explain(made.tables, 2, "for_loan", 2)
    firm = {each.name: each for each in whole.inputs}["firm_long"]
    assert (firm.kind, firm.quantity, firm.weight, firm.share) == (InputKind.ROWS, 10_500, 10_000, 10_500)
    assert (firm.rule, firm.document, firm.version) == ("for_loan.firm_long", "default", 1)
    assert (firm.title, firm.category, firm.stability) == ("Firm", "firm", "stable")
    assert (firm.condition, firm.measure) == ("position_type = 'FIRM'", "long")
    assert [whole.copy.rows.book[place] for place in firm.rows] == ["B1"]
    assert firm.given.tolist() == [10_500]
    assert (whole.total, whole.value, whole.day) == (13_600, 13_600, 2)


def test_a_market_s_own_rule_is_told_instead_of_the_general_one(made: Machine) -> None:
    here, elsewhere = told(made, "for_loan", 0, 3)["borrowed"], told(made, "for_loan", 0)["borrowed"]
    assert (here.rule, here.document, here.weight, here.share) == ("for_loan.borrowed.tw", "tw", 0, 0)
    assert here.note == "Borrowed stock may not be lent on."
    assert (elsewhere.document, elsewhere.weight, elsewhere.share) == ("default", 10_000, 4_000)


def test_a_rule_is_told_on_the_days_on_which_it_is_in_force(instance: str) -> None:
    begins = dt.date(1970, 1, 1) + dt.timedelta(days=TODAY + 2)
    text = f"""
format: 1
document: desk
effective_from: 2020-01-01
rules:
  - {{id: desk.half, calculation: for_loan, input: firm_long, weight: 0.5, effective_from: {begins}, priority: 10}}
  - {{id: desk.none, calculation: for_loan, input: firm_long, weight: 0, condition: depot = 'D1', priority: 20}}
"""
    book = world.rule_book((*world.shipped_documents(), Document("desk", 3, text)))
    with machine(instance, book=book) as made:
        made.apply(events({"quantity": 101}, {"quantity": 30, "depot": 1}))
        of_days = [
            [(each.rule, each.weight, each.share) for each in explain(made.tables, 2, "for_loan", day).inputs]
            for day in range(5)
        ]
        held = [[(rule, weight, share) for rule, weight, share in day if share or "desk" in rule] for day in of_days]
        assert held[:2] == [[("desk.none", 0, 0), ("for_loan.firm_long", 10_000, 101)]] * 2
        assert held[2:] == [[("desk.none", 0, 0), ("desk.half", 5_000, 50)]] * 3
        firm = {each.rule: each for each in explain(made.tables, 2, "for_loan", 2).inputs}
        assert firm["desk.half"].condition == "position_type = 'FIRM' AND NOT (depot = 'D1')"
        assert firm["desk.none"].condition == "position_type = 'FIRM' AND depot = 'D1'"
        assert (firm["desk.half"].quantity, firm["desk.none"].quantity, firm["desk.half"].version) == (101, 30, 3)


def test_a_pledge_counts_until_it_can_be_called_back(made: Machine) -> None:
    assert [told(made, "for_loan", day)["pledged_locked"].share for day in range(5)] == [-600, -600, 0, 0, 0]
    assert told(made, "for_loan", 2)["pledged_locked"].rows.size == 0


def test_the_numbers_inside_a_number_are_explained_too(made: Machine) -> None:
    inside = told(made, "remaining", 1)
    pool = inside["locate_pool"].nested
    assert pool is not None
    assert inside["located"].kind == InputKind.DECIDED
    assert inside["located"].share == -40
    indicative = {each.name: each for each in pool.inputs}["external_indicative"]
    assert (indicative.quantity, indicative.share) == (301, 150)
    lend = {each.name: each for each in pool.inputs}["for_loan"].nested
    assert lend is not None
    assert lend.value == 10_000 - 900 + 4_000 - 600
    assert pool.value == lend.value + 150


def test_facts_and_clocks_are_told_as_they_are(made: Machine) -> None:
    currencies = named(CURRENCY, "", 1)
    currencies["code"], currencies["day_count"], currencies["fx"] = "USD", 360, 10**9
    made.register(Message.CURRENCIES, currencies)
    made.apply(events({"op": Op.PRICE, "quantity": 12_340_000, "book": 0}, first_seq=50))
    value = told(made, "market_value", 0)
    assert (value["price"].kind, value["price"].quantity, value["price"].source) == (
        InputKind.FACT,
        12_340_000,
        "PRICE",
    )
    assert (value["price"].weight, value["price"].rule) == (None, "")
    assert explain(made.tables, 2, "market_value", 0).value == (10_000 - 900) * 1234
    assert told(made, "lendable", 0)["lending_open"].kind == InputKind.CLOCK


def test_splits_follow_labels_and_places(made: Machine) -> None:
    pool = explain(made.tables, 2, "locate_pool", 0)
    assert split(pool, By.CATEGORY) == {
        "firm": 10_000,
        "borrowed": 4_000,
        "used: covers shorts": -900,
        "pledged, not back by then": -600,
        "lenders indicative": 150,
    }
    assert split(pool, By.STABILITY) == {"stable": 10_000, "callable": 4_000, "used": -1_500, "indicative": 150}
    assert split(pool, By.DEPOT) == {"": 10_000 - 900 + 150, "D3": 4_000, "D1": -600}
    assert split(pool, By.BOOK) == {"B1": 9_400, "B2": 3_100, "B3": 150}
    assert split(pool, By.CLIENT) == {"C1": 9_400, "C2": 3_100, "": 150}
    assert split(pool, By.ENTITY) == {"E1": 12_500, "E2": 150}
    assert split(explain(made.tables, 2, "remaining", 0), By.BOOK)["Located"] == -40
    assert list(largest_first({"a": 1, "b": -3, "c": 2})) == ["b", "c", "a"]


def test_a_number_held_at_zero_says_what_holds_it(made: Machine) -> None:
    made.apply(events({"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 100_000, "book": 3}, first_seq=50))
    groups = split(explain(made.tables, 2, "for_loan", 0), By.CATEGORY)
    assert groups["used: on loan"] == -100_000
    assert groups[LIMIT] == 100_000 - 12_500
    assert sum(groups.values()) == 0


def test_a_split_gives_lost_shares_where_most_was_lost(made: Machine) -> None:
    odd = [
        {"op": Op.SET, "kind": Kind.EXTERNAL_INDICATIVE, "quantity": n, "book": b} for b, n in ((1, 3), (2, 5), (4, 2))
    ]
    made.apply(events(*odd, first_seq=50))
    pool = explain(made.tables, 2, "locate_pool", 0)
    halves = split(pool, By.BOOK)
    assert sum(halves.values()) == pool.value
    # 301 + 3 + 5 + 2 shares at a half are 155: three odd halves share one share
    assert halves["B4"] == 1
    assert halves["B1"] + halves["B2"] + halves["B3"] == 9_400 + 1 + 3_100 + 2 + 150 + 1


def test_what_is_borrowed_too_much_goes_back_from_the_dearest_down(made: Machine) -> None:
    """10,000 + 500 held against 900 + 12,000 used: 2,400 of 8,000 borrowed are needed, 5,600 go back."""
    dear = [(1, 1_000, 25_000), (2, 3_000, 40_000), (3, 4_000, 0)]
    contracts = [
        {"op": op, "kind": Kind.SLAB_BORROW, "quantity": content, "book": book, "depot": 1}
        for book, quantity, rate in dear
        for op, content in ((Op.SET, quantity), (Op.SET_RATE, rate))
    ]
    made.apply(
        events(
            {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 0, "book": 2, "depot": 3},
            {"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 12_000, "book": 3},
            *contracts,
            first_seq=50,
        )
    )
    whole = explain(made.tables, 2, "overborrow", 2)
    assert is_overborrow(whole)
    assert whole.value == 8_000 - (900 + 12_000 - 10_500)
    given = suggested_returns(whole.copy, 2)
    assert [(whole.copy.rows.book[r.row], r.rate, r.borrowed, r.quantity) for r in given] == [
        ("B2", 40_000, 3_000, 3_000),
        ("B1", 25_000, 1_000, 1_000),
        ("B3", None, 4_000, 1_600),
    ]
    made.apply(events({"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 50_000, "book": 3}, first_seq=90))
    assert suggested_returns(copy_of(made.tables, 2), 2) == ()


def test_nothing_that_does_not_exist_is_explained(made: Machine) -> None:
    with pytest.raises(KeyError, match="no calculation 'for_nothing'"):
        explain(made.tables, 2, "for_nothing", 0)
    with pytest.raises(KeyError, match="no security has id 99"):
        explain(made.tables, 99, "for_loan", 0)
    for day in (-1, 5):
        with pytest.raises(ValueError, match="the days are 0 to 4"):
            explain(made.tables, 2, "for_loan", day)


def test_the_role_of_a_number_is_asked_not_its_name(made: Machine) -> None:
    catalogue = made.tables.catalogue
    name = catalogue.calculations[catalogue.playing(Role.LEND)].name
    assert explain(made.tables, 2, name, 0).value == 12_500
