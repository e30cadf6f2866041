"""The entry of every process of the service: `python -m app.child NAME`, settings in `IMS_SETTINGS`, `READY` on stdout.

Its standard input is a pipe that the supervisor holds open: when that ends, however the supervisor died, so does the child.
"""

import importlib
import os
import signal
import sys
import threading

import structlog

from app.settings import Settings


def main(name: str) -> None:
    """Run `app.processes.NAME` until SIGTERM, or until the parent is gone."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    importlib.import_module(f"app.processes.{name}").main(Settings.from_json(os.environ["IMS_SETTINGS"]))


def _follow_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
