"""Parked records on disk, beside the quarantine: what people list while the engine works, or after it has stopped."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from app.database_file import make_private
from app.parked_record import Concerns
from feeds.quarantine import Unreadable

FILE: Final = "parked.db"
_BUSY_MS: Final = 10_000
_PORTION: Final = 500
"""Ids of one statement: SQLite has a limit."""
_META: Final = sa.MetaData()
_TABLE: Final = sa.Table(
    "parked",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("concerns", sa.LargeBinary, nullable=False),
    sa.Column("parked_ns", sa.Integer, nullable=False),
)
_DISCARDED: Final = sa.Table(
    "discarded",
    _META,
    sa.Column("identity", sa.LargeBinary, primary_key=True),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)
_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRY: Final = msgspec.msgpack.Decoder(Unreadable)
_CONCERNS: Final = msgspec.msgpack.Decoder(Concerns)


class Parked(msgspec.Struct, array_like=True, frozen=True):
    """A record that waits. `place`: its turn, that of the record it is what is left of; `parked_ns`: since when, UTC."""

    id: int
    place: int
    entry: Unreadable
    concerns: Concerns
    parked_ns: int


@dataclass(frozen=True, slots=True)
class Discarded:
    """A record that a person has given up. `at`: ISO 8601, UTC."""

    entry: Unreadable
    who: str
    comment: str
    at: str


def identity(entry: Unreadable) -> bytes:
    """The same for the same record read twice, 16 bytes."""
    told = f"{entry.topic}\0{entry.partition}\0{entry.offset}\0".encode()
    return hashlib.blake2b(told + entry.raw, digest_size=16).digest()


class ParkingStore:
    """Any thread may call it. Raises `sqlalchemy.exc.SQLAlchemyError` where the disk does not do its part."""

    def __init__(self, path: Path) -> None:
        make_private(path)
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _prepare)
        _META.create_all(self._engine)

    def change(self, gone: Sequence[int], come: Sequence[Parked]) -> None:
        """Take records out and put records in, both or neither."""
        rows = [
            {
                "id": parked.id,
                "place": parked.place,
                "entry": _ENCODER.encode(parked.entry),
                "concerns": _ENCODER.encode(parked.concerns),
                "parked_ns": parked.parked_ns,
            }
            for parked in come
        ]
        with self._engine.begin() as connection:
            for at in range(0, len(gone), _PORTION):
                connection.execute(_TABLE.delete().where(_TABLE.c.id.in_(gone[at : at + _PORTION])))
            if rows:
                connection.execute(_TABLE.insert().prefix_with("OR REPLACE"), rows)

    def replace(self, everything: Sequence[Parked]) -> None:
        """Hold exactly these from now on."""
        with self._engine.begin() as connection:
            connection.execute(_TABLE.delete())
        self.change((), everything)

    def discard(self, entries: Sequence[Unreadable], who: str, comment: str) -> None:
        """Remember who gave up which records: they are not parked again when they are read again."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        rows = [
            {"identity": identity(each), "entry": _ENCODER.encode(each), "who": who, "comment": comment, "at": now}
            for each in entries
        ]
        if not rows:
            return
        with self._engine.begin() as connection:
            connection.execute(_DISCARDED.insert().prefix_with("OR REPLACE"), rows)

    def entries(self, limit: int | None = None) -> Iterator[Parked]:
        """In the order in which they came."""
        chosen = sa.select(*_TABLE.c).order_by(_TABLE.c.place, _TABLE.c.id).limit(limit)
        with self._engine.connect() as connection:
            for number, place, entry, told, parked_ns in connection.execution_options(yield_per=1_000).execute(chosen):
                yield Parked(number, place, _ENTRY.decode(entry), _CONCERNS.decode(told), parked_ns)

    def count(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(_TABLE)) or 0)

    def discarded(self) -> list[Discarded]:
        """Newest first."""
        columns = (_DISCARDED.c.entry, _DISCARDED.c.who, _DISCARDED.c.comment, _DISCARDED.c.at)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).order_by(_DISCARDED.c.at.desc()))
            return [Discarded(_ENTRY.decode(entry), who, comment, at) for entry, who, comment, at in rows]

    def discarded_identities(self) -> set[bytes]:
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(_DISCARDED.c.identity)))

    def close(self) -> None:
        self._engine.dispose()


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """As in the quarantine: readers and the writer do not wait for each other."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
