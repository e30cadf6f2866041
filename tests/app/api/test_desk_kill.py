"""64 connections ask, sell, amend, cancel and give back, on one security and on many, while the engine is killed and started
again and the market closes: through the API alone, nothing is lost, nothing promised twice, and all of it is given back.

Four seconds here; `IMS_HAMMER_S=60` makes it a minute.
"""

import asyncio
import collections
import os
import random
import time
from pathlib import Path
from typing import Any

import exchange_calendars
import pandas as pd
import pytest

from app.bench.http_client import Connection, GoneError
from app.bench.locate_feed import FIRM_BOOK, HOUSE_UNIT
from app.bench.services import free_port
from app.clock import OFFSET
from app.settings import Settings
from tests.app.api.engine_process import CAPACITY, EngineProcess
from tests.app.api.hammering import Hammer
from tests.app.journal_urls import STORES, journal_url

CLIENTS = 64
SECURITIES = 40
SECONDS = float(os.environ.get("IMS_HAMMER_S", "4"))
SHARES = int(SECONDS * 50)
BORROWED = int(SECONDS * 100)
HOUR_NS = 3_600 * 10**9
LIVE = {"approved", "partially_approved"}


def held_by(order: dict[str, Any]) -> int:
    """What it holds of a short limit (domain.md 5)."""
    counts = {"approved": "approved", "filled": "executed", "cancelled": "executed"}
    return int(order[counts[order["state"]]]) if order["state"] in counts else 0


class Client:
    """One connection, and what its owner has been told of every order: quantity, executed, state."""

    def __init__(self, hammer: Hammer, number: int) -> None:
        self.hammer = hammer
        self.name = f"C{number}"
        self.dice = random.Random(number)
        self.security = "L1" if number % 2 else ""
        self.told: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        self.connection = await self.hammer.connect()
        turn = 0
        while not self.hammer.stopping:
            turn += 1
            await self._turn(f"{self.name}-{turn}")
        self.connection.close()

    async def _post(self, path: str, asked: Any, key: str = "") -> tuple[int, dict[str, Any]]:
        self.connection, status, answer = await self.hammer.ask(self.connection, f"/api/v1/{path}", asked, key)
        return status, answer

    async def _turn(self, name: str) -> None:
        """A locate, an order for some of it, a few steps of that, and at times the rest given back."""
        dice, security = self.dice, self.security or f"L{self.dice.randint(2, SECURITIES)}"
        line = {"security": security, "client": self.name, "quantity": dice.randint(1, 40), "reference": name}
        _, locate = await self._post("locates", line, name)
        if not locate["approved"]:
            return
        order = {
            "order": name,
            "security": security,
            "client": self.name,
            "book": FIRM_BOOK,
            "side": "short",
            "quantity": dice.randint(1, locate["approved"]),
            "locate": dice.choice(["", locate["id"]]),
        }
        _, self.told[name] = await self._post("orders", order, f"{name}-order")
        for number in range(dice.randint(0, 3)):
            await self._step(name, f"{name}-step-{number}")
        if dice.random() < 0.4:
            await self._post(f"locates/{locate['id']}/{dice.choice(['release', 'cancel'])}", {})

    async def _step(self, name: str, key: str) -> None:
        """An answer that was lost with the engine comes again, whatever was done to the order since."""
        order = self.told[name]
        if order["state"] != "approved":
            return
        more = self.dice.randint(order["executed"], order["approved"])
        step, body = self.dice.choice(
            [("executed", {"executed": more}), ("amend", {"quantity": max(1, more)}), ("cancel", {})]
        )
        status, self.told[name] = await self._post(f"orders/{name}/{step}", body, key)
        assert status == 200, self.told[name]


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, instance: str, tmp_path: Path) -> Settings:
    database = journal_url(request.param, request, tmp_path)
    return Settings(instance=instance, port=free_port(), data=str(tmp_path), capacity=CAPACITY, database=database)


