"""The grid as a person arranges it: columns, ranges, filters, groups, pivots, highlights, exports, and views under a name."""

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.e2e.accessible import findings
from tests.e2e.desk_page import DeskPage
from tests.e2e.grid_world import HEADS, TREE, ViewScript, total
from tests.e2e.page_server import CONTRASTS
from tests.e2e.scripted_gateway import Script, gateway

PASTED = """async () => {
  const [item] = await navigator.clipboard.read();
  const of = async (type) => (await item.getType(type)).text();
  return [await of("text/plain"), await of("text/html")];
}"""
MARKED = """[...document.querySelectorAll('#grid [data-column=td].look-bad')].map((cell) => Number(cell.dataset.id))
  .filter((id) => id <= 30).sort((a, b) => a - b)"""
LOOKS = """[["td","<",30000,"bad"],["sd0",">",0,"warn"],["sd1",">",0,"good"],["sd2",">",0,"info"],["sd3",">",0,"dim"],
["sd4","heat","","heat"]]""".replace("\n", "")


@pytest.fixture
def page_path() -> str:
    return "/positions"


@pytest.fixture
def script(settings: Settings) -> ViewScript:
    return ViewScript(settings.secret)


@pytest.fixture
def rows(settings: Settings) -> Iterator[Script]:
    made = Script(hz=2, changes=0)
    with gateway(settings, made):
        yield made


@pytest.fixture
def desk(person: Callable[..., DeskPage], api: ViewScript, rows: Script) -> DeskPage:
    return person("tom").wait_rows()


def last_view(rows: Script) -> dict[str, object]:
    return [message for message in rows.heard if message["t"] == "view"][-1]


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def menu(desk: DeskPage, column: str, item: str) -> None:
    desk.page.click(f"[data-head='{column}']", button="right")
    desk.page.click(f"#grid-menu [data-item='{item}']")


def test_columns_are_moved_pinned_sized_and_hidden_by_pointer_and_keys_and_the_address_has_it_all(
    desk: DeskPage, person: Callable[..., DeskPage]
) -> None:
    page = desk.page
    before = desk.value(HEADS)
    assert before[:4] == ["name", "ticker", "market", "book"]
    book, ticker = (page.locator(f"[data-head={name}]").bounding_box() for name in ("book", "ticker"))
    assert book is not None
    assert ticker is not None
    page.mouse.move(book["x"] + 20, book["y"] + 25)
    page.mouse.down()
    page.mouse.move(ticker["x"] + 6, ticker["y"] + 25, steps=5)
    page.mouse.up()
    assert desk.value(HEADS)[:4] == ["name", "book", "ticker", "market"]
    assert "sort" not in query(page), "carrying a title is no click on it"
    page.focus("[data-head=market]")
    page.keyboard.press("Control+ArrowLeft")
    assert desk.value(HEADS)[:4] == ["name", "book", "market", "ticker"]
    assert desk.value("document.activeElement.dataset.head") == "market"
    wide = desk.value("document.querySelector('[data-head=market]').offsetWidth")
    page.keyboard.press("Shift+ArrowRight")
    assert desk.value("document.querySelector('[data-head=market]').offsetWidth") == wide + 8
    menu(desk, "td", "pin")
    assert desk.value(HEADS)[:2] == ["name", "td"]
    desk.wait_rows()
    page.evaluate("document.querySelector('#grid .scroll').scrollLeft = 300")
    edge = desk.value("document.querySelector('#grid .pinned').getBoundingClientRect().left")
    assert desk.value("document.querySelector('#grid .pinned [data-column=td]').getBoundingClientRect().left") > edge
    menu(desk, "depot", "hide")
    arranged = desk.value(HEADS)
    assert "depot" not in arranged
    linked = person("olga", f"?{urlsplit(page.url).query}").wait_rows()
    assert linked.value(HEADS) == arranged
    linked.page.goto(page.url.split("?")[0])
    assert linked.wait_rows().value(HEADS) == before, "a link's columns are not kept as one's own"
    page.go_back()
    page.wait_for_selector("[data-head=depot]")
    page.go_forward()
    page.wait_for_selector("[data-head=depot]", state="detached")
    assert desk.errors == []


