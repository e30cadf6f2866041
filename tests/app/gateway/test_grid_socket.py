"""The grid's websocket, spoken to as a browser does."""

import asyncio
import json
import math
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from tornado.httpclient import HTTPClientError

from app import tickets, world
from app.bench.synthetic import synthetic_tables
from app.gateway import sockets
from app.gateway.server import Gateway
from app.settings import Settings
from engine.catalogue import Catalogue
from engine.model import Temperature
from engine.tables import Tables, Word

pytestmark = pytest.mark.usefixtures("tables")
Put = Callable[..., None]
REMAINING = 3
"""Place of the column in the fixture's view."""


async def test_a_browser_is_greeted_and_told_the_state_of_the_machine(browse: Any, tables: Tables) -> None:
    browser = await browse()
    hello = await browser.text("hello")
    assert hello["generation"] == "synthetic"
    assert hello["frame_ms"] == 20
    assert hello["markets"] == [market.code for market in world.markets()]
    assert hello["temperatures"] == [temperature.name for temperature in Temperature]
    columns = {column["id"]: column for column in hello["columns"]}
    assert (columns["name"]["kind"], columns["name"]["shown"]) == ("text", True)
    assert columns["for_loan.4"] == columns["for_loan.4"] | {
        "kind": "number",
        "unit": "shares",
        "day": 4,
        "title": "SD4",
    }
    assert (columns["remaining"]["strong"], columns["remaining"]["floor"]) == (True, True)
    assert "shown" not in columns["pledged"]
    with tables.writing():
        tables.array["values"][1:4, tables.catalogue.calculation("remaining")] = -1
        tables.state[Word.EVENTS] = 42
        tables.state[Word.HEARTBEAT_NS] = time.time_ns()
    while (stats := await browser.text("stats"))["negative"] != 3:
        tables.state[Word.HEARTBEAT_NS] = time.time_ns()
    assert stats["state"] == "live"
    assert stats["events"] == 42
    assert stats["securities"] == 200
    assert stats["htb"] == int((tables.array["security"]["temperature"] == Temperature.HTB).sum())
    assert 0 <= stats["heartbeat_age_ms"] < 2_000


async def test_a_window_shows_the_cells_of_its_rows_in_the_order_asked_for(browse: Any, tables: Tables) -> None:
    browser = await browse()
    await browser.look(sort=[["remaining", "desc"]], first=5, count=3, v=7)
    frame = await browser.frame(1)
    assert (frame.v, frame.first, frame.count, frame.total, frame.n) == (7, 5, 3, 200, 5)
    assert frame.ids == [195, 194, 193]
    names, _, prices, remaining, ids = frame.columns
    assert names == [tables.array["security"][i]["name"].decode() for i in frame.ids]
    assert remaining == [1950, 1940, 1930]
    assert ids == frame.ids
    for price, raw in zip(prices, tables.array["price"][frame.ids].tolist(), strict=True):
        assert math.isnan(price) if raw == 0 else price == raw / 1e6
    assert frame.as_of_ms == tables.count(Word.LAST_EVENT_NS) / 1e6


async def test_only_the_changed_cells_of_the_window_travel(browse: Any, tables: Tables, put: Put) -> None:
    browser = await browse()
    await browser.look()
    first = await browser.frame(1)
    put(tables, 150, -7)  # not in the window
    put(tables, 4, -8, 1_790_000_000_000_000_000)
    frame = await browser.frame()
    assert frame.kind == 2
    assert frame.changed == {(3, REMAINING): -8}
    assert frame.as_of_ms == 1_790_000_000_000
    assert frame.membership == first.membership


async def test_a_change_that_moves_rows_brings_the_window_anew(browse: Any, tables: Tables, put: Put) -> None:
    browser = await browse()
    await browser.look(sort=[["remaining", "asc"]], count=2)
    before = await browser.frame(1)
    assert before.ids == [1, 2]
    put(tables, 90, -1)
    after = await browser.frame(1)
    assert after.ids == [90, 1]
    assert after.membership > before.membership


