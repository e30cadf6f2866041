"""The page Overview over a real gateway, tables of the test's and an API of the test's."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from engine.model import Concern
from engine.tables import Word
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_overview import OverviewScript
from tests.e2e.small_desk import SmallDesk, gateway, small_desk

Keep = Callable[[Page, str], Path]
Person = Callable[..., DeskPage]
CUT_OFF = """() => [...document.querySelectorAll("button, a[href], input, select, [role=button]")]
  .filter((part) => part.checkVisibility({ visibilityProperty: true }) && !part.closest(".scroll, [popover], dialog"))
  .filter((part) => {
    const { left, right, top, bottom } = part.getBoundingClientRect();
    return left < -1 || right > innerWidth + 1 || top < -1 || bottom > innerHeight + 1;
  }).map((part) => part.outerHTML.slice(0, 120))"""
"""Controls that are not wholly within the window, and in nothing that scrolls."""


@pytest.fixture
def page_path() -> str:
    return "/overview"


@pytest.fixture(scope="module")
def desk(settings: Settings) -> Iterator[SmallDesk]:
    with small_desk(settings) as made, gateway(settings):
        yield made


@pytest.fixture(autouse=True)
def sure(desk: SmallDesk) -> None:
    """Whatever the test before it put in doubt."""
    desk.tables.state[Word.STALE] = 0


@pytest.fixture
def script(settings: Settings) -> OverviewScript:
    made = OverviewScript(settings.secret)
    for number, state in enumerate(("approved", "pending", "rejected", "partially_approved", "pending"), 1):
        made.decide(number, state)
    made.sell(1)
    made.sell(2, "rejected")
    return made


def test_the_desk_at_a_glance(desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep) -> None:
    seen = person("auditor")
    page = seen.page
    seen.wait_status("live")
    page.wait_for_selector(".tile")
    # what a tile says is what the tables come to
    for_loan = desk.tables.array["values"][1:, desk.tables.catalogue.playing("lend"), 0]
    shares = int(for_loan.sum())
    assert f"{shares:,} shares" in str(page.locator(".tile").first.get_attribute("title"))
    assert f"USD {shares * 10:,}" in str(page.locator(".tile").first.get_attribute("title"))
    expect(page.locator("#by-market tbody tr")).to_have_count(9)
    expect(page.locator("#by-market tr.sum")).to_contain_text("600")
    # every number leads to where it comes from
    assert page.locator("#tiles .tile:not([href]), #by-market td:not(:has(a[href]))").count() == 0
    link = page.locator("#by-market tbody tr").first.locator("td a").first
    assert str(link.get_attribute("href")).startswith("/inventory?m=")
    expect(page.locator("#locates-card")).to_contain_text("Pending2")
    expect(page.locator("#health-card")).to_contain_text("within their limits")
    expect(page.locator("#breaks-card")).to_contain_text("■ Critical1")  # the marks of the page Breaks
    expect(page.locator("#activity tbody tr")).to_have_count(7)
    # a decision is there as it is made: the stream rings
    api.decide(9, "approved", client="FUND9")
    assert api.heard.wait(20)
    api.ring()
    first = page.locator("#activity tbody tr").first
    expect(first).to_contain_text("FUND9")
    expect(first).to_have_class("new")
    expect(page.locator("#locates-card")).to_contain_text("Asked for today6")
    for theme in ("dark", "light"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        keep_picture(page, f"overview-{theme}")
        assert findings(page) == []
        assert seen.value(CONTRASTS) == []
    assert {topic["topic"] for topic in api.followed} == {"locates", "orders"}
    assert len({id(stream) for stream in api.streams}) == 1  # one socket for both
    assert seen.errors == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (768, 1024), (640, 400)])
def test_narrow_windows_and_large_letters_cut_nothing_off(
    desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep, width: int, height: int
) -> None:
    seen = person("auditor", viewport={"width": width, "height": height})
    seen.page.wait_for_selector(".tile")
    seen.page.wait_for_selector("#clock:visible")
    assert seen.value(CUT_OFF) == []
    assert seen.value("document.documentElement.scrollWidth") <= width
    keep_picture(seen.page, f"overview-{width}")


def test_states_of_what_it_shows_are_told_apart(
    desk: SmallDesk, settings: Settings, script: OverviewScript, person: Person, keep_picture: Keep
) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(serving(settings, script))
        script.hold.clear()
        seen = person("auditor")
        page = seen.page
        expect(page.locator("#tiles")).to_have_attribute("aria-busy", "true")
        keep_picture(page, "overview-loading")
        script.locates, script.orders = [], []
        script.hold.set()
        expect(page.locator("#activity .nothing")).to_contain_text("Nothing has been decided yet")
        keep_picture(page, "overview-empty")
        assert findings(page) == []
        # a feed is late: the chip, the frame and the card say which
        state = desk.tables.state
        state[Word.STALE] = int(Concern.SHARES)
        script.status["stale"] = ["SHARES"]
        script.status["feeds"][0] = script.status["feeds"][0] | {"state": "stale"}
        seen.wait_status("stale")
        expect(page.locator("#age")).to_contain_text("shares doubtful")
        expect(page.locator("#overview")).to_have_attribute("data-sums", "stale")
        keep_picture(page, "overview-stale")
        assert findings(page) == []
        state[Word.STALE] = 0
    # the API is away: what was there before is grey, the gateway's sums go on
    seen.wait_status("down")
    expect(page.locator("#overview")).to_have_attribute("data-state", "down")
    expect(page.locator("#overview")).to_have_attribute("data-sums", "live")
    keep_picture(page, "overview-down")
    # and refused: said in the page's own words
    script.trouble, script.detail = 403, "no role for it"
    with serving(settings, script):
        expect(page.locator("#activity .nothing")).to_contain_text("You may not see this")
        keep_picture(page, "overview-refused")


def test_who_is_kept_to_clients_sees_what_is_theirs(
    desk: SmallDesk, api: OverviewScript, person: Person, keep_picture: Keep
) -> None:
    api.decide(9, "approved", client="FUND9")
    seen = person("carla")
    page = seen.page
    expect(page.locator("#activity tbody tr")).to_have_count(1)
    expect(page.locator("#activity")).to_contain_text("FUND9")
    expect(page.locator("#tiles")).to_be_hidden()
    expect(page.locator(".absent")).to_contain_text("Not shown to you: sums over all clients, feeds and processes")
    seen.wait_status("live")
    expect(page.locator("#age")).not_to_contain_text("doubtful")
    ends = "(part) => document.querySelector(part).getBoundingClientRect().bottom"
    assert len({round(float(page.evaluate(ends, part))) for part in ("#overview", "#activity-part", "#side")}) == 1
    keep_picture(page, "overview-kept-to-clients")
    page.keyboard.press("/")
    expect(page.locator("#find-told")).to_contain_text("not shown to who is kept to some clients")
    keep_picture(page, "find-refused")


def test_sums_follow_what_the_writer_writes(desk: SmallDesk, api: OverviewScript, person: Person) -> None:
    page = person("auditor").page
    page.wait_for_selector(".tile")
    values = desk.tables.array["values"]
    values[1:, desk.tables.catalogue.playing("lend"), 0] += np.int64(1_000_000)
    shares = int(values[1:, desk.tables.catalogue.playing("lend"), 0].sum())
    page.wait_for_function(f"document.querySelector('.tile').title.includes('{shares:,} shares')")
