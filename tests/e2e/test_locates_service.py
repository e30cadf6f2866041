"""One walk through the pages Locates and Limits with the real service behind them: a trader asks, somebody else decides."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, expect

from app.bench import running
from app.identity import Role
from app.users_store import FILE, Users
from tests.e2e.desk_page import DeskPage, desk_page
from tests.e2e.page_server import PASSWORD, sign_in


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Service]:
    """The real service, with one who asks and one who decides."""
    folder = tmp_path_factory.mktemp("data")
    users = Users(folder / FILE)
    users.add("tom", PASSWORD, [Role.TRADER])
    users.add("olga", PASSWORD, [Role.OPS])
    users.close()
    with running.service("--securities", "1500", "--rate", "500", data=folder) as started:
        started.wait_ready()
        yield started


CLIENT = "Larkspur Capital"
"""One of the invented clients, whatever the seed."""


@contextlib.contextmanager
def signed_in(browser: Browser, service: running.Service, name: str, path: str) -> Iterator[DeskPage]:
    with desk_page(browser) as desk:
        desk.page.set_default_timeout(60_000)
        desk.open(service.page.replace("/inventory", path))
        sign_in(desk.page, name)
        yield desk


def asked(service: running.Service, path: str, body: Any = None) -> Any:
    """The API's answer, as a program gets it."""
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json", "Idempotency-Key": path}
    sent = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{service.api}/api/v1{path}", sent, headers), timeout=60) as answer:
        return json.load(answer)


def scarce(service: running.Service) -> tuple[str, int]:
    """A security of which there is little, and how much."""
    found = asked(service, "/availability?temperature=HTB")["securities"]
    return next((each["security"], each["left"]) for each in found if each["left"] > 1_000 and each["market"] == "US")


def test_a_request_goes_from_a_trader_to_the_queue_and_back_with_an_answer(
    browser: Browser, service: running.Service
) -> None:
    with (
        signed_in(browser, service, "tom", "/locates") as trader,
        signed_in(browser, service, "olga", "/locates") as decider,
    ):
        trader.wait_status("live")
        security, left = scarce(service)
        page = trader.page
        page.click("#request")
        page.fill("#client", CLIENT)
        page.fill("#lines", f"{security} {left + 5_000_000} walk-1")
        page.select_option("#partial", "no")
        page.select_option("#insufficient", "pend")
        page.click("#quote")
        expect(page.locator("#quoted tbody tr")).to_contain_text("pending")
        page.click("dialog[open] button[type=submit]")
        expect(page.locator("dialog[open] .body .answers tbody tr")).to_contain_text("pending")
        page.keyboard.press("Escape")

        queue = decider.page
        queue.locator("#list tbody tr", has_text=CLIENT).click()
        expect(queue.locator(".card.pool")).to_contain_text("Left after")
        expect(queue.locator(".card.evidence")).to_contain_text("insufficient inventory")
        expect(queue.locator("#one [data-do=part]")).to_have_attribute("aria-disabled", "true")
        decider.picture("locates-real")
        queue.click("#one [data-do=ask]")
        queue.fill("dialog[open] textarea", "For which sale?")
        queue.click("dialog[open] button[type=submit]")
        expect(page.locator("#list tr", has_text=CLIENT).locator(".asked")).to_have_text("? For which sale?")
        queue.click("#one [data-do=reject]")
        queue.fill("dialog[open] textarea", "not so much")
        queue.click("dialog[open] button[type=submit]")
        expect(queue.locator("#one .state").first).to_contain_text("rejected")

        page.click("#request")
        page.fill("#lines", f"{security} 100 walk-2")
        page.click("dialog[open] button[type=submit]")
        expect(page.locator("dialog[open] .body .answers tbody tr")).to_contain_text("approved")
        page.click("dialog[open] button[type=submit]")  # open it
        page.click("#one [data-do=release]")
        page.click("dialog[open] button[type=submit]")
        expect(page.locator("#one .state").first).to_contain_text("released")
        rows = page.locator("#list tbody tr", has_text=CLIENT)
        expect(rows).to_have_count(2)
        expect(rows.last).to_contain_text("manual reject: not so much")
        assert decider.errors == []
        assert trader.errors == []


def test_an_order_shows_as_it_is_decided_and_leads_to_why(browser: Browser, service: running.Service) -> None:
    [row, *_] = asked(service, "/positions?kind=CLIENT_FREE&limit=1")["positions"]
    with signed_in(browser, service, "olga", "/limits") as desk:
        page = desk.page
        desk.wait_status("live")
        expect(page.locator("#orders .nothing")).to_contain_text("Nobody has asked")
        sold = {name: row[name] for name in ("security", "client", "book")}
        asked(service, "/orders", sold | {"order": "walk-1", "side": "long", "quantity": 100})
        shown = page.locator("#orders tbody tr")
        expect(shown).to_contain_text("walk-1")
        shown.locator("[data-column=client] a").click()
        expect(page.locator("#list tr.sel")).to_contain_text(row["security"])
        page.click("#why [data-side=long]")
        expect(page.locator("#why h2")).to_contain_text(row["client"])
        expect(page.locator("#why details summary").first).to_contain_text("row")
        desk.picture("limits-real")
        assert desk.errors == []
