"""Any currency of the universe can be the one that everything is added up in."""

import numpy as np
import pytest

from engine.records import CURRENCY
from feeds.currencies import in_units_of

CURRENCIES = np.array(
    [(b"USD", 360, 1_000_000_000), (b"JPY", 365, 6_600_000), (b"EUR", 360, 1_140_000_000), (b"XXX", 360, 0)], CURRENCY
)


def test_the_same_currency_changes_nothing() -> None:
    assert (in_units_of(CURRENCIES, "USD") == CURRENCIES).all()


@pytest.mark.parametrize(
    ("code", "fx"),
    [
        ("EUR", [877_192_982, 5_789_474, 1_000_000_000, 0]),  # 1 / 1.14 and 0.0066 / 1.14, to the nearest billionth
        ("JPY", [151_515_151_515, 1_000_000_000, 172_727_272_727, 0]),
    ],
)
def test_rates_are_those_of_the_pair(code: str, fx: list[int]) -> None:
    made = in_units_of(CURRENCIES, code)
    assert made["fx"].tolist() == fx
    assert made["day_count"].tolist() == CURRENCIES["day_count"].tolist()


@pytest.mark.parametrize("code", ["XXX", "CHF"])
def test_an_unknown_worth_is_said(code: str) -> None:
    with pytest.raises(ValueError, match=f"worth in {code} is not known; it is in EUR, JPY, USD"):
        in_units_of(CURRENCIES, code)
