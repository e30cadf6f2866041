"""Two million rows are more than a browser's tallest element: every one of them is reached all the same."""

from collections.abc import Callable, Iterator

import pytest

from app.settings import Settings
from tests.e2e.desk_page import DeskPage
from tests.e2e.grid_world import ViewScript
from tests.e2e.scripted_gateway import Script, gateway

COUNT = 2_000_000
TOP = "window.imsDesk.grid.top"
ENDED = """async ([row, by]) => {
  await new Promise(requestAnimationFrame);
  const s = document.querySelector("#grid .scroll");
  const end = by < 0 ? s.scrollTop === 0 : s.scrollHeight - s.clientHeight - s.scrollTop < 1;
  return end && document.querySelector(`#grid .pinned [aria-rowindex="${row + 2}"]`) !== null;
}"""
"""With the next picture: whether the scroll bar is at its end, and this row on screen."""


@pytest.fixture
def page_path() -> str:
    return "/inventory"


@pytest.fixture
def script(settings: Settings) -> ViewScript:
    return ViewScript(settings.secret)


@pytest.fixture(scope="module")
def rows(settings: Settings) -> Iterator[Script]:
    made = Script(securities=COUNT, hz=2, changes=0)
    with gateway(settings, made):
        yield made


def shown(desk: DeskPage, row: int) -> None:
    """Until the row with this number, from 0, is on screen, with what is in it."""
    desk.page.wait_for_selector(f"#grid .pinned [aria-rowindex='{row + 2}'] [data-id='{row + 1}']")


def test_every_row_is_reached_by_keys_wheel_and_thumb(
    person: Callable[..., DeskPage], api: ViewScript, rows: Script
) -> None:
    desk = person("tom").wait_rows()
    page = desk.page
    assert desk.value("document.querySelector('#grid .space').offsetHeight") < 16_000_000
    page.focus("#grid .scroll")
    page.keyboard.press("Control+End")
    shown(desk, COUNT - 1)
    assert page.get_attribute("#focused-cell", "data-id") == str(COUNT)
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowUp")
    number = int(str(page.get_attribute("#focused-cell", "data-id")))
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#focused-cell", "data-id") == str(number - 1)
    # the thumb says how far of the whole
    page.evaluate(
        "const s = document.querySelector('#grid .scroll'); s.scrollTop = (s.scrollHeight - s.clientHeight) / 2"
    )
    page.wait_for_function(f"Math.abs({TOP} - {COUNT // 2}) < 2000")
    # from there on a wheel moves by pixels, as it does anywhere
    top = desk.value(TOP)
    page.mouse.move(600, 500)
    for _ in range(5):
        page.mouse.wheel(0, 220)
    page.wait_for_function(f"Math.abs({TOP} - {top + 50}) <= 1")
    shown(desk, top + 52)
    # and it ends at the last row and at the first one, not before and not behind
    for end, by in ((COUNT - 1, 2_000), (0, -2_000)):
        page.evaluate(f"window.imsDesk.grid.reveal({abs(end - 700)}, 'name')")
        for _ in range(200):
            page.mouse.wheel(0, by)
            if page.evaluate(ENDED, [end, by]):
                break
        else:
            pytest.fail(f"the wheel does not reach row {end}")
        shown(desk, end)


def test_a_reload_comes_back_to_the_same_rows_and_columns(
    person: Callable[..., DeskPage], api: ViewScript, rows: Script
) -> None:
    desk = person("tom", "", viewport={"width": 1000, "height": 700}).wait_rows()
    desk.page.evaluate("window.imsDesk.grid.reveal(1234567, 'remaining')")
    shown(desk, 1_234_567)
    before = desk.value("[window.imsDesk.grid.place.top, document.querySelector('#grid .scroll').scrollTop]")
    left = desk.value("document.querySelector('#grid .scroll').scrollLeft")
    desk.page.reload()
    desk.wait_rows()
    shown(desk, 1_234_567)
    assert desk.value("window.imsDesk.grid.place.top") == before[0]
    assert abs(desk.value("document.querySelector('#grid .scroll').scrollTop") - before[1]) < 700
    assert desk.value("document.querySelector('#grid .scroll').scrollLeft") == left > 0
    desk.page.click("[data-head=price]")
    desk.page.wait_for_function(f"{TOP} === 0")
    desk.page.go_back()
    shown(desk, 1_234_567)
