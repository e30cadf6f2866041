"""The security master as version 0.3 had it. A database of that time has it all: nothing is made twice."""

import sqlalchemy as sa
from alembic import op

from app.migrations.steps import ENTRY, append_only

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Make what is not there."""
    _securities()
    _cases()
    _decisions()
    _others()
    append_only(
        "master_versions",
        "master_case_history",
        "master_decisions",
        "master_outcomes",
        "master_baskets",
        "master_moved",
    )


def _securities() -> None:
    op.create_table(
        "master_claims",
        sa.Column("code", sa.String(24), primary_key=True),
        sa.Column("source", sa.String(24), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "master_securities",
        sa.Column("code", sa.String(24), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "master_versions",
        sa.Column("code", sa.String(24), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "master_names",
        sa.Column("text", sa.String(24), primary_key=True),
        sa.Column("code", sa.String(24), nullable=False),
        if_not_exists=True,
    )
    op.create_index("master_names_by_code", "master_names", ["code"], if_not_exists=True)


def _cases() -> None:
    op.create_table(
        "master_cases",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("security", sa.String(24), nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("master_cases_by_state", "master_cases", ["state", "changed_ns"], if_not_exists=True)
    op.create_index("master_cases_by_security", "master_cases", ["security"], if_not_exists=True)
    op.create_table(
        "master_case_history",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("master_case_history_by_case", "master_case_history", ["id", "entry"], if_not_exists=True)


def _decisions() -> None:
    op.create_table(
        "master_decisions",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("subject", "serial"),
        if_not_exists=True,
    )
    op.create_table(
        "master_outcomes",
        sa.Column("place", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("entry", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("first", sa.String(24), nullable=False),
        sa.Column("second", sa.String(24), nullable=False),
        sa.Column("refused", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("master_outcomes_by_entry", "master_outcomes", ["entry"], if_not_exists=True)
    op.create_index("master_outcomes_by_first", "master_outcomes", ["first"], if_not_exists=True)
    op.create_index("master_outcomes_by_second", "master_outcomes", ["second"], if_not_exists=True)


def _others() -> None:
    op.create_table(
        "master_baskets",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("security", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    whose = ["security", "kind", "source", "entry"]
    op.create_index("master_baskets_by_security", "master_baskets", whose, if_not_exists=True)
    op.create_table(
        "master_counterparties",
        sa.Column("code", sa.String(24), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "master_places",
        sa.Column("feed", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "master_moved",
        sa.Column("entry", ENTRY, primary_key=True, autoincrement=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("target", sa.String(24), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("master_moved_by_source", "master_moved", ["source", "entry"], if_not_exists=True)
    op.create_index("master_moved_by_target", "master_moved", ["target", "entry"], if_not_exists=True)
