"""Who has been told how much of what was decided; webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "outbox_cursors",
        sa.Column("consumer", sa.String(120), primary_key=True),
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("entry", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
