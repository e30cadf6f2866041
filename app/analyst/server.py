"""The analyst's routes, and its life from open port to orderly stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from app.analyst.alerts import AlertsWatch, AlertTestHandler
from app.analyst.asof import AsOfHandler
from app.analyst.attachment import Attachment, NoEngineError
from app.analyst.dry_run import DryRunHandler
from app.analyst.handlers import Context, Live, Ready
from app.analyst.history import HANDLERS
from app.analyst.impact import ImpactHandler, warm
from app.analyst.jobs import GoneError, Jobs
from app.settings import Settings
from engine.segment import SegmentMissingError

log = structlog.get_logger()
HOST: Final = "127.0.0.1"
"""Whatever the pages listen on: only processes of this machine ask the analyst."""
MAX_BODY_BYTES: Final = 16 << 20
MOST_READS: Final = 64
"""Questions about the history that may wait: people have pages open that ask now and then."""
_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Analyst:
    """An analyst that serves."""

    context: Context
    watch: AlertsWatch
    port: int


def application(context: Context, watch: AlertsWatch) -> Application:
    """All routes."""
    return Application(
        [
            ("/impact", ImpactHandler, {"context": context}),
            ("/asof", AsOfHandler, {"context": context}),
            ("/dry-run", DryRunHandler, {"context": context}),
            *((path, handler, {"context": context}) for path, handler in HANDLERS),
            ("/alerts/test", AlertTestHandler, {"context": context, "watch": watch}),
            ("/health/live", Live),
            ("/health/ready", Ready, {"context": context}),
        ],
        log_function=lambda _handler: None,
    )


@asynccontextmanager
async def serving(settings: Settings, *, port: int | None = None) -> AsyncIterator[Analyst]:
    """The analyst on `port` (that of the settings by default; 0: any free one)."""
    jobs, reads = Jobs(), Jobs(MOST_READS)
    context = Context(settings, jobs, reads, Attachment(settings.instance, lambda: jobs.stopping))
    bound = bind_sockets(settings.analyst_port if port is None else port, HOST)
    watch = AlertsWatch(settings)
    server = HTTPServer(application(context, watch), max_body_size=MAX_BODY_BYTES)
    server.add_sockets(bound)
    try:
        yield Analyst(context, watch, bound[0].getsockname()[1])
    finally:
        server.stop()
        jobs.stop()
        reads.stop()
        watch.stop()
        await server.close_all_connections()


async def warm_up(context: Context) -> None:
    """The first asker should not wait for programs to load: run once over what there is, when an engine is there."""
    while True:
        with suppress(NoEngineError, GoneError, SegmentMissingError):  # the last: it is there, and has no rules yet
            await context.jobs.run(lambda: warm(context.engine))
            return
        await asyncio.sleep(_LOOK_S)
