import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.bench import services
from app.settings import Settings
from tests.e2e.desk_page import NONE, OUTPUT, DeskPage, desk_page
from tests.e2e.page_server import CONTRASTS, page_server, sign_in
from tests.e2e.scripted_api import serving
from tests.e2e.scripted_rules import TEXT, RulesScript

MINUS = "\N{MINUS SIGN}"
HALF = TEXT.replace("weight: 0,", "weight: 0.25,")
TALKED_INTO = """() => {
  const { src } = document.querySelector("script[src*='rules_page/main.js']");
  import(src.replace("main.js", "actions.js")).then((actions) => actions.take(window.imsPage.page, "approve"));
}"""
NOTHING_LOST = """async () => {
  const { src } = document.querySelector("script[src*='rules_page/main.js']");
  const { highlight } = await import(src.replace("main.js", "highlight.js"));
  const { diffLines } = await import(src.replace("main.js", "diff.js"));
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const words = ["a:", "rows:", "condition:", "- ", "{", "}", "[", "]", "#", "'", '"', "|", ">-"];
  words.push("\\n", "\\n  ", " ", ",", "1", "IN", "<b>");
  const text = () => Array.from({ length: random(40) }, () => words[random(words.length)]).join("");
  const wrong = [];
  for (let i = 0; i < 3000; i++) {
    const [one, other] = [text(), text()];
    const painted = highlight(one).map((line) => line.map((piece) => piece[1]).join("")).join("\\n");
    const rows = diffLines(one, other);
    const side = (name) => rows.filter((row) => row[name] !== null).map((row) => row[name]).join("\\n");
    const honest = rows.every((row) => row.kind !== "same" || row.left === row.right);
    if (painted !== one || side("left") !== one || side("right") !== other || !honest) wrong.push([one, other]);
  }
  return wrong;
}"""


@pytest.fixture
def page_path() -> str:
    return "/rules"


@pytest.fixture
def script(settings: Settings) -> RulesScript:
    made = RulesScript(settings.secret)
    made.add("default", TEXT.replace("tw", "default"), "ims", "active", "shipped")
    made.add("tw", TEXT.replace("-0.5", "-1"), "ims", "retired")
    made.add("tw", TEXT, "ims", "active")
    return made


def answer(page: Page, comment: str = "") -> None:
    """Say yes to the question on screen."""
    name = page.get_attribute("dialog[open]", "aria-labelledby")
    dialog = page.locator(f"dialog[aria-labelledby='{name}']")
    if comment:
        dialog.locator("textarea").fill(comment)
    dialog.locator("button[type=submit]").click()
    dialog.wait_for(state="detached")


def type_text(page: Page, text: str) -> None:
    page.locator("#editor").fill(text)


def state(page: Page) -> str:
    return page.locator("#heading .state").inner_text().split(" ")[-1]


def step(page: Page, name: str) -> Any:
    return page.locator(f"#heading [data-step={name}]")


def test_a_login_leads_to_the_very_state_that_the_link_names(
    browser: Browser, settings: Settings, api: RulesScript
) -> None:
    with desk_page(browser) as desk:
        desk.open(f"http://127.0.0.1:{settings.port}/rules?document=tw&version=2&view=diff&from=1")
        desk.picture("login")
        sign_in(desk.page, "maker")
        expect(desk.page.locator(".diff tr.changed")).to_have_count(1)
        assert desk.page.url.endswith("/rules?document=tw&version=2&view=diff&from=1")
        assert desk.page.inner_text(".account").split() == ["maker", "trader", "Sign", "out"]


