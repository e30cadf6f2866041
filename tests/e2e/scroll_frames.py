"""How smoothly a view of two million rows scrolls: `python -m tests.e2e.scroll_frames [ROWS] [CHANGES per frame]`.

A page server and a scripted gateway are started, Chromium scrolls by wheel steps of one picture each, and the times from
picture to picture are told, beside what the page's main thread was busy with in them.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from app.bench import running, services
from app.settings import Settings
from tests.e2e.desk_page import desk_page
from tests.e2e.page_server import page_server
from tests.e2e.scripted_gateway import Script, ScriptedGateway

SCROLL = """async ([seconds, pixels]) => {
  const scroller = document.querySelector("#grid .scroll");
  const frames = [], busy = [];
  const end = performance.now() + seconds * 1000;
  let last = await new Promise(requestAnimationFrame);
  while (performance.now() < end) {
    const begun = performance.now();
    scroller.scrollTop += pixels;
    scroller.dispatchEvent(new Event("scroll"));
    document.body.offsetHeight;
    busy.push(performance.now() - begun);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return { frames, busy };
}"""


@contextlib.contextmanager
def page(rows: int, changes: int) -> Iterator[Any]:
    """A page of the inventory over made-up rows."""
    with tempfile.TemporaryDirectory() as folder:
        port = services.free_port()
        settings = Settings(instance=f"scroll-{port}", port=port, data=folder)
        serving = ScriptedGateway(Script(securities=rows, hz=10, changes=changes), settings.gateway_port)
        serving.start()
        with page_server(settings), running.browser() as browser, desk_page(browser) as desk:
            desk.page.set_default_timeout(120_000)
            yield desk.open(f"http://127.0.0.1:{port}/inventory").wait_rows().page
        serving.stop()


def told(times: list[float]) -> str:
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms"


def main() -> None:
    """Three speeds: reading, leafing, flying."""
    rows, changes = (int(text) for text in (*sys.argv[1:], "2000000", "20")[:2])
    with page(rows, changes) as opened:
        for pixels in (8, 44, 440):
            measured = opened.evaluate(SCROLL, [8, pixels])
            line = f"{pixels} pixels a picture: {told(measured['frames'])}; main thread {told(measured['busy'])}"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
