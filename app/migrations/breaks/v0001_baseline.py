"""Breaks, everything that was done to them, and what people make of several: groups, matches, adjustments."""

import sqlalchemy as sa
from alembic import op

from app.migrations.steps import ENTRY, append_only

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Five tables."""
    op.create_table(
        "breaks",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(300), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("security", sa.String(64), nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("resolved_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "break_steps",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
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
    append_only("break_steps")
    for table in ("break_groups", "break_matches", "break_adjustments"):
        op.create_table(
            table,
            sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("state", sa.String(16), nullable=False, index=True),
            sa.Column("document", sa.Text, nullable=False),
        )
