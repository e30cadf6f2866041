"""What decisions are told of the machine."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest

from engine.inventory import Inventory
from engine.model import CounterpartyKind, Op
from engine.records import BOOK, COUNTERPARTY
from engine.ring import Message
from engine.state import Machine
from tests.engine.machines import TODAY, events, machine, named


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as one:
        yield one


def test_a_client_is_known_by_its_books_or_as_a_counterparty_that_is_a_client(made: Machine) -> None:
    inventory = Inventory(made.tables, lambda *_: None)
    assert not inventory.knows_client("FUND1")
    assert not inventory.knows_client("")
    books = named(BOOK, "B", 1)
    books["client"] = b"FUND1"
    made.register(Message.BOOKS, books)
    assert inventory.knows_client("FUND1")
    others = named(COUNTERPARTY, "P", 2)
    others["kind"] = CounterpartyKind.CLIENT, CounterpartyKind.LENDER
    made.register(Message.COUNTERPARTIES, others)
    assert [inventory.knows_client(code) for code in ("FUND1", "P1", "P2")] == [True, True, False]
    books["client"] = b"FUND2"
    made.register(Message.BOOKS, books)
    assert [inventory.knows_client(code) for code in ("FUND1", "FUND2")] == [False, True]


def test_what_is_left_for_a_later_day_is_the_least_of_both_settlement_days(made: Machine) -> None:
    """The first market settles a day after the trade; of 1,000 shares 600 leave on SD3 and come back on SD4."""
    inventory = Inventory(made.tables, lambda *_: None)
    today = dt.date(1970, 1, 1) + dt.timedelta(TODAY)
    made.apply(
        events(
            {"quantity": 1_000},
            {"quantity": 600, "op": Op.SELL, "settle_date": TODAY + 3},
            {"quantity": 600, "op": Op.BUY, "settle_date": TODAY + 4},
        )
    )
    days = inventory.left_by_day(2)
    settle = made.markets[0].settle_days
    by_hand = [min(days[settle], days[min(4, settle + ahead)]) for ahead in range(10)]
    assert [inventory.left(2, good_for=today + dt.timedelta(ahead)) for ahead in range(10)] == by_hand
    assert len(set(by_hand)) == 2, "the day matters"
    assert inventory.left(2) == days[settle] == by_hand[0]
    assert np.min(by_hand) >= 0
