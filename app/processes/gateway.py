"""The gateway process: serves grids until SIGTERM. If its heart fails it ends with an error, and is started anew."""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable

from app.gateway.server import serving
from app.settings import Settings
from engine.views import warm

SWITCH_S = 0.001
"""A thread that sorts or writes a file gives the event loop its turn this soon."""


def main(settings: Settings) -> None:
    """Serve on `settings.gateway_port`; prints READY once the port is open."""
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as gateway:
        gc.collect()
        gc.freeze()
        print("READY", flush=True)  # noqa: T201  the word the supervisor waits for
        # the first start of a version compiles, which nobody who stops the process should wait for
        threading.Thread(target=warm, name="warm", daemon=True).start()
        await gateway.until(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415  not made for every platform

    return uvloop.new_event_loop
