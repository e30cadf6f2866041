"""Rows, order and cells of views, against the plainest Python that says the same."""

import time
from collections.abc import Iterator
from datetime import datetime
from functools import cmp_to_key
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import world
from app.bench.synthetic import synthetic_tables
from engine.model import RATE_UNKNOWN, Classification, Fact, Temperature
from engine.records import SECURITY
from engine.rules import compile_rules
from engine.tables import Tables, TornReadError, Word
from engine.views import TEMPERATURES, Inventory, Query, QueryError, changes, glimpse, shown, totals
from engine.views_columns import columns_of
from engine.views_query import key, order
from engine.views_reference import SEARCHED

SECURITIES = 60
NOW_NS = time.time_ns()
MARKETS = world.markets()
CATALOGUE = compile_rules(world.rule_book(), MARKETS, np.full((len(MARKETS), 5), 20_000, np.int32), 1).catalogue
COLUMNS = {column.name: column for column in columns_of(CATALOGUE)}
ALL = tuple(COLUMNS)
NUMBERS = tuple(name for name in COLUMNS if not COLUMNS[name].is_text)


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    owned = synthetic_tables(f"test-views-{time.monotonic_ns()}", SECURITIES)
    yield owned
    owned.close()


def fill(tables: Tables, seed: int) -> None:
    """Few different values, so that ties are common, and every kind of unknown."""
    rng = np.random.default_rng(seed)
    array, count = tables.array, SECURITIES + 1
    words = np.array(["alpha", "Alpha", "BETA", "straße", "Ärzte", "", "zürich one"])
    with tables.writing():
        records = np.zeros(SECURITIES, SECURITY)
        records["name"] = [word.encode() for word in words[rng.integers(0, len(words), SECURITIES)]]
        records["code"] = [f"C{i:03}".encode() for i in range(SECURITIES)]
        records["ticker"] = rng.choice([b"AA", b"ab", b""], SECURITIES)
        records["isin"] = [f"US{i:010}".encode() for i in range(SECURITIES)]
        records["market"] = rng.integers(0, len(MARKETS), SECURITIES)
        records["temperature"] = rng.integers(0, len(Temperature), SECURITIES)
        records["classification"] = rng.integers(0, len(Classification), SECURITIES)
        records["fee"] = rng.choice([RATE_UNKNOWN, -5, 0, 12_345], SECURITIES)
        records["flags"] = rng.integers(0, 4, SECURITIES)
        array["security"][1:count] = records
        array["values"][1:count] = rng.integers(-2, 3, array["values"][1:count].shape)
        array["values"][1:count, 0, 0] = rng.choice([0, 2**62, -(2**62), 1], SECURITIES)
        array["terms"][1:count] = rng.integers(0, 3, array["terms"][1:count].shape)
        array["parked"][1:count] = rng.integers(0, 3, SECURITIES)
        array["head"][1:count] = rng.integers(0, 3, array["head"][1:count].shape)
        array["price"][1:count] = rng.choice([0, 1, 1_500_000], SECURITIES)
        day_ns = 86_400_000_000_000
        array["updated_ns"][1:count] = rng.choice([0, NOW_NS, NOW_NS - day_ns // 2, NOW_NS - 2 * day_ns], SECURITIES)
        tables.state[Word.REFERENCE] += 1


def slow_raw(tables: Tables, column: str, security: int) -> Any:
    """A cell by the words of the contract: bytes for text, an int for a number, None for no value."""
    record = tables.array["security"][security]
    market = tables.markets[record["market"]]
    if column == "market":
        return market.code.encode()
    if column == "temperature":
        return Temperature(record["temperature"]).name.encode()
    if column == "classification":
        return Classification(record["classification"]).name.encode()
    if COLUMNS[column].is_text:
        return bytes(record[column])
    values, terms = tables.array["values"][security], tables.array["terms"][security]
    number = {
        "fee": record["fee"],
        "rebate": record["rebate"],
        "updated_ms": tables.array["updated_ns"][security],
        "at_least": record["flags"] & 1,
        "id": security,
        "parked": tables.array["parked"][security],
    }
    for info in CATALOGUE.terms:
        if info.component >= 0:
            number[info.name] = terms[info.component][market.settle_days]
    for i, calculation in enumerate(CATALOGUE.calculations):
        number |= {f"{calculation.name}.{day}": values[i][day] for day in range(5)}
        number[calculation.name] = values[i][0 if calculation.show == "today" else market.settle_days]
    number |= {fact.name.lower(): tables.array["head"][security][3 + fact] for fact in Fact if fact is not Fact.FEE}
    none = {"fee": RATE_UNKNOWN, "rebate": RATE_UNKNOWN, "updated_ms": 0, "parked": 0}
    none |= {fact.name.lower(): 0 for fact in Fact if fact is not Fact.FEE}
    value = int(number[column])
    return None if none.get(column) == value else value


def slow_membership(tables: Tables, query: Query) -> list[int]:
    def wanted(security: int) -> bool:
        record = tables.array["security"][security]
        market = tables.markets[record["market"]]
        texts = [bytes(record[field]).decode().casefold() for field in SEARCHED]
        zone = ZoneInfo(market.time_zone)
        updated = datetime.fromtimestamp(int(tables.array["updated_ns"][security]) // 10**9, zone)
        return (
            all(any(word.casefold() in text for text in texts) for word in query.text.split())
            and (not query.markets or market.code in query.markets)
            and (not query.temperatures or Temperature(record["temperature"]).name in query.temperatures)
            and (not query.changed_today or updated.date() >= datetime.fromtimestamp(NOW_NS / 1e9, zone).date())
        )

    def place(column: str, security: int) -> Any:
        raw = slow_raw(tables, column, security)
        if column == "temperature":
            return Temperature[raw.decode()].value or None
        return (raw.lower() or None) if isinstance(raw, bytes) else raw

    def compare(one: int, other: int) -> int:
        for column, direction in query.sort:
            a, b = place(column, one), place(column, other)
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return (1 if a > b else -1) * (1 if direction == "asc" else -1)
        return 0

    return sorted(filter(wanted, range(1, SECURITIES + 1)), key=cmp_to_key(compare))


SORTS = st.lists(
    st.tuples(st.sampled_from(ALL), st.sampled_from(["asc", "desc"])), max_size=4, unique_by=lambda k: k[0]
)
QUERIES = st.builds(
    Query,
    columns=st.just(ALL),
    text=st.sampled_from(["", "a", "ALPHA", "STRASSE", "ärz", "zür one", "c01", "us0 1", "nobody", "\x1e", "a" * 100]),
    markets=st.lists(st.sampled_from([m.code for m in MARKETS]), max_size=3, unique=True).map(tuple),
    temperatures=st.lists(st.sampled_from(TEMPERATURES), max_size=3, unique=True).map(tuple),
    changed_today=st.booleans(),
    sort=SORTS.map(tuple),
)


@given(seed=st.integers(0, 2**32), query=QUERIES)
@settings(max_examples=100, deadline=None)
def test_a_view_has_the_rows_and_the_order_of_the_plainest_python(tables: Tables, seed: int, query: Query) -> None:
    fill(tables, seed)
    inventory = Inventory(tables)
    expected = slow_membership(tables, query)
    assert inventory.membership(query, NOW_NS).ids.tolist() == expected
    snapshot = inventory.lines(query, NOW_NS)
    assert snapshot.of("id").tolist() == expected


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_every_cell_of_window_and_snapshot_is_the_cell_of_the_tables(tables: Tables, seed: int) -> None:
    fill(tables, seed)
    inventory = Inventory(tables)
    ids = np.array([7, 3, 60, 1], np.int32)
    window = inventory.columns().window(tuple(COLUMNS.values()), ids, inventory.reference())
    raw = tables.read(window.read)
    assert raw.shape == (4, len(NUMBERS))
    snapshot = inventory.lines(Query(ALL), NOW_NS)
    for row, security in enumerate(ids.tolist()):
        for name in ALL:
            expected = slow_raw(tables, name, security)
            cell = snapshot.of(name)[security - 1]
            if COLUMNS[name].is_text:
                assert cell == expected
                continue
            assert raw[row, NUMBERS.index(name)] == cell == (COLUMNS[name].unknown if expected is None else expected)


def test_shown_numbers_carry_their_unit_and_unknown_ones_are_none(tables: Tables) -> None:
    raw = np.array([RATE_UNKNOWN, 12_345, -5], np.int64)
    np.testing.assert_array_equal(shown(COLUMNS["fee"], raw), [np.nan, 1.2345, -0.0005])
    np.testing.assert_array_equal(shown(COLUMNS["remaining"], np.array([2**53 - 1, 0])), [2.0**53 - 1, 0])


@given(
    columns=st.lists(
        st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
def test_an_order_is_right_for_the_whole_range_of_numbers(columns: list[tuple[list[int], bool]]) -> None:
    keys = [key(np.array(numbers), unknown=0, descending=descending) for numbers, descending in columns]

    def place(row: int) -> list[tuple[bool, int]]:
        return [(numbers[row] == 0, -numbers[row] if descending else numbers[row]) for numbers, descending in columns]

    assert order(keys).tolist() == sorted(range(5), key=place)


def test_an_order_of_nothing_is_nothing() -> None:
    assert order([key(np.zeros(0, np.int64))]).tolist() == []


def test_changes_are_the_cells_that_differ() -> None:
    before = np.arange(12).reshape(4, 3)
    after = before.copy()
    after[1, 2], after[3, 0] = -1, -2
    rows, columns, values = changes(before, after)
    assert list(zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True)) == [(1, 2, -1), (3, 0, -2)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"columns": ()}, "columns"),
        ({"columns": ("name", "name")}, "columns"),
        ({"columns": ("name",), "text": "x" * 101}, "text"),
        ({"columns": ("name",), "temperatures": ("TEPID",)}, "temperatures"),
        ({"columns": ("name",), "sort": (("name", "up"),)}, "sort"),
        ({"columns": ("name",), "sort": (("name", "asc"), ("name", "desc"))}, "sort"),
        ({"columns": ("name",), "sort": tuple((name, "asc") for name in ALL[:5])}, "sort"),
        ({"columns": ("name",), "markets": ("US", "US")}, "markets"),
        ({"columns": tuple(map(str, range(256)))}, "columns"),
    ],
)
def test_a_query_that_makes_no_sense_says_which_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(QueryError, match=f"^{field}: "):
        Query(**wrong)


def test_an_unknown_market_is_told_with_those_there_are(tables: Tables) -> None:
    with pytest.raises(QueryError, match="markets: unknown 'XX'; known: US, TW, JP, KR, HK, GB, DE, FR"):
        Inventory(tables).membership(Query(("name",), markets=("XX",)), NOW_NS)


def test_an_unknown_column_is_told_with_some_there_are(tables: Tables) -> None:
    inventory = Inventory(tables)
    with pytest.raises(QueryError, match=r"sort: unknown 'nonsense'; known: name, code, .*, …"):
        inventory.membership(Query(("name",), sort=(("nonsense", "asc"),)), NOW_NS)
    with pytest.raises(QueryError, match="columns: unknown 'nonsense'"):
        inventory.lines(Query(("name", "nonsense")), NOW_NS)


def test_new_reference_data_is_seen_at_the_next_renewal(tables: Tables) -> None:
    fill(tables, 1)
    inventory = Inventory(tables)
    query = Query(("name",), text="renamed")
    assert inventory.membership(query, NOW_NS).ids.tolist() == []
    with tables.writing():
        tables.array["security"]["name"][5] = b"Renamed Corp"
        tables.state[Word.REFERENCE] += 1
    assert inventory.membership(query, NOW_NS).ids.tolist() == [5]


def test_a_glimpse_waits_for_nobody(tables: Tables) -> None:
    assert glimpse(tables, lambda: 1) == 1
    with tables.writing():
        assert glimpse(tables, lambda: 1) is None


def test_a_snapshot_of_a_writer_that_never_rests_is_refused(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = Inventory(tables)
    inventory.reference()
    impatient = Tables.read
    monkeypatch.setattr(Tables, "read", lambda self, copy, _patience_s=0.0: impatient(self, copy, 0.0))
    with tables.writing(), pytest.raises(TornReadError):
        inventory.lines(Query(ALL), NOW_NS)


def test_totals_are_the_counters_of_the_machine(tables: Tables) -> None:
    fill(tables, 2)
    assert totals(tables).securities == SECURITIES
    assert totals(tables).ready
    inventory = Inventory(tables)
    remaining = [slow_raw(tables, "remaining", security) for security in range(1, SECURITIES + 1)]
    assert inventory.negative() == sum(value < 0 for value in remaining)
    temperatures = tables.array["security"]["temperature"][1 : SECURITIES + 1]
    assert inventory.hard_to_borrow() == int((temperatures == Temperature.HTB).sum())
