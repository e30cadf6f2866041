"""Views of the position table against the plainest Python that says the same."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bench.synthetic import synthetic_positions, synthetic_tables
from app.positions import Position
from engine.model import Classification
from engine.records import POSITION
from engine.tables import Tables, Word
from engine.views import TEMPERATURES, Condition, Inventory, Query, QueryError
from engine.views_position_columns import QUANTITIES
from tests.engine.plain_tables import COLUMNS, NUMBERS, TEXTS, Row, plain_rows, plain_view

ROWS = 80
NOW_NS = time.time_ns()
_FEW = [-20, 0, 1, 7, 1_000]


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    owned = synthetic_tables(f"test-positions-{time.monotonic_ns()}", 20)
    yield owned
    owned.close()


def fill(tables: Tables, seed: int) -> list[Row]:
    """Few different values, so that ties are common; now and then numbers as large as there can be."""
    rng = np.random.default_rng(seed)
    synthetic_positions(tables, ROWS, seed=seed, books=7, depots=3)
    with tables.writing():
        words = tables.array["position"][:ROWS].view("<i8").reshape(ROWS, -1)
        words[:, 2:] = rng.choice(_FEW, (ROWS, words.shape[1] - 2))
        words[:5, 2:4] = rng.choice([10**15, -(10**15)], (5, 2))
        records = tables.array["security"]
        records["classification"][1:21] = rng.integers(0, len(Classification), 20)
        records["country"][1:21] = rng.choice([b"US", b"tw", b""], 20)
        tables.array["head"][1:21, 3] = rng.choice([0, 1, 1_500_000], 20)
        tables.array["head"][1:21, 4] = rng.choice([0, 10**9, 1_234_567_890], 20)
    return plain_rows(tables)


def conditions() -> st.SearchStrategy[Condition]:
    some_text = st.sampled_from(["", "a", "FUND1", "BOOK", "bank", "US", "firm", "AU-ELSEWHERE", "London"])
    texts = st.lists(some_text, max_size=3).map(tuple)
    number = st.sampled_from([*_FEW, 0.5, 1.5, -7, 10**15, 0.0007, 0.1])
    return st.one_of(
        st.builds(Condition, st.sampled_from(TEXTS), st.sampled_from(["contains", "not_contains"]), some_text),
        st.builds(Condition, st.sampled_from(TEXTS), st.sampled_from(["in", "not_in"]), texts),
        st.builds(
            Condition, st.sampled_from(["kind"]), st.just("in"), st.just(("FIRM", "CLIENT_FREE", "SLAB_LOAN", "DEPOT"))
        ),
        st.builds(Condition, st.sampled_from(NUMBERS), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), number),
        st.builds(Condition, st.sampled_from(NUMBERS), st.just("between"), st.tuples(number, number)),
    )


SORTS = st.lists(
    st.tuples(st.sampled_from((*TEXTS, *NUMBERS)), st.sampled_from(["asc", "desc"])),
    max_size=4,
    unique_by=lambda k: k[0],
)
QUERIES = st.builds(
    Query,
    columns=st.just(tuple(COLUMNS)),
    table=st.just("positions"),
    text=st.sampled_from(["", "", "an", "bank 1", "SEC0000"]),
    markets=st.lists(st.sampled_from(["US", "TW", "JP"]), max_size=2, unique=True).map(tuple),
    temperatures=st.lists(st.sampled_from(TEMPERATURES), max_size=2, unique=True).map(tuple),
    where=st.lists(conditions(), max_size=2).map(tuple),
    clients=st.sampled_from([None, None, frozenset({"FUND0"}), frozenset({"FUND1", "", "NOBODY"}), frozenset[str]()]),
    sort=SORTS.map(tuple),
)


@given(seed=st.integers(0, 9), query=QUERIES)
@settings(max_examples=80)
def test_a_view_has_the_rows_and_the_order_of_the_plainest_python(tables: Tables, seed: int, query: Query) -> None:
    rows = fill(tables, seed)
    expected = [row["id"] for row in plain_view(rows, query)]
    assert Inventory(tables).membership(query, NOW_NS).ids.tolist() == expected


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_every_cell_of_a_window_is_what_the_domain_says(tables: Tables, seed: int) -> None:
    rows = fill(tables, seed)
    sight = Inventory(tables).sight("positions")
    ids = np.array([7, 3, ROWS, 1, 2], np.int32)
    raw = tables.read(sight.window(tuple(COLUMNS.values()), ids).read)
    for at, row in enumerate(ids.tolist()):
        for name, cell in zip(NUMBERS, raw[at].tolist(), strict=True):
            expected = rows[row - 1][name]
            assert cell == (COLUMNS[name].unknown if expected is None else expected), name
    for name in TEXTS:
        assert [text.decode() for text in sight.text(name, ids).tolist()] == [rows[i - 1][name] for i in ids.tolist()]


def test_new_rows_and_other_reference_data_are_seen_at_the_next_renewal(tables: Tables) -> None:
    fill(tables, 3)
    inventory = Inventory(tables)
    query = Query(("td",), table="positions", where=(Condition("book", "in", ("NEW",)),))
    assert inventory.membership(query, NOW_NS).ids.tolist() == []
    before = inventory.version("positions")
    with tables.writing():
        tables.array["book"]["code"][8] = b"NEW"
        tables.state[Word.BOOKS] = 8
        tables.state[Word.REFERENCE] += 1
        record = np.zeros(1, POSITION)
        record["key"] = 1 << 40 | 8 << 24 | 1 << 8
        tables.array["position"][ROWS] = record[0]
        tables.state[Word.ROWS] = ROWS + 1
    assert inventory.version("positions") != before
    assert inventory.membership(query, NOW_NS).ids.tolist() == [ROWS + 1]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("td", "contains", "x"), "td is a number: use one of ="),
        (("book", ">=", 1), "book is text: use one of contains"),
        (("nonsense", "=", 1), "unknown 'nonsense'"),
    ],
)
def test_a_condition_on_a_column_of_another_kind_says_so(tables: Tables, wrong: Any, told: str) -> None:
    with pytest.raises(QueryError, match=f"where: {told}"):
        Inventory(tables).membership(Query(("td",), table="positions", where=(Condition(*wrong),)), NOW_NS)


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("like", "x"),
        ("contains", 1),
        ("contains", "x" * 101),
        ("in", "x"),
        ("in", ("x", 1)),
        ("in", tuple(map(str, range(1_001)))),
        ("=", "1"),
        ("=", True),
        ("=", float("inf")),
        ("=", float("nan")),
        ("between", (1,)),
        ("between", 1),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(op: str, value: Any) -> None:
    with pytest.raises(QueryError, match=r"^where: "):
        Condition("td", op, value)


def test_numbers_are_compared_as_they_are_written_not_as_binary_fractions() -> None:
    rate = COLUMNS["rate"]
    raw = np.array([999, 1_000, 1_001, rate.unknown], np.int64)
    assert Condition("rate", "=", 0.1).numbers(rate, raw).tolist() == [False, True, False, False]
    assert Condition("rate", "<", 0.1).numbers(rate, raw).tolist() == [True, False, False, False]
    assert Condition("rate", "<>", 0.1).numbers(rate, raw).tolist() == [True, False, True, False]
    assert Condition("rate", "=", 0.10005).numbers(rate, raw).tolist() == [False] * 4
    assert Condition("rate", "between", (10**30, 10**31)).numbers(rate, raw).tolist() == [False] * 4


def test_the_rest_list_has_the_columns_of_the_table() -> None:
    fields = Position.__struct_fields__
    assert set(fields) - {"row"} <= set(COLUMNS)
    assert set(QUANTITIES) <= set(fields)
