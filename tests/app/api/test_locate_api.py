"""Programs get locates over REST: decided once, written before they are answered, every error saying what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.api import server
from app.identity import Identity, Role, issue_token
from app.journal import JournalError
from engine.holdings import ALL
from engine.locates import LIMIT
from engine.model import Decided
from engine.tables import Word
from tests.app.api.api_world import NOON_NS, Api, fill, read, serving, set_ready
from tests.app.journal_urls import STORES, journal_url

ORDER = {"order": "O1", "security": "S1", "client": "FUND1", "book": "B1", "side": "long", "quantity": 1}


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
async def api(instance: str, tmp_path: Path, database: str) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, database=database) as made:
        yield made


def _ops(api: Api) -> str:
    return issue_token(api.settings.secret, Identity("olga", frozenset({Role.OPS})), 600, NOON_NS / 1e9)


def left(api: Api, security: int = 1) -> int:
    return api.machine.inventory.left(security)


async def test_a_locate_is_answered_with_what_it_was_decided_on(api: Api) -> None:
    answer = await api.locate(quantity=600, reference="order-17/1", requested_by="anna", comment="für Freitag")
    assert answer["id"] == "L0000000001"
    assert (answer["state"], answer["approved"], answer["decrement"], answer["remaining"]) == (
        "approved",
        600,
        600,
        600,
    )
    assert answer["reason"] is None
    assert (answer["security"], answer["rate"], answer["reference"]) == ("S1", 1.25, "order-17/1")
    assert (answer["requested_by"], answer["comment"]) == ("anna", "für Freitag")
    assert answer["decision"] == {"by": "auto", "rule": "up-to-the-pool", "version": 1, "user": ""}
    assert answer["expires_at"] == "2024-10-04T20:00:00Z"
    assert left(api) == 400
    kept = read(await api.get("/api/v1/locates/L0000000001"))
    assert kept == answer
    history = read(await api.get(answer["evidence"]))
    (step,) = history["transitions"]
    assert step["evidence"]["terms"]["firm_long"] == 1_000
    assert (step["evidence"]["pool_before"], step["evidence"]["pool_after"]) == (1_000, 400)
    assert step["evidence"]["decrement_rule"]["id"] == "us-hard-to-borrow-once"


@pytest.mark.parametrize("name", ["S1", "US0378331005", "T1@US"])
async def test_a_security_is_known_by_every_name(api: Api, name: str) -> None:
    answer = await api.locate(name)
    assert (answer["security"], answer["asked_as"], answer["state"]) == ("S1", name, "approved")


async def test_a_security_that_nobody_knows_is_a_rejection(api: Api) -> None:
    answer = await api.locate("T1000")
    assert (answer["state"], answer["reason"], answer["expires_at"]) == ("rejected", "security_not_found", None)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"security": "T1", "market": "XNYS"}, "S1"),
        ({"security": "T1", "market": "United States", "identifier_type": "ticker"}, "S1"),
        ({"security": "T3@Taiwan", "identifier_type": "ticker"}, "S3"),
        ({"security": "us0378331005", "identifier_type": "isin"}, "S1"),
        ({"security": "S1", "identifier_type": "code"}, "S1"),
        ({"security": "S1", "identifier_type": "ticker", "market": "US"}, None),
    ],
)
async def test_a_security_is_named_by_kind_and_market(api: Api, named: dict[str, Any], code: str | None) -> None:
    answer = await api.locate(**named)
    assert (answer["state"], answer["reason"]) == (("approved", None) if code else ("rejected", "security_not_found"))
    assert (answer["security"], answer["asked_as"]) == (code or "S1@US", named["security"])


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ({"security": "T1"}, "/market"),
        ({"security": "T1", "identifier_type": "ticker"}, "/market"),
        ({"security": "T1", "market": "Atlantis"}, "/market"),
        ({"security": "US0378331006", "identifier_type": "isin"}, "/security"),
        ({"minimum_quantity": 101}, "/minimum_quantity"),
        ({"good_for": "2024-10-03"}, "/good_for"),
        ({"security": "US0378331005", "market": "TW"}, "/market"),
        ({"good_for": "2094-10-05"}, "/good_for"),
    ],
)
async def test_what_cannot_be_used_is_named_and_nothing_of_the_list_is_decided(
    api: Api, line: dict[str, Any], at: str
) -> None:
    good = {"security": "S1", "client": "FUND1", "quantity": 100}
    for path in ("locates", "locates/quotes"):
        one = await api.call("POST", f"/api/v1/{path}", good | line)
        many = await api.call("POST", f"/api/v1/{path}", [good, good | line])
        assert [(a.code, [e["pointer"] for e in read(a)["errors"]]) for a in (one, many)] == [
            (422, [at]),
            (422, [f"/1{at}"]),
        ]
    assert left(api) == 1_000


async def test_less_than_the_minimum_and_dearer_than_the_maximum_is_of_no_use(api: Api) -> None:
    """S1 costs 1.25% a year."""
    few = await api.locate(quantity=1_500, minimum_quantity=1_001)
    assert (few["state"], few["reason"]) == ("rejected", "insufficient_inventory")
    dear = await api.locate(max_rate=1.2)
    assert (dear["state"], dear["reason"], dear["rate"]) == ("rejected", "rate_exceeded", 1.25)
    waiting = await api.locate(max_rate=1.2, on_insufficient="pend")
    refused = await api.call("POST", f"/api/v1/locates/{waiting['id']}/approve", {}, token=_ops(api))
    assert (waiting["state"], refused.code) == ("pending", 409)
    assert (await api.locate(quantity=1_500, minimum_quantity=1_000, max_rate=1.25))["approved"] == 1_000


async def test_a_locate_is_good_for_the_day_it_is_asked_for(api: Api) -> None:
    made = await api.locate(good_for="2024-10-07")
    assert (made["good_for"], made["expires_at"]) == ("2024-10-07", "2024-10-07T20:00:00Z")


async def test_a_quote_says_what_a_locate_would_and_holds_nothing(api: Api) -> None:
    line = {"security": "T1@US", "client": "FUND1", "quantity": 1_500}
    quote = read(await api.call("POST", "/api/v1/locates/quotes", line))
    assert left(api) == 1_000
    made = read(await api.post(line))
    same = ("state", "reason", "security", "asked_as", "approved", "decrement", "decision", "rate", "fee", "as_of")
    assert {name: quote[name] for name in same} == {name: made[name] for name in same}
    assert (quote["pool"], quote["quoted_at"], quote["expires_at"]) == (
        1_000,
        "2024-10-04T15:00:00Z",
        "2024-10-04T15:00:30Z",
    )


async def test_a_list_is_answered_line_by_line_and_207_where_they_differ(api: Api) -> None:
    line = {"client": "FUND1", "quantity": 600}
    both = await api.post([{"security": "S1", **line}, {"security": "S4", **line}])
    assert both.code == 207
    assert [(a["state"], a["reason"]) for a in read(both)] == [("approved", None), ("rejected", "restricted_list")]
    rest = await api.post([{"security": "S1", **line}])
    assert (rest.code, [a["approved"] for a in read(rest)]) == (200, [400])
    waiting = await api.post({"security": "S1", "on_insufficient": "pend", **line})
    assert (waiting.code, read(waiting)["state"]) == (202, "pending")


async def test_a_thousand_lines_are_one_request_and_one_more_is_refused(api: Api) -> None:
    line = {"security": "S2", "client": "FUND1", "quantity": 5}
    answer = await api.post([line] * 1_000)
    assert answer.code == 200
    assert len({a["id"] for a in read(answer)}) == 1_000
    refused = await api.post([line] * 1_001)
    assert (refused.code, read(refused)["errors"][0]["pointer"]) == (422, "")
    assert (await api.post([])).code == 422


async def test_requests_at_the_same_instant_never_oversell(api: Api) -> None:
    answers = await asyncio.gather(*(api.locate(quantity=30) for _ in range(100)))
    assert sum(a["approved"] for a in answers) == 1_000
    assert left(api) == 0
    assert api.machine.tables.count(Word.LOCATED_SHARES) == 1_000
    assert api.machine.tables.count(Word.LOCATES_LIVE) == sum(a["approved"] > 0 for a in answers)


@pytest.mark.parametrize("action", ["release", "cancel"])
async def test_an_end_gives_back_once_however_often_it_is_asked_for(api: Api, action: str) -> None:
    made = await api.locate("S3", quantity=600)
    path = f"/api/v1/locates/{made['id']}"
    answers = await asyncio.gather(
        *(api.call("POST", f"{path}/{action}", {"requested_by": "anna", "comment": "done"}) for _ in range(5))
    )
    assert {a.code for a in answers} == {200}
    assert {a.body for a in answers} == {answers[0].body}
    state = {"release": "released", "cancel": "cancelled"}[action]
    assert (read(answers[0])["state"], read(answers[0])["decrement"], read(answers[0])["remaining"]) == (state, 0, 0)
    assert left(api, 3) == 1_000
    other = await api.call("POST", f"{path}/{'cancel' if action == 'release' else 'release'}")
    assert (other.code, read(other)["type"]) == (409, "/api/v1/docs#conflict")
    assert read(await api.get(path))["changed_by"] == "api for anna"
    assert [t["state"] for t in read(await api.get(f"{path}/evidence"))["transitions"]] == ["approved", state]


async def test_hard_to_borrow_stock_of_the_us_is_not_promised_twice_a_day(api: Api) -> None:
    made = await api.locate(quantity=600)
    for _ in range(2):
        ended = read(await api.call("POST", f"/api/v1/locates/{made['id']}/release"))
        assert (ended["state"], ended["decrement"], ended["remaining"], left(api)) == ("released", 600, 0, 400)
    await api.service.tick(NOON_NS + 5 * 3_600 * 10**9)
    assert left(api) == 1_000


async def test_pending_requests_are_served_when_the_pool_grows_before_younger_ones(api: Api) -> None:
    big = await api.locate("S3", quantity=1_000)
    waiting = await api.locate("S3", quantity=700, allow_partial=False, on_insufficient="pend")
    assert api.machine.tables.count(Word.LOCATES_PENDING) == 1
    await api.call("POST", f"/api/v1/locates/{big['id']}/release")
    younger = await api.locate("S3", quantity=700)
    assert (younger["state"], younger["approved"]) == ("partially_approved", 300)
    assert read(await api.get(f"/api/v1/locates/{waiting['id']}"))["state"] == "approved"
    assert left(api, 3) == 0


async def test_locates_expire_at_the_close_of_the_market(api: Api) -> None:
    made = await api.locate(quantity=600)
    close_ns = NOON_NS + 5 * 3_600 * 10**9
    await api.service.tick(close_ns - 1)
    assert left(api) == 400
    await api.service.tick(close_ns)
    assert left(api) == 1_000
    assert read(await api.get(f"/api/v1/locates/{made['id']}"))["state"] == "expired"


async def test_nothing_is_approved_on_stale_inputs(api: Api) -> None:
    api.machine.tables.state[Word.READY] = 0
    waiting = await api.locate()
    assert (waiting["state"], waiting["reason"]) == ("pending", "stale_inputs")
    ready = await api.get("/health/ready")
    assert (ready.code, read(ready)["status"]) == (503, "waiting")
    set_ready(api.machine)
    await api.service.tick(NOON_NS)
    assert read(await api.get(f"/api/v1/locates/{waiting['id']}"))["state"] == "approved"
    assert (await api.get("/health/ready")).code == 200
    assert (await api.get("/health/live")).code == 200


async def test_nobody_is_told_that_there_is_no_such_security_before_all_are_known(api: Api) -> None:
    api.machine.tables.state[Word.READY] = 0
    good, later = ({"security": name, "client": "FUND1", "quantity": 100} for name in ("S1", "S9"))
    for path in ("locates", "locates/quotes"):
        for asked in (later, [good, later]):
            answer = await api.call("POST", f"/api/v1/{path}", asked)
            assert (answer.code, read(answer)["type"]) == (503, "/api/v1/docs#unavailable")
            assert (answer.headers["Retry-After"], "S9 is not known yet" in read(answer)["detail"]) == ("1", True)
    assert read(await api.get("/api/v1/locates"))["locates"] == []
    sale = read(await api.call("POST", "/api/v1/orders", ORDER | {"security": "S9"}))
    assert (sale["state"], sale["reason"]) == ("rejected", "stale_inputs")
    set_ready(api.machine)
    assert (await api.locate("S9"))["reason"] == "security_not_found"


# keys


async def test_a_key_gets_its_first_answer_whatever_has_happened_since(api: Api) -> None:
    body = {"security": "S3", "client": "FUND1", "quantity": 600}
    first = await api.post(body, Idempotency_Key="k1")
    await api.call("POST", f"/api/v1/locates/{read(first)['id']}/release")
    again = await api.post(body, Idempotency_Key="k1")
    assert (again.code, again.body) == (first.code, first.body)
    assert left(api, 3) == 1_000
    other = await api.post({**body, "quantity": 601}, Idempotency_Key="k1")
    assert (other.code, read(other)["type"]) == (422, "/api/v1/docs#key-reused")


async def test_a_key_in_flight_is_decided_once(api: Api) -> None:
    body = {"security": "S1", "client": "FUND1", "quantity": 10}
    answers = await asyncio.gather(*(api.post(body, Idempotency_Key="k1") for _ in range(20)))
    assert {a.code for a in answers} <= {200, 409}
    assert len({a.body for a in answers if a.code == 200}) == 1
    waiting = [a for a in answers if a.code == 409]
    assert all((a.headers["Retry-After"], read(a)["type"]) == ("1", "/api/v1/docs#key-in-flight") for a in waiting)
    assert (await api.post(body, Idempotency_Key="k1")).code == 200
    assert left(api) == 990


async def test_nothing_is_decided_without_a_key(api: Api) -> None:
    for path, body in (("locates", {"security": "S1", "client": "FUND1", "quantity": 10}), ("orders", ORDER)):
        refused = await api.call("POST", f"/api/v1/{path}", body, keyed=False)
        (fault,) = read(refused)["errors"]
        assert (refused.code, fault["header"]) == (400, "Idempotency-Key")
        assert read(refused)["type"] == "/api/v1/docs#key-missing"
    assert left(api) == 1_000


@pytest.mark.parametrize("key", ["", "a b", "x" * 129])
async def test_a_key_that_cannot_be_kept_is_refused(api: Api, key: str) -> None:
    answer = await api.post({"security": "S1", "client": "FUND1", "quantity": 10}, Idempotency_Key=key)
    assert (answer.code, read(answer)["errors"][0]["header"]) == (422, "Idempotency-Key")


async def test_answers_and_keys_survive_a_restart(instance: str, tmp_path: Path, database: str) -> None:
    body = {"security": "S1", "client": "FUND1", "quantity": 600}
    async with serving(instance, tmp_path, database=database) as api:
        first = await api.post(body, Idempotency_Key="k1")
    async with serving(instance, tmp_path, database=database) as api:
        assert left(api) == 400
        again = await api.post(body, Idempotency_Key="k1")
        assert (again.code, again.body) == (first.code, first.body)
        assert read(await api.get(f"/api/v1/locates/{read(first)['id']}")) == read(first)
        assert (await api.locate(quantity=600))["approved"] == 400


async def test_locates_are_held_before_their_securities_are_known_again(
    instance: str, tmp_path: Path, database: str
) -> None:
    async with serving(instance, tmp_path, database=database) as api:
        await api.locate(quantity=600)
    async with serving(instance, tmp_path, lambda _machine: None, database) as api:
        fill(api.machine)
        assert (await api.locate(quantity=600))["approved"] == 400


# the journal


async def test_what_cannot_be_written_is_not_granted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_changes: Any, _answer: Any, told: Any) -> None:
        asyncio.get_running_loop().call_soon(told, JournalError("the disk is full"))

    kept = await api.locate(quantity=100)
    monkeypatch.setattr(api.service.journal, "hand_over", broken)
    refused = await api.post({"security": "S1", "client": "FUND1", "quantity": 600}, Idempotency_Key="k1")
    assert (refused.code, refused.headers["Retry-After"]) == (503, "1")
    assert "the disk is full" in read(refused)["detail"]
    ended = await api.call("POST", f"/api/v1/locates/{kept['id']}/release")
    assert ended.code == 503
    assert left(api) == 900
    await api.service.tick(NOON_NS + 5 * 3_600 * 10**9)
    assert left(api) == 900
    monkeypatch.undo()
    again = await api.post({"security": "S1", "client": "FUND1", "quantity": 600}, Idempotency_Key="k1")
    assert (again.code, read(again)["approved"]) == (200, 600)
    assert (await api.call("POST", f"/api/v1/locates/{kept['id']}/release")).code == 200


async def test_a_broken_invariant_stops_the_desk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.machine.inventory.set_decided(1, Decided.SHORT_LOCATES, 5)
    api.service.desk._holdings._counts["S1", ALL] = {Decided.SHORT_LOCATES: 7}
    made = await api.locate("S2", quantity=1)
    assert made["state"] == "approved"
    monkeypatch.setattr(api.machine.inventory, "set_decided", lambda _security, _what, _total: None)
    assert (await api.post({"security": "S1", "client": "FUND1", "quantity": 1})).code == 500
    refused = await api.post({"security": "S2", "client": "FUND1", "quantity": 1})
    assert refused.code == 503
    assert (await api.get("/health/ready")).code == 503
    with pytest.raises(Exception, match="short_locates"):
        await api.service.tick(NOON_NS)
    api.service.desk._holdings._counts.clear()


# lists


async def test_lists_are_filtered_and_paged(api: Api) -> None:
    for number in range(7):
        await api.locate(("S1", "S2")[number % 2], client=f"FUND{number % 3 + 1}")

    async def ids(query: str) -> list[int]:
        return [int(a["id"][1:]) for a in read(await api.get(f"/api/v1/locates?{query}"))["locates"]]

    assert await ids("") == [7, 6, 5, 4, 3, 2, 1]
    assert await ids("client=FUND1") == [7, 4, 1]
    assert await ids("security=US0378331005&client=FUND1") == [7, 1]
    assert await ids("state=rejected") == []
    assert await ids("date=2024-10-04&limit=1") == [7]
    assert await ids("date=2024-10-05") == []
    page = read(await api.get("/api/v1/locates?limit=4"))
    assert page["next_cursor"] == "L0000000004"
    assert await ids(f"limit=4&cursor={page['next_cursor']}") == [3, 2, 1]
    assert read(await api.get("/api/v1/locates?limit=7"))["next_cursor"] is None


async def test_a_wrong_query_names_every_parameter(api: Api) -> None:
    answer = await api.get("/api/v1/locates?state=gone&limit=0&cursor=x&date=2024-13-01&colour=red")
    assert answer.code == 422
    assert {e["parameter"] for e in read(answer)["errors"]} == {"state", "limit", "cursor", "date", "colour"}


async def test_availability_shows_what_is_there_by_any_name(api: Api) -> None:
    await api.locate(quantity=600)
    shown = read(await api.get("/api/v1/availability/T1@US"))
    assert (shown["security"], shown["isin"], shown["name"]) == ("S1", "US0378331005", "First & Co")
    assert (shown["pool"], shown["located"], shown["left"]) == (1_000, 600, 400)
    assert (shown["lend"], shown["settle_day"]) == ([1_000] * 5, 1)
    assert (shown["temperature"], shown["fee_percent"], shown["at_least"]) == ("HTB", 1.25, False)
    assert (shown["pool_long"], shown["left_long"]) == (1_000, 1_000)
    assert shown["terms"]["firm_long"] == 1_000
    catalogue = api.machine.tables.catalogue
    ours = {info.name: info for info in catalogue.calculations if info.scope == "security"}
    assert shown["calculations"].keys() == ours.keys()
    played = {info.role: shown["calculations"][name] for name, info in ours.items()}
    assert (played["lend"], played["pool_short"][1], played["left_short"][1]) == ([1_000] * 5, 1_000, 400)
    assert shown["as_of"] is not None
    missing = await api.get("/api/v1/availability/T1")
    assert (missing.code, read(missing)["type"]) == (404, "/api/v1/docs#not-found")


async def test_availability_is_listed_by_market_and_temperature_page_by_page(api: Api) -> None:
    async def codes(query: str) -> list[str]:
        return [shown["security"] for shown in read(await api.get(f"/api/v1/availability?{query}"))["securities"]]

    assert await codes("") == ["S1", "S2", "S3", "S4", "S5"]
    assert await codes("market=US") == ["S1", "S2", "S4"]
    assert await codes("market=US&temperature=GC") == ["S2"]
    page = read(await api.get("/api/v1/availability?market=US&limit=2"))
    assert page["next_cursor"] == "2"
    assert await codes("market=US&limit=2&cursor=2") == ["S4"]
    assert page["securities"][0] == read(await api.get("/api/v1/availability/S1")) | {
        "now": page["securities"][0]["now"]
    }
    wrong = await api.get("/api/v1/availability?market=XX&temperature=hot&limit=0&cursor=-1&x=1")
    assert {e["parameter"] for e in read(wrong)["errors"]} == {"market", "temperature", "limit", "cursor", "x"}


async def test_a_load_balancer_may_ask_by_head(api: Api) -> None:
    answer = await api.call("HEAD", "/health/ready", token="")
    assert (answer.code, answer.body) == (200, b"")


# errors


async def test_every_wrong_field_is_named_with_its_pointer(api: Api) -> None:
    answer = await api.post(
        [
            {"security": "S1", "client": "C", "quantity": 1},
            {"security": "", "quantity": 1.0, "type": "sideways", "a/b~c": 1, "comment": "x\ty"},
            7,
        ]
    )
    assert (answer.code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    document = read(answer)
    assert (document["status"], document["title"]) == (422, "Unprocessable Entity")
    assert {e["pointer"] for e in document["errors"]} == {
        "/1/security",
        "/1/client",
        "/1/quantity",
        "/1/type",
        "/1/a~1b~0c",
        "/1/comment",
        "/2",
    }
    assert left(api) == 1_000


@pytest.mark.parametrize("quantity", [0, -1, 1.0, 1e3, 2**63, 2**70, "7", True, None, [1]])
async def test_a_quantity_is_a_whole_number_above_zero(api: Api, quantity: Any) -> None:
    answer = await api.post({"security": "S1", "client": "C", "quantity": quantity})
    assert (answer.code, read(answer)["errors"][0]["pointer"]) == (422, "/quantity")


async def test_the_largest_quantity_is_a_number_like_any_other(api: Api) -> None:
    answer = await api.locate(quantity=LIMIT)
    assert (answer["state"], answer["approved"]) == ("partially_approved", 1_000)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"security":"\xff"}', b"[1,", b"nul", b'{"security":"\\ud800"}', b"[" * 5_000]
)
async def test_what_is_not_json_is_refused(api: Api, body: bytes) -> None:
    answer = await api.post(body)
    assert (answer.code, read(answer)["type"]) == (400, "/api/v1/docs#malformed")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (b'{"security":"S1","client":"FUND1","quantity":1,"quantity":900}', ["/quantity"]),
        (b'{"security":"S1","client":"FUND1","quantity":1,"quantit\\u0079" : 900}', ["/quantity"]),
        (
            b'[{"client":"A","client":"B","client":"C","quantity":1},{"client":"a:b","quantity":1},'
            b'{"client":"A","quantity":1,"quantity":1}]'.replace(b"{", b'{"security":"S1",'),
            ["/0/client", "/0/client", "/2/quantity"],
        ),
    ],
)
async def test_a_field_that_is_said_twice_is_refused_where_it_stands(api: Api, body: bytes, at: list[str]) -> None:
    answer = await api.post(body)
    assert (answer.code, [each["pointer"] for each in read(answer)["errors"]]) == (422, at)
    assert left(api) == 1_000
    spoken = {"security": "S1", "client": 'a:"quantity":b', "quantity": 1, "comment": '"client": "x", "client": ü'}
    assert (await api.post(spoken)).code == 200


async def test_a_step_that_says_a_field_twice_is_refused(api: Api) -> None:
    made = await api.locate()
    answer = await api.call("POST", f"/api/v1/locates/{made['id']}/release", b'{"comment":"a","comment":"b"}')
    assert (answer.code, read(answer)["errors"]) == (422, [{"detail": "Said more than once", "pointer": "/comment"}])


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/api/v1/nothing", {}, None, 404),
        ("DELETE", "/nothing", {}, None, 404),
        ("GET", "/api/v1/locates/L1", {}, None, 404),
        ("GET", "/api/v1/locates/L0000000009", {}, None, 404),
        ("GET", "/api/v1/locates/L0000000009/evidence", {}, None, 404),
        ("POST", "/api/v1/locates/L0000000009/release", {}, None, 404),
        ("POST", "/api/v1/locates/L9999999999999999999/release", {}, None, 404),
        ("DELETE", "/api/v1/locates", {}, None, 405),
        ("GET", "/api/v1/availability/%ff", {}, None, 400),
        ("PATCH", "/health/live", {}, None, 405),
        ("BREW", "/api/v1/locates", {}, None, 405),
        ("POST", "/api/v1/availability/S1", {}, b"{}", 405),
        ("POST", "/api/v1/locates", {"Content-Type": "text/csv"}, b"{}", 415),
        ("POST", "/api/v1/locates", {}, b" " * ((1 << 20) + 1), 413),
        ("POST", "/api/v1/locates", {"Authorization": "Bearer wrong"}, b"{}", 401),
        ("POST", "/api/v1/locates", {"Authorization": "Basic wrong"}, b" " * ((1 << 20) + 1), 401),
        ("POST", "/api/v1/locates/L0000000009/release", {}, b'{"x":1}', 422),
    ],
)
async def test_every_error_is_a_problem_document(
    api: Api,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await api.call(method, path, body, headers)
    assert (answer.code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    document = read(answer)
    assert (document["status"], document["instance"]) == (status, path)
    if status == 405:
        assert "GET" in answer.headers["Allow"] or "POST" in answer.headers["Allow"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert not [each for each in caplog.records if each.name.startswith("tornado") and each.exc_info]


@pytest.mark.parametrize("path", ["/api/v1/locates", "/api/v1/locates/L0000000001", "/api/v1/availability/S1"])
@pytest.mark.parametrize("token", ["", "wrong", "é"])
async def test_nothing_is_told_without_the_token(api: Api, path: str, token: str) -> None:
    assert (await api.call("GET", path, token=token)).code == 401


async def test_an_error_of_the_program_is_a_500_that_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.service.decisions, "submit", None)
    answer = await api.post({"security": "S1", "client": "C", "quantity": 1})
    assert (answer.code, read(answer)["type"], read(answer).get("detail")) == (500, "/api/v1/docs#internal", None)


async def test_a_body_that_never_comes_loses_its_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.settings.api_port)
    writer.write(b"POST /api/v1/locates HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    tick = asyncio.create_task(_tick_for_ever(api))
    assert await reader.read() == b""
    tick.cancel()
    writer.close()
    assert (await api.locate())["state"] == "approved"


async def test_a_connection_without_requests_is_closed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.settings.api_port)
    tick = asyncio.create_task(_tick_for_ever(api))
    assert await reader.read() == b""
    tick.cancel()
    writer.close()


async def _tick_for_ever(api: Api) -> None:
    while True:
        await api.service.tick(NOON_NS)
        await asyncio.sleep(0.01)


# documents


async def test_the_openapi_document_is_made_from_the_types(api: Api) -> None:
    answer = await api.call("GET", "/api/v1/openapi.json", token="")
    document = read(answer)
    assert document["openapi"].startswith("3.1")
    line = document["components"]["schemas"]["LocateRequest"]
    assert line["required"] == ["security", "client", "quantity"]
    assert line["additionalProperties"] is False
    assert line["properties"]["quantity"]["maximum"] == LIMIT
    text = answer.body.decode()
    for name in msgspec.json.decode(msgspec.json.encode([p["$ref"] for p in _refs(document)])):
        at = document
        for part in name.removeprefix("#/").split("/"):
            at = at[part]
    assert "://" not in text.replace("https://hooks.example.com/", ""), "only the example of a webhook names a host"


def _refs(value: Any) -> list[Any]:
    if isinstance(value, dict):
        inner = [found for part in value.values() for found in _refs(part)]
        return [value, *inner] if "$ref" in value else inner
    return [found for part in value for found in _refs(part)] if isinstance(value, list) else []


async def test_the_page_of_the_document_needs_no_internet(api: Api) -> None:
    page = await api.call("GET", "/api/v1/docs", token="")
    assert page.headers["Content-Type"].startswith("text/html")
    for name in ("docs.js", "docs.css"):
        assert f'"/api/v1/{name}"' in page.body.decode()
        part = await api.call("GET", f"/api/v1/{name}", token="")
        assert part.code == 200
        assert b"://" not in part.body
    assert b"://" not in page.body


async def test_metrics_count_events_locates_and_their_latency(api: Api) -> None:
    await api.locate(quantity=600)
    await api.locate("S4")
    text = (await api.call("GET", "/metrics", token="")).body.decode()
    for line in (
        "ims_events_total 5.0",
        "ims_located_shares 600.0",
        "ims_locates_live 1.0",
        'ims_locate_changes_total{reason="",state="approved"} 1.0',
        'ims_locate_changes_total{reason="restricted_list",state="rejected"} 1.0',
        "ims_locate_request_seconds_count 2.0",
        'ims_api_answers_total{status="200"} 2.0',
    ):
        assert line in text.splitlines(), line