async def test_a_row_that_joins_elsewhere_is_told_by_the_total(browse: Any, tables: Tables) -> None:
    browser = await browse()
    await browser.look(filter={"text": "zebra"})
    assert (await browser.frame(1)).total == 0
    with tables.writing():
        tables.array["security"]["name"][9] = b"Zebra Rail"
        tables.state[Word.REFERENCE] += 1
    frame = await browser.frame()
    assert (frame.kind, frame.total, frame.ids) == (1, 1, [9])


async def test_the_window_moves_within_its_view(browse: Any) -> None:
    browser = await browse()
    await browser.look(sort=[["id", "asc"]])
    await browser.frame(1)
    await browser.say({"t": "window", "v": 1, "first": 198, "count": 50})
    frame = await browser.frame(1)
    assert (frame.first, frame.count, frame.ids) == (198, 2, [199, 200])
    await browser.say({"t": "window", "v": 1, "first": 5_000, "count": 50})
    frame = await browser.frame(1)
    assert (frame.first, frame.count, frame.total) == (5_000, 0, 200)


async def test_sessions_that_look_at_the_same_share_one_reading(browse: Any, gateway: Gateway, until: Any) -> None:
    browsers = [await browse() for _ in range(3)]
    for v, browser in enumerate(browsers):
        await browser.look(v=v)
        assert (await browser.frame(1)).v == v
    await browsers[0].look(columns=["name"], sort=[])
    await browsers[0].frame(1)
    (view,) = gateway.pump.views.by_selection.values()
    assert sorted(len(window.viewers) for window in view.windows.values()) == [1, 2]
    for browser in browsers:
        browser.connection.close()
    await until(lambda: not gateway.pump.sessions)
    assert not gateway.pump.views.by_selection


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{", "truncated"),
        ("hello", "malformed"),
        ('{"t":"dance"}', "dance"),
        ('{"t":"view","v":1,"columns":["nonsense"]}', "columns: unknown 'nonsense'"),
        ('{"t":"view","v":1,"columns":["name"],"filter":{"markets":["XX"]}}', "markets: unknown 'XX'"),
        ('{"t":"view","v":1,"columns":["name"],"count":501}', "count"),
        ('{"t":"view","v":70000,"columns":["name"]}', "v"),
        ('{"t":"view","v":1,"columns":["name"],"groups":["price"]}', "groups: 'price' is a number"),
        ('{"t":"view","v":1,"columns":["name"],"pivot":"market"}', "pivot: needs"),
        ('{"t":"view","v":1,"columns":["name"],"nonsense":1}', "nonsense"),
        ('{"t":"view","v":1,"columns":["name"],"table":"limits"}', "table: unknown 'limits'"),
        ('{"t":"view","v":1,"columns":["name"],"filter":{"where":[{"column":"name","op":"~","value":""}]}}', "where: "),
        ('{"t":"view","v":1,"columns":["name"],"sort":[["name"]]}', "sort"),
        ('{"t":"window","v":9,"first":0,"count":5}', "no view 9"),
        (b"\x00\x01", "binary"),
    ],
)
async def test_a_bad_message_is_answered_and_the_connection_lives(browse: Any, message: str | bytes, said: str) -> None:
    browser = await browse()
    await browser.say(message)
    assert said in (await browser.text("error"))["detail"]
    await browser.look()
    assert (await browser.frame(1)).total == 200


async def test_a_bad_message_is_answered_when_what_is_under_way_has_arrived(
    browse: Any, gateway: Gateway, until: Any
) -> None:
    browser = await browse()
    await browser.text("hello")
    session: Any
    (session,) = gateway.pump.sessions
    under_way = session._outstanding = asyncio.get_running_loop().create_future()
    under_way.add_done_callback(session._sent)
    for message in ("{", "hello"):
        await browser.say(message)
    await until(lambda: b"malformed" in session._wrong)
    under_way.set_result(None)
    assert "malformed" in (await browser.text("error"))["detail"], "the newest of them"


async def test_a_message_beyond_the_limit_closes_the_connection(browse: Any) -> None:
    browser = await browse()
    await browser.say("x" * (sockets.MAX_MESSAGE_BYTES + 1))
    with pytest.raises(ConnectionError):
        await browser.frame()


