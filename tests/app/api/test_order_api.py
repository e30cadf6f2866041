"""Orders and limits over REST: what the desk promises holds for programs, too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from tornado.httpclient import HTTPResponse

from app.identity import Identity, Role, issue_token
from engine.events import EventArray
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, fill, read, serving
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


async def test_a_step_is_taken_once_for_a_key_and_needs_one(api: Api) -> None:
    """A repeated amend that was on its way for long does not undo a newer one."""
    await _ask(api, _order(api))
    path, key = "/api/v1/orders/O1/amend", {"Idempotency-Key": "k1"}
    first = await api.call("POST", path, {"quantity": 2_000}, key)
    await _step(api, "O1", "amend", quantity=500)
    again = await api.call("POST", path, {"quantity": 2_000}, key)
    assert (again.code, again.body) == (200, first.body)
    assert read(await api.get("/api/v1/orders/O1"))["now"]["approved"] == 500
    assert (await api.call("POST", path, {"quantity": 600}, key)).code == 422
    assert (await api.call("POST", path, {"quantity": 600}, keyed=False)).code == 400


async def test_who_sends_an_order_and_who_changes_it_is_kept_with_it(api: Api) -> None:
    assert read(await _ask(api, _order(api)))["changed_by"] == "api"
    amended = read(await _step(api, "O1", "amend", quantity=500, requested_by="anna"))
    assert amended["changed_by"] == "api for anna", "whose token, and for whom it says"


async def test_a_token_of_some_clients_is_not_told_what_others_of_the_unit_sell(api: Api) -> None:
    kept = Identity("fund", frozenset({Role.TRADER}), frozenset({"FUND1"}))
    token = issue_token(api.settings.secret, kept, 3_600, NOON_NS / 1e9)
    sold = await api.call("POST", "/api/v1/orders", _order(api), token=token)
    amended = await api.call("POST", "/api/v1/orders/O1/amend", {"quantity": 900}, token=token)
    life = await api.call("GET", "/api/v1/orders/O1", token=token)
    listed = await api.call("GET", "/api/v1/orders", token=token)
    for answer in (read(sold), read(amended), read(life)["now"], *read(life)["steps"], *read(listed)["orders"]):
        assert answer["au_limit"] is None
        assert answer["client_limit"]["owner"] == "FUND1"
    assert read(await api.get("/api/v1/orders/O1"))["now"]["au_limit"]["owner"] == "AU1"


async def test_an_order_whose_commit_is_in_doubt_is_decided_when_it_comes_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first one took is given back; so an answer from before would promise what is not held."""
    journal = api.service.journal
    commit = journal._commit

    def lost(entries: Any) -> None:
        commit(entries)
        raise sa.exc.OperationalError("COMMIT", {}, OSError("connection reset"))

    monkeypatch.setattr(journal, "_commit", lost)
    assert (await _ask(api, _order(api), Idempotency_Key="k1")).code == 503
    monkeypatch.undo()
    answer = await _ask(api, _order(api), Idempotency_Key="k1")
    assert read(answer)["state"] == "approved"
    assert (await _limit(api))["long"] == 2_000
    assert read(await _ask(api, _order(api, "O2", quantity=2_001)))["reason"] == "insufficient_client_limit"


async def test_a_sale_that_crossed_a_cancel_counts_and_one_told_after_the_close_is_written_down(api: Api) -> None:
    await _ask(api, _order(api, side="short"))
    await _step(api, "O1", "executed", executed=100)
    await _step(api, "O1", "cancel")
    assert (await _limit(api))["short"] == 1_900
    crossed = read(await _step(api, "O1", "executed", executed=300))
    assert (crossed["state"], crossed["executed"], crossed["open"]) == ("cancelled", 300, 0)
    assert (await _limit(api))["short"] == 1_700
    assert (await _step(api, "O1", "executed", executed=1_001)).code == 409
    await _ask(api, _order(api, "O2", side="short", quantity=500))
    await api.service.tick(NOON_NS + 86_400 * 10**9)
    for _again in range(2):
        late = read(await _step(api, "O2", "executed", executed=200))
        assert (late["state"], late["executed"]) == ("expired", 200)
    assert (await _step(api, "O2", "cancel")).code == 409
    steps = read(await api.get("/api/v1/orders/O2"))["steps"]
    assert [(step["state"], step["executed"]) for step in steps] == [("approved", 0), ("expired", 0), ("expired", 200)]


async def test_limits_of_a_security_are_of_all_who_hold_something_and_pages_go_on_where_they_ended(api: Api) -> None:
    await api.locate("S2", client="FUND2", quantity=100)
    owners = [(each["scope"], each["owner"]) for each in read(await api.get("/api/v1/limits?security=S2"))["limits"]]
    assert ("client", "FUND2") in owners
    paged, cursor = [], ""
    while cursor is not None:
        page = read(await api.get(f"/api/v1/limits?security=S2&limit=1{cursor and f'&cursor={cursor}'}"))
        paged += [(each["scope"], each["owner"]) for each in page["limits"]]
        cursor = page["next_cursor"]
    assert paged == owners
