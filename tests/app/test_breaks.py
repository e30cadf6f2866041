"""Breaks over the API: found and gone, remembered from run to run, worked on by people, and what the writer does about them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from app import parking_store
from app.bench.services import free_port
from app.breaks import watch
from app.breaks.facts import Facts, Subject
from app.breaks.life import Life, State, WrongBreakStateError
from app.breaks.several import Match, MatchState, match
from app.feed_rules import FeedState, HealthWord
from app.identity import Identity, Role
from app.journal_lists import JournalLists
from app.parked_record import Concerns
from app.parking_store import Parked, ParkingStore
from engine.break_kinds import BreakKind
from engine.model import Decided, Kind, Namespace, Op
from engine.ring import NAME, Message
from engine.rule_model import Role as Number
from feeds.quarantine import Reason, Unreadable
from feeds.registry import feed_named
from tests.app.api.api_world import read
from tests.app.breaks_world import BreaksWorld, breaks_world
from tests.app.journal_urls import STORES, journal_url
from tests.engine.machines import TODAY, TW

DAY_NS = 86_400 * 10**9


@pytest.fixture
async def world(instance: str, tmp_path: Path) -> AsyncIterator[BreaksWorld]:
    async with breaks_world(instance, tmp_path) as made:
        yield made


async def differs(world: BreaksWorld, security: int = 1, ours: int = 1_000, theirs: int = 900) -> dict[str, Any]:
    """A depot break of a security."""
    world.hold(security, ours)
    world.state(security, theirs)
    await world.look()
    return await world.only(f"?security=S{security}")


async def test_a_depot_break_is_told_with_what_hangs_on_it_and_goes_by_itself(world: BreaksWorld) -> None:
    found = await differs(world)
    assert (found["kind"], found["state"], found["depot"], found["security"]) == ("depot", "open", "D1", "S1")
    assert (found["ours"], found["theirs"], found["quantity"]) == (1_000, 900, -100)
    assert (found["lendable"], found["sellable"], found["located"]) == (100, 100, 0)
    assert found["title"] == "D1 states 100 shares less than our books"
    world.state(1, 1_000)
    await world.look()
    assert await world.breaks() == []
    gone = await world.get(f"/{found['id']}")
    assert gone["state"] == "resolved"
    assert gone["resolved_at"]
    assert [step["action"] for step in gone["history"]] == ["found", "resolved"]
    world.state(1, 950)
    await world.look()
    again = await world.only()
    assert (again["id"], again["state"], again["quantity"]) == (found["id"], "reopened", -50)


async def test_what_is_promised_to_clients_weighs_more_than_what_could_be_lent(world: BreaksWorld) -> None:
    await world.api.locate("S2", quantity=1_900)
    world.hold(1, 1_000)
    world.state(1, 200)
    world.hold(2, 1_000)
    world.state(2, 100)
    await world.look()
    first, second = [one for one in await world.breaks() if one["kind"] == "depot"]
    assert [first["rank"], second["rank"]] == [1, 2]
    told = {one["security"]: (one["lendable"], one["located"]) for one in (first, second)}
    assert told["S1"] == (800, 0)
    assert told["S2"][0] == 900
    detail = await world.get(f"/{(first if first['security'] == 'S2' else second)['id']}")
    assert [(one["client"], one["quantity"]) for one in detail["locates"]] == [("FUND1", 1_900)]


async def test_what_cannot_be_asked_hangs_on_a_break_as_far_as_is_known(world: BreaksWorld, tmp_path: Path) -> None:
    await world.api.locate("S1", quantity=100)
    found = await differs(world)
    known = await world.get(f"/{found['id']}")
    assert len(known["locates"]) == 1
    assert known["limits"]
    room, path = world.room, f"/{found['id']}"
    lists, room.lists = room.lists, JournalLists(f"sqlite:///{tmp_path / 'nowhere' / 'journal.db'}")
    dark = await world.get(path)
    assert (dark["locates"], dark["limits"]) == (None, known["limits"])
    room.lists.close()
    room.lists = lists
    settings, room.settings = room.settings, replace(room.settings, port=free_port())
    dark = await world.get(path)
    assert (dark["locates"], dark["limits"]) == (known["locates"], None)
    room.settings = settings
    assert await world.get(path) == known


async def test_a_movement_that_has_not_settled_with_us_explains_a_difference(world: BreaksWorld) -> None:
    world.hold(1, 1_000)
    world.hold(1, 300, op=Op.BUY, settle_date=TODAY + 2)
    world.state(1, 1_300)
    await world.look()
    found = await world.only("?kind=depot")
    assert (found["cause"], found["explained"], found["unexplained"]) == ("unsettled_trade", 300, 0)
    assert "300 due SD2 in book B1" in found["causes"][0]["text"]


async def test_equal_and_opposite_breaks_name_each_other(world: BreaksWorld) -> None:
    world.hold(1, 1_000)
    world.state(1, 900)
    world.hold(1, 500, depot=2)
    world.state(1, 600, depot=2)
    await world.look()
    one, other = await world.breaks("?kind=depot&order=newest")
    assert one["cause"] == other["cause"] == "wrong_mapping"
    assert one["causes"][0]["break_id"] == other["id"]
    made = await world.post("/matches", {"ids": [one["id"], other["id"]], "comment": "sent to the wrong depot"}, 201)
    assert (made["residual"], made["state"]) == (0, "live")
    await world.look()
    assert await world.breaks() == []
    world.state(1, 599, depot=2)
    await world.look()
    states = {each["id"]: each["state"] for each in await world.breaks("?kind=depot")}
    assert states == {one["id"]: "reopened", other["id"]: "reopened"}, "a match lapses when one of it changes"


async def test_what_does_not_come_to_nothing_is_matched_only_by_force_and_with_a_reason(world: BreaksWorld) -> None:
    found = await differs(world)
    world.hold(2, 10)
    world.state(2, 5)
    await world.look()
    ids = [found["id"], (await world.only("?security=S2"))["id"]]
    await world.post("/matches", {"ids": ids}, 409)
    await world.post("/matches", {"ids": ids, "force": True}, 422)
    made = await world.post("/matches", {"ids": ids, "force": True, "comment": "below what it costs to look"}, 201)
    assert (made["residual"], made["forced"]) == (-105, True)
    undone = await world.post(f"/matches/{made['id']}/undo", {"comment": "it is not"})
    assert undone["state"] == "undone"
    assert {one["state"] for one in await world.breaks("?kind=depot")} == {"reopened"}


async def test_people_take_breaks_talk_about_them_and_group_them(world: BreaksWorld) -> None:
    at = f"/{(await differs(world))['id']}"
    await world.post(f"{at}/assign", {"owner": "olga"})
    await world.post(f"{at}/comment", {"comment": "the custodian was asked"})
    detail = await world.post(f"{at}/acknowledge", {"comment": ""})
    assert (detail["state"], detail["owner"]) == ("acknowledged", "olga")
    assert [(one["who"], one["text"]) for one in detail["comments"]] == [("olga", "the custodian was asked")]
    await world.post(f"{at}/acknowledge", {}, 409)
    await world.post(f"{at}/comment", {"comment": ""}, 422)
    group = await world.post("/groups", {"ids": [at[1:]], "name": "Outage"}, 201)
    assert (await world.only(f"?group={group['id']}&owner=olga"))["id"] == at[1:]
    assert await world.breaks("?owner=-&kind=depot") == []
    assert (await world.get(at))["group_name"] == "Outage"
    assert [one["id"] for one in await world.breaks("?text=outage")] == [at[1:]]
    told = [(one["id"], one["name"], one["breaks"]) for one in (await world.get("/groups"))["groups"]]
    assert told == [(group["id"], "Outage", [at[1:]])]
    many = {"action": "ungroup", "ids": [at[1:], "B9999999999"]}
    results = (await world.post("/actions", many, 207))["results"]
    assert [one["status"] for one in results] == [200, 404]
    assert await world.breaks(f"?group={group['id']}") == []
    assert (await world.get(at))["group_name"] == ""
    await world.post(f"/groups/{group['id']}/dissolve", {})
    assert (await world.get("/groups"))["groups"] == []


async def test_shares_kept_back_are_out_of_what_is_available_and_come_back(world: BreaksWorld) -> None:
    tables = world.machine.tables

    def lend() -> int:
        return int(tables.array["values"][1, tables.catalogue.playing(Number.LEND), 1])

    found = await differs(world)
    before = lend()
    held = await world.post(f"/{found['id']}/hold", {"comment": "not there"})
    assert held["held"] == 100
    assert lend() == before - 100
    told = read(await world.api.get("/api/v1/explain/S1/for_loan"))
    assert {one["name"]: one["quantity"] for one in told["explanation"]["inputs"]}["break_held"] == 100
    assert (await world.only("?held=true"))["id"] == found["id"]
    await world.post(f"/{found['id']}/return", {})
    assert lend() == before
    await world.post(f"/{found['id']}/hold", {"quantity": 30})
    assert lend() == before - 30
    world.state(1, 1_000)
    await world.look()
    await world.api.service.breaks.books.follow()
    assert lend() == before, "it is solved"
    steps = [step["action"] for step in (await world.get(f"/{found['id']}"))["history"]]
    assert steps == ["found", "held", "returned", "held", "returned", "resolved"]


async def test_an_adjustment_takes_two_people_and_is_in_the_books_once(world: BreaksWorld) -> None:
    found = await differs(world)
    asked = {"book": "B1", "position_type": "FIRM", "depot": "D1", "quantity": -100, "comment": "sold by hand"}
    made = await world.post(f"/{found['id']}/adjust", asked, 201)
    assert made["state"] == "pending"
    decide = f"/adjustments/{made['id']}"
    await world.post(f"{decide}/approve", {}, 403)
    await world.post(f"{decide}/withdraw", {}, 403, token=world.admin)
    await world.post(f"{decide}/approve", {"comment": "seen"}, token=world.admin)
    await world.post(f"{decide}/reject", {}, 409, token=world.admin)
    (done,) = (await world.get("/adjustments"))["adjustments"]
    assert (done["state"], done["asked_by"], done["decided_by"]) == ("applied", "olga", "adam")
    await world.api.service.breaks.books.follow()
    await world.look()
    assert await world.breaks("?kind=depot") == []
    actions = [step["action"] for step in (await world.get(f"/{found['id']}"))["history"]]
    assert actions == ["found", "adjust_asked", "adjust_approved", "adjusted", "resolved"]
    rows = world.machine.tables.array["position"][world.machine.tables.rows_of(1)]
    assert int(rows["intraday_sell"].sum()) == 100, "the day began as it did: it is a trade of today"


async def test_an_adjustment_of_what_there_is_not_fails_and_says_why(world: BreaksWorld) -> None:
    found = await differs(world)
    asked = {"book": "NOBODY", "position_type": "FIRM", "depot": "D1", "quantity": -100, "comment": "?"}
    made = await world.post(f"/{found['id']}/adjust", asked, 201)
    await world.post(f"/adjustments/{made['id']}/approve", {}, token=world.admin)
    (done,) = (await world.get("/adjustments?state=failed"))["adjustments"]
    assert done["problem"] == "no book NOBODY"


async def test_who_may_do_what(world: BreaksWorld) -> None:
    found = await differs(world)
    reader = world.token("carl", Role.COMPLIANCE)
    trader = world.token("tess", Role.TRADER)
    mine = world.token("fund", Role.TRADER, clients=frozenset({"FUND1"}))
    at = f"/api/v1/breaks/{found['id']}"
    for token, path, body, status in (
        (reader, "", None, 200),
        (reader, "/comment", {"comment": "no"}, 403),
        (trader, "/comment", {"comment": "yes"}, 200),
        (trader, "/hold", {}, 403),
        (mine, "", None, 403),
        (mine, "/comment", {"comment": "no"}, 403),
    ):
        answer = await world.api.call("GET" if body is None else "POST", at + path, body, token=token)
        assert answer.code == status, (path, answer.body)
    assert (await world.api.call("GET", "/api/v1/breaks", token=mine)).code == 403


async def test_lists_come_in_every_form_and_a_page_at_a_time(world: BreaksWorld) -> None:
    for security in (1, 2, 3):
        world.hold(security, 100)
        world.state(security, 90)
    await world.look()
    page = await world.get("?kind=depot&limit=2")
    assert (len(page["breaks"]), page["total"], page["complete"]) == (2, 3, True)
    rest = await world.get(f"?kind=depot&limit=2&cursor={page['next_cursor']}")
    assert (len(rest["breaks"]), rest["next_cursor"]) == (1, None)
    arrow = await world.get("?kind=depot", Accept="application/vnd.apache.arrow.stream")
    table = pa.ipc.open_stream(arrow.body).read_all()
    assert table.column("quantity").to_pylist() == [-10, -10, -10]
    text = (await world.get("?kind=depot", Accept="text/csv")).body.decode()
    assert text.splitlines()[0].startswith("id,kind,severity")
    await world.get("?kind=weather", 422)
    await world.get("/B0000099999", 404)
    await world.get("/17", 404)
    summary = await world.get("/summary")
    depot = next(one for one in summary["by_kind"] if one["kind"] == "depot")
    assert (depot["open"], summary["unowned"] >= 3, summary["stale"]) == (3, True, False)


async def test_a_text_is_looked_for_in_all_of_them_whatever_page_they_are_on(world: BreaksWorld) -> None:
    for security in (1, 2, 3):
        world.hold(security, 100 * security)
        world.state(security, 90 * security)
    world.hold(2, 77, op=Op.SET_TD)
    await world.look()
    mine = await world.only("?security=S1")
    await world.post(f"/{mine['id']}/assign", {"owner": "Hannah"})

    async def found(text: str, more: str = "") -> list[tuple[str, str]]:
        page = await world.get(f"?order=newest&{urlencode({'text': text})}{more}")
        assert (page["total"], page["searched"]) == (len(page["breaks"]), 4)
        return sorted((one["kind"], one["security"]) for one in page["breaks"])

    for text in ("US0378331005", "us03783", "first & CO", "hannah", mine["id"].lower(), "10 less", "hannah d1 FIRST"):
        assert await found(text) == [("depot", "S1")], text
    assert await found("td/sd") == await found("td_sd") == await found("td sd") == [("td_sd", "S2")]
    assert await found("s2 b1") == [("td_sd", "S2")]
    assert await found("hannah s2") == []
    assert len(await found("d1 states")) == 3
    assert await found("nothing is called so") == []
    page = await world.get("?text=d1+states&limit=2")
    assert (len(page["breaks"]), page["total"], page["searched"]) == (2, 3, 4)
    (last,) = (await world.get(f"?text=d1+states&limit=2&cursor={page['next_cursor']}"))["breaks"]
    assert last["id"] not in {one["id"] for one in page["breaks"]}
    narrowed = await world.get("?text=states&kind=td_sd")
    assert (narrowed["total"], narrowed["searched"]) == (0, 1)
    for wrong in ("", "%00", "a" * 201):
        await world.get(f"?text={wrong}", 422)


async def test_a_text_may_be_a_name_that_the_list_does_not_show(world: BreaksWorld) -> None:
    await differs(world, security=2)
    world.machine.register(Message.NAMES, np.array([(b"B0YBKJ7", b"S2")], NAME))
    for text in ("B0YBKJ7", "b0ybkj7", "b0ybkj7 depot"):
        assert (await world.only(f"?{urlencode({'text': text})}"))["security"] == "S2"
    assert await world.breaks("?text=b0ybk") == [], "an identifier is looked for in whole"
    assert await world.breaks("?text=b0ybkj7+s1") == []


@pytest.mark.parametrize("store", STORES)
async def test_a_break_is_the_same_one_after_a_restart(
    store: str, instance: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = journal_url(store, request, tmp_path)
    async with breaks_world(instance, tmp_path, url) as world:
        found = await differs(world)
        await world.post(f"/{found['id']}/assign", {"owner": "olga"})
        await world.post(f"/{found['id']}/hold", {"quantity": 40})
        made = await world.post(
            f"/{found['id']}/adjust",
            {"book": "B2", "position_type": "FIRM", "depot": "D2", "quantity": 7, "comment": "found"},
            201,
        )
        await world.post(f"/adjustments/{made['id']}/approve", {}, token=world.admin)
    async with breaks_world(instance, tmp_path, url) as world:
        tables = world.machine.tables
        assert int(tables.array["decided"][1, Decided.BREAKS]) == 40, "before anybody can ask"
        rows = tables.array["position"][tables.rows_of(1)]
        assert 7 in rows["sd"].tolist()
        again = await differs(world, theirs=880)
        assert (again["id"], again["owner"], again["quantity"]) == (found["id"], "olga", -120)
        assert (await world.get(f"/{found['id']}"))["history"][-1]["action"] == "changed"
    async with breaks_world(instance, tmp_path, url) as world:
        world.hold(1, 1_000)
        world.state(1, 1_000)
        await world.look()
        assert await world.breaks("?kind=depot") == []
        assert not world.machine.tables.array["decided"][:, Decided.BREAKS].any() or await _given_back(world)


async def _given_back(world: BreaksWorld) -> bool:
    await world.api.service.breaks.books.follow()
    return not world.machine.tables.array["decided"][:, Decided.BREAKS].any()


async def test_other_things_that_do_not_agree_are_told_too(world: BreaksWorld) -> None:
    world.hold(2, 77, op=Op.SET_TD)
    tables = world.machine.tables
    tables.array["missing"][1] = 3
    tables.array["feed"][feed_named("trades").index, HealthWord.STATE] = FeedState.STALE
    await world.api.locate("S1", quantity=900)
    world.hold(1, 10, depot=0)
    await world.look()
    found = {one["kind"]: one for one in await world.breaks()}
    assert found["td_sd"]["quantity"] == -77
    assert found["gap"]["source"] == "s1"
    assert found["availability"]["located"] > 0
    assert (found["feed"]["feed"], found["feed"]["severity"]) == ("trades", "critical")
    world.hold(1, 5_000, depot=0, kind=Kind.FIRM)
    await world.look()
    assert "availability" not in {one["kind"] for one in await world.breaks()}


async def test_of_what_there_is_more_than_is_told_nothing_is_taken_for_solved(
    world: BreaksWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Unreadable("ims.trades", 0, 1, Reason.UNKNOWN_BOOK, "", b"{}")

    def waits(number: int, book: str) -> Parked:
        return Parked(number, number, entry, Concerns(((Namespace.BOOK, book),)), 1)

    store = ParkingStore(tmp_path / parking_store.FILE)
    store.change((), [waits(1, "LONE")])
    await world.look()
    assert (await world.get("?kind=party"))["complete"]
    monkeypatch.setattr(watch, "MOST", 2)
    store.change((), [waits(2 + at, f"MORE{at // 2}") for at in range(4)])
    await world.look()
    page = await world.get("?kind=party")
    assert {one["book"] for one in page["breaks"]} == {"LONE", "MORE0", "MORE1"}
    assert not page["complete"]
    store.close()


async def test_its_age_is_counted_in_days_of_its_market_until_it_is_resolved(world: BreaksWorld) -> None:
    found = await differs(world)
    path, today = f"/{found['id']}", world.machine.tables.array["today"]
    today += 3
    world.clock.now_ns += 3 * DAY_NS
    assert (await world.get(path))["age_days"] == 3
    assert (await world.get("/summary"))["oldest_age_days"] == 3
    world.state(1, 1_000)
    await world.look()
    today += 4
    gone = await world.get(path)
    assert (gone["state"], gone["age_days"]) == ("resolved", 3)
    assert [one["id"] for one in await world.breaks("?state=resolved&age_min=3")] == [found["id"]]
    assert await world.breaks("?state=resolved&age_min=4") == []
    world.room.watch = None
    assert (await world.get(path))["age_days"] is None
    assert (await world.get("/summary"))["oldest_age_days"] is None
    assert await world.breaks("?state=resolved&age_min=1") == [], "what is not known is not taken for old"


async def test_what_is_of_no_market_begins_on_the_day_of_the_market_by_which_it_is_counted(world: BreaksWorld) -> None:
    today = world.machine.tables.array["today"]
    today[TW] += 1  # tomorrow in Taipei already
    gap = await _a_gap(world)
    found = await world.get(f"/{gap}")
    assert (found["value_date"], found["age_days"]) == (str(datetime.fromtimestamp(TODAY * 86_400, UTC).date()), 0)
    today += 1
    assert (await world.get(f"/{gap}"))["age_days"] == 1


async def test_both_sides_are_told_beside_each_other_with_what_made_them(world: BreaksWorld) -> None:
    world.hold(1, 1_000)
    world.state(1, 1_000)
    world.hold(1, 40, op=Op.BUY)
    world.hold(1, 40, op=Op.SETTLE_RECEIPT)
    await world.look()
    found = await world.only("?kind=depot")
    assert (found["quantity"], found["cause"]) == (-40, "unmatched_instruction")
    sides = await world.get(f"/{found['id']}/sides")
    assert (sides["ours"]["quantity"], sides["theirs"]["quantity"]) == (1_040, 1_000)
    (row,) = sides["ours"]["rows"]
    assert (row["book"], row["settled"], row["counted"]) == ("B1", 1_040, 1_040)
    (stated,) = sides["theirs"]["rows"]
    assert (stated["position_type"], stated["settled"]) == ("DEPOT", 1_000)
    assert [one["op"] for one in sides["events"]] == ["SETTLE_RECEIPT", "BUY", "SET"]
    assert sides["events"][0]["topic"] == "ims.events"
    assert (sides["statement"]["op"], sides["statement"]["quantity"]) == ("SET", 1_000)
    assert len(sides["days"]) == 5
    assert sides["last_agreed_quantity"] == 1_000
    assert "before SETTLE_RECEIPT of 40" in sides["last_agreed_text"]
    gap = await _a_gap(world)
    assert [one["value"] for one in (await world.get(f"/{gap}/sides"))["ours"]["facts"]][1:] == ["s1"]


async def _a_gap(world: BreaksWorld) -> str:
    world.machine.tables.array["missing"][1] = 3
    await world.look()
    return str((await world.only("?kind=gap"))["id"])


async def test_a_match_ends_with_one_of_its_breaks_and_the_other_is_open_again(world: BreaksWorld) -> None:
    world.hold(1, 1_000)
    world.state(1, 900)
    world.hold(1, 500, depot=2)
    world.state(1, 600, depot=2)
    await world.look()
    one, other = sorted(await world.breaks("?kind=depot"), key=lambda each: str(each["depot"]))
    await world.post("/matches", {"ids": [one["id"], other["id"]]}, 201)
    world.state(1, 1_000)
    await world.look()
    assert [(each["id"], each["state"]) for each in await world.breaks("?kind=depot")] == [(other["id"], "reopened")]
    assert (await world.get(f"/{one['id']}"))["state"] == "resolved"


async def test_a_program_does_not_decide_on_adjustments(world: BreaksWorld) -> None:
    found = await differs(world)
    asked = {"book": "B1", "position_type": "FIRM", "depot": "D1", "quantity": -100, "comment": "sold by hand"}
    made = await world.post(f"/{found['id']}/adjust", asked, 201)
    path = f"/api/v1/breaks/adjustments/{made['id']}/approve"
    assert (await world.api.call("POST", path, {})).code == 403


async def test_a_limit_of_which_more_was_sold_than_there_is_is_a_break(world: BreaksWorld) -> None:
    world.apply({"security": 1, "book": 2, "kind": Kind.CLIENT_FREE, "quantity": 300})
    order = {"order": "O1", "security": "S1", "client": "FUND1", "book": "B2", "side": "long", "quantity": 200}
    assert (await world.api.call("POST", "/api/v1/orders", order)).code == 200
    world.apply({"security": 1, "book": 2, "kind": Kind.CLIENT_FREE, "quantity": 50})
    await world.api.service.breaks.overdrawn.round()
    await world.look()
    found = {one["number"]: one for one in await world.breaks("?kind=limit&security=S1")}
    client = found["client_long"]
    assert (client["client"], client["quantity"], client["sellable"]) == ("FUND1", -150, 150)
    detail = await world.get(f"/{client['id']}")
    assert {"scope": "client", "owner": "FUND1", "side": "long", "left": -150} in detail["limits"]


def contract_break(number: int, security: str, counterparty: str, quantity: int) -> Life:
    about = Subject(security=security, counterparty=counterparty)
    facts = Facts(
        key=str(number),
        kind=BreakKind.CONTRACT,
        title="",
        about=about,
        unit="shares",
        ours=0,
        theirs=quantity,
        quantity=quantity,
    )
    return Life(number=number, facts=facts, state=State.OPEN, first_seen_ns=1, first_day=1, changed_ns=1)


def test_what_is_of_several_securities_is_one_thing_only_in_one_depot() -> None:
    lives = [contract_break(1, "S1", "C1", 1_000), contract_break(2, "S2", "C2", -1_000)]
    made = Match(
        number=1, breaks=(1, 2), residual=0, forced=False, by="olga", at_ns=1, comment="", state=MatchState.LIVE
    )
    with pytest.raises(WrongBreakStateError, match="not in one depot"):
        match(lives, made, Identity("olga", frozenset({Role.OPS})))
