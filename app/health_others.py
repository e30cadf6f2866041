"""What snapshots, the archive and the security master tell of themselves, as the page Health has it."""

from collections.abc import Callable

from app.api.health_answers import ArchiveHealth, FilesHealth, SnapshotHealth, moment
from app.archive_status import Watch
from app.settings import Settings
from app.snapshots import Snapshots
from engine.ring import FeedWord
from engine.tables import Tables
from feeds.files_feed import TOPIC_INDEX
from feeds.files_log import FOLDER, FileLog

_MS = 1_000_000


def of_snapshots(snapshots: Snapshots | None, clock: Callable[[], int]) -> Callable[[], SnapshotHealth | None]:
    """Nothing where none are taken: the simulator's day begins anew."""

    def told() -> SnapshotHealth | None:
        if snapshots is None:
            return None
        status = snapshots.status()
        taken = status.taken_ns > 0
        return SnapshotHealth(
            taken_at=moment(status.taken_ns),
            age_ms=max(0, clock() - status.taken_ns) // _MS if taken else None,
            size_bytes=status.size_bytes if taken else None,
            pause_ms=status.pause_ms if taken else None,
            kept=status.kept,
            skipped=status.skipped,
            problem=status.problem,
        )

    return told


def of_archive(settings: Settings, clock: Callable[[], int]) -> Callable[[], ArchiveHealth | None]:
    """Nothing where nothing is archived."""
    watch = Watch(settings)

    def told() -> ArchiveHealth | None:
        status = watch.status(clock())
        if status.state == "off":
            return None
        return ArchiveHealth(
            state=status.state,
            behind_ms=status.behind_ns // _MS,
            backlog_bytes=status.behind_bytes,
            written_at=moment(status.written_to_ns),
            size_bytes=status.bytes,
            gaps=status.gap_count,
            dropped=status.dropped_messages,
            problem=status.problem,
        )

    return told


def of_files(settings: Settings, tables: Tables) -> Callable[[], FilesHealth]:
    """The log of files, and what of it cannot be read."""
    files = FileLog(settings.folder / FOLDER)

    def told() -> FilesHealth:
        stuck, parts = int(tables.array["feed"][TOPIC_INDEX, FeedWord.STUCK]) - 1, files.parts()
        damaged = [part.path.name for part in parts if part.first <= stuck < part.end]
        return FilesHealth(
            accepted=parts[-1].end if parts else 0,
            applied=int(tables.array["applied"][TOPIC_INDEX, 0]),
            problem=f"{', '.join(damaged)} in {files.folder} cannot be read from record {stuck:,} on, and holds up what is "
            "behind it: put it back, or move it away and load its file again"
            if stuck >= 0
            else "",
        )

    return told