@pytest.mark.parametrize("bad", ["", "nonsense", "9999999999.0000", tickets.issue("another secret", 2e9)])
async def test_a_socket_without_a_valid_ticket_is_refused(browse: Any, bad: str) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await browse(with_ticket=bad)


async def test_an_expired_ticket_is_refused(browse: Any, gateway_settings: Settings) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await browse(with_ticket=tickets.issue(gateway_settings.secret, time.time() - tickets.VALID_S - 1))


async def test_a_socket_ends_with_its_ticket_unless_a_newer_one_was_said(
    browse: Any, gateway_settings: Settings
) -> None:
    def given(valid_s: float, clients: list[str] | None = None) -> str:
        return tickets.issue(gateway_settings.secret, time.time(), clients, valid_s)

    async def ended(browser: Any) -> int:
        with pytest.raises(ConnectionError):
            await browser.frame(where=lambda _: False)
        return int(browser.connection.close_code)

    stays, ends = await browse(with_ticket=given(4)), await browse(with_ticket=given(4))
    await stays.say({"t": "ticket", "ticket": "nonsense"})
    assert "wrong or expired" in (await stays.text("error"))["detail"]
    await stays.say({"t": "ticket", "ticket": given(60)})
    await stays.say({"t": "ticket", "ticket": given(1)})
    assert await ended(ends) == sockets.TICKET_ENDED
    for _ in range(3):
        await stays.text("stats")
    await stays.say({"t": "ticket", "ticket": given(60, ["FUND1"])})
    assert await ended(stays) == sockets.TICKET_ENDED, "who may see less looks at nothing more through it"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example", "http://[::1"])
async def test_a_page_of_another_host_is_refused(browse: Any, origin: str) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await browse(origin=origin)


async def test_a_program_without_origin_may_connect_with_a_ticket(browse: Any) -> None:
    browser = await browse(origin=None)
    assert (await browser.text("hello"))["generation"] == "synthetic"


