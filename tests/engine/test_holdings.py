"""Shares that decisions hold are those of the security their code leads to now."""

import pytest

from engine.holdings import Holdings
from engine.model import Decided
from tests.engine.locate_inventory import PlainInventory

SHORT, LONG = Decided.SHORT_LOCATES, Decided.LONG_LOCATES


@pytest.fixture
def inventory() -> PlainInventory:
    made = PlainInventory()
    made.add("A", 1_000)
    made.add("B", 1_000)
    return made


def _told(inventory: PlainInventory) -> list[int]:
    return [inventory.decided(security, SHORT) for security in (1, 2)]


def test_codes_that_lead_to_one_security_hold_together_and_apart_again(inventory: PlainInventory) -> None:
    holdings = Holdings(inventory, RuntimeError)
    holdings.add("A", SHORT, 10, ("client", "X"))
    holdings.add("B", SHORT, 20, ("client", "X"))
    holdings.add("B", LONG, 5, ("client", "Y"))
    inventory.lead("B", 1)
    assert holdings.held("A") == holdings.held("B") == {SHORT: 30, LONG: 5}
    assert (_told(inventory), inventory.decided(1, LONG), inventory.decided(2, LONG)) == ([30, 0], 5, 0)
    assert holdings.held("A", ("client", "X")) == {SHORT: 30}
    assert holdings.largest("client", 9) == [("A", "X", {SHORT: 30}), ("A", "Y", {LONG: 5})]
    assert sorted(holdings.together("A")) == ["A", "B"]
    inventory.lead("B", 2)
    assert (holdings.held("A"), holdings.held("B")) == ({SHORT: 10}, {SHORT: 20, LONG: 5})
    assert _told(inventory) == [10, 20]


def test_a_chain_of_merges_ends_where_its_codes_lead(inventory: PlainInventory) -> None:
    inventory.add("C", 0)
    holdings = Holdings(inventory, RuntimeError)
    for code, shares in (("A", 1), ("B", 2), ("C", 4)):
        holdings.add(code, SHORT, shares)
    inventory.lead("A", 2)
    holdings.renew()
    inventory.lead("A", 3)
    inventory.lead("B", 3)
    holdings.renew()
    assert [inventory.decided(security, SHORT) for security in (1, 2, 3)] == [0, 0, 7]


def test_what_is_given_back_before_anybody_looked_leaves_the_right_security(inventory: PlainInventory) -> None:
    holdings = Holdings(inventory, RuntimeError)
    holdings.add("A", SHORT, 10)
    holdings.add("B", SHORT, 20)
    inventory.lead("B", 1)
    holdings.add("B", SHORT, -20)
    holdings.renew()
    assert _told(inventory) == [10, 0]
    assert holdings.held("B") == {SHORT: 10}


def test_a_code_that_is_known_later_is_told_then(inventory: PlainInventory) -> None:
    holdings = Holdings(inventory, RuntimeError)
    holdings.expect(["C", "A"])
    holdings.add("C", SHORT, 10)
    holdings.add("A", SHORT, 1)
    assert _told(inventory) == [0, 0]
    holdings.renew()
    assert (_told(inventory), holdings.held("C"), holdings.largest("client", 1)) == ([1, 0], {SHORT: 10}, [])
    inventory.lead("C", 2)
    holdings.renew()
    assert _told(inventory) == [1, 10]


def test_what_does_not_add_up_is_raised(inventory: PlainInventory) -> None:
    holdings = Holdings(inventory, ArithmeticError)
    holdings.add("A", SHORT, 10)
    holdings.check({("A", SHORT): 10})
    with pytest.raises(ArithmeticError, match="10 counted, decisions say 9"):
        holdings.check({("A", SHORT): 9})
    holdings.add("B", LONG, 4)
    inventory.told[2, LONG] = 3
    with pytest.raises(ArithmeticError, match="the inventory has 3 long_locates, decisions hold 4"):
        holdings.check({("A", SHORT): 10, ("B", LONG): 4})
    with pytest.raises(ArithmeticError, match="1 more shares given back"):
        holdings.add("A", SHORT, -11)
