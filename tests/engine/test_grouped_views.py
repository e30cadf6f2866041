"""Groups, sums, pivots and totals of the position table, against the plainest Python that says the same."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bench.synthetic import synthetic_positions, synthetic_tables
from engine.tables import Tables
from engine.views import Condition, Inventory, Opening, Outline, Query, QueryError, Wanted
from engine.views_groups import spread
from tests.engine.plain_tables import COLUMNS, NUMBERS, Row, passes, plain_rows, plain_sum, plain_tree

ROWS = 60
NOW_NS = time.time_ns()
SUMMED = tuple(name for name in NUMBERS if COLUMNS[name].summed)
GROUPED = ("market", "temperature", "kind", "client", "book", "depot", "aggregation_unit", "name", "country")
PATHS = [
    ("US",),
    ("US", "GC"),
    ("FUND0",),
    ("", "BOOK1"),
    ("LONDON",),
    ("BOOK1", "DEPOT1"),
    ("DEPOT0",),
    ("a", "b", "c"),
]


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    owned = synthetic_tables(f"test-groups-{time.monotonic_ns()}", 8)
    yield owned
    owned.close()


def fill(tables: Tables, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    synthetic_positions(tables, ROWS, seed=seed, books=7, depots=3)
    with tables.writing():
        words = tables.array["position"][:ROWS].view("<i8").reshape(ROWS, -1)
        words[:, 2:] = rng.choice([-20, 0, 1, 7, 1_000, 10**15], (ROWS, words.shape[1] - 2))
        tables.array["security"]["country"][1:9] = rng.choice([b"US", b"us", b"tw", b""], 8)
        tables.array["head"][1:9, 3] = rng.choice([0, 1, 1_500_000], 8)
        tables.array["head"][1:9, 4] = 1_234_567_890
    return plain_rows(tables)


OPENINGS = st.builds(
    Opening, depth=st.integers(0, 4), toggled=st.sets(st.sampled_from(PATHS), max_size=4).map(frozenset)
)
SORTS = st.lists(
    st.tuples(st.sampled_from(("rows", *GROUPED, *SUMMED, "rate", "price")), st.sampled_from(["asc", "desc"])),
    max_size=3,
    unique_by=lambda k: k[0],
)


def queries(*, pivot: bool = False) -> st.SearchStrategy[Query]:
    return st.builds(
        Query,
        columns=st.just(("td", "value", "hypothecated") if pivot else tuple(COLUMNS)),
        table=st.just("positions"),
        where=st.sampled_from([(), (Condition("td", ">", 0),), (Condition("kind", "contains", "zebra"),)]),
        clients=st.sampled_from([None, None, frozenset({"FUND1"})]),
        groups=st.lists(st.sampled_from(GROUPED), min_size=1, max_size=3, unique=True).map(tuple),
        pivot=st.just("entity" if pivot else ""),
        sort=(SORTS.filter(lambda s: all(k in ("rows", *GROUPED) for k, _ in s)) if pivot else SORTS).map(tuple),
    )


def raw(name: str, cell: Any) -> int:
    column = COLUMNS[name.partition("|")[0]]
    return column.unknown if cell is None else cell


def told(rows: list[Row], query: Query, opening: Opening) -> list[Row]:
    return plain_tree(rows, query, lambda level, path: (level < opening.depth) != (path in opening.toggled))


@given(seed=st.integers(0, 20), query=queries(), opening=OPENINGS, other=OPENINGS, part=st.integers(0, 40))
@settings(max_examples=120)
def test_a_tree_shows_what_the_plainest_python_shows(
    tables: Tables, seed: int, query: Query, opening: Opening, other: Opening, part: int
) -> None:
    rows = fill(tables, seed)
    expected = told(rows, query, opening)
    found = Inventory(tables).membership(query, NOW_NS, Wanted(frozenset(SUMMED), frozenset({opening, other})))
    assert found.tree is not None
    assert found.leaves is not None
    outline = Outline.of(found.tree, found.leaves, opening)
    assert outline.total == len(expected)
    window, expected = outline.window(part, 50), expected[part : part + 50]
    assert window.ids.tolist() == [row["row"]["id"] if "row" in row else 0 for row in expected]
    assert window.rows.tolist() == [row.get("rows", 1) for row in expected]
    assert window.level.tolist() == [len(row["path"]) - ("row" not in row) for row in expected]
    assert [label.decode() for label in window.labels.tolist()] == [row.get("text", "") for row in expected]
    opened = [(len(row["path"]) - 1 < opening.depth) != (row["path"] in opening.toggled) for row in expected]
    assert window.state.tolist() == [
        0 if "row" in row else 2 if is_open else 1 for row, is_open in zip(expected, opened, strict=True)
    ]
    for level in range(len(query.groups)):
        texts = [text.decode() for text in window.texts(level).tolist()]
        assert texts == ["" if "row" in row or len(row["path"]) <= level else row["path"][level] for row in expected]
    sums = found.tree.sums
    for at, column in enumerate(sums.columns):
        numbers = sums.raw(at)[window.group].tolist()
        for number, row in zip(numbers, expected, strict=True):
            assert "row" in row or number == raw(column.name, row["sums"][column.name])


@given(seed=st.integers(0, 20), query=queries(pivot=True), opening=OPENINGS)
@settings(max_examples=50)
def test_a_pivot_shows_what_the_plainest_python_shows(
    tables: Tables, seed: int, query: Query, opening: Opening
) -> None:
    rows = fill(tables, seed)
    expected = told(rows, query, opening)
    found = Inventory(tables).membership(query, NOW_NS, Wanted(openings=frozenset({opening})))
    assert found.tree is not None
    assert found.leaves is not None
    window = Outline.of(found.tree, found.leaves, opening).window(0, 100)
    assert window.rows.tolist() == [row["rows"] for row in expected]
    names = [column.name for column in found.tree.sums.columns]
    values = sorted({row["entity"] for row in rows if passes(row, query)}, key=str.lower)
    assert names == [f"{name}|{value}" for value in values for name in query.columns] + list(query.columns)
    for at, name in enumerate(names):
        numbers = found.tree.sums.raw(at)[window.group].tolist()
        assert numbers == [raw(name, row["sums"].get(name)) for row in expected]


@given(seed=st.integers(0, 20), query=queries())
@settings(max_examples=30)
def test_totals_are_the_sums_over_everything_that_passes(tables: Tables, seed: int, query: Query) -> None:
    rows = [row for row in fill(tables, seed) if passes(row, query)]
    inventory, wanted = Inventory(tables), Wanted(frozenset(SUMMED), totals=True)
    flat = Query(tuple(COLUMNS), table="positions", where=query.where, clients=query.clients)
    for asked in (flat, query):
        found = inventory.membership(asked, NOW_NS, wanted)
        assert len(found.ids) == len(rows)
        assert found.total is not None
        for at, column in enumerate(found.total.columns):
            assert found.total.raw(at).tolist() == [raw(column.name, plain_sum(rows, column.name))]


def test_a_renewal_keeps_the_groups_and_sums_anew(tables: Tables) -> None:
    fill(tables, 4)
    inventory = Inventory(tables)
    query = Query(("td",), table="positions", groups=("market",))
    first = inventory.membership(query, NOW_NS)
    with tables.writing():
        tables.array["position"]["td"][0] += 5
    second = inventory.membership(query, NOW_NS, before=first)
    assert second.grouping is first.grouping
    assert first.total is not None
    assert second.total is not None
    assert second.total.numbers[0, 0] - first.total.numbers[0, 0] == 5
    filtered = Query(("td",), table="positions", groups=("market",), where=(Condition("td", "=", 5),))
    before = inventory.membership(filtered, NOW_NS)
    with tables.writing():
        tables.array["position"]["td"][:2] = 5
    assert len(inventory.membership(filtered, NOW_NS, before=before).ids) == len(before.ids) + 2


def test_a_pivot_of_many_values_keeps_the_largest_and_sums_up_the_rest(tables: Tables) -> None:
    fill(tables, 5)
    sight = Inventory(tables).sight("positions")
    by = spread(sight, sight.everybody, "book", 4)
    books = [row["book"] for row in plain_rows(tables)]
    counted = sorted(set(books), key=lambda book: (-books.count(book), book))
    assert by.values == (*sorted(counted[:3]), None)
    assert [by.values[at] for at in by.of_row.tolist()] == [book if book in counted[:3] else None for book in books]


def test_inventory_is_grouped_and_summed_like_any_table(tables: Tables) -> None:
    inventory = Inventory(tables)
    query = Query(("remaining", "market_value_reporting", "price"), groups=("market", "temperature"))
    found = inventory.membership(query, NOW_NS)
    assert found.tree is not None
    sight = inventory.sight()
    everybody = sight.everybody
    assert [column.name for column in found.tree.sums.columns] == ["remaining", "market_value_reporting"]
    remaining = sight.read(sight.by_name["remaining"], everybody)
    for at in range(len(found.tree.level)):
        path = found.tree.path(at)
        inside = np.ones(len(everybody), bool)
        for column, text in zip(query.groups, path, strict=False):
            inside &= sight.text(column, everybody) == text
        assert found.tree.sums.numbers[at, 0] == remaining[inside].sum()
        assert found.tree.rows[at] == inside.sum()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"groups": ("td",)}, "groups"),
        ({"groups": ("nonsense",)}, "groups"),
        ({"groups": ("book", "book")}, "groups"),
        ({"groups": tuple(list(COLUMNS)[:7])}, "groups"),
        ({"pivot": "book"}, "pivot"),
        ({"groups": ("book",), "pivot": "book"}, "pivot"),
        ({"groups": ("book",), "pivot": "td"}, "pivot"),
        ({"groups": ("book",), "pivot": "kind", "columns": ("price",)}, "columns"),
        ({"groups": ("book",), "pivot": "kind", "columns": ("book",)}, "columns"),
        ({"sort": (("rows", "asc"),)}, "sort"),
        ({"groups": ("book",), "sort": (("td|FIRM", "asc"),)}, "sort"),
    ],
)
def test_a_grouping_that_makes_no_sense_says_which_field(tables: Tables, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(QueryError, match=f"^{field}: "):
        Query(**({"columns": ("td",), "table": "positions"} | wrong)).check(
            tables.markets, Inventory(tables).sight("positions").by_name
        )
