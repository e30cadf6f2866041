"""The tables of the security master, the same on SQLite and PostgreSQL."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
_ENTRY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""

CLAIMS: Final = sa.Table(
    "master_claims",
    METADATA,
    sa.Column("code", sa.String(24), primary_key=True),
    sa.Column("source", sa.String(24), primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
"""What each source says of each security now: MessagePack of `feeds.master_names.Claim`."""

SECURITIES: Final = sa.Table(
    "master_securities",
    METADATA,
    sa.Column("code", sa.String(24), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)
"""The newest version of every golden record."""

VERSIONS: Final = sa.Table(
    "master_versions",
    METADATA,
    sa.Column("code", sa.String(24), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
"""Every version of every golden record: JSON of `feeds.master_records.Security`. Rows are added only."""

NAMES: Final = sa.Table(
    "master_names",
    METADATA,
    sa.Column("text", sa.String(24), primary_key=True),
    sa.Column("code", sa.String(24), nullable=False),
    sa.Index("master_names_by_code", "code"),
)
"""Whom every name leads to."""

CASES: Final = sa.Table(
    "master_cases",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("security", sa.String(24), nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("master_cases_by_state", "state", "changed_ns"),
    sa.Index("master_cases_by_security", "security"),
)
"""Exceptions as they are now: JSON of `feeds.master_cases.Case`."""

CASE_HISTORY: Final = sa.Table(
    "master_case_history",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(16), nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("master_case_history_by_case", "id", "entry"),
)
"""Every state an exception has been in. Rows are added only."""

DECISIONS: Final = sa.Table(
    "master_decisions",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.UniqueConstraint("subject", "serial"),
)
"""What people have decided, in order. `serial` counts the decisions on a subject: of two who decide at the same instant, one
cannot write it. Rows are added only."""

OUTCOMES: Final = sa.Table(
    "master_outcomes",
    METADATA,
    sa.Column("place", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("entry", sa.BigInteger, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("first", sa.String(24), nullable=False),
    sa.Column("second", sa.String(24), nullable=False),
    sa.Column("refused", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("master_outcomes_by_entry", "entry"),
    sa.Index("master_outcomes_by_first", "first"),
    sa.Index("master_outcomes_by_second", "second"),
)
"""What became of decisions, in the order in which they were carried out: JSON of `feeds.master_decisions.Decided`, and why it
was refused, "" where it was not. `first`, `second`: the securities, or the security and the exception, it is about. Rows are
added only; entry 0: a source's own merge or split."""

BASKETS: Final = sa.Table(
    "master_baskets",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("security", sa.String(24), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("source", sa.String(24), nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("master_baskets_by_security", "security", "kind", "source", "entry"),
)
"""Every composition that came: JSON of `feeds.master_records.Composition`; the newest of a security, kind and source counts."""

COUNTERPARTIES: Final = sa.Table(
    "master_counterparties",
    METADATA,
    sa.Column("code", sa.String(24), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)

PLACES: Final = sa.Table(
    "master_places",
    METADATA,
    sa.Column("feed", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(16), nullable=False),
)
"""Up to where a partition has been used, and the first record that was seen of it: by that another topic is told."""

MOVED: Final = sa.Table(
    "master_moved",
    METADATA,
    sa.Column("entry", _ENTRY, primary_key=True, autoincrement=True),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(24), nullable=False),
    sa.Column("target", sa.String(24), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("master_moved_by_source", "source", "entry"),
    sa.Index("master_moved_by_target", "target", "entry"),
)
"""Rows of positions that were moved, each with its quantities. Rows are added only."""