def test_a_range_is_drawn_by_pointer_or_keys_and_copied_as_a_table_that_says_how_much_it_is(
    desk: DeskPage, rows: Script
) -> None:
    page = desk.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    positions = rows.tables["positions"]
    positions.text["book"][1] = "=2+3"
    page.evaluate("window.imsDesk.ask()")
    page.wait_for_selector("text==2+3")
    page.locator("#grid [aria-rowindex='2'] [data-column=book]").hover()
    page.mouse.down()
    page.locator("#grid [aria-rowindex='4'] [data-column=client]").hover()
    page.mouse.up()
    assert page.locator("#grid .cell.in").count() == 6
    assert "sec=" not in page.url, "drawing a range opens nothing"
    page.keyboard.press("Control+c")
    expect(page.locator("#said")).to_have_text("Copied 3 rows \N{MULTIPLICATION SIGN} 2 columns")
    text, html = page.evaluate(PASTED)
    assert text.splitlines() == ["BOOK00\t", "'=2+3\tFUND1", "BOOK02\tFUND2"]
    assert "mso-number-format" in html
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+Control+ArrowRight")
    page.keyboard.press("Control+Alt+c")
    expect(page.locator("#said")).to_contain_text("Copied 3 rows")
    lines = page.evaluate(PASTED)[0].splitlines()
    assert len(lines) == 4
    assert lines[0].split("\t")[:2] == ["Book", "Client"]
    assert float(lines[1].split("\t")[4]) == positions.number["td"][0], "numbers are bare"
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    expect(page.locator("#said")).to_contain_text("400 rows")
    if "ready" in page.inner_text("#said"):
        page.keyboard.press("Control+c")
    expect(page.locator("#said")).to_contain_text("Copied 400 rows")
    everything = page.evaluate(PASTED)[0].splitlines()
    assert (len(everything), everything[-1].split("\t")[0]) == (400, positions.text["name"][399])
    page.keyboard.press("Escape")
    assert page.locator("#grid .cell.in").count() == 0


def test_all_is_reached_by_keys_and_a_dialog_tells_which(desk: DeskPage) -> None:
    page = desk.page
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    assert findings(page, "#help") == []
    page.keyboard.press("Escape")
    page.wait_for_selector("#help:not([open])", state="attached")
    page.focus("#grid .scroll")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert page.get_attribute("#focused-cell", "data-column") == desk.value(HEADS)[-1]
    page.keyboard.press("Home")
    page.keyboard.press("Control+End")
    page.wait_for_selector("#grid [aria-rowindex='401'] #focused-cell")
    page.keyboard.press("Control+Home")
    page.wait_for_selector("#grid [aria-rowindex='2'] #focused-cell")
    page.keyboard.press("ArrowUp")
    assert desk.value("document.activeElement.dataset.head") == "name"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    desk.wait_rows()
    assert desk.value("document.activeElement.dataset.head") == "ticker"
    assert page.get_attribute("[data-head=ticker]", "aria-sort") == "ascending"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+F10")
    page.wait_for_selector("#grid-menu:popover-open")
    assert findings(page, "#grid-menu") == []
    page.keyboard.press("f")
    assert "Filter" in desk.value("document.activeElement.textContent")
    page.keyboard.press("Escape")
    assert desk.value("document.activeElement.className") == "scroll"
    page.keyboard.press("Enter")
    page.wait_for_function("window.imsDesk.state.selected !== ''")
    assert query(page)["row"] == ["1"]


