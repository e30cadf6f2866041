import itertools
from collections.abc import Iterator

import pytest

from engine.model import DAYS, Decided, Kind, Op
from engine.state import Machine
from engine.views import By, Explanation, InputKind, SecurityDetail, security_detail
from layouts import formats
from layouts.explain import (
    CHAIN,
    choosable,
    day_labels,
    first_choice,
    inputs,
    ladder,
    rule_text,
    split_steps,
    steps,
)
from tests.engine.machines import TODAY, events, machine

WRITTEN = [
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 10_000, "book": 1},
    {"op": Op.BUY, "kind": Kind.FIRM, "quantity": 500, "book": 1, "settle_date": TODAY + 2},
    {"op": Op.SELL, "kind": Kind.FIRM, "quantity": 200, "book": 1, "settle_date": TODAY + 9},
    {"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 3_000, "book": 2},
    {"op": Op.DECREASE, "kind": Kind.SLAB_LOAN, "quantity": 1_000, "book": 2, "settle_date": TODAY + 1},
    {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 4_000, "book": 2, "depot": 3},
    {"op": Op.SET, "kind": Kind.EXTERNAL_INDICATIVE, "quantity": 301, "book": 3},
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": -900, "book": 1, "security": 3},
    {"op": Op.PRICE, "quantity": 12_340_000, "book": 0},
]
CURRENCIES = ("EUR", "USD")


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        running.apply(events(*WRITTEN))
        running.set_decided(2, Decided.SHORT_LOCATES, 40)
        yield running


def explained(detail: SecurityDetail, name: str, day: int) -> Explanation:
    return detail.explain(detail.catalogue.calculation(name), day)


def test_every_step_begins_where_the_one_before_ends_and_totals_are_the_engines(made: Machine) -> None:
    for security, day in itertools.product((2, 3), range(DAYS)):
        detail = security_detail(made.tables, security)
        told = steps(explained(detail, first_choice(detail), day))
        running = 0
        for step in told:
            assert step.start == (0 if step.total else running)
            running = step.end
        assert [step.end for step in told if step.total] == [detail.value(role, day) for role in CHAIN]


def test_every_number_can_be_told_step_by_step_and_by_every_split(made: Machine) -> None:
    detail = security_detail(made.tables, 2)
    for (name, title), day in itertools.product(choosable(detail), (0, 3)):
        whole = explained(detail, name, day)
        for told in (steps(whole), *(split_steps(whole, by) for by in By)):
            assert (told[-1].label, told[-1].end, told[-1].total) == (title, whole.value, True)
            assert told[-2].end == whole.value if len(told) > 1 else whole.value == 0


def test_a_number_that_is_more_than_its_shares_is_told_by_category(made: Machine) -> None:
    detail = security_detail(made.tables, 2)
    told = steps(explained(detail, "overborrow", 0))
    assert [(step.label, step.amount) for step in told] == [("Borrowed", 4_000), ("Overborrow", 4_000)]


def test_a_number_that_is_held_at_zero_says_so(made: Machine) -> None:
    detail = security_detail(made.tables, 3)
    shown = {step.label: step for step in steps(explained(detail, first_choice(detail), 0))}
    assert shown["Limit"].amount == 900
    assert shown["For loan"].end == 0


def test_a_weight_other_than_one_is_named(made: Machine) -> None:
    detail = security_detail(made.tables, 2)
    shown = {step.label: step.amount for step in steps(explained(detail, first_choice(detail), 0))}
    assert shown["Lenders indicative \N{MULTIPLICATION SIGN}0.5"] == 150
    assert shown["On loan"] == -3_000


def test_rows_without_a_place_are_a_group_of_their_own(made: Machine) -> None:
    detail = security_detail(made.tables, 2)
    shown = {step.label: step.amount for step in split_steps(explained(detail, first_choice(detail), 0), By.DEPOT)}
    assert shown == {"none": 10_000 - 3_000 + 150, "D3": 4_000, "Located": -40, "Remaining": 11_110}


def test_an_input_tells_its_rule_and_what_it_is_from(made: Machine) -> None:
    detail = security_detail(made.tables, 2)
    whole = explained(detail, first_choice(detail), 0)
    told = {each.name: rule_text(of, each, CURRENCIES) for _, of, each in inputs(whole)}
    assert told["external_indicative"].split(" · ") == [
        "Lenders indicative: 301",
        "\N{MULTIPLICATION SIGN} 0.5 = 150",
        "rule locate_pool.external_indicative, version 1 of default",
        "long of rows where external_kind = 'INDICATIVE'",
        "indicative",
        "Half of what lenders indicate is there when it is asked for.",
    ]
    assert told["locate_pool"].endswith("of default · greatest(0, total)")
    keys = [key for key, _, _ in inputs(whole)]
    assert len(keys) == len(set(keys))
    assert {step.key for step in steps(whole) if step.key} <= set(keys)


def test_amounts_are_told_with_their_currency_and_rates_as_percent(made: Machine) -> None:
    assert formats.number(1_234_567, "shares", CURRENCIES) == "1,234,567"
    assert formats.number(-123_405, "money", CURRENCIES) == "EUR -1,234.05"
    assert formats.number(5, "reporting", CURRENCIES) == "USD 0.05"
    assert formats.number(9_050, "basis_points", CURRENCIES) == "90.50%"
    assert [formats.scale(unit) for unit in ("shares", "money", "basis_points")] == [1, 100, 100]
    detail = security_detail(made.tables, 2)
    price, open_now = (
        next(each for _, _, each in inputs(explained(detail, name, 0)) if each.kind == kind)
        for name, kind in (("market_value", InputKind.FACT), ("lendable", InputKind.CLOCK))
    )
    assert formats.quantity(price, CURRENCIES) == "EUR 12.3400"
    assert formats.quantity(open_now, CURRENCIES) == "yes"


def test_the_ladder_counts_what_moves_stock_and_takes_back_what_was_lent(made: Machine) -> None:
    shown = ladder(security_detail(made.tables, 2))
    assert shown.receipts.tolist() == [0, 1_000, 500, 0, 0, 0]
    assert shown.deliveries.tolist() == [0, 0, 0, 0, 0, 200]
    assert shown.projected.tolist() == [11_000, 12_000, 12_500, 12_500, 12_500, 12_300]


def test_days_are_named_with_their_dates(made: Machine) -> None:
    labels = day_labels(security_detail(made.tables, 2))
    assert labels[0] == "SD0 04 Oct"
    assert labels[-1] == "later"
    assert len(labels) == DAYS + 1
