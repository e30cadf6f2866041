"""The tables of the locate journal, the same on SQLite and PostgreSQL."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

Row: TypeAlias = tuple[Any, ...]
"""A value per column of a statement."""
METADATA: Final = sa.MetaData()
_TOGETHER: Final = 256
"""Rows of one insert at most; a power of two."""
_FEW: Final = {"sqlite": 32, "postgresql": 1}
"""Up to so many rows go in at once: psycopg keeps a hundred statements prepared, so it gets powers of two only."""
_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows itself only in a column of this very type."""

LOCATES: Final = sa.Table(
    "locates",
    METADATA,
    sa.Column("sequence", _KEY, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("security", sa.String(40), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("type", sa.String(8), nullable=False),
    sa.Column("requested", sa.BigInteger, nullable=False),
    sa.Column("approved", sa.BigInteger, nullable=False),
    sa.Column("decrement", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("locates_by_state", "state", "sequence"),
    sa.Index("locates_by_client", "client", "sequence"),
    sa.Index("locates_by_security", "security", "sequence"),
    sa.Index("locates_by_time", "received_ns"),
)
"""Every locate as it is now; `document` is the JSON of `engine.locates.Locate`."""

HISTORY: Final = sa.Table(
    "locate_history",
    METADATA,
    sa.Column("entry", _KEY, primary_key=True, autoincrement=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text),
    sa.Index("locate_history_by_locate", "sequence", "entry"),
)
"""Every transition, never changed; `evidence` is the JSON of `engine.locates.Evidence` where something was decided."""

ORDERS: Final = sa.Table(
    "orders",
    METADATA,
    sa.Column("sequence", _KEY, primary_key=True, autoincrement=False),
    sa.Column("order_id", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("security", sa.String(40), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("side", sa.String(8), nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("executed", sa.BigInteger, nullable=False),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("orders_by_state", "state", "sequence"),
    sa.Index("orders_by_client", "client", "sequence"),
    sa.Index("orders_by_security", "security", "sequence"),
)
"""Every sell order as it is now; `document` is the JSON of `engine.orders.Order`."""

ORDER_HISTORY: Final = sa.Table(
    "order_history",
    METADATA,
    sa.Column("entry", _KEY, primary_key=True, autoincrement=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("order_history_by_order", "sequence", "entry"),
)
"""Every transition of an order, never changed."""

IDEMPOTENCY: Final = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("scope", sa.String(16), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Index("idempotency_by_time", "created_ns"),
)
"""The answers given to requests with a key, byte for byte."""

_LONG_LOG_PAGES: Final = 8_192


class Statement:
    """A statement compiled once, run by the driver for many rows: SQLAlchemy's own way costs a commit 0.7 ms more.

    SQLite's driver lets go of the interpreter's lock for every statement and waits for it after. So an insert takes all rows
    of a small commit at once, and powers of two of a large one: the driver keeps what it has prepared of either.
    """

    def __init__(self, statement: sa.Insert | sa.Update | sa.Delete, columns: Sequence[str], engine: sa.Engine) -> None:
        # by place, whatever the driver's own style: a dictionary for every row costs as much as the row
        style = {"sqlite": "qmark", "postgresql": "format"}[engine.dialect.name]
        dialect = type(engine.dialect)(paramstyle=style)  # type: ignore[call-arg]  # one of the two that there are
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        self._text = str(compiled)
        if compiled.positiontup != list(columns):
            raise ValueError(f"columns in another order than {compiled.positiontup}")
        self._inserts = isinstance(statement, sa.Insert)
        self._few = _FEW[engine.dialect.name]

    def run(self, cursor: DBAPICursor, rows: Sequence[Row]) -> None:
        """Execute for every row; nothing for none."""
        if not rows:
            return
        if not self._inserts:
            cursor.executemany(self._text, rows)
        else:
            self._insert(cursor, rows)

    def _insert(self, cursor: DBAPICursor, rows: Sequence[Row]) -> None:
        values = self._text[self._text.rindex("(") :]
        at = 0
        while at < len(rows):
            left = len(rows) - at
            size = left if left <= self._few else min(_TOGETHER, 1 << left.bit_length() - 1)
            text = self._text + f", {values}" * (size - 1)
            cursor.execute(text, list(chain.from_iterable(rows[at : at + size])))
            at += size


def carry_over(connection: sa.Connection) -> None:
    """Bring SQLite's log into its database while commits go on; a log that has grown long is begun anew."""
    pages = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()[1]
    if pages > _LONG_LOG_PAGES:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(RESTART)")
