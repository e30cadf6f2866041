"""The page Limits: what is left, why it is so much, and the orders that take it, as they are decided."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from app.settings import Settings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_limits import LimitsScript, limit, order


@pytest.fixture
def page_path() -> str:
    return "/limits"


@pytest.fixture
def script(settings: Settings) -> LimitsScript:
    made = LimitsScript(settings.secret)
    made.limits = [
        limit("US0000000001", (5_000, 1_000), (-500, 4_500)),
        limit("US0000000002", (200, 9_800), (0, 0)),
        limit("US0000000001", (25_000, 5_000), (0, 0), "US-NET-1") | {"scope": "au"},
    ]
    made.orders = [order(1), order(2, "rejected"), order(3, "filled", executed=3_000, open=0)]
    return made


def test_orders_come_as_they_are_decided_and_lead_to_their_limits(
    api: LimitsScript, person: Callable[..., DeskPage]
) -> None:
    desk = person("auditor")
    page = desk.page
    desk.wait_status("live")
    expect(page.locator("#orders tbody tr")).to_have_count(3)
    first = page.locator("#orders tbody tr").first
    expect(first).to_contain_text("order-3")
    expect(page.locator("#list .nothing")).to_contain_text("Name a client or an aggregation unit")
    api.orders.append(order(4, updated_at=api.status["at"]))
    expect(first).to_contain_text("order-4")
    expect(first).to_have_class("new")
    expect(first).to_contain_text("5,000 → 4,000")
    page.evaluate("document.addEventListener('ims-picked', ({ detail }) => (window.picks ??= []).push(detail.code))")
    first.locator("[data-column=client] a").click()
    expect(page.locator("#list tbody tr")).to_have_count(2)
    expect(page.locator("#why h2")).to_contain_text("FUND1 · US0000000001")
    assert "owner=FUND1" in page.url
    assert page.evaluate("window.picks") == ["US0000000001"], "other windows are told whose limit is looked at"
    page.evaluate("""() => document.dispatchEvent(
      new CustomEvent('ims-open', { detail: { code: 'US0000000002', heard: true }, cancelable: true }))""")
    expect(page.locator("#filters [name=security]")).to_have_value("US0000000002")
    assert "owner=FUND1" in page.url
    page.go_back()
    page.go_back()
    expect(page.locator("#list .nothing")).to_contain_text("Name a client")
    first.locator("[data-column=unit] a").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#why h2")).to_contain_text("US-NET-1")
    chart = page.locator("#list [data-column=time] a")
    expect(chart).to_have_attribute("href", "/history?view=limits&scope=au&owner=US-NET-1&sec=US0000000001")
    assert desk.errors == []  # the scripted API has no history: what comes now says so, or not yet
    chart.click()
    page.wait_for_url("**/history?view=limits**")
    page.go_back()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    assert desk.hosts() == {"127.0.0.1"}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_limit_is_taken_apart_into_inputs_rules_and_rows(
    api: LimitsScript, person: Callable[..., DeskPage], theme: str
) -> None:
    desk = person("olga", f"?owner=FUND1&of=US0000000001&theme={theme}")
    page = desk.page
    expect(page.locator("#why h2")).to_contain_text("Why 5,000?")
    expect(page.locator("#why tbody tr").first).to_contain_text("limit.short_locates v3")
    expect(page.locator("#why")).to_contain_text("Nothing comes from: Pay to hold.")
    page.click("#why [data-side=long]")
    expect(page.locator("#why h2")).to_contain_text("Why -500?")
    page.click("#why summary")
    expect(page.locator("#why details tbody tr")).to_contain_text("DTC")
    expect(page.locator("#list td.bad").first).to_have_text("-500")
    expect(page.locator("#list td.much").first).to_have_text("4,500")
    desk.picture(f"limits-{theme}")
    assert desk.value(CONTRASTS) == []


def test_the_list_is_walked_by_arrows_and_the_reasons_follow(
    api: LimitsScript, person: Callable[..., DeskPage]
) -> None:
    page = person("olga", "?owner=FUND1").page
    page.locator("#list tbody tr").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#list tr.sel")).to_have_attribute("data-key", "US0000000001")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#list tr.sel")).to_have_attribute("data-key", "US0000000002")
    page.keyboard.press("Escape")
    expect(page.locator("#why .nothing")).to_contain_text("Choose a limit")


def test_nobody_and_nothing_are_said_in_words(api: LimitsScript, person: Callable[..., DeskPage]) -> None:
    api.orders = []
    desk = person("olga", "?owner=NOBODY&of=US0000000001")
    expect(desk.page.locator("#list .nothing")).to_contain_text("NOBODY has nothing to sell")
    expect(desk.page.locator("#why .nothing")).to_contain_text("Nobody knows limits of NOBODY")
    expect(desk.page.locator("#orders .nothing")).to_have_text("No order is like this.")
    assert desk.value(CONTRASTS) == []


def test_an_engine_that_is_away_greys_what_was_left_before(
    settings: Settings, script: LimitsScript, person: Callable[..., DeskPage]
) -> None:
    with serving(settings, script):
        desk = person("olga", "?owner=FUND1", viewport={"width": 1280, "height": 900})
        desk.wait_status("live")
        expect(desk.page.locator("#list tbody tr")).to_have_count(2)
        for part in ("#list", "#orders"):
            wide = desk.value(f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('{part}'))")
            assert wide <= 0, part
        desk.picture("limits-1280")
    desk.wait_status("down")
    expect(desk.page.locator("#list tbody tr")).to_have_count(2)
