"""What is done with files that are written: small ones become large ones, old ones go, and so do those that do not count."""

import contextlib
import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import structlog

from app.archive_manifest import ArchiveFile, Manifest
from app.archive_writer import HOUR_NS, path_of
from feeds import archive_files

log = structlog.get_logger()
MANY: Final = 24
"""So many small files of an hour and kind become one, even while the hour lasts."""
LARGE_ROWS: Final = 4_000_000
"""No file becomes larger by being put together with others."""
_SMALL_ROWS: Final = 500_000
"""Larger ones are left as they are: putting them together would cost more than it gives."""
DAMAGED: Final = ".damaged"
READING_NS: Final = 600_000_000_000
"""So long a file that counts no more is left to those who found it while it did."""
_SETTLED_NS: Final = 60_000_000_000
_DAY_NS: Final = 24 * HOUR_NS


def remove_uncounted(folder: Path, manifest: Manifest, before_ns: int | None = None) -> int:
    """Remove what a killed process left behind, and what counts no more; returns how many files.

    `before_ns`: only what nobody has touched since; what is being written has just been, and who found a file while it counted
    has so long to read it. None: all of it, while nobody writes.
    """
    found = [
        path
        for pattern in ("date=*/hour=*/kind=*/*.parquet", "date=*/hour=*/kind=*/*.draft")
        for path in folder.glob(pattern)
    ]
    counted = {file.path for file in manifest.files()}
    left = [path for path in found if path.relative_to(folder).as_posix() not in counted]
    old = [path for path in left if before_ns is None or _touched_ns(path) < before_ns]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _touched_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def merge_some(folder: Path, manifest: Manifest, now_ns: int) -> bool:
    """Put the files of one hour and kind together that are many, or whose hour is over; whether there is any sense in asking
    again at once. A file that is not what was written is a gap from then on, and the others go on without it.

    Raises OSError, `pyarrow.ArrowException`.
    """
    for files in _together(manifest.files(), now_ns):
        tables = [_read(folder, manifest, file) for file in files]
        if None in tables:
            return True
        first, last = files[0], files[-1]
        path = path_of(first.name, first.generation, first.first, last.last, first.first_ns)
        size = archive_files.write(folder / path, archive_files.merge([table for table in tables if table is not None]))
        rows = sum(file.rows for file in files)
        whole = ArchiveFile(
            path, first.name, first.generation, first.first, last.last, first.first_ns, last.last_ns, rows, size
        )
        manifest.replace(files, [whole])
        for file in files:  # whoever found them while they counted may be reading: they go later
            with contextlib.suppress(OSError):
                os.utime(folder / file.path, ns=(now_ns, now_ns))
        return True
    return False


def _read(folder: Path, manifest: Manifest, file: ArchiveFile) -> pa.Table | None:
    """None for a file that is damaged: it no longer counts, and lies there under another name until its day goes."""
    path = folder / file.path
    try:
        return archive_files.read(path, file.bytes)
    except archive_files.DamagedError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in {None, errno.ENOENT, errno.EIO}:
            raise cause from error  # no memory, no more files: the file may be as it was
        log.critical("a file of the archive is damaged; what was in it is a gap", file=file.path, why=str(error))
        manifest.missing(file, f"a file was damaged: {file.path}")
        with contextlib.suppress(OSError):
            path.rename(path.with_name(path.name + DAMAGED))
        return None


def forget_old(folder: Path, manifest: Manifest, now_ns: int, *, days: int, most_bytes: int) -> list[str]:
    """Remove whole days: those older than `days`, and the oldest ones of more than `most_bytes`; their names.

    The newest day always stays.
    """
    by_day: dict[str, list[ArchiveFile]] = defaultdict(list)
    for file in manifest.files():
        by_day[file.path.split("/", 1)[0]].append(file)
    kept = sum(file.bytes for files in by_day.values() for file in files)
    gone = []
    for day in sorted(by_day)[:-1]:
        files = by_day[day]
        if max(file.last_ns for file in files) > now_ns - days * _DAY_NS and kept <= most_bytes:
            continue
        manifest.forget(files)
        shutil.rmtree(folder / day, ignore_errors=True)
        kept -= sum(file.bytes for file in files)
        gone.append(day)
    if gone:
        log.info("days of the archive removed", days=gone, kept_bytes=kept)
        for path in folder.glob(f"date=*/hour=*/kind=*/*{DAMAGED}"):
            if path.relative_to(folder).parts[0] <= gone[-1]:  # of a day of which nothing else was left
                path.unlink(missing_ok=True)
    return gone


def _together(files: Sequence[ArchiveFile], now_ns: int) -> list[list[ArchiveFile]]:
    """Files that belong together, each group in the order in which they were told."""
    by_place: dict[tuple[str, int, int], list[ArchiveFile]] = defaultdict(list)
    for file in files:
        if file.rows > _SMALL_ROWS:
            continue
        by_place[file.name, file.generation, file.first_ns // HOUR_NS].append(file)
    groups = []
    for (_, _, hour), of in by_place.items():
        over = now_ns > (hour + 1) * HOUR_NS + _SETTLED_NS
        run: list[ArchiveFile] = []
        runs = [run]
        for file in sorted(of, key=lambda each: each.first):
            if sum(each.rows for each in run) + file.rows > LARGE_ROWS:
                runs.append(run := [])
            run.append(file)
        groups += [run for run in runs if len(run) >= (2 if over else MANY)]
    return groups
