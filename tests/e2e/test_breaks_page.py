"""The page Breaks as people work it: what does most first, in depth, by the keyboard, with many, and with a second person."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_breaks import BreaksScript, broken

MINUS = "\N{MINUS SIGN}"
Keep = Callable[[Page, str], Path]


@pytest.fixture
def page_path() -> str:
    return "/breaks"


@pytest.fixture
def script(settings: Settings) -> BreaksScript:
    made = BreaksScript(settings.secret)
    made.add(*(broken(number) for number in range(1, 6)))
    late = "The feed of prices is late"
    made.add(broken(6, "feed", security="", isin="", name="", depot="", feed="prices", unit="seconds", title=late))
    return made


def rows(page: Page) -> list[str]:
    """The keys in the list, from the top."""
    return page.locator("#list tbody tr").evaluate_all("rows => rows.map((row) => row.dataset.key)")  # type: ignore[no-any-return]


def ids(*numbers: int) -> list[str]:
    return [f"B{number:010d}" for number in numbers]


def answer(page: Page, comment: str = "") -> None:
    """Say yes to the question on screen."""
    if comment:
        page.fill("dialog[open] textarea[name=comment]", comment)
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("dialog[open]", state="detached")


def choose(page: Page, *numbers: int) -> None:
    for name in ids(*numbers):
        page.check(f"#list tr[data-key={name}] input")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_what_does_most_comes_first_and_one_that_is_open_shows_all_that_is_known_of_it(
    api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep, theme: str
) -> None:
    desk = person("olga", f"?theme={theme}")
    page = desk.page
    desk.wait_status("live")
    expect(page.locator("#list tbody tr")).to_have_count(6)
    assert rows(page) == ids(1, 2, 3, 4, 5, 6)
    expect(page.locator("#sums")).to_contain_text("■ critical 1")
    # however long the list is, it scrolls in its own place
    longer = "document.querySelector('#list').append(Object.assign(document.createElement('div'), { style: 'height: 9000px' }))"
    page.evaluate(longer)
    ends = "['#list', '#one'].map((part) => document.querySelector(part).getBoundingClientRect().bottom - innerHeight)"
    assert max(page.evaluate(ends)) <= 0
    page.evaluate("document.querySelector('#list').lastChild.remove()")
    keep_picture(page, f"breaks-list-{theme}")
    page.locator("#list tbody tr").first.click()
    expect(page.locator("#one h2")).to_have_text("DEPOT1 states 1,000 shares less than our books B0000000001")
    assert f"id={ids(1)[0]}" in page.url
    expect(page.locator(".card.does")).to_contain_text("L0000000012")
    expect(page.locator(".card.does a").nth(1)).to_have_attribute(
        "href", "/limits?scope=client&owner=FUND1&side=long&security=SEC000001"
    )
    expect(page.locator(".card.causes .split")).to_have_text("500 explained of 1,000, 500 unexplained")
    expect(page.locator(".card.sides .agreed")).to_contain_text("on 25,000")
    expect(page.locator(".ladder")).to_have_count(2)
    expect(page.locator(".ladder").first).to_contain_text("+2,000")
    expect(page.locator(".events tbody tr").first).to_contain_text("ims.events [3] 4701")
    expect(page.locator("[aria-label=Statement] tbody tr")).to_contain_text("ims.depot [3] 12")
    keep_picture(page, f"breaks-open-{theme}")
    assert desk.value(CONTRASTS) == []
    assert findings(page) == []
    page.click(".causes a")
    expect(page.locator("#one h2")).to_contain_text(ids(2)[0])
    page.go_back()
    expect(page.locator("#one h2")).to_contain_text(ids(1)[0])
    page.keyboard.press("Escape")
    expect(page.locator("#one .nothing")).to_contain_text("Choose a break")
    assert desk.hosts() == {"127.0.0.1"}
    assert desk.errors == []


def test_filters_groups_and_order_are_in_the_address_and_groups_come_to_sums(
    api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep
) -> None:
    page = person("olga", "?group=depot").page
    heads = page.locator("#list tr.heading")
    expect(heads).to_have_count(3)
    expect(heads.first).to_contain_text("▾ DEPOT1 (3)")
    expect(heads.first.locator("[data-column=affected]")).to_have_text("15,933")
    expect(heads.first.locator("[data-column=unexplained]")).to_have_text("4,500")
    keep_picture(page, "breaks-groups")
    heads.first.focus()
    page.keyboard.press("ArrowLeft")
    expect(heads.first).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#list tbody tr")).to_have_count(6)
    page.keyboard.press("Enter")
    expect(page.locator("#list tbody tr")).to_have_count(9)
    page.keyboard.press(" ")
    expect(page.locator("#tools .sub")).to_have_text(f"3 chosen, {MINUS}9,000")
    page.select_option("#filters [name=severity]", "high")
    expect(page.locator("#list tbody tr:not(.heading)")).to_have_count(2)
    assert "severity=high" in page.url
    page.go_back()
    expect(page.locator("#list tbody tr:not(.heading)")).to_have_count(6)
    page.locator("#list tbody tr").first.focus()
    page.keyboard.press("f")
    api.most = 4  # the one that is looked for is none of the first that the page would have
    page.keyboard.type("prices late")
    expect(page.locator("#list tbody tr:not(.heading)")).to_have_count(1)
    expect(page.locator("#list tbody tr:not(.heading)")).to_contain_text("The feed of prices is late")
    expect(page.locator("#sums")).to_contain_text("found 1 among 6")
    assert "text=prices" in page.url
    keep_picture(page, "breaks-found")
    page.keyboard.type("r than ever")
    expect(page.locator("#list .nothing")).to_have_text("No break is like this.")
    expect(page.locator("#sums")).to_contain_text("found 0 among 6")
    page.fill("#filters [name=text]", " DEPOT1   states ")
    expect(page.locator("#sums")).to_contain_text("found 3 among 6")
    api.most = 1_000
    page.click("#filters button")
    expect(page.locator("#sums")).not_to_contain_text("found")
    page.select_option("#filters [name=group]", "")
    page.select_option("#filters [name=order]", "age")
    expect(page.locator("#list tbody tr").first).to_have_attribute("data-key", ids(6)[0])
    api.most = 4
    page.reload()
    expect(page.locator("#sums")).to_contain_text("the first 4 of 6")


def test_one_is_worked_by_the_keyboard_alone(api: BreaksScript, person: Callable[..., DeskPage]) -> None:
    page = person("olga").page
    page.wait_for_selector("#list tbody tr")
    page.locator("#list tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#one h2")).to_contain_text(ids(2)[0])
    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#notice")).to_have_text(f"{ids(2)[0]} acknowledged")
    expect(page.locator("#list tr.sel [data-column=state]")).to_have_text("acknowledged")
    page.keyboard.press("a")
    expect(page.locator("#notice")).to_have_text(f"{ids(2)[0]} is acknowledged already")
    page.keyboard.press("o")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#list tr.sel [data-column=owner]")).to_have_text("olga")
    page.keyboard.press("h")
    expect(page.locator("dialog .body")).to_contain_text("It stays this many when the break grows or shrinks.")
    expect(page.locator("dialog textarea")).to_have_attribute("required", "true")
    page.keyboard.press("Control+Enter")  # without a reason, the question stays
    page.keyboard.type("until the custodian answers")  # where the focus has gone
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("1,500")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#list tr.sel [data-column=state]")).to_have_text("acknowledged · ⛌ 1,500 out")
    page.keyboard.press("r")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#list tr.sel [data-column=state]")).to_have_text("acknowledged")
    assert [(step, name) for step, _, name, _ in api.done] == [
        (step, ids(2)[0]) for step in ("acknowledged", "assigned", "held", "returned")
    ]
    expect(page.locator(".history li").first).to_contain_text("given back")
    expect(page.locator(".history q").nth(1)).to_have_text("until the custodian answers")


def test_many_are_assigned_grouped_and_matched_and_a_match_is_taken_back(
    api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep
) -> None:
    api.add(broken(7, quantity=3_000))
    desk = person("olga")
    page = desk.page
    expect(page.locator("#tools [data-do=match]")).to_have_attribute("aria-disabled", "true")
    choose(page, 1, 2)
    page.click("#tools [data-do=assign]")
    page.fill("dialog input[name=owner]", "anna")
    answer(page, "please")
    expect(page.locator("#notice")).to_have_text("2 breaks assigned")
    assert [each["owner"] for each in api.breaks[:3]] == ["anna", "anna", ""]
    choose(page, 3, 4)
    page.click("#tools [data-do=group]")
    page.fill("dialog input[name=name]", "Outage")
    answer(page)
    assert [each["group_name"] for each in api.breaks[2:4]] == ["Outage", "Outage"]
    choose(page, 5)
    page.click("#tools [data-do=group]")
    expect(page.locator("#ask-groups option")).to_have_attribute("value", "Outage")
    page.fill("dialog input[name=name]", "Outage")
    answer(page)
    assert api.breaks[4]["group"] == api.breaks[3]["group"], "one that there is takes them in"
    page.select_option("#filters [name=group]", "group")
    expect(page.locator("#list tr.heading").filter(has_text="Outage (3)")).to_be_visible()
    page.click(f"#list tr[data-key={ids(4)[0]}]")
    expect(page.locator("#one .facts")).to_contain_text("GroupOutage")
    page.click("#one [data-do=ungroup]")
    expect(page.locator("dialog h2")).to_contain_text("out of Outage?")
    keep_picture(page, "breaks-ungroup")
    answer(page)
    expect(page.locator("#one [data-do=ungroup]")).to_have_attribute("title", "It is in no group")
    expect(page.locator("#list tr.heading").filter(has_text="Outage (2)")).to_be_visible()
    page.keyboard.press("Escape")
    page.select_option("#filters [name=group]", "")
    choose(page, 1, 3)
    page.click("#tools [data-do=match]")
    expect(page.locator("dialog tfoot")).to_contain_text(f"{MINUS}4,000")
    keep_picture(page, "breaks-match")
    page.click("dialog button[type=submit]")
    expect(page.locator("dialog .problem")).to_have_text("they come to -4,000, not to 0")
    page.keyboard.press("Escape")
    choose(page, 7)
    page.uncheck(f"#list tr[data-key={ids(1)[0]}] input")
    page.click("#tools [data-do=match]")
    answer(page)
    expect(page.locator(f"#list tr[data-key={ids(3)[0]}]")).to_have_count(0)
    page.select_option("#filters [name=state]", "resolved")
    page.locator(f"#list tr[data-key={ids(3)[0]}]").click()
    expect(page.locator(".card.causes")).to_contain_text("Matched in M0000000001 with B0000000007")
    page.click("[data-do=undo]")
    answer(page)
    expect(page.locator("#one .state.reopened")).to_be_visible()
    page.select_option("#filters [name=state]", "")
    choose(page, 5)
    page.keyboard.press("Tab")
    page.click("#tools [data-do=force]")
    answer(page, "written off")
    assert api.done[-1][3] == {"ids": ids(5), "comment": "written off", "force": True}
    api.faster = "bert"
    choose(page, 2)
    page.click("#tools [data-do=acknowledge]")
    page.click("dialog button[type=submit]")
    expect(page.locator("dialog .problem")).to_have_text(f"{ids(2)[0]} was changed by bert meanwhile")


def test_an_adjustment_takes_a_second_person(
    api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep
) -> None:
    page = person("olga", f"?id={ids(1)[0]}").page
    expect(page.locator(".ladder")).to_have_count(2)
    page.locator("#list tbody tr").first.focus()
    api.hold.clear()  # what the next one's sides are is on its way
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    expect(page.locator("dialog h2")).to_have_text("Adjust our side of SEC000002")
    expect(page.locator("dialog input[name=book]")).to_have_value("")
    expect(page.locator("dialog input[name=depot]")).to_have_value("DEPOT0")
    page.keyboard.press("Escape")
    api.hold.set()
    page.locator("#list tbody tr").first.click()
    expect(page.locator("#one h2")).to_contain_text(ids(1)[0])
    expect(page.locator(".ladder")).to_have_count(2)
    page.click("#one [data-do=adjust]")
    expect(page.locator("dialog input[name=book]")).to_have_value("FIRM-1")
    expect(page.locator("dialog input[name=quantity]")).to_have_value(f"{MINUS}500")
    answer(page, "booked twice")
    expect(page.locator(".card.adjustments")).to_contain_text("pending")
    expect(page.locator("#tabs [data-view=adjustments] b")).to_have_text(" 1")
    approve = page.locator(".card.adjustments [data-do^=approve]")
    expect(approve).to_have_attribute("title", "Another person approves it")
    other = person("checker", "?view=adjustments").page
    expect(other.locator("#list tbody tr")).to_contain_text(f"{MINUS}500")
    keep_picture(other, "breaks-adjustments")
    assert findings(other) == []
    other.click("#list [data-do=approve]")
    answer(other, "seen the slip")
    expect(other.locator("#list .nothing")).to_have_text("No adjustment waits for a second person.")
    assert api.done[-1] == ("approve", "checker", "A0000000001", {"comment": "seen the slip"})
    expect(page.locator(".card.adjustments .state")).to_have_text("applied")


def test_every_state_says_what_it_is(api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep) -> None:
    api.hold.clear()
    desk = person("auditor")
    page = desk.page
    expect(page.locator("#list")).to_have_attribute("aria-busy", "true")
    keep_picture(page, "breaks-loading")
    api.hold.set()
    desk.wait_status("live")
    page.locator("#list tbody tr").first.click()
    hold = page.locator("#one [data-do=hold]")
    expect(hold).to_have_attribute("title", "Only ops or admin may do this")
    expect(page.locator("#one [data-do=assign]")).to_have_attribute("aria-disabled", "true")
    does = page.locator(".card.does")
    api.deep[ids(1)[0]]["limits"] = None
    expect(does.locator("[data-kind=unknown]")).to_have_text("⚠ Which limits hang on it is not known at the moment.")
    expect(does).to_contain_text("L0000000012")
    api.deep[ids(1)[0]]["locates"] = None
    expect(does.locator("[data-kind=unknown]")).to_contain_text("Which locates and limits hang on it is not known")
    expect(does).not_to_contain_text("No locate")
    age = page.locator("#list tbody tr").first.locator("[data-column=age]")
    expect(age).to_have_text("today")
    api.breaks[0]["age_days"] = None
    expect(age).to_have_text("\N{EN DASH}")
    keep_picture(page, "breaks-unknown")
    api.deep[ids(1)[0]] |= {"locates": [], "limits": []}
    expect(does).to_contain_text("No locate and no limit hangs on it.")
    api.stale = "the engine is away"
    assert "STALE BREAKS" in desk.wait_status("stale")
    expect(page.locator("#sums")).to_contain_text("the engine is away")
    keep_picture(page, "breaks-stale")
    api.stale = ""
    api.trouble, api.detail = 502, "the engine is away"
    assert "ENGINE DOWN" in desk.wait_status("down")
    expect(page.locator("#list tbody tr")).to_have_count(6)  # what was known stays, and looks it
    keep_picture(page, "breaks-disconnected")
    api.trouble = 0
    desk.wait_status("live")
    api.trouble, api.detail = 403, "this takes a role"
    expect(page.locator("#list .nothing")).to_have_text("You may not see this: this takes a role.")
    keep_picture(page, "breaks-refused")
    api.trouble, api.detail = 500, "an error of the program"
    expect(page.locator("#list .nothing")).to_have_text("This could not be shown: an error of the program.")
    api.trouble = 0
    api.breaks.clear()
    expect(page.locator("#list .nothing")).to_contain_text("Nothing is at odds")
    expect(page.locator("#one .nothing")).to_have_text("There is no break B0000000001.")
    keep_picture(page, "breaks-empty")
    page.select_option("#filters [name=kind]", "depot")
    expect(page.locator("#list .nothing")).to_have_text("No break is like this.")


def test_the_stream_rings_and_a_narrow_window_has_everything(
    api: BreaksScript, person: Callable[..., DeskPage], keep_picture: Keep
) -> None:
    desk = person("olga", f"?id={ids(1)[0]}", viewport={"width": 768, "height": 1024})
    page = desk.page
    expect(page.locator(".ladder")).to_have_count(2)
    assert api.heard.wait(20)
    assert api.followed == [{"op": "subscribe", "topic": "breaks", "snapshot": False}]
    keep_picture(page, "breaks-tablet")
    assert page.evaluate("document.documentElement.scrollWidth") <= 768
    assert findings(page) == []
    page.context.add_init_script("window.setInterval = () => 0;")  # no clock: only the bell
    api.heard.clear()
    page.reload()
    expect(page.locator("#list tbody tr")).to_have_count(6)
    assert api.heard.wait(20)
    api.add(broken(8))
    api.ring()
    expect(page.locator("#list tbody tr")).to_have_count(7)
