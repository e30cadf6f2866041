"""The page Health in every state that it may be in, as somebody sees it who watches six screens."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from app.bench import running
from app.files_store import FileState, Waiting
from app.settings import Settings
from feeds.files_faults import Fault
from tests.e2e.desk_page import NONE, DeskPage, desk_page
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_health import HealthScript, good, parked, process, quarantined, report


@pytest.fixture
def page_path() -> str:
    return "/feeds"


@pytest.fixture
def script(settings: Settings) -> HealthScript:
    return HealthScript(settings.secret)


def cell(desk: DeskPage, feed: str, column: str) -> Any:
    return desk.page.locator(f"#feeds tr[data-key={feed}] [data-column={column}]")


def test_a_service_in_order_is_told_in_one_green_line(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    desk = person("olga")
    assert "LIVE" in desk.wait_status("live")
    expect(desk.page.locator("#verdict")).to_have_text("All feeds are complete")
    expect(cell(desk, "prices", "state")).to_have_text("● Live")
    expect(cell(desk, "prices", "rate")).to_have_text("148,000")
    expect(cell(desk, "locates", "state")).to_have_text("○ Off")
    expect(desk.page.locator(".service [data-key=engine] [data-column=memory]")).to_have_text("812 MiB")
    expect(desk.page.locator("[aria-label=Snapshots] dd").nth(3)).to_have_text("8.4 ms")
    desk.picture("health-live")
    assert desk.value(CONTRASTS) == []
    desk.page.click("#theme")
    desk.picture("health-live-light")
    assert desk.value(CONTRASTS) == []
    assert desk.errors == []


def test_a_stale_feed_says_what_is_in_doubt(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.status["stale"] = ["SHARES"]
    api.change(
        "trades", state="stale", late_ms=47_200, lag=812_004, age_ms=47_900, rate=0, rates=[50_000] * 40 + [0] * 20
    )
    api.change("orders", state="behind", late_ms=4_100, lag=12_400)
    desk = person("olga")
    desk.wait_status("stale")
    expect(desk.page.locator("#verdict")).to_contain_text("Trades stale")
    expect(desk.page.locator("#verdict")).to_contain_text("no locate is approved without a person")
    expect(cell(desk, "trades", "state")).to_have_text("▲ STALE")
    expect(cell(desk, "trades", "late")).to_have_text("47s")
    desk.picture("health-stale")
    assert desk.value(CONTRASTS) == []
    desk.page.click("#theme")
    desk.picture("health-stale-light")
    assert desk.value(CONTRASTS) == []
    api.status = good()
    desk.wait_status("live")
    expect(cell(desk, "trades", "state")).to_have_text("● Live")


def test_late_prices_put_values_in_doubt_and_not_shares(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.status["stale"] = ["MONEY"]
    api.change("prices", state="stale", late_ms=95_000)
    desk = person("olga")
    desk.page.wait_for_selector("#verdict[data-level=bad]")
    expect(desk.page.locator("#verdict")).to_contain_text("values are in doubt")
    assert "MONEY" in desk.page.inner_text("#status")


def test_a_gap_opens_to_the_numbers_that_have_not_come(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.status["missing"] = 1_203
    api.change("trades", gaps=1_203)
    ranges = [
        {"first": 881_201, "last": 882_400},
        {"first": 882_511, "last": 882_511},
        {"first": 883_000, "last": 883_001},
    ]
    api.sources["trades"] = [
        {"source": "gateway-2", "newest": 4_510_233, "missing": 0, "gaps": []},
        {"source": "gateway-1", "newest": 883_940, "missing": 1_203, "gaps": ranges},
    ]
    desk = person("olga")
    cell(desk, "trades", "gaps").locator("a").click()
    rows = desk.page.locator("#gaps tbody tr")
    expect(rows.first).to_contain_text("gateway-1")
    expect(rows.first).to_contain_text(f"881,201 {NONE} 882,400 (1,200)")
    assert "feed=trades" in desk.page.url
    desk.picture("health-gaps")
    assert desk.value(CONTRASTS) == []
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector(".service")
    desk.page.go_back()
    expect(rows.first).to_contain_text("gateway-1")


def test_parked_records_are_opened_retried_and_given_up(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.records["parked"] = [parked(n, f"XS00{n:08d}") for n in range(1, 31)]
    api.status["parked"] |= {"records": 30, "events": 30, "shares": 465_000, "oldest": "2026-11-20T14:01:00Z"}
    api.change("trades", parked=30)
    desk = person("olga", "?view=parked")
    page = desk.page
    rows = page.locator("#records tbody tr")
    expect(rows).to_have_count(30)
    expect(rows.first).to_contain_text("security XS0000000001")
    expect(rows.first).to_contain_text("ims.trades[1]@120001")
    expect(page.locator("[data-do=retry]")).to_have_attribute("aria-disabled", "true")
    rows.nth(2).locator("button").click()
    expect(page.locator(".raw pre")).to_contain_text('"sec": "XS0000000003"')
    rows.nth(0).locator("input").check()
    rows.nth(1).locator("input").check()
    desk.picture("health-parked")
    assert desk.value(CONTRASTS) == []
    page.click("[data-do=retry]")
    expect(page.locator("#notice")).to_have_text("0 used, 2 still cannot be used")
    rows.nth(0).locator("input").check()
    page.click("[data-do=discard]")
    page.fill("dialog textarea", "sent by mistake")
    desk.picture("health-discard")
    page.click("dialog button[type=submit]")
    expect(rows).to_have_count(29)
    assert api.done[-1] == ("parked discard", "olga", {"ids": [1], "comment": "sent by mistake"})
    page.keyboard.press("Escape")
    expect(page.locator(".raw")).to_be_hidden()


def test_only_ops_and_admin_may_retry_and_discard(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.records["parked"] = [parked(1, "XS1")]
    desk = person("tom", "?view=parked")
    desk.page.locator("#records tbody input").check()
    button = desk.page.locator("[data-do=discard]")
    expect(button).to_have_attribute("title", "Only ops or admin may do this")
    button.click(force=True)
    expect(desk.page.locator("#notice")).to_have_text("Only ops or admin may do this")
    assert api.done == []


def test_the_quarantine_shows_what_came_where_and_why(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    entries = [
        quarantined(3, "malformed", "JSON is malformed: expected ',' or '}' (byte 17)", '{"src":"feed-9" <b>oops</b>'),
        quarantined(2, "invalid_field", "no op 'BYU'", '{"src":"feed-9","seq":4,"op":"BYU"}'),
        quarantined(1, "too_old", "older than the window of known sequence numbers", '{"src":"feed-9","seq":1}'),
    ]
    api.records["quarantine"] = entries
    api.status["quarantine"] |= {"entries": 3, "events": 3, "dropped": 1_200}
    api.change("prices", quarantined=3)
    desk = person("olga")
    cell(desk, "prices", "quarantined").locator("a").click()
    row = desk.page.locator("#records tbody tr").first
    expect(row).to_contain_text("ims.prices[2]@77003")
    expect(row).to_contain_text("malformed: JSON is malformed")
    row.locator("button").click()
    expect(desk.page.locator(".raw pre")).to_have_text('{"src":"feed-9" <b>oops</b>')
    desk.picture("health-quarantine")
    assert desk.value(CONTRASTS) == []


def test_files_are_listed_with_what_became_of_them_and_a_doubt_is_taken_by_ops(
    api: HealthScript, person: Callable[..., DeskPage]
) -> None:
    doubt = Fault(0, "the book has trades of today, which this start of day would undo", "book", "B0042")
    api.files = [
        report(4, "late.csv", FileState.LOADING, applied=3_000),
        report(
            3, "sod.csv", FileState.REFUSED, feed="positions", why=doubt.detail, can_be_forced=True, faults=(doubt,)
        ),
        report(2, "torn.csv", FileState.REFUSED, why="line 7: quantity: no number 'x'", fault_count=31, applied=0),
        report(1, "early.csv", remark_count=2, unknown=17),
    ]
    api.waiting = [Waiting("trades", "next.csv", "2026-11-20T14:30:01+00:00", "it is still being written")]
    desk = person("olga")
    page = desk.page
    page.click("#tabs [data-view=files]")
    rows = page.locator("#files tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.nth(0)).to_contain_text("it is still being written")
    expect(rows.nth(1).locator("progress")).to_have_attribute("value", "3000")
    expect(rows.nth(2)).to_contain_text("■ REFUSED")
    page.click("#files tr[data-key='2'] a")
    expect(page.locator("#files .raw pre")).to_contain_text("line 7: quantity: no number 'x'")
    expect(page.locator("#files .danger")).to_have_attribute("title", "More than a doubt: mend it and drop it again")
    page.click("#files tr[data-key='3'] a")
    expect(page.locator("#files .raw pre")).to_contain_text("which this start of day would undo")
    assert "view=files&file=3" in page.url
    desk.picture("health-files")
    assert desk.value(CONTRASTS) == []
    page.click("#files .danger")
    page.fill("dialog textarea", "the trades were a test")
    page.click("dialog button[type=submit]")
    expect(rows.nth(2)).to_contain_text("◐ Loading")
    assert api.done[-1] == ("force 3", "olga", {"comment": "the trades were a test"})
    page.keyboard.press("Escape")
    expect(page.locator("#files .raw")).to_be_hidden()
    page.go_back()
    expect(page.locator("#files .raw pre")).to_contain_text("positions/sod.csv")
    page.locator("#feed").select_option("trades")
    expect(rows).to_have_count(4)


def test_what_was_answered_to_the_rows_of_a_file_is_kept_with_a_click(
    api: HealthScript, person: Callable[..., DeskPage]
) -> None:
    answers = "archive/files/2026-11-20/000001-locates-desk.csv.answers.csv"
    api.files = [report(1, "desk.csv", feed="locates", answers=answers), report(2, "early.csv")]
    desk = person("tom", "?view=files&file=1")
    page = desk.page
    with page.expect_download() as saved:
        page.click("#files .raw button:has-text('Answers')")
    assert saved.value.suggested_filename == "000001-locates-desk.csv.answers.csv"
    assert saved.value.path().read_text() == "line,command\n2,new of 1\n"
    desk.picture("health-answers")
    page.click("#files tr[data-key='2'] a")
    expect(page.locator("#files .raw h3")).to_have_text("trades/early.csv")
    expect(page.locator("#files .raw button:has-text('Answers')")).to_have_count(0)


def test_where_no_file_has_come_it_says_how_one_comes(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    desk = person("tom", "?view=files")
    expect(desk.page.locator("#files .nothing")).to_contain_text("No file has come")
    desk.picture("health-files-none")


def test_an_archive_that_is_behind_and_a_process_that_is_down_are_in_the_first_line(
    api: HealthScript, person: Callable[..., DeskPage]
) -> None:
    api.status["archive"] |= {"state": "behind", "behind_ms": 312_000, "backlog_bytes": 900 << 20, "gaps": 2}
    api.status["archive"]["problem"] = "No space left on device"
    api.status["processes"][2] = process("worker0", state="down", pid=0, up_ms=None, restarts=4, memory_bytes=None) | {
        "processor_s": None
    }
    api.status["snapshot"] |= {"problem": "No space left on device", "pause_ms": 31.0}
    api.status["exceptions"] = 12
    desk = person("olga")
    verdict = desk.page.locator("#verdict")
    expect(verdict).to_contain_text("worker0 down · archive behind · 2 gaps in the archive")
    expect(desk.page.locator(".service [data-key=worker0]")).to_contain_text("DOWN")
    expect(desk.page.locator(".card[aria-label=Archive]")).to_contain_text("No space left on device")
    desk.picture("health-archive-behind")
    assert desk.value(CONTRASTS) == []


def test_nothing_to_show_is_said_in_words(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.status |= {"processes": [], "snapshot": None, "archive": None, "exceptions": None, "ready": False}
    for each in api.status["feeds"]:
        each.update(state="off", partitions=0, rates=[], last_good=None, late_ms=None, age_ms=None)
    desk = person("olga")
    desk.wait_status("starting")
    expect(desk.page.locator("#verdict")).to_contain_text("Starting")
    expect(desk.page.locator(".service .nothing")).to_be_visible()
    desk.picture("health-no-data")
    desk.page.click("[data-view=parked]")
    expect(desk.page.locator(".records .nothing")).to_contain_text("Nothing waits")
    desk.page.click("[data-view=gaps]")
    expect(desk.page.locator("#view .nothing")).to_contain_text("No source has sent")
    assert desk.value(CONTRASTS) == []


def test_a_feed_that_does_not_exist_is_said_to_be_none(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    desk = person("olga", "?view=gaps&feed=nonsense")
    expect(desk.page.locator("#view .nothing")).to_have_text("no feed nonsense")


def test_before_the_first_answer_the_page_says_that_it_reads(
    api: HealthScript, person: Callable[..., DeskPage]
) -> None:
    api.hold.clear()
    desk = person("olga")
    expect(desk.page.locator("#feeds")).to_contain_text("Reading how every feed fares")
    desk.picture("health-loading")
    api.hold.set()
    desk.wait_status("live")


def test_an_engine_that_is_away_greys_what_is_from_before(
    settings: Settings, script: HealthScript, person: Callable[..., DeskPage]
) -> None:
    with serving(settings, script):
        desk = person("olga")
        desk.wait_status("live")
    desk.wait_status("down")
    expect(desk.page.locator("#verdict")).to_contain_text("what is shown is from before")
    expect(cell(desk, "prices", "rate")).to_have_text("148,000")
    desk.picture("health-engine-down")
    with serving(settings, script):
        desk.wait_status("live")
        expect(desk.page.locator("#verdict")).to_have_text("All feeds are complete")


def test_a_page_server_that_is_away_is_said_to_be(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    desk = person("olga")
    desk.wait_status("live")
    desk.page.context.set_offline(True)
    desk.wait_status("disconnected")
    desk.picture("health-disconnected")
    desk.page.context.set_offline(False)
    desk.wait_status("live")


def test_an_engine_that_has_stopped_moving_is_no_live_one(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.status["heartbeat_age_ms"] = 9_000
    desk = person("olga")
    desk.wait_status("stale")
    assert "ENGINE STUCK" in desk.page.inner_text("#status")


def test_arrows_walk_through_the_numbers_and_enter_opens_them(
    api: HealthScript, person: Callable[..., DeskPage]
) -> None:
    desk = person("olga")
    api.change("prices", quarantined=3)
    api.change("orders", parked=9)
    expect(cell(desk, "orders", "parked").locator("a")).to_have_text("9")
    cell(desk, "prices", "feed").locator("a").focus()
    desk.page.keyboard.press("ArrowRight")
    assert desk.value("document.activeElement.textContent") == "3"
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("ArrowDown")
    assert desk.value("document.activeElement.textContent") == "Trades"
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("#gaps, #view .nothing")
    assert "feed=trades" in desk.page.url


def test_what_has_the_focus_keeps_it_while_numbers_change(api: HealthScript, person: Callable[..., DeskPage]) -> None:
    api.records["parked"] = [parked(n, f"XS{n}") for n in range(1, 4)]
    desk = person("olga", "?view=parked")
    desk.page.locator("#records tbody input").nth(1).focus()
    api.records["parked"] = api.records["parked"][1:]
    api.status["parked"]["records"] = 2
    expect(desk.page.locator("#records tbody tr")).to_have_count(2)
    assert desk.value("document.activeElement.closest('tr').dataset.id") == "2"


def test_a_real_service_tells_of_its_feeds_processes_and_archive(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("service")
    with (
        running.service("--securities", "1500", "--rate", "500", data=folder) as started,
        desk_page(browser) as desk,
    ):
        started.wait_ready()
        desk.open(started.page.replace("/inventory", "/feeds"))
        desk.wait_status("live")
        expect(cell(desk, "trades", "state")).to_have_text("● Live")
        expect(cell(desk, "reference", "state")).to_have_text("● Live")
        desk.page.wait_for_function(
            "[...document.querySelectorAll('.service tbody th')].every((cell) => cell.innerText === '● Live')"
        )
        expect(desk.page.locator(".card[aria-label=Archive] .state")).to_contain_text("Live")
        desk.page.wait_for_function("document.querySelectorAll('.service [data-column=cpu]').length > 4")
        desk.picture("health-real")
        assert desk.errors == []


@pytest.mark.parametrize("width", [1280, 2560])
def test_it_fits_narrow_and_wide_screens(api: HealthScript, person: Callable[..., DeskPage], width: int) -> None:
    desk = person("olga", viewport={"width": width, "height": 900 if width < 2000 else 1300})
    desk.wait_status("live")
    wide = desk.value("document.querySelector('#feeds').scrollWidth - document.querySelector('#feeds').clientWidth")
    assert wide <= 0
    desk.picture(f"health-{width}")
