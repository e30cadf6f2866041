"""What a person decides on locates that rules leave to one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.identity import Identity, Role, issue_token
from engine.model import Temperature
from engine.tables import Word
from tests.app.api.api_world import NOON_NS, Api, read, serving


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as opened:
        yield opened


def _token(api: Api, user: str = "olga", role: Role = Role.OPS) -> str:
    return issue_token(api.settings.secret, Identity(user, frozenset({role})), 3_600, NOON_NS / 1e9)


async def _pending(api: Api, security: str = "S1", quantity: int = 600, user: str = "") -> str:
    """A request that pends because inputs are stale."""
    api.machine.tables.state[Word.FEED_NS] = 1
    headers = {"Authorization": f"Bearer {_token(api, user, Role.TRADER)}"} if user else {}
    body = {"security": security, "client": "FUND1", "quantity": quantity}
    answer = read(await api.call("POST", "/api/v1/locates", body, headers, token="" if user else None))
    assert (answer["state"], answer["reason"]) == ("pending", "stale_inputs")
    return str(answer["id"])


async def _act(api: Api, what: str, body: Any = None, **who: Any) -> Any:
    return await api.call("POST", f"/api/v1/locates/{what}", body if body is not None else {}, token=_token(api, **who))


async def test_a_person_approves_in_full_or_in_part_and_is_named(api: Api) -> None:
    whole, part = await _pending(api), await _pending(api, quantity=500)
    answer = read(await _act(api, f"{whole}/approve", {"comment": "seen"}))
    assert (answer["state"], answer["approved"], answer["changed_by"], answer["remark"]) == (
        "approved",
        600,
        "olga",
        "seen",
    )
    answer = read(await _act(api, f"{part}/approve", {"quantity": 400}))
    assert (answer["state"], answer["approved"], answer["decision"]["rule"]) == ("partially_approved", 400, "by_hand")
    history = read(await api.get(f"/api/v1/locates/{part}/evidence"))
    assert history["transitions"][-1]["evidence"]["decided_by"] == "olga"


async def test_nobody_can_grant_what_is_not_there_or_more_than_was_asked(api: Api) -> None:
    first, second = await _pending(api), await _pending(api)
    await _act(api, f"{first}/approve")
    refused = await _act(api, f"{second}/approve")
    assert refused.code == 409
    assert "400 left" in read(refused)["detail"]
    assert (await _act(api, f"{second}/approve", {"quantity": 601})).code == 409
    assert read(await _act(api, f"{second}/approve", {"quantity": 400}))["approved"] == 400


async def test_a_rejection_is_final_and_saying_it_again_changes_nothing(api: Api) -> None:
    locate = await _pending(api)
    for _again in range(2):
        answer = read(await _act(api, f"{locate}/reject", {"comment": "no"}))
        assert (answer["state"], answer["reason"]) == ("rejected", "manual_reject")
    assert (await _act(api, f"{locate}/approve")).code == 409
    assert (await _act(api, "L0000000099/reject")).code == 404


async def test_a_question_leaves_it_pending(api: Api) -> None:
    locate = await _pending(api)
    answer = read(await _act(api, f"{locate}/ask", {"comment": "For which sale?"}))
    assert (answer["state"], answer["remark"], answer["changed_by"]) == ("pending", "For which sale?", "olga")
    assert (await _act(api, f"{locate}/ask")).code == 422


async def test_a_decided_locate_cannot_be_decided_by_hand(api: Api) -> None:
    located = await api.locate()
    assert (await _act(api, f"{located['id']}/approve")).code == 409


async def test_who_asked_cannot_approve_where_the_market_asks_for_two(api: Api) -> None:
    first, *others = api.machine.tables.markets
    api.machine.tables.markets = (replace(first, two_people=True), *others)
    locate = await _pending(api, user="olga")
    assert (await _act(api, f"{locate}/approve")).code == 403
    assert read(await _act(api, f"{locate}/approve", user="otto"))["state"] == "approved"


async def test_only_reviewers_review(api: Api) -> None:
    locate = await _pending(api)
    for role in (Role.TRADER, Role.COMPLIANCE):
        assert (await _act(api, f"{locate}/approve", user="tina", role=role)).code == 403
        assert (await _act(api, "actions", {"action": "approve", "ids": [locate]}, user="tina", role=role)).code == 403
    assert read(await _act(api, "actions", {"action": "cancel", "ids": [locate]}, user="tina", role=Role.TRADER))


async def test_many_at_once_tell_of_each(api: Api) -> None:
    ids = [await _pending(api), await _pending(api), "L0000000099"]
    answer = await _act(api, "actions", {"action": "approve", "ids": ids})
    assert answer.code == 207
    results = read(answer)["results"]
    assert [result["status"] for result in results] == [200, 409, 404]
    assert [result["id"] for result in results] == ids
    rejected = read(await _act(api, "actions", {"action": "reject", "ids": ids[1:2]}))["results"]
    assert rejected[0]["locate"]["state"] == "rejected"


async def test_what_a_person_decided_survives_a_restart(instance: str, tmp_path: Path) -> None:
    async with serving(instance, tmp_path) as api:
        locate = await _pending(api)
        await _act(api, f"{locate}/approve", {"quantity": 250})
    async with serving(instance, tmp_path) as api:
        assert api.service.desk.held("S1") == 250


async def test_nobody_approves_what_the_rules_forbid_whatever_the_pool(api: Api) -> None:
    first, *others = api.machine.tables.markets
    halting, own = await _pending(api), await _pending(api, quantity=100)
    api.machine.tables.markets = (replace(first, stale_halts=True), *others)
    refused = await _act(api, f"{halting}/approve")
    assert (refused.code, "inputs are late" in read(refused)["detail"]) == (409, True)
    api.machine.tables.markets = (first, *others)
    assert read(await _act(api, f"{own}/approve"))["state"] == "approved", "elsewhere a person may"
    api.machine.tables.array["security"][1]["temperature"] = Temperature.RESTRICTED
    refused = await _act(api, f"{halting}/approve")
    assert (refused.code, read(refused)["detail"]) == (409, "rule restricted forbids it: restricted_list")
    assert read(await _act(api, f"{halting}/reject"))["state"] == "rejected"


async def test_a_locates_step_is_taken_once_for_a_key_and_names_who_took_it(api: Api) -> None:
    located = await api.locate()
    path, key = f"/api/v1/locates/{located['id']}/release", {"Idempotency-Key": "k1"}
    first = await api.call("POST", path, {"requested_by": "anna"}, key)
    assert read(first)["changed_by"] == "api for anna"
    assert (await api.call("POST", path, {"requested_by": "anna"}, key)).body == first.body
    assert (await api.call("POST", path, {"comment": "other"}, key)).code == 422
    assert (await api.call("POST", path, {}, keyed=False)).code == 400
    waiting = await _pending(api)
    body, key = {"action": "approve", "ids": [waiting]}, {"Idempotency-Key": "k2"}
    done = [await api.call("POST", "/api/v1/locates/actions", body, key, _token(api)) for _ in range(2)]
    assert [(answer.code, answer.body) for answer in done] == [(200, done[0].body)] * 2
    assert (await api.call("POST", "/api/v1/locates/actions", body, keyed=False, token=_token(api))).code == 400
