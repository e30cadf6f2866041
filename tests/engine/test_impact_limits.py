"""Limits that a draft would overdraw are those that it does overdraw when it is published."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import world
from engine import impact_limits
from engine.impact import impact
from engine.impact_limits import Holding, Overdrawn
from engine.model import Decided, Kind, Op
from engine.parties import Parties
from engine.records import BOOK
from engine.ring import Message
from engine.rule_model import Role, RuleBook, Scope
from engine.state import Machine
from tests.engine.machines import MARKETS, TODAY, events, machine, named

SHIPPED = world.rule_book()
OWNERS = ((Scope.CLIENT, "C1"), (Scope.CLIENT, "C2"), (Scope.AU, "A1"), (Scope.AU, "A2"))
ROLES = {Scope.CLIENT: (Role.CLIENT_LONG, Role.CLIENT_SHORT), Scope.AU: (Role.AU_LONG, Role.AU_SHORT)}


@contextmanager
def owned(instance: str) -> Iterator[Machine]:
    """Books B1 and B2 of client C1, B3 and B4 of C2; B1 and B3 are in the unit A1."""
    with machine(instance) as made:
        books = named(BOOK, "B", 4)
        books["client"], books["aggregation_unit"] = [b"C1", b"C1", b"C2", b"C2"], [b"A1", b"A2", b"A1", b"A2"]
        made.register(Message.BOOKS, books)
        yield made


def weighed(calculations: set[str], weight: int) -> RuleBook:
    """The shipped rules, in which everything that makes these calculations has another weight."""
    return dataclasses.replace(
        SHIPPED,
        rules=tuple(
            dataclasses.replace(rule, weight=weight if rule.weight > 0 else -weight)
            if rule.calculation in calculations
            else rule
            for rule in SHIPPED.rules
        ),
    )


def of_role(role: Role) -> str:
    return next(info.name for info in SHIPPED.calculations if info.role == role)


def test_a_limit_that_would_be_overdrawn_is_named_with_both_numbers(instance: str) -> None:
    held = {Decided.APPROVED_SHORT_LOCATES: 1_000, Decided.SHORT_SELLS: 600}
    draft = dataclasses.replace(
        SHIPPED,
        rules=tuple(
            dataclasses.replace(rule, weight=5_000)
            if rule.calculation == of_role(Role.CLIENT_SHORT) and rule.weight > 0
            else rule
            for rule in SHIPPED.rules
        ),
    )
    with owned(instance) as made:
        made.apply(events({"kind": Kind.CLIENT_FREE, "quantity": 50}))
        said = impact(made.tables, draft, [Holding(2, Scope.CLIENT, "C1", held)])
        nobody = impact(made.tables, draft, [Holding(2, Scope.CLIENT, "C9", held)])
    name = of_role(Role.CLIENT_SHORT)
    assert said.limits == [Overdrawn("S2", "client", "C1", name, Role.CLIENT_SHORT, 400, -100)]
    assert nobody.limits == []


def test_the_rules_in_force_overdraw_nothing(instance: str) -> None:
    with owned(instance) as made:
        made.apply(events({"kind": Kind.CLIENT_FREE, "quantity": 50}))
        held = {Decided.OPEN_LONG_SELLS: 900}
        assert impact(made.tables, SHIPPED, [Holding(2, Scope.CLIENT, "C1", held)]).limits == []


def test_a_holding_of_no_security_is_an_error(instance: str) -> None:
    with owned(instance) as made, pytest.raises(KeyError, match="99"):
        impact(made.tables, SHIPPED, [Holding(99, Scope.CLIENT, "C1", {})])


row = st.fixed_dictionaries(
    {
        "security": st.integers(1, 3),
        "book": st.integers(1, 4),
        "kind": st.sampled_from([kind for kind in Kind if kind <= Kind.EXTERNAL_INDICATIVE]),
        "op": st.sampled_from([Op.SET, Op.BUY, Op.SELL, Op.SHORT_SELL]),
        "quantity": st.integers(0, 1_000),
        "settle_date": st.integers(TODAY, TODAY + 6),
    }
)


@settings(max_examples=25)
@given(
    st.lists(row, max_size=25),
    st.sets(st.sampled_from([of_role(role) for roles in ROLES.values() for role in roles]), min_size=1),
    st.integers(-10_000, 10_000),
    st.dictionaries(st.sampled_from(list(Decided)), st.integers(0, 2_000)),
)
def test_what_would_be_overdrawn_is_overdrawn_when_it_is_published(
    rows: list[dict[str, Any]], calculations: set[str], weight: int, held: dict[Decided, int]
) -> None:
    holdings = [Holding(security, *owner, held) for security in (1, 2, 3) for owner in OWNERS]
    draft = weighed(calculations, weight)
    with owned("impact-limits") as made:
        made.apply(events(*rows))
        said = impact(made.tables, draft, holdings).limits
        before = [_numbers(made, each) for each in holdings]
        made.publish(draft)
        after = [_numbers(made, each) for each in holdings]
    expected = [
        Overdrawn(f"S{each.security}", each.scope, each.owner, of_role(role), role, old[role], new[role])
        for each, old, new in zip(holdings, before, after, strict=True)
        for role in ROLES[each.scope]
        if new[role] < min(0, old[role])
    ]
    assert sorted(said, key=repr) == sorted(expected, key=repr)


def _numbers(made: Machine, holding: Holding) -> dict[Role, int]:
    market = int(made.tables.array["security"]["market"][holding.security])
    found = Parties(made.tables).numbers(made.compiled, holding.scope, holding.security, holding.owner, holding.decided)
    return {role: int(found[of_role(role)][MARKETS[market].settle_days]) for role in ROLES[holding.scope]}


def test_both_numbers_of_a_limit_are_of_one_moment(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = impact_limits._numbers
    times = 0
    with owned(instance) as made:
        made.apply(events({"kind": Kind.CLIENT_FREE, "quantity": 900}))
        sold = events({"kind": Kind.CLIENT_FREE, "quantity": 0}, first_seq=2)

        def numbers(*arguments: Any) -> Any:
            nonlocal times
            times += 1
            if times == 1:
                made.apply(sold)
            return original(*arguments)

        monkeypatch.setattr(impact_limits, "_numbers", numbers)
        said = impact(made.tables, SHIPPED, [Holding(2, Scope.CLIENT, "C1", {Decided.OPEN_LONG_SELLS: 80})])
    assert times == 2
    assert said.limits == []
