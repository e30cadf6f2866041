"""The aggregation unit of a book may be another one in each market, and its limits follow."""

import numpy as np
import pytest

from engine.model import Kind, Op
from engine.parties import Parties
from engine.records import UNIT
from engine.ring import BOOK_UNIT, Message
from engine.rule_model import Scope
from tests.engine.machines import TW, events, machine, named


def test_limits_of_a_unit_are_of_the_books_it_has_in_the_market() -> None:
    with machine("ims.test.bookunits") as made:
        books = made.tables.array["book"][1:5].copy()
        books["aggregation_unit"] = b"PLAIN"
        made.register(Message.BOOKS, books)
        made.register(Message.UNITS, named(UNIT, "U", 2))
        made.register(Message.BOOK_UNITS, np.array([(b"B1", b"U1", 0), (b"B1", b"U2", TW)], BOOK_UNIT))
        held = [
            {"security": s, "book": b, "kind": Kind.FIRM, "op": Op.SET, "quantity": 100 * b}
            for s in (1, 2)
            for b in (1, 2)
        ]
        made.apply(events(*held))
        parties = Parties(made.tables)

        def left(security: int, unit: str) -> int:
            numbers = parties.numbers(made.compiled, Scope.AU, security, unit)
            return max(int(values[0]) for name, values in numbers.items() if "long" in name)

        assert [left(2, unit) for unit in ("U1", "U2", "PLAIN")] == [100, 0, 200]  # security 2 is in the first market
        assert [left(1, unit) for unit in ("U1", "U2", "PLAIN")] == [0, 100, 200]  # security 1 in the second
        with pytest.raises(KeyError, match="no aggregation unit"):
            left(1, "U9")