async def test_more_sessions_than_allowed_are_sent_away(browse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_SESSIONS", 1)
    await browse()
    with pytest.raises(HTTPClientError, match="503"):
        await browse()


async def test_a_slow_reader_gets_the_newest_and_no_queue(
    gateway: Gateway, ticket: str, tables: Tables, until: Any
) -> None:
    """A raw socket that does not read: the gateway stops writing to it and catches up with one frame when it does."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", gateway.port))
    request = (
        f"GET /ws/grid?ticket={ticket} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode())
    view = json.dumps({"t": "view", "v": 1, "columns": ["remaining", "id"], "count": 200}).encode()
    await loop.sock_sendall(raw, b"\x81\xfe" + len(view).to_bytes(2, "big") + bytes(4) + view)
    await until(lambda: bool(gateway.pump.sessions))
    (session,) = gateway.pump.sessions
    assert isinstance(session, sockets.GridSocket)
    number, blocked_rounds, window, left = 0, 0, None, tables.catalogue.calculation("remaining")
    while blocked_rounds < 50:  # until fifty readings in a row found it blocked
        number += 1
        with tables.writing():
            tables.array["values"][1:, left] = -number
        seen = window
        await until(lambda seen=seen: session.window is not None and session.window.cells is not seen)
        assert session.window is not None
        window = session.window.cells
        blocked_rounds = blocked_rounds + 1 if session.busy and session.sent is not window else 0
    connection = session.ws_connection
    queued = len(connection.stream._write_buffer)  # type: ignore[union-attr]
    assert queued < 4096, "at most the rest of one frame of 200 cells waits in the process"
    received = bytearray()
    last = np.full(200, -float(number)).tobytes()
    while last not in received:
        received += await loop.sock_recv(raw, 1 << 16)
    raw.close()
    assert gateway.pump.greeting is not None
    frames_received = (len(received) - len(gateway.pump.greeting[0])) / 2240  # 200 cells of 11 bytes and a header
    assert frames_received < number - 40


async def test_a_restarted_writer_is_found_and_announced(browse: Any, tables: Tables, instance: str, put: Put) -> None:
    browser = await browse()
    await browser.look(count=1)
    assert (await browser.frame(1)).columns[REMAINING] == [10]
    tables.close()
    while (await browser.text("stats"))["state"] != "down":
        pass
    again = synthetic_tables(f"{instance}.tables", 100, generation="second")
    try:
        hello = await browser.text("hello")
        assert hello["generation"] == "second"
        frame = await browser.frame(1)
        assert frame.total == 100
        put(again, 1, 123)
        assert (await browser.frame(2)).changed == {(0, REMAINING): 123}
    finally:
        again.close()


async def test_a_silent_writer_is_called_stale_and_a_loading_one_starting(browse: Any, tables: Tables) -> None:
    browser = await browse()
    await browser.text("hello")  # the rules are known
    tables.state[Word.HEARTBEAT_NS] = time.time_ns() - 3_000_000_000
    while (await browser.text("stats"))["state"] != "stale":
        pass
    tables.state[Word.READY] = 0
    while (await browser.text("stats"))["state"] != "starting":
        tables.state[Word.HEARTBEAT_NS] = time.time_ns()


async def test_nothing_is_sent_from_the_middle_of_a_batch(browse: Any, tables: Tables, put: Put) -> None:
    browser = await browse()
    await browser.look(count=2)
    await browser.frame(1)
    left = tables.catalogue.calculation("remaining")
    with tables.writing():
        tables.array["values"][1, left] = -1
        stats = await browser.text("stats")  # the gateway lives on
        tables.array["values"][2, left] = -2
    assert stats["t"] == "stats"
    assert (await browser.frame()).changed == {(0, REMAINING): -1, (1, REMAINING): -2}


def renamed(tables: Tables, name: str, **more: Any) -> Catalogue:
    """The rules in force, the calculation `remaining` renamed and changed."""
    catalogue = tables.catalogue
    calculations = list(catalogue.calculations)
    at = catalogue.calculation("remaining")
    calculations[at] = msgspec.structs.replace(calculations[at], name=name, **more)
    return msgspec.structs.replace(catalogue, version=catalogue.version + 1, calculations=tuple(calculations))


async def test_other_rules_are_told_and_the_view_asked_anew_goes_on(browse: Any, tables: Tables, put: Put) -> None:
    browser = await browse()
    await browser.look(count=3)
    assert (await browser.frame(1)).columns[REMAINING] == [10, 20, 30]
    catalogue = renamed(tables, "still_there")
    at = catalogue.calculation("still_there")
    with tables.writing():
        tables.publish(catalogue)
        tables.array["values"][1:4, at] = [[-1], [-2], [-3]]
    said = {kind: await browser.text(kind) for kind in ("hello", "error")}
    names = [column["id"] for column in said["hello"]["columns"]]
    assert "still_there" in names
    assert "remaining" not in names
    assert said["hello"]["generation"] == "synthetic"
    assert "remaining" in said["error"]["detail"]
    await browser.look(columns=["name", "still_there"], count=3, v=2)
    assert (await browser.frame(1, lambda frame: frame.v == 2)).columns[1] == [-1, -2, -3]


async def test_a_number_never_changes_its_meaning_under_the_reader(browse: Any, tables: Tables) -> None:
    """The same name in another place and another unit: whole windows only, never the difference of two meanings."""
    browser = await browse()
    await browser.look(columns=["remaining"], count=2)
    assert (await browser.frame(1)).columns[0] == [10, 20]
    with tables.writing():
        tables.publish(renamed(tables, "remaining", unit="money"))
    frame = await browser.frame()
    assert (frame.kind, frame.columns[0]) == (1, [0.1, 0.2])


async def test_a_day_that_rolls_disturbs_no_grid(browse: Any, tables: Tables, put: Put) -> None:
    browser = await browse()
    await browser.look(count=2)
    await browser.frame(1)
    with tables.writing():
        tables.publish(renamed(tables, "remaining"))
    put(tables, 1, 11)
    heard = await browser.frame()
    assert (heard.kind, heard.changed) == (2, {(0, REMAINING): 11})


async def test_columns_of_former_rules_are_refused(browse: Any, tables: Tables) -> None:
    browser = await browse()
    await browser.text("hello")
    with tables.writing():
        tables.publish(renamed(tables, "other"))
    await browser.text("hello")
    await browser.look(columns=["name"], sort=[["remaining", "asc"]])
    assert "sort: unknown 'remaining'" in (await browser.text("error"))["detail"]
