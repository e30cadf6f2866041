"""The position table over the grid's websocket: filters, groups, pivots, totals, lists of values, and who may see what."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from app import tickets
from app.bench.synthetic import synthetic_positions
from app.gateway.server import Gateway
from app.settings import Settings
from engine.tables import Tables, Word
from tests.engine.plain_tables import Row, plain_rows

VIEW = {"table": "positions", "columns": ["security", "kind", "td", "rate"], "count": 500}
KINDS = ("FIRM", "SLAB_LOAN")
NOW_S = 1_790_000_000


@pytest.fixture
def rows(tables: Tables) -> list[Row]:
    """Three hundred rows of few securities, in the plainest Python."""
    tables.state[Word.SECURITIES] = 40
    synthetic_positions(tables, 300)
    with tables.writing():
        tables.state[Word.SECURITIES] = 200
        tables.state[Word.REFERENCE] += 1
    return plain_rows(tables)


def write_td(tables: Tables, row: int, td: int) -> None:
    with tables.writing():
        tables.array["position"]["td"][row - 1] = td


async def test_both_tables_are_announced(browse: Any, rows: list[Row]) -> None:
    hello = await (await browse()).text("hello")
    tables = {table["id"]: {column["id"]: column for column in table["columns"]} for table in hello["tables"]}
    assert list(tables) == ["inventory", "positions"]
    assert [column["id"] for column in hello["columns"]] == list(tables["inventory"])
    assert set(rows[0]) == set(tables["positions"])
    assert tables["positions"]["td"] == tables["positions"]["td"] | {"kind": "number", "unit": "shares", "sum": True}
    assert "sum" not in tables["positions"]["price"]


async def test_rows_of_the_position_table_are_filtered_sorted_and_live(
    browse: Any, tables: Tables, rows: list[Row]
) -> None:
    browser = await browse()
    where = [
        {"column": "kind", "op": "in", "value": list(KINDS)},
        {"column": "book", "op": "contains", "value": "book1"},
        {"column": "td", "op": ">=", "value": 0},
    ]
    await browser.look(**VIEW, filter={"where": where}, sort=[["td", "desc"], ["id", "asc"]], totals=True)
    frame = await browser.frame(1)
    expected = [row for row in rows if row["kind"] in KINDS and row["book"].startswith("BOOK1") and row["td"] >= 0]
    expected.sort(key=lambda row: (-row["td"], row["id"]))
    assert frame.ids == [row["id"] for row in expected]
    assert frame.columns[2] == [row["td"] for row in expected]
    for cell, row in zip(frame.columns[3], expected, strict=True):
        assert math.isnan(cell) if row["rate"] is None else cell == row["rate"] / 10_000
    totals = await browser.frame(4)
    assert (totals.total, totals.columns[2]) == (len(expected), [sum(row["td"] for row in expected)])
    first = expected[0]
    write_td(tables, first["id"], first["td"] + 7)
    assert (await browser.frame(2)).changed == {(0, 2): first["td"] + 7}
    totals = await browser.frame(4)
    assert totals.columns[2] == [sum(row["td"] for row in expected) + 7]
    write_td(tables, first["id"], -1)
    assert first["id"] not in (await browser.frame(1)).ids


async def test_groups_open_to_their_rows_and_sums_follow_events(browse: Any, tables: Tables, rows: list[Row]) -> None:
    browser = await browse()
    await browser.look(**VIEW, groups=["kind"], sort=[["rows", "desc"]], totals=True)
    frame = await browser.frame(3)
    counted = Counter(row["kind"] for row in rows)
    assert dict(zip(frame.labels, frame.rows, strict=True)) == counted
    assert frame.rows == sorted(counted.values(), reverse=True)
    assert set(frame.state) == {1}
    assert all(number < 0 for number in frame.ids)
    sums = {kind: sum(row["td"] for row in rows if row["kind"] == kind) for kind in counted}
    assert frame.columns[2] == [sums[kind] for kind in frame.labels]
    assert frame.columns[1] == frame.labels
    assert (await browser.frame(4)).total == 300
    chosen = frame.labels[1]
    await browser.say({"t": "window", "v": 1, "first": 0, "count": 500, "toggled": [[chosen]]})
    opened = await browser.frame(3, lambda f: f.count > len(counted))
    inside = [row for row in rows if row["kind"] == chosen]
    assert opened.total == len(counted) + len(inside)
    assert opened.state[:3] == [1, 2, 0]
    assert opened.ids[0:2] == frame.ids[0:2], "a group keeps its number"
    assert opened.ids[2 : 2 + len(inside)] == [row["id"] for row in inside]
    assert set(opened.columns[1][1 : 2 + len(inside)]) == {chosen}
    write_td(tables, inside[0]["id"], inside[0]["td"] + 5)
    seen: dict[tuple[int, int], float] = {}
    while len(seen) < 2:
        seen |= (await browser.frame(2)).changed
    assert seen == {(2, 2): inside[0]["td"] + 5, (1, 2): sums[chosen] + 5}
    await browser.say({"t": "find", "r": 9, "v": 1, "id": inside[1]["id"]})
    assert await browser.text("found") == {"t": "found", "r": 9, "row": 3}
    await browser.say({"t": "find", "r": 10, "v": 1, "id": frame.ids[2]})
    assert (await browser.text("found"))["row"] == 2 + len(inside)


async def test_a_pivot_tells_its_columns_before_its_cells(browse: Any, rows: list[Row]) -> None:
    browser = await browse()
    await browser.look(table="positions", columns=["market", "td"], groups=["market"], pivot="entity", count=100)
    frame = await browser.frame(3)
    assert browser.shape == ["market", "td|LONDON", "td|NEW YORK", "td"]
    assert set(frame.state) == {3}
    for at, market in enumerate(frame.labels):
        for column, entity in ((1, "LONDON"), (2, "NEW YORK")):
            inside = [row["td"] for row in rows if row["market"] == market and row["entity"] == entity]
            assert frame.columns[column][at] == sum(inside) or (math.isnan(frame.columns[column][at]) and not inside)
        assert frame.columns[3][at] == sum(row["td"] for row in rows if row["market"] == market)


async def test_the_texts_of_a_column_are_listed_with_their_rows(browse: Any, rows: list[Row]) -> None:
    browser = await browse()
    await browser.text("hello")
    where = [{"column": "kind", "op": "in", "value": list(KINDS)}]
    ask = {"t": "values", "r": 3, "table": "positions", "column": "client", "filter": {"where": where}}
    await browser.say(ask)
    counted = Counter(row["client"] for row in rows if row["kind"] in KINDS)
    by_name = sorted(counted.items(), key=lambda item: (item[0] == "", item[0]))
    told = {"t": "values", "r": 3, "column": "client", "distinct": len(counted), "rows": sum(counted.values())}
    assert await browser.text("values") == told | {"values": [list(item) for item in by_name]}
    await browser.say(ask | {"search": "fund1", "limit": 1, "r": 4})
    assert (await browser.text("values"))["values"] == [["FUND1", counted["FUND1"]]]
    await browser.say(ask | {"column": "td"})
    assert (await browser.text("error")) == {
        "t": "error",
        "detail": "groups: 'td' is a number; only text is grouped",
        "r": 3,
    }


async def test_sessions_with_the_same_groups_share_one_renewal(browse: Any, gateway: Gateway, rows: list[Row]) -> None:
    one, two = await browse(), await browse()
    await one.look(**VIEW, groups=["kind"])
    await two.look(**VIEW | {"columns": ["kind", "settled"]}, groups=["kind"], depth=1)
    assert (await one.frame(3)).total == len({row["kind"] for row in rows})
    full = await two.frame(3, lambda f: f.total == len({row["kind"] for row in rows}) + 300)
    assert full.columns[1][0] == sum(row["settled"] for row in rows if row["kind"] == full.labels[0])
    assert len(gateway.pump.views.by_selection) == 1


async def test_who_is_kept_to_clients_sees_rows_of_their_books_and_nothing_else(
    browse: Any, gateway_settings: Settings, rows: list[Row]
) -> None:
    import time  # noqa: PLC0415

    ticket = tickets.issue(gateway_settings.secret, time.time(), frozenset({"FUND1"}))
    browser, everybody = await browse(with_ticket=ticket), await browse()
    hello = await browser.text("hello")
    assert (hello["columns"], [table["id"] for table in hello["tables"]]) == ([], ["positions"])
    stats = await browser.text("stats")
    assert {stats[name] for name in ("rows", "events", "located_shares", "negative", "securities")} == {None}
    await browser.look()
    assert "not for who is kept to clients" in (await browser.text("error"))["detail"]
    own = [row for row in rows if row["client"] == "FUND1"]
    view = VIEW | {"columns": ["client", "td"], "totals": True}
    await everybody.look(**view)
    assert (await everybody.frame(1)).total == 300
    await browser.look(**view)
    assert (await browser.frame(1)).ids == [row["id"] for row in own]
    totals = await browser.frame(4)
    assert (totals.total, totals.columns[1]) == (len(own), [sum(row["td"] for row in own)])
    await browser.look(**view, groups=["client"], v=2)
    grouped = await browser.frame(3)
    assert (grouped.labels, grouped.rows) == (["FUND1"], [len(own)])
    await browser.look(**view, filter={"where": [{"column": "client", "op": "in", "value": ["FUND0"]}]}, v=3)
    assert (await browser.frame(1)).ids == []
    await browser.say({"t": "values", "r": 1, "table": "positions", "column": "client"})
    assert (await browser.text("values"))["values"] == [["FUND1", len(own)]]
    await browser.say({"t": "values", "r": 2, "column": "market"})
    assert "not for who is kept" in (await browser.text("error"))["detail"]


def test_a_ticket_says_whose_things_it_opens() -> None:
    everybody, nobody = tickets.issue("s", NOW_S), tickets.issue("s", NOW_S, [])
    some = tickets.issue("s", NOW_S, {"B", "Ä"})
    until = int(NOW_S) + tickets.VALID_S
    assert tickets.read("s", everybody, NOW_S) == tickets.Ticket(None, until)
    assert (tickets.valid("s", everybody, NOW_S), tickets.valid("s", nobody, NOW_S)) == (True, False)
    assert tickets.read("s", nobody, NOW_S) == tickets.Ticket(frozenset(), until)
    assert tickets.read("s", some, NOW_S) == tickets.Ticket(frozenset({"B", "Ä"}), until)
    expires, kept, signature = some.split(".")
    for forged in (f"{expires}..{signature}", f"{expires}.{nobody.split('.')[1]}.{signature}", f"{expires}.{kept}"):
        assert tickets.read("s", forged, NOW_S) is None
    assert tickets.read("s", some, NOW_S + tickets.VALID_S) is None


def test_numpy_numbers_are_exact_beyond_the_floats_of_the_browser(tables: Tables, rows: list[Row]) -> None:
    """Sums are made of whole numbers; only what leaves for the browser is a float."""
    from engine.views import Inventory, Query  # noqa: PLC0415

    with tables.writing():
        tables.array["position"]["td"][:3] = [2**53, 1, 0]
        tables.array["position"]["td"][3:300] = 0
    found = Inventory(tables).membership(Query(("td",), table="positions", groups=("market",)), 0)
    assert found.total is not None
    assert found.total.numbers[0, 0] == 2**53 + 1
    assert np.issubdtype(found.total.numbers.dtype, np.integer)