def test_a_column_is_filtered_by_its_values_words_and_limits(desk: DeskPage, rows: Script) -> None:
    page = desk.page
    menu(desk, "kind", "filter")
    page.wait_for_selector("#filter-panel [data-value=FIRM]")
    assert page.inner_text("#filter-panel label:has([data-value=FIRM]) small") == "100"
    assert findings(page, "#filter-panel") == []
    page.check("#filter-panel [data-value=FIRM]")
    desk.wait_rows()
    assert desk.matches() == 100
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-head=kind].filtered")
    menu(desk, "td", "filter")
    page.fill("#filter-panel [data-op='>=']", "10k")
    page.wait_for_function("window.imsDesk.state.where.length === 2")
    desk.wait_rows()
    assert last_view(rows)["filter"]["where"] == [  # type: ignore[index]
        {"column": "kind", "op": "in", "value": ["FIRM"]},
        {"column": "td", "op": ">=", "value": 10_000},
    ]
    page.fill("#filter-panel [data-op='<=']", "ten")
    page.wait_for_selector("#filter-panel [data-op='<='][aria-invalid=true]")
    page.keyboard.press("Escape")
    tds = rows.tables["positions"].number["td"]
    assert desk.matches() == sum(tds[i] >= 10_000 for i in range(0, 400, 4))
    chips = page.locator("#conditions .word")
    assert chips.all_inner_texts() == ["Kind is FIRM", "TD >= 10,000"]
    page.locator("#conditions .off").first.click()
    desk.wait_rows()
    page.locator("#grid [aria-rowindex='2'] [data-column=depot]").click(button="right")
    page.click("#grid-menu [data-item=only]")
    desk.wait_rows()
    assert set(desk.column("depot")) == {rows.tables["positions"].text["depot"][0]}
    page.click("#clear")
    desk.wait_rows()
    assert desk.matches() == 400
    menu(desk, "client", "filter")
    page.fill("#filter-panel .words", "nobody is called like this")
    page.wait_for_selector("text=No position matches the filter")
    desk.picture("positions-empty")


def test_groups_open_and_close_and_their_sums_are_those_of_their_rows(desk: DeskPage, rows: Script) -> None:
    page, texts = desk.page, rows.tables["positions"].text
    menu(desk, "market", "group")
    page.wait_for_selector("#grid .row.group")
    assert page.get_attribute("#grid .scroll", "role") == "treegrid"
    of = {m: [i for i in range(400) if texts["market"][i] == m] for m in {texts["market"][i] for i in range(400)}}
    assert desk.value(TREE) == [[f"▸ {m}  {len(of[m])}", "1", "false", total(rows, "td", of[m])] for m in sorted(of)]
    assert page.inner_text("#grid [data-total=td]") == total(rows, "td")
    assert desk.matches() == 400
    page.select_option("[data-key=group]", "kind")
    page.wait_for_function("window.imsDesk.grid.groupAt(0)?.state === 1")
    page.focus("#grid .scroll")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#grid [aria-level='2'][aria-expanded=false]")
    firm = [i for i in of["DE"] if texts["kind"][i] == "FIRM"]
    assert ["▸ FIRM  " + str(len(firm)), "2", "false", total(rows, "td", firm)] in desk.value(TREE)
    page.locator("#grid .pinned .row[aria-level='2'] .c-tree").first.click()
    page.wait_for_selector("#grid .body [aria-level='3']")
    assert rows.heard[-1]["toggled"] == [["DE"], ["DE", "CLIENT_FREE"]]
    desk.picture("positions-groups")
    assert findings(page, "main") == []
    page.go_back()
    page.wait_for_function("window.imsDesk.state.groups.length === 1")
    page.go_forward()
    page.wait_for_selector("#grid .body [aria-level='3']")
    page.focus("[data-key='move kind']")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "window.imsDesk.state.groups[0] === 'kind' && window.imsDesk.grid.groupAt(0)?.label === 'CLIENT_FREE'"
    )
    page.click("[data-key=opened]")
    page.wait_for_function("window.imsDesk.grid.total > 400")
    page.click("[data-key='group kind']")
    page.click("[data-key='group market']")
    desk.wait_rows()
    assert page.get_attribute("#grid .scroll", "role") == "grid"
    numbers = rows.tables["positions"].number["td"]
    page.click("#grid [data-total=td]")
    page.wait_for_selector(f"[data-head=td][aria-sort={'descending' if numbers.sum() >= 0 else 'ascending'}]")
    assert last_view(rows)["sort"] == [["td", "desc" if numbers.sum() >= 0 else "asc"]], "the largest part of it first"


