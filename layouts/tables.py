"""What the drill-down's tables say, as rows of text."""

from datetime import UTC, datetime

import numpy as np

from engine.model import PRICE_UNIT, Flag, Op
from engine.views import SecurityDetail

ROWS_SHOWN = 300
ROW_HEAD = ("Book", "Type", "Client", "Depot", "TD", "SD", "SD0", "SD1", "SD2", "SD3", "SD4", "AU")
ROW_ALIGN = ("l",) * 4 + ("r",) * 7 + ("l",)
EVENT_HEAD = ("Time UTC", "Event", "Quantity", "Book", "Type", "Depot", "Settles", "Source", "Seq")
EVENT_ALIGN = ("l", "l", "r", "l", "l", "l", "l", "l", "r")


def rows_by_book(detail: SecurityDetail) -> list[list[str]]:
    """The security's rows, the largest first."""
    rows = detail.rows
    size = np.maximum(np.abs(rows.td), np.abs(rows.projected).max(axis=1, initial=0))
    largest = np.argsort(-size, kind="stable")[:ROWS_SHOWN]
    return [
        [
            rows.book[i],
            words(rows.kind[i]),
            rows.client[i],
            rows.depot[i],
            f"{rows.td[i]:,}",
            f"{rows.sd[i]:,}",
            *(f"{quantity:,}" for quantity in rows.projected[i]),
            rows.aggregation_unit[i],
        ]
        for i in largest
    ]


def latest_events(detail: SecurityDetail) -> list[list[str]]:
    """The security's newest events, the newest first."""
    return [
        [
            f"{datetime.fromtimestamp(event.time_ns / 1e9, UTC):%H:%M:%S.%f}"[:-3],
            words(event.op) + (" (cancel)" if event.flags & Flag.CANCEL else ""),
            f"{event.quantity / PRICE_UNIT:,.4f}" if event.op == Op.PRICE.name else f"{event.quantity:,}",
            event.book,
            "" if event.op == Op.PRICE.name else words(event.kind),
            event.depot,
            event.settle_date.isoformat() if event.settle_date else "",
            event.source,
            str(event.seq),
        ]
        for event in detail.events
    ]


def words(name: str) -> str:
    """A name of the code as words: SLAB_LOAN -> Slab loan."""
    return name.replace("_", " ").capitalize()
