"""The page Locates in every state that it may be in, worked by who decides, who asks and who may only look."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_locates import LocatesScript, locate


@pytest.fixture
def page_path() -> str:
    return "/locates"


@pytest.fixture
def script(settings: Settings) -> LocatesScript:
    made = LocatesScript(settings.secret)
    states = ("approved", "pending", "pending", "rejected", "pending", "partially_approved", "expired")
    made.locates = [locate(number, state) for number, state in enumerate(states, 1)]
    made.locates[4]["priority"] = 5
    return made


def rows(page: Page) -> list[str]:
    """The ids in the list, from the top."""
    return page.locator("#list tbody tr").evaluate_all("rows => rows.map((row) => row.dataset.key)")  # type: ignore[no-any-return]


def ids(*numbers: int) -> list[str]:
    return [f"L{number:010d}" for number in numbers]


def answer(page: Page, comment: str = "") -> None:
    """Say yes to the question on screen."""
    if comment:
        page.fill("dialog[open] textarea[name=comment]", comment)
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("dialog[open]", state="detached")


def test_who_waits_longest_is_first_within_his_priority(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    desk = person("olga")
    desk.wait_status("live")
    expect(desk.page.locator("#list tbody tr")).to_have_count(3)
    # however long the list is, it scrolls in its own place
    longer = "document.querySelector('#list').append(Object.assign(document.createElement('div'), { style: 'height: 9000px' }))"
    desk.page.evaluate(longer)
    ends = "['#list', '#one'].map((part) => document.querySelector(part).getBoundingClientRect().bottom - innerHeight)"
    assert max(desk.page.evaluate(ends)) <= 0
    desk.page.evaluate("document.querySelector('#list').lastChild.remove()")
    assert rows(desk.page) == ids(5, 2, 3)
    expect(desk.page.locator("#tabs [data-view=queue] b")).to_have_text(" 3")
    api.locates.append(locate(8))
    expect(desk.page.locator("#list tbody tr")).to_have_count(4)
    assert rows(desk.page) == ids(5, 2, 3, 8)
    assert desk.value(CONTRASTS) == []
    desk.page.evaluate(
        "document.addEventListener('ims-picked', ({ detail }) => (window.picks ??= []).push(detail.code))"
    )
    desk.page.click(f"#list tr[data-key={ids(2)[0]}]")
    expect(desk.page.locator("#one h2")).to_contain_text("US0000000002")
    assert desk.value("window.picks") == ["US0000000002"], "other windows are told which security is looked at"
    assert desk.hosts() == {"127.0.0.1"}
    assert desk.errors == []


def test_the_stream_rings_and_the_page_looks_at_once(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    page = person("olga").page
    assert api.heard.wait(20)
    assert api.followed == [{"op": "subscribe", "topic": "locates", "snapshot": False}]
    api.heard.clear()
    page.context.add_init_script("window.setInterval = () => 0;")  # no clock: only the bell
    page.reload()
    expect(page.locator("#list tbody tr")).to_have_count(3)
    assert api.heard.wait(20)
    api.locates.append(locate(8))
    api.ring()
    expect(page.locator("#list tbody tr")).to_have_count(4)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_one_that_is_open_shows_pool_client_similar_ones_and_evidence(
    api: LocatesScript, person: Callable[..., DeskPage], theme: str
) -> None:
    api.locates += [locate(number, "approved") for number in range(8, 20)]
    desk = person("olga", f"?id={ids(2)[0]}&theme={theme}")
    page = desk.page
    expect(page.locator("#one h2")).to_have_text("2,000 US0000000002 short for FUND0")
    expect(page.locator(".card.pool")).to_contain_text("Left after5,500")
    expect(page.locator(".card.mine")).to_contain_text("10,000 of 40,000 used, 25%")
    expect(page.locator(".card.same tbody tr").first).to_contain_text("FUND")
    expect(page.locator(".card.evidence")).to_contain_text("hard-to-borrow 100%")
    page.click(".card.evidence summary")
    expect(page.locator(".card.evidence")).to_contain_text("ims.trades[2]")
    desk.picture(f"locates-{theme}")
    assert desk.value(CONTRASTS) == []
    page.keyboard.press("Escape")
    expect(page.locator("#one .nothing")).to_contain_text("Choose a locate")


def test_it_is_worked_by_the_keyboard_alone(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    page = person("olga").page
    page.wait_for_selector("#list tbody tr")
    page.locator("#list tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#one h2")).to_contain_text("US0000000002")
    page.keyboard.press("p")
    page.keyboard.press("Control+a")
    page.keyboard.type("1,500")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#notice")).to_have_text(f"{ids(2)[0]} approved")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    assert api.done == [("approve", "olga", ids(2)[0], {"comment": "", "quantity": 1_500})]
    expect(page.locator("#one .state").first).to_contain_text("partial")
    page.locator("#list tbody tr").nth(1).focus()
    page.keyboard.press("q")
    page.keyboard.type("For which sale?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#list td.asked")).to_have_text("? For which sale?")


def test_many_are_decided_at_once_and_each_on_its_own(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    api.locates[1]["at_most"] = 100
    desk = person("olga")
    page = desk.page
    expect(page.locator("#tools [data-do=approve]")).to_have_attribute("aria-disabled", "true")
    page.locator("#list tbody input").nth(0).check()
    page.locator("#list tbody tr").nth(1).focus()
    page.keyboard.press("Space")
    page.click("#tools [data-do=approve]")
    expect(page.locator("dialog[open]")).to_contain_text("7,000 shares in all, for FUND1, FUND0")
    desk.picture("locates-many")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open] .told")).to_have_text(f"{ids(2)[0]} only 100 are left")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("#notice")).to_have_text("1 of 2 approved")
    expect(page.locator("#list tbody tr")).to_have_count(2)


def test_a_refusal_is_said_where_the_question_is(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    api.locates[1]["at_most"] = 100
    page = person("olga", f"?id={ids(2)[0]}").page
    page.click("[data-do=approve].primary")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open] .problem")).to_have_text("only 100 are left")
    page.fill("dialog[open] [name=quantity]", "100")
    answer(page)
    expect(page.locator("#notice")).to_contain_text("approved")


def test_a_trader_asks_for_many_lines_and_may_not_decide(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    desk = person("tom", f"?id={ids(2)[0]}")
    page = desk.page
    expect(page.locator("#one [data-do=approve]")).to_have_attribute("aria-disabled", "true")
    page.click("#request")
    page.fill("#client", "FUND7")
    page.fill("#lines", "US0000000001 12,500 desk-1\nWRONG 100")
    desk.picture("locates-request")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open] .problem")).to_have_text("Line 2, security: no market")
    page.fill("#lines", "US0000000001 12,500 desk-1\nUS0000000002 many")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open] .problem")).to_contain_text("Line 2: expected a security")
    page.fill("#lines", "US0000000001 12,500 desk-1\nUS0000000002\t200")
    page.click("#quote")
    expect(page.locator("#quoted tbody tr")).to_have_count(2)
    assert api.done == []
    desk.picture("locates-quoted")
    page.click("dialog[open] button[type=submit]")
    expect(page.locator("dialog[open] .body .answers tbody tr")).to_have_count(2)
    _, who, _, sent = api.done[-1]
    assert who == "tom"
    assert [(line["security"], line["quantity"], line["client"]) for line in sent] == [
        ("US0000000001", 12_500, "FUND7"),
        ("US0000000002", 200, "FUND7"),
    ]
    assert desk.value(CONTRASTS) == []


def test_a_request_that_was_not_answered_is_the_same_when_it_is_sent_again(
    api: LocatesScript, person: Callable[..., DeskPage]
) -> None:
    api.lost = True
    page = person("tom").page
    for _ in range(2):
        page.click("#request")
        page.fill("#client", "FUND7")
        page.fill("#lines", "US0000000001 100")
        page.click("dialog[open] button[type=submit]")
        if not api.done:
            expect(page.locator("dialog[open] .problem")).to_have_text("the answer was lost")
            page.click("dialog[open] button[type=submit]")
        page.click("dialog[open]:has(.answers) button[type=button]")
    first, again, other = api.keys
    assert first == again != other


def test_who_may_only_look_is_told_why(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    page = person("auditor", f"?id={ids(2)[0]}").page
    for step in ("approve", "reject", "ask", "cancel"):
        expect(page.locator(f"#one [data-do={step}]").first).to_have_attribute("aria-disabled", "true")
    page.locator("#one [data-do=reject]").click(force=True)
    expect(page.locator("#notice")).to_have_text("Only ops or admin may do this")
    page.click("#request", force=True)
    expect(page.locator("#notice")).to_have_text("Only trader or ops may ask for locates")
    assert api.done == []


def test_who_is_kept_to_clients_sees_theirs_without_the_state_of_the_service(
    api: LocatesScript, person: Callable[..., DeskPage]
) -> None:
    api.kept_to_clients = True
    desk = person("tom")
    assert "CONNECTED" in desk.wait_status("live")
    expect(desk.page.locator("#list tbody tr")).to_have_count(3)


def test_filters_are_kept_in_the_address_and_lead_back(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    page = person("olga").page
    page.click("[data-view=all]")
    expect(page.locator("#list tbody tr")).to_have_count(7)
    page.select_option("#filters [name=state]", "rejected")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    assert "state=rejected" in page.url
    page.go_back()
    expect(page.locator("#list tbody tr")).to_have_count(7)
    page.fill("#filters [name=client]", "NOBODY")
    page.keyboard.press("Enter")
    expect(page.locator("#list .nothing")).to_have_text("No locate is like this.")


def test_nothing_to_do_and_not_there_are_different_things(api: LocatesScript, person: Callable[..., DeskPage]) -> None:
    api.locates = []
    desk = person("olga", "?id=L0000000099")
    expect(desk.page.locator("#list .nothing")).to_contain_text("the rules have decided on every request")
    expect(desk.page.locator("#one .nothing")).to_have_text("There is no locate L0000000099.")
    assert desk.value(CONTRASTS) == []


def test_stale_and_starting_and_away_never_look_like_now(
    settings: Settings, script: LocatesScript, person: Callable[..., DeskPage]
) -> None:
    script.hold.clear()
    with serving(settings, script):
        desk = person("olga")
        expect(desk.page.locator("#list")).to_have_attribute("aria-busy", "true")
        script.hold.set()
        desk.wait_status("live")
        script.status["stale"] = ["SHARES"]
        assert "STALE SHARES" in desk.wait_status("stale")
    desk.wait_status("down")
    expect(desk.page.locator("#list tbody tr")).to_have_count(3)
    desk.picture("locates-down")
    script.status["stale"] = []
    script.trouble, script.detail = 403, "not for you"
    with serving(settings, script):
        expect(desk.page.locator("#list .nothing")).to_have_text("You may not see this: not for you.")
        script.trouble = 0
        desk.wait_status("live")
        expect(desk.page.locator("#list tbody tr")).to_have_count(3)


@pytest.mark.parametrize("width", [1280, 2560])
def test_the_list_fits_narrow_and_wide_screens(api: LocatesScript, person: Callable[..., DeskPage], width: int) -> None:
    desk = person("olga", f"?view=all&id={ids(2)[0]}", viewport={"width": width, "height": 900})
    desk.page.wait_for_selector(".card.evidence table")
    for part in ("#list", ".cards"):
        assert desk.value(f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('{part}'))") <= 0, part
    desk.picture(f"locates-{width}")
