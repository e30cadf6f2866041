"""Positions, availability, the easy-to-borrow list and limits: filtered by everything, paged, and kept to a token's clients."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.identity import Identity, Role, issue_token
from app.positions import Position
from engine.model import Kind, Op, Temperature
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, read, serving, set_ready
from tests.app.api.api_world import securities as securities_of_the_world
from tests.engine.machines import events

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
FREE, BORROW = Kind.CLIENT_FREE, Kind.SLAB_BORROW


def _prepare(made: Machine) -> None:
    """S1 and S2 in books 1 (FUND1's, in AU1) and 2 (nobody's, in AU2), S3 in book 1; S2 is easy to borrow."""
    made.register(Message.SECURITIES, securities_of_the_world())
    books = np.zeros(2, BOOK)
    codes = made.tables.array["book"]["code"]
    books[0], books[1] = (codes[1], b"FUND1", b"ENTITY", b"AU1"), (codes[2], b"", b"ENTITY", b"AU2")
    made.register(Message.BOOKS, books)
    made.apply(
        events(
            {"security": 1, "quantity": 1_000},
            {"security": 1, "quantity": 700, "kind": FREE},
            {"security": 1, "quantity": 500, "book": 2, "kind": BORROW, "op": Op.INCREASE},
            {"security": 2, "quantity": 2_000},
            {"security": 2, "quantity": 300, "book": 2, "op": Op.SELL},
            {"security": 3, "quantity": 40, "depot": 2},
        )
    )
    set_ready(made)


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, _prepare) as made:
        yield made


def _book(api: Api, number: int, field: str = "code") -> str:
    return bytes(api.machine.tables.array["book"][number][field]).decode()


def _token(api: Api, *clients: str) -> str:
    who = Identity("dora", frozenset({Role.TRADER}), frozenset(clients))
    return issue_token(api.settings.secret, who, 600, NOON_NS / 1e9)


async def _rows(api: Api, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
    answer = await api.call("GET", f"/api/v1/positions{query}", token=token)
    assert answer.code == 200, answer.body
    rows: list[dict[str, Any]] = read(answer)["positions"]
    return rows


async def test_positions_are_what_the_table_holds(api: Api) -> None:
    rows = await _rows(api)
    array = api.machine.tables.array["position"]
    assert [row["row"] for row in rows] == list(range(len(rows)))
    for row in rows:
        record = array[row["row"]]
        assert (row["td"], row["settled"]) == (int(record["td"]), int(record["sd"]))
        net = (record["receipt"] - record["deliver"]).tolist()
        assert row["sd4"] == row["settled"] + sum(net[:5])
        assert row["later"] == net[5]


async def test_every_attribute_and_quantity_is_a_filter(api: Api) -> None:
    every = await _rows(api)
    for name in ("security", "market", "temperature", "book", "client", "entity", "aggregation_unit", "depot", "kind"):
        for value in {row[name] for row in every} - {""}:
            assert await _rows(api, f"?{name}={value}") == [row for row in every if row[name] == value], name
    assert await _rows(api, "?td_min=1000") == [row for row in every if row["td"] >= 1_000]
    assert await _rows(api, "?td_max=-1") == [row for row in every if row["td"] < 0]
    assert await _rows(api, "?security=US0378331005&td_min=1000&td_max=1000") == [every[0]]
    for nothing in ("security=NOBODY", "book=NOBODY", "client=NOBODY", "depot=" + "X" * 30, "td_min=99999999"):
        assert await _rows(api, f"?{nothing}") == []


async def test_pages_of_positions_hold_every_row_once_in_every_form(api: Api) -> None:
    every = await _rows(api)
    paged, cursor = [], ""
    while cursor is not None:
        page = read(await api.get(f"/api/v1/positions?limit=2{cursor and '&cursor=' + cursor}"))
        paged += page["positions"]
        cursor = page["next_cursor"]
    assert paged == every
    tabled = await api.call("GET", "/api/v1/positions", headers={"Accept": ARROW})
    assert pa.ipc.open_stream(tabled.body).read_all().to_pylist() == every
    text = await api.call("GET", "/api/v1/positions", headers={"Accept": CSV})
    lines = list(csv.DictReader(io.StringIO(text.body.decode())))
    assert list(lines[0]) == list(Position.__struct_fields__)
    assert [int(line["td"]) for line in lines] == [row["td"] for row in every]


async def test_a_contract_has_a_rate_and_everything_else_what_is_hypothecated(api: Api) -> None:
    for row in await _rows(api):
        contract = row["kind"] == BORROW.name
        assert (row["rate"] is None, row["hypothecated"] is None) == (not contract, contract)


async def test_a_clients_token_sees_the_rows_of_its_books_only(api: Api) -> None:
    every, one = await _rows(api), _book(api, 1, "client")
    assert one
    assert await _rows(api, token=_token(api, one)) == [row for row in every if row["client"] == one]
    assert await _rows(api, token=_token(api)) == []
    for path in ("positions?client=OTHER", "limits?client=OTHER", "limits?au=A", "availability/S1"):
        assert (await api.call("GET", f"/api/v1/{path}", token=_token(api, one))).code == 403


async def test_a_query_that_cannot_be_is_refused_by_name(api: Api) -> None:
    bounds = ("td_min=a", "td_max=99999999999999999999", "row_min=1")
    for query in ("kind=CASH", *bounds, "market=ATLANTIS", "limit=2001", "cursor=-1"):
        refused = await api.get(f"/api/v1/positions?{query}")
        assert (refused.code, read(refused)["errors"][0]["parameter"]) == (422, query.partition("=")[0])


async def test_the_easy_to_borrow_list_is_general_collateral_with_something_left(api: Api) -> None:
    page = read(await api.get("/api/v1/easy-to-borrow"))
    (row,) = page["securities"]
    assert (row["security"], row["market"], row["rate"], row["stale"]) == ("S2", "US", 1.25, False)
    assert row["left"] == read(await api.get("/api/v1/availability/S2"))["left"] > 0
    assert read(await api.get(f"/api/v1/easy-to-borrow?left_min={row['left'] + 1}"))["securities"] == []
    assert read(await api.get("/api/v1/easy-to-borrow?market=TW"))["securities"] == []
    client = _token(api, "ANYBODY")
    assert read(await api.call("GET", "/api/v1/easy-to-borrow", token=client)) == page
    api.machine.tables.array["security"][2]["temperature"] = Temperature.HTB
    assert read(await api.get("/api/v1/easy-to-borrow"))["securities"] == []


async def test_availability_is_filtered_and_has_every_form(api: Api) -> None:
    async def codes(query: str) -> list[str]:
        return [row["security"] for row in read(await api.get(f"/api/v1/availability?{query}"))["securities"]]

    assert await codes("") == ["S1", "S2", "S3", "S4", "S5"]
    assert await codes("market=US&left_min=1") == ["S1", "S2"]
    assert await codes("classification=BOND") == []
    first = read(await api.get("/api/v1/availability?limit=2"))
    assert await codes(f"limit=2&cursor={first['next_cursor']}") == ["S3", "S4"]
    tabled = await api.call("GET", "/api/v1/availability", headers={"Accept": ARROW})
    table = pa.ipc.open_stream(tabled.body).read_all()
    assert table["left"].to_pylist() == [
        read(await api.get(f"/api/v1/availability/{code}"))["left"] for code in await codes("")
    ]


async def test_limits_are_listed_wherever_the_owner_has_something(api: Api) -> None:
    client, unit = _book(api, 1, "client"), _book(api, 1, "aggregation_unit")
    order = {"order": "O1", "security": "S1", "client": client, "book": _book(api, 1), "side": "long", "quantity": 100}
    assert read(await api.call("POST", "/api/v1/orders", order))["state"] == "approved"
    await api.locate("S5", quantity=1, client=client, on_insufficient="pend")
    rows = read(await api.get(f"/api/v1/limits?client={client}"))["limits"]
    held = {row["security"] for row in await _rows(api, f"?client={client}")}
    assert held <= {row["security"] for row in rows}
    for row in rows:
        single = read(await api.get(f"/api/v1/limits/{client}/{row['security']}"))
        assert (row["long"]["left"], row["short"]["left"]) == (single["long"], single["short"])
    (first,) = (row for row in rows if row["security"] == "S1")
    assert (first["scope"], first["owner"], first["long"]["used"], first["short"]["used"]) == ("client", client, 100, 0)
    assert read(await api.call("GET", f"/api/v1/limits?client={client}", token=_token(api, client)))["limits"] == rows
    units = read(await api.get(f"/api/v1/limits?au={unit}&security=S1"))["limits"]
    assert [(row["scope"], row["owner"], row["long"]["used"]) for row in units] == [("au", unit, 100)]
    both = read(await api.get("/api/v1/limits?security=S1"))["limits"]
    assert {("client", client), ("au", unit)} <= {(row["scope"], row["owner"]) for row in both}


async def test_pages_of_limits_hold_each_once(api: Api) -> None:
    client, unit = _book(api, 1, "client"), _book(api, 1, "aggregation_unit")
    query = f"client={client}&au={unit}"
    every = read(await api.get(f"/api/v1/limits?{query}"))["limits"]
    paged, cursor = [], ""
    while cursor is not None:
        page = read(await api.get(f"/api/v1/limits?{query}&limit=1{cursor and '&cursor=' + cursor}"))
        paged += page["limits"]
        cursor = page["next_cursor"]
    assert paged == every
    assert len(every) > 2


async def test_limits_of_nobody_and_of_everybody_are_not_made_up(api: Api) -> None:
    for query, code in (("", 422), ("client=NOBODY", 200), ("client=NOBODY&security=S1", 404), ("security=X", 422)):
        answer = await api.get(f"/api/v1/limits?{query}")
        assert answer.code == code
        assert code != 200 or read(answer)["limits"] == []
