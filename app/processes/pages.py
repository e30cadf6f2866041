"""The page server process. It needs no engine to start: a page without one says so and waits."""

import signal

import structlog

from app.settings import Settings

log = structlog.get_logger()


def prepare(settings: Settings) -> None:
    """What a spare does ahead: Panel and all pages are imported."""
    from app.pages.server import import_pages  # noqa: PLC0415  Bokeh reads its settings when it is imported

    import_pages(settings)


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    from app.pages.server import make  # noqa: PLC0415  Bokeh reads its settings when it is imported

    server = make(settings)
    loop = server.io_loop

    def stop(_signal: int, _frame: object) -> None:
        loop.add_callback_from_signal(loop.stop)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.start()
    loop.add_callback(lambda: print("READY", flush=True))  # noqa: T201 - the supervisor waits for this line
    loop.start()
    server.stop(wait=False)
    log.info("pages stopped")
