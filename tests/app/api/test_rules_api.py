"""Rules over REST: who may do what, every problem with its place, and the machine follows."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from app.identity import Identity, Role, issue_token, read_token
from app.rules_desk import LOCATES, TESTED_LINES, TESTED_NS
from app.users_store import Users
from tests.app.api.api_world import NOON_NS, Api, read, serving
from tests.app.journal_urls import STORES, journal_url

PEOPLE = {
    "anna": frozenset({Role.TRADER}),
    "otto": frozenset({Role.OPS}),
    "bob": frozenset({Role.ADMIN}),
    "carl": frozenset({Role.COMPLIANCE}),
    "eve": frozenset(Role),
}

DRY_RUN: dict[str, Any] = dict.fromkeys(LOCATES, 0) | {"lines": []}


class Desk:
    """People who ask the API for rules; an analyst that answers what it is told to."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.secret = api.settings.secret
        self.found: dict[str, Any] = {
            "took_ms": 5.0,
            "securities_changed": 1,
            "rows_read": 5,
            "totals": {"for_loan": {"before": 1, "after": 2}},
            "securities": [{"security": "S1", "changes": {}}],
            "under_water": [{"security": "S1", "remaining_before": 400, "remaining_after": -100, "located": 600}],
        }
        self.status = 200
        self.asked: list[dict[str, Any]] = []
        self.parties: list[dict[str, Any]] = []
        self.dry_run: dict[str, Any] = {}

    def token(self, who: str, ttl_s: float = 600) -> str:
        return issue_token(self.secret, Identity(who, PEOPLE[who]), ttl_s, NOON_NS / 1e9)

    async def get(self, path: str, who: str = "carl") -> Any:
        answer = await self.api.call("GET", f"/api/v1/rules{path}", token=self.token(who))
        assert answer.code == 200, answer.body
        return read(answer)

    async def post(self, path: str, body: Any = None, who: str = "anna") -> HTTPResponse:
        return await self.api.call("POST", f"/api/v1/rules{path}", {} if body is None else body, token=self.token(who))

    async def done(self, path: str, body: Any = None, who: str = "anna") -> Any:
        answer = await self.post(path, body, who)
        assert answer.code in {200, 201}, answer.body
        return read(answer)

    async def text(self, document: str) -> str:
        active = next(d for d in (await self.get(""))["documents"] if d["document"] == document)["active"]
        return str((await self.get(f"/{document}/versions/{active['version']}"))["text"])

    async def submitted(self, document: str, text: str, who: str = "anna") -> str:
        """The path of a version that waits for its checker."""
        number = (await self.done(f"/{document}/drafts", {"text": text, "comment": "why"}, who))["version"]
        path = f"/{document}/versions/{number}"
        await self.done(f"{path}/test", who=who)
        await self.done(f"{path}/submit", {"comment": "please"}, who)
        return path


class _DryRun(RequestHandler):
    def initialize(self, desk: Desk) -> None:
        self.desk = desk

    def post(self) -> None:
        self.desk.dry_run = msgspec.json.decode(self.request.body)
        self.set_status(self.desk.status)
        self.finish(msgspec.json.encode(DRY_RUN))


class _Analyst(RequestHandler):
    def initialize(self, desk: Desk) -> None:
        self.desk = desk

    def post(self) -> None:
        token = self.request.headers["Authorization"].removeprefix("Bearer ")
        read_token(self.desk.secret, token, time.time())
        asked = msgspec.json.decode(self.request.body)
        self.desk.asked, self.desk.parties = asked["documents"], asked["parties"]
        self.set_status(self.desk.status)
        self.finish(msgspec.json.encode(self.desk.found))


