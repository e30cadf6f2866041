"""The process of breaks: looks beside the writer until SIGTERM. It needs no engine to start, and nobody waits for it."""

import asyncio
import os
import signal
from typing import Final

from app.breaks.server import serving
from app.settings import Settings

NICE: Final = 5
"""Where cores are scarce the writer comes first."""


def main(settings: Settings) -> None:
    """Serve on `settings.breaks_port`; prints READY once the port is open."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as looking:
        print("READY", flush=True)  # noqa: T201  the word the supervisor waits for
        os.nice(NICE)
        task = asyncio.create_task(looking.run())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
        for one in (task, asked):
            one.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
        if isinstance(done[0], Exception):  # the supervisor starts it again, and says so
            raise done[0]