def test_a_pivot_spreads_a_column_over_the_values_of_another(desk: DeskPage, rows: Script) -> None:
    page, texts = desk.page, rows.tables["positions"].text
    page.select_option("[data-key=group]", "market")
    page.wait_for_selector("#grid .row.group")
    page.select_option("[data-key=pivot]", "kind")
    page.wait_for_selector("[data-head='td|FIRM']")
    assert desk.value(HEADS)[1:] == ["td|CLIENT_FREE", "td|DEPOT", "td|FIRM", "td|SLAB_BORROW", "td"]
    cell = page.locator("#grid .body [aria-rowindex='2'] [data-column='td|FIRM']")
    firm = [i for i in range(400) if texts["market"][i] == "DE" and texts["kind"][i] == "FIRM"]
    expect(cell).to_have_text(total(rows, "td", firm))
    page.click("[data-head='td|FIRM']")
    page.wait_for_function("window.imsDesk.state.sort.length === 1")
    page.wait_for_selector("[data-head='td|FIRM'][aria-sort=descending]")
    page.select_option("[data-key=measure]", "market_value")
    page.wait_for_selector("[data-head='market_value|FIRM']")
    desk.picture("positions-pivot")
    page.click("#export-more")
    with page.expect_download():
        page.click("#grid-menu [data-item=xlsx]")
    asked = rows.exports[-1]
    assert (asked["form"], asked["groups"], asked["pivot"], asked["columns"]) == (
        "xlsx",
        "market",
        "kind",
        "market_value",
    )
    texts["kind"][0] = '=HYPERLINK("http://127.0.0.1/?","FIRM")'
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.reload()
    page.wait_for_selector(f"[data-head='market_value|{texts['kind'][0]}']")
    page.locator("#grid .body [aria-rowindex='2'] [data-column='market_value']").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+Alt+c")
    expect(page.locator("#said")).to_contain_text("Copied")
    text, html = page.evaluate(PASTED)
    heads = text.splitlines()[0].split("\t")
    assert f"'{texts['kind'][0]}" in heads, "a title from the data is no formula"
    assert not [head for head in heads if head.startswith("=")]
    assert html.count("<th style=\"mso-number-format:'\\@'\">") == len(heads)


def test_cells_stand_out_by_rules_that_are_kept_with_the_view(desk: DeskPage, rows: Script) -> None:
    page = desk.page
    menu(desk, "td", "highlight")
    page.select_option("#highlights-panel [name=op]", "<")
    page.fill("#highlights-panel [name=value]", "x")
    page.click("#highlights-panel [type=submit]")
    page.wait_for_selector("#highlights-panel .new .trouble:not(:empty)")
    page.fill("#highlights-panel [name=value]", "10k")
    page.click("#highlights-panel [type=submit]")
    page.select_option("#highlights-panel [name=column]", "settled")
    page.select_option("#highlights-panel [name=op]", "bar")
    page.click("#highlights-panel [type=submit]")
    page.wait_for_selector("#highlights-panel [data-rule='1']")
    assert findings(page, "#highlights-panel") == []
    low = [i + 1 for i in range(30) if rows.tables["positions"].number["td"][i] < 10_000]
    assert desk.value(MARKED) == low
    assert page.locator("#grid [data-column=settled].look-bar").count() > 10
    page.keyboard.press("Escape")
    desk.page.reload()
    desk.wait_rows()
    assert desk.value(MARKED) == low
    desk.picture("positions-highlights")


