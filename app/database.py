"""The databases of the service: opened, and brought to the form that this program knows.

A database is made and changed by migrations only (`app/migrations`, a chain of versions each). Whoever opens one calls
`prepare`, which costs one query where there is nothing to do; of several at once one does it and the others wait.
"""

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event

from app.database_file import make_private

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_PREFIX: Final = "v"
_LOCK: Final = 0x1A35  # of PostgreSQL: any number that nobody else locks
_LONGEST_LOG_PAGES: Final = 65_536
_PREPARED: Final = 512
"""Statements that a connection to SQLite keeps: an insert of each number of rows is one."""


class Chain(StrEnum):
    """Which database: its versions are a folder of `app/migrations`, its version stands in a table of its own."""

    JOURNAL = "journal"
    """Decisions, the rules they were made by, and who was told of them."""
    MASTER = "master"
    """Securities."""
    BREAKS = "breaks"
    """What does not agree, and what people do about it: written beside decisions, which never wait for it."""
    DESK = "desk"
    """What people arrange for themselves: views of the pages."""

    @property
    def folder(self) -> Path:
        return _MIGRATIONS / self.value

    @property
    def version_table(self) -> str:
        return f"{self.value}_version"

    def versions(self) -> list[str]:
        """All that this program knows, oldest first."""
        return sorted(path.stem.partition("_")[0] for path in self.folder.glob(f"{_PREFIX}[0-9]*.py"))


class NewerDatabaseError(sa.exc.SQLAlchemyError):
    """A later program has changed the database: this one does not know what it would spoil."""


def connect(url: str) -> sa.Engine:
    """An engine for a database: SQLite that is durable at every commit, its file readable by its owner only, or PostgreSQL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        make_private(Path(parsed.database))
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": 10.0, "cached_statements": _PREPARED})
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def without_waiting(engine: sa.Engine) -> None:
    """Commits to SQLite wait for no disk from now on: for what may be lost with the machine's power, and not with a process."""
    event.listen(engine, "connect", _no_wait_for_the_disk)


def version_of(engine: sa.Engine, chain: Chain) -> str | None:
    """Which version the database has; None if it has none: it is empty, or from before there were versions."""
    table = sa.table(chain.version_table, sa.column("version_num", sa.String))
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(chain.version_table):
            return None
        return connection.execute(sa.select(table.c.version_num)).scalar_one_or_none()


def missing(engine: sa.Engine, chain: Chain) -> list[str]:
    """The versions that the database lacks, oldest first. Raises `sqlalchemy.exc.SQLAlchemyError`."""
    known, found = chain.versions(), version_of(engine, chain)
    if found is None:
        return known
    if found not in known:
        raise NewerDatabaseError(f"the {chain} has version {found}, this program knows {known[-1]} at most")
    return known[known.index(found) + 1 :]


def prepare(engine: sa.Engine, chain: Chain) -> None:
    """Bring the database to the newest version, all of the way or not at all. Raises `sqlalchemy.exc.SQLAlchemyError`."""
    if missing(engine, chain):
        upgrade(engine, chain)


def upgrade(engine: sa.Engine, chain: Chain, to: str = "head") -> None:
    """Bring the database to that version; `prepare` is what a program calls. Raises `sqlalchemy.exc.SQLAlchemyError`."""
    # only here: this library takes a while to be there, and most starts have no use for it
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", _quoted(_MIGRATIONS))
    config.set_main_option("version_locations", _quoted(chain.folder))
    config.set_main_option("path_separator", "newline")
    with _one_at_a_time(engine) as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = chain.version_table
        command.upgrade(config, to)


@contextlib.contextmanager
def _one_at_a_time(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that no other process can have at the same time."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for what changes tables
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%%")


def _no_wait_for_the_disk(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _prepare_sqlite(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    # the journal carries its log over in a thread of its own: done by a commit, it makes everybody wait for 30 ms
    cursor.execute(f"PRAGMA wal_autocheckpoint={_LONGEST_LOG_PAGES}")
    cursor.close()
