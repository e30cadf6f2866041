"""Alerts in a browser: a bell that counts, a word that takes no focus, a list worked by the keyboard, and one written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_alerts import AlertsScript, event


@pytest.fixture
def page_path() -> str:
    return "/locates"


@pytest.fixture
def script(settings: Settings) -> AlertsScript:
    made = AlertsScript(settings.secret)
    made.alert_events = [event(3, "medium"), event(4, "critical"), event(5, "high", "acknowledged")]
    return made


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.className"))


def bell(page: Page) -> str:
    return page.get_attribute("#alerts .bell", "aria-label") or ""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_bell_counts_and_the_list_is_worked_by_the_keyboard(
    api: AlertsScript, person: Callable[..., DeskPage], keep_picture: Callable[[Page, str], Path], theme: str
) -> None:
    desk = person("olga", f"?theme={theme}")
    page = desk.page
    expect(page.locator("#alerts .counts b")).to_have_text(["C1", "M1"])
    assert bell(page) == "Alerts: 1 critical, 1 medium; 1 acknowledged"
    page.keyboard.press("!")
    rows = page.locator(".alerts-panel article")
    expect(rows).to_have_count(3)
    assert [row.get_attribute("data-key") for row in rows.all()] == ["E0000000004", "E0000000003", "E0000000005"]
    expect(rows.first).to_contain_text("left 8,404 · fee 5.25")
    expect(rows.first.locator("a")).to_have_attribute("href", "/inventory?sec=S4")
    keep_picture(page, f"alerts-list-{theme}")
    assert findings(page, ".alerts-panel") == []
    assert desk.value(CONTRASTS) == []
    page.keyboard.press("ArrowDown")
    assert focused(page) == "E0000000003"
    page.keyboard.press("a")
    expect(page.locator("#alerts .counts b")).to_have_text(["C1"])
    assert api.done == [("acknowledge", "olga", ["E0000000003"], {"events": ["E0000000003"]})]
    page.keyboard.press("Escape")
    expect(page.locator(".alerts-panel")).to_be_hidden()
    assert focused(page) == "bell", "the focus is back where it came from"
    assert desk.errors == []


def test_what_begins_says_so_once_without_taking_the_focus_and_what_is_seen_is_quiet(
    api: AlertsScript, person: Callable[..., DeskPage], keep_picture: Callable[[Page, str], Path]
) -> None:
    page = person("olga").page
    expect(page.locator("#alerts .counts b")).to_have_count(2)
    expect(page.locator(".toast")).to_have_count(0)  # what was there before is no news
    page.focus("#filters input[name=client]")
    new = [event(number, "critical") for number in range(20, 26)]
    api.alert_events += new
    api.alert(*new)
    expect(page.locator(".toast:not(.rest)")).to_have_count(4)
    expect(page.locator(".toast.rest")).to_have_text("and 2 more: show all")
    assert page.evaluate("document.activeElement.name") == "client"
    assert page.get_attribute(".toasts", "aria-live") == "polite"
    keep_picture(page, "alerts-toasts")
    assert findings(page, ".toasts") == []
    api.alert(*new)
    page.locator(".toast").first.get_by_text("Acknowledge").click()
    expect(page.locator(".toast:not(.rest)")).to_have_count(3)
    over = [each | {"state": "cleared"} for each in new[1:]]
    api.alert(*over)
    expect(page.locator(".toast:not(.rest)")).to_have_count(0)
    expect(page.locator("#alerts .counts b")).to_have_text(["C1", "M1"])


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_one_is_written_with_what_it_would_ring_for_and_where_it_is_wrong(
    api: AlertsScript, person: Callable[..., DeskPage], keep_picture: Callable[[Page, str], Path], theme: str
) -> None:
    desk = person("olga", f"?theme={theme}")
    page = desk.page
    page.click("#alerts .bell")
    page.click(".alerts-panel .primary")
    page.keyboard.type("price > 5 and lefft < 1")
    expect(page.locator("#alert-feedback")).to_have_text(
        "unknown word 'lefft': left?price > 5 and lefft < 1\n              ▲"
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("dialog .problem")).to_have_text("unknown word 'lefft': left?")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.click("dialog summary >> text=What may be said")
    page.locator("dialog .words button", has_text="left < 10,000 and HTB").click()
    expect(page.locator("#alert-feedback")).to_contain_text("Holds now for 12 of 50,000 securities.")
    expect(page.locator("#alert-feedback li")).to_have_text("TICK7 XX left 8,407 · fee 5.25")
    keep_picture(page, f"alerts-dialog-{theme}")
    assert findings(page, "dialog") == []
    assert desk.value(CONTRASTS) == []
    page.check("dialog [name=sound]")
    page.select_option("dialog [name=severity]", "high")
    page.click("dialog button[type=submit]")
    row = page.locator(".alerts-panel article.mine")
    expect(row).to_contain_text("left < 10,000 and HTB")
    kept = {name: api.alerts[0][name] for name in ("condition", "severity", "sound", "webhook", "enabled", "hold_s")}
    assert kept == {
        "condition": "left < 10,000 and HTB",
        "severity": "high",
        "sound": True,
        "webhook": False,
        "enabled": True,
        "hold_s": 5,
    }
    row.focus()
    page.keyboard.press("o")
    expect(row).to_contain_text("switched off")
    row.focus()
    page.keyboard.press("Delete")
    page.click("dialog button[type=submit]")
    expect(page.locator(".alerts-panel .nothing")).to_have_text("You have written none yet.")


def test_a_bell_that_hears_nothing_says_so_and_goes_on_where_it_was(
    api: AlertsScript, person: Callable[..., DeskPage]
) -> None:
    page = person("olga").page
    expect(page.locator("#alerts .counts b")).to_have_count(2)
    (stream, asked) = api.watching[0]
    assert asked == {"op": "subscribe", "topic": "alerts"}
    api.loop.call_soon_threadsafe(stream.close)
    page.wait_for_selector("#alerts .bell[data-state=away]")
    assert "Disconnected" in bell(page)
    page.wait_for_selector("#alerts .bell[data-state=live]")
    assert api.watching[0][1] == {"op": "subscribe", "topic": "alerts", "after": 1}


def test_a_bell_comes_back_with_a_login_that_is_good_now(api: AlertsScript, person: Callable[..., DeskPage]) -> None:
    """The token of the page's beginning is over after ten minutes, and a stream ends with its token."""
    desk = person("olga")
    page = desk.page
    page.wait_for_selector("#alerts .bell[data-state=live]")
    page.evaluate("imsAlerts.api.renewAt = 0")
    asked = desk.requests.count(f"{page.url.partition('/locates')[0]}/token")
    (stream, _) = api.watching[0]
    api.loop.call_soon_threadsafe(stream.close)
    page.wait_for_selector("#alerts .bell[data-state=away]")
    page.wait_for_selector("#alerts .bell[data-state=live]")
    assert desk.requests.count(f"{page.url.partition('/locates')[0]}/token") == asked + 1


def test_a_bell_stays_where_the_service_cannot_say_and_goes_where_it_may_not(
    api: AlertsScript, person: Callable[..., DeskPage]
) -> None:
    page = person("olga").page
    page.wait_for_selector("#alerts .bell[data-state=live]")

    def refuse(code: str) -> None:
        api.loop.call_soon_threadsafe(
            api.watching[0][0].write_message,
            json.dumps({"type": "error", "topic": "alerts", "code": code, "detail": "no"}),
        )

    refuse("unavailable")
    page.wait_for_selector("#alerts .bell[data-state=away]")
    page.wait_for_selector("#alerts .bell[data-state=live]")
    refuse("forbidden")
    expect(page.locator("#alerts .bell")).to_have_count(0)
