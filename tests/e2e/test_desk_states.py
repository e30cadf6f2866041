import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from app.bench import services
from app.settings import Settings
from tests.e2e.desk_page import NONE, DeskPage, desk_page
from tests.e2e.scripted_gateway import Script, gateway

NUMBERS_ALIGNED = """() => {
  const style = (name) => getComputedStyle(document.querySelector(`#grid [role=gridcell][data-column="${name}"]`));
  return { name: style("name").textAlign, pool: style("pool").textAlign, digits: style("pool").fontVariantNumeric };
}"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running page server; its gateway is the test's."""
    port = services.free_port()
    made = Settings(instance=f"states-{port}", port=port, data=str(tmp_path_factory.mktemp("data")))
    command = [sys.executable, "-m", "app.child", "pages"]
    environment = os.environ | {"IMS_SETTINGS": made.to_json()}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        yield made
        process.terminate()


@pytest.fixture
def desk(browser: Browser) -> Iterator[DeskPage]:
    with desk_page(browser) as page:
        yield page


def address(settings: Settings, query: str = "") -> str:
    return f"http://127.0.0.1:{settings.port}/inventory{query}"


def test_a_page_without_a_server_says_that_it_is_disconnected(desk: DeskPage, settings: Settings) -> None:
    desk.open(address(settings))
    desk.wait_status("disconnected")
    assert "No connection" in desk.page.inner_text("#message")
    assert "DISCONNECTED" in desk.page.title()
    with gateway(settings, Script()):
        desk.wait_status("live")
        desk.wait_rows()


def test_a_starting_engine_is_waited_for(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(state="starting")) as serving:
        desk.open(address(settings))
        assert "STARTING" in desk.wait_status("starting")
        desk.page.get_by_text("Starting: waiting for the first data").wait_for()
        desk.picture("starting")
        serving.script.state = "live"
        desk.wait_status("live")


def test_old_numbers_do_not_look_like_new_ones(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script()) as serving:
        desk.open(address(settings)).wait_rows()
        desk.wait_status("live")
        fresh = desk.value("getComputedStyle(document.querySelector('#grid')).filter")
        serving.script.state = "stale"
        assert "STALE 12s" in desk.wait_status("stale")
        assert desk.value("getComputedStyle(document.querySelector('#grid')).filter") != fresh
        serving.script.state = "down"
        assert "ENGINE DOWN" in desk.wait_status("down")


def test_a_gateway_that_says_nothing_is_not_trusted(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script()) as serving:
        desk.open(address(settings)).wait_rows()
        desk.wait_status("live")
        serving.script.silent = True
        assert "STALE" in desk.wait_status("stale")
        serving.script.silent = False
        desk.wait_status("live")


def test_cells_read_as_numbers_are_read(desk: DeskPage, settings: Settings) -> None:
    script = Script(hz=2, changes=0)
    script.number["pool"][0], script.number["at_least"][0] = 10_000_000, 1
    script.number["remaining"][1], script.number["at_least"][1] = -1_234, 0
    script.number["fee"][0], script.number["utilisation"][0] = float("nan"), 284_000
    script.number["price"][:2] = 0.1234, 1_234.5
    script.text["name"][2] = "<img src=x onerror=alert(1)>"
    with gateway(settings, script):
        desk.open(address(settings)).wait_rows()
        assert desk.cell(1, "pool").inner_text() == "≥ 10,000,000"
        assert desk.cell(1, "fee").inner_text() == NONE
        assert desk.cell(1, "utilisation").inner_text() == ">999%"
        assert [desk.cell(i, "price").inner_text() for i in (1, 2)] == ["0.1234", "1,234.50"]
        assert desk.cell(2, "remaining").inner_text() == "-1,234"
        assert desk.cell(3, "name").inner_text() == "<img src=x onerror=alert(1)>"
        red = desk.value(
            "getComputedStyle(document.querySelector('#grid [data-id=\"2\"][data-column=remaining]')).color"
        )
        black = desk.value(
            "getComputedStyle(document.querySelector('#grid [data-id=\"1\"][data-column=remaining]')).color"
        )
        assert red != black
        aligned = desk.page.evaluate(NUMBERS_ALIGNED)
        assert aligned == {"name": "start", "pool": "right", "digits": "tabular-nums"}
        assert desk.cell(4, "temperature").inner_text() == "HTB"
    assert desk.complaints() == []


