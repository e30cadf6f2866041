"""Webhooks over REST: an admin registers them, others may look, and the decisions of the service arrive."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from app.cli import main
from app.identity import Identity, Role, issue_token
from app.webhooks_message import origins_of
from tests.app.api.api_world import Api, read, serving
from tests.app.webhook_receiver import Receiver, genuine, receiving
from tests.feeds.desk import until


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def api(instance: str, tmp_path: Path, receiver: Receiver) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as opened:
        opened.service.telling.webhooks._origins = origins_of(receiver.origin)
        yield opened


async def _ask(api: Api, role: Role, method: str, path: str = "", body: Any = None) -> HTTPResponse:
    token = issue_token(api.settings.secret, Identity("ann", frozenset({role})), 3_600, 1_728_054_000)
    return await api.call(method, f"/api/v1/webhooks{path}", body, token=token)


async def test_an_admin_registers_one_and_decisions_arrive_signed(api: Api, receiver: Receiver) -> None:
    made = await _ask(api, Role.ADMIN, "POST", body={"url": f"{receiver.origin}/hook", "comment": "the OMS"})
    assert made.code == 201
    hook = read(made)
    located = await api.locate(quantity=10)
    await until(lambda: bool(receiver.events), "the decision has come")
    assert receiver.events[0]["data"] == located
    assert genuine(hook["secret"], *receiver.messages[0])
    await until(lambda: bool(api.service.telling.outbox._unwritten), "it is noted")
    now = read(await _ask(api, Role.COMPLIANCE, "GET", f"/{hook['id']}"))
    assert now == {name: value for name, value in hook.items() if name != "secret"} | {"sequences": {"locates": 1}}
    assert read(await _ask(api, Role.OPS, "GET"))["webhooks"] == [now]
    again = await _ask(api, Role.ADMIN, "POST", f"/{hook['id']}/replay", {"kind": "locates", "after": 0})
    assert again.code == 200
    await until(lambda: receiver.sequences() == [1, 1], "it has come again")
    assert (await _ask(api, Role.ADMIN, "POST", f"/{hook['id']}/remove", {})).code == 200
    assert read(await _ask(api, Role.ADMIN, "GET"))["webhooks"] == []


async def test_the_command_line_adds_shows_replays_and_removes(
    api: Api, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    token = issue_token(api.settings.secret, Identity("ann", frozenset({Role.ADMIN})), 3_600, 1_728_054_000)
    of = ("--token", token, "--port", str(api.settings.port), "--data", api.settings.data)

    async def ims(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["webhooks", *words, *of])
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = await ims("add", f"{receiver.origin}/hook", "--client", "FUND1")
    assert (code, "secret: whsec_" in told) == (0, True)
    name = told.split()[0]
    await api.locate(quantity=10)
    await until(lambda: bool(receiver.events), "the decision has come")
    assert await ims("replay", name, "0") == (0, f"{name}  active {receiver.origin}/hook  locates 0  [FUND1]\n")
    await until(lambda: receiver.sequences() == [1, 1], "it has come again")
    assert "[FUND1]" in (await ims("list"))[1]
    code, told = await ims("add", "https://elsewhere.example/")
    assert (code, "webhook_origins" in told) == (1, True)
    assert (await ims("remove", name))[0] == 0
    assert await ims("list") == (0, "")


async def test_what_cannot_be_is_a_problem_with_a_pointer(api: Api, receiver: Receiver) -> None:
    address = f"{receiver.origin}/hook"
    for body, status, at in (
        ({"url": "https://elsewhere.example/"}, 422, "/url"),
        ({"url": address, "kinds": ["prices"]}, 422, "/kinds"),
        ({"url": address, "kinds": []}, 422, "/kinds"),
        ({"url": address, "surprise": 1}, 422, "/surprise"),
        ({}, 422, "/url"),
    ):
        answer = await _ask(api, Role.ADMIN, "POST", body=body)
        assert (answer.code, read(answer)["errors"][0]["pointer"]) == (status, at)
    hook = read(await _ask(api, Role.ADMIN, "POST", body={"url": address}))["id"]
    replay = {"kind": "orders", "after": 0}
    assert (await _ask(api, Role.ADMIN, "POST", f"/{hook}/replay", replay)).code == 409
    assert (await _ask(api, Role.ADMIN, "POST", "/Wnone/replay", replay)).code == 404
    assert (await _ask(api, Role.ADMIN, "GET", "/Wnone")).code == 404


@pytest.mark.parametrize("role", [Role.TRADER, Role.OPS, Role.COMPLIANCE])
async def test_nobody_but_an_admin_changes_them(api: Api, receiver: Receiver, role: Role) -> None:
    for path, body in (("", {"url": f"{receiver.origin}/hook"}), ("/W1/replay", {"kind": "locates", "after": 0})):
        assert (await _ask(api, role, "POST", path, body)).code == 403
    assert (await _ask(api, role, "GET")).code == (403 if role == Role.TRADER else 200)
