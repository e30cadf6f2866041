"""What axe-core finds wrong with a page as it is on screen now: names, roles, labels, focus, contrast (WCAG 2.2 AA)."""

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

GRAVE = ("serious", "critical")
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async ([rules, part]) => (await axe.run(part ?? document, {
  runOnly: { type: "tag", values: rules }, resultTypes: ["violations"], preload: false,
})).violations"""


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def findings(page: Page, part: str | None = None) -> list[str]:
    """One line for each element with a serious or critical finding. `part`: a selector, where not the whole page is meant."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate(_RUN, [_RULES, part])
    return [
        f"{each['id']} ({each['impact']}): {node['target'][0]} {node['html'][:120]} {_why(node)}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def _why(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(check["message"] for check in checks)
