"""The analyst answers whoever may ask, says what is wrong, and keeps answering while it works."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from app import world
from app.analyst import impact as impact_handler
from app.analyst.client import Analyst as Client
from app.analyst.client import AnalystError
from app.analyst.jobs import MOST
from app.analyst.server import Analyst, serving
from app.bench.services import free_port
from app.identity import Identity, Role, issue_token
from app.settings import Settings
from engine.model import Decided
from engine.rule_model import Document, RulesError
from engine.state import Machine
from tests.engine.machines import events, machine


@pytest.fixture
def settings(instance: str, tmp_path: Path) -> Settings:
    return Settings(instance=instance, data=str(tmp_path), port=free_port())


@pytest.fixture
async def analyst(settings: Settings) -> AsyncIterator[Analyst]:
    async with serving(settings) as started:
        yield started


@pytest.fixture
def engine(instance: str) -> Iterator[Machine]:
    with machine(instance) as made:
        made.apply(events({"quantity": 1_000}, {"security": 1, "quantity": 70}))
        made.set_decided(2, Decided.SHORT_LOCATES, 600)
        yield made


def documents(old: str = "", new: str = "") -> list[Document]:
    """The shipped rules; in those of all markets a text is replaced."""
    return [
        dataclasses.replace(each, text=each.text.replace(old, new, 1)) if each.name == "default" else each
        for each in world.shipped_documents()
    ]


HALF = documents(
    "calculation: for_loan, input: firm_long, weight: 1", "calculation: for_loan, input: firm_long, weight: 0.5"
)


async def ask(analyst: Analyst, body: bytes, token: str | None = None, kind: str = "application/json") -> HTTPResponse:
    settings = analyst.context.settings
    known = issue_token(settings.secret, Identity("t", frozenset({Role.TRADER})), 60, time.time())
    headers = {"Content-Type": kind, "Authorization": f"Bearer {known if token is None else token}"}
    request = HTTPRequest(f"http://127.0.0.1:{analyst.port}/impact", "POST", headers, body, request_timeout=60)
    return await AsyncHTTPClient().fetch(request, raise_error=False)


def body(given: list[Document]) -> bytes:
    return json.dumps({"documents": [{"name": d.name, "version": d.version, "text": d.text} for d in given]}).encode()


def said(response: HTTPResponse) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(response.body)
    return decoded


async def test_it_says_what_would_change_and_what_would_be_under_water(analyst: Analyst, engine: Machine) -> None:
    response = await ask(analyst, body(HALF))
    assert response.code == 200, response.body
    answer = said(response)
    assert answer["securities_changed"] == 2
    assert [(each["security"], each["market"]) for each in answer["securities"]] == [("S2", "US"), ("S1", "TW")]
    assert answer["securities"][0]["changes"]["for_loan"] == {"day": 0, "before": 1_000, "after": 500}
    assert [answer["totals"]["for_loan"][side] for side in ("before", "after")] == [1_070, 535]
    assert answer["under_water"][0] == {
        "security": "S2",
        "name": "",
        "market": "US",
        "side": "short",
        "remaining_before": 400,
        "remaining_after": -100,
        "located": 600,
    }
    assert answer["rows_read"] == 2
    assert answer["took_ms"] > 0
    assert {"classes", "as_of_ns"} <= answer.keys()


async def test_the_api_token_will_do_and_no_other(analyst: Analyst, engine: Machine) -> None:
    settings = analyst.context.settings
    assert (await ask(analyst, body(HALF), settings.api_token)).code == 200
    late = issue_token(settings.secret, Identity("t"), 60, time.time() - 61)
    for token in ("", "x", late, issue_token("another secret", Identity("t"), 60, time.time())):
        response = await ask(analyst, body(HALF), token)
        assert response.code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="ims"'
        assert said(response)["status"] == 401


async def test_every_problem_of_the_rules_is_said_with_its_place(analyst: Analyst, engine: Machine) -> None:
    wrong = documents("measure: long", "measure: longest")
    wrong = [dataclasses.replace(d, text=d.text.replace("weight: 0", "weight: much")) for d in wrong]
    response = await ask(analyst, body(wrong))
    assert response.code == 422
    problems = said(response)["problems"]
    assert {problem["document"] for problem in problems} >= {"default", "tw"}
    assert all(problem["line"] > 0 and problem["message"] for problem in problems)
    assert engine.tables.catalogue.version == 1


@pytest.mark.parametrize(
    ("given", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"documents": 1}', "application/json", 400),
        (b'{"documents": [], "more": 1}', "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
async def test_what_is_no_request_is_refused(analyst: Analyst, given: bytes, kind: str, status: int) -> None:
    response = await ask(analyst, given, kind=kind)
    assert response.code == status
    assert said(response)["detail"]


async def test_without_an_engine_it_says_so_and_is_there_when_one_comes(analyst: Analyst, instance: str) -> None:
    response = await ask(analyst, body(HALF))
    assert response.code == 503
    assert response.headers["Retry-After"]
    assert said(response)["detail"] == "no engine is running"
    with machine(instance):
        assert (await ask(analyst, body(HALF))).code == 200
    assert (await ask(analyst, body(HALF))).code == 503
    with machine(instance):
        assert (await ask(analyst, body(HALF))).code == 200


async def test_an_engine_that_goes_meanwhile_is_said(
    analyst: Analyst, engine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, original = engine.tables.segment.path, impact_handler._compared

    def compared(*arguments: Any) -> Any:
        path.rename(path.with_name(f"{path.name}.gone"))
        try:
            return original(*arguments)
        finally:
            path.with_name(f"{path.name}.gone").rename(path)

    monkeypatch.setattr(impact_handler, "_compared", compared)
    response = await ask(analyst, body(HALF))
    assert response.code == 503
    assert said(response)["detail"] == "the engine has ended meanwhile"


async def test_while_it_works_it_answers_and_sends_away_who_would_wait_too_long(
    analyst: Analyst, engine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, original = Event(), impact_handler._compared

    def compared(*arguments: Any) -> Any:
        assert release.wait(60)
        return original(*arguments)

    monkeypatch.setattr(impact_handler, "_compared", compared)
    waiting = [asyncio.create_task(ask(analyst, body(HALF))) for _ in range(MOST)]
    while analyst.context.jobs.asked < MOST:  # noqa: ASYNC110  the server tells nobody
        await asyncio.sleep(0)
    refused = await ask(analyst, body(HALF))
    live = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{analyst.port}/health/live")
    release.set()
    assert (refused.code, live.code) == (429, 200)
    assert refused.headers["Retry-After"]
    assert [response.code for response in await asyncio.gather(*waiting)] == [200] * MOST
    assert analyst.context.jobs.asked == 0


async def test_ready_tells_whether_there_is_an_engine(analyst: Analyst, instance: str) -> None:
    address = f"http://127.0.0.1:{analyst.port}/health/ready"
    assert (await AsyncHTTPClient().fetch(address, raise_error=False)).code == 503
    with machine(instance):
        assert (await AsyncHTTPClient().fetch(address)).code == 200


async def test_the_engine_s_client_gets_impacts_problems_and_reasons(settings: Settings, instance: str) -> None:
    client = Client(settings)
    with pytest.raises(AnalystError, match="cannot be reached"):
        await client.impact(HALF)
    async with serving(settings):
        with pytest.raises(AnalystError, match="no engine is running"):
            await client.impact(HALF)
        with machine(instance) as made:
            made.apply(events({"quantity": 1_000}))
            assert (await client.impact(HALF))["securities_changed"] == 1
            with pytest.raises(RulesError, match="default:"):
                await client.impact(documents("measure: long", "measure: longest"))
    client.close()
