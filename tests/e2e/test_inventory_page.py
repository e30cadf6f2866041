import csv
import json
import math
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from app.bench import running
from tests.e2e.desk_page import NONE, DeskPage, desk_page, number


@pytest.fixture(scope="module")
def service() -> Iterator[running.Service]:
    with running.service("--securities", "1500", "--rate", "500") as started:
        started.wait_ready()
        yield started


@pytest.fixture
def desk(browser: Browser, service: running.Service) -> Iterator[DeskPage]:
    with desk_page(browser) as page:
        yield page


def child(service: running.Service, name: str) -> psutil.Process:
    """A process of the service by its name."""
    return next(p for p in psutil.Process(service.process.pid).children(recursive=True) if p.cmdline()[-1:] == [name])


def test_the_page_shows_real_rows_and_is_live(desk: DeskPage, service: running.Service) -> None:
    desk.open(service.page).wait_rows()
    assert desk.wait_status("live") == "●LIVE" or "LIVE" in desk.page.inner_text("#status")
    desk.page.wait_for_function("document.querySelector('[data-kpi=securities] b').textContent === '1,500'")
    assert desk.matches() == 1500
    assert all(desk.column("name")[:20])
    assert all(re.fullmatch(r"[A-Z]{2}[A-Z0-9]{9}\d", isin) for isin in desk.column("isin")[:20])
    desk.picture("dark")


def test_a_page_asks_nobody_but_its_own_server_and_complains_of_nothing(
    desk: DeskPage, service: running.Service
) -> None:
    desk.open(service.page).wait_rows()
    desk.wait_session()
    desk.page.locator("#grid [data-column=name][data-id]").nth(1).click()
    desk.page.wait_for_selector("#detail canvas")
    desk.page.wait_for_load_state("networkidle")
    assert desk.hosts() == {"127.0.0.1"}
    assert desk.errors == []


def test_a_changed_number_reaches_its_cell_and_stands_out_for_a_moment(
    desk: DeskPage, service: running.Service
) -> None:
    desk.open(f"{service.page}?sort=updated_ms:desc").wait_rows()
    flashed = desk.page.wait_for_function(
        """() => {
          window.lit ??= document.querySelector('#grid .cell.up, #grid .cell.down');
          return window.lit && { text: window.lit.textContent, id: window.lit.dataset.id };
        }"""
    ).json_value()
    assert flashed["text"]
    assert int(flashed["id"]) > 0
    desk.picture("flashing")
    desk.page.wait_for_function("!window.lit.matches('.up, .down') || window.lit.textContent !== ''")


