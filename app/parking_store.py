"""Parked records on disk, beside the quarantine: what people list while the engine works, or after it has stopped."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import ConnectionPoolEntry

from app.database_file import make_private
from app.parked_record import MOST_SHARES, Concerns, Wanted
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
_WANTED: Final = sa.Table(
    "wanted",
    _META,
    sa.Column("namespace", sa.Integer, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("shares", sa.Integer, nullable=False),
)
"""Every name that is in a parked record, with how many and their shares: kept in step, so that nobody has to read them all."""
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


class Awaited(NamedTuple):
    """What so many parked records name, and their shares in absolute numbers."""

    wanted: Wanted
    records: int
    shares: int


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
        if not sa.inspect(self._engine).has_table(_WANTED.name):
            self._make()

    def _make(self) -> None:
        """The tables, in one process of those that want them; in a file from before names were counted, their counts, too."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if sa.inspect(connection).has_table(_WANTED.name):
                return
            _META.create_all(connection)
            told = sa.select(_TABLE.c.concerns).execution_options(yield_per=1_000)
            _count(connection, map(_CONCERNS.decode, connection.execute(told).scalars()), ())

    def change(self, gone: Sequence[int], come: Sequence[Parked]) -> None:
        """Take records out and put records in, both or neither; of what has the same id the last stays."""
        latest = {parked.id: parked for parked in come}
        rows = [
            {
                "id": parked.id,
                "place": parked.place,
                "entry": _ENCODER.encode(parked.entry),
                "concerns": _ENCODER.encode(parked.concerns),
                "parked_ns": parked.parked_ns,
            }
            for parked in latest.values()
        ]
        left = list({*gone, *latest})
        with self._engine.begin() as connection:
            before: list[Concerns] = []
            for at in range(0, len(left), _PORTION):
                some = _TABLE.c.id.in_(left[at : at + _PORTION])
                before += map(_CONCERNS.decode, connection.execute(sa.select(_TABLE.c.concerns).where(some)).scalars())
                connection.execute(_TABLE.delete().where(some))
            _count(connection, (parked.concerns for parked in latest.values()), before)
            if rows:
                connection.execute(_TABLE.insert(), rows)

    def replace(self, everything: Sequence[Parked]) -> None:
        """Hold exactly these from now on."""
        with self._engine.begin() as connection:
            connection.execute(_TABLE.delete())
            connection.execute(_WANTED.delete())
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

    def awaited(self) -> list[Awaited]:
        """Every name that is in a record, known by now or not; what most records name comes first."""
        column = _WANTED.c
        chosen = sa.select(column.namespace, column.code, column.records, column.shares)
        with self._engine.connect() as connection:
            rows = connection.execute(chosen.order_by(column.records.desc(), column.namespace, column.code))
            return [Awaited((namespace, code), records, shares) for namespace, code, records, shares in rows]

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


def _count(connection: sa.Connection, come: Iterable[Concerns], gone: Iterable[Concerns]) -> None:
    """Names of these records are counted, and of those no more."""
    changed: dict[Wanted, tuple[int, int]] = {}
    for sign, some in ((1, come), (-1, gone)):
        for told in some:
            named = min(sum(each for _, each in told.shares), MOST_SHARES)
            for wanted in told.wants:
                records, shares = changed.get(wanted, (0, 0))
                changed[wanted] = records + sign, shares + sign * named
    rows = [
        {"namespace": namespace, "code": code, "records": records, "shares": shares}
        for (namespace, code), (records, shares) in changed.items()
        if records or shares
    ]
    if not rows:
        return
    column, added = _WANTED.c, insert(_WANTED)
    sums = {name: column[name] + added.excluded[name] for name in ("records", "shares")}
    connection.execute(added.on_conflict_do_update(index_elements=["namespace", "code"], set_=sums), rows)
    connection.execute(_WANTED.delete().where(column.records <= 0))


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """As in the quarantine: readers and the writer do not wait for each other."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
