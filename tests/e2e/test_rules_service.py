import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.bench import running
from app.identity import Role
from app.users_store import FILE, Users
from tests.e2e.desk_page import DeskPage, desk_page

PASSWORD = "a long password"
APPROVE = """() => window.imsPage.page.api.step("approve", "jp", 2, "")
  .then(() => "done", (error) => `${error.status} ${error.message}`)"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Service]:
    """The real service, with a maker and a checker, both of whom may write and approve."""
    folder = tmp_path_factory.mktemp("data")
    users = Users(folder / FILE)
    for name in ("maker", "checker"):
        users.add(name, PASSWORD, [Role.TRADER, Role.ADMIN])
    users.close()
    with running.service("--securities", "1500", "--rate", "1000", data=folder) as started:
        started.wait_ready()
        yield started


@contextlib.contextmanager
def signed_in(browser: Browser, service: running.Service, name: str, query: str = "") -> Iterator[DeskPage]:
    with desk_page(browser) as desk:
        desk.page.set_default_timeout(60_000)
        desk.open(service.page.replace("/inventory", f"/rules{query}"))
        desk.page.fill("#user", name)
        desk.page.fill("#password", PASSWORD)
        desk.page.click("button[type=submit]")
        desk.page.wait_for_selector("#heading [data-step]")
        yield desk


def take(page: Page, step: str, comment: str = "") -> None:
    """Press a button and say yes."""
    page.click(f"#heading [data-step={step}]")
    if comment:
        page.fill("dialog textarea", comment)
    page.click("dialog button[type=submit]")
    page.wait_for_selector("dialog", state="detached")


def write(page: Page, old: str, new: str, comment: str = "") -> None:
    """Save a draft of what is on screen with one piece of its text replaced."""
    page.click("#heading [data-step=edit]")
    page.fill("#editor", page.input_value("#editor").replace(old, new, 1))
    page.keyboard.press("Control+s")
    page.fill("dialog textarea", comment)
    page.click("dialog button[type=submit]")


def test_a_rule_goes_from_a_typing_error_into_force_by_two_people(browser: Browser, service: running.Service) -> None:
    with (
        signed_in(browser, service, "maker", "?document=tw") as maker,
        signed_in(browser, service, "checker", "?document=tw") as checker,
    ):
        page = maker.page
        write(page, "weight: 0\n", "weight: none at all\n")
        page.wait_for_selector(".line.wrong")
        line = page.locator(".line.wrong").inner_text()
        assert "none at all" in line
        assert f"line {page.get_attribute('.line.wrong', 'data-line')}, column" in page.inner_text(".problems")
        page.fill("#editor", page.input_value("#editor").replace("none at all", "0.5"))
        page.keyboard.press("Control+s")
        page.fill("dialog textarea", "half of what is borrowed")
        page.click("dialog button[type=submit]")
        expect(page.locator("#heading h2")).to_contain_text("tw v2")

        page.click("#heading [data-step=test]")
        page.wait_for_selector("#totals tbody td.up")
        markets = set(page.locator("#securities tbody td:nth-child(2)").all_inner_texts()) - {""}
        assert markets == {"TW"}
        maker.picture("rules-real-impact")
        take(page, "submit")
        expect(page.locator("#heading .state")).to_contain_text("Submitted")
        expect(page.locator("#heading [data-step=approve]")).to_have_attribute("aria-disabled", "true")

        expect(checker.page.locator("[data-document=tw] .open")).to_contain_text("1 to approve", timeout=20_000)
        checker.page.click("[data-version='2']")
        checker.page.click("[data-view=diff]")
        expect(checker.page.locator(".diff ins")).to_have_text(".5")
        take(checker.page, "approve", "agreed")
        expect(checker.page.locator("#heading .state")).to_contain_text("Active")
        checker.page.click("[data-view=audit]")
        checker.page.wait_for_selector("#audit")
        steps = checker.page.locator("#audit tbody tr td:nth-child(4)").all_inner_texts()
        assert {"ship", "draft", "test", "submit", "approve", "activate", "retire"} <= set(steps)
        assert [error for error in maker.errors + checker.errors if "422" not in error] == []


def test_the_engine_refuses_the_approval_of_a_maker_whatever_a_page_says(
    browser: Browser, service: running.Service
) -> None:
    with signed_in(browser, service, "maker", "?document=jp") as maker:
        write(maker.page, "title: ", "title: New ")
        maker.page.click("#heading [data-step=test]")
        maker.page.wait_for_selector("#totals")
        take(maker.page, "submit")
        expect(maker.page.locator("#heading .state")).to_contain_text("Submitted")
        said = maker.page.evaluate(APPROVE)
        assert said.startswith("403 maker made version 2")


def test_what_is_exported_comes_back_as_no_change(browser: Browser, service: running.Service, tmp_path: Path) -> None:
    with signed_in(browser, service, "maker") as maker:
        with maker.page.expect_download() as download:
            maker.page.click("#export")
        saved = tmp_path / "rules.yaml"
        download.value.save_as(saved)
        assert saved.read_text().count("\n---\n") >= 6
        maker.page.set_input_files("#file", saved)
        maker.page.click("dialog button[type=submit]")
        expect(maker.page.locator("#notice")).to_contain_text("Nothing in the file differs")
