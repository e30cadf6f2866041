"""The Inventory page as a person uses it, for tests: what is on screen, what went over the wire, what went wrong."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.e2e.accessible import findings

OUTPUT = Path(os.environ.get("IMS_TEST_SCREENSHOTS", Path(__file__).parents[2] / ".cache" / "e2e"))
"""Where pictures are kept: IMS_TEST_SCREENSHOTS, or a folder of the checkout that is not committed."""
NONE = "\N{EN DASH}"
ROW = "[role=gridcell][data-column=name][data-id]"


class DeskPage:
    """An open page. `errors`: what the console and scripts complained of; `requests`: every address asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(180_000)
        expect.set_options(
            timeout=180_000
        )  # longer than any interval at which a page asks again, and than a crowded machine takes
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("websocket", lambda socket: self.requests.append(socket.url))

    def _said(self, message: ConsoleMessage) -> None:
        # every page listens for alerts; few of the scripted ones have a service behind them
        if message.type in ("error", "warning") and "/api/v1/stream" not in message.text:
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def open(self, address: str) -> "DeskPage":
        self.page.goto(address)
        return self

    def wait_rows(self) -> "DeskPage":
        """Until the grid shows the first window of the view it last asked for, and it has rows."""
        self.wait_view()
        self.page.wait_for_selector(ROW)
        return self

    def wait_view(self) -> None:
        self.page.wait_for_selector("#grid[data-view=shown]")

    def wait_status(self, name: str) -> str:
        """Until the chip says `name` (live, stale, ...); returns its text."""
        self.page.wait_for_selector(f"#status[data-status={name}]")
        return self.page.inner_text("#status")

    def wait_session(self) -> None:
        """Until Panel's session is tied to the desk."""
        self.page.wait_for_function("window.imsDesk && window.imsDesk.model")

    def column(self, name: str) -> list[str]:
        """The texts of a column from the top row down, as far as they are on screen."""
        script = """(name) => [...document.querySelectorAll(`#grid [role=gridcell][data-column="${name}"][data-id]`)]
          .map((cell) => [Number(cell.parentElement.getAttribute("aria-rowindex")), cell])
          .filter(([, cell]) => { const { top } = cell.getBoundingClientRect(); return top > 0 && top < innerHeight; })
          .sort((one, other) => one[0] - other[0]).map(([, cell]) => cell.textContent)"""
        return list(self.page.evaluate(script, name))

    def cell(self, security: int, column: str) -> Locator:
        return self.page.locator(f"#grid [data-id='{security}'][data-column={column}]")

    def first_id(self) -> int:
        """Security id of the top row."""
        row = self.page.locator(f"#grid [aria-rowindex='2'] {ROW.removeprefix('[role=gridcell]')}")
        return int(str(row.get_attribute("data-id")))

    def matches(self) -> int:
        """How many securities the page says that the view has."""
        return int(self.page.inner_text("#matches").split(" of ")[0].replace(",", ""))

    def complaints(self) -> list[str]:
        """What went wrong beside that servers are not there which a test leaves out: the gateway, the API."""
        return [error for error in self.errors if "WebSocket" not in error and "502" not in error]

    def picture(self, name: str) -> None:
        """Keep what is on screen, and let axe look at it: no state that has a picture may have a serious finding."""
        keep_picture(self.page, name)
        found = findings(self.page)
        assert not found, "\n".join(found)

    def value(self, script: str) -> Any:
        return self.page.evaluate(script)

    def hosts(self) -> set[str]:
        """Hosts of everything that was asked for over the network."""
        parts = (urlsplit(address) for address in self.requests)
        return {str(part.hostname) for part in parts if part.scheme not in ("data", "blob", "about")}


def keep_picture(page: Page, name: str) -> Path:
    """What is on screen now, in the folder of pictures as NAME.png. A name for each page and state: `overview-stale`."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / f"{name}.png"
    page.screenshot(path=path)
    return path


@contextlib.contextmanager
def desk_page(browser: Browser, **options: Any) -> Iterator[DeskPage]:
    """A page in a browser profile of its own."""
    context = browser.new_context(**({"viewport": {"width": 1920, "height": 1000}} | options))
    try:
        yield DeskPage(context.new_page())
    finally:
        context.close()


def number(text: str) -> float:
    """What a cell shows, as a number; NaN for no value."""
    bare = text.removeprefix("≥ ").replace(",", "").removesuffix("%")
    return float("nan") if bare == NONE else float(bare)
