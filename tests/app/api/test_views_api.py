"""Views saved under a name: one's own, those that others share, and two people at the same one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from app.identity import Identity, Role, issue_token
from app.views_store import MOST, Page, ViewConflictError, Viewer, ViewStore
from tests.app.api.api_world import Api, read, serving
from tests.app.journal_urls import STORES, journal_url

SHORTS = {"page": "positions", "name": "Shorts by market", "query": "f=%5B%5D&group=market"}


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as opened:
        yield opened


async def ask(api: Api, user: str, method: str, path: str = "", body: Any = None, **who: Any) -> HTTPResponse:
    identity = Identity(user, who.get("roles", frozenset({Role.TRADER})), who.get("clients"))
    token = issue_token(api.settings.secret, identity, 3_600, 1_728_054_000)
    return await api.call(method, f"/api/v1/views{path}", body, token=token)


async def names(api: Api, user: str, **who: Any) -> list[str]:
    return [view["name"] for view in read(await ask(api, user, "GET", "?page=positions", **who))["views"]]


async def test_a_view_is_its_owners_until_it_is_shared(api: Api) -> None:
    made = await ask(api, "ann", "POST", body=SHORTS)
    assert made.code == 201
    view = read(made)
    assert (view["owner"], view["mine"], view["shared"], view["version"]) == ("ann", True, False, 1)
    assert (await names(api, "ann"), await names(api, "bob")) == (["Shorts by market"], [])
    assert read(await ask(api, "ann", "GET", "?page=inventory"))["views"] == []
    assert (await ask(api, "bob", "GET", f"/{view['id']}")).code == 404
    shared = await ask(api, "ann", "POST", f"/{view['id']}", {"version": 1, "shared": True})
    assert read(shared)["version"] == 2
    seen = read(await ask(api, "bob", "GET", f"/{view['id']}"))
    assert (seen["query"], seen["mine"]) == (SHORTS["query"], False)
    assert await names(api, "bob") == ["Shorts by market"]
    # what others share can be seen, and is nobody else's to change
    for path, body in ((f"/{view['id']}", {"version": 2, "name": "Mine"}), (f"/{view['id']}/remove", {"version": 2})):
        assert (await ask(api, "bob", "POST", path, body)).code == 403
    assert (await ask(api, "ann", "POST", f"/{view['id']}/remove", {"version": 2})).code == 200
    assert await names(api, "ann") == []


async def test_of_two_who_change_the_same_view_one_is_told(api: Api) -> None:
    view = read(await ask(api, "ann", "POST", body=SHORTS))
    changes = [{"version": 1, "query": f"group=book&depth={n}"} for n in range(8)]
    answers = await asyncio.gather(*(ask(api, "ann", "POST", f"/{view['id']}", change) for change in changes))
    assert sorted(answer.code for answer in answers) == [200] + [409] * 7
    kept = read(await ask(api, "ann", "GET", f"/{view['id']}"))
    winner = next(change for change, answer in zip(changes, answers, strict=True) if answer.code == 200)
    assert (kept["query"], kept["version"]) == (winner["query"], 2)
    assert (await ask(api, "ann", "POST", f"/{view['id']}/remove", {"version": 1})).code == 409


async def test_a_name_is_a_persons_once_a_page(api: Api) -> None:
    first = read(await ask(api, "ann", "POST", body=SHORTS))
    assert (await ask(api, "ann", "POST", body=SHORTS)).code == 409
    assert (await ask(api, "ann", "POST", body=SHORTS | {"page": "inventory"})).code == 201
    assert (await ask(api, "bob", "POST", body=SHORTS)).code == 201
    other = read(await ask(api, "ann", "POST", body=SHORTS | {"name": "Longs"}))
    taken = await ask(api, "ann", "POST", f"/{other['id']}", {"version": 1, "name": first["name"]})
    assert taken.code == 409
    renamed = await ask(api, "ann", "POST", f"/{first['id']}", {"version": 1, "name": "Shorts"})
    assert (read(renamed)["name"], read(renamed)["query"]) == ("Shorts", SHORTS["query"])


async def test_a_page_opens_with_the_view_that_was_chosen_as_long_as_it_is_shown(api: Api) -> None:
    view = read(await ask(api, "ann", "POST", body=SHORTS | {"shared": True}))
    default = {"page": "positions", "view": view["id"]}
    assert (await ask(api, "bob", "POST", "/default", default | {"page": "inventory"})).code == 404
    assert (await ask(api, "bob", "POST", "/default", default)).code == 200
    assert read(await ask(api, "bob", "GET", "?page=positions"))["default"] == view["id"]
    assert read(await ask(api, "ann", "GET", "?page=positions"))["default"] is None
    await ask(api, "ann", "POST", f"/{view['id']}", {"version": 1, "shared": False})
    assert read(await ask(api, "bob", "GET", "?page=positions"))["default"] is None
    assert (await ask(api, "ann", "POST", "/default", default)).code == 200
    await ask(api, "ann", "POST", f"/{view['id']}/remove", {"version": 2})
    assert read(await ask(api, "ann", "GET", "?page=positions"))["default"] is None
    assert (await ask(api, "ann", "POST", "/default", {"page": "positions"})).code == 200


async def test_an_admin_takes_back_what_others_share_and_changes_nothing_else(api: Api) -> None:
    admin: dict[str, Any] = {"roles": frozenset({Role.ADMIN})}
    view = read(await ask(api, "ann", "POST", body=SHORTS | {"shared": True}))
    renamed = {"version": 1, "shared": False, "name": "Taken"}
    assert (await ask(api, "ada", "POST", f"/{view['id']}", renamed, **admin)).code == 403
    taken = await ask(api, "ada", "POST", f"/{view['id']}", {"version": 1, "shared": False}, **admin)
    assert read(taken)["shared"] is False
    assert (await ask(api, "ada", "GET", f"/{view['id']}", **admin)).code == 404
    assert await names(api, "ann") == ["Shorts by market"]


async def test_who_is_kept_to_clients_has_views_and_sees_and_shares_none(api: Api) -> None:
    kept: dict[str, Any] = {"clients": frozenset({"FUND1"})}
    shared = read(await ask(api, "ann", "POST", body=SHORTS | {"shared": True}))
    assert await names(api, "carl", **kept) == []
    assert (await ask(api, "carl", "GET", f"/{shared['id']}", **kept)).code == 404
    own = read(await ask(api, "carl", "POST", body=SHORTS, **kept))
    assert await names(api, "carl", **kept) == ["Shorts by market"]
    for path, body in (("", SHORTS | {"name": "B", "shared": True}), (f"/{own['id']}", {"version": 1, "shared": True})):
        assert (await ask(api, "carl", "POST", path, body, **kept)).code == 403


async def test_what_is_no_view_is_a_problem_with_a_pointer(api: Api) -> None:
    for body, at in (
        (SHORTS | {"page": "rules"}, "/page"),
        (SHORTS | {"name": "  "}, "/name"),
        (SHORTS | {"name": "x" * 81}, "/name"),
        (SHORTS | {"query": "a b"}, "/query"),
        (SHORTS | {"query": "x" * 8_001}, "/query"),
        (SHORTS | {"surprise": 1}, "/surprise"),
    ):
        answer = await ask(api, "ann", "POST", body=body)
        assert (answer.code, read(answer)["errors"][0]["pointer"]) == (422, at)
    assert (await ask(api, "ann", "GET")).code == 422
    assert (await ask(api, "ann", "GET", "?page=rules")).code == 422
    assert (await ask(api, "ann", "POST", "/V000000000000", {"version": 1})).code == 404
    assert (await ask(api, "ann", "POST", "/V000000000000/remove", {})).code == 422


@pytest.mark.parametrize("store", STORES)
async def test_views_outlive_the_service_on_both_databases(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url, ann = journal_url(store, request, tmp_path), Viewer(user="ann")
    views = ViewStore(url)
    made = await views.add(ann, Page.POSITIONS, "Shorts", "group=market", shared=False, now_ns=1)
    await views.open_with(ann, Page.POSITIONS, made.id)
    for n in range(1, MOST):
        await views.add(ann, Page.POSITIONS, f"View {n}", "", shared=False, now_ns=1)
    with pytest.raises(ViewConflictError, match="remove one first"):
        await views.add(ann, Page.POSITIONS, "One more", "", shared=False, now_ns=1)
    views.close()
    again = ViewStore(url)
    found, default = await again.of(ann, Page.POSITIONS)
    assert (len(found), default) == (MOST, made.id)
    assert made in found
    again.close()