BOTH = pytest.mark.parametrize("database", STORES, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite, where the test does not ask for both."""
    return journal_url(getattr(request, "param", STORES[0]), request, tmp_path)


@pytest.fixture
async def desk(instance: str, tmp_path: Path, database: str) -> AsyncIterator[Desk]:
    async with serving(instance, tmp_path, database=database) as api:
        made = Desk(api)
        server = HTTPServer(Application([("/impact", _Analyst, {"desk": made}), ("/dry-run", _DryRun, {"desk": made})]))
        server.listen(api.settings.analyst_port, "127.0.0.1")
        yield made
        server.stop()
        await server.close_all_connections()


def changed(text: str) -> str:
    """A text of `tw` in which borrowed stock may be lent on after all: half of it."""
    return text.replace("    weight: 0\n", "    weight: 0.5\n", 1)


@BOTH
async def test_a_rule_goes_from_draft_to_the_machine(desk: Desk) -> None:
    text = changed(await desk.text("tw"))
    path = await desk.submitted("tw", text)
    before = desk.api.machine.book
    answer = await desk.done(f"{path}/approve", {"comment": "fine"}, "bob")
    assert (answer["state"], answer["approved_by"], answer["submitted_by"]) == ("active", "bob", "anna")
    assert desk.api.machine.book is not before
    assert {d.name: d.version for d in desk.api.machine.book.documents}["tw"] == 2
    shown = await desk.get(path)
    assert (shown["text"], shown["comment"], shown["author"]) == (text, "why", "anna")
    assert [(s["action"], s["who"]) for s in shown["steps"]][-2:] == [("approve", "bob"), ("activate", "ims")]
    assert shown["rule_versions"]["for_loan.borrowed.tw"] == 2
    assert set(shown["rule_versions"].values()) == {1, 2}
    document = next(d for d in (await desk.get(""))["documents"] if d["document"] == "tw")
    assert (document["active"]["version"], document["drafts"], document["markets"]) == (2, [], ["TW"])
    states = [(v["version"], v["state"]) for v in (await desk.get("/tw/versions"))["versions"]]
    assert states == [(2, "active"), (1, "retired")]


@BOTH
async def test_a_test_asks_the_analyst_for_all_rules_and_names_live_locates(desk: Desk) -> None:
    located = await desk.api.locate(quantity=600)
    text = changed(await desk.text("tw"))
    number = (await desk.done("/tw/drafts", {"text": text}))["version"]
    tested = await desk.done(f"/tw/versions/{number}/test", {"comment": "look"})
    assert {one["name"]: one["version"] for one in desk.asked}["tw"] == number
    assert len(desk.asked) == len(desk.api.machine.book.documents)
    assert tested["version"]["state"] == "tested"
    (water,) = tested["impact"]["under_water"]
    assert water["locates"] == [
        {"id": located["id"], "client": "FUND1", "type": "short", "approved": 600, "decrement": 600}
    ]
    held = {"short_locates": 600, "approved_short_locates": 600}
    assert desk.parties == [{"security": "S1", "scope": "client", "owner": "FUND1", "decided": held}]
    kept = await desk.get(f"/tw/versions/{number}")
    assert kept["impact"]["totals"] == {"for_loan": {"before": 1, "after": 2}}
    assert (kept["impact"]["under_water"], "securities" in kept["impact"]) == (1, False)


@pytest.mark.parametrize(("status", "found"), [(503, {"detail": "no engine"}), (429, {"detail": "busy"}), (500, {})])
async def test_without_an_analyst_nothing_counts_as_tested(desk: Desk, status: int, found: dict[str, Any]) -> None:
    number = (await desk.done("/tw/drafts", {"text": changed(await desk.text("tw"))}))["version"]
    desk.status, desk.found = status, found
    answer = await desk.post(f"/tw/versions/{number}/test")
    assert (answer.code, read(answer)["type"]) == (503, "/api/v1/docs#unavailable")
    assert (await desk.get(f"/tw/versions/{number}"))["state"] == "draft"


async def test_every_problem_of_a_text_is_told_with_its_place(desk: Desk) -> None:
    text = (
        (await desk.text("tw"))
        .replace("weight: 0.3", "weight: lots")
        .replace("input: outstanding", "input: nothing", 1)
    )
    answer = await desk.post("/tw/drafts", {"text": text})
    document = read(answer)
    assert (answer.code, answer.headers["Content-Type"], document["type"]) == (
        422,
        "application/problem+json",
        "/api/v1/docs#rules",
    )
    lines = text.splitlines()
    places = [(e["document"], lines[e["line"] - 1][e["column"] - 1 :]) for e in document["errors"]]
    assert ("tw", "lots") in places
    assert any("nothing" in e["detail"] for e in document["errors"])
    assert all(e["pointer"] == "/text" for e in document["errors"])
    assert (await desk.get("/tw/versions"))["versions"][0]["version"] == 1


async def test_nobody_approves_what_he_made(desk: Desk) -> None:
    path = await desk.submitted("tw", changed(await desk.text("tw")), "eve")
    answer = await desk.post(f"{path}/approve", who="eve")
    assert (answer.code, read(answer)["type"]) == (403, "/api/v1/docs#forbidden")
    assert (await desk.post(f"{path}/approve", who="anna")).code == 403
    assert (await desk.post(f"{path}/reject", {"comment": "no"}, "bob")).code == 200
    assert (await desk.post(f"{path}/approve", who="bob")).code == 409


@BOTH
async def test_two_people_who_approve_at_the_same_instant(desk: Desk) -> None:
    path = await desk.submitted("tw", changed(await desk.text("tw")))
    answers = await asyncio.gather(*(desk.post(f"{path}/approve", who=who) for who in ("bob", "eve")))
    assert sorted(answer.code for answer in answers) == [200, 409]


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status"),
    [
        ("carl", "POST", "/tw/drafts", {"text": "x"}, 403),
        ("bob", "POST", "/tw/drafts", {"text": "x"}, 403),
        ("carl", "POST", "/import", {"text": "x"}, 403),
        ("anna", "POST", "/tw/revert", {"to": 9}, 404),
        ("anna", "POST", "/xx/revert", {"to": 1}, 404),
        ("anna", "POST", "/tw/revert", {"to": 1}, 409),
        ("anna", "POST", "/tw/revert", {"to": 0}, 422),
        ("anna", "POST", "/tw/revert", {}, 422),
        ("anna", "POST", "/tw/drafts", {"text": 7}, 422),
        ("anna", "POST", "/tw/drafts", {"texts": "x"}, 422),
        ("anna", "POST", "/tw/drafts", b"{", 400),
        ("anna", "POST", "/audit/drafts", {"text": "x"}, 422),
        ("anna", "POST", "/tw/versions/1/submit", {}, 409),
        ("anna", "POST", "/tw/versions/1/submit", {"comment": "x" * 2_001}, 422),
        ("anna", "POST", "/tw/versions/1/publish", {}, 404),
        ("anna", "GET", "/tw/versions/x", None, 404),
        ("anna", "GET", "/tw/versions/2", None, 404),
        ("anna", "GET", "/xx/versions", None, 404),
        ("anna", "GET", "/tw/diff?from=1&to=7", None, 404),
        ("anna", "GET", "/tw/diff?from=x", None, 422),
        ("anna", "GET", "/audit?limit=0", None, 422),
        ("anna", "DELETE", "/tw/versions", None, 405),
    ],
)
async def test_what_cannot_be_is_a_problem_document(
    desk: Desk, who: str, method: str, path: str, body: Any, status: int
) -> None:
    answer = await desk.api.call(method, f"/api/v1/rules{path}", body, token=desk.token(who))
    assert (answer.code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.body


async def test_tokens_that_are_wrong_old_or_of_nobody_are_refused(desk: Desk) -> None:
    api = desk.api
    old = issue_token(desk.secret, Identity("anna", PEOPLE["anna"]), 5, NOON_NS / 1e9 - 5)
    forged = issue_token("another secret", Identity("anna", PEOPLE["anna"]), 500, NOON_NS / 1e9)
    machine = issue_token(desk.secret, Identity("api", frozenset(Role)), 500, NOON_NS / 1e9)
    for token in ("", "x", old, forged, machine):
        answer = await api.call("GET", "/api/v1/rules", token=token)
        assert answer.code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await api.call("GET", "/api/v1/rules", token=api.token)).code == 200


async def test_a_user_who_is_removed_is_out_with_every_token(desk: Desk) -> None:
    users = Users(desk.api.settings.folder / "users.json")
    users.add("anna", "correct horse", [Role.TRADER])
    users.add("eve", "correct horse", [Role.COMPLIANCE])
    assert (await desk.post("/tw/drafts", {"text": "x"}, "eve")).code == 403
    assert (await desk.post("/tw/drafts", {"text": "x"}, "anna")).code == 422
    assert (await desk.post("/tw/drafts", {"text": "x"}, "bob")).code == 401
    users.remove("anna")
    assert (await desk.post("/tw/drafts", {"text": "x"}, "anna")).code == 401
    users.close()


async def test_locates_are_asked_for_by_traders_and_ops_only(desk: Desk) -> None:
    line = {"security": "S1", "client": "FUND1", "quantity": 1}
    codes = {who: (await desk.api.call("POST", "/api/v1/locates", line, token=desk.token(who))).code for who in PEOPLE}
    assert codes == {"anna": 200, "otto": 200, "bob": 403, "carl": 403, "eve": 200}
    ended = await desk.api.call("POST", "/api/v1/locates/L0000000001/release", {}, token=desk.token("carl"))
    assert ended.code == 403
    assert (await desk.api.call("GET", "/api/v1/locates", token=desk.token("carl"))).code == 200


async def test_idempotency_keys_are_each_persons_own(desk: Desk) -> None:
    line, key = {"security": "S1", "client": "FUND1", "quantity": 1}, {"Idempotency-Key": "k"}
    answers = [
        read(await desk.api.call("POST", "/api/v1/locates", line, key, token=desk.token(who)))["id"]
        for who in ("anna", "otto", "anna")
    ]
    assert answers[0] == answers[2] != answers[1]


async def test_a_diff_shows_what_two_versions_differ_in(desk: Desk) -> None:
    await desk.done("/tw/drafts", {"text": changed(await desk.text("tw"))})
    for query in ("", "?from=1&to=2"):
        answer = await desk.api.call("GET", f"/api/v1/rules/tw/diff{query}", token=desk.token("carl"))
        lines = answer.body.decode().splitlines()
        assert lines[:2] == ["--- tw 1", "+++ tw 2"]
        assert [line for line in lines[2:] if line[0] in "+-"] == ["-    weight: 0", "+    weight: 0.5"]


@BOTH
async def test_what_is_exported_comes_back_byte_for_byte(desk: Desk) -> None:
    token = desk.token("otto")
    yaml = {"Content-Type": "application/yaml"}
    out = await desk.api.call("GET", "/api/v1/rules/export", token=token)
    assert out.headers["Content-Type"] == "application/yaml"
    same = await desk.api.call("POST", "/api/v1/rules/import", out.body, yaml, token=token)
    assert (same.code, read(same)) == (200, {"versions": []})
    edited = out.body.replace(b"volume_30d\n    weight: 0.3\n", b"volume_30d\n    weight: 0.2  # by letter\n")
    assert edited != out.body
    made = await desk.api.call("POST", "/api/v1/rules/import?comment=letter", edited, yaml, token=token)
    (version,) = read(made)["versions"]
    assert (made.code, version["document"], version["state"], version["comment"]) == (201, "tw", "draft", "letter")
    path = f"/tw/versions/{version['version']}"
    await desk.done(f"{path}/test", who="otto")
    await desk.done(f"{path}/submit", who="otto")
    await desk.done(f"{path}/approve", who="bob")
    assert (await desk.api.call("GET", "/api/v1/rules/export", token=token)).body == edited


async def test_an_import_of_a_newer_format_is_refused_whole(desk: Desk) -> None:
    stream = (await desk.api.call("GET", "/api/v1/rules/export", token=desk.token("otto"))).body.decode()
    newer = stream.replace("weight: 0.3\n", "weight: 0.2\n").replace("format: 1", "format: 2")
    answer = await desk.post("/import", {"text": newer}, "otto")
    problem = read(answer)
    assert (answer.code, problem["type"]) == (422, "/api/v1/docs#rules")
    assert {e["document"] for e in problem["errors"]} >= {d.name for d in desk.api.machine.book.documents}
    lines = newer.splitlines()
    assert all("format" in lines[e["line"] - 1] for e in problem["errors"] if e.get("line"))
    assert all(d["drafts"] == [] for d in (await desk.get(""))["documents"])


@BOTH
async def test_the_audit_goes_on_where_a_page_ended(desk: Desk) -> None:
    await desk.submitted("tw", changed(await desk.text("tw")))
    first = await desk.get("/audit?document=tw&limit=3")
    assert [step["action"] for step in first["steps"]] == ["submit", "test", "draft"]
    rest = await desk.get(f"/audit?document=tw&limit=3&cursor={first['next_cursor']}")
    assert ([step["action"] for step in rest["steps"]], rest["next_cursor"]) == (["ship"], None)


async def test_a_revert_is_a_new_version_with_the_old_text(desk: Desk) -> None:
    old = await desk.text("tw")
    await desk.done(f"{await desk.submitted('tw', changed(old))}/approve", who="bob")
    answer = await desk.done("/tw/revert", {"to": 1, "comment": "back"})
    assert (answer["version"], answer["reverted_to"], answer["state"]) == (3, 1, "draft")
    assert (await desk.get("/tw/versions/3"))["text"] == old


async def test_a_text_without_its_last_line_end_gets_one(desk: Desk) -> None:
    text = changed(await desk.text("tw"))
    number = (await desk.done("/tw/drafts", {"text": text.rstrip("\n")}))["version"]
    assert (await desk.get(f"/tw/versions/{number}"))["text"] == text


async def test_terms_that_rules_of_locates_name_cannot_go(desk: Desk) -> None:
    stream = (await desk.api.call("GET", "/api/v1/rules/export", token=desk.token("otto"))).body.decode()
    calculations, mark, locates = stream.partition("document: locates")
    draft = calculations.replace("external_firm", "firm_offers") + mark + locates
    answer = await desk.post("/import", {"text": draft}, "otto")
    (problem,) = read(answer)["errors"]
    assert (answer.code, problem["document"]) == (422, "locates")
    assert "no term 'external_firm'" in problem["detail"]
    assert "within_terms: [exclusive, external_firm]" in draft.splitlines()[problem["line"] - 1]


async def test_the_openapi_document_knows_rules(desk: Desk) -> None:
    document = read(await desk.api.call("GET", "/api/v1/openapi.json", token=""))
    assert "post" in document["paths"]["/api/v1/rules/{document}/drafts"]
    assert document["components"]["schemas"]["RuleVersion"]["required"]


async def test_a_dry_run_asks_for_the_period_and_the_form_that_are_wanted(desk: Desk) -> None:
    path = "/locates/versions/1/dry-run"
    assert (await desk.get(path))["lines"] == []
    asked = desk.dry_run
    assert asked["until_ns"] - asked["since_ns"] == TESTED_NS
    assert (asked["lines"], asked["form"]) == (TESTED_LINES, "application/json")
    headers = {"Accept": "text/csv"}
    query = "?from=2024-10-01&to=2024-10-02&limit=7"
    answer = await desk.api.call("GET", f"/api/v1/rules{path}{query}", token=desk.token("carl"), headers=headers)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "dry-run.csv" in answer.headers["Content-Disposition"]
    day = 86_400 * 10**9
    assert (desk.dry_run["since_ns"] % day, desk.dry_run["until_ns"] - desk.dry_run["since_ns"]) == (0, 2 * day)
    assert (desk.dry_run["lines"], desk.dry_run["form"]) == (7, "text/csv")
    assert [document["name"] for document in desk.dry_run["documents"]][-1] == "locates"


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("/locates/versions/9/dry-run", "", 404),
        ("/locates/versions/x/dry-run", "", 404),
        ("/locates/versions/1/dry-run", "image/png", 406),
        ("/locates/versions/1/dry-run?from=yesterday", "", 422),
        ("/locates/versions/1/dry-run?from=2024-10-02&to=2024-10-01", "", 422),
        ("/locates/versions/1/dry-run?to=9999-12-31", "", 422),
        ("/locates/versions/1/dry-run?limit=100001", "", 422),
        ("/locates/versions/1/dry-run?since=2024-10-02", "", 422),
    ],
)
async def test_a_dry_run_that_cannot_be_had_says_why(desk: Desk, path: str, accept: str, code: int) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = await desk.api.call("GET", f"/api/v1/rules{path}", token=desk.token("carl"), headers=headers)
    assert (answer.code, desk.dry_run) == (code, {})


async def test_rules_and_dry_runs_are_not_for_tokens_of_some_clients(desk: Desk) -> None:
    token = issue_token(desk.secret, Identity("eve", PEOPLE["eve"], frozenset({"FUND1"})), 600, NOON_NS / 1e9)
    for path in ("", "/locates/versions/1", "/locates/versions/1/dry-run"):
        assert (await desk.api.call("GET", f"/api/v1/rules{path}", token=token)).code == 403


async def test_rules_of_locates_decide_from_their_activation_on(desk: Desk) -> None:
    text = await desk.text("locates")
    first = "decisions:\n"
    stop = "  - {id: nobody, clients: [FUND1], priority: 50, action: reject, reason: client_ineligible}\n"
    path = await desk.submitted("locates", text.replace(first, first + stop))
    assert (await desk.api.locate(quantity=1))["state"] == "approved"
    await desk.done(f"{path}/approve", who="bob")
    refused = await desk.api.locate(quantity=1)
    assert (refused["state"], refused["reason"]) == ("rejected", "client_ineligible")
    evidence = await desk.api.call("GET", f"/api/v1/locates/{refused['id']}/evidence")
    assert '"nobody","version":2' in evidence.body.decode().replace(" ", "")


async def test_a_market_that_there_is_not_is_a_problem_where_it_stands(desk: Desk) -> None:
    text = (await desk.text("locates")).replace("markets: [US]", "markets: [ZZ]", 1)
    (problem,) = read(await desk.post("/locates/drafts", {"text": text}))["errors"]
    assert "no market 'ZZ'" in problem["detail"]
    assert "[ZZ]" in text.splitlines()[problem["line"] - 1]