def test_a_view_is_saved_under_a_name_and_opened_by_it(
    desk: DeskPage, api: ViewScript, person: Callable[..., DeskPage]
) -> None:
    page = desk.page
    menu(desk, "market", "group")
    page.click("#views-button")
    page.fill("#views-panel [name=name]", "By market")
    page.check("#views-panel [name=shared]")
    page.click("#views-panel [data-key=save]")
    page.wait_for_selector("#views-button:has-text('By market')")
    assert api.views[0]["query"] == "group=market"
    menu(desk, "kind", "group")
    page.wait_for_selector("#views-button.changed")
    page.click("#views-button")
    page.click(f"[data-key='default {api.views[0]['id']}']")
    page.wait_for_selector(f"[data-key='default {api.views[0]['id']}'][aria-pressed=true]")
    assert findings(page, "#views-panel") == []
    desk.picture("positions-views")
    page.click("[data-key=again]")
    page.wait_for_function("!document.querySelector('#views-button').matches('.changed')")
    assert api.views[0]["query"] == "group=market%2Ckind"
    api.views[0]["version"] += 1  # somebody else, meanwhile
    page.click(f"[data-key='rename {api.views[0]['id']}']")
    api.views[0]["version"] += 1
    page.keyboard.type("Other")
    page.keyboard.press("Enter")
    page.wait_for_selector("#views-panel .trouble:has-text('changed since')")
    page.click("[data-key=plain]")
    page.wait_for_selector("#grid .scroll[role=grid]")
    page.goto(page.url.split("?")[0])
    desk.wait_rows()
    page.wait_for_selector("#grid .scroll[role=treegrid]")
    other = person("olga").wait_rows()
    other.page.click("#views-button")
    other.page.click("#views-panel .name:has-text('By market')")
    other.page.wait_for_selector("#grid .scroll[role=treegrid]")
    assert other.page.locator("[data-key^=remove]").count() == 0, "it is not hers"


def test_a_long_export_shows_how_far_it_is(desk: DeskPage, rows: Script) -> None:
    page = desk.page
    far = {"rows": 1_000_000, "as_of": "", "detail": ""}
    rows.export_states = [
        far | {"state": "writing", "written": written} for written in (200_000, 400_000, 500_000, 600_000)
    ]
    rows.export_states += [far | {"state": "failed", "written": 600_000, "detail": "the disk is full"}]
    page.click("#export-more")
    with page.expect_download():
        page.click("#grid-menu [data-item=arrow]")
    page.wait_for_selector("#export-progress progress")
    expect(page.locator("#export-progress")).to_contain_text("of 1,000,000")
    expect(page.locator("#said")).to_have_text("The export failed: the disk is full")
    assert not page.is_visible("#export-progress")


def test_what_the_gateway_refuses_is_said_where_the_rows_would_be(
    person: Callable[..., DeskPage], api: ViewScript, rows: Script
) -> None:
    rows.refuse = "you may not see the positions of these clients"
    desk = person("tom")
    expect(desk.page.locator("#message")).to_have_text(rows.refuse)
    desk.picture("positions-refused")
    rows.refuse = ""
    desk.page.evaluate("window.imsDesk.ask()")
    desk.wait_rows()
    assert not desk.page.is_visible("#message")
    rows.refuse = "values cannot be counted now"
    menu(desk, "kind", "filter")
    expect(desk.page.locator("#filter-panel .values")).to_contain_text(rows.refuse)


@pytest.mark.parametrize("size", [(1920, 1000), (768, 1024), (640, 400)])
def test_the_page_is_usable_in_both_themes_at_any_width(
    person: Callable[..., DeskPage], api: ViewScript, rows: Script, size: tuple[int, int]
) -> None:
    width, height = size
    desk = person("tom", f"?q=000001&group=market&depth=1&fmt={LOOKS}", viewport={"width": width, "height": height})
    desk.wait_rows()
    for theme in ("dark", "light"):
        desk.page.evaluate("(theme) => window.imsDesk.setTheme(theme)", theme)
        assert desk.page.evaluate(CONTRASTS) == []
        desk.picture(f"positions-{theme}-{width}")
    assert desk.value("document.documentElement.scrollWidth") <= width
    for button in ("#views-button", "#bar-toggle", "#export-more", "#keys", "[data-key=group]"):
        desk.page.locator(button).scroll_into_view_if_needed()
        box = desk.page.locator(button).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= width - box["width"]
