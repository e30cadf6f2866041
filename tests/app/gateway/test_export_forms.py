"""Files of the position table: CSV, workbooks and Arrow against the plainest Python, and what goes on while they are made."""

import asyncio
import csv
import io
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pytest
import pytest_asyncio
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from app import tickets
from app.bench.synthetic import synthetic_positions, synthetic_tables
from app.export import cells
from app.gateway.server import Gateway, serving
from app.settings import Settings
from engine.tables import Tables, Word
from tests.app.gateway.workbooks import workbook
from tests.engine.plain_tables import COLUMNS, Row, plain_rows, plain_sum

pytestmark = pytest.mark.asyncio(loop_scope="module")
Fetch = Callable[..., Awaitable[HTTPResponse]]
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    'a "quoted", name',
    "line\nbreak",
    " padded ",
    "<&>_x0041_ \x01",
]
NAME = "export-forms"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tables, Settings, list[Row]]]:
    """One table for all tests here: they only read."""
    settings = Settings(
        instance=f"test-{NAME}-{time.monotonic_ns()}", data=str(tmp_path_factory.mktemp(NAME)), frame_ms=20
    )
    tables = synthetic_tables(f"{settings.instance}.tables", 40)
    synthetic_positions(tables, 400)
    with tables.writing():
        tables.array["security"]["name"][1 : len(NASTY) + 1] = [name.encode() for name in NASTY]
        tables.array["position"]["td"][0] = 2**53 + 1
        tables.state[Word.REFERENCE] += 1
    yield tables, settings, plain_rows(tables)
    tables.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(world: tuple[Tables, Settings, list[Row]]) -> Any:
    """A gateway, and a way to ask it."""
    tables, settings, _ = world
    async with serving(settings, port=0) as gateway:
        ticket = tickets.issue(settings.secret, time.time())

        async def get(path: str, **arguments: str) -> HTTPResponse:
            url = f"http://127.0.0.1:{gateway.port}{path}?{urlencode({'ticket': ticket} | arguments)}"
            client = AsyncHTTPClient(force_instance=True)
            headers = {"Origin": "http://127.0.0.1:5006"}
            return await client.fetch(url, raise_error=False, request_timeout=300, headers=headers)

        while (await get("/health/ready")).code != 200:
            tables.state[Word.HEARTBEAT_NS] = time.time_ns()
        yield gateway, get


def shown(row: Row, name: str) -> Any:
    """A cell as a file of numbers has it."""
    value, scale = row[name], COLUMNS[name].scale if name in COLUMNS else 1
    return value if value is None or isinstance(value, str) else Decimal(value) / scale


WHERE = {"where": [{"column": "td", "op": ">", "value": 0}]}
NAMES = ("name", "client", "kind", "td", "rate", "value", "price", "id")


@pytest.fixture
def expected(world: tuple[Tables, Settings, list[Row]]) -> list[Row]:
    return sorted([row for row in world[2] if row["td"] > 0], key=lambda row: -row["td"])


ASKED = {"columns": ",".join(NAMES), "filter": json.dumps(WHERE), "sort": "td:desc"}


async def test_csv_has_the_rows_that_match_in_their_order(served: Any, expected: list[Row]) -> None:
    response = await served[1]("/export/positions.csv", **ASKED)
    assert response.code == 200, response.body
    assert response.headers["X-Rows"] == str(len(expected))
    header, *lines = csv.reader(io.StringIO(response.body.decode(), newline=""))
    assert tuple(header) == NAMES
    for line, row in zip(lines, expected, strict=True):
        for text, name in zip(line, NAMES, strict=True):
            value = shown(row, name)
            if isinstance(value, str):
                assert text == cells.defused(value)
            else:
                assert (Decimal(text) if text else None) == value


async def test_a_workbook_has_typed_cells_and_says_its_moment(
    served: Any, expected: list[Row], world: tuple[Tables, Settings, list[Row]]
) -> None:
    response = await served[1]("/export/positions.xlsx", **ASKED)
    sheets = workbook(response.body)
    assert list(sheets) == ["Rows", "About"]
    header, *lines = sheets["Rows"]
    assert tuple(header) == NAMES
    for line, row in zip(lines, expected, strict=True):
        for cell, name in zip(line, NAMES, strict=True):
            value = shown(row, name)
            if isinstance(value, str):
                assert cell == (cells.defused(value) or None)
            else:
                assert cell == (None if value is None else float(value))
    about = {str(name): str(value) for name, value in sheets["About"]}
    as_of = datetime.fromtimestamp(int(world[0].state[Word.LAST_EVENT_NS]) / 1e9, UTC).isoformat(
        timespec="milliseconds"
    )
    assert (about["as_of"], response.headers["X-As-Of"]) == (as_of, as_of)
    assert (about["rows"], about["sort"]) == (str(len(expected)), "td desc")
    assert json.loads(about["filter"]) == WHERE


async def test_times_are_times_in_workbooks_and_arrow(served: Any, world: tuple[Tables, Settings, list[Row]]) -> None:
    names = {"columns": "id,updated_ms,fee"}
    book = workbook((await served[1]("/export/inventory.xlsx", **names)).body)["Rows"][1:]
    with pa.ipc.open_stream((await served[1]("/export/inventory.arrow", **names)).body) as stream:
        table = stream.read_all().to_pydict()
    updated = world[0].array["updated_ns"]
    assert list(table) == ["id", "updated_ms", "fee", "external_at_least"]
    for line, instant, security in zip(book, table["updated_ms"], table["id"], strict=True):
        ms = int(updated[security]) // 10**6
        assert instant == (datetime.fromtimestamp(ms / 1e3, UTC).replace(microsecond=ms % 1000 * 1000) if ms else None)
        assert line[1] is None if not ms else abs(float(line[1] or 0) - (ms / 86_400_000 + 25_569)) < 1e-9


