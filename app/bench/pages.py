"""`ims bench pages`: each page from opening it to its first data, and how soon a browser is back when its page process dies.

A real browser on the whole service. For the second, the page process is killed (-9) while the Inventory page shows a sorted,
filtered view scrolled down: `back_ms` is from the kill to the same view, scrolled as it was, with data.
"""

import argparse
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import psutil

from app import process_table
from app.bench import running
from app.bench.measure import PeakMemory, medians
from app.child import SPARE
from app.pages.frame import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FIRST_DATA: Final = '#grid[data-view="shown"] [role=gridcell][data-id], main > [data-state="ready"]'
"""A grid has rows; a page of text and tables has had its first answer."""
_PATIENCE_MS: Final = 180_000
_PATIENCE_S: Final = 180.0
_VIEW: Final = "/inventory?sort=name%3Adesc&t=GC"
_DOWN_PX: Final = 4_400
_SCROLLED: Final = "document.querySelector('#grid .scroll').scrollTop"
_BACK: Final = f"() => !window.before && document.querySelector('{FIRST_DATA.split(',')[0]}') && {_SCROLLED} > 0"


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the simulated universe (12,000)")
    parser.add_argument("--rate", type=int, default=20_000, help="events per second of the simulator (20,000)")
    every = [path[1:] for path, _title in PAGES]
    parser.add_argument("--pages", nargs="+", choices=every, default=every, metavar="PAGE", help="which (all)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`{page}_first_data_ms` of every page, and `back_ms`."""
    options = ("--securities", str(args.securities), "--rate", str(args.rate))
    with PeakMemory() as peak, running.service(*options) as service, running.browser() as browser:
        service.wait_ready()
        base = service.page.removesuffix("/inventory")
        addresses = {f"{page}_first_data_ms": f"{base}/{page}" for page in args.pages}
        for address in addresses.values():
            _first_data_ms(browser, address)  # what a server does once only
        figures = medians(
            lambda: {name: _first_data_ms(browser, address) for name, address in addresses.items()}, args.runs
        )
        figures |= medians(lambda: {"back_ms": _back_ms(browser, service, base)}, args.runs)
    return {"bench": "pages", **figures, "securities": args.securities, "rss_mb": peak.mb}


def _first_data_ms(browser: "Browser", address: str) -> float:
    page = _new_page(browser)
    try:
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_selector(FIRST_DATA, timeout=_PATIENCE_MS)
        return (time.perf_counter() - began) * 1e3
    finally:
        page.close()


def _back_ms(browser: "Browser", service: running.Service, base: str) -> float:
    """Raises `RuntimeError` if the view is another than before."""
    page = _new_page(browser)
    try:
        page.goto(base + _VIEW, wait_until="commit")
        page.wait_for_selector(FIRST_DATA, timeout=_PATIENCE_MS)
        page.wait_for_function("() => window.imsDesk?.model")
        page.evaluate(f"() => {{ window.before = true; {_SCROLLED} = {_DOWN_PX}; }}")
        page.wait_for_function(f"() => {_SCROLLED} === {_DOWN_PX}")
        before = _where(page)
        _wait_for_spare(service)
        os.kill(_pid(service), signal.SIGKILL)
        began = time.perf_counter()
        page.wait_for_function(_BACK, timeout=_PATIENCE_MS)
        spent_ms = (time.perf_counter() - began) * 1e3
        if (after := _where(page)) != before:
            raise RuntimeError(f"another view than before: {after} instead of {before}")
        return spent_ms
    finally:
        page.close()


def _where(page: "Page") -> Any:
    return page.evaluate(f"() => [location.pathname + location.search, {_SCROLLED}]")


def _pid(service: running.Service) -> int:
    return next(each.pid for each in process_table.read(service.data) if each.name == "pages")


def _wait_for_spare(service: running.Service) -> None:
    """Until a spare of the page process has done what it does ahead. Raises `RuntimeError` where none comes."""
    deadline, spent_s = time.monotonic() + _PATIENCE_S, dict[int, float]()
    while time.monotonic() < deadline:
        time.sleep(1.0)
        serving = _pid(service)  # which was a spare itself, once
        for child in psutil.Process(service.process.pid).children(recursive=True):
            if child.pid != serving and child.cmdline()[-2:] == ["pages", SPARE]:
                now_s = sum(child.cpu_times()[:2])
                if now_s == spent_s.get(child.pid):
                    return  # it has come to rest
                spent_s[child.pid] = now_s
    raise RuntimeError("no spare of the page process")


def _new_page(browser: "Browser") -> "Page":
    return browser.new_page(viewport={"width": 1720, "height": 980})
