"""The tables of breaks, the same on SQLite and PostgreSQL."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
_ENTRY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""

BREAKS: Final = sa.Table(
    "breaks",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(300), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("security", sa.String(64), nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("resolved_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
"""Every break there ever was, as it is now; `held` of a security are the shares that the engine keeps back. `document`: JSON of
`app.breaks.life.Life`."""

BREAK_STEPS: Final = sa.Table(
    "break_steps",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.UniqueConstraint("number", "serial"),
)
"""Rows are added only."""


def _several(name: str) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("document", sa.Text, nullable=False),
    )


GROUPS: Final = _several("break_groups")
MATCHES: Final = _several("break_matches")
ADJUSTMENTS: Final = _several("break_adjustments")