def test_a_change_flashes_with_an_arrow_and_fades(desk: DeskPage, settings: Settings) -> None:
    script = Script(hz=2, changes=0)
    with gateway(settings, script) as serving:
        desk.open(address(settings)).wait_rows()
        serving.script.changes = 30
        desk.page.wait_for_selector("#grid .cell.up")
        serving.script.changes = 0
        picture = desk.value(
            "getComputedStyle(document.querySelector('#grid .cell.up') ?? document.body).backgroundImage"
        )
        assert picture.startswith("url(") or picture == "none"
        desk.page.wait_for_function("document.querySelectorAll('#grid .up, #grid .down').length === 0")


def test_where_it_is_not_told_how_many_there_are_in_all_the_matches_are_counted_alone(
    desk: DeskPage, settings: Settings
) -> None:
    with gateway(settings, Script(whole=False)) as serving:
        desk.open(address(settings)).wait_rows()
        desk.wait_status("live")
        desk.page.wait_for_function("document.querySelector('#matches').textContent === '1,000'")
        serving.script.whole, serving.script.securities = True, 2_500
        desk.page.wait_for_function("document.querySelector('#matches').textContent === '1,000 of 2,500'")


def test_scrolling_asks_for_the_rows_that_come_into_sight_and_a_reconnection_for_the_same(
    desk: DeskPage, settings: Settings
) -> None:
    with gateway(settings, Script(securities=50_000)) as serving:
        desk.open(address(settings)).wait_rows()
        desk.value("document.querySelector('#grid .scroll').scrollTop = 22 * 30000")
        desk.page.wait_for_selector("#grid [aria-rowindex='30012'] [data-id='30011']")
        asked = serving.script.heard[-1]
        assert asked["t"] == "window"
        assert asked["first"] <= 30_000 < asked["first"] + asked["count"] < 30_200
    desk.wait_status("disconnected")
    with gateway(settings, Script(securities=50_000)) as serving:
        desk.wait_status("live")
        desk.wait_view()
        assert (serving.script.heard[0]["t"], serving.script.heard[0]["first"]) == ("view", asked["first"])
        desk.page.wait_for_selector("#grid [aria-rowindex='30012'] [data-id='30011']")


def test_a_ticket_is_renewed_before_it_ends_and_nobody_notices(desk: DeskPage, settings: Settings) -> None:
    script = Script()
    with gateway(settings, script) as serving:
        desk.open(address(settings)).wait_rows()
        first = desk.value("imsDesk.ticket.text")
        (open_before,) = serving.sockets
        desk.page.wait_for_timeout(1_100)  # tickets count whole seconds: the next one is another one
        desk.page.evaluate("imsDesk.ticket.at -= 301_000")
        desk.page.wait_for_function("(first) => imsDesk.ticket.text !== first && !imsDesk.ticket.old", arg=first)
        second = desk.value("imsDesk.ticket.text")
        desk.page.wait_for_function("window.imsDesk.socket.connected")
        assert {"t": "ticket", "ticket": second} in script.heard
        assert serving.sockets == {open_before}, "the connection is the same one"
        # after a night's sleep the connection is gone, and its ticket with it
        views = len([each for each in script.heard if each["t"] == "view"])
        desk.page.evaluate("imsDesk.ticket.at = 0; imsDesk.socket.socket.close()")
        desk.page.wait_for_function("!imsDesk.ticket.old && imsDesk.socket.connected")
        desk.wait_view()
        assert [each for each in script.heard if each["t"] == "view"][views]["first"] == 0


