"""What all pages have around them: the search, the clock of a market, the data's age, and the desktop agent's channel."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from app.settings import Settings
from engine.tables import Word
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_overview import OverviewScript
from tests.e2e.small_desk import KNOWN, SmallDesk, gateway, small_desk

Keep = Callable[[Page, str], Path]
Person = Callable[..., DeskPage]
AGENT = """
  window.said = [];
  window.hearers = [];
  window.agent = {
    broadcast: async (context) => { window.said.push(context); for (const hear of window.hearers) hear(context, {}); },
    addContextListener: async (type, hear) => { window.hearers.push(hear); return { unsubscribe() {} }; },
  };
"""
"""A desktop agent that even tells a window what it said itself."""
INSTRUMENT = {
    "type": "fdc3.instrument",
    "name": KNOWN["name"],
    "id": {name: KNOWN[name.lower()] for name in ("ticker", "ISIN", "CUSIP", "SEDOL", "FIGI")},
    "market": {"MIC": "XTKS"},
}


@pytest.fixture
def page_path() -> str:
    return "/inventory"


@pytest.fixture(scope="module")
def desk(settings: Settings) -> Iterator[SmallDesk]:
    with small_desk(settings) as made, gateway(settings):
        yield made


@pytest.fixture
def script(settings: Settings) -> OverviewScript:
    return OverviewScript(settings.secret)


def test_a_security_is_found_by_whatever_names_it(
    desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep
) -> None:
    seen = person("auditor")
    page = seen.page
    seen.wait_rows()
    page.wait_for_selector("#find:visible")
    page.wait_for_function("window.imsFrame")
    option, told = page.locator("#find-list [role=option]"), page.locator("#find-told")
    page.keyboard.press("/")
    expect(page.locator("#find-text")).to_be_focused()
    expect(told).to_contain_text("ticker@market")
    names = [*KNOWN.values(), "qbs@jp", "QBS@XTKS", "quorbright solar", "QBS.OQ"]
    for text in names:
        page.fill("#find-text", text)
        expect(option.first).to_contain_text("Quorbright Solar Inc")
        page.fill("#find-text", "")
        expect(option).to_have_count(0)
    for text, why in (
        ("US0378331006", "is no ISIN: the check digit is wrong"),
        ("QBS@US", "QBS is traded in JP, not in US"),
        ("QBS@XX", "There is no market 'XX'"),
        ("bank zebra", "No name or identifier has 'zebra'"),
    ):
        page.fill("#find-text", text)
        expect(told).to_contain_text(why)
    keep_picture(page, "find-nothing")
    # keys choose, the browser keeps the address, and Esc closes one thing at a time
    page.fill("#find-text", "bank")
    expect(option).to_have_count(12)
    expect(told).to_contain_text("type more to narrow it down")
    for theme in ("dark", "light"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        keep_picture(page, f"find-{theme}")
        assert findings(page, "#finder") == []
        assert seen.value(CONTRASTS) == []
    page.keyboard.press("ArrowDown")
    expect(option.nth(1)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#find-text")).to_have_attribute("aria-activedescendant", "find-1")
    page.keyboard.press("Escape")
    expect(page.locator("#finder")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.fill("#find-text", KNOWN["sedol"])
    expect(option).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-detail", "open")
    assert f"sec={KNOWN['code']}" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("html")).to_have_attribute("data-detail", "closed")
    assert seen.errors == []


def test_the_clock_is_of_the_market_that_was_chosen(
    desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep
) -> None:
    seen = person("auditor")
    page = seen.page
    page.wait_for_selector("#clock:visible")
    # half an hour after the opening of a day to come
    page.evaluate("""() => {
      const { market } = window.imsFrame;
      const { days } = market.markets.find(({ code }) => code === "JP");
      market.skewMs = days.find(({ opens }) => opens > Date.now()).opens + 1_800_000 - Date.now();
      market.tick();
    }""")
    page.click("#clock")
    row = page.locator("#markets tr[data-market=JP]")
    expect(row).to_contain_text(" 09:3")
    expect(row).to_contain_text("● OPEN")
    expect(row).to_contain_text("4h 2")
    expect(page.locator("#markets tr[data-market=TW]")).to_contain_text("CLOSED")
    assert findings(page, "#markets") == []
    keep_picture(page, "clocks")
    row.get_by_role("button").click()
    clock = page.locator("#clock")
    expect(clock).to_contain_text("JP")
    expect(clock).to_contain_text("OPEN")
    expect(clock).to_contain_text("cut-off 4h")
    page.reload()
    expect(clock).to_contain_text("JP")


def test_hours_of_half_days_pauses_and_closed_days(desk: SmallDesk, api: OverviewScript, person: Person) -> None:
    page = person("auditor").page
    page.wait_for_function("window.imsFrame")
    days = [
        {"opens": 100, "closes": 500, "pause": 200, "resume": 300, "cutoff": 400},
        {"opens": 1100, "closes": 1300, "half": True},
    ]
    script = """async (days) => {
      const frame = document.querySelector("script[src*='frame/main.js']").src;
      const { look } = await import(frame.replace("main.js", "market.js"));
      const told = ({ word, next }) => [word, ...next.flat()];
      return [50, 150, 250, 450, 700, 1200, 9000].map((now) => told(look(days, now)));
    }"""
    assert page.evaluate(script, days) == [
        ["CLOSED", "opens", 50],
        ["OPEN", "cut-off", 250, "closes", 350],
        ["PAUSE", "goes on", 50, "cut-off", 150, "closes", 250],
        ["OPEN", "closes", 50],
        ["CLOSED", "half day opens", 400],
        ["HALF DAY", "closes", 100],
        ["CLOSED"],
    ]


def test_the_age_of_the_data_grows_and_says_why(
    desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep
) -> None:
    page = person("auditor").page
    age = page.locator("#age a")
    expect(age).to_have_attribute("data-tone", "")
    desk.beating.clear()
    expect(age).to_have_attribute("data-tone", "bad")
    expect(age).to_contain_text("engine stopped")
    keep_picture(page, "frame-stale")
    assert findings(page, "header") == []
    desk.beating.set()
    expect(age).to_have_attribute("data-tone", "")
    # on a page without a socket of its own, the page server tells
    page.goto(page.url.replace("/inventory", "/locates"))
    expect(age).to_have_attribute("data-tone", "")
    desk.tables.state[Word.READY] = 0
    expect(age).to_contain_text("starting")
    desk.tables.state[Word.READY] = 1
    expect(age).not_to_contain_text("starting")


def test_pages_are_a_menu_where_there_is_no_room(desk: SmallDesk, api: OverviewScript, person: Person) -> None:
    page = person("auditor", viewport={"width": 768, "height": 1024}).page
    page.wait_for_function("window.imsFrame")
    expect(page.locator(".pages")).to_be_hidden()
    page.click("#menu")
    expect(page.locator(".pages a").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".pages")).to_be_hidden()
    expect(page.locator("#menu")).to_be_focused()
    page.click("#menu")
    page.click(".pages a:has-text('Health')")
    page.wait_for_url("**/feeds")


def said(page: Page) -> list[dict[str, Any]]:
    return list(page.evaluate("window.said"))


def test_windows_of_a_desktop_follow_one_another_and_never_in_a_circle(
    desk: SmallDesk, api: OverviewScript, person: Person
) -> None:
    seen = person("auditor")
    page = seen.page
    page.context.add_init_script(AGENT + "window.fdc3 = window.agent;")
    page.reload()
    page.wait_for_selector("html[data-fdc3=joined]")
    seen.wait_rows()
    # what is picked is said, once, with all that is known of it
    page.evaluate("(code) => imsDesk.select(code)", KNOWN["code"])
    page.wait_for_function("window.said.length === 1")
    assert said(page) == [INSTRUMENT]
    # what is heard is followed, and not said again
    other = bytes(desk.tables.array["security"]["isin"][20]).decode()
    code = bytes(desk.tables.array["security"]["code"][20]).decode()
    page.evaluate("(ISIN) => window.hearers[0]({ type: 'fdc3.instrument', id: { ISIN } })", other)
    page.wait_for_function("(code) => imsDesk.state.selected === code", arg=code)
    page.evaluate(
        "() => window.hearers[0]({ type: 'fdc3.instrument', id: { ticker: 'QBS' }, market: { MIC: 'XTKS' } })"
    )
    page.wait_for_function("(code) => imsDesk.state.selected === code", arg=KNOWN["code"])
    # who is not known here, a context of another kind, and nonsense change nothing
    for context in (
        {"type": "fdc3.instrument", "id": {"ISIN": "US5949181045"}},
        {"type": "fdc3.contact", "id": {"ISIN": other}},
        {"type": "fdc3.instrument"},
    ):
        page.evaluate("(context) => window.hearers[0](context)", context)
    page.evaluate("(code) => imsDesk.select(code)", code)
    page.wait_for_function("window.said.length === 2")
    assert said(page)[1]["id"]["ISIN"] == other
    assert page.evaluate("imsDesk.state.selected") == code
    # the way back is a pick like any other; a page that is loaded anew has said it before
    page.go_back()
    page.wait_for_function("window.said.length === 3")
    assert said(page)[2] == INSTRUMENT
    page.reload()
    page.wait_for_selector("html[data-fdc3=joined]")
    seen.wait_rows()
    page.evaluate("(code) => imsDesk.select(code)", code)
    page.wait_for_function("window.said.length === 1")
    assert said(page)[0]["id"]["ISIN"] == other


def test_what_a_person_picks_is_not_undone_by_what_was_heard_before(
    desk: SmallDesk, api: OverviewScript, person: Person
) -> None:
    seen = person("auditor")
    page = seen.page
    page.context.add_init_script(
        AGENT
        + "window.fdc3 = window.agent; window.agent.broadcast = async (context) => void window.said.push(context);"
    )
    page.reload()
    page.wait_for_selector("html[data-fdc3=joined]")
    seen.wait_rows()
    other = bytes(desk.tables.array["security"]["isin"][20]).decode()
    held: list[Route] = []

    def asked(url: str) -> bool:
        return "/search" in url and other in url

    page.route(asked, lambda route: route.continue_() if held else held.append(route))
    with page.expect_request(lambda request: asked(request.url)):
        page.evaluate("(ISIN) => void window.hearers[0]({ type: 'fdc3.instrument', id: { ISIN } })", other)
    page.evaluate("(code) => imsDesk.select(code)", KNOWN["code"])
    page.wait_for_function("window.said.length === 1")
    held[0].continue_()
    # once the same question, asked later, is answered, so is the first
    page.evaluate("(ISIN) => imsFrame.interop.securities.search(ISIN, { limit: 2, exact: true })", other)
    assert page.evaluate("imsDesk.state.selected") == KNOWN["code"]
    assert said(page) == [INSTRUMENT]


def test_a_window_that_hears_an_instrument_stays_the_page_that_it_is(
    desk: SmallDesk, api: OverviewScript, person: Person
) -> None:
    page = person("auditor").page
    page.context.add_init_script(AGENT + "window.fdc3 = window.agent;")
    base = page.url.split("/inventory")[0]
    hear = "(ISIN) => window.hearers[0]({ type: 'fdc3.instrument', id: { ISIN } })"
    # a link to a security tells the others which one it is
    page.goto(f"{base}/inventory?sec={KNOWN['code']}")
    page.wait_for_function("window.said.length === 1")
    assert said(page) == [INSTRUMENT]
    for path in ("breaks", "locates", "limits"):
        page.goto(f"{base}/{path}")
        page.wait_for_selector("html[data-fdc3=joined]")
        page.wait_for_selector("#filters [name=security]")
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('dialog'), { open: true, id: 'asked' }))"
        )
        page.evaluate(hear, KNOWN["isin"])
        assert page.url == f"{base}/{path}", "a question that is open is answered first"
        page.evaluate("document.getElementById('asked').remove()")
        page.evaluate(hear, KNOWN["isin"])
        page.wait_for_url(f"{base}/{path}?security={KNOWN['code']}")
        assert said(page) == []
    page.goto(f"{base}/feeds")
    page.wait_for_selector("html[data-fdc3=joined]")
    page.evaluate(hear, KNOWN["isin"])
    assert page.url == f"{base}/feeds"


def test_an_agent_that_comes_late_hears_what_was_picked_before(
    desk: SmallDesk, api: OverviewScript, person: Person
) -> None:
    page = person("auditor").page
    page.wait_for_selector("#find:visible")
    page.wait_for_function("window.imsFrame && window.imsDesk")
    page.evaluate("(code) => imsDesk.select(code)", KNOWN["code"])
    page.evaluate(AGENT)
    page.evaluate("() => { window.fdc3 = window.agent; window.dispatchEvent(new Event('fdc3Ready')); }")
    page.wait_for_function("window.said.length === 1")
    assert said(page) == [INSTRUMENT]
    # a page without a drill-down of its own leads to the one that has it
    page.goto(page.url.split("/inventory")[0] + "/locates")
    page.wait_for_function("window.imsFrame")
    page.keyboard.press("Control+k")
    page.fill("#find-text", KNOWN["figi"])
    expect(page.locator("#find-list [role=option]")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inventory?sec={KNOWN['code']}")
    expect(page.locator("html")).to_have_attribute("data-detail", "open")
