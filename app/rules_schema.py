"""The tables of rules, in the database of the locate journal: rows are added, never changed and never removed."""

from typing import Final

import sqlalchemy as sa

from app.journal_schema import METADATA

_ENTRY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""

RULE_VERSIONS: Final = sa.Table(
    "rule_versions",
    METADATA,
    sa.Column("document", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("effective_from", sa.Date),
    sa.Column("markets", sa.Text, nullable=False),
    sa.Column("text", sa.LargeBinary, nullable=False),
)
"""Every version of every document, as its author wrote it: UTF-8, byte for byte. `markets`: codes with spaces between."""

RULE_AUDIT: Final = sa.Table(
    "rule_audit",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("document", sa.String(64), nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.UniqueConstraint("document", "serial"),
)
"""Every step of every version; its last one is its state. `serial` counts a document's steps: of two who take the same
next step at the same instant, one cannot write it. `detail`: JSON of `app.rules_life.Detail`."""


def _append_only(table: sa.Table) -> None:
    """The database itself refuses changes, from the moment at which it has the table."""
    name = table.name
    for what in ("UPDATE", "DELETE"):
        refuse = f"""CREATE TRIGGER {name}_no_{what.lower()} BEFORE {what} ON {name}
            BEGIN SELECT RAISE(ABORT, '{name} is append only'); END"""
        sa.event.listen(table, "after_create", sa.DDL(refuse).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
    for statement in (
        f"""CREATE OR REPLACE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''{name} is append only''; END'""",
        f"""CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}
        FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuse()""",
    ):
        sa.event.listen(table, "after_create", sa.DDL(statement).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]


for _table in (RULE_VERSIONS, RULE_AUDIT):
    _append_only(_table)
