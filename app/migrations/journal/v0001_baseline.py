"""Locates, orders, answers and rules as version 0.3 had them. A database of that time has it all: nothing is made twice."""

import sqlalchemy as sa
from alembic import op

from app.migrations.steps import ENTRY, append_only

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Make what is not there."""
    _locates()
    _orders()
    _answers()
    _rules()
    append_only("locate_history", "order_history", "rule_versions", "rule_audit")


def _locates() -> None:
    op.create_table(
        "locates",
        sa.Column("sequence", ENTRY, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("security", sa.String(40), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("type", sa.String(8), nullable=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("approved", sa.BigInteger, nullable=False),
        sa.Column("decrement", sa.BigInteger, nullable=False),
        sa.Column("received_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("locates_by_state", "locates", ["state", "sequence"], if_not_exists=True)
    op.create_index("locates_by_client", "locates", ["client", "sequence"], if_not_exists=True)
    op.create_index("locates_by_security", "locates", ["security", "sequence"], if_not_exists=True)
    op.create_index("locates_by_time", "locates", ["received_ns"], if_not_exists=True)
    op.create_table(
        "locate_history",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text),
        if_not_exists=True,
    )
    op.create_index("locate_history_by_locate", "locate_history", ["sequence", "entry"], if_not_exists=True)


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("sequence", ENTRY, primary_key=True, autoincrement=False),
        sa.Column("order_id", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("security", sa.String(40), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("executed", sa.BigInteger, nullable=False),
        sa.Column("received_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("orders_by_state", "orders", ["state", "sequence"], if_not_exists=True)
    op.create_index("orders_by_client", "orders", ["client", "sequence"], if_not_exists=True)
    op.create_index("orders_by_security", "orders", ["security", "sequence"], if_not_exists=True)
    op.create_table(
        "order_history",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("order_history_by_order", "order_history", ["sequence", "entry"], if_not_exists=True)


def _answers() -> None:
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index("idempotency_by_time", "idempotency", ["created_ns"], if_not_exists=True)


def _rules() -> None:
    op.create_table(
        "rule_versions",
        sa.Column("document", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("effective_from", sa.Date),
        sa.Column("markets", sa.Text, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "rule_audit",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
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
        if_not_exists=True,
    )