def test_a_new_engine_generation_loads_the_page_into_the_same_view(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script()):
        desk.open(address(settings, "?sort=pool:desc")).wait_rows()
        desk.page.click("#choice-JP")
        desk.wait_rows()
        desk.value("window.before = true")
    with gateway(settings, Script(generation="two")) as serving:
        desk.page.wait_for_function("!window.before && window.imsDesk?.verdict.name === 'live'")
        desk.wait_rows()
        view = [message for message in serving.script.heard if message["t"] == "view"][-1]
        assert view["filter"]["markets"] == ["JP"]
        assert view["sort"] == [["pool", "desc"]]
        assert set(desk.column("market")) == {"JP"}


def test_a_click_means_the_row_that_was_under_the_finger(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(hz=2, changes=0)):
        desk.open(address(settings)).wait_rows()
        desk.page.locator("#grid [aria-rowindex='3'] [data-column=name]").hover()
        desk.page.mouse.down()
        desk.value("window.imsDesk.grid.codeAt = () => 'another'")
        desk.page.mouse.up()
        assert desk.value("window.imsDesk.state.selected") == "C00000000001"


def test_widths_are_kept_in_the_browser(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(changes=0)):
        desk.open(address(settings)).wait_rows()
        grip = desk.page.locator("[data-head=price] .grip").bounding_box()
        assert grip is not None
        desk.page.mouse.move(grip["x"] + 3, grip["y"] + 10)
        desk.page.mouse.down()
        desk.page.mouse.move(grip["x"] + 43, grip["y"] + 10, steps=4)
        desk.page.mouse.up()
        width = desk.value("document.querySelector('[data-head=price]').offsetWidth")
        assert width == 124
        desk.open(address(settings)).wait_rows()
        assert desk.value("document.querySelector('[data-head=price]').offsetWidth") == width


HEADS = "[...document.querySelectorAll('[data-head]')].map((head) => head.dataset.head)"


def test_columns_are_those_that_the_gateway_tells(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(changes=0)) as serving:
        desk.open(address(settings)).wait_rows()
        assert desk.value(HEADS) == [column["id"] for column in serving.script.columns if column["shown"]]
        assert "kept" not in serving.script.heard[-1]["columns"]
        assert desk.page.inner_text("[data-head='loan.3']") == "SD3"
        assert desk.page.get_attribute("[data-head=pool]", "title") == "What pool is"
        assert desk.page.inner_text("#grid .hgroup") == "Loan"


def test_a_person_chooses_columns_by_mouse_and_this_browser_keeps_them(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(changes=0)) as serving:
        desk.open(address(settings)).wait_rows()
        desk.page.click("#choose-columns")
        desk.page.check("[data-choice=kept]")
        desk.page.uncheck("[data-choice=isin]")
        desk.wait_rows()
        assert {"kept"} <= set(desk.value(HEADS))
        assert "isin" not in desk.value(HEADS)
        assert "isin" not in serving.script.heard[-1]["columns"]
        desk.picture("chooser")
        desk.open(address(settings)).wait_rows()
        assert "kept" in desk.value(HEADS)
        desk.page.click("#choose-columns")
        desk.page.click("text=As the desk shows it")
        assert desk.value(HEADS) == [column["id"] for column in serving.script.columns if column["shown"]]


def test_columns_can_be_chosen_by_keyboard_alone(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(changes=0)):
        desk.open(address(settings)).wait_rows()
        desk.page.focus("#choose-columns")
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_function("document.activeElement.closest('#chooser:popover-open') !== null")
        desk.page.keyboard.type("kep")
        desk.page.keyboard.press("ArrowDown")
        desk.page.keyboard.press("ArrowDown")
        assert desk.value("document.activeElement.dataset.choice") == "kept"
        desk.page.keyboard.press("Space")
        desk.page.keyboard.press("Escape")
        desk.page.wait_for_selector("#chooser:not(:popover-open)", state="attached")
        assert "kept" in desk.value(HEADS)
        assert desk.value("document.activeElement.id") == "choose-columns"


