"""The analyst process: heavy reads, and the watch over alerts, until SIGTERM.

It needs no engine to start, and nobody waits for it but its askers.
"""

import asyncio
import os
import signal
from typing import Final

import structlog

from app.analyst.server import serving, warm_up
from app.settings import Settings

log = structlog.get_logger()
NICE: Final = 5
"""Where cores are scarce the writer comes first."""


def main(settings: Settings) -> None:
    """Serve on `settings.analyst_port`; prints READY once the port is open."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as analyst:
        print("READY", flush=True)  # noqa: T201  the word the supervisor waits for
        os.nice(NICE)
        warming = asyncio.create_task(warm_up(analyst.context))
        warming.add_done_callback(_warmed)
        watching = asyncio.create_task(analyst.watch.run())
        await stop.wait()
        for task in (warming, watching):
            task.cancel()
        await asyncio.gather(warming, watching, return_exceptions=True)


def _warmed(warming: asyncio.Task[None]) -> None:
    if not warming.cancelled() and (error := warming.exception()) is not None:
        log.error("could not warm up; the first request will tell", error=repr(error))
