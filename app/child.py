"""The entry of every process of the service: `python -m app.child NAME`, settings in `IMS_SETTINGS`, `READY` on stdout.

Its standard input is a pipe that the supervisor holds open: when that ends, however the supervisor died, so does the child.
One that is started with `SPARE` does ahead what can be done ahead (`prepare`), and begins when it is sent a byte.
"""

import gc
import importlib
import os
import select
import signal
import sys
import threading
from types import ModuleType
from typing import Final

import structlog

from app import compiled
from app.settings import Settings

SPARE: Final = "--spare"
_NICE: Final = {"archive": 5, "files": 10}
"""Whom nobody waits for: where cores are scarce the others come first, and at a start they are."""


def main(name: str, *, spare: bool = False) -> None:
    """Run `app.processes.NAME` until SIGTERM, or until the parent is gone."""
    if nice := _NICE.get(name):
        os.nice(nice)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    program, settings = importlib.import_module(f"app.processes.{name}"), Settings.from_json(os.environ["IMS_SETTINGS"])
    if "numba" in sys.modules:
        compiled.use_what_cannot_be_kept()
    if spare and not _called(program, settings):
        return
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    program.main(settings)


def _called(program: ModuleType, settings: Settings) -> bool:
    """Prepares, unless it is wanted already, and waits; False: the parent is gone."""
    if not select.select([0], [], [], 0)[0]:
        program.prepare(settings)
        gc.collect()
        gc.freeze()  # so that whoever searches the heap before it serves need not look at all this again
    return bool(os.read(0, 1))


def _follow_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1], spare=SPARE in sys.argv[2:])
