"""The archive process: from the engine's ring to Parquet files, and every minute what differs of its numbers, until SIGTERM.

The engine never waits for it.
"""

import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from app.archive_place import folder_of, ring_prefix
from app.settings import Settings
from engine import segment

if TYPE_CHECKING:
    from app.archive_writer import RingDrain

log = structlog.get_logger()
LOOK_S: Final = 0.25
UPKEEP_S: Final = 20.0
_LONGEST_PAUSE_S: Final = 10.0
_GB: Final = 1 << 30


class Archive:
    """All rings there are, oldest first."""

    def __init__(self, settings: Settings) -> None:
        from app.archive_manifest import Manifest  # noqa: PLC0415  after READY: pyarrow takes a second
        from app.archive_upkeep import remove_uncounted  # noqa: PLC0415  the same

        self._settings = settings
        self.folder = folder_of(settings)
        self.manifest = Manifest(self.folder, write=True)
        self._drains: list[RingDrain] = []
        self._pause_s = 0.0
        if left := remove_uncounted(self.folder, self.manifest):
            log.warning("files of the archive that were not finished are removed", files=left)

    def step(self, *, at_once: bool = False) -> bool:
        """Look at every ring once; whether there is more to do at once. Says loudly what the disk does not take."""
        self._find()
        more = False
        for drain in list(self._drains):
            try:
                more |= drain.step(at_once=at_once)
            except (OSError, sqlite3.Error) as error:
                drain.failed(error)
                self._pause_s = min(2 * self._pause_s + LOOK_S, _LONGEST_PAUSE_S)
                log.error("the archive cannot be written", error=str(error), again_in_s=self._pause_s)  # noqa: TRY400  said again and again
                return False
            self._pause_s = 0.0
            if drain.over:
                self._drains.remove(drain)
                name = drain.name
                drain.close()
                segment.remove_if_dead(name)
            elif drain is not self._drains[-1]:
                return more  # first all of an engine that is gone, then the next one's
        return more

    @property
    def pause_s(self) -> float:
        """How long to rest after a failure."""
        return max(LOOK_S, self._pause_s)

    def close(self) -> None:
        """Write what is there, and go."""
        while self.step(at_once=True):
            pass
        for drain in self._drains:
            drain.close()
        self.manifest.close()

    def _find(self) -> None:
        from app.archive_writer import RingDrain  # noqa: PLC0415  see `__init__`

        known = {drain.name for drain in self._drains}
        for name in segment.names(ring_prefix(self._settings.instance)):
            if name in known or name.endswith(".new"):
                continue
            try:
                found = RingDrain(
                    name, self._settings.instance, self.folder, self.manifest, self._settings.archive_flush_s
                )
            except segment.SegmentMissingError:
                continue
            self._drains.append(found)
            self._drains.sort(key=lambda drain: drain.started_ns)


def upkeep(archive: Archive, settings: Settings, stopping: threading.Event) -> None:
    """Put small files together and remove old days, now and then, in a thread of its own; what fails of the one does not keep
    the other from being done: a disk that is never cleared fills up."""
    import pyarrow as pa  # noqa: PLC0415  see `Archive`

    from app.archive_upkeep import READING_NS, forget_old, merge_some, remove_uncounted  # noqa: PLC0415  the same

    def merge() -> None:
        while not stopping.is_set() and merge_some(archive.folder, archive.manifest, time.time_ns()):
            pass
        remove_uncounted(archive.folder, archive.manifest, time.time_ns() - READING_NS)

    def forget() -> None:
        most = int(settings.archive_gb * _GB)
        forget_old(archive.folder, archive.manifest, time.time_ns(), days=settings.archive_days, most_bytes=most)

    while not stopping.wait(UPKEEP_S):
        for do in (merge, forget):
            try:
                do()
            except (OSError, sqlite3.Error, pa.ArrowException) as error:
                log.error("upkeep of the archive failed", what=do.__name__, error=str(error))  # noqa: TRY400  said again and again


def main(settings: Settings) -> None:
    """Run until SIGTERM; then write what is there."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    print("READY", flush=True)  # noqa: T201  the supervisor waits for this line, and nobody for the archive
    import pyarrow as pa  # noqa: PLC0415  see `Archive`

    pa.set_cpu_count(1)
    archive = Archive(settings)
    from app.history_recorder import record  # noqa: PLC0415  see `Archive`

    beside = [
        threading.Thread(target=upkeep, args=(archive, settings, stopping), name="upkeep"),
        threading.Thread(target=record, args=(settings, stopping), name="history"),
    ]
    for thread in beside:
        thread.start()
    try:
        while not stopping.is_set():
            if not archive.step():
                stopping.wait(archive.pause_s)
    finally:
        stopping.set()
        for thread in beside:
            thread.join()
        archive.close()
        log.info("archive stopped")
