"""A database is what its migrations make of it, on SQLite and PostgreSQL, whatever it was before."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from app import (  # noqa: F401  has tables of METADATA
    alerts_schema,
    master_schema,
    outbox_schema,
    rules_schema,
    views_schema,
)
from app.breaks import schema
from app.database import Chain, NewerDatabaseError, connect, missing, prepare, upgrade, version_of
from app.journal_schema import METADATA
from app.parking_store import ParkingStore
from app.quarantine_store import QuarantineStore
from tests.app.journal_urls import STORES, journal_url

MODELS = {
    Chain.JOURNAL: METADATA,
    Chain.MASTER: master_schema.METADATA,
    Chain.BREAKS: schema.METADATA,
    Chain.DESK: views_schema.METADATA,
}
"""Of all modules that have tables: whoever adds one imports it here."""
GROWING = {
    Chain.JOURNAL: {"alert_history", "locate_history", "order_history", "rule_versions", "rule_audit"},
    Chain.MASTER: {
        *("master_versions", "master_case_history", "master_decisions"),
        *("master_outcomes", "master_baskets", "master_moved"),
    },
    Chain.BREAKS: {"break_steps"},
    Chain.DESK: set(),
}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path, bare=True)


@pytest.mark.parametrize("chain", Chain)
def test_what_the_migrations_make_is_what_the_program_reads(url: str, chain: Chain) -> None:
    engine = connect(url)
    prepare(engine, chain)
    with engine.connect() as connection:
        options = {"version_table": chain.version_table, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), MODELS[chain]) == []
    engine.dispose()


@pytest.mark.parametrize("chain", Chain)
def test_the_database_itself_refuses_to_change_what_has_happened(url: str, chain: Chain) -> None:
    engine = connect(url)
    prepare(engine, chain)
    asked = {
        "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' GROUP BY tbl_name HAVING count(*) = 2",
        "postgresql": "SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal",
    }
    with engine.connect() as connection:
        assert set(connection.execute(sa.text(asked[engine.dialect.name])).scalars()) == GROWING[chain]
    engine.dispose()


def test_a_database_from_before_there_were_versions_keeps_what_it_has(url: str) -> None:
    engine = connect(url)
    upgrade(engine, Chain.JOURNAL, "v0001")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE journal_version"))
        connection.execute(sa.text("DROP TABLE rule_audit"))  # older still: rules came later than locates
        step = METADATA.tables["locate_history"].insert()
        connection.execute(step, {"sequence": 1, "at_ns": 2, "state": "approved", "document": "{}"})
    assert missing(engine, Chain.JOURNAL) == Chain.JOURNAL.versions()
    prepare(engine, Chain.JOURNAL)
    assert version_of(engine, Chain.JOURNAL) == Chain.JOURNAL.versions()[-1]
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM locate_history")).scalar_one() == 1
        assert sa.inspect(connection).has_table("rule_audit")
    engine.dispose()


def test_of_several_that_open_it_at_once_one_makes_it(url: str) -> None:
    engines = [connect(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda engine: prepare(engine, Chain.JOURNAL), engines))
    assert {version_of(engine, Chain.JOURNAL) for engine in engines} == {Chain.JOURNAL.versions()[-1]}
    for engine in engines:
        engine.dispose()


def test_what_a_later_program_has_changed_is_left_alone(url: str) -> None:
    engine = connect(url)
    prepare(engine, Chain.JOURNAL)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE journal_version SET version_num = 'v9999'"))
    with pytest.raises(NewerDatabaseError, match="v9999"):
        prepare(engine, Chain.JOURNAL)
    engine.dispose()


@pytest.mark.parametrize(
    "again",
    [lambda path: connect(f"sqlite:///{path}"), QuarantineStore, ParkingStore],
    ids=["database", "quarantine", "parking"],
)
def test_what_is_committed_is_kept_whoever_opens_the_file_again_and_closes_it(
    tmp_path: Path, again: Callable[[Path], object]
) -> None:
    """A process that closes a database's file gives up the locks of its connections: the next one would remove their log."""
    path = tmp_path / "kept.db"
    engine = connect(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (number INTEGER)")
    again(path)
    assert _count_elsewhere(path) == 0
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
    assert _count_elsewhere(path) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    engine.dispose()


def _count_elsewhere(path: Path) -> int:
    """What another process reads, which then closes the file."""
    text = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM kept').fetchone()[0])"
    return int(subprocess.run([sys.executable, "-c", text, path], check=True, capture_output=True).stdout)
