"""`ims bench soak`: somebody's day at the desk without its pauses, and whether server and browser remember too much of it.

A round is what a trader does in a minute: sort, search, scroll, open a security and look at it, close it; every tenth round he
looks at every other page and comes back. A day of eight hours is 480 rounds. Memory is read after each tenth of them (the
browser's after a collection of its garbage); `..._first_mb` is the median of the second to fourth reading, `..._last_mb` that
of the last three: caches fill in the beginning.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import psutil

from app import process_table
from app.bench import running
from app.bench.measure import PeakMemory
from app.bench.pages import FIRST_DATA
from app.pages.frame import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

_READINGS: Final = 10
_OTHERS_EVERY: Final = 10
_PATIENCE_MS: Final = 180_000
_MB: Final = 1024 * 1024
_SERVERS: Final = ("pages", "gateway", "engine")
_COLUMNS: Final = ("name", "price", "market", "fee")
_WORDS: Final = ("a", "an", "in", "or", "st")


def add(parser: argparse.ArgumentParser) -> None:
    """How long a day, and under what."""
    parser.add_argument("--rounds", type=int, default=480, help="minutes of the day (480)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the simulated universe (12,000)")
    parser.add_argument("--rate", type=int, default=20_000, help="events per second of the simulator (20,000)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`browser_heap`, `browser_nodes` and the memory of each server process, at first and at last."""
    options = ("--securities", str(args.securities), "--rate", str(args.rate))
    with PeakMemory() as peak, running.service(*options) as service, running.browser() as browser:
        service.wait_ready()
        told = {each.name: each.pid for each in process_table.read(service.data)}
        servers = {name: psutil.Process(told[name]) for name in _SERVERS}
        readings = _day(browser, service.page, args.rounds, servers)
    figures: dict[str, object] = {}
    for name in readings[0]:
        values = [reading[name] for reading in readings]
        stem, _, unit = name.rpartition("_")
        figures[f"{stem}_first_{unit}"] = statistics.median(values[1:4])
        figures[f"{stem}_last_{unit}"] = statistics.median(values[-3:])
    return {"bench": "soak", **figures, "rounds": args.rounds, "rss_mb": peak.mb}


def _day(
    browser: "Browser", address: str, rounds: int, servers: Mapping[str, psutil.Process]
) -> list[dict[str, float]]:
    page = browser.new_page(viewport={"width": 1720, "height": 980})
    watched = page.context.new_cdp_session(page)
    watched.send("Performance.enable")
    page.goto(address)
    _shown(page)
    readings, every = [], max(1, rounds // _READINGS)
    for number in range(rounds):
        _round(page, number)
        if number % _OTHERS_EVERY == 0:
            _others(page, address)
        if number % every == every - 1:
            readings.append(_reading(watched, servers))
    page.close()
    return readings


def _round(page: "Page", number: int) -> None:
    page.click(f"[data-head={_COLUMNS[number % len(_COLUMNS)]}]")
    _shown(page)
    page.fill("#search", _WORDS[number % len(_WORDS)])
    page.wait_for_function("() => location.search.includes('q=')")
    _shown(page)
    page.mouse.move(800, 500)
    for _ in range(5):
        page.mouse.wheel(0, 2_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    page.evaluate("() => { document.querySelector('#grid .scroll').scrollTop = 0; }")
    _shown(page)
    page.wait_for_function("() => window.imsDesk?.model")
    page.locator("#grid [role=gridcell][data-column=name][data-id]").nth(number % 5).click()
    page.wait_for_selector("#detail canvas", timeout=_PATIENCE_MS)
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.documentElement.dataset.detail === 'closed'")
    page.fill("#search", "")
    page.wait_for_function("() => !location.search.includes('q=')")
    _shown(page)


def _others(page: "Page", address: str) -> None:
    base = address.removesuffix("/inventory")
    for path, _title in PAGES:
        page.goto(base + path, wait_until="commit")
        _shown(page)
    page.goto(address, wait_until="commit")
    _shown(page)


def _shown(page: "Page") -> None:
    page.wait_for_selector(FIRST_DATA, timeout=_PATIENCE_MS)


def _reading(watched: "CDPSession", servers: Mapping[str, psutil.Process]) -> dict[str, float]:
    watched.send("HeapProfiler.collectGarbage")
    told: list[dict[str, Any]] = watched.send("Performance.getMetrics")["metrics"]
    metric: Callable[[str], float] = {each["name"]: float(each["value"]) for each in told}.__getitem__
    heap = {"browser_heap_mb": metric("JSHeapUsedSize") / _MB, "browser_nodes_count": metric("Nodes")}
    return heap | {f"{name}_mb": process.memory_full_info().uss / _MB for name, process in servers.items()}
