"""The gateway's routes, and its life from open port to orderly stop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from app.gateway import sockets
from app.gateway.export import ExportFile, ExportProgress
from app.gateway.exporters import Exporters
from app.gateway.overview import OverviewHandler, Overviews
from app.gateway.pump import Pump
from app.gateway.search import SearchHandler
from app.settings import Settings

GOING_AWAY: Final = 1001
_CLOSING_S: Final = 2.0


class Live(RequestHandler):
    """The process answers."""

    def get(self) -> None:
        self.finish({"state": "live"})


class Ready(RequestHandler):
    """Grids have a machine to look at: 200, or 503 with what is wrong."""

    def initialize(self, pump: Pump) -> None:
        self._pump = pump

    def get(self) -> None:
        state = self._pump.state
        self.set_status(200 if state == "live" else 503)
        self.finish({"state": state, "sessions": len(self._pump.sessions)})


def application(pump: Pump, secret: str, exporters: Exporters, currency: str) -> Application:
    """All routes. `currency`: what sums of money are in. A ping that is not answered in time closes its session."""
    files = {"pump": pump, "secret": secret, "exporters": exporters}
    return Application(
        [
            ("/ws/grid", sockets.GridSocket, {"pump": pump, "secret": secret}),
            ("/export/progress", ExportProgress, files),
            (r"/export/([a-z]+)\.(csv|xlsx|arrow)", ExportFile, files),
            ("/search", SearchHandler, {"pump": pump, "secret": secret}),
            (
                "/overview",
                OverviewHandler,
                {"pump": pump, "secret": secret, "overviews": Overviews(), "currency": currency},
            ),
            ("/health/live", Live),
            ("/health/ready", Ready, {"pump": pump}),
        ],
        websocket_ping_interval=sockets.PING_S,
        websocket_ping_timeout=sockets.PING_S,
        websocket_max_message_size=sockets.MAX_MESSAGE_BYTES,
        log_function=lambda _handler: None,
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves."""

    pump: Pump
    port: int
    beat: asyncio.Task[None]

    async def until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises what ended the pump, should that come first."""
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, self.beat], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self.beat.done():
            self.beat.result()


@asynccontextmanager
async def serving(settings: Settings, *, port: int | None = None) -> AsyncIterator[Gateway]:
    """The gateway on `port` (that of the settings by default; 0: any free one)."""
    pump, exporters = Pump(f"{settings.instance}.tables", settings.frame_ms), Exporters()
    bound = bind_sockets(settings.gateway_port if port is None else port, settings.host)
    server = HTTPServer(
        application(pump, settings.secret, exporters, settings.reporting_currency),
        max_body_size=sockets.MAX_MESSAGE_BYTES,
    )
    server.add_sockets(bound)
    beat = asyncio.create_task(pump.run())
    try:
        yield Gateway(pump, bound[0].getsockname()[1], beat)
    finally:
        server.stop()
        await _stop(beat)
        await _say_goodbye(pump)
        await server.close_all_connections()
        await exporters.close()
        await pump.close()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _say_goodbye(pump: Pump) -> None:
    """Tell every browser that it may come back, and give the slow ones a moment to hear it."""
    for session in list(pump.sessions):
        session.close(GOING_AWAY, "the gateway stops")
    deadline = time.monotonic() + _CLOSING_S
    while pump.sessions and time.monotonic() < deadline:  # noqa: ASYNC110  tornado tells the handlers, not us
        await asyncio.sleep(0.01)
