"""The security master as people see it, over REST and the command line, in each kind of database."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app import cli, world
from app.identity import Identity, Role, issue_token
from app.master_database import url_of
from app.master_keeper import Keeper
from app.master_store import MasterStore
from engine.model import Op
from engine.ring import Message
from engine.state import Machine
from feeds.master_door import Taken
from feeds.master_records import Security
from feeds.quarantine import Unreadable
from tests.app.api.api_world import NOON_NS, Api, read, serving, set_ready
from tests.app.journal_urls import STORES, journal_url
from tests.engine.machines import events

ISINS = ("US0378331005", "US5949181045")
PATH = "/api/v1/securities"


class _Machine:
    """Messages of the keeper reach the machine at once."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def reference(
        self, messages: Sequence[tuple[Message, NDArray[np.void]]], unreadable: Sequence[Unreadable] = ()
    ) -> None:
        assert not unreadable
        for kind, records in messages:
            if kind == Message.MOVES:
                self._machine.move(records)
            else:
                self._machine.register(kind, records)


@dataclass
class World:
    """The API, a keeper that follows it, and a person's token."""

    api: Api
    keeper: Keeper
    machine: _Machine
    token: str

    async def take(self, *records: Security) -> None:
        answer = await asyncio.to_thread(self.keeper.take, [Taken(record) for record in records])
        await self.machine.reference(answer.messages)

    async def post(self, path: str, body: dict[str, Any], token: str | None = None) -> tuple[int, Any]:
        answer = await self.api.call("POST", PATH + path, body, token=token or self.token)
        return answer.code, read(answer)

    async def get(self, path: str) -> Any:
        answer = await self.api.get(PATH + path)
        assert answer.code == 200, answer.body
        return read(answer)

    async def typed(self, *arguments: str) -> int:
        """`ims securities` in a shell beside it."""
        settings = self.api.settings
        shared = ["--port", str(settings.port), "--data", settings.data, "--token", self.token, "--json"]
        return await asyncio.to_thread(cli.main, ["securities", *arguments, *shared])


def _prepare(made: Machine) -> None:
    set_ready(made)


@pytest.fixture(params=STORES)
async def of(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> AsyncIterator[World]:
    url = None if request.param == "sqlite" else journal_url(request.param, request, tmp_path)
    async with serving(instance, tmp_path, _prepare, database=url) as api:
        keeper = Keeper(MasterStore(url_of(api.settings)), world.markets())
        machine = _Machine(api.machine)
        following = asyncio.create_task(keeper.follow(machine))
        person = Identity("olga", frozenset({Role.OPS}))
        yield World(api, keeper, machine, issue_token(api.settings.secret, person, 600, NOON_NS / 1e9))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_conflict_is_decided_by_a_person_and_everybody_sees_the_value(
    of: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await of.take(Security("A", market="US", isin=ISINS[0], name="Alpha"), Security("A", isin=ISINS[1], source="V"))
    page = await of.get("/exceptions")
    (case,) = page["exceptions"]
    assert (page["open"], case["security"]) == (1, "A")
    assert not (await of.get("/A"))["record"].get("isin")
    machine = await of.post(f"/exceptions/{case['id']}/decide", {"value": ISINS[0]}, of.api.token)
    assert machine[0] == 403
    assert (await of.post(f"/exceptions/{case['id']}/decide", {"value": "US1"}))[0] == 422
    assert await of.typed("decide", case["id"], ISINS[0], "--comment", "from the prospectus") == 0
    assert (await of.post(f"/exceptions/{case['id']}/decide", {"value": ISINS[1]}))[0] == 409
    assert (await of.get("/exceptions?state=open"))["exceptions"] == []
    assert (await of.get(f"/{ISINS[0]}"))["security"] == "A"
    history = await of.get(f"/exceptions/{case['id']}")
    assert [decision["who"] for decision in history["decisions"]] == ["olga"]
    capsys.readouterr()
    assert await of.typed("show", ISINS[0]) == 0
    assert json.loads(capsys.readouterr().out)["security"] == "A"
    assert await of.typed("show", "NOBODY") == 1


async def test_a_merge_and_its_undoing_move_positions_with_an_audit(of: World) -> None:
    await of.take(Security("A", market="US", isin=ISINS[0]), Security("B", market="US", isin=ISINS[1]))
    made = of.api.machine
    array, codes = made.tables.array, made.tables.array["security"]["code"]
    a, b = (int(np.flatnonzero(codes == code)[0]) for code in (b"A", b"B"))
    made.apply(events({"op": Op.SET, "security": a, "quantity": 70}, {"op": Op.SET, "security": b, "quantity": 5}))

    def held() -> tuple[int, int]:
        first, second = (int(array["position"]["td"][made.tables.rows_of(security)].sum()) for security in (a, b))
        return first, second

    assert (await of.post("/A/merge", {"into": "B", "comment": "one company"}))[0] == 200
    assert held() == (0, 75)
    assert (await of.get(f"/{ISINS[0]}"))["security"] == "B"
    assert (await of.post("/A/merge", {"into": "NOBODY"}))[0] == 404
    assert (await of.post("/B/split", {"to": "A", "comment": "two after all"}))[0] == 200
    assert held() == (70, 5)
    history = await of.get("/A/history")
    assert [decision["who"] for decision in history["decisions"]] == ["olga", "olga"]
    assert [row["td"] for moved in history["moved"] for row in moved["rows"]] == [70, 70]
