"""Limits of clients and aggregation units by hand (domain.md 5), and whom nobody knows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from engine.explain import explain
from engine.explain_split import By, split
from engine.model import Decided, Kind, Op
from engine.parties import Parties
from engine.records import BOOK
from engine.ring import Message
from engine.rule_model import Role, Scope
from engine.state import Machine
from tests.engine.machines import TODAY, events, machine, named

CLIENT, UNIT = (Role.CLIENT_LONG, Role.CLIENT_SHORT), (Role.AU_LONG, Role.AU_SHORT)


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    """Books B1 and B2 are of client C1, B3 of C2; B1 and B3 are in unit A1, B2 in A2; B4 is the firm's, in A1."""
    with machine(instance) as running:
        books = named(BOOK, "B", 4)
        books["client"] = ["C1", "C1", "C2", ""]
        books["aggregation_unit"] = ["A1", "A2", "A1", "A1"]
        running.register(Message.BOOKS, books)
        yield running


@dataclass
class Limits:
    """What an owner may still sell on SD0, asked fast; each number is explained on the way."""

    made: Machine

    def of(self, roles: tuple[Role, Role], owner: str, decided: Mapping[Decided, int]) -> tuple[int, int]:
        scope = Scope.CLIENT if roles == CLIENT else Scope.AU
        numbers = Parties(self.made.tables).numbers(self.made.compiled, scope, 2, owner, decided)
        catalogue = self.made.tables.catalogue
        names = [catalogue.calculations[catalogue.playing(role)].name for role in roles]
        client, unit = (owner, None) if scope == Scope.CLIENT else (None, owner)
        for name in names:
            told = explain(self.made.tables, 2, name, 0, client=client, aggregation_unit=unit, decided=decided)
            assert told.value == numbers[name][0]
            assert sum(split(told, By.CATEGORY).values()) == told.value
        long, short = (int(numbers[name][0]) for name in names)
        return long, short


HELD = [
    {"op": Op.SET, "kind": Kind.CLIENT_SEGREGATED, "quantity": 3_000, "book": 1},
    {"op": Op.SET, "kind": Kind.CLIENT_FREE, "quantity": 2_000, "book": 2},
    {"op": Op.BUY, "kind": Kind.CLIENT_FREE, "quantity": 400, "book": 2, "settle_date": TODAY + 2},
    {"op": Op.SET, "kind": Kind.CLIENT_FREE, "quantity": -700, "book": 1},
    {"op": Op.SET, "kind": Kind.CLIENT_SEGREGATED, "quantity": 9_999, "book": 3},
    {"op": Op.SET, "kind": Kind.PAY_TO_HOLD, "quantity": 2_000, "book": 1},
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 6_000, "book": 4},
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": -1_500, "book": 4, "depot": 1},
    {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 27_000, "book": 4, "depot": 2},
    {"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 2_000, "book": 4},
    {"op": Op.SET, "kind": Kind.EXTERNAL_FIRM, "quantity": 5_000, "book": 3},
]


@pytest.mark.parametrize(
    ("roles", "owner", "decided", "long", "short"),
    [
        # 3,000 segregated + 2,400 free by trade date (the short of 700 is no long) ; held 2,000
        (CLIENT, "C1", {}, 5_400, 2_000),
        # + 1,000 located long - 600 being sold ; 3,000 located + 2,000 held - 1,000 sold short
        (
            CLIENT,
            "C1",
            {
                Decided.APPROVED_LONG_LOCATES: 1_000,
                Decided.OPEN_LONG_SELLS: 600,
                Decided.APPROVED_SHORT_LOCATES: 3_000,
                Decided.SHORT_SELLS: 1_000,
            },
            5_800,
            4_000,
        ),
        (CLIENT, "C2", {}, 9_999, 0),
        # net 6,000 - 1,500 ; 27,000 borrowed - 2,000 lent + 5,000 of lenders
        (UNIT, "A1", {}, 4_500, 30_000),
        (UNIT, "A1", {Decided.OPEN_LONG_SELLS: 500, Decided.SHORT_SELLS: 5_000}, 4_000, 25_000),
        (UNIT, "A2", {}, 0, 0),
    ],
)
def test_limits_are_what_is_held_and_promised_less_what_is_sold(
    made: Machine, roles: tuple[Role, Role], owner: str, decided: dict[Decided, int], long: int, short: int
) -> None:
    made.apply(events(*HELD))
    assert Limits(made).of(roles, owner, decided) == (long, short)


