"""Which columns there are is said by the rules: what they show, the roles they play, what they are called."""

import time
from typing import Any

import msgspec
import numpy as np

from app.bench.synthetic import synthetic_tables
from engine.catalogue import CalculationInfo, Catalogue, ComponentInfo, InputInfo, TermInfo
from engine.tables import Tables
from engine.views import Inventory, Query
from engine.views_columns import Column, Source, columns_of


def calculation(name: str, show: str = "none", **more: Any) -> CalculationInfo:
    given = {"title": name.title(), "description": "", "expression": "total", "scope": "security", "unit": "shares"}
    return CalculationInfo(name=name, show=show, **(given | {"role": ""} | more))


def term(name: str, component: int, **more: Any) -> TermInfo:
    return TermInfo(name, name.title(), more.pop("category", ""), "", "long", "", component, **more)


def catalogue(*calculations: CalculationInfo, taken: tuple[str, ...] = ("promised",), version: int = 1) -> Catalogue:
    """`taken`: terms that the calculation with the role of what is left takes in."""
    everything = (*calculations, calculation("free", "settlement", role="left_short"))
    inputs = tuple(
        tuple(InputInfo(name, "term", (0,), (), (1,) * 5, "", "", 1) for name in taken)
        if info.role == "left_short"
        else ()
        for info in everything
    )
    return Catalogue(
        version=version,
        documents=(),
        terms=(term("promised", 0), term("seen", 1, category="Lent"), term("of_a_client", 2), term("said", -1)),
        components=tuple(ComponentInfo(str(i), "long", (), (), maintained=i < 2) for i in range(3)),
        calculations=everything,
        inputs=(inputs,),
    )


def calculated(*calculations: CalculationInfo) -> list[Column]:
    return [column for column in columns_of(catalogue(*calculations)) if column.source is Source.VALUES]


def test_what_a_calculation_shows_decides_its_columns() -> None:
    made = calculated(
        calculation("loan", "days"), calculation("now", "today"), calculation("then", "settlement"), calculation("kept")
    )
    assert [(column.name, column.day, column.shown) for column in made] == [
        *((f"loan.{day}", day, True) for day in range(5)),
        ("now", 0, True),
        ("then", None, True),
        ("kept", None, False),
        ("free", None, True),
    ]
    assert [(column.group, column.title) for column in made[:2]] == [("Loan", "SD0"), ("Loan", "SD1")]
    assert [column.item for column in made] == [0, 0, 0, 0, 0, 1, 2, 3, 4]


def test_units_decide_how_numbers_are_scaled() -> None:
    units = ("shares", "money", "reporting", "basis_points")
    made = calculated(*(calculation(unit, "today", unit=unit) for unit in units))[:4]
    assert [(column.unit, column.scale) for column in made] == list(zip(units, (1, 100, 100, 100), strict=True))


def test_roles_decide_what_is_a_floor_what_is_strong_and_what_stands_out() -> None:
    made = calculated(
        calculation("all", "settlement", role="pool_short"),
        calculation("used", "today", role="utilisation", unit="basis_points"),
        calculation("own", "settlement", role="pool_long"),
    )
    by_name = {column.name: column for column in made}
    assert {name for name, column in by_name.items() if column.floor} == {"all", "free"}
    assert {name for name, column in by_name.items() if column.strong} == {"free"}
    assert {name: column.hot for name, column in by_name.items() if column.hot} == {"used": 90.0}


def test_neighbours_of_a_group_stand_together_with_what_lies_between_pool_and_left() -> None:
    made = columns_of(catalogue(calculation("all", role="pool_short"), calculation("other", "today")))
    names = [column.name for column in made]
    start = names.index("all")
    assert names[start : start + 4] == ["all", "promised", "free", "other"]
    assert {column.group for column in made[start : start + 3]} == {"Locate"}
    assert made[start + 1].shown


def test_kept_terms_are_columns_and_others_are_not() -> None:
    made = {column.name: column for column in columns_of(catalogue(taken=()))}
    assert (made["seen"].source, made["seen"].item, made["seen"].shown) == (Source.TERMS, 1, False)
    assert made["seen"].tip == "Seen: Lent"
    assert made.keys() & {"promised", "seen", "of_a_client", "said"} == {"promised", "seen"}


def test_numbers_of_a_client_or_a_unit_are_no_columns() -> None:
    made = calculated(calculation("theirs", "days", scope="client"), calculation("units", "today", scope="au"))
    assert [column.name for column in made] == ["free"]


def test_a_calculation_called_like_a_column_of_every_table_has_a_name_of_its_own() -> None:
    made = columns_of(catalogue(calculation("price", "today"), calculation("seen", "today")))
    names = [column.name for column in made]
    assert len(set(names)) == len(names)
    assert {column.name: column.source for column in made if column.name.startswith(("price", "seen"))} == {
        "price": Source.HEAD,
        "price_": Source.VALUES,
        "seen": Source.VALUES,
        "seen_": Source.TERMS,
    }


def test_other_rules_are_other_columns_of_the_same_inventory() -> None:
    tables = synthetic_tables(f"test-columns-{time.monotonic_ns()}", 20)
    try:
        inventory, before = Inventory(tables), tables.catalogue
        first = inventory.columns()
        assert inventory.columns() is first
        publish(tables, catalogue(calculation("loan", "days"), version=before.version + 1))
        assert inventory.columns() is not first
        snapshot = inventory.lines(Query(("loan.3", "free"), sort=(("loan.3", "desc"),)), time.time_ns())
        ids = np.argsort(-tables.array["values"][1:21, 0, 3], kind="stable") + 1
        assert snapshot.of("loan.3").tolist() == tables.array["values"][ids, 0, 3].tolist()
        assert inventory.negative() == sum(
            tables.array["values"][i, 1, tables.markets[tables.array["security"][i]["market"]].settle_days] < 0
            for i in range(1, 21)
        )
    finally:
        tables.close()


def test_a_day_that_rolls_changes_no_column() -> None:
    one, other = catalogue(), catalogue(version=2)
    assert columns_of(one) == columns_of(other)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Catalogue) == one


def publish(tables: Tables, rules: Catalogue) -> None:
    with tables.writing():
        tables.publish(rules)
