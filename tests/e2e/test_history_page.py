"""The page History: numbers over time with what happened, a past moment beside now, and every state it can be in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.settings import Settings
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_history import HistoryScript

SECURITY = "?sec=US0000000001"


@pytest.fixture
def page_path() -> str:
    return "/history"


@pytest.fixture
def script(settings: Settings) -> HistoryScript:
    return HistoryScript(settings.secret)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_moment_is_put_beside_now_and_the_back_button_takes_it_away(
    api: HistoryScript, person: Callable[..., DeskPage], theme: str
) -> None:
    desk = person("maker", f"{SECURITY}&theme={theme}")
    page = desk.page
    desk.wait_status("live")
    expect(page.locator("#chart h3")).to_have_text("US0000000001 on SD1")
    expect(page.locator("#chart .chart-legend button")).to_have_count(3)
    expect(page.locator("#marks li")).to_have_count(6)
    page.click("#marks .trade button")
    expect(page.locator("#beside h2")).to_contain_text("beside now")
    expect(page.locator("#beside tbody")).to_contain_text("FIRM · B0001 · DTC")
    row = page.locator("#beside tr", has_text="For loan")
    expect(row.locator("td")).to_have_text(["900,000", "585,000", "▼ -315,000"])
    expect(page.locator("#beside tbody")).not_to_contain_text("B0002")
    page.click("#beside .tools button")
    expect(page.locator("#beside tbody")).to_contain_text("FIRM · B0002 · DTC")
    assert "at=" in page.url
    desk.picture(f"history-{theme}")
    assert desk.value(CONTRASTS) == []
    assert desk.hosts() == {"127.0.0.1"}
    assert desk.errors == []
    page.go_back()
    expect(page.locator("#history")).to_have_attribute("data-beside", "closed")
    page.go_forward()
    expect(page.locator("#beside tbody")).to_contain_text("B0001")
    assert desk.errors == []


def test_numbers_are_added_and_every_chart_is_saved_as_a_picture(
    api: HistoryScript, person: Callable[..., DeskPage], tmp_path: Path
) -> None:
    desk = person("auditor", f"{SECURITY}&last=24h")
    page = desk.page
    expect(page.locator("#chart .chart-legend button")).to_have_count(3)
    page.select_option("select[name=num]", "utilisation")
    expect(page.locator("#chart .chart-legend button")).to_have_count(4)
    assert "utilisation" in page.url
    for view in ("security", "markets", "answers"):
        page.click(f"#tabs [data-view={view}]")
        expect(page.locator(f"#history[data-view={view}] .chart[data-painted]")).to_be_visible()
        with page.expect_download() as saved:
            page.click(".chart-png")
        path = tmp_path / saved.value.suggested_filename
        saved.value.save_as(path)
        raw = path.read_bytes()
        assert raw[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(raw[16:20], "big") > 1_000, "as sharp as on paper"
        desk.picture(f"history-{view}")
    page.click("#tabs [data-view=security]")
    expect(page.locator("#history[data-view=security] #chart .chart[data-painted]")).to_be_visible()
    box = page.locator("#chart canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 70, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=**")
    page.click("#filters [value='8h']")
    page.wait_for_url("**last=8h**")
    page.locator("#chart canvas").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-tip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#beside h2")).to_contain_text("beside now")


def test_what_is_not_there_is_said_in_words(api: HistoryScript, person: Callable[..., DeskPage]) -> None:
    desk = person("olga")
    page = desk.page
    expect(page.locator("#chart .nothing")).to_contain_text("Name a security")
    page.fill("input[name=sec]", "NOBODY")
    page.press("input[name=sec]", "Enter")
    expect(page.locator("#chart .nothing")).to_have_text("no security NOBODY")
    api.recorded = False
    page.fill("input[name=sec]", "US0000000001")
    page.press("input[name=sec]", "Enter")
    expect(page.locator("#notice")).to_contain_text("Nothing was recorded in this time")
    expect(page.locator("#marks")).to_contain_text("Only what the recorder saw")
    page.click("#tabs [data-view=markets]")
    expect(page.locator(".chart-none")).to_contain_text("Nothing was recorded")
    page.click("#tabs [data-view=answers]")
    expect(page.locator(".chart-none")).to_contain_text("No locate was asked for")
    desk.picture("history-nothing")
    api.closed, api.recorded = True, True
    page.click("#tabs [data-view=security]")
    expect(page.locator("#chart .nothing")).to_contain_text("keeps no archive")
    api.closed, api.analyst_away = False, True
    page.goto(page.url + "&at=2026-11-20T10:00:00Z")
    expect(page.locator("#beside .nothing")).to_contain_text("the analyst cannot be reached")
    api.trouble, api.detail = 403, "this is not shown to a token for some clients only"
    page.reload()
    expect(page.locator("#chart .nothing")).to_contain_text("You may not see this")
    desk.picture("history-refused")
    assert desk.value(CONTRASTS) == []


def test_an_engine_that_is_away_greys_what_was_seen_before(
    settings: Settings, script: HistoryScript, person: Callable[..., DeskPage]
) -> None:
    with serving(settings, script):
        desk = person("olga", SECURITY, viewport={"width": 820, "height": 1180})
        desk.wait_status("live")
        expect(desk.page.locator(".chart[data-painted]")).to_be_visible()
        wide = desk.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        desk.picture("history-tablet")
    desk.wait_status("down")
    expect(desk.page.locator(".chart canvas")).to_be_visible()


def test_limits_are_drawn_over_time_and_a_moment_of_them_is_put_beside_now(
    api: HistoryScript, person: Callable[..., DeskPage]
) -> None:
    desk = person("maker", "?view=limits&owner=FUND1&sec=US0000000001&theme=light")
    page = desk.page
    desk.wait_status("live")
    expect(page.locator("#chart h3")).to_have_text("FUND1 in US0000000001 on SD1")
    expect(page.locator("#chart .chart-legend button")).to_have_text(["Client may sell long", "Client may sell short"])
    expect(page.locator("#marks li")).to_have_count(6)
    expect(page.locator("#notice")).to_have_text("")
    page.click("#marks .trade button")
    row = page.locator("#beside tr", has_text="Client may sell long")
    expect(row.locator("td")).to_have_text(["26,000", "28,000", "▲ +2,000"])
    desk.picture("history-limits")
    assert desk.value(CONTRASTS) == []
    assert findings(page) == []
    desk.errors.clear()  # see above
    page.keyboard.press("Escape")
    page.select_option("select[name=num]", "client_long")
    expect(page.locator("#chart .chart-legend button")).to_have_text(["Client may sell short"])
    page.select_option("select[name=scope]", "au")
    page.fill("input[name=owner]", "US-NET-1")
    page.press("input[name=owner]", "Enter")
    expect(page.locator("#chart h3")).to_have_text("US-NET-1 in US0000000001 on SD1")
    expect(page.locator("#chart .chart-legend button")).to_have_text(["Unit may sell long", "Unit may sell short"])
    page.click("#tabs [data-view=security]")
    expect(page.locator("#chart h3")).to_have_text("US0000000001 on SD1")
    page.go_back()
    expect(page.locator("#chart h3")).to_have_text("US-NET-1 in US0000000001 on SD1")
    page.select_option("select[name=scope]", "client")
    expect(page.locator("#chart .chart-legend button")).to_have_text(["Client may sell long", "Client may sell short"])
    assert desk.errors == []
    api.kept_to_clients = True  # from here on the browser notes what is refused
    page.fill("input[name=owner]", "FUND2")
    page.press("input[name=owner]", "Enter")
    expect(page.locator("#notice")).to_contain_text("it is recorded from now on")
    expect(page.locator("#marks")).to_contain_text("not yours to see")
    page.goto(page.url + "&at=2026-11-20T10:00:00Z")
    expect(page.locator("#beside .nothing")).to_contain_text("nobody looked at it then")
    page.fill("input[name=owner]", "NOBODY")
    page.press("input[name=owner]", "Enter")
    expect(page.locator("#chart .nothing")).to_contain_text("no client 'NOBODY'")
    page.fill("input[name=owner]", "")
    page.press("input[name=owner]", "Enter")
    expect(page.locator("#chart .nothing")).to_contain_text("Name a client or an aggregation unit")
