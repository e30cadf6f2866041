"""Batch files and how they fared: one SQLite table, written by the process that loads them, read by the API and `ims files`."""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.pool import ConnectionPoolEntry

from feeds.files_faults import Fault

FILE: Final = "files/files.db"
"""In the data folder."""
_BUSY_MS: Final = 10_000
_META: Final = sa.MetaData()
_FILES: Final = sa.Table(
    "files",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("content", sa.Text, nullable=False, index=True),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("numbers", sa.Integer, nullable=False),
    sa.Column("force", sa.Text, nullable=False),
    sa.Column("report", sa.LargeBinary, nullable=False),
)
_WAITING: Final = sa.Table(
    "waiting",
    _META,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)


class FileState(StrEnum):
    """Where a file is."""

    CHECKING = "checking"
    LOADING = "loading"
    """Accepted: its records are in the log, whatever happens now."""
    LOADED = "loaded"
    REFUSED = "refused"
    """Nothing of it counts."""
    DUPLICATE = "duplicate"
    """Its content was loaded before; nothing of it counts a second time."""


class FileReport(Struct, kw_only=True):
    """All there is to say of a file. Times are ISO 8601, UTC; durations in milliseconds."""

    id: int = 0
    feed: str
    name: str
    state: FileState = FileState.CHECKING
    why: str = ""
    """Of a file that was not loaded: the reason, in a sentence."""
    misnamed: str = ""
    """Why its name cannot be used: then nothing of it is read."""
    begun: int = 0
    """How often its check was begun by a process that did not live to its end, and, while it is checked, once more."""
    can_be_forced: bool = False
    """Whether it was refused for doubts only, which ops or admin can take on themselves."""
    forced_by: str = ""
    comment: str = ""
    size_bytes: int = 0
    sha256: str = ""
    checksum: str = ""
    """What vouches for the file beside its trailer: sha256, md5 or nothing."""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0
    """Of the file; while it is checked, so far."""
    records: int = 0
    """What the rows became."""
    events: int = 0
    """What the records decoded to when the file was checked."""
    applied: int = 0
    """Records that the engine has used so far."""
    unknown: int = 0
    """Records that named something unknown when the file was checked; they wait for it."""
    unknown_codes: dict[str, int] = {}
    books: tuple[str, ...] = ()
    """Whose start of day it is."""
    faults: tuple[Fault, ...] = ()
    fault_count: int = 0
    remarks: tuple[Fault, ...] = ()
    remark_count: int = 0
    set_aside: tuple[Fault, ...] = ()
    """Rows that the engine could not apply, or that still wait, when the file was done; they are in the quarantine. Of
    requests: those that were refused whole."""
    set_aside_count: int = 0
    answers: str = ""
    """Of requests: where the answers to its rows are kept, as CSV, below the data folder."""
    same_as: int = 0
    """The file that had the same content."""
    position: int = -1
    """Of its first record in the log of files."""
    source: str = ""
    first_number: int = 0
    """Of the rows that the loader numbered, as records of `source`."""
    dropped_at: str = ""
    taken_at: str = ""
    checked_at: str = ""
    loaded_at: str = ""
    check_ms: int = 0
    load_ms: int = 0
    archived: str = ""
    """Where the file is kept, below the data folder."""


class Waiting(Struct, frozen=True):
    """A file in the drop folder that is not taken yet, and why."""

    feed: str
    name: str
    since: str
    why: str


