"""A page server without a service behind it, who may look at its pages, and what their words must be."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Page

from app.identity import Role
from app.settings import Settings

PASSWORD = "a long password"
PEOPLE = {
    "maker": [Role.TRADER],
    "checker": [Role.ADMIN, Role.OPS],
    "auditor": [Role.COMPLIANCE],
    "olga": [Role.OPS],
    "tom": [Role.TRADER],
    "carla": [Role.TRADER],
}
KEPT = {"carla": frozenset({"FUND9"})}
"""Who of them sees some clients only."""
CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (element.closest("script, style, textarea, .spoken")) continue;
    const [one, other] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const text = node.textContent.trim().slice(0, 30);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${text}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
"""Texts whose contrast is below what WCAG AA asks for."""


@contextlib.contextmanager
def page_server(settings: Settings) -> Iterator[None]:
    """The page server alone, as the service starts it."""
    command = [sys.executable, "-m", "app.child", "pages"]
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        yield
        process.terminate()


def sign_in(page: Page, name: str) -> None:
    """Fill in the form that is on screen."""
    page.fill("#user", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda address: "/login" not in address)
