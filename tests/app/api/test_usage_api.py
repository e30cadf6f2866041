"""Sales use up locates over REST: written down together, both or neither, and there again after a restart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.journal import JournalError
from engine.model import Decided, Kind, Op
from engine.order_desk import OrderInvariantError
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, fill, read, serving
from tests.app.journal_urls import STORES, journal_url
from tests.engine.machines import events

CLOSE_NS = NOON_NS + 5 * 3_600 * 10**9


def _prepare(made: Machine) -> None:
    """The first book is FUND1's, in AU1, which has borrowed enough of S1 and S2."""
    fill(made)
    books = np.zeros(1, BOOK)
    books[0] = (made.tables.array["book"][1]["code"], b"FUND1", b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)
    borrowed = {"book": 1, "kind": Kind.SLAB_BORROW, "op": Op.SET, "quantity": 25_000}
    first = int(made.tables.array["newest"].max()) + 100
    made.apply(events(*({"security": security, **borrowed} for security in (1, 2)), first_seq=first))


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
async def api(instance: str, tmp_path: Path, database: str) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, _prepare, database=database) as made:
        yield made


async def _sell(api: Api, order: str, quantity: int, **other: Any) -> dict[str, Any]:
    book = bytes(api.machine.tables.array["book"][1]["code"]).decode()
    asked = {"order": order, "security": "S2", "client": "FUND1", "book": book, "side": "short", "quantity": quantity}
    answer: dict[str, Any] = read(await api.call("POST", "/api/v1/orders", asked | other))
    return answer


async def _executed(api: Api, order: str, executed: int) -> tuple[int, dict[str, Any]]:
    answer = await api.call("POST", f"/api/v1/orders/{order}/executed", {"executed": executed})
    return answer.code, read(answer)


async def _locate(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = read(await api.get(f"/api/v1/locates/{made['id']}"))
    return {name: found[name] for name in ("state", "used", "remaining", "decrement")}


async def test_a_sale_uses_up_its_locate_and_a_restart_knows_it(instance: str, tmp_path: Path, database: str) -> None:
    """S2: easy to borrow in the US, nothing is held until it is sold."""
    async with serving(instance, tmp_path, _prepare, database=database) as api:
        made = await api.locate("S2", quantity=500)
        assert (await _sell(api, "O1", 400, locate=made["id"]))["state"] == "approved"
        code, order = await _executed(api, "O1", 300)
        assert (code, order["covered"], order["open"]) == (200, 300, 100)
        assert await _executed(api, "O1", 300) == (200, order)
        used = {"state": "approved", "used": 300, "remaining": 200, "decrement": 300}
        assert await _locate(api, made) == used
        assert read(await api.get("/api/v1/limits/FUND1/S2"))["short"] == 100
        left = api.machine.inventory.left(2)
    async with serving(instance, tmp_path, _prepare, database=database) as api:
        assert (await _locate(api, made), api.machine.inventory.left(2)) == (used, left)
        assert read(await api.get("/api/v1/limits/FUND1/S2"))["short"] == 100
        await _executed(api, "O1", 400)
        await _sell(api, "O2", 100)
        await _executed(api, "O2", 100)
        assert await _locate(api, made) == {"state": "exhausted", "used": 500, "remaining": 0, "decrement": 500}
        steps = read(await api.get(f"/api/v1/locates/{made['id']}/evidence"))["transitions"]
        assert [(step["state"], step["used"]) for step in steps[-2:]] == [("approved", 400), ("exhausted", 500)]
        await api.service.tick(CLOSE_NS)
        assert await _locate(api, made) == {"state": "expired", "used": 500, "remaining": 0, "decrement": 0}
        assert api.machine.inventory.decided(2, Decided.SHORT_LOCATES) == 0
        api.service.desk.check()


async def test_executions_at_the_same_instant_all_use_the_locate(api: Api) -> None:
    made = await api.locate("S2", quantity=500)
    for number in range(10):
        await _sell(api, f"O{number}", 50)
    answers = await asyncio.gather(*(_executed(api, f"O{number}", 50) for number in range(10)))
    assert {(code, order["state"], order["covered"]) for code, order in answers} == {(200, "filled", 50)}
    assert (await _locate(api, made))["state"] == "exhausted"
    assert read(await api.get("/api/v1/limits/FUND1/S2"))["short"] == 0


async def test_what_orders_are_working_on_is_not_released(api: Api) -> None:
    made = await api.locate("S1", quantity=500)
    await _sell(api, "O1", 200, security="S1")
    refused = await api.call("POST", f"/api/v1/locates/{made['id']}/release")
    assert (refused.code, "200 shares" in read(refused)["detail"]) == (409, True)
    await api.call("POST", "/api/v1/orders/O1/cancel", {})
    assert (await api.call("POST", f"/api/v1/locates/{made['id']}/release")).code == 200
    assert (await _sell(api, "O2", 1, security="S1"))["reason"] == "insufficient_client_limit"


async def test_an_execution_that_cannot_be_written_changes_neither(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_changes: Any, _answer: Any, told: Any) -> None:
        asyncio.get_running_loop().call_soon(told, JournalError("the disk is full"))

    made = await api.locate("S2", quantity=500)
    await _sell(api, "O1", 500)
    before = await _locate(api, made)
    monkeypatch.setattr(api.service.journal, "hand_over", broken)
    assert (await _executed(api, "O1", 500))[0] == 503
    assert await _locate(api, made) == before
    assert api.service.orders.desk.get("O1").executed == api.service.desk.get(1).used == 0
    assert read(await api.get("/api/v1/limits/FUND1/S2"))["short"] == 0
    monkeypatch.undo()
    assert (await _executed(api, "O1", 500))[0] == 200


async def test_near_the_close_locates_shrink_to_what_is_sold_or_about_to_be(api: Api) -> None:
    """S3 is hard to borrow in Taiwan, which closes at 13:30."""
    made = await api.locate("S3", quantity=500)
    closes_ns = api.service.desk.get(1).expires_ns
    await api.service.tick(closes_ns - 601 * 10**9)
    assert (await _locate(api, made))["decrement"] == 500
    await api.service.tick(closes_ns - 600 * 10**9)
    assert (await _locate(api, made)) == {"state": "approved", "used": 0, "remaining": 500, "decrement": 0}
    assert api.machine.inventory.left(3) == 1_000


async def test_a_named_locate_of_another_client_or_none_is_an_invalid_order(api: Api) -> None:
    await api.locate("S2", quantity=500)
    theirs = await api.locate("S2", quantity=500, client="FUND2")
    for named in (theirs["id"], "L0000000099", "17"):
        assert (await _sell(api, f"O{named}", 1, locate=named))["reason"] == "invalid_order"


async def test_orders_that_no_longer_agree_with_the_inventory_stop_everything(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.locate("S2", quantity=500)
    await _sell(api, "O1", 500)

    def differs() -> None:
        raise OrderInvariantError("the inventory has other sells")

    monkeypatch.setattr(api.service.orders.desk, "place", differs)
    with pytest.raises(OrderInvariantError):
        await api.service.tick(NOON_NS)
    assert (await api.get("/health/ready")).code == 503
    refused = await api.post({"security": "S2", "client": "FUND1", "quantity": 1})
    assert (refused.code, "stopped" in read(refused)["detail"]) == (503, True)
    monkeypatch.undo()
