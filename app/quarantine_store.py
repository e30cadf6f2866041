"""The quarantine on disk: one SQLite table, written by the engine, read by a person (`ims quarantine`)."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from app.database_file import make_private
from feeds.quarantine import Unreadable

log = structlog.get_logger()
FILE: Final = "quarantine.db"
_BUSY_MS: Final = 10_000
MAX_ENTRIES: Final = 500_000
MAX_BYTES: Final = 1 << 30
"""Of the records kept. What is over it is dropped, the oldest first, and counted."""
_ROOM: Final = 0.9
"""What is left of the limit once something has to go: not every further entry then drops another one."""
_PORTION: Final = 500
"""Ids of one statement."""
_META: Final = sa.MetaData()
_TABLE: Final = sa.Table(
    "quarantine",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, index=True),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    # a record that is read again is the same entry; another one under the same offset (a topic that was made anew, several
    # events of one Arrow record, the next day's file) is another
    sa.UniqueConstraint("topic", "partition", "offset", "reason", "digest"),
)
_DROPPED: Final = sa.Table(
    "dropped", _META, sa.Column("id", sa.Integer, primary_key=True), sa.Column("entries", sa.Integer, nullable=False)
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept."""

    entries: int = MAX_ENTRIES
    size_bytes: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. `dropped`: entries that had to go for newer ones, ever."""

    entries: int
    size_bytes: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is kept. `received_at`: when it was first kept, ISO 8601, UTC."""

    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    raw: bytes
    events: int
    received_at: str


_COLUMNS: Final = tuple(_TABLE.c[name] for name in Entry.__slots__)


