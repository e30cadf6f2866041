"""Alerts in the journal's database: what people want to be told of, and what they were told."""

from typing import Final

import sqlalchemy as sa

from app.journal_schema import METADATA

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""

ALERTS: Final = sa.Table(
    "alerts",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("alerts_by_owner", "owner", "created_ns"),
)
"""`document` is the JSON of `app.alerts_store.Alert`."""

ALERT_EVENTS: Final = sa.Table(
    "alert_events",
    METADATA,
    sa.Column("sequence", _KEY, primary_key=True, autoincrement=False),
    sa.Column("alert", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("security", sa.String(40), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("raised_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("alert_events_by_owner", "owner", "state", "sequence"),
    sa.Index("alert_events_by_alert", "alert", "state", "sequence"),
)
"""Every event as it is now; `document` is the JSON of `app.alerts_store.AlertEvent`."""

ALERT_HISTORY: Final = sa.Table(
    "alert_history",
    METADATA,
    sa.Column("entry", _KEY, primary_key=True, autoincrement=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("alert_history_by_event", "sequence", "entry"),
)
"""Every step of every event there is, never changed: what pages and webhooks are told of."""
