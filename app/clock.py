"""The one place where the engine's process reads the wall clock; a test of faults may set it wrong."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

OFFSET: Final = "IMS_CLOCK_OFFSET"
"""Names a file with nanoseconds to add to the clock: only for tests of what a wrong clock does."""


def wall() -> Callable[[], int]:
    """Nanoseconds since 1970, UTC. It may go backwards, as any wall clock may."""
    path = os.environ.get(OFFSET)
    return time.time_ns if path is None else _Shifted(Path(path))


class _Shifted:
    """The clock with what a file says added."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> int:
        offset = 0
        with contextlib.suppress(FileNotFoundError, ValueError):
            offset = int(self._path.read_text())
        return time.time_ns() + offset
