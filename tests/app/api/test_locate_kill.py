"""200 clients hammer one security while the engine is killed and started again: nothing is lost, nothing promised twice.

Ten seconds here; `IMS_HAMMER_S=60` makes it the minute of the requirement.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import msgspec
import pytest

from app.bench.services import free_port
from app.settings import Settings
from tests.app.api.engine_process import CAPACITY, EngineProcess
from tests.app.api.hammering import Hammer
from tests.app.journal_urls import STORES, journal_url

CLIENTS = 200
SECONDS = float(os.environ.get("IMS_HAMMER_S", "10"))
SHARES_PER_S = 2_500


async def client(hammer: Hammer, number: int) -> None:
    """Asks for shares of L1 until told to stop."""
    dice = random.Random(number)
    connection = await hammer.connect()
    turn = 0
    while not hammer.stopping:
        turn += 1
        line = {
            "security": "L1",
            "client": f"C{number % 100 + 2}",
            "quantity": dice.randint(1, 20),
            "allow_partial": dice.random() < 0.5,
            "reference": f"{number}/{turn}",
        }
        connection, _, _ = await hammer.ask(connection, "/api/v1/locates", line, f"{number}-{turn}")
    connection.close()


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> Settings:
    database = journal_url(request.param, request, tmp_path)
    return Settings(instance=instance, port=free_port(), data=str(tmp_path), capacity=CAPACITY, database=database)


async def test_no_grant_is_lost_or_given_twice_when_the_engine_is_killed(settings: Settings) -> None:
    pool = int(SECONDS * SHARES_PER_S)
    with EngineProcess(settings, rate=5_000, securities=100, shares=pool) as engine:
        engine.wait_ready()
        hammer = Hammer(settings)
        await hammer.until_ready()
        began = time.monotonic()
        clients = [asyncio.create_task(client(hammer, number)) for number in range(CLIENTS)]
        await asyncio.sleep(SECONDS / 2)
        before_kill = len(hammer.answers)
        engine.kill()
        engine.start()
        await asyncio.to_thread(engine.wait_ready)
        await hammer.until_ready()
        await asyncio.sleep(max(SECONDS - (time.monotonic() - began), SECONDS / 3))
        hammer.stopping = True
        await asyncio.gather(*clients)
        assert before_kill > 0
        assert hammer.broken >= CLIENTS / 2
        await check(hammer, pool)
        assert engine.terminate() == 0


async def check(hammer: Hammer, pool: int) -> None:
    """Against the journal, the inventory and every answer that was given."""
    answered = {key: msgspec.json.decode(answer) for key, (_, _, _, answer) in hammer.answers.items()}
    kept = {locate["id"]: locate for locate in await hammer.every("locates")}
    granted = sum(
        locate["approved"] for locate in kept.values() if locate["state"] in {"approved", "partially_approved"}
    )
    assert sum(answer["approved"] for answer in answered.values()) <= granted <= pool
    shown = await hammer.get("/api/v1/availability/L1")
    assert (shown["pool"], shown["located"], shown["left"]) == (pool, granted, pool - granted)
    pending = {answer["id"] for answer in answered.values() if answer["state"] == "pending"}
    for answer in answered.values():
        if answer["id"] not in pending:  # those were decided later, when the feeds were complete again
            assert kept[answer["id"]] == answer
    assert pending <= kept.keys()
    assert len({answer["id"] for answer in answered.values()}) == len(answered)
    await hammer.check_answers(random.Random(1).sample(sorted(hammer.answers), min(2_000, len(hammer.answers))))
