"""A real engine process with a feed of its own, which a test may kill and start again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from app.settings import Settings
from engine.model import Capacity

CAPACITY = Capacity(securities=200, books=300, depots=8, sources=4, rows=100_000)


class EngineProcess:
    """The engine of `settings`; its feed gives every security L1.. the same number of shares."""

    def __init__(self, settings: Settings, *, rate: int, securities: int, shares: int, borrowed: int = 0) -> None:
        self.settings = settings
        self._log = (settings.folder / "engine.log").open("ab")
        self._engine = self._start_engine()
        feed = (sys.executable, "-m", "app.bench.locate_feed", settings.instance)
        self._feed = subprocess.Popen(
            [*feed, *map(str, (rate, securities, shares, borrowed))], stdin=subprocess.PIPE, stderr=self._log
        )

    def _start_engine(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"IMS_SETTINGS": self.settings.to_json()}
        return subprocess.Popen(
            [sys.executable, "-m", "app.child", "engine"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def wait_ready(self) -> None:
        """Returns once it serves. Raises `AssertionError` with its log if it ends instead."""
        assert self._engine.stdout is not None
        line = self._engine.stdout.readline()
        assert line.strip() == b"READY", Path(self._log.name).read_text()

    def kill(self) -> None:
        """As the kernel would: no orderly end of anything."""
        self._engine.kill()
        self._engine.wait()

    def start(self) -> None:
        self._engine = self._start_engine()

    def terminate(self) -> int:
        """An orderly stop; returns the exit code."""
        self._engine.terminate()
        return self._engine.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in (self._feed, self._engine):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._log.close()
