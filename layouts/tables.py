"""What the drill-down's tables say, as rows of text."""

from datetime import UTC, datetime

import numpy as np

from engine.model import PRICE_UNIT, RATE_UNIT, Flag, Op
from engine.views import Input, SecurityDetail, suggested_returns
from layouts.explain import words

ROWS_SHOWN = 300
RETURNS_TOLD = 5
ROW_HEAD = ("Book", "Type", "Client", "Depot", "Gives", "TD", "SD", "SD0", "SD1", "SD2", "SD3", "SD4", "AU")
ROW_ALIGN = ("l",) * 4 + ("r",) * 8 + ("l",)
EVENT_HEAD = ("Time UTC", "Event", "Quantity", "Book", "Type", "Depot", "Settles", "Source", "Seq")
EVENT_ALIGN = ("l", "l", "r", "l", "l", "l", "l", "l", "r")


def rows_by_book(detail: SecurityDetail, given: Input | None = None, first: int = 0) -> tuple[list[list[str]], int]:
    """The security's rows, the largest first; of an input exactly its rows, by what each of them gives.

    `first`: a row of the position table, counted from 1, that comes before all others. Returns the rows, and at which place
    it is: -1 where it is not among them.
    """
    rows = detail.rows
    if given is None:
        size = np.maximum(np.abs(rows.record["td"]), np.abs(rows.projected).max(axis=1, initial=0))
        places, gives = np.arange(len(rows)), [""] * len(rows)
    else:
        size, places = np.abs(given.given), given.rows
        gives = [f"{quantity:,}" for quantity in given.given]
    wanted = rows.number[places] == first - 1
    # the one that is asked for first, then by size
    largest = np.lexsort((-size, ~wanted))[:ROWS_SHOWN]
    return [_row(detail, int(places[i]), gives[i]) for i in largest], 0 if wanted.any() else -1


def returned(detail: SecurityDetail, day: int) -> list[list[str]]:
    """Borrows to give back, the dearest first; what each gives is what goes back of it."""
    return [_row(detail, each.row, f"{each.quantity:,}") for each in suggested_returns(detail.copy, day)]


def returns_text(detail: SecurityDetail, day: int) -> str:
    """The same in a sentence."""
    told = [
        f"{each.quantity:,} of {detail.rows.book[each.row]}"
        + ("" if each.rate is None else f" at {each.rate / RATE_UNIT:.4f}%")
        for each in suggested_returns(detail.copy, day)[:RETURNS_TOLD]
    ]
    return "To give back, the dearest borrow first: " + ", ".join(told) if told else "Nothing is borrowed too much"


def _row(detail: SecurityDetail, i: int, gives: str) -> list[str]:
    rows = detail.rows
    return [
        rows.book[i],
        words(rows.kind[i]),
        rows.client[i],
        rows.depot[i],
        gives,
        f"{rows.record['td'][i]:,}",
        f"{rows.record['sd'][i]:,}",
        *(f"{quantity:,}" for quantity in rows.projected[i]),
        rows.aggregation_unit[i],
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
