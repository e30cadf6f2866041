"""The quarantine on disk: one SQLite table, written by the engine, read by a person (`ims quarantine`)."""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from feeds.quarantine import Unreadable

FILE: Final = "quarantine.db"
_BUSY_MS: Final = 10_000
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

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _prepare)
        _META.create_all(self._engine)

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
            return int(connection.scalar(sa.text("SELECT total_changes()")) or 0) - int(before or 0)

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