class QuarantineStore:
    """Any thread may call it. Raises `sqlalchemy.exc.SQLAlchemyError` where the disk does not do its part."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        make_private(path)
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _prepare)
        _META.create_all(self._engine)
        self._size = self._measured()

    @property
    def size(self) -> Size:
        """As the process that writes knows it: asks nobody."""
        return self._size

    def add(self, entries: Sequence[Unreadable]) -> int:
        """Keep entries; returns how many were not kept before."""
        if not entries:
            return 0
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        rows = [
            {
                "topic": entry.topic,
                "partition": entry.partition,
                "offset": entry.offset,
                "reason": entry.reason,
                "detail": entry.detail,
                "raw": entry.raw,
                "events": entry.events,
                "digest": hashlib.blake2b(entry.raw, digest_size=12).digest(),
                "received_at": now,
            }
            for entry in entries
        ]
        with self._engine.begin() as connection:
            before = connection.scalar(sa.text("SELECT total_changes()"))
            connection.execute(sqlite.insert(_TABLE).on_conflict_do_nothing(), rows)
            fresh = int(connection.scalar(sa.text("SELECT total_changes()")) or 0) - int(before or 0)
        if fresh:
            # those that were known count twice until the next look: the limit is kept to by what is really there
            size = self._size
            added = sum(len(entry.raw) for entry in entries)
            self._size = Size(size.entries + fresh, size.size_bytes + added, size.dropped)
            self._keep_to_limits()
        return fresh

    def remove(self, ids: Sequence[int]) -> int:
        """Take entries out; returns how many there were."""
        gone = 0
        with self._engine.begin() as connection:
            for at in range(0, len(ids), _PORTION):
                gone += connection.execute(_TABLE.delete().where(_TABLE.c.id.in_(ids[at : at + _PORTION]))).rowcount
        self._size = self._measured()
        return gone

    def chosen(self, ids: Sequence[int]) -> list[Entry]:
        """Those of these entries that there are, oldest first."""
        found: list[Entry] = []
        with self._engine.connect() as connection:
            for at in range(0, len(ids), _PORTION):
                rows = connection.execute(sa.select(*_COLUMNS).where(_TABLE.c.id.in_(ids[at : at + _PORTION])))
                found += [Entry(*row) for row in rows]
        return sorted(found, key=lambda entry: entry.id)

    def page(
        self, limit: int, before: int | None = None, topic: str | None = None, reason: str | None = None
    ) -> list[Entry]:
        """Newest first: at most `limit` older than the entry `before`."""
        asked = sa.select(*_COLUMNS).order_by(_TABLE.c.id.desc()).limit(limit)
        if before is not None:
            asked = asked.where(_TABLE.c.id < before)
        if topic is not None:
            asked = asked.where(_TABLE.c.topic == topic)
        if reason is not None:
            asked = asked.where(_TABLE.c.reason == reason)
        with self._engine.connect() as connection:
            return [Entry(*row) for row in connection.execute(asked)]

    def by_topic(self) -> dict[str, int]:
        """Events that the entries of each topic stand for."""
        asked = sa.select(_TABLE.c.topic, sa.func.sum(_TABLE.c.events)).group_by(_TABLE.c.topic)
        with self._engine.connect() as connection:
            return {topic: int(events) for topic, events in connection.execute(asked)}

    def by_reason(self) -> dict[tuple[str, str], int]:
        """Entries of each topic and reason."""
        column = _TABLE.c
        asked = sa.select(column.topic, column.reason, sa.func.count()).group_by(column.topic, column.reason)
        with self._engine.connect() as connection:
            return {(topic, reason): int(count) for topic, reason, count in connection.execute(asked)}

    def _measured(self) -> Size:
        sizes = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(_TABLE.c.raw)), 0))
        with self._engine.connect() as connection:
            entries, size_bytes = connection.execute(sizes.select_from(_TABLE)).one()
            dropped = connection.scalar(sa.select(_DROPPED.c.entries)) or 0
        return Size(int(entries), int(size_bytes), int(dropped))

    def _keep_to_limits(self) -> None:
        """Drop the oldest where there are too many, loudly."""
        limits = self.limits
        if self._size.entries <= limits.entries and self._size.size_bytes <= limits.size_bytes:
            return
        self._size = size = self._measured()
        entries, size_bytes, gone = size.entries, size.size_bytes, []
        if entries <= limits.entries and size_bytes <= limits.size_bytes:
            return
        oldest = sa.select(_TABLE.c.id, sa.func.length(_TABLE.c.raw)).order_by(_TABLE.c.id)
        with self._engine.begin() as connection:
            for number, length in connection.execute(oldest):
                if entries <= limits.entries * _ROOM and size_bytes <= limits.size_bytes * _ROOM:
                    break
                gone.append(number)
                entries, size_bytes = entries - 1, size_bytes - length
            if gone:
                connection.execute(_TABLE.delete().where(_TABLE.c.id <= gone[-1]))
            dropped = size.dropped + len(gone)
            connection.execute(_DROPPED.insert().prefix_with("OR REPLACE"), {"id": 1, "entries": dropped})
        self._size = Size(entries, size_bytes, dropped)
        log.error("the quarantine is full: its oldest entries are dropped", entries=len(gone), dropped_ever=dropped)

    def entries(self, reason: str | None = None, limit: int | None = None) -> Iterator[Entry]:
        """Oldest first; with a limit the newest ones, oldest of them first. Read in portions: there may be many."""
        chosen = sa.select(*_COLUMNS)
        if reason is not None:
            chosen = chosen.where(_TABLE.c.reason == reason)
        if limit is not None:
            newest = chosen.order_by(_TABLE.c.id.desc()).limit(limit).subquery()
            chosen = sa.select(newest)
        ordered = chosen.order_by(sa.text("id"))
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=1_000).execute(ordered):
                yield Entry(*row)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Entries, and the events they stand for, by reason; most events first."""
        events = sa.func.sum(_TABLE.c.events)
        counted = sa.select(_TABLE.c.reason, sa.func.count(), events).group_by(_TABLE.c.reason).order_by(events.desc())
        with self._engine.connect() as connection:
            return {reason: (int(entries), int(total)) for reason, entries, total in connection.execute(counted)}

    def close(self) -> None:
        self._engine.dispose()


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """Readers and the writer do not wait for each other; what is kept survives the process, if not always a power cut."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
