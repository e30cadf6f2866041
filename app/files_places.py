"""Where a batch file lies once it was taken, and under which name."""

from pathlib import Path

from app.files_folder import ARCHIVE, NAME_BYTES, WORK
from app.files_store import FileReport

_CUT: str = "..."


class Places:
    """In the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def work(self, report: FileReport) -> Path:
        """Of a file that is being checked or loaded."""
        return self._data / WORK / _name(report)

    def archived(self, report: FileReport) -> Path:
        """Of one that has come to its end."""
        return self._data / ARCHIVE / report.taken_at[:10] / _name(report)

    def part(self, report: FileReport) -> Path:
        """Of its records, until they are in the log."""
        return self._data / WORK / f"{report.id}.part"

    def source(self, source: str) -> Path:
        """Of the record that makes a source of numbers known, until it is in the log."""
        return self._data / WORK / f"{source}.source"

    def kept(self, report: FileReport) -> Path | None:
        """Where the file is now."""
        return next((path for path in (self.work(report), self.archived(report)) if path.exists()), None)

    def below(self, path: Path) -> str:
        """A path as reports name it."""
        return str(path.relative_to(self._data))


def _name(report: FileReport) -> str:
    """A name that any disk takes, whatever it was called."""
    raw = report.name.encode()
    name = report.name if len(raw) <= NAME_BYTES else raw[: NAME_BYTES - len(_CUT)].decode(errors="ignore") + _CUT
    return f"{report.id:06d}-{report.feed}-{name}"