async def watch(hammer: Hammer, pools: dict[str, int]) -> None:
    """At no moment is more promised than there is."""
    connection: Connection | None = None
    while not hammer.stopping:
        connection = connection or await hammer.connect()
        try:
            for security, pool in pools.items():
                shown = await hammer.read(connection, f"/api/v1/availability/{security}")
                assert shown["left"] == shown["pool"] - shown["located"]
                assert shown["located"] <= pool
        except GoneError:
            connection = None
        await asyncio.sleep(0.05)


async def test_nothing_is_lost_or_promised_twice_and_the_close_gives_all_of_it_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    close_ns = exchange_calendars.get_calendar("XNYS").next_close(pd.Timestamp.now("UTC").floor("min")).value
    clock.write_text(str(close_ns - HOUR_NS - time.time_ns()))
    monkeypatch.setenv(OFFSET, str(clock))
    with EngineProcess(settings, rate=5_000, securities=SECURITIES, shares=SHARES, borrowed=BORROWED) as engine:
        engine.wait_ready()
        hammer = Hammer(settings)
        await hammer.until_ready()
        pools = {f"L{n}": (await hammer.get(f"/api/v1/availability/L{n}"))["pool"] for n in range(1, SECURITIES + 1)}
        clients = [Client(hammer, number) for number in range(2, CLIENTS + 2)]
        running = [asyncio.create_task(client.run()) for client in clients]
        running.append(asyncio.create_task(watch(hammer, {"L1": pools["L1"], "L2": pools["L2"]})))
        await asyncio.sleep(SECONDS / 2)
        engine.kill()
        engine.start()
        await asyncio.to_thread(engine.wait_ready)
        await hammer.until_ready()
        await asyncio.sleep(SECONDS / 2)
        hammer.stopping = True
        await asyncio.gather(*running)
        assert hammer.broken >= CLIENTS / 2
        await check(hammer, clients, pools)

        clock.write_text(str(close_ns - time.time_ns()))
        await closed(hammer)
        await check(hammer, clients, pools, closed=True)
        assert engine.terminate() == 0


async def check(hammer: Hammer, clients: list[Client], pools: dict[str, int], *, closed: bool = False) -> None:
    """Locates, orders, limits and the inventory against each other, and against everything that was said."""
    locates = {locate["id"]: locate for locate in await hammer.every("locates")}
    orders = {order["order"]: order for order in await hammer.every("orders")}
    held: collections.Counter[str] = collections.Counter()
    for locate in locates.values():
        assert 0 <= locate["used"] <= locate["approved"]
        assert not closed or locate["decrement"] == 0
        held[locate["security"]] += locate["decrement"]
    sold: collections.Counter[str] = collections.Counter()
    for order in orders.values():
        sold[order["security"]] += held_by(order)
    for security, pool in pools.items():
        shown = await hammer.get(f"/api/v1/availability/{security}")
        assert (shown["located"], shown["left"]) == (held[security], pool - held[security])
        assert held[security] <= pool
        unit = await hammer.get(f"/api/v1/limits/au/{HOUSE_UNIT}/{security}")
        assert unit["short"] == BORROWED - sold[security] >= 0
    for client in clients:
        assert (await hammer.get(f"/api/v1/limits/{client.name}/L1"))["short"] >= 0
        for name, told in client.told.items():
            same = ("approved", "executed") if closed else ("approved", "executed", "state")
            assert [orders[name][field] for field in same] == [told[field] for field in same]
    assert {answer["id"] for answer in hammer.said("locates")} == locates.keys()
    await hammer.check_answers(random.Random(1).sample(sorted(hammer.answers), min(500, len(hammer.answers))))


async def closed(hammer: Hammer) -> None:
    """Returns once nothing is live any more."""
    live = ",".join(sorted(LIVE))
    while True:
        if not (await hammer.get(f"/api/v1/locates?limit=1&state={live}"))["locates"]:
            return
        await asyncio.sleep(0.1)
