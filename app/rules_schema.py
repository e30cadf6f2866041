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
