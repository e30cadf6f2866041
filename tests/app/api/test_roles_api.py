"""Who may only read changes nothing, whatever the document offers; a token for some clients is let in nowhere by accident."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.identity import Identity, Role, issue_token
from tests.app.api.api_world import NOON_NS, Api, read, serving

FOR_CLIENTS = {
    *("locates", "locates/totals", "locates/quotes", "locates/actions", "locates/{id}", "orders", "orders/{id}"),
    *(f"locates/{{id}}/{step}" for step in ("approve", "reject", "ask", "release", "cancel")),
    *(f"orders/{{id}}/{step}" for step in ("amend", "executed", "cancel")),
    *("limits", "limits/{client}/{security}", "history/limits/{client}/{security}"),
    *("positions", "easy-to-borrow", "stream", "securities"),
    *("views", "views/default", "views/{id}", "views/{id}/remove"),
}
"""What a token for some clients may ask, under /api/v1."""
HARMLESS = {"rules/{document}/versions/{version}/test", "rules/{document}/versions/{version}/dry-run"}
"""They change nothing."""
OWN = ("views", "alerts")
"""What a person keeps for himself, and anybody may: it changes nothing of the desk."""
OPEN = {"schemas", "schemas/{feed}"}


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as made:
        yield made


def _token(api: Api, roles: frozenset[Role], *clients: str) -> str:
    who = Identity("carl", roles, frozenset(clients) if clients else None)
    return issue_token(api.settings.secret, who, 600, NOON_NS / 1e9)


async def _operations(api: Api) -> list[tuple[str, str, str]]:
    """Method, path as the document has it, and a path of that form."""
    paths = read(await api.get("/api/v1/openapi.json"))["paths"]
    return [
        (method.upper(), path.removeprefix("/api/v1/"), re.sub(r"\{[a-z_]+\}", "1", path))
        for path, operations in paths.items()
        for method in operations
    ]


@pytest.mark.parametrize("roles", [frozenset(), frozenset({Role.COMPLIANCE})])
async def test_who_may_only_read_changes_nothing(api: Api, roles: frozenset[Role]) -> None:
    posts = [each for each in await _operations(api) if each[0] != "GET"]
    changing = [each for each in posts if each[1] not in HARMLESS and not each[1].startswith(OWN)]
    assert len(changing) > 20
    for method, name, path in changing:
        code = (await api.call(method, path, {}, token=_token(api, roles))).code
        # the desk of rules looks at what is asked first
        assert code == 403 or (name.startswith("rules/") and code in {404, 422}), (name, code)


async def test_a_token_for_some_clients_is_not_told_what_everybody_draws_on(api: Api) -> None:
    token, line = _token(api, frozenset(Role), "FUND1"), {"security": "S1", "client": "FUND1", "quantity": 100}
    quoted = await api.call("POST", "/api/v1/locates/quotes", line, token=token)
    decided = await api.call("POST", "/api/v1/locates", line, token=token)
    assert (quoted.code, read(quoted)["pool"], read(quoted)["approved"]) == (200, None, 100)
    assert not [name for name in read(decided) if name.startswith("pool")]


async def test_a_token_for_some_clients_is_let_in_only_where_clients_are_told_apart(api: Api) -> None:
    token = _token(api, frozenset(Role), "FUND1")
    let_in = {
        name
        for method, name, path in await _operations(api)
        if name not in OPEN and (await api.call(method, path, {} if method != "GET" else None, token=token)).code != 403
    }
    assert let_in == FOR_CLIENTS
