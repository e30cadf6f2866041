"""What snapshots, the archive and the security master tell of themselves, as the page Health has it."""

from collections.abc import Callable

from app.api.health_answers import ArchiveHealth, SnapshotHealth, moment
from app.archive_status import Watch
from app.settings import Settings
from app.snapshots import Snapshots

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
