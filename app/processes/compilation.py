"""The first start of a version: what a simulated day needs is compiled before the day begins, not in the middle of it.

Kernels are kept (`app.compiled`), so only the first start of a version pays for it. This process, which worker 0 starts and
waits for, compiles for all: the engine, which answers all the while, and the worker load what they find.
"""

import time
from functools import partial
from typing import Final

import structlog

from app.analyst.attachment import Attachment
from app.analyst.impact import warm
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
    instance = f"{settings.instance}.compilation"
    # what the analyst is asked first, by somebody who would not wait for kernels
    asked = partial(warm, Attachment(instance, lambda: False))
    rehearse(settings, f"{instance}.tables", _SECURITIES, _EVENTS, asked)
    if (mark := marker()) is not None:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    log.info("kernels are compiled", seconds=round(time.monotonic() - began_s))
