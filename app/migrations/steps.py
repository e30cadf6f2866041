"""What steps of several databases say: types and refusals that are not the same on SQLite and PostgreSQL."""

from typing import Final

import sqlalchemy as sa
from alembic import op

ENTRY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""


def append_only(*tables: str) -> None:
    """From now on the database itself refuses to change or remove rows of these tables."""
    sqlite = op.get_context().dialect.name == "sqlite"
    for table in tables:
        for statement in _sqlite(table) if sqlite else _postgresql(table):
            op.execute(statement)


def _sqlite(table: str) -> list[str]:
    return [
        f"""CREATE TRIGGER IF NOT EXISTS {table}_no_{what} BEFORE {what} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"""
        for what in ("update", "delete")
    ]


def _postgresql(table: str) -> list[str]:
    return [
        f"""CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''{table} is append only''; END'""",
        f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
        f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
    ]
