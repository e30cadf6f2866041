"""What people want to be told of, and what they were told."""

import sqlalchemy as sa
from alembic import op

from app.migrations.steps import ENTRY, append_only

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    """Three tables; what was told is never changed."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Index("alerts_by_owner", "owner", "created_ns"),
    )
    op.create_table(
        "alert_events",
        sa.Column("sequence", ENTRY, primary_key=True, autoincrement=False),
        sa.Column("alert", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("security", sa.String(40), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("raised_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Index("alert_events_by_owner", "owner", "state", "sequence"),
        sa.Index("alert_events_by_alert", "alert", "state", "sequence"),
    )
    op.create_table(
        "alert_history",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Index("alert_history_by_event", "sequence", "entry"),
    )
    append_only("alert_history")
