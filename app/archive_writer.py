"""From rings to files: what has been read is written by hour and kind, counted in the manifest, and only then given back."""

import datetime as dt
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from app.archive_manifest import ArchiveFile, Manifest
from engine.ring import Cursor, Entry, Message, Ring
from engine.segment import SegmentMissingError
from engine.tables import Tables
from feeds import archive_files
from feeds.archive_columns import Codes, portions
from feeds.archive_recorder import ArchiveWord, Begin, Gap, words_of

log = structlog.get_logger()
FLUSH_BYTES: Final = 48 << 20
"""What is written at a time at the most: some 700,000 events."""
HOUR_NS: Final = 3_600_000_000_000
_EMPTY: Final = frozenset({Message.BEGIN, Message.GAP})
"""What goes into the manifest instead of a file."""


class RingDrain:
    """One engine's ring until it is empty and its engine is gone."""

    def __init__(self, name: str, instance: str, folder: Path, manifest: Manifest, flush_s: float = 5.0) -> None:
        """Raises `SegmentMissingError` where the ring is gone."""
        self.name = name
        self._ring = Ring.attach(name)
        self._cursor = Cursor(self._ring)
        self._words = words_of(self._ring)
        self._folder, self._manifest, self._flush_s = folder, manifest, flush_s
        self._tables = _tables_of(instance, str(self._ring.segment.meta["generation"]))
        self._codes = Codes(self._tables)
        self._generation, self._written = self._known()
        self._pending: list[Entry] = []
        self._since_s = 0.0

    @property
    def started_ns(self) -> int:
        return int(self._ring.segment.meta["started_ns"])

    @property
    def over(self) -> bool:
        """Whether nothing is left, and nothing more will come."""
        alive = self._ring.segment.owner_alive and not self._ring.segment.stale
        return not alive and self._ring.drained

    def step(self, *, at_once: bool = False) -> bool:
        """Read on, and write if it is time; whether there may be more to do at once. Raises OSError, `sqlite3.Error`."""
        more = self._collect()
        due = at_once or more or time.monotonic() - self._since_s > self._flush_s
        if self._pending and due:
            self._write(self._pending)
            self._cursor.release()
            self._pending = []
        self._words[ArchiveWord.FLUSHED_NS] = time.time_ns()
        self._words[ArchiveWord.FAILURES] = self._words[ArchiveWord.ERRNO] = 0
        return more

    def failed(self, error: Exception) -> None:
        """Let others see that it was in vain."""
        self._words[ArchiveWord.FAILURES] += 1
        self._words[ArchiveWord.ERRNO] = getattr(error, "errno", None) or 0

    def close(self) -> None:
        """Leave the memory; what was read and not written stays in the ring."""
        self._pending = []
        self._codes = None  # type: ignore[assignment]  # views must go before their memory
        self._words = self._cursor = None  # type: ignore[assignment]
        if self._tables is not None:
            self._tables.close()
        self._ring.close()

    def _collect(self) -> bool:
        """Read ahead; True where a whole portion is there."""
        while self._cursor.ahead_bytes < FLUSH_BYTES:
            entry = self._cursor.read()
            if entry is None:
                return False
            if self._generation and entry.place <= self._written:
                continue  # a process before this one wrote it, and was killed before it gave it back
            if not self._pending:
                self._since_s = time.monotonic()
            self._pending.append(entry)
        return True

    def _write(self, entries: Sequence[Entry]) -> None:
        gaps = [msgspec.json.decode(e.payload.tobytes(), type=Gap) for e in entries if e.kind == Message.GAP]
        for entry in entries:
            if entry.kind == Message.BEGIN:
                begin = msgspec.json.decode(entry.payload.tobytes(), type=Begin)
                self._generation = self._manifest.generation(begin)
        files: list[ArchiveFile] = []
        for of_hour in _by_hour([entry for entry in entries if entry.kind not in _EMPTY]):
            files += write_files(self._folder, self._generation, of_hour, self._codes)
        newest = entries[-1]
        assert self._generation, "a ring begins with how its machine began"
        self._manifest.commit(self._generation, files, newest.place, newest.at_ns, gaps)
        self._words[ArchiveWord.WRITTEN : ArchiveWord.WRITTEN_NS + 1] = newest.place, newest.at_ns

    def _known(self) -> tuple[int, int]:
        """The number of the ring's generation and what is written of it; (0, 0) where its beginning is still to be read."""
        wanted = str(self._ring.segment.meta["generation"])
        found = (each for each in self._manifest.generations() if each.id == wanted)
        return next(((each.number, each.written) for each in found), (0, 0))


def write_files(folder: Path, generation: int, entries: Sequence[Entry], codes: Codes) -> list[ArchiveFile]:
    """Messages of one hour as files, one per kind; they count once they are in the manifest. Raises OSError."""
    first, last = entries[0], entries[-1]
    files = []
    for name, tables in portions(entries, codes):
        path = path_of(name, generation, first.place, last.place, first.at_ns)
        size = archive_files.write(folder / path, tables)
        rows = sum(table.num_rows for table in tables)
        files.append(ArchiveFile(path, name, generation, first.place, last.place, first.at_ns, last.at_ns, rows, size))
    return files


def path_of(name: str, generation: int, first: int, last: int, at_ns: int) -> str:
    """Where a file is, within the archive."""
    at = dt.datetime.fromtimestamp(at_ns / 1e9, dt.UTC)
    return f"date={at:%Y-%m-%d}/hour={at:%H}/kind={name}/{generation:06d}-{first:012d}-{last:012d}.parquet"


def _by_hour(entries: Sequence[Entry]) -> list[list[Entry]]:
    hours: list[list[Entry]] = []
    for entry in entries:
        if not hours or entry.at_ns // HOUR_NS != hours[-1][-1].at_ns // HOUR_NS:
            hours.append([])
        hours[-1].append(entry)
    return hours


def _tables_of(instance: str, generation: str) -> Tables | None:
    """The machine's tables, for the texts of codes, where they are still there."""
    try:
        tables = Tables.attach(f"{instance}.tables")
    except SegmentMissingError:
        return None
    if tables.generation == generation:
        return tables
    tables.close()
    return None