def test_other_rules_change_the_columns_of_an_open_page_and_nothing_else(desk: DeskPage, settings: Settings) -> None:
    script = Script(securities=50_000, changes=0)
    with gateway(settings, script) as serving:
        desk.open(address(settings, "?sort=pool:desc,remaining:asc")).wait_rows()
        desk.value("document.querySelector('#grid .scroll').scrollTop = 22 * 1000")
        desk.page.wait_for_selector("#grid [aria-rowindex='1012'] [data-id]")
        desk.value("window.same = true")
        others = [column for column in script.columns if column["id"] != "pool"]
        next(column for column in others if column["id"] == "kept")["shown"] = True
        serving.publish(others)
        desk.page.wait_for_selector("[data-head=kept]")
        desk.wait_rows()
        assert "pool" not in desk.value(HEADS)
        view = [message for message in script.heard if message["t"] == "view"][-1]
        assert "pool" not in view["columns"]
        assert view["sort"] == [["remaining", "asc"]]
        assert view["first"] <= 1_000 < view["first"] + view["count"]
        desk.page.wait_for_selector("#grid [aria-rowindex='1012'] [data-id]")
        assert desk.value("window.same")
        assert desk.page.get_attribute("[data-head=remaining]", "aria-sort") == "ascending"
    assert desk.complaints() == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_can_be_read_on_its_ground(desk: DeskPage, settings: Settings, theme: str) -> None:
    """Every pair of text and ground of the style sheet has the contrast that WCAG AA asks for, 4.5 to 1."""
    pairs = "text/grid text/odd text/panel text/select text/up text/down muted/panel muted/grid muted/odd faint/grid "
    pairs += "faint/odd bad/grid bad/odd good/panel warn/panel warn/grid gc/gc-bg warm/warm-bg htb/htb-bg "
    pairs += "restricted/restricted-bg on-accent/accent "
    pairs += "text/look-bad text/look-warn text/look-good text/look-info bad/look-bad bad/look-info "
    pairs += "text/hover muted/hover muted/select text/field accent/panel"
    script = """([theme, pairs]) => {
      document.documentElement.dataset.theme = theme;
      const style = getComputedStyle(document.documentElement);
      const light = (name) => {
        const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
        const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      return Object.fromEntries(pairs.map((pair) => {
        const [high, low] = pair.split("/").map(light).sort((one, other) => other - one);
        return [pair, (high + 0.05) / (low + 0.05)];
      }));
    }"""
    desk.open(address(settings))
    contrasts = desk.page.evaluate(script, [theme, pairs.split()])
    assert {pair: round(ratio, 2) for pair, ratio in contrasts.items() if not ratio >= 4.5} == {}


def test_a_late_feed_of_positions_makes_the_page_stale(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(state="stale", doubtful=("SHARES",))):
        desk.open(address(settings)).wait_rows()
        desk.wait_status("stale")
        assert "no locate is approved" in str(desk.page.get_attribute("#status", "title"))


def test_a_late_feed_of_prices_marks_values_and_leaves_shares_as_they_are(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script(doubtful=("MONEY",))) as serving:
        desk.open(address(settings)).wait_rows()
        assert "PRICES LATE" in desk.wait_status("live")
        style = "([name, what]) => getComputedStyle(document.querySelector(`#grid .cell[data-column=${name}]`))[what]"
        assert desk.value(f"({style})(['price', 'fontStyle'])") == "italic"
        assert desk.value(f"({style})(['remaining', 'fontStyle'])") == "normal"
        desk.picture("desk-prices-late")
        serving.script.doubtful = ()
        desk.page.wait_for_selector(":root:not([data-doubtful~=MONEY])")
        assert desk.value(f"({style})(['price', 'fontStyle'])") == "normal"


def test_what_waits_for_reference_data_is_a_figure_that_leads_to_its_list(desk: DeskPage, settings: Settings) -> None:
    with gateway(settings, Script()) as serving:
        desk.open(address(settings)).wait_rows()
        desk.wait_status("live")
        chip = desk.page.locator("[data-kpi=parked]")
        assert not chip.is_visible()
        serving.script.parked = 1_204
        desk.page.wait_for_selector("[data-kpi=parked] .warn")
        assert "1,204 · 120.4K" in chip.inner_text()
        assert chip.get_attribute("href") == "/feeds?view=parked"
        desk.picture("desk-parked")