def test_a_short_sale_of_all_that_is_left_fits_and_one_share_more_does_not(made: Machine) -> None:
    """Fact 7: client 5,000 of which 1,000 used, unit 25,000 of which 5,000 used."""
    made.apply(
        events(
            {"op": Op.SET, "kind": Kind.PAY_TO_HOLD, "quantity": 2_000, "book": 1},
            {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 27_000, "book": 4},
            {"op": Op.SET, "kind": Kind.SLAB_LOAN, "quantity": 2_000, "book": 4},
        )
    )
    limits = Limits(made)

    def left(sold_by_client: int, sold_in_unit: int) -> tuple[int, int]:
        located = {Decided.APPROVED_SHORT_LOCATES: 3_000}
        client = limits.of(CLIENT, "C1", located | {Decided.SHORT_SELLS: sold_by_client})
        unit = limits.of(UNIT, "A1", {Decided.SHORT_SELLS: sold_in_unit})
        return client[1], unit[1]

    assert left(1_000, 5_000) == (4_000, 20_000)
    assert left(1_000 + 4_000, 5_000 + 4_000) == (0, 16_000)


def test_a_long_sale_takes_from_the_long_limit_alone(made: Machine) -> None:
    """Fact 8."""
    made.apply(events(*HELD))
    limits = Limits(made)
    long, short = limits.of(CLIENT, "C1", {})
    assert limits.of(CLIENT, "C1", {Decided.OPEN_LONG_SELLS: 500}) == (long - 500, short)


def test_more_sold_than_held_shows_as_overdrawn_or_none(made: Machine) -> None:
    assert Limits(made).of(CLIENT, "C1", {Decided.SHORT_SELLS: 10})[1] == -10
    made.apply(events({"op": Op.SET, "kind": Kind.FIRM, "quantity": -50, "book": 4}))
    assert Limits(made).of(UNIT, "A1", {Decided.OPEN_LONG_SELLS: 10})[0] == -10


def test_a_book_that_changes_its_client_takes_its_rows_along(made: Machine) -> None:
    made.apply(events(*HELD))
    parties = Parties(made.tables)
    name = made.tables.catalogue.calculations[made.tables.catalogue.playing(Role.CLIENT_LONG)].name
    before = parties.numbers(made.compiled, Scope.CLIENT, 2, "C2")[name]
    moved = named(BOOK, "B", 4)[1:2]
    moved["client"] = "C2"
    made.register(Message.BOOKS, moved)
    assert (parties.numbers(made.compiled, Scope.CLIENT, 2, "C2")[name] - before).tolist() == [2_400] * 5


@pytest.mark.parametrize("owner", ["C9", "", "A1"])
def test_a_client_that_no_book_has_is_an_error(made: Machine, owner: str) -> None:
    with pytest.raises(KeyError, match=f"no client '{owner}'"):
        Parties(made.tables).numbers(made.compiled, Scope.CLIENT, 2, owner)
    with pytest.raises(KeyError, match=f"no client '{owner}'"):
        explain(made.tables, 2, "client_long", 0, client=owner)


def test_a_unit_that_no_book_has_is_an_error(made: Machine) -> None:
    with pytest.raises(KeyError, match="no aggregation unit 'C1'"):
        Parties(made.tables).numbers(made.compiled, Scope.AU, 2, "C1")
    with pytest.raises(KeyError, match="no aggregation unit 'C1'"):
        explain(made.tables, 2, "au_long", 0, aggregation_unit="C1")
    with pytest.raises(KeyError, match="no security has id 99"):
        Parties(made.tables).numbers(made.compiled, Scope.AU, 99, "A1")


def test_whose_number_it_is_must_be_said_and_must_fit(made: Machine) -> None:
    with pytest.raises(ValueError, match="client_long is a number of a client: say of which"):
        explain(made.tables, 2, "client_long", 0)
    with pytest.raises(ValueError, match="for_loan is not a number of a client"):
        explain(made.tables, 2, "for_loan", 0, client="C1")
    with pytest.raises(ValueError, match="au_long is not a number of a client"):
        explain(made.tables, 2, "au_long", 0, client="C1", aggregation_unit="A1")
