"""Commands of the README, run as a reader would.

A fenced block says after its language how it is run:
- ```sh test: by `bash -euo pipefail` in the checkout, against the service that runs at that moment;
- ```sh service: in the background as the service that the blocks below it talk to (`ims run --kafka localhost:9092`);
- ```sh: not at all, and then each of its lines must be one of `ELSEWHERE`, which say where they are proved.

Before the first service block a service with its defaults runs. The ports of the README (5006 to 5008, 9092) and its
data folder `.ims` are replaced by ones of the test, which has its own instance too.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from app.bench.services import Server, free_port

CHECKOUT: Final = Path(__file__).resolve().parents[2]
README: Final = CHECKOUT / "README.md"
DEFAULT_SERVICE: Final = "ims run"
ELSEWHERE: Final = {
    "make run": "the service blocks run what it runs once the environment is there",
    "make test": "it runs this test",
    "make check": "make test runs it",
    "make kafka": "tests/services/test_external.py",
    "make lock": "it asks a package index",
    "make bench": "tests/bench",
}
LONGEST_S: Final = 300
_BLOCK: Final = re.compile(r"^```(?:sh|bash|shell|console)\b[ \t]*([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of shell. `way` is "test", "service", or "" for one that is not run; `line` is its first."""

    line: int
    way: str
    text: str


def blocks(markdown: str) -> list[Block]:
    """The shell blocks of a page, in order."""
    return [Block(markdown.count("\n", 0, m.start()) + 2, m[1].strip(), m[2]) for m in _BLOCK.finditer(markdown)]


def unproved(found: list[Block]) -> list[str]:
    """`line: command` of what nothing runs: an unknown way, or a plain block's command that is not in `ELSEWHERE`."""
    missing = []
    for block in found:
        if block.way in ("test", "service"):
            continue
        for number, line in enumerate(block.text.splitlines(), block.line):
            command = line.partition("#")[0].strip()
            if block.way or (command and command not in ELSEWHERE):
                missing.append(f"{number}: {line}")
    return missing


class Reader:
    """Someone who follows the page from top to bottom; leaving the `with` block stops what still runs."""

    def __init__(self, folder: Path, broker: Callable[[], str]) -> None:
        """`folder` takes data and logs; `broker` is asked for a Kafka address when a block names port 9092."""
        self._broker = broker
        self._service: tuple[str, Server] | None = None
        self._folder = folder
        self.port = free_port()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def follow(self, block: Block) -> str:
        """Run a block and return what it printed; AssertionError with all of it when a command fails."""
        if block.way == "service":
            self._serve(block.text)
            return ""
        if self._service is None:
            self._serve(DEFAULT_SERVICE)
        command = ["bash", "-euo", "pipefail", "-c", self.translate(block.text)]
        with subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as shell:
            try:
                printed, _ = shell.communicate(timeout=LONGEST_S)
            finally:
                with contextlib.suppress(ProcessLookupError):  # what the shell began would keep its output open
                    os.killpg(shell.pid, signal.SIGKILL)
        assert shell.returncode == 0, f"README.md line {block.line} ended with {shell.returncode}:\n{printed}"
        return printed

    def translate(self, text: str) -> str:
        """The text with the page's ports and data folder replaced by the reader's own."""
        if ":9092" in text:
            text = re.sub(r"(?:localhost|127\.0\.0\.1):9092", self._broker(), text)
        text = re.sub(r"\b500([678])\b", lambda match: str(self.port + int(match[1]) - 6), text)
        return re.sub(r"(?<![\w./])\.ims\b", str(self._folder / "data"), text)

    @property
    def environment(self) -> dict[str, str]:
        """Settings by environment, as a reader with several services on one machine would have them."""
        own = {
            "IMS_PORT": str(self.port),
            "IMS_INSTANCE": f"readme-{os.getpid()}",
            "IMS_DATA": str(self._folder / "data"),
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **own, "PATH": path}

    def _serve(self, text: str) -> None:
        self._stop()
        command = ["bash", "-euo", "pipefail", "-c", self.translate(text)]
        decides = "--kafka" not in text  # without a feed's reference data it serves, but can decide nothing

        def ready(log: Path) -> bool:
            return b"http://" in log.read_bytes() and _answers(self.port, "ready" if decides else "live")

        server = Server(command, self._folder, ready, cwd=CHECKOUT, env=self.environment)
        self._service = (text, server.start())

    def _stop(self) -> None:
        if self._service is not None:
            self._service[1].stop()
            self._service = None


def _answers(port: int, health: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{health}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
