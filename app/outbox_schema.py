"""Who has been told how much of what was decided, and who else wants to be told."""

from typing import Final

import sqlalchemy as sa

from app.journal_schema import METADATA

CURSORS: Final = sa.Table(
    "outbox_cursors",
    METADATA,
    sa.Column("consumer", sa.String(120), primary_key=True),
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("entry", sa.BigInteger, nullable=False),
)
"""`entry`: the last step of the kind that the consumer has for certain; of what is read from Kafka, the next offset."""

WEBHOOKS: Final = sa.Table(
    "webhooks",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
"""`document` is the JSON of `app.webhooks_store.Webhook`."""