def test_two_people_bring_a_draft_into_force_and_its_maker_cannot_alone(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    maker, checker = person("maker", "?document=tw"), person("checker", "?document=tw")
    page = maker.page
    step(page, "edit").click()
    type_text(page, HALF)
    page.keyboard.press("Control+s")
    answer(page, "a quarter may be")
    expect(page.locator("#heading h2")).to_contain_text("v3")
    assert state(page) == "Draft"
    expect(step(page, "submit")).to_have_attribute("aria-disabled", "true")
    step(page, "test").click()
    page.wait_for_selector("#totals")
    assert state(page) == "Tested"
    step(page, "submit").click()
    answer(page)
    expect(page.locator("#heading .state")).to_contain_text("Submitted")
    expect(step(page, "approve")).to_have_attribute("aria-disabled", "true")
    step(page, "approve").click(force=True)
    expect(page.locator("#notice")).to_contain_text("Only an admin")
    assert api.versions["tw"][2]["state"] == "submitted"

    page = checker.page
    expect(page.locator("[data-document=tw] .open")).to_contain_text("1 to approve")
    page.locator("[data-version='3']").first.click()
    expect(page.locator("#heading .comment")).to_contain_text("a quarter may be")
    step(page, "approve").click()
    answer(page, "agreed")
    expect(page.locator("#heading .state")).to_contain_text("Active")
    expect(page.locator("#heading")).to_contain_text("approved by checker")
    assert [version["state"] for version in api.versions["tw"]] == ["retired", "retired", "active"]
    expect(maker.page.locator("#heading .state")).to_contain_text("Active")
    assert maker.errors == [] == checker.errors


def test_a_maker_who_is_an_admin_is_refused_by_page_and_api_alike(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    api.add("tw", HALF, "checker", "submitted")
    desk = person("checker", "?document=tw&version=3")
    expect(step(desk.page, "approve")).to_have_attribute("title", re.compile("another person checks it"))
    step(desk.page, "approve").click(force=True)
    expect(desk.page.locator("#notice")).to_contain_text("another person checks it")
    # as if somebody had talked the page into it
    desk.value(TALKED_INTO)
    answer(desk.page)
    expect(desk.page.locator("#notice")).to_contain_text("Refused: checker made version 3")
    assert api.versions["tw"][2]["state"] == "submitted"


def test_problems_stand_at_their_lines_and_nothing_typed_is_lost(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    desk = person("maker", "?document=tw&version=2&view=edit")
    page = desk.page
    type_text(page, TEXT.replace("weight: 0,", "weight: WRONG,").replace("-0.5", "WRONG"))
    page.click("[data-step=save]")
    answer(page)
    expect(page.locator(".line.wrong")).to_have_count(2)
    assert page.locator(".line.wrong .number").all_inner_texts() == ["✕ 8", "✕ 12"]
    assert "line 12, column 13" in page.inner_text(".problems")
    assert "unknown column 'WRONG' <script>" in page.inner_text(".problems")
    assert page.evaluate("document.activeElement.selectionStart") == page.evaluate(
        "document.activeElement.value.indexOf('WRONG')"
    )
    page.locator(".problems button").nth(1).click()
    assert page.evaluate("document.activeElement.selectionStart") == page.evaluate(
        "document.activeElement.value.lastIndexOf('WRONG')"
    )
    desk.picture("rules-problems")
    page.keyboard.press("Control+Home")
    page.keyboard.type("# above\n")
    assert page.locator(".line.wrong .number").all_inner_texts() == ["✕ 9", "✕ 13"]
    assert len(api.versions["tw"]) == 2
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#editor")).to_have_value(re.compile("^# above\n"))
    page.click("[data-step=discard]")
    answer(page)
    page.wait_for_selector("#view .code:not(.edit)")
    page.reload()
    page.wait_for_selector("#view .code:not(.edit)")


def test_what_differs_is_signed_and_not_only_coloured(person: Callable[..., DeskPage], api: RulesScript) -> None:
    api.add("tw", HALF + "# and a line more\n", "maker", "tested")
    desk = person("auditor", "?document=tw&version=3&view=diff")
    page = desk.page
    expect(page.locator("#counts")).to_have_text(f"+2 {MINUS}1 lines")
    assert page.locator("#from").input_value() == "2"
    signs = [text for text in page.locator(".diff td.sign").all_text_contents() if text]
    assert signs == [f"{MINUS}removed: ", "+added: ", "+added: "]
    assert page.locator(".diff ins").inner_text() == ".25"
    desk.picture("rules-diff")
    page.click("[data-layout=unified]")
    page.wait_for_selector(".diff.unified tr.removed")
    page.select_option("#from", "1")
    expect(page.locator("#counts")).to_have_text(f"+3 {MINUS}2 lines")
    assert "from=1" in page.url
    assert "layout=unified" in page.url


def test_a_tab_that_is_clicked_while_a_version_is_on_its_way_is_of_that_version(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    page = person("auditor", "?document=tw&version=1").page
    expect(page.locator("#heading h2")).to_contain_text("tw v1")
    page.evaluate(
        "() => ['[data-version=\\'2\\']', '[data-view=diff]'].forEach((each) => document.querySelector(each).click())"
    )
    page.wait_for_url("**/rules?document=tw&version=2&view=diff")
    expect(page.locator("#heading h2")).to_contain_text("tw v2")
    page.wait_for_selector(".diff tr.changed")


def test_a_long_equal_beginning_is_folded_and_opens(person: Callable[..., DeskPage], api: RulesScript) -> None:
    api.add("tw", TEXT + "# the end\n", "maker", "draft")
    page = person("maker", "?document=tw&version=3&view=diff").page
    page.wait_for_selector(".diff .fold")
    assert page.locator(".diff tr.added td.sign.new").evaluate("cell => cell.offsetWidth") < 30
    page.click(".diff .fold button")
    expect(page.locator(".diff tr")).to_have_count((TEXT + "# the end\n").count("\n") + 1)


def test_the_browsers_back_button_walks_through_what_was_shown(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    page = person("maker", "?document=default").page
    page.click("[data-document=tw]")
    page.wait_for_selector("#heading h2:has-text('tw v2')")
    page.click("#versions [data-version='1']")
    page.click("[data-view=audit]")
    page.wait_for_selector("#audit")
    page.go_back()
    expect(page.locator("#view .code")).to_be_visible()
    expect(page.locator("#heading h2")).to_contain_text("tw v1")
    page.go_back()
    expect(page.locator("#heading h2")).to_contain_text("tw v2")
    page.go_back()
    expect(page.locator("#heading h2")).to_contain_text("default")
    page.go_forward()
    expect(page.locator("#heading h2")).to_contain_text("tw v2")


def test_the_impact_of_a_draft_is_told_in_sum_and_by_security(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    api.add("tw", HALF, "maker", "draft")
    desk = person("maker", "?document=tw&version=3&view=impact")
    page = desk.page
    expect(page.locator("#view")).to_contain_text("has not been tried")
    page.click("#view [data-step=test]")
    page.wait_for_selector("#totals")
    rows = [row.split("\t") for row in page.locator("#totals tbody tr").all_inner_texts()]
    assert rows == [
        ["for_loan", "1,204,500,000", "1,199,100,000", f"▼ {MINUS}5,400,000", "3"],
        ["utilisation", NONE, NONE, NONE, "1"],
        ["remaining", "900,000", "-4,500,000", f"▼ {MINUS}5,400,000", "1"],
        ["borrow_cost", "123.45", "123.45", "0", "0"],
    ]
    names = [text for text in page.locator("#securities tbody th a").all_inner_texts() if text]
    assert names == ["FORMOSA <i>PLASTICS</i>", "TAIWAN CEMENT", "ACER"]
    changed = page.locator("#securities tbody tr").nth(2).inner_text().split("\t")
    assert changed[2:] == ["utilisation", "SD0", "41.50%", "90.00%", "▲ +48.50%"]
    assert "2,000,000" in page.inner_text("#water")
    locate = page.inner_text("#locates tbody tr").split("\t")
    assert locate == ["L0000000017", "C0042", "short", names[0], "2,000,000"]
    limit = page.inner_text("#limits tbody tr").split("\t")
    assert limit == ["client C0042", "TWS000000001", "client_short", "100", "-2,000"]
    desk.picture("rules-impact")
    page.click("#totals button:has-text('remaining')")
    expect(page.locator("#securities tbody tr")).to_have_count(1)
    assert "calculation=remaining" in page.url
    page.reload()
    expect(page.locator("#securities")).to_contain_text("sums of the last test")
    page.click("#securities [data-step=test]")
    expect(page.locator("#securities tbody tr")).to_have_count(1)
    assert "/inventory?sec=TWS000000001" in str(page.locator("#securities tbody th a").get_attribute("href"))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_dry_run_is_told_in_sums_by_rule_and_line_by_line(
    person: Callable[..., DeskPage], api: RulesScript, theme: str
) -> None:
    api.add("tw", f"{TEXT}decisions:\n  - {{id: all, action: approve}}\n", "maker", "draft")
    desk = person("auditor", f"?document=tw&version=2&theme={theme}")
    page = desk.page
    page.wait_for_selector("#view .line")
    expect(page.locator("#tabs [data-view=dry-run]")).to_have_count(0)
    desk.open(page.url.replace("version=2", "version=3"))
    page.click("#tabs [data-view=dry-run]")
    page.fill("#dry-since", "2026-11-14")
    page.fill("#dry-until", "2026-11-20")
    page.click("[data-step=dry-run]")
    page.wait_for_selector("#dry-lines tbody tr")
    assert "since=2026-11-14&until=2026-11-20" in page.url
    facts = page.locator(".facts .fact").all_inner_texts()
    assert [fact.split("\n")[1] for fact in facts] == ["3", "! 1", "5 → 1", "2 of 3", "2", "2026-11-20 18:00:00"]
    assert page.locator("#dry-sums tbody tr").nth(1).inner_text().split("\t")[1:] == ["1,000", "400", f"▼ {MINUS}600"]
    assert page.inner_text("#dry-rules tbody th") == "<b>large</b>"
    line = page.inner_text("#dry-lines tbody tr").split("\t")
    assert line[4:7] == ["pending all", "rejected limit exceeded, <b>large</b>", "approved 500 otto"]
    assert "/locates?view=all&id=L0000000017" in str(page.get_attribute("#dry-lines tbody a", "href"))
    with page.expect_download() as file:
        page.click("#dry-csv")
    assert Path(file.value.path()).read_text() == "2026-11-14 to 2026-11-20, 100000"
    assert desk.value(CONTRASTS) == []
    desk.picture(f"rules-dry-run-{theme}")


def test_text_of_a_document_is_shown_as_text_with_its_colours(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    page = person("auditor", "?document=tw").page
    page.wait_for_selector("#view .line")
    shown = page.locator("#view .line code").all_text_contents()
    assert "\n".join(shown) == TEXT
    assert page.locator("#view b").count() == 0
    assert page.locator(".h-word").all_text_contents() == ["AND", "IN"]
    assert "condition" in page.locator(".h-key").all_text_contents()


def test_colours_and_differences_lose_nothing_of_any_text(person: Callable[..., DeskPage], api: RulesScript) -> None:
    desk = person("auditor", "?document=tw")
    desk.page.wait_for_selector("#view .line")
    assert desk.value(NOTHING_LOST) == []


def test_a_file_goes_out_and_in_and_is_refused_whole(
    person: Callable[..., DeskPage], api: RulesScript, tmp_path: Path
) -> None:
    page = person("maker", "?document=tw").page
    page.wait_for_selector("#view .line")
    with page.expect_download() as download:
        page.click("#export")
    saved = tmp_path / "rules.yaml"
    download.value.save_as(saved)
    assert saved.read_text() == TEXT.replace("tw", "default") + "---\n" + TEXT
    saved.write_text(HALF)
    page.set_input_files("#file", saved)
    answer(page, "from a file")
    expect(page.locator("#notice")).to_contain_text("Imported: tw v3")
    expect(page.locator(".diff tr.changed")).to_have_count(1)
    saved.write_text(TEXT.replace("-0.5", "WRONG"))
    page.set_input_files("#file", saved)
    answer(page)
    expect(page.locator("dialog .refused")).to_contain_text("tw:12:13 unknown column")
    answer(page)
    assert len(api.versions["tw"]) == 3


def test_a_retired_version_comes_back_as_a_draft(person: Callable[..., DeskPage], api: RulesScript) -> None:
    page = person("maker", "?document=tw&version=1").page
    step(page, "revert").click()
    answer(page, "back to before")
    expect(page.locator("#heading h2")).to_contain_text("v3")
    assert api.versions["tw"][2]["text"] == api.versions["tw"][0]["text"]


def test_a_rejection_says_why(person: Callable[..., DeskPage], api: RulesScript) -> None:
    api.add("tw", HALF, "maker", "submitted")
    page = person("checker", "?document=tw&version=3").page
    step(page, "reject").click()
    page.locator("dialog button[type=submit]").click()
    assert page.locator("dialog[open]").count() == 1
    answer(page, "the date is wrong")
    expect(page.locator("#heading .state")).to_contain_text("Rejected")
    page.click("[data-view=audit]")
    assert page.locator("#audit tbody tr").first.inner_text().split("\t")[1:] == [
        "checker",
        "v3",
        "reject",
        "the date is wrong",
    ]


def test_a_draft_that_other_rules_have_made_impossible_says_why(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    api.add("tw", TEXT.replace("-0.5", "WRONG"), "maker", "draft")
    page = person("maker", "?document=tw&version=3").page
    step(page, "test").click()
    expect(page.locator("dialog .refused li")).to_have_text("tw:12:13 unknown column 'WRONG' <script>")
    answer(page)
    expect(page.locator("#heading .state")).to_contain_text("Draft")


def test_what_is_edited_stays_when_another_version_comes_into_force(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    page = person("maker", "?document=tw&view=edit").page
    type_text(page, HALF)
    assert "version=2" in page.url
    api.versions["tw"][1]["state"] = "retired"
    api.add("tw", TEXT, "checker", "active")
    expect(page.locator("[data-document=tw]")).to_contain_text("v3 active")
    assert page.input_value("#editor") == HALF


def test_who_may_only_look_sees_why_the_steps_are_not_his(person: Callable[..., DeskPage], api: RulesScript) -> None:
    api.add("tw", HALF, "maker", "submitted")
    page = person("auditor", "?document=tw&version=3").page
    page.wait_for_selector("#heading [data-step]")
    assert set(page.locator("#heading [data-step]").evaluate_all("all => all.map((b) => b.ariaDisabled)")) == {"true"}
    step(page, "edit").click(force=True)
    expect(page.locator("#notice")).to_contain_text("Only trader or ops")


@pytest.mark.parametrize(
    ("trouble", "chip", "words"),
    [(502, "down", "does not answer"), (503, "starting", "does not answer"), (403, "live", "You may not see this")],
)
def test_a_page_that_cannot_show_rules_says_why_and_shows_them_when_it_can(
    person: Callable[..., DeskPage], api: RulesScript, trouble: int, chip: str, words: str
) -> None:
    api.trouble, api.detail = trouble, "not for you"
    desk = person("maker", "?document=tw")
    desk.wait_status(chip)
    expect(desk.page.locator("#view .nothing")).to_contain_text(words)
    desk.picture(f"rules-{trouble}")
    api.trouble = 0
    desk.page.wait_for_selector("#view .line")
    desk.wait_status("live")


def test_an_engine_that_goes_leaves_what_was_shown_and_takes_the_steps(
    person: Callable[..., DeskPage], settings: Settings, script: RulesScript
) -> None:
    with serving(settings, script):
        desk = person("maker", "?document=tw")
        desk.page.wait_for_selector("#view .line")
    assert "ENGINE DOWN" in desk.wait_status("down")
    expect(desk.page.locator("#view .line").first).to_be_visible()
    assert desk.value("getComputedStyle(document.querySelector('.actions button')).pointerEvents") == "none"
    with serving(settings, script):
        desk.wait_status("live")


def test_nothing_yet_and_not_there_are_different_things(person: Callable[..., DeskPage], api: RulesScript) -> None:
    page = person("maker", "?document=nowhere").page
    expect(page.locator("#view .nothing")).to_contain_text("There is no document “nowhere”")
    page.click("[data-document=tw]")
    page.wait_for_selector("#view .line")
    page.goto(page.url + "&version=99")
    expect(page.locator("#view .nothing")).to_contain_text("no version 99")
    api.versions.clear()
    # the page asks again every five seconds
    expect(page.locator("#view .nothing")).to_contain_text("There are no rules yet", timeout=20_000)


def test_an_answer_that_takes_its_time_is_waited_for(person: Callable[..., DeskPage], api: RulesScript) -> None:
    api.hold.clear()
    desk = person("maker", "?document=tw")
    expect(desk.page.locator("#view")).to_have_attribute("aria-busy", "true")
    desk.picture("rules-loading")
    api.hold.set()
    desk.page.wait_for_selector("#view .line")
    expect(desk.page.locator("#view")).to_have_attribute("aria-busy", "false")


def test_an_expired_token_is_renewed_without_a_word(person: Callable[..., DeskPage], api: RulesScript) -> None:
    desk = person("maker", "?document=tw")
    desk.page.wait_for_selector("#view .line")
    desk.value("imsPage.page.api.token = 'expired'")
    with desk.page.expect_response("**/token") as renewed:
        desk.page.click("[data-view=audit]")
    assert renewed.value.ok
    desk.page.wait_for_selector("#audit")


def test_signing_out_takes_every_window_to_the_login(browser: Browser, settings: Settings, api: RulesScript) -> None:
    with desk_page(browser) as desk:
        desk.open(f"http://127.0.0.1:{settings.port}/rules?document=tw")
        sign_in(desk.page, "maker")
        second = desk.page.context.new_page()
        second.goto(f"http://127.0.0.1:{settings.port}/rules?document=default")
        second.wait_for_function("window.imsPage?.attached && performance.now() > 5500")
        desk.page.click(".account button")
        desk.page.wait_for_selector("#password")
        second.wait_for_selector("#password")


def test_the_pages_lead_to_one_another(person: Callable[..., DeskPage], api: RulesScript) -> None:
    desk = person("maker", "?document=tw")
    desk.page.click(".pages a:has-text('Inventory')")
    desk.page.wait_for_selector("#grid")
    assert "maker" in desk.page.inner_text(".account")
    desk.page.click(".pages a:has-text('Rules')")
    desk.page.wait_for_selector("#view .line")
    assert desk.page.locator(".pages [aria-current=page]").inner_text() == "Rules"


def test_without_users_the_bar_says_that_the_service_is_open(
    browser: Browser, tmp_path: Path, chromium_path: str
) -> None:
    port = services.free_port()
    made = Settings(instance=f"open-{port}", port=port, data=str(tmp_path))
    script = RulesScript(made.secret)
    script.add("tw", TEXT, "local", "submitted")
    with page_server(made), serving(made, script), desk_page(browser) as desk:
        desk.open(f"http://127.0.0.1:{port}/rules?version=1")
        expect(desk.page.locator(".account.open")).to_contain_text("OPEN: no login local")
        expect(step(desk.page, "approve")).to_have_attribute("aria-disabled", "true")
        desk.picture("rules-open")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_word_can_be_read_in_both_themes(person: Callable[..., DeskPage], api: RulesScript, theme: str) -> None:
    api.add("tw", HALF, "maker", "draft")
    api.add("tw", HALF, "checker", "submitted")
    for name, query, sign in (
        ("maker", "view=text", "#view .line"),
        ("maker", "view=diff", ".diff"),
        ("maker", "view=audit", "#audit"),
        ("auditor", "view=edit", "#editor"),
    ):
        desk = person(name, f"?document=tw&version=3&theme={theme}&{query}")
        desk.page.wait_for_selector(sign)
        assert desk.value(CONTRASTS) == []
    desk = person("maker", f"?document=tw&version=3&theme={theme}&view=impact")
    desk.page.click("#heading [data-step=test]")
    desk.page.wait_for_selector("#totals")
    assert desk.value(CONTRASTS) == []


def test_the_page_is_worked_by_the_keyboard_alone(person: Callable[..., DeskPage], api: RulesScript) -> None:
    page = person("maker", "?document=default").page
    page.wait_for_selector("#view .line")
    page.focus("[data-document=default]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#heading h2:has-text('tw v2')")
    assert page.evaluate("document.activeElement.dataset.document") == "tw"
    page.focus("[data-step=edit]")
    page.keyboard.press("Enter")
    page.focus("#editor")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") != "editor"
    page.keyboard.press("Control+s")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


def test_the_page_asks_nobody_but_its_own_server_and_complains_of_nothing(
    person: Callable[..., DeskPage], api: RulesScript
) -> None:
    desk = person("maker", "?document=tw")
    desk.page.wait_for_function("window.imsPage?.attached")
    desk.page.wait_for_selector("#view .line")
    assert desk.hosts() == {"127.0.0.1"}
    assert desk.errors == []
    assert OUTPUT.is_dir()
