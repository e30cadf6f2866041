from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bench.synthetic import synthetic_tables
from engine.model import HEAD_FACTS, Fact, Temperature
from engine.rule_model import Role, Show, Unit
from engine.tables import Tables
from engine.views import Inventory
from engine.views_overview import overview

FEW = 60


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    owned = synthetic_tables("test-views-overview.tables", FEW)
    yield owned
    owned.close()


@settings(max_examples=40)
@given(
    st.lists(st.integers(-(2**50), 2**50), min_size=FEW, max_size=FEW),
    st.lists(st.sampled_from([0, 1, 20_000_000, 10**12]), min_size=FEW, max_size=FEW),
)
def test_sums_are_those_that_one_would_add_up_by_hand(tables: Tables, shares: list[int], prices: list[int]) -> None:
    catalogue, array = tables.catalogue, tables.array
    lend = catalogue.playing(Role.LEND)
    array["values"][1:, lend, 0] = shares
    array["head"][1:, HEAD_FACTS + Fact.PRICE], array["head"][1:, HEAD_FACTS + Fact.FX] = prices, 500_000_000
    sums = overview(Inventory(tables))
    at = [measure.role for measure in sums.measures].index(Role.LEND)
    records = array["security"]
    for market in range(len(tables.markets)):
        for temperature in Temperature:
            here = [
                place
                for place in range(FEW)
                if records["market"][place + 1] == market and records["temperature"][place + 1] == temperature
            ]
            assert int(sums.shares[at, market, temperature]) == sum(shares[place] for place in here)
            assert int(sums.securities[market, temperature]) == len(here)
            money = sum(shares[place] * prices[place] / 2e6 for place in here)
            whole = sum(abs(shares[place]) * prices[place] / 2e6 for place in here)
            assert sums.money[at, market, temperature] == pytest.approx(money, abs=1e-9 * whole + 1e-6)
    assert sums.by_market[at] == pytest.approx(sums.money[at].sum(axis=1))


def test_what_is_summed_is_what_the_rules_show_of_a_security_in_shares(tables: Tables) -> None:
    shown = {
        info.title
        for info in tables.catalogue.calculations
        if info.scope == "security" and info.unit == Unit.SHARES and info.show != Show.NONE
    }
    sums = overview(Inventory(tables))
    assert {measure.title for measure in sums.measures} == shown
    assert len({measure.column for measure in sums.measures}) == len(shown)


def test_who_has_shares_and_no_price_is_counted_and_so_is_who_owes(tables: Tables) -> None:
    array, left = tables.array, tables.catalogue.playing(Role.LEFT_SHORT)
    array["values"][1:] = 0
    array["head"][1:, HEAD_FACTS + Fact.PRICE : HEAD_FACTS + Fact.FX + 1] = 1_000_000
    days = np.array([market.settle_days for market in tables.markets])
    array["values"][7, left, days[array["security"]["market"][7]]] = -5
    array["values"][8, left, days[array["security"]["market"][8]]] = 5
    array["head"][8, HEAD_FACTS + Fact.PRICE] = 0
    sums = overview(Inventory(tables))
    assert (int(sums.negative.sum()), int(sums.unpriced.sum())) == (1, 1)
    record = array["security"][8]
    assert int(sums.unpriced[record["market"], record["temperature"]]) == 1
