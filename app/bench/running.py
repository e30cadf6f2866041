"""The whole service, and a browser that looks at it, for benches and tests that need both."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.bench import services

if TYPE_CHECKING:
    from playwright.sync_api import Browser

READY_S: Final = 120.0
STOP_S: Final = 20.0
_FLAGS: Final = (
    "--no-sandbox --disable-gpu --disable-quic --disable-background-networking "
    "--disable-component-update --disable-sync"
)


class NotStartedError(RuntimeError):
    """`ims run` ended or stayed silent; the message has what it printed."""


@dataclass
class Service:
    """One `ims run` of its own: instance, ports and data folder."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}/inventory"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def token(self) -> str:
        return (self.data / "api-token").read_text()

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self, patience_s: float = READY_S) -> None:
        """Returns when the service has said where its page is. Raises `NotStartedError`."""
        deadline = time.monotonic() + patience_s
        while "API token" not in self.printed():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotStartedError(f"ims run: {self.printed()}")
            time.sleep(0.01)


@contextlib.contextmanager
def service(*arguments: str, data: Path | None = None, port: int | None = None) -> Iterator[Service]:
    """`ims run` with `arguments`, not necessarily ready yet; stopped, or killed, at the end. `data` is kept if given."""
    with tempfile.TemporaryDirectory(prefix="ims-run-") as folder:
        at = port or services.free_port()
        log = Path(folder) / "log"
        place = data or Path(folder) / "data"
        own = ("--port", str(at), "--instance", f"run-{os.getpid()}-{at}", "--data", str(place))
        with log.open("wb") as out:
            process = subprocess.Popen(_ims("run", *own, *arguments), stdout=out, stderr=out, start_new_session=True)
        try:
            yield Service(process, at, place, log)
        finally:
            stop(process)


@contextlib.contextmanager
def background(command: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another `ims` command beside; its output is dropped, its end not awaited."""
    process = subprocess.Popen(
        _ims(command, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM; SIGKILL to the whole group if that is not enough."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def browser() -> Iterator["Browser"]:
    """Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  a development tool: not there in production

    with sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=services.chromium(), args=_FLAGS.split())
        try:
            yield opened
        finally:
            opened.close()


def _ims(*arguments: str) -> Sequence[str]:
    return (*services.dies_with_us(), sys.executable, "-m", "app.cli", *arguments)