class FilesStore:
    """Raises `sqlalchemy.exc.SQLAlchemyError` where the disk does not do its part."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._data = path.parents[1]
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _prepare)
        with self._engine.begin() as connection:  # another process may be doing the same
            for table in _META.sorted_tables:
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))

    def add(self, report: FileReport) -> None:
        """A file that was taken; gives the report its id."""
        with self._engine.begin() as connection:
            made = connection.execute(
                sa.insert(_FILES).values(**_row(report), content="", first=-1, records=0, numbers=0, force="")
            )
            report.id = int(made.inserted_primary_key[0])  # type: ignore[index]
            connection.execute(_of(report.id).values(report=msgspec.json.encode(report)))

    def forget(self, report: FileReport) -> None:
        """It was not taken after all."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_FILES).where(_FILES.c.id == report.id))

    def save(self, report: FileReport) -> None:
        """What is known by now."""
        with self._engine.begin() as connection:
            connection.execute(_of(report.id).values(**_row(report)))

    def accept(self, report: FileReport, content: str, numbers: int) -> None:
        """Its records have their place in the log, and `numbers` numbers of its source are used: all of that or nothing."""
        report.state = FileState.LOADING
        with self._engine.begin() as connection:
            places = {"content": content, "first": report.position, "records": report.records, "numbers": numbers}
            connection.execute(_of(report.id).values(**_row(report), **places))

    def end(self) -> int:
        """The position behind everything that was ever accepted."""
        with self._engine.connect() as connection:
            ends = sa.select(sa.func.max(_FILES.c.first + _FILES.c.records))
            return int(connection.scalar(ends.where(_FILES.c.first >= 0)) or 0)

    def next_number(self, feed: str) -> int:
        """The first number of the feed's made source that no row has."""
        with self._engine.connect() as connection:
            used = connection.scalar(sa.select(sa.func.sum(_FILES.c.numbers)).where(_FILES.c.feed == feed))
            return int(used or 0) + 1

    def loaded(self, feed: str, content: str) -> int:
        """The newest file of the feed with this content that counts; 0 for none."""
        counts = _FILES.c.state.in_([FileState.LOADING, FileState.LOADED])
        return self._newest(_FILES.c.feed == feed, _FILES.c.content == content, counts)

    def newest(self, feed: str) -> int:
        """The newest file of the feed that counts; 0 for none."""
        return self._newest(_FILES.c.feed == feed, _FILES.c.state.in_([FileState.LOADING, FileState.LOADED]))

    def lasting(self, states: frozenset[str]) -> set[int]:
        """Positions of files whose records are never too old: all of reference data, of other `states` the newest."""
        newest = sa.select(sa.func.max(_FILES.c.first)).where(_FILES.c.feed.in_(states)).group_by(_FILES.c.feed)
        every = sa.select(_FILES.c.first).where(_FILES.c.feed == "reference", _FILES.c.first >= 0)
        with self._engine.connect() as connection:
            return {*connection.scalars(newest), *connection.scalars(every)}

    def _newest(self, *conditions: Any) -> int:
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.max(_FILES.c.id)).where(*conditions)) or 0)

    def unfinished(self) -> list[FileReport]:
        """Files that were being checked or loaded when the process ended, oldest first."""
        open_ = _FILES.c.state.in_([FileState.CHECKING, FileState.LOADING])
        return self._reports(sa.select(_FILES.c.report).where(open_).order_by(_FILES.c.id))

    def reports(
        self, limit: int, before: int | None = None, feed: str | None = None, state: str | None = None
    ) -> list[FileReport]:
        """Newest first."""
        chosen = sa.select(_FILES.c.report).order_by(_FILES.c.id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(_FILES.c.id < before)
        if feed is not None:
            chosen = chosen.where(_FILES.c.feed == feed)
        if state is not None:
            chosen = chosen.where(_FILES.c.state == state)
        return self._reports(chosen)

    def report(self, number: int) -> FileReport | None:
        found = self._reports(sa.select(_FILES.c.report).where(_FILES.c.id == number))
        return found[0] if found else None

    def answers(self, report: FileReport) -> bytes | None:
        """What was answered to each row of a file of requests, as CSV; None for other files, and where it is kept no longer."""
        if not report.answers:
            return None
        try:
            return (self._data / report.answers).read_bytes()
        except FileNotFoundError:
            return None

    def force(self, number: int, by: str, comment: str) -> bool:
        """Ask that a refused file be loaded in spite of its doubts; False where that cannot be asked (any more)."""
        asked = msgspec.json.encode([by, comment]).decode()
        stopped = _FILES.c.state.in_([FileState.REFUSED, FileState.DUPLICATE])
        with self._engine.begin() as connection:
            return (
                connection.execute(_of(number).where(stopped, _FILES.c.force == "").values(force=asked)).rowcount == 1
            )

    def forced(self) -> list[tuple[FileReport, str, str]]:
        """Files that somebody wants to be loaded, who and why; told until they are taken up."""
        wanted = sa.select(_FILES.c.report, _FILES.c.force).where(_FILES.c.force != "").order_by(_FILES.c.id)
        with self._engine.connect() as connection:
            return [
                (msgspec.json.decode(report, type=FileReport), *msgspec.json.decode(asked, type=tuple[str, str]))
                for report, asked in connection.execute(wanted)
            ]

    def take_up(self, report: FileReport) -> None:
        """What somebody wanted of a refused file is under way, and the wish is answered: both or neither."""
        with self._engine.begin() as connection:
            connection.execute(_of(report.id).values(**_row(report), force=""))

    def waiting(self) -> list[Waiting]:
        """Files in the drop folder, in the order of their names."""
        with self._engine.connect() as connection:
            return [
                Waiting(*row)
                for row in connection.execute(sa.select(_WAITING).order_by(_WAITING.c.feed, _WAITING.c.name))
            ]

    def wait(self, files: Sequence[Waiting]) -> None:
        """These, and no others, are waiting."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_WAITING))
            if files:
                connection.execute(sa.insert(_WAITING), [msgspec.structs.asdict(file) for file in files])

    def close(self) -> None:
        self._engine.dispose()

    def _reports(self, chosen: Any) -> list[FileReport]:
        with self._engine.connect() as connection:
            return [msgspec.json.decode(raw, type=FileReport) for raw in connection.scalars(chosen)]


def now() -> str:
    """The time of day for a report."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _of(number: int) -> Any:
    return sa.update(_FILES).where(_FILES.c.id == number)


def _row(report: FileReport) -> dict[str, Any]:
    return {"feed": report.feed, "state": report.state.value, "report": msgspec.json.encode(report)}


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """Readers and the writer do not wait for each other; what was accepted is on the disk."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
