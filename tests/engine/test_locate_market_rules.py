"""The shipped rules of locates keep what domain.md says of markets."""

from typing import Any

import pytest

from engine.locate_desk import LocateDesk
from engine.locates import Locate, LocateRequest, LocateType, Reason, State
from engine.model import Temperature
from tests.engine.locate_inventory import NOON_NS, NOTHING_KNOWN, PlainInventory, shipped_rules

CLOSE_NS = NOON_NS + 3_600_000_000_000
PLAIN = NOTHING_KNOWN._replace(designated=True)


class Market:
    """One security with a pool of 10,000 shares, and a desk that holds to the shipped rules."""

    def __init__(self, market: str, temperature: Temperature = Temperature.HTB, **reference: Any) -> None:
        self.inventory = PlainInventory()
        security = self.inventory.add("X", 10_000, temperature, market, exclusive=200, external_firm=300)
        self.inventory.references[security] = PLAIN._replace(**reference)
        self.desk = LocateDesk(self.inventory, shipped_rules())

    def asked(self, quantity: int = 100, kind: LocateType = LocateType.SHORT) -> Locate:
        request = LocateRequest(security="X", client="FUND1", quantity=quantity, type=kind)
        change = self.desk.decide(request, NOON_NS, CLOSE_NS)
        self.desk.settle(change)
        return change.after


def test_hong_kong_is_approved_up_to_what_lenders_have_confirmed() -> None:
    market = Market("HK")
    assert market.asked(400).state == State.APPROVED
    rest = market.asked(400)
    assert (rest.state, rest.approved, rest.reason) == (State.PARTIALLY_APPROVED, 100, Reason.MARKET_RESTRICTION)


def test_hong_kong_permits_short_sales_of_designated_securities_only() -> None:
    market = Market("HK", designated=False)
    refused = market.asked()
    assert (refused.state, refused.reason, refused.rule.id) == (
        State.REJECTED,
        Reason.SECURITY_INELIGIBLE,
        "hk-designated",
    )
    assert market.asked(kind=LocateType.LONG).state == State.APPROVED
    assert Market("JP", designated=False).asked().state == State.APPROVED


def test_nothing_is_promised_to_a_client_that_nobody_knows() -> None:
    for market in ("US", "HK", "KR", "GB"):
        desk = Market(market)
        desk.inventory.strangers.add("FUND1")
        for kind in LocateType:
            refused = desk.asked(kind=kind)
            assert (refused.state, refused.reason, refused.rule.id) == (
                State.REJECTED,
                Reason.CLIENT_INELIGIBLE,
                "unknown-client",
            )
        desk.inventory.strangers.clear()
        assert desk.asked().state == State.APPROVED, "it was made known meanwhile"


def test_a_threshold_security_of_the_united_states_is_a_persons_to_decide() -> None:
    waits = Market("US", threshold=True).asked()
    assert (waits.state, waits.reason) == (State.PENDING, Reason.THRESHOLD_SECURITY)
    assert Market("JP", threshold=True).asked().state == State.APPROVED


@pytest.mark.parametrize(
    ("reference", "cap"), [({"volume_30d": 1_000}, 300), ({"outstanding": 3_000}, 300), ({}, 10_000)]
)
def test_taiwan_caps_what_is_located_in_a_day(reference: dict[str, Any], cap: int) -> None:
    market = Market("TW", **reference)
    assert market.asked(cap - 1).state == State.APPROVED
    assert market.asked(1).state == State.APPROVED
    over = market.asked(1)
    reason = Reason.LIMIT_EXCEEDED if reference else Reason.INSUFFICIENT_INVENTORY
    assert (over.state, over.reason) == (State.REJECTED, reason)


@pytest.mark.parametrize(
    ("market", "temperature", "held"),
    [
        ("US", Temperature.HTB, 100),
        ("US", Temperature.GC, 0),
        ("US", Temperature.WARM, 0),
        ("JP", Temperature.HTB, 0),
    ],
)
def test_hard_to_borrow_stock_of_the_united_states_is_not_promised_twice_on_one_day(
    market: str, temperature: Temperature, held: int
) -> None:
    made = Market(market, temperature)
    locate = made.asked()
    made.desk.settle(made.desk.release(locate.sequence, NOON_NS + 1))
    assert made.inventory.left(1) == 10_000 - held
    for change in made.desk.expire_due(CLOSE_NS):
        made.desk.settle(change)
    assert made.inventory.left(1) == 10_000
