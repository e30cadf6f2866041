"""Limits over time, over REST: what is recorded of whom, what is told of it, and to whom it is not."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from app.analyst.server import serving as analysing
from app.history_limits import LimitRecorder, watched
from app.history_place import limits_of
from app.identity import Identity, Role, issue_token
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from engine.tables import Word
from tests.app.api.api_world import NOON_NS, Api, fill, read, serving
from tests.engine.machines import events

MINUTE_NS = 60_000_000_000


def _prepare(made: Machine) -> None:
    """Book 1: FUND1's in AU1, book 2: FUND2's in AU1; both have shares of S1 that they may sell."""
    fill(made)
    books = np.zeros(2, BOOK)
    for at, client in enumerate((b"FUND1", b"FUND2")):
        books[at] = (made.tables.array["book"][at + 1]["code"], client, b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)
    _hold(made, 1, 3_000)
    _hold(made, 2, 700)
    made.apply(events({"seq": _next(made), "security": 1, "book": 1, "quantity": 9_000}))


def _next(made: Machine) -> int:
    return int(made.tables.array["newest"].max()) + 1


def _hold(made: Machine, book: int, quantity: int) -> None:
    row = {"security": 1, "book": book, "kind": Kind.CLIENT_FREE, "op": Op.SET, "quantity": quantity}
    made.apply(events(row | {"seq": _next(made)}))


@dataclass
class World:
    """The API, and a recorder that looks when a test says so."""

    api: Api
    recorder: LimitRecorder
    now_ns: int

    async def sample(self) -> None:
        """A round of the watch, and a look at what it has found."""
        await self.api.service.breaks.overdrawn.round()
        await asyncio.to_thread(self.recorder.sample)
        self.now_ns += MINUTE_NS
        for word in (Word.HEARTBEAT_NS, Word.FEED_NS):
            self.api.machine.tables.state[word] = self.now_ns

    async def told(self, whose: str, token: str | None = None, **more: Any) -> tuple[int, Any]:
        between = {"from": _moment(NOON_NS - 1_000), "to": _moment(self.now_ns + 1_000_000)} | more
        answer = await self.api.call("GET", f"/api/v1/history/limits/{whose}?{urlencode(between)}", token=token)
        return answer.code, read(answer)

    async def line(self, whose: str, name: str, **more: Any) -> list[int]:
        code, told = await self.told(whose, calculation=name, **more)
        assert code == 200, told
        return [point["value"] for point in told["points"]]

    def token(self, *clients: str) -> str:
        who = Identity("carla", frozenset({Role.TRADER}), frozenset(clients) or None)
        return issue_token(self.api.settings.secret, who, 600, NOON_NS / 1e9)


def _moment(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).isoformat()


@pytest.fixture
async def world(instance: str, tmp_path: Path) -> AsyncIterator[World]:
    async with serving(instance, tmp_path, _prepare) as api, analysing(api.settings):
        made = World(
            api,
            LimitRecorder(partial(watched, api.settings), limits_of(api.settings), 60, lambda: made.now_ns),
            NOON_NS,
        )
        yield made


async def _sell(api: Api, order: str, quantity: int, client: str = "FUND1", book: str = "B1") -> None:
    asked = {"order": order, "security": "S1", "client": client, "book": book, "side": "long", "quantity": quantity}
    answer = await api.call("POST", "/api/v1/orders", asked)
    assert (answer.code, read(answer)["state"]) == (200, "approved"), answer.body


async def test_limits_of_who_holds_something_are_told_over_time_both_sides_and_every_day(world: World) -> None:
    await _sell(world.api, "O1", 1_000)
    await world.sample()
    await world.sample()
    await _sell(world.api, "O2", 500)
    await world.sample()
    _hold(world.api.machine, 1, 4_000)  # after the last look
    _, told = await world.told("FUND1/S1")
    assert (told["scope"], told["owner"], told["security"], told["samples"]) == ("client", "FUND1", "S1", 3)
    day = world.api.service.telling.limits.securities.settle_day(1)
    assert [(line["calculation"], line["day"]) for line in told["lines"]] == [
        ("client_long", day),
        ("client_short", day),
    ]
    assert {choice["calculation"] for choice in told["choices"]} == {"client_long", "client_short"}
    assert await world.line("FUND1/S1", "client_long") == [2_000, 1_500, 2_500], "the last one is of now"
    assert await world.line("FUND1/S1", "client_long", day="4") == [2_000, 1_500, 2_500]
    assert await world.line("au/AU1/S1", "au_long") == [9_000 - 1_000, 9_000 - 1_500, 9_000 - 1_500]


async def test_a_limit_is_kept_from_when_somebody_asks_until_a_day_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.sample()
    code, told = await world.told("FUND2/S1", calculation="client_long")
    assert code == 200
    assert told["lines"][0]["covered"] == [], "nobody was interested until now"
    assert [point["value"] for point in told["points"]] == [700]
    await world.sample()
    _hold(world.api.machine, 2, 600)
    await world.sample()
    assert await world.line("FUND2/S1", "client_long") == [700, 600, 600]
    asked = world.api.service.telling.limits.asked
    monkeypatch.setattr(asked, "_clock", lambda: NOON_NS + 25 * 60 * MINUTE_NS)
    await world.sample()
    await world.sample()
    monkeypatch.undo()
    _, told = await world.told("FUND2/S1", calculation="client_long")
    (span,) = told["lines"][0]["covered"]
    minutes = (dt.datetime.fromisoformat(span["until"]) - dt.datetime.fromisoformat(span["since"])).total_seconds() / 60
    assert minutes == 2, "of a time when nobody looked nothing is said"


@pytest.mark.parametrize(
    "path", ["limits/FUND2/S1", "limits/au/AU1/S1", "limits?client=FUND2&security=S1", "limits?au=AU1"]
)
async def test_whoever_asks_for_a_limit_has_it_recorded(world: World, path: str) -> None:
    assert (await world.api.get(f"/api/v1/{path}")).code == 200
    await world.sample()
    told = read(await world.api.get("/api/v1/limits/watched"))
    (scope, owner) = ("au", "AU1") if "au" in path else ("client", "FUND2")
    assert (scope, owner, "S1") in {(each["scope"], each["owner"], each["security"]) for each in told["limits"]}
    assert told["ready"]


async def test_a_token_for_some_clients_never_sees_another_clients_limit(world: World) -> None:
    await _sell(world.api, "O1", 100)
    await _sell(world.api, "O2", 100, "FUND2", "B2")
    await world.sample()
    mine = world.token("FUND1")
    code, told = await world.told("FUND1/S1", mine)
    assert (code, {point["value"] for point in told["points"]}) == (200, {2_900, 0})
    others, nobodys = await world.told("FUND2/S1", mine), await world.told("NOBODY/S1", mine)
    assert (others[0], nobodys[0]) == (404, 404)
    assert others[1]["detail"].replace("FUND2", "X") == nobodys[1]["detail"].replace("NOBODY", "X")
    for path in ("history/limits/au/AU1/S1", "limits/watched", "history/S1", "history/S1/marks"):
        assert (await world.api.call("GET", f"/api/v1/{path}", token=mine)).code == 403, path
    # a name that looks like another's way: there is one client, and one security, between the strokes
    for whose in ("FUND1%2F..%2FFUND2/S1", "au%2FAU1/S1", "FUND2%2FS1/S1"):
        assert (await world.told(whose, mine))[0] == 404, whose
    assert (await world.told("FUND2/S1", world.token()))[0] == 200


@pytest.mark.parametrize(
    ("whose", "more", "status"),
    [
        ("NOBODY/S1", {}, 404),
        ("FUND1/S99", {}, 404),
        ("au/NOWHERE/S1", {}, 404),
        ("FUND1/S1", {"calculation": "au_long"}, 404),
        ("FUND1/S1", {"day": "9"}, 422),
        ("FUND1/S1", {"owner": "FUND2"}, 422),
    ],
)
async def test_what_cannot_be_asked_of_limits_is_said(
    world: World, whose: str, more: dict[str, str], status: int
) -> None:
    assert (await world.told(whose, **more))[0] == status


async def test_a_machine_that_does_not_know_everything_yet_tells_no_limit(world: World) -> None:
    await _sell(world.api, "O1", 100)
    await world.sample()
    world.api.machine.tables.state[Word.READY] = 0
    await world.sample()
    assert await asyncio.to_thread(world.recorder.sample) is None
    assert read(await world.api.get("/api/v1/limits/watched"))["limits"] == []
    world.api.machine.tables.state[Word.READY] = 1
    assert read(await world.api.get("/api/v1/limits/watched"))["limits"] == [], (
        "not what was before, but what will be seen"
    )
