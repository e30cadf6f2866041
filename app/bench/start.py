"""`ims bench start`: from `ims run` to the first row in a browser, and from opening the page to the first row."""

import argparse
import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from app.bench import running
from app.bench.measure import PeakMemory, medians

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROW: Final = "[role=gridcell][data-id]"
_PATIENCE_MS: Final = 180_000


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the simulated universe (12000)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`first_data_ms` from the command, `page_first_data_ms` from navigation, once everything runs."""
    with TemporaryDirectory(prefix="ims-start-") as folder, running.browser() as browser, PeakMemory() as peak:
        data = Path(folder)
        _once(browser, data, args.securities)  # fills caches: calendars, compiled kernels, the page cache
        figures = medians(lambda: _once(browser, data, args.securities), args.runs)
    return {"bench": "start", **figures, "securities": args.securities, "rss_mb": peak.mb}


def _once(browser: "Browser", data: Path, securities: int) -> dict[str, float]:
    began = time.perf_counter()
    with running.service("--securities", str(securities), data=data) as service:
        _wait_for_page(service)
        first_ms = _first_row_ms(browser, service.page, began)
        service.wait_ready()
        return {"first_data_ms": first_ms, "page_first_data_ms": _first_row_ms(browser, service.page)}


def _first_row_ms(browser: "Browser", address: str, began: float | None = None) -> float:
    """Milliseconds from `began` (now, if not given) until a row of the grid is there."""
    page = browser.new_page(viewport={"width": 1720, "height": 980})
    try:
        since = time.perf_counter() if began is None else began
        page.goto(address, wait_until="commit")
        page.wait_for_selector(ROW, timeout=_PATIENCE_MS)
        return (time.perf_counter() - since) * 1e3
    finally:
        page.close()


def _wait_for_page(service: running.Service) -> None:
    """Until the page server answers: what a person does with the reload key."""
    address = service.page.replace("/inventory", "/assets/logo.svg")
    deadline = time.monotonic() + running.READY_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310  our own service
                return
        except (urllib.error.URLError, ConnectionError):
            if service.process.poll() is not None or time.monotonic() > deadline:
                raise running.NotStartedError(service.printed()) from None
            time.sleep(0.01)
