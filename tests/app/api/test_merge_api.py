"""Securities that become one, and two again: what locates and orders hold goes along, so no share is promised twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.model import Decided, Kind, Op
from engine.records import BOOK
from engine.ring import MOVE, NAME, Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, fill, read, serving
from tests.engine.machines import events

ONE, OTHER = 1, 3
"""S1 and S3, of 1,000 shares each."""


def _prepare(made: Machine) -> None:
    """The first book is FUND1's, in AU1."""
    fill(made)
    books = np.zeros(1, BOOK)
    books[0] = (made.tables.array["book"][1]["code"], b"FUND1", b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)


def _borrow(made: Machine) -> None:
    """So that the unit may sell short, too."""
    borrowed = {"book": 1, "kind": Kind.SLAB_BORROW, "op": Op.SET, "quantity": 25_000}
    first = int(made.tables.array["newest"].max()) + 100
    made.apply(events(*({"security": security, **borrowed} for security in (ONE, OTHER)), first_seq=first))


def _merge(made: Machine) -> None:
    """S3 becomes S1."""
    made.move(np.array([(b"S3", b"S1", b"", b"", 1)], MOVE))
    made.register(Message.NAMES, np.array([(b"S3", b"S1")], NAME))


def _split(made: Machine) -> None:
    """The merge is taken back."""
    made.move(np.array([(b"S1", b"S3", b"", b"", -2)], MOVE))
    made.register(Message.NAMES, np.array([(b"S3", b"S3")], NAME))


def _merged(made: Machine) -> None:
    _prepare(made)
    _merge(made)


def _known_as_one(made: Machine) -> None:
    """A machine that has never seen S3 itself, as after a start without a snapshot."""
    _prepare(made)
    security = made.tables.array["security"]
    security["code"][OTHER] = b"GONE"
    made.register(Message.NAMES, np.array([(b"S3", b"S1")], NAME))


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, _prepare) as made:
        yield made


def _left(api: Api) -> tuple[int, int]:
    return api.machine.inventory.left(ONE), api.machine.inventory.left(OTHER)


def _held(api: Api) -> tuple[int, int]:
    decided = api.machine.inventory.decided
    return decided(ONE, Decided.SHORT_LOCATES), decided(OTHER, Decided.SHORT_LOCATES)


async def _sell(api: Api, order: str, security: str, quantity: int) -> dict[str, Any]:
    book = bytes(api.machine.tables.array["book"][1]["code"]).decode()
    body = {"order": order, "security": security, "client": "FUND1", "book": book, "side": "short"}
    answer: dict[str, Any] = read(await api.call("POST", "/api/v1/orders", body | {"quantity": quantity}))
    return answer


async def test_a_locate_on_the_merged_security_sees_what_was_located_before(api: Api) -> None:
    before = await api.locate("S3", quantity=600)
    _merge(api.machine)
    after = await api.locate("S1", quantity=2_000)
    assert (before["decrement"], after["approved"]) == (600, 1_400)
    assert (_held(api), _left(api)) == ((2_000, 0), (0, 0))
    assert (await api.locate("S3", quantity=1))["approved"] == 0
    assert read(await api.get("/api/v1/availability/S3"))["located"] == 2_000
    ended = await api.call("POST", f"/api/v1/locates/{before['id']}/release")
    assert (ended.code, _held(api), _left(api)) == (200, (1_400, 0), (600, 0))
    api.service.desk.check()


async def test_a_tick_is_enough_for_the_inventory_to_know(api: Api) -> None:
    await api.locate("S3", quantity=600)
    await api.locate("S1", quantity=100)
    _merge(api.machine)
    await api.service.tick(NOON_NS)
    assert (_held(api), _left(api)) == ((700, 0), (1_300, 0))


async def test_a_split_takes_back_what_came_with_the_merge(api: Api) -> None:
    await api.locate("S3", quantity=600)
    await api.locate("S1", quantity=100)
    _merge(api.machine)
    await api.locate("S1", quantity=200)
    _split(api.machine)
    assert (await api.locate("S3", quantity=1_000))["approved"] == 400
    assert (_held(api), _left(api)) == ((300, 1_000), (700, 0))
    api.service.desk.check()


async def test_limits_count_locates_and_sells_of_all_that_became_one(api: Api) -> None:
    _borrow(api.machine)
    await api.locate("S3", quantity=600)
    await api.locate("S1", quantity=100)
    assert (await _sell(api, "O1", "S3", 250))["client_limit"] == {"owner": "FUND1", "before": 600, "after": 350}
    _merge(api.machine)
    assert read(await api.get("/api/v1/limits/FUND1/S1"))["short"] == 450
    assert (await _sell(api, "O2", "S1", 451))["reason"] == "insufficient_client_limit"
    assert (await _sell(api, "O3", "S1", 450))["client_limit"] == {"owner": "FUND1", "before": 450, "after": 0}
    decided = api.machine.inventory.decided
    assert [decided(security, Decided.SHORT_SELLS) for security in (ONE, OTHER)] == [700, 0]
    _split(api.machine)
    await api.service.tick(NOON_NS)
    assert [decided(security, Decided.SHORT_SELLS) for security in (ONE, OTHER)] == [450, 250]


async def test_who_waited_for_either_is_served_before_who_asks_now(api: Api) -> None:
    await api.locate("S3", quantity=1_000)
    older = await api.locate("S3", quantity=500, allow_partial=False, on_insufficient="pend")
    _merge(api.machine)
    assert (await api.locate("S1", quantity=1_000))["approved"] == 500
    assert read(await api.get(f"/api/v1/locates/{older['id']}"))["state"] == "approved"
    assert _left(api) == (0, 0)


@pytest.mark.parametrize("prepare", [_merged, _known_as_one])
async def test_a_restart_comes_to_the_same_sums(instance: str, tmp_path: Path, prepare: Any) -> None:
    async with serving(instance, tmp_path, _prepare) as api:
        _borrow(api.machine)
        await api.locate("S3", quantity=600)
        await api.locate("S1", quantity=100)
        await _sell(api, "O1", "S3", 250)
        _merge(api.machine)
        await api.service.tick(NOON_NS)
        assert _held(api) == (700, 0)
    async with serving(instance, tmp_path, prepare) as api:
        api.service.desk.check()
        assert _held(api) == (700, 0)
        assert api.machine.inventory.decided(ONE, Decided.SHORT_SELLS) == 250
        assert read(await api.get("/api/v1/limits/FUND1/S3"))["short"] == 450


async def test_what_was_located_of_the_merged_security_stays_with_the_code_that_stays(api: Api) -> None:
    """Whoever asked for S3 while it was S1 has a locate of S1, also when S3 is itself again."""
    await api.locate("S3", quantity=100)
    _merge(api.machine)
    during = await api.locate("S3", quantity=250)
    listed = read(await api.get("/api/v1/locates?security=S1"))["locates"]
    assert ([each["security"] for each in listed], during["asked_as"]) == (["S1", "S3"], "S3")
    _split(api.machine)
    await api.service.tick(NOON_NS)
    assert (_held(api), _left(api)) == ((250, 100), (750, 900))
    assert [each["id"] for each in read(await api.get("/api/v1/locates?security=S1"))["locates"]] == [during["id"]]
    api.service.desk.check()
