"""Views that people have saved, and which of them a page opens with."""

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "saved_views",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(120), nullable=False),
        sa.Column("page", sa.String(24), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("owner", "page", "name", name="saved_views_named"),
    )
    op.create_table(
        "default_views",
        sa.Column("owner", sa.String(120), primary_key=True),
        sa.Column("page", sa.String(24), primary_key=True),
        sa.Column("view", sa.String(16), nullable=False),
    )
