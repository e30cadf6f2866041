"""The stream over a websocket: a snapshot, then what changes, resumed where one was, and to nobody what is not his."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import structlog
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from app import stream_session, streams
from app.breaks.server import Looking
from app.breaks.server import serving as breaks_serving
from app.identity import Identity, Role, issue_token
from app.users_store import FILE, Users
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, fill, serving
from tests.engine.machines import events
from tests.feeds.desk import until


def _prepare(made: Machine) -> None:
    """FUND1's book, in AU1, holds 3,000 of S1 and may sell them."""
    fill(made)
    books = np.zeros(1, BOOK)
    books[0] = (made.tables.array["book"][1]["code"], b"FUND1", b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)
    _apply(made, {"security": 1, "book": 1, "kind": Kind.CLIENT_FREE, "op": Op.SET, "quantity": 3_000})


def _apply(made: Machine, row: dict[str, Any]) -> None:
    made.apply(events({"seq": int(made.tables.array["newest"].max()) + 1} | row))


@pytest.fixture
async def api(instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(streams, "LOOK_S", 0.02)
    async with serving(instance, tmp_path, _prepare) as opened:
        yield opened


class _Reader:
    """Hears what comes, by type; heartbeats apart."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket

    async def say(self, op: str = "subscribe", **fields: Any) -> None:
        await self.socket.write_message(msgspec.json.encode({"op": op, **fields}))

    async def hear(self, kind: str, wanted: Callable[[Any], bool] = lambda _message: True) -> Any:
        async with asyncio.timeout(120):
            while True:
                message = await self.socket.read_message()
                assert message is not None, (self.socket.close_code, self.socket.close_reason)
                found = msgspec.json.decode(message)
                if found["type"] == "error" and kind != "error":
                    raise AssertionError(found)
                if found["type"] == kind and wanted(found):
                    return found

    async def snapshot(self, topic: str, **fields: Any) -> Any:
        await self.say(topic=topic, **fields)
        return await self.hear("snapshot")


@asynccontextmanager
async def _opened(api: Api, token: str | None = None, **headers: str) -> AsyncIterator[_Reader]:
    address = api.base.replace("http", "ws") + "/api/v1/stream"
    given = {"Authorization": f"Bearer {token or api.token}"} | {n.replace("_", "-"): v for n, v in headers.items()}
    socket = await websocket_connect(HTTPRequest(address, headers=given))
    try:
        yield _Reader(socket)
    finally:
        socket.close()


def _token(api: Api, clients: frozenset[str] | None = None, *roles: Role) -> str:
    users = Users(Path(api.settings.data) / FILE)
    identity = Identity("ann", frozenset(roles or {Role.TRADER}), clients)
    users.close()
    return issue_token(api.settings.secret, identity, 3_600, 1_728_054_000)


def _order(api: Api, quantity: int = 100) -> dict[str, Any]:
    book = bytes(api.machine.tables.array["book"][1]["code"]).decode()
    order = {"order": f"O{quantity}", "security": "S1", "client": "FUND1", "book": book, "side": "long"}
    return order | {"quantity": quantity}


def _keys(message: Any) -> list[str]:
    return [line["key"] for line in message["lines"]]


async def test_what_is_open_comes_first_and_then_every_step_as_it_is_written(api: Api) -> None:
    ended = await api.locate(quantity=1)
    assert (await api.call("POST", f"/api/v1/locates/{ended['id']}/cancel", {})).code == 200
    first = await api.locate(quantity=100)
    async with _opened(api) as reader:
        snapshot = await reader.snapshot("locates")
        assert snapshot["last"]
        assert [line["data"] for line in snapshot["lines"]] == [first]
        second = await api.locate(quantity=200)
        delta = await reader.hear("delta")
        assert [line["data"] for line in delta["lines"]] == [second]
        assert delta["sequence"] > snapshot["sequence"]
        assert (await api.call("POST", f"/api/v1/locates/{first['id']}/release", {})).code == 200
        released = await reader.hear("delta")
    assert [(line["key"], line["data"]["state"]) for line in released["lines"]] == [(first["id"], "released")]


async def test_who_comes_back_gets_exactly_what_was_missed(api: Api) -> None:
    async with _opened(api) as reader:
        begun = (await reader.snapshot("locates"))["sequence"]
    missed = [await api.locate(quantity=n) for n in (1, 2, 3)]
    async with _opened(api) as reader:
        await reader.say(topic="locates", after=begun)
        lines: list[Any] = []
        while len(lines) < 3:
            lines += (await reader.hear("delta"))["lines"]
    assert [line["data"] for line in lines] == missed
    sequences = [line["sequence"] for line in lines]
    assert sequences == sorted(set(sequences))


async def test_a_restart_of_the_service_is_a_pause_for_who_follows_decisions(instance: str, tmp_path: Path) -> None:
    async with serving(instance, tmp_path, _prepare) as before:
        await before.locate(quantity=1)
        async with _opened(before) as reader:
            last = (await reader.snapshot("locates"))["sequence"]
            board = await reader.snapshot("availability")
        missed = await before.locate(quantity=2)
    async with serving(f"{instance}.again", tmp_path, _prepare) as after, _opened(after) as reader:
        await reader.say(topic="locates", after=last)
        assert [line["data"] for line in (await reader.hear("delta"))["lines"]] == [missed]
        # what is only now has other numbers after a restart, and begins anew
        again = await reader.snapshot("availability", after=board["sequence"], epoch=board["epoch"])
        assert again["epoch"] != board["epoch"]


async def test_without_a_snapshot_only_what_happens_from_now_on_is_told(api: Api) -> None:
    await api.locate(quantity=1)
    async with _opened(api) as reader:
        await reader.say(topic="locates", snapshot=False)
        await reader.snapshot("availability", securities=["S2"])  # by then the first is followed
        second = await api.locate(quantity=2)
        delta = await reader.hear("delta")
    assert [line["data"] for line in delta["lines"]] == [second]


async def test_orders_and_limits_change_with_every_decision(api: Api) -> None:
    async with _opened(api) as reader:
        assert not (await reader.snapshot("orders"))["lines"]
        limits = await reader.snapshot("limits", clients=["FUND1"], aggregation_units=["AU1"], securities=["S1"])
        before = {line["key"]: line["data"] for line in limits["lines"]}
        assert before["client:FUND1/S1"]["long"] == {"left": 3_000, "used": 0}
        assert (await api.call("POST", "/api/v1/orders", _order(api))).code == 200
        order = await reader.hear("delta", lambda message: message["topic"] == "orders")
        assert [line["data"]["order"] for line in order["lines"]] == ["O100"]
    async with _opened(api) as reader:
        limits = await reader.snapshot("limits", clients=["FUND1"], securities=["S1"])
        assert limits["lines"][0]["data"]["long"] == {"left": 2_900, "used": 100}
        await api.call("POST", "/api/v1/orders/O100/cancel", {})
        delta = await reader.hear("delta", lambda message: message["topic"] == "limits")
    assert delta["lines"][0]["data"]["long"] == {"left": 3_000, "used": 0}


async def test_availability_follows_positions_and_locates(api: Api) -> None:
    async with _opened(api) as reader:
        snapshot = await reader.snapshot("availability", securities=["US0378331005"])
        assert _keys(snapshot) == ["S1"]
        before = snapshot["lines"][0]["data"]
        await api.locate("S2", quantity=7)
        await api.locate("S1", quantity=100)
        delta = await reader.hear("delta")
        assert _keys(delta) == ["S1"]
        assert delta["lines"][0]["data"] == before | {"left": before["left"] - 100, "located": 100}
        _apply(api.machine, {"security": 1, "book": 1, "kind": Kind.FIRM, "op": Op.BUY, "quantity": 50})
        bought = await reader.hear("delta")
    assert bought["lines"][0]["data"]["pool"] == before["pool"] + 50
    async with _opened(api) as reader:
        _apply(api.machine, {"security": 2, "book": 1, "kind": Kind.FIRM, "op": Op.BUY, "quantity": 50})
        await reader.say(topic="availability", after=bought["sequence"], epoch=bought["epoch"])
        assert "S1" not in _keys(await reader.hear("delta"))
        everything = await reader.snapshot("availability", after=bought["sequence"], epoch="another")
        assert sorted(_keys(everything)) == ["S1", "S2", "S3", "S4", "S5"]
        assert _keys(await reader.snapshot("availability", markets=["TW"])) == ["S3"]


async def test_breaks_come_and_go(api: Api) -> None:
    async with _opened(api, _token(api, None, Role.OPS)) as reader:
        await reader.say(topic="breaks")
        assert "cannot be reached" in (await reader.hear("error"))["detail"]  # its process does not run yet
    now_ns = [NOON_NS]

    async def look(looking: Looking) -> None:
        await looking.look()
        now_ns[0] += 60 * 10**9
        await looking.look()

    async with breaks_serving(api.settings, clock=lambda: now_ns[0]) as looking:
        await look(looking)
        async with _opened(api, _token(api, None, Role.OPS)) as reader:
            begun = _keys(await reader.snapshot("breaks"))
            row = {"security": 1, "book": 1, "kind": Kind.FIRM, "depot": 1}
            _apply(api.machine, row | {"op": Op.SET_TD, "quantity": 77})
            await look(looking)
            found = (await reader.hear("delta"))["lines"][0]
            assert found["key"] not in begun
            assert (found["data"]["kind"], found["data"]["security"]) == ("td_sd", "S1")
            assert found["data"]["id"] == found["key"]
            _apply(api.machine, row | {"op": Op.SET_TD, "quantity": 0})
            await look(looking)
            gone = (await reader.hear("delta"))["lines"][0]
            assert (gone["key"], gone["data"]) == (found["key"], None)


async def test_a_token_for_some_clients_never_sees_another(api: Api) -> None:
    await api.locate(quantity=10)
    async with _opened(api, _token(api, frozenset({"FUND2"}))) as reader:
        begun = await reader.snapshot("locates")
        assert not begun["lines"]
        await api.locate(quantity=20)
        mine = await api.locate(quantity=30, client="FUND2")
        assert [line["data"] for line in (await reader.hear("delta"))["lines"]] == [mine]
        await reader.say(topic="locates", after=0)
        lines: list[Any] = []
        while not lines:
            lines += (await reader.hear("delta"))["lines"]
        assert [line["key"] for line in lines] == [mine["id"]]
        for asked in (
            {"topic": "locates", "clients": ["FUND1"]},
            {"topic": "breaks"},
            {"topic": "availability", "securities": ["S1"]},
            {"topic": "alerts"},
            {"topic": "limits", "aggregation_units": ["AU1"], "securities": ["S1"]},
        ):
            await reader.say(**asked)
            assert "the token is" in (await reader.hear("error"))["detail"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"topic": "weather"}, "weather"),
        ({"topic": "limits"}, "securities"),
        ({"topic": "availability", "securities": ["NOBODY"]}, "no security NOBODY"),
        ({"topic": "availability", "clients": ["FUND1"]}, "nobody's"),
        ({"topic": "locates", "after": -1}, "after"),
        ({"topic": "locates", "surprise": 1}, "surprise"),
        ({"op": "shout"}, "shout"),
    ],
)
async def test_what_cannot_be_followed_is_said_and_ends_nothing(api: Api, asked: dict[str, Any], why: str) -> None:
    async with _opened(api) as reader:
        await reader.snapshot("locates")
        await reader.say(**asked)
        assert why in (await reader.hear("error"))["detail"]
        await api.locate()
        await reader.hear("delta")
        await reader.say("unsubscribe", topic="locates")
        await reader.hear("unsubscribed")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "nonsense"}, 403),
    ],
)
async def test_nobody_else_gets_in(api: Api, headers: dict[str, str], status: int) -> None:
    with pytest.raises(HTTPClientError) as refused:
        async with _opened(api, **headers):
            pass
    assert refused.value.code == status
    assert refused.value.response is not None
    assert msgspec.json.decode(refused.value.response.body)["status"] == status


async def test_a_browser_brings_its_token_as_a_subprotocol(api: Api) -> None:
    address = api.base.replace("http", "ws") + "/api/v1/stream"
    socket = await websocket_connect(address, subprotocols=["ims.v1", f"bearer.{api.token}"])
    assert socket.selected_subprotocol == "ims.v1"
    await _Reader(socket).hear("heartbeat")
    socket.close()


async def test_who_does_not_read_is_cut_off_and_keeps_nobody_waiting(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_session, "SLOW_S", 0.05)
    lines = {"security": "S2", "client": "C" * 60, "quantity": 1, "comment": "x" * 400}
    async with _opened(api) as lazy, _opened(api) as keen:
        await lazy.snapshot("locates")
        await keen.snapshot("locates")
        with structlog.testing.capture_logs() as logs:
            while not any(entry["event"] == "a reader of the stream is cut off" for entry in logs):
                heard = 0
                assert (await api.post([lines] * 500)).code == 200
                while heard < 500:
                    heard += len((await keen.hear("delta"))["lines"])
        async with asyncio.timeout(120):
            while await lazy.socket.read_message() is not None:
                pass
        assert "too slow" in (lazy.socket.close_reason or "")
        await until(lambda: api.service.telling.streams.readers == 1, "it is gone")


async def test_a_heartbeat_says_how_far_each_topic_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_session, "HEARTBEAT_S", 0.05)
    async with _opened(api) as reader:
        snapshot = await reader.snapshot("locates")
        beat = await reader.hear("heartbeat", lambda message: bool(message["sequences"]))
    assert beat["sequences"] == {"locates": snapshot["sequence"]}
    assert beat["stale"] is False
