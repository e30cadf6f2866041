"""Orders and limits over REST: what the desk promises holds for programs, too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import HTTPResponse

from engine.events import EventArray
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import Api, fill, read, serving
from tests.engine.machines import events


def _prepare(made: Machine) -> None:
    """Book 1: FUND1's in AU1, which holds 5,000 long and has borrowed 25,000 of S1."""
    fill(made)
    books = np.zeros(3, BOOK)
    books[0] = (made.tables.array["book"][1]["code"], b"FUND1", b"ENTITY", b"AU1")
    books[1] = (b"NOWHERE", b"FUND2", b"ENTITY", b"")
    books[2] = (b"DESK", b"ENTITY", b"ENTITY", b"AU1")
    made.register(Message.BOOKS, books)
    made.apply(_held(made))


def _held(made: Machine) -> EventArray:
    rows = [
        {"security": 1, "book": 1, "kind": Kind.CLIENT_FREE, "op": Op.SET, "quantity": 3_000},
        {"security": 1, "book": 1, "kind": Kind.FIRM, "op": Op.SET, "quantity": 5_000},
        {"security": 1, "book": 1, "kind": Kind.SLAB_BORROW, "op": Op.SET, "quantity": 25_000},
        {"security": 1, "book": 1, "kind": Kind.PAY_TO_HOLD, "op": Op.SET, "quantity": 2_000},
    ]
    first = int(made.tables.array["newest"].max()) + 100
    return events(*({"seq": first + n} | row for n, row in enumerate(rows)))


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, _prepare) as opened:
        yield opened


def _order(api: Api, order: str = "O1", **other: Any) -> dict[str, Any]:
    book = bytes(api.machine.tables.array["book"][1]["code"]).decode()
    return {
        "order": order,
        "security": "S1",
        "client": "FUND1",
        "book": book,
        "side": "long",
        "quantity": 1_000,
    } | other


async def _ask(api: Api, *orders: dict[str, Any], **headers: str) -> HTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.call("POST", "/api/v1/orders", orders[0] if len(orders) == 1 else list(orders), named)


async def _step(api: Api, order: str, action: str, **body: Any) -> HTTPResponse:
    return await api.call("POST", f"/api/v1/orders/{order}/{action}", body)


async def _limit(api: Api, path: str = "FUND1/S1") -> dict[str, Any]:
    found: dict[str, Any] = read(await api.get(f"/api/v1/limits/{path}"))
    return found


async def test_an_order_takes_from_both_limits_and_says_what_it_left(api: Api) -> None:
    answer = read(await _ask(api, _order(api)))
    assert (answer["state"], answer["approved"], answer["open"]) == ("approved", 1_000, 1_000)
    assert answer["client_limit"] == {"owner": "FUND1", "before": 3_000, "after": 2_000}
    assert answer["au_limit"] == {"owner": "AU1", "before": 5_000, "after": 4_000}
    limit = await _limit(api)
    assert limit["long"] == 2_000
    assert limit["long_because"]["explanation"]["value"] == 2_000
    assert (await _limit(api, "au/AU1/S1"))["long"] == 4_000


async def test_a_short_sale_needs_a_locate_or_a_hold_of_the_client(api: Api) -> None:
    assert (await _limit(api))["short"] == 2_000  # held
    await api.locate(quantity=500)
    assert (await _limit(api))["short"] == 2_500
    answers = read(await _ask(api, *(_order(api, f"O{q}", side="short", quantity=q) for q in (2_500, 1))))
    assert [answer["state"] for answer in answers] == ["approved", "rejected"]
    assert answers[1]["reason"] == "insufficient_client_limit"


async def test_what_is_sold_is_in_the_clients_book_or_in_the_firms_own(api: Api) -> None:
    asked = (_order(api, "O1", client="FUND1", book="DESK"), _order(api, "O2", client="FUND2"))
    answers = read(await _ask(api, *asked))
    assert [(answer["state"], answer["reason"]) for answer in answers] == [
        ("approved", None),
        ("rejected", "invalid_order"),
    ]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"security": "nothing"}, "invalid_order"),
        ({"book": "nowhere"}, "au_limit_not_found"),
        ({"book": "NOWHERE"}, "au_limit_not_found"),
        ({"client": "nobody"}, "client_limit_not_found"),
        ({"quantity": 3_001}, "insufficient_client_limit"),
    ],
)
async def test_a_rejection_says_why(api: Api, other: dict[str, Any], reason: str) -> None:
    answer = read(await _ask(api, _order(api, **other)))
    assert (answer["state"], answer["reason"], answer["approved"]) == ("rejected", reason, 0)


async def test_the_same_id_gets_the_first_answer_whatever_has_happened_since(api: Api) -> None:
    first = await _ask(api, _order(api))
    await _step(api, "O1", "cancel")
    assert (await _ask(api, _order(api))).body == first.body
    assert (await _ask(api, _order(api, quantity=7))).code == 422


async def test_an_id_in_flight_is_decided_once(api: Api) -> None:
    answers = await asyncio.gather(*(_ask(api, _order(api, side="short", quantity=1_500)) for _ in range(8)))
    assert len({answer.body for answer in answers}) == 1
    assert (await _limit(api))["short"] == 500


async def test_amending_executing_and_cancelling_give_back_what_is_not_sold(api: Api) -> None:
    await _ask(api, _order(api, quantity=3_000))
    assert read(await _step(api, "O1", "amend", quantity=2_000))["open"] == 2_000
    assert (await _limit(api))["long"] == 1_000
    for _again in range(2):
        assert read(await _step(api, "O1", "executed", executed=500))["open"] == 1_500
    assert (await _limit(api))["long"] == 1_500
    assert (await _step(api, "O1", "amend", quantity=4_000)).code == 409
    assert read(await _step(api, "O1", "cancel"))["state"] == "cancelled"
    assert (await _limit(api))["long"] == 3_000
    life = read(await api.get("/api/v1/orders/O1"))
    assert [step["state"] for step in life["steps"]] == ["approved", "approved", "approved", "cancelled"]
    assert (await _step(api, "O1", "cancel")).code == 409


async def test_orders_survive_a_restart_with_what_they_hold(instance: str, tmp_path: Path) -> None:
    async with serving(instance, tmp_path, _prepare) as api:
        await _ask(api, _order(api, side="short"), _order(api, "O2", side="short", quantity=500))
        await _step(api, "O2", "cancel")
    async with serving(instance, tmp_path, _prepare) as api:
        assert (await _limit(api))["short"] == 1_000
        assert read(await _ask(api, _order(api, side="short")))["approved"] == 1_000
        assert (await _limit(api))["short"] == 1_000


async def test_wrong_orders_are_refused_with_a_pointer_each(api: Api) -> None:
    answer = await _ask(api, _order(api), _order(api, "O2", side="up", extra=1), _order(api, "O3", quantity=0))
    assert answer.code == 422
    assert {error["pointer"] for error in read(answer)["errors"]} == {"/1/side", "/1/extra", "/2/quantity"}
    twice = await _ask(api, _order(api), _order(api))
    assert [error["pointer"] for error in read(twice)["errors"]] == ["/1/order"]
    assert (await _step(api, "nothing", "cancel")).code == 404
    for nobody in ("nobody", "%00", "FUND1%00"):
        assert (await api.get(f"/api/v1/limits/{nobody}/S1")).code == 404