async def test_arrow_is_exact_and_typed(served: Any, expected: list[Row]) -> None:
    response = await served[1]("/export/positions.arrow", **ASKED)
    with pa.ipc.open_stream(response.body) as stream:
        table = stream.read_all()
    assert table.schema.metadata[b"rows"] == str(len(expected)).encode()
    assert table.schema.field("td").metadata[b"unit"] == b"shares"
    assert pa.types.is_int64(table.schema.field("td").type)
    assert pa.types.is_decimal(table.schema.field("rate").type)
    found = table.to_pydict()
    for name in NAMES:
        assert found[name] == [shown(row, name) for row in expected]


async def test_groups_are_lines_with_sums_or_with_their_rows(
    served: Any, world: tuple[Tables, Settings, list[Row]]
) -> None:
    rows = world[2]
    asked = {"columns": "td,name,price", "groups": "entity,depot", "sort": "rows:desc"}
    header, *lines = csv.reader(
        io.StringIO((await served[1]("/export/positions.csv", **asked)).body.decode(), newline="")
    )
    assert header == ["entity", "depot", "rows", "td"]

    def inside(entity: str, depot: str) -> list[Row]:
        return [row for row in rows if (row["entity"], row["depot"]) == (entity, depot)]

    assert [int(line[2]) for line in lines] == [len(inside(line[0], line[1])) for line in lines]
    assert [int(line[3]) for line in lines] == [plain_sum(inside(line[0], line[1]), "td") for line in lines]
    assert sum(int(line[2]) for line in lines) == len(rows)
    ordered = [(line[0], line[1]) for line in lines]
    body = (await served[1]("/export/positions.csv", **asked | {"sort": "rows:desc,td:asc", "leaves": "1"})).body
    header, *lines = csv.reader(io.StringIO(body.decode(), newline=""))
    assert header == ["entity", "depot", "td", "name", "price"]
    expected = [(*group, row["td"]) for group in ordered for row in sorted(inside(*group), key=lambda row: row["td"])]
    assert sorted(expected) == sorted((line[0], line[1], int(line[2])) for line in lines)
    for group in set(ordered):
        of = [int(line[2]) for line in lines if (line[0], line[1]) == group]
        assert of == sorted(of)
    pivot = {"columns": "td", "groups": "depot", "pivot": "entity"}
    header, *lines = csv.reader(
        io.StringIO((await served[1]("/export/positions.csv", **pivot)).body.decode(), newline="")
    )
    assert header == ["depot", "rows", "td|LONDON", "td|NEW YORK", "td"]
    assert [int(line[2] or 0) + int(line[3] or 0) for line in lines] == [int(line[4]) for line in lines]


async def test_progress_is_told_by_the_id_that_was_asked_for(served: Any, expected: list[Row]) -> None:
    _, get = served
    assert (await get("/export/progress", id="my-export-1")).code == 404
    response = await get("/export/positions.csv", **ASKED, id="my-export-1")
    assert response.headers["X-Export-Id"] == "my-export-1"
    assert response.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:5006"
    assert "X-Rows" in response.headers["Access-Control-Expose-Headers"]
    told = json.loads((await get("/export/progress", id="my-export-1")).body)
    assert told | {"as_of": ""} == {
        "id": "my-export-1",
        "state": "done",
        "rows": len(expected),
        "written": len(expected),
        "as_of": "",
        "detail": "",
    }
    assert (await get("/export/positions.csv", **ASKED, id="my-export-1")).code == 400


async def test_who_is_kept_to_clients_exports_rows_of_their_books(
    served: Any, world: tuple[Tables, Settings, list[Row]]
) -> None:
    _, get = served
    ticket = tickets.issue(world[1].secret, time.time(), ["FUND1"])
    own = [row["id"] for row in world[2] if row["client"] == "FUND1"]
    for asked in ({}, {"filter": json.dumps({"where": []})}, {"sort": "client:asc"}):
        body = (await get("/export/positions.csv", ticket=ticket, columns="client,id", **asked)).body.decode()
        lines = [line.split(",") for line in body.split()[1:]]
        assert lines == [["FUND1", str(row)] for row in own]
    grouped = (await get("/export/positions.csv", ticket=ticket, columns="td", groups="client")).body.decode()
    assert [line.split(",")[:2] for line in grouped.split()[1:]] == [["FUND1", str(len(own))]]
    assert (await get("/export/inventory.csv", ticket=ticket)).code == 403
    await get("/export/positions.csv", columns="td", id="everybodys")
    assert (await get("/export/progress", ticket=ticket, id="everybodys")).code == 404


async def test_a_reader_that_goes_away_ends_the_making(
    served: tuple[Gateway, Fetch], world: tuple[Tables, Settings, list[Row]]
) -> None:
    gateway, get = served
    ticket = tickets.issue(world[1].secret, time.time())
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        f"GET /export/positions.xlsx?ticket={ticket}&id=given-up-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    )
    await writer.drain()
    while (await get("/export/progress", id="given-up-1")).code == 404:
        pass
    writer.close()
    while json.loads((await get("/export/progress", id="given-up-1")).body)["state"] not in ("failed", "done"):
        pass
    assert (await get("/export/positions.csv", columns="td")).code == 200, "the next one is made"
    del reader
