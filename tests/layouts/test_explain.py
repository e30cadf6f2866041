import itertools
from collections.abc import Iterator

import pytest

from engine.model import DAYS, Kind, Op
from engine.state import Machine
from engine.views import security_detail
from layouts.explain import CHAIN, day_labels, ladder, steps
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
]


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        running.apply(events(*WRITTEN))
        yield running


def test_every_step_begins_where_the_one_before_ends_and_totals_are_the_engines(made: Machine) -> None:
    for security, day in itertools.product((2, 3), range(DAYS)):
        detail = security_detail(made.tables, security)
        running = 0
        for step in steps(detail, day):
            assert step.start == (0 if step.total else running)
            running = step.end
        totals = [step.end for step in steps(detail, day) if step.total]
        assert totals == [detail.values[name][day] for name in CHAIN]


def test_a_number_that_is_held_at_zero_says_so(made: Machine) -> None:
    shown = {step.label: step for step in steps(security_detail(made.tables, 3), 0)}
    assert shown["Not below zero"].amount == 900
    assert shown["For loan"].end == 0


def test_a_weight_other_than_one_is_named(made: Machine) -> None:
    shown = {step.label: step.amount for step in steps(security_detail(made.tables, 2), 0)}
    assert shown["External indicative \N{MULTIPLICATION SIGN}0.5"] == 150
    assert shown["On loan"] == -3_000


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
