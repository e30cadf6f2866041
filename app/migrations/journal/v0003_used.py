"""How much of a locate was sold, beside what was approved of it: totals need no documents."""

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"


def upgrade() -> None:
    """Nothing was used before there was usage."""
    op.add_column("locates", sa.Column("used", sa.BigInteger, nullable=False, server_default="0"))
