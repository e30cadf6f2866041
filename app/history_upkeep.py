"""What is done with files of the history that are written: those of an hour become one, and old days go."""

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Final

import structlog

from feeds.history_files import HOUR_NS, HistoryFile, all_files, days, files, put_together

log = structlog.get_logger()
MANY: Final = 30
"""So many samples of an hour are put together even while it lasts."""
_LATELY_NS: Final = 48 * HOUR_NS
"""What is older was put together when it was young, or never will be."""
_GB: Final = 1 << 30


def upkeep(folder: Path, now_ns: int, *, days: int, most_gb: float) -> None:
    """Everything that is due. Raises OSError, `feeds.archive_files.DamagedError`."""
    for group in _together(folder, now_ns):
        put_together(folder, group)
    if gone := forget_old(folder, now_ns, keep_days=days, most_bytes=int(most_gb * _GB)):
        log.info("days of the history removed", days=gone)


def remove_unfinished(folder: Path) -> int:
    """Remove what a killed process left: drafts, and files that another one covers; how many. Only while nobody writes."""
    counted = {file.path for file in all_files(folder)}
    left = [*folder.glob("date=*/hour=*/*.draft")]
    left += [path for path in folder.glob("date=*/hour=*/*.parquet") if path not in counted]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def forget_old(folder: Path, now_ns: int, *, keep_days: int, most_bytes: int) -> list[str]:
    """Remove whole days: those before the last `keep_days`, and the oldest ones of more than `most_bytes`; their names.

    The newest day always stays.
    """
    found = days(folder)
    sizes = {name: sum(path.stat().st_size for path in of.glob("hour=*/*.parquet")) for name, of in found}
    kept, oldest = sum(sizes.values()), now_ns - keep_days * 24 * HOUR_NS
    gone = []
    for name, of in found[:-1]:
        last = max((int(path.stem.partition("-")[2]) for path in of.glob("hour=*/*.parquet")), default=0)
        if last >= oldest and kept <= most_bytes:
            continue
        shutil.rmtree(of, ignore_errors=True)
        kept -= sizes[name]
        gone.append(name)
    return gone


def _together(folder: Path, now_ns: int) -> list[list[HistoryFile]]:
    """Files of one hour that belong together, oldest first."""
    by_hour: dict[int, list[HistoryFile]] = defaultdict(list)
    for file in files(folder, now_ns - _LATELY_NS, now_ns):
        by_hour[file.first_ns // HOUR_NS].append(file)
    groups = []
    for hour, of in by_hour.items():
        small = [file for file in of if file.first_ns == file.last_ns]
        if hour < now_ns // HOUR_NS and len(of) > 1:
            groups.append(of)
        elif len(small) >= MANY:
            groups.append(small)
    return groups