def test_a_locate_over_rest_is_seen_in_the_grid(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?t=HTB&m=US&sort=locate_pool:desc").wait_rows()
    desk.page.wait_for_function(
        "document.querySelector('[aria-rowindex=\"2\"] [data-column=locate_pool]')?.textContent > '1'"
    )
    security, code = desk.first_id(), desk.value("window.imsDesk.grid.codeAt(0)")
    before = number(desk.cell(security, "located").inner_text())
    body = json.dumps({"client": "Larkspur Capital", "security": code, "quantity": 100, "type": "short"}).encode()
    request = urllib.request.Request(service.page.replace("/inventory", "/api/v1/locates"), body)
    request.add_header("Authorization", f"Bearer {service.token}")
    request.add_header("Content-Type", "application/json")
    request.add_header("Idempotency-Key", "seen-in-the-grid")
    with urllib.request.urlopen(request) as response:
        assert json.load(response)["approved"] == 100
    located = f"{before + 100:,.0f}"
    desk.page.wait_for_function(
        "([id, text]) => document.querySelector(`#grid [data-id='${id}'][data-column=located]`)?.textContent === text",
        arg=[str(security), located],
    )


def test_headers_sort_and_shift_adds_a_key(desk: DeskPage, service: running.Service) -> None:
    desk.open(service.page).wait_rows()
    desk.page.click("[data-head=price]")
    desk.wait_rows()
    prices = [number(text) for text in desk.column("price")]
    assert prices == sorted(prices, reverse=True)
    desk.page.click("[data-head=market]")
    desk.wait_rows()
    desk.page.click("[data-head=fee]", modifiers=["Shift"])
    desk.wait_rows()
    assert "sort=market%3Aasc%2Cfee%3Adesc" in desk.page.url
    keys = [(m, -number(f)) for m, f in zip(desk.column("market"), desk.column("fee"), strict=True)]
    known = [key for key in keys if not math.isnan(key[1])]
    assert known == sorted(known)
    assert desk.page.get_attribute("[data-head=fee]", "aria-sort") == "descending"


def test_text_market_temperature_and_today_narrow_the_view(desk: DeskPage, service: running.Service) -> None:
    desk.open(service.page).wait_rows()
    everything = desk.matches()
    desk.page.click("#choice-JP")
    desk.wait_rows()
    assert set(desk.column("market")) == {"JP"}
    japan = desk.matches()
    assert 0 < japan < everything
    desk.page.click("#choice-GC")
    desk.wait_rows()
    assert set(desk.column("temperature")) == {"GC"}
    assert desk.matches() < japan
    desk.picture("filtered")
    desk.page.click("#clear")
    desk.wait_rows()
    name = desk.column("name")[3]
    desk.page.keyboard.press("f")
    desk.page.keyboard.type(name)
    desk.page.wait_for_function("location.search.includes('q=')")
    desk.wait_rows()
    assert desk.column("name")[0] == name
    desk.page.fill("#search", "nothing is called like this")
    desk.page.wait_for_selector("text=No security matches the filter")
    desk.picture("empty")
    desk.page.click("#clear")
    desk.page.click("#today")
    desk.wait_rows()
    assert 0 < desk.matches() <= everything
    assert NONE not in desk.column("updated_ms")


def test_a_row_opens_down_to_what_its_numbers_are_made_of(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?sort=for_loan.0:desc").wait_rows()
    desk.wait_session()
    name = desk.column("name")[0]
    desk.page.locator("#grid [aria-rowindex='2'] [data-column=name]").click()
    detail = desk.page.locator("#detail")
    detail.get_by_text(name).wait_for()
    desk.page.wait_for_selector("#detail canvas")
    for title in ("How it is made", "Settlement ladder", "Last minutes", "Rows by book", "Events"):
        detail.get_by_text(title, exact=True).wait_for()
    assert detail.locator("canvas").count() >= 3
    assert detail.locator(".facts").first.locator("tbody tr").count() > 0
    assert detail.get_by_text("could not be shown").count() == 0
    desk.picture("drilldown")
    desk.page.keyboard.press("Escape")
    detail.wait_for(state="hidden")
    assert "sec=" not in desk.page.url
    desk.page.wait_for_function("!window.imsDesk.model.selected")


def test_any_number_of_any_day_opens_down_to_its_rule_and_just_its_rows(
    desk: DeskPage, service: running.Service
) -> None:
    desk.open(f"{service.page}?sort=for_loan.0:desc").wait_rows()
    desk.wait_session()
    desk.page.locator("#grid [aria-rowindex='2'] [data-column=name]").click()
    detail, facts = desk.page.locator("#detail"), desk.page.locator("#detail .facts")
    desk.page.wait_for_selector("#detail canvas")
    detail.get_by_role("group", name="Day").get_by_role("button", name="SD4").click()
    detail.get_by_label("Number", exact=True).select_option(label="For loan")
    detail.get_by_label("Told", exact=True).select_option(label="By stability")
    detail.get_by_label("Rows of", exact=True).select_option(label="Firm in For loan")
    detail.get_by_text("rule for_loan.firm_long, version 1 of default").wait_for()
    kinds = facts.first.locator("tbody tr td:nth-child(2)")
    assert set(kinds.all_inner_texts()) == {"Firm"}
    assert detail.get_by_text("could not be shown").count() == 0
    desk.picture("explained")


def test_a_number_leads_to_its_rows_and_events_and_every_step_has_an_address_and_a_way_back(
    desk: DeskPage, service: running.Service, tmp_path: Path
) -> None:
    page = desk.open(f"{service.page}?sort=for_loan.0:desc").wait_rows().page
    desk.wait_session()
    page.locator("#grid [aria-rowindex='2'] [data-column='for_loan.2'][data-id]").click()
    detail = page.locator("#detail")
    number, days = detail.get_by_label("Number", exact=True), detail.get_by_role("group", name="Day")
    expect(number).to_have_value("for_loan")
    expect(days.get_by_role("button", name="SD2")).to_have_attribute("aria-pressed", "true")
    page.wait_for_url("**num=for_loan&day=2**")
    days.get_by_role("button", name="SD4").click()
    page.wait_for_url("**day=4**")
    detail.get_by_label("Rows of", exact=True).select_option(label="Firm in For loan")
    page.wait_for_url("**of=for_loan**")
    rows, events = detail.locator(".facts").first, detail.locator(".facts").last
    rows.locator("tbody tr[data-key]").first.click()
    page.wait_for_url("**line=**")
    deepest = page.url
    heads = events.locator("th").all_inner_texts()
    assert heads[-5:] == ["Source", "Seq", "Topic", "Part.", "Offset"]
    expect(events.locator("p")).to_contain_text("Of the row")
    events.get_by_role("button", name="Older").click()
    expect(events.locator("output")).to_contain_text("back to")
    book = rows.locator("tbody tr.picked td").first.inner_text()
    assert set(events.locator("tbody td:nth-child(5)").all_inner_texts()) == {book}
    with page.expect_download() as saved:
        detail.get_by_role("button", name="Save How it is made as PNG").click()
    saved.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    desk.picture("drilldown-row")
    for gone, there in (("line=", "of="), ("of=", "day=4"), ("day=4", "day=2"), ("sec=", "sort=")):
        page.go_back()
        page.wait_for_function(
            "([gone, there]) => !location.search.includes(gone) && location.search.includes(there)", arg=[gone, there]
        )
    expect(detail).to_be_hidden()
    page.goto(deepest)
    desk.wait_session()
    expect(rows.locator("tbody tr.picked")).to_have_count(1)
    expect(days.get_by_role("button", name="SD4")).to_have_attribute("aria-pressed", "true")
    assert desk.errors == []


def test_the_keyboard_moves_through_the_grid_and_opens_a_row(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?sort=name:asc").wait_rows()  # by what does not change while keys are pressed
    desk.wait_session()
    desk.page.focus("#grid .scroll")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        desk.page.keyboard.press(key)
    assert desk.page.get_attribute("#focused-cell", "data-column") == "isin"
    desk.page.keyboard.press("Control+End")
    last = desk.page.locator("#grid [aria-rowindex='1501'] [data-column=name][data-id]")
    last.wait_for()
    desk.page.keyboard.press("Enter")
    # the table lives, and becomes lower: the address says which row was opened
    desk.page.wait_for_function("new URLSearchParams(location.search).get('sec')")
    assert desk.value("document.documentElement.dataset.detail") == "open"


def test_the_export_is_what_is_on_screen(desk: DeskPage, service: running.Service, tmp_path: Path) -> None:
    desk.open(f"{service.page}?m=GB&sort=name:asc").wait_rows()
    with desk.page.expect_download() as download:
        desk.page.click("#export")
    assert re.fullmatch(r"inventory-\d{8}T\d{6}\.\d{3}Z\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "export.csv")
    with (tmp_path / "export.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == desk.matches()
    shown = desk.column("name")
    assert [row["name"].removeprefix("'") for row in rows[: len(shown)]] == shown
    assert [row["isin"] for row in rows[: len(shown)]] == desk.column("isin")
    assert {row["market"] for row in rows} == {"GB"}


def test_scrolling_to_the_end_shows_the_last_rows(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?sort=name:asc").wait_rows()
    desk.value("document.querySelector('#grid .scroll').scrollTop = 1e9")
    desk.page.wait_for_selector("#grid [aria-rowindex='1501'] [data-column=name][data-id]")
    names = desk.column("name")
    assert names == sorted(names, key=str.lower)


def test_light_and_dark_change_at_once_and_stay(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?theme=light").wait_rows()
    background = "getComputedStyle(document.querySelector('#grid .row')).backgroundColor"
    light = desk.value(background)
    desk.picture("light")
    desk.page.click("#theme")
    assert desk.value(background) != light
    assert "theme=dark" in desk.page.url
    desk.open(service.page).wait_rows()
    assert desk.page.get_attribute("html", "data-theme") == "dark"


def test_a_lost_gateway_is_seen_at_once_and_comes_back_by_itself(desk: DeskPage, service: running.Service) -> None:
    desk.open(service.page).wait_rows()
    desk.wait_status("live")
    child(service, "gateway").kill()
    assert "DISCONNECTED" in desk.wait_status("disconnected")
    desk.picture("disconnected")
    desk.wait_status("live")
    desk.wait_rows()


def test_an_engine_that_hangs_is_stale_and_a_new_one_brings_the_page_back_into_its_view(
    desk: DeskPage, service: running.Service
) -> None:
    desk.open(f"{service.page}?m=US&sort=price:desc").wait_rows()
    desk.wait_status("live")
    engine = child(service, "engine")
    os.kill(engine.pid, signal.SIGSTOP)
    assert "STALE" in desk.wait_status("stale")
    desk.picture("stale")
    os.kill(engine.pid, signal.SIGCONT)
    desk.wait_status("live")
    desk.value("window.before = true")
    engine.kill()
    desk.wait_status("down")
    desk.picture("down")
    desk.page.wait_for_function("!window.before && window.imsDesk?.verdict.name === 'live'", timeout=60_000)
    desk.wait_rows()
    assert set(desk.column("market")) == {"US"}
    assert "sort=price%3Adesc" in desk.page.url or "sort=price:desc" in desk.page.url


def test_a_page_outlives_its_page_server(desk: DeskPage, service: running.Service) -> None:
    desk.open(f"{service.page}?m=TW").wait_rows()
    desk.wait_session()
    desk.page.wait_for_function("performance.now() > 6000")
    desk.value("window.before = true")
    child(service, "pages").kill()
    desk.page.wait_for_function("!window.before && window.imsDesk?.model", timeout=60_000)
    desk.wait_rows()
    assert set(desk.column("market")) == {"TW"}
