"""The first start of a version: what a simulated day needs is compiled before the day begins, not in the middle of it.

Kernels are kept (`app.compiled`), so only the first start of a version pays for it. This process, which worker 0 starts and
waits for, compiles for all: the engine, which answers all the while, and the worker load what they find.
"""

import time
from typing import Final

import structlog

from app.compiled import marker
from app.rehearsal import rehearse
from app.settings import Settings

log = structlog.get_logger()
_SECURITIES: Final = 100
_EVENTS: Final = 20_000
"""Enough for everything that happens in a day to have happened."""


def main(settings: Settings) -> None:
    """Play a small day through a machine of its own; takes a minute."""
    log.info("the first start of this version: kernels are compiled, which takes a minute, once")
    began_s = time.monotonic()
    rehearse(settings, f"{settings.instance}.compilation", _SECURITIES, _EVENTS)
    if (mark := marker()) is not None:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    log.info("kernels are compiled", seconds=round(time.monotonic() - began_s))
