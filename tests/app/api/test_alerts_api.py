"""Alerts end to end: somebody writes one, the analyst sees it hold, and page, list and webhook tell him, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from app import alerts_store, telling
from app.analyst import alerts as watch
from app.analyst.server import serving as analysing
from app.identity import Identity, Role, issue_token
from app.webhooks_message import origins_of
from tests.app.api.api_world import Api, read, serving
from tests.app.webhook_receiver import Receiver, genuine, receiving
from tests.engine.machines import events
from tests.feeds.desk import until


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def api(instance: str, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(watch, "LOOK_S", 0.05)
    monkeypatch.setattr(telling, "_LISTEN_S", 0.05)
    async with serving(instance, tmp_path) as opened, analysing(opened.settings) as analyst:
        opened.service.telling.webhooks._origins = origins_of(receiver.origin)
        task = asyncio.create_task(analyst.watch.run())
        yield opened
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def token(api: Api, user: str = "ann", role: Role = Role.TRADER, clients: frozenset[str] | None = None) -> str:
    return issue_token(api.settings.secret, Identity(user, frozenset({role}), clients), 3_600, 1_728_054_000)


async def _turn() -> None:
    """Let the watch look."""
    await asyncio.sleep(0.02)


async def ask(api: Api, method: str, path: str = "", body: Any = None, user: str = "ann") -> HTTPResponse:
    return await api.call(method, f"/api/v1/alerts{path}", body, token=token(api, user))


async def told(api: Api, user: str = "ann", state: str = "open") -> list[tuple[str, str]]:
    found = read(await ask(api, "GET", f"/events?state={state}", user=user))["events"]
    return [(each["security"], each["state"]) for each in found]


async def until_told(api: Api, wanted: list[tuple[str, str]]) -> None:
    """Returns once the open events are these."""
    async with asyncio.timeout(120):
        while await told(api) != wanted:
            await _turn()


def holds(api: Api, security: int, shares: int) -> None:
    seq = int(api.machine.tables.array["newest"].max()) + 1
    api.machine.apply(events({"seq": seq, "security": security, "quantity": shares}))


async def test_one_who_writes_an_alert_is_told_once_and_after_he_has_seen_it_only_when_it_was_over(
    api: Api, receiver: Receiver
) -> None:
    hook = read(
        await api.call(
            "POST",
            "/api/v1/webhooks",
            {"url": f"{receiver.origin}/hook", "kinds": ["alerts"]},
            token=token(api, "root", Role.ADMIN),
        )
    )
    address = f"ws://127.0.0.1:{api.settings.api_port}/api/v1/stream"
    socket = await websocket_connect(HTTPRequest(address, headers={"Authorization": f"Bearer {token(api)}"}))
    await socket.write_message(msgspec.json.encode({"op": "subscribe", "topic": "alerts"}))
    asked = {"name": "Thin", "condition": "firm_long < 500 and HTB", "severity": "high", "hold_s": 0, "webhook": True}
    made = await ask(api, "POST", body=asked)
    assert made.code == 201
    assert read(await ask(api, "GET"))["alerts"] == [read(made)]
    quiet = await ask(api, "POST", body={"condition": "firm_long < 500", "securities": ["S2"], "hold_s": 0})
    assert quiet.code == 201

    holds(api, 1, 400)
    holds(api, 4, 300)
    await until_told(api, [("S1", "raised")])
    event = read(await ask(api, "GET", "/events"))["events"][0]
    assert event["values"] == {"firm_long": 400}
    assert (event["name"], event["severity"], event["title"]) == ("Thin", "high", "First & Co")
    async with asyncio.timeout(120):
        await until(lambda: bool(receiver.events), "the webhook is told")
        lines: list[Any] = []
        while not lines:
            message = msgspec.json.decode(await socket.read_message() or b"{}")
            lines = message.get("lines", []) if message["type"] == "delta" else []
    assert [each["key"] for each in receiver.events] == [event["id"]]
    assert genuine(hook["secret"], *receiver.messages[0])
    assert (lines[0]["key"], lines[0]["data"]) == (event["id"], event)
    assert await told(api, "bob") == []
    assert read(await ask(api, "GET", user="bob"))["alerts"] == []

    seen = await ask(api, "POST", f"/events/{event['id']}/acknowledge")
    assert read(seen) == {"acknowledged": [event["id"]]}
    assert (await ask(api, "POST", f"/events/{event['id']}/acknowledge")).code == 404
    holds(api, 1, 300)
    holds(api, 2, 100)
    await until_told(api, [("S2", "raised"), ("S1", "acknowledged")])
    counts = {each["name"]: (each["raised"], each["acknowledged"]) for each in read(await ask(api, "GET"))["alerts"]}
    assert counts == {"Thin": (0, 1), "firm_long < 500": (1, 0)}
    holds(api, 1, 900)
    await until_told(api, [("S2", "raised")])
    holds(api, 1, 200)
    await until_told(api, [("S1", "raised"), ("S2", "raised")])
    assert read(await ask(api, "POST", "/events/acknowledge", {"all": True}))["acknowledged"] == [
        "E0000000002",
        "E0000000003",
    ]
    assert (await ask(api, "POST", f"/{read(quiet)['id']}/remove")).code == 200
    await until_told(api, [("S1", "acknowledged")])
    assert await told(api, state="cleared") == [("S2", "cleared"), ("S1", "cleared")]
    assert all(each["data"]["name"] == "Thin" for each in receiver.events), "the others are not for webhooks"
    socket.close()


async def test_what_is_changed_is_watched_as_it_is_now_and_what_is_switched_off_is_over(api: Api) -> None:
    made = read(await ask(api, "POST", body={"condition": "firm_long > 500", "hold_s": 0, "securities": ["S1", "S3"]}))
    await until_told(api, [("S3", "raised"), ("S1", "raised")])
    now = {"condition": "firm_long > 500", "hold_s": 0, "securities": ["US0378331005"], "revision": 1}
    changed = await ask(api, "POST", f"/{made['id']}/change", now)
    assert (changed.code, read(changed)["securities"]) == (200, ["S1"])
    await until_told(api, [("S1", "raised")])
    assert (await ask(api, "POST", f"/{made['id']}/change", now)).code == 409
    off = await ask(api, "POST", f"/{made['id']}/change", now | {"revision": 2, "enabled": False})
    assert read(off)["raised"] == 0
    await until_told(api, [])
    over = {each["security"]: each["remark"] for each in read(await ask(api, "GET", "/events?state=cleared"))["events"]}
    assert over == {"S1": "switched off", "S3": "the alert was changed"}
    await ask(api, "POST", f"/{made['id']}/change", now | {"revision": 3})
    await until_told(api, [("S1", "raised")])


async def test_another_condition_begins_anew_and_what_was_told_of_the_old_one_is_over(api: Api) -> None:
    made = read(await ask(api, "POST", body={"condition": "firm_long > 500", "hold_s": 0, "securities": ["S1"]}))
    await until_told(api, [("S1", "raised")])
    await ask(api, "POST", "/events/acknowledge", {"all": True})
    other = {"condition": "firm_long < 5,000", "severity": "critical", "securities": ["S1"], "revision": 1}
    assert (await ask(api, "POST", f"/{made['id']}/change", other)).code == 200
    await until_told(api, [("S1", "raised")])
    (event,) = read(await ask(api, "GET", "/events"))["events"]
    assert (event["condition"], event["severity"]) == ("firm_long < 5,000", "critical")
    (over,) = read(await ask(api, "GET", "/events?state=cleared"))["events"]
    assert (over["condition"], over["remark"]) == ("firm_long > 500", "the alert was changed")


async def test_an_alert_of_texts_alone_is_told_and_keeps_nobody_from_his_own(api: Api) -> None:
    tried = read(await ask(api, "POST", "/test", {"condition": "HTB"}))
    assert tried["matching"] == len(tried["securities"]) > 0
    assert tried["securities"][0]["values"] == {}
    await ask(api, "POST", body={"condition": "HTB and US", "securities": ["S1"]})
    await until_told(api, [("S1", "raised")])
    await ask(api, "POST", body={"condition": "firm_long > 500", "securities": ["S3"]})
    await until_told(api, [("S3", "raised"), ("S1", "raised")])


async def test_an_alert_that_cannot_be_told_keeps_nobody_else_from_his_own(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = alerts_store.begin

    def full(connection: Any, new: Any) -> Any:
        if any(each.name == "bad" for each in new):
            raise ValueError("no")
        return begin(connection, new)

    monkeypatch.setattr(alerts_store, "begin", full)
    await ask(api, "POST", body={"name": "bad", "condition": "firm_long > 500", "securities": ["S1"]})
    await ask(api, "POST", body={"condition": "firm_long > 500", "securities": ["S3"]})
    await until_told(api, [("S3", "raised")])
    monkeypatch.setattr(alerts_store, "begin", begin)
    await until_told(api, [("S1", "raised"), ("S3", "raised")])


async def test_a_condition_is_tried_before_it_is_kept(api: Api) -> None:
    answer = read(await ask(api, "POST", "/test", {"condition": "firm_long between 1,000 and 2k and US"}))
    assert (answer["matching"], answer["looked_at"]) == (3, 5)
    assert answer["securities"][0] | {"values": None} == {
        "security": "S1",
        "ticker": "T1",
        "title": "First & Co",
        "market": "US",
        "values": None,
    }
    assert answer["securities"][0]["values"] == {"firm_long": 1_000}
    kept = read(await ask(api, "POST", "/test", {"condition": "firm_long > 0", "securities": ["S2", "S3"]}))
    assert (kept["matching"], kept["looked_at"]) == (2, 2)
    words = read(await ask(api, "GET", "/words"))
    assert "firm_long" in {each["name"] for each in words["numbers"]}
    assert "HTB" in words["attributes"]["temperature"]
    for example in words["examples"]:
        assert (await ask(api, "POST", "/test", {"condition": example})).code == 200


async def test_what_cannot_be_is_a_problem_with_its_place(api: Api) -> None:
    for body, at, line, column in (
        ({"condition": "firm_long < 5\nand HTP"}, "/condition", 2, 5),
        ({"condition": "firm_long < 5", "securities": ["S1", "nobody"]}, "/securities/1", None, None),
        ({"condition": "firm_long < 5", "surprise": 1}, "/surprise", None, None),
        ({"condition": ""}, "/condition", None, None),
        ({"condition": "firm_long < 5", "severity": "loud"}, "/severity", None, None),
    ):
        answer = await ask(api, "POST", body=body)
        error = read(answer)["errors"][0]
        assert (answer.code, error["pointer"], error.get("line"), error.get("column")) == (422, at, line, column)
    assert (await ask(api, "POST", "/test", {"condition": "nothing < 5"})).code == 422
    assert (await ask(api, "POST", "/events/acknowledge", {})).code == 422
    assert (await ask(api, "POST", "/events/acknowledge", {"events": ["L1"]})).code == 422
    assert (await ask(api, "GET", "/events?state=loud")).code == 422
    assert (await ask(api, "GET", "/A00000000")).code == 404
    assert (await ask(api, "POST", "/A00000000/remove")).code == 404
    kept = token(api, clients=frozenset({"FUND1"}))
    assert (await api.call("GET", "/api/v1/alerts", token=kept)).code == 403
    hook = {"url": "http://127.0.0.1:1/hook", "kinds": ["alerts"], "clients": ["FUND1"]}
    assert (await api.call("POST", "/api/v1/webhooks", hook, token=token(api, "root", Role.ADMIN))).code == 422


async def test_nobody_has_more_alerts_than_are_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts_store, "MOST_OF_ONE", 1)
    body = {"condition": "firm_long < 5"}
    assert [(await ask(api, "POST", body=body)).code for _ in range(2)] == [201, 409]
    assert (await ask(api, "POST", body=body, user="bob")).code == 201
