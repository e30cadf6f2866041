"""Tables of what people arrange for themselves: views of the pages of tables."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

VIEWS: Final = sa.Table(
    "saved_views",
    METADATA,
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
"""`query`: the state of a page as its address has it; `version` grows with every change."""

DEFAULTS: Final = sa.Table(
    "default_views",
    METADATA,
    sa.Column("owner", sa.String(120), primary_key=True),
    sa.Column("page", sa.String(24), primary_key=True),
    sa.Column("view", sa.String(16), nullable=False),
)
