"""The files process: checks what is dropped, beside engine and workers, and writes what is good into the log of files."""

import gc
import signal
import threading
import time
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.api_client import ApiClient
from app.files_desk import FilesDesk
from app.settings import Settings
from engine.segment import SegmentMissingError
from engine.tables import Reader, Tables, Word

log = structlog.get_logger()
_LOOK_S: Final = 0.3
_AGAIN_S: Final = 5.0
"""Until another try, where the disk did not take what was to be written."""
_TIDY_S: Final = 3_600.0


class _Engine:
    """The tables of the living engine, once it has handed over what existed at its start."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._reader = Reader(f"{settings.instance}.tables")
        self._stopping = stopping

    def tables(self) -> Tables:
        """Raises `SegmentMissingError` while there is none, and `SystemExit` when the process is to stop."""
        if self._stopping.is_set():
            raise SystemExit(0)
        tables = self._reader.tables()
        if not tables.count(Word.READY):
            raise SegmentMissingError("the engine is still reading what was there before it began")
        return tables


def main(settings: Settings) -> None:
    """Run until SIGTERM. What it was doing then is taken up again at the next start."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    gc.freeze()
    gc.disable()  # a portion of rows makes a hundred thousand objects and no cycle
    tables = _Engine(settings, stopping).tables
    desk = FilesDesk(settings.folder, tables, ApiClient(settings, "files", tables))
    print("READY", flush=True)  # noqa: T201  the supervisor waits for this line
    try:
        _serve(desk, stopping)
    finally:
        desk.close()
        log.info("files stopped")


def _serve(desk: FilesDesk, stopping: threading.Event) -> None:
    resumed, tidied_s = False, time.monotonic()
    while not stopping.is_set():
        try:
            if not resumed:
                desk.resume()
                resumed = True
            busy = desk.turn()
            if time.monotonic() - tidied_s > _TIDY_S:
                tidied_s = time.monotonic()
                desk.tidy(time.time())
        except SegmentMissingError:
            resumed, busy = False, False  # what was begun is ended when there is an engine again
        except (OSError, SQLAlchemyError) as error:
            log.error("files cannot be handled", error=str(error))  # noqa: TRY400  a full disk, most likely
            resumed, busy = False, False
            stopping.wait(_AGAIN_S)
        if not busy:
            gc.collect()
            stopping.wait(_LOOK_S)
