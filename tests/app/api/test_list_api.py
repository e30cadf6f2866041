"""Lists of locates and orders: filtered, paged, the same rows as JSON, CSV and Arrow, and of the asker's clients only."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from app.identity import Identity, Role, issue_token
from engine.locates import LIMIT
from tests.app.api.api_world import NOON_NS, Api, read, serving
from tests.app.journal_urls import STORES, journal_url

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
LARGEST = LIMIT


@pytest.fixture(params=STORES)
async def stored(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, database=journal_url(request.param, request, tmp_path)) as made:
        yield made


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as made:
        yield made


def _token(api: Api, *clients: str, role: Role = Role.TRADER) -> str:
    who = Identity("dora", frozenset({role}), frozenset(clients))
    return issue_token(api.settings.secret, who, 600, NOON_NS / 1e9)


async def _asked(api: Api) -> None:
    """Five locates: 100, 200 and 300 of FUND1 in S1 to S3, 400 of FUND2 in S1, and far too many of FUND2 in it."""
    for number in (1, 2, 3):
        await api.locate(f"S{number}", quantity=100 * number, comment="=1+1" if number == 1 else "")
    await api.locate("S1", quantity=400, client="FUND2")
    await api.locate("S1", quantity=LARGEST, client="FUND2", on_insufficient="pend", allow_partial=False)


async def _ids(api: Api, query: str = "", token: str | None = None) -> list[int]:
    answer = await api.call("GET", f"/api/v1/locates{query}", token=token)
    assert answer.code == 200, answer.body
    return [int(row["id"][1:]) for row in read(answer)["locates"]]


async def test_filters_narrow_a_list_and_pages_hold_every_locate_once(stored: Api) -> None:
    await _asked(stored)
    assert await _ids(stored) == [5, 4, 3, 2, 1]
    assert await _ids(stored, "?order=oldest") == [1, 2, 3, 4, 5]
    assert await _ids(stored, "?client=FUND2&state=approved,partially_approved") == [4]
    assert await _ids(stored, "?security=US0378331005") == [5, 4, 1]
    assert await _ids(stored, "?from=2024-10-04&to=2024-10-04") == [5, 4, 3, 2, 1]
    assert await _ids(stored, "?from=2024-10-05") == await _ids(stored, "?to=2024-10-03") == []
    for order in ("newest", "oldest"):
        paged, cursor = [], ""
        while cursor is not None:
            page = read(await stored.get(f"/api/v1/locates?order={order}&limit=2{cursor and '&cursor=' + cursor}"))
            paged += [row["id"] for row in page["locates"]]
            cursor = page["next_cursor"]
        assert paged == [row["id"] for row in read(await stored.get(f"/api/v1/locates?order={order}"))["locates"]]


async def test_every_form_has_the_same_rows(api: Api) -> None:
    await _asked(api)
    rows = read(await api.get("/api/v1/locates?limit=3"))["locates"]
    tabled = await api.call("GET", "/api/v1/locates?limit=3", headers={"Accept": ARROW})
    assert tabled.headers["Content-Type"] == ARROW
    table = pa.ipc.open_stream(tabled.body).read_all()
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    assert table["requested"].to_pylist() == [row["requested"] for row in rows]
    assert table["received_at"].to_pylist()[0].isoformat() == rows[0]["received_at"].replace("Z", "+00:00")
    text = await api.call("GET", "/api/v1/locates?limit=3", headers={"Accept": f"{CSV}, application/json;q=0.5"})
    lines = list(csv.DictReader(io.StringIO(text.body.decode())))
    assert list(lines[0]) == table.column_names
    plain = [name for name in rows[0] if name in lines[0] and isinstance(rows[0][name], str | int)]
    assert {"id", "client", "requested", "received_at"} <= set(plain)
    for line, row in zip(lines, rows, strict=True):
        for name in plain:
            assert line[name] == ("" if row[name] is None else _text(row[name]))
    cursor = read(await api.get("/api/v1/locates?limit=3"))["next_cursor"]
    assert text.headers["Next-Cursor"] == tabled.headers["Next-Cursor"] == cursor
    assert "Next-Cursor" not in (await api.call("GET", "/api/v1/locates", headers={"Accept": CSV})).headers


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def test_a_spreadsheet_runs_nothing_of_a_list(api: Api) -> None:
    await _asked(api)
    text = await api.call("GET", "/api/v1/locates?order=oldest&limit=1", headers={"Accept": CSV})
    (line,) = csv.DictReader(io.StringIO(text.body.decode()))
    assert line["comment"] == "'=1+1"


async def test_an_empty_list_has_its_columns_in_every_form(api: Api) -> None:
    for path in ("locates", "orders"):
        text = await api.call("GET", f"/api/v1/{path}", headers={"Accept": CSV})
        tabled = await api.call("GET", f"/api/v1/{path}", headers={"Accept": ARROW})
        table = pa.ipc.open_stream(tabled.body).read_all()
        assert text.body.decode().strip().split(",") == table.column_names
        assert (len(table), "client" in table.column_names) == (0, True)


async def test_the_form_is_the_one_liked_best_and_one_that_there_is_not_is_refused(api: Api) -> None:
    for accept, kind in (("text/*", CSV), ("*/*", "application/json"), ("", "application/json")):
        answer = await api.call("GET", "/api/v1/locates", headers={"Accept": accept})
        assert answer.headers["Content-Type"].partition(";")[0] == kind
    for accept in ("text/html", "application/xml, image/*", "application/json;q=0", "*/*;q=0"):
        refused = await api.call("GET", "/api/v1/locates", headers={"Accept": accept})
        assert (refused.code, read(refused)["errors"][0]["header"]) == (406, "Accept")


async def test_totals_are_by_state_and_never_too_large_to_add(stored: Api) -> None:
    await _asked(stored)
    await stored.locate("S1", quantity=LARGEST, client="FUND2", on_insufficient="pend", allow_partial=False)
    totals = read(await stored.get("/api/v1/locates/totals"))
    assert [(each["state"], each["count"], each["requested"]) for each in totals["states"]] == [
        ("pending", 2, 2 * LARGEST),
        ("approved", 4, 1_000),
    ]
    assert (totals["count"], totals["approved"], totals["used"], totals["utilisation"]) == (6, 1_000, 0, 0.0)
    assert read(await stored.get("/api/v1/locates/totals?client=FUND1&security=S1&date=2024-10-04"))["requested"] == 100
    assert read(await stored.get("/api/v1/locates/totals?client=NOBODY"))["utilisation"] is None


async def test_a_query_that_cannot_be_is_refused_by_name(api: Api) -> None:
    for query in (
        *("state=gone", "state=", "limit=0", "limit=1001", "cursor=x", "order=best", "client=a%7Fb", "au="),
        *("date=2024-13-01", "from=0001-01-01", "to=9999-12-31", "colour=red"),
    ):
        for path in ("locates", "orders"):
            refused = await api.get(f"/api/v1/{path}?{query}")
            assert (refused.code, read(refused)["errors"][0]["parameter"]) == (422, query.partition("=")[0])


async def test_a_clients_token_sees_and_touches_nobody_else(api: Api) -> None:
    await _asked(api)
    one, both, none = _token(api, "FUND1"), _token(api, "FUND1", "FUND2"), _token(api)
    assert await _ids(api, token=one) == [3, 2, 1]
    assert await _ids(api, token=both) == [5, 4, 3, 2, 1]
    assert await _ids(api, token=none) == []
    assert await _ids(api, "?client=FUND1", one) == [3, 2, 1]
    assert read(await api.call("GET", "/api/v1/locates/totals", token=one))["count"] == 3
    line = {"security": "S1", "client": "FUND2", "quantity": 1}
    mixed = await api.call("POST", "/api/v1/locates", [line | {"client": "FUND1"}, line], token=one)
    assert (mixed.code, [fault["pointer"] for fault in read(mixed)["errors"]]) == (403, ["/1/client"])
    order = {"order": "O1", "book": "B1", "side": "long"} | line
    assert (await api.call("POST", "/api/v1/orders", order)).code == 200
    assert (await api.call("POST", "/api/v1/orders", order | {"order": "O2"}, token=one)).code == 403
    assert read(await api.call("GET", "/api/v1/orders", token=one))["orders"] == []
    assert len(read(await api.call("GET", "/api/v1/orders", token=both))["orders"]) == 1
    for path in ("locates?client=FUND2", "orders?client=FUND2", "locates/totals?client=FUND2"):
        assert (await api.call("GET", f"/api/v1/{path}", token=one)).code == 403
    for method, path in (
        ("GET", "locates/L0000000004"),
        ("POST", "locates/L0000000004/release"),
        ("GET", "orders/O1"),
        ("POST", "orders/O1/cancel"),
        ("GET", "limits/FUND2/S1"),
    ):
        assert (await api.call(method, f"/api/v1/{path}", token=one)).code == 404
    actions = {"action": "cancel", "ids": ["L0000000004"]}
    (result,) = read(await api.call("POST", "/api/v1/locates/actions", actions, token=one))["results"]
    assert (result["status"], result["locate"]) == (404, None)
    assert read(await api.get("/api/v1/locates/L0000000004"))["state"] == "approved"
    for path in ("quarantine", "availability", "locates/L0000000001/evidence", "rules", "limits/au/AU1/S1"):
        assert (await api.call("GET", f"/api/v1/{path}", token=one)).code == 403
    assert (await api.call("GET", "/api/v1/locates/L0000000001", token=one)).code == 200
