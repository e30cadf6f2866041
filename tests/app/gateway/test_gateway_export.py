"""CSV files against the tables they were made from."""

import csv
import io
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from app.export.cells import number_texts
from app.gateway import export
from app.gateway.server import Gateway
from engine.model import RATE_UNKNOWN
from engine.tables import Tables, Word
from engine.views_columns import Column, Source, columns_of

Fetch = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def fetch(gateway: Gateway, ticket: str) -> Fetch:
    async def get(path: str = "/export/inventory.csv", **arguments: str) -> HTTPResponse:
        url = f"http://127.0.0.1:{gateway.port}{path}?{urlencode({'ticket': ticket} | arguments)}"
        return await AsyncHTTPClient(force_instance=True).fetch(url, raise_error=False)

    return get


def rows_of(response: HTTPResponse) -> list[dict[str, str]]:
    assert response.code == 200, response.body
    return list(csv.DictReader(io.StringIO(response.body.decode(), newline="")))


async def attached(fetch: Fetch) -> None:
    while (await fetch("/health/ready")).code != 200:
        pass


async def test_the_file_holds_every_cell_of_every_row_exactly(fetch: Fetch, tables: Tables) -> None:
    await attached(fetch)
    with tables.writing():
        tables.array["values"][1, tables.catalogue.calculation("for_loan"), 0] = 2**53 + 1
        tables.array["values"][1, tables.catalogue.calculation("borrow_cost"), 0] = 1_234_560
        tables.array["price"][1] = 123_456_789
        tables.array["security"]["fee"][1:3] = -5, RATE_UNKNOWN
        tables.state[Word.REFERENCE] += 1
    rows = rows_of(await fetch())
    assert len(rows) == 200
    catalogue = tables.catalogue
    left, located = catalogue.calculation("remaining"), catalogue.component("located")
    names = [column.name for column in columns_of(catalogue)]
    assert list(rows[0]) == [{"at_least": "external_at_least"}.get(name, name) for name in names]
    assert rows[0]["for_loan.0"] == "9007199254740993"
    assert rows[0]["borrow_cost"] == "12345.6"
    assert rows[0]["price"] == "123.456789"
    assert [row["fee"] for row in rows[:2]] == ["-0.0005", ""]
    for number, row in enumerate(rows, 1):
        record = tables.array["security"][number]
        market = tables.markets[record["market"]]
        assert row["name"] == record["name"].decode()
        assert (row["id"], row["market"]) == (str(number), market.code)
        assert row["remaining"] == str(tables.array["values"][number, left, market.settle_days])
        assert row["located"] == str(tables.array["terms"][number, located, market.settle_days])
        assert row["external_at_least"] == str(record["flags"] & 1)
        price, updated_ns = int(tables.array["price"][number]), int(tables.array["updated_ns"][number])
        assert row["price"] == ("" if price == 0 else f"{(Decimal(price) / 10**6).normalize():f}")
        assert row["updated_ms"] == ("" if updated_ns == 0 else str(updated_ns // 10**6))


async def test_the_file_has_the_rows_columns_and_order_of_the_screen(fetch: Fetch, tables: Tables) -> None:
    await attached(fetch)
    arguments = {"columns": "id,remaining", "markets": "US,TW", "temperatures": "GC", "sort": "remaining:desc,id:asc"}
    rows = rows_of(await fetch(text="baltic", changed_today="0", **arguments))
    expected = [
        i
        for i in range(200, 0, -1)
        if tables.array["security"][i]["market"] in (0, 1)
        and tables.array["security"][i]["temperature"] == 1
        and b"baltic" in tables.array["security"][i]["name"].lower()
    ]
    assert expected
    assert [int(row["id"]) for row in rows] == expected
    assert list(rows[0]) == ["id", "remaining", "external_at_least"]


async def test_text_that_a_spreadsheet_takes_for_a_formula_is_defused(fetch: Fetch, tables: Tables) -> None:
    await attached(fetch)
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'a "quoted", name', "line\nbreak", "plain"]
    with tables.writing():
        tables.array["security"]["name"][1 : len(nasty) + 1] = [name.encode() for name in nasty]
        tables.state[Word.REFERENCE] += 1
    names = [row["name"] for row in rows_of(await fetch(columns="name"))][: len(nasty)]
    assert names == [f"'{name}" for name in nasty[:6]] + nasty[6:]


async def test_the_file_name_says_the_moment_it_shows(fetch: Fetch, tables: Tables) -> None:
    await attached(fetch)
    before = datetime.now(UTC)
    response = await fetch(columns="name")
    found = re.fullmatch(
        r'attachment; filename="inventory-(\d{8}T\d{6}\.\d{3})Z\.csv"', response.headers["Content-Disposition"]
    )
    assert found
    moment = datetime.strptime(found[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    assert before.timestamp() - 0.001 <= moment.timestamp() <= time.time()
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"columns": "nonsense"}, "columns"),
        ({"sort": "remaining:up"}, "sort"),
        ({"markets": "XX"}, "markets"),
        ({"temperatures": "TEPID"}, "temperatures"),
        ({"changed_today": "maybe"}, "changed_today"),
        ({"filter": '{"where":[{"column":"price","op":"in","value":["1"]}]}'}, "where"),
        ({"filter": "nonsense"}, "filter"),
        ({"groups": "price"}, "groups"),
        ({"pivot": "market"}, "pivot"),
        ({"leaves": "maybe"}, "leaves"),
        ({"id": "../../x"}, "id"),
    ],
)
async def test_a_wrong_question_is_answered_with_the_field(
    fetch: Fetch, tables: Tables, arguments: dict[str, Any], field: str
) -> None:
    await attached(fetch)
    response = await fetch(**arguments)
    assert response.code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert f'"detail":"{field}: ' in response.body.decode()


async def test_a_file_needs_a_ticket_an_engine_and_a_free_place(
    fetch: Fetch, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await fetch(ticket="nonsense")).code == 403
    response = await fetch()
    assert (response.code, response.headers["Retry-After"]) == (503, "2")
    monkeypatch.setattr(export, "MAX_EXPORTS", 0)
    assert b"too many" in (await fetch()).body


async def test_health_tells_a_living_process_from_one_that_has_something_to_show(fetch: Fetch, instance: str) -> None:
    assert (await fetch("/health/live")).code == 200
    response = await fetch("/health/ready")
    assert response.code == 503
    assert b'"down"' in response.body


@given(value=st.integers(-(2**63), 2**63 - 1), places=st.sampled_from([2, 4, 6, 9]))
def test_decimals_are_exact_and_short(value: int, places: int) -> None:
    column = Column("x", Source.VALUES, scale=10**places, unknown=0 if value else 1)
    (text,) = number_texts(column, np.array([value])).to_pylist()
    assert Decimal(text) * 10**places == value
    assert not ("." in text and text.endswith(("0", ".")))
    assert "E" not in text
