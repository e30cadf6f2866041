"""The engine is killed while rules are approved: what the store says is what the next engine holds to, and nothing is lost."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from app.bench.http_client import Connection, GoneError
from app.bench.services import free_port
from app.identity import Identity, Role, issue_token
from app.rules_life import State
from app.rules_store import RuleStore
from app.settings import Settings
from tests.app.api.engine_process import CAPACITY, EngineProcess
from tests.app.journal_urls import STORES, journal_url

NOTES = 6


class _Analyst(RequestHandler):
    def post(self) -> None:
        self.finish(b'{"securities_changed":0,"totals":{},"under_water":[]}')


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> Settings:
    database = journal_url(request.param, request, tmp_path)
    return Settings(instance=instance, port=free_port(), data=str(tmp_path), capacity=CAPACITY, database=database)


class Person:
    """Somebody with a token, who tries again until the engine answers."""

    def __init__(self, settings: Settings, name: str, role: Role) -> None:
        self.settings = settings
        self.token = issue_token(settings.secret, Identity(name, frozenset({role})), 600, time.time())

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        while True:
            with contextlib.suppress(OSError, GoneError):
                connection = await Connection.open("127.0.0.1", self.settings.api_port, self.token)
                try:
                    status, told = await connection.request(
                        method, f"/api/v1/rules{path}", msgspec.json.encode(body or {})
                    )
                finally:
                    connection.close()
                return status, told
            await asyncio.sleep(0.02)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        status, told = await self.ask(method, path, body)
        assert status in {200, 201}, told
        return msgspec.json.decode(told)


async def test_what_is_in_force_is_what_is_written_down_whenever_the_engine_is_killed(settings: Settings) -> None:
    anna, bob = Person(settings, "anna", Role.TRADER), Person(settings, "bob", Role.ADMIN)
    analyst = HTTPServer(Application([("/impact", _Analyst)]))
    analyst.listen(settings.analyst_port, "127.0.0.1")
    with EngineProcess(settings, rate=1_000, securities=50, shares=100) as engine:
        await asyncio.to_thread(engine.wait_ready)
        text = (await anna.done("GET", "/tw/versions/1"))["text"]
        numbers = []
        for note in range(NOTES):
            made = await anna.done("POST", "/tw/drafts", {"text": f"{text}# {note}\n"})
            numbers.append(made["version"])
            await anna.done("POST", f"/tw/versions/{made['version']}/test")
            await anna.done("POST", f"/tw/versions/{made['version']}/submit")
        approving = asyncio.create_task(approve_all(bob, numbers))
        while not await approved(anna):
            pass  # asking is waiting
        engine.kill()
        engine.start()
        await asyncio.to_thread(engine.wait_ready)
        await approving
        export = await anna.ask("GET", "/export")
        assert engine.terminate() == 0
    analyst.stop()
    check(settings, numbers, text, export[1])


async def approve_all(bob: Person, numbers: list[int]) -> None:
    """One after the other; one that was approved although its answer was lost is a conflict."""
    for number in numbers:
        status, told = await bob.ask("POST", f"/tw/versions/{number}/approve")
        assert status in {200, 409}, told


async def approved(anna: Person) -> bool:
    return any(v["approved_by"] for v in (await anna.done("GET", "/tw/versions"))["versions"])


def check(settings: Settings, numbers: list[int], text: str, export: bytes) -> None:
    """Against the store, which nobody uses any more."""
    store = RuleStore(settings.database_url)
    lives = store.documents()["tw"].lives
    assert {number: life.state for number, life in lives.items()} == {
        1: State.RETIRED,
        **dict.fromkeys(numbers[:-1], State.RETIRED),
        numbers[-1]: State.ACTIVE,
    }
    assert [store.text("tw", number) for number in numbers] == [f"{text}# {note}\n" for note in range(NOTES)]
    serials = [step.serial for step in reversed(store.audit("tw", limit=1_000))]
    assert serials == list(range(1, len(serials) + 1))
    assert f"{text}# {NOTES - 1}\n" in export.decode()
    store.close()
