"""What the drill-down's tables say, as rows of text."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from engine.model import PRICE_UNIT, RATE_UNIT, Flag, Op
from engine.views import Input, RecentEvent, SecurityDetail, suggested_returns
from layouts.explain import words
from layouts.place import parts_of, row_key

ROWS_SHOWN = 300
RETURNS_TOLD = 5
ROW_HEAD = ("Book", "Type", "Client", "Depot", "Gives", "TD", "SD", "SD0", "SD1", "SD2", "SD3", "SD4", "AU")
ROW_ALIGN = ("l",) * 4 + ("r",) * 8 + ("l",)
EVENT_HEAD = (
    *("Time UTC", "Received", "Event", "Quantity", "Book", "Type", "Depot", "Settles", "Source", "Seq", "Topic"),
    *("Part.", "Offset"),
)
EVENT_ALIGN = ("l", "l", "l", "r", "l", "l", "l", "l", "l", "r", "l", "r", "r")


def rows_by_book(
    detail: SecurityDetail, given: Input | None = None, first: int = 0
) -> tuple[list[list[str]], list[str], int]:
    """The security's rows, the largest first; of an input exactly its rows, by what each of them gives.

    `first`: a row of the position table, counted from 1, that comes before all others. Returns the rows, their keys, and at
    which place it is: -1 where it is not among them.
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
    keys = [row_key(detail, int(places[i])) for i in largest]
    return [_row(detail, int(places[i]), gives[i]) for i in largest], keys, 0 if wanted.any() else -1


def returned(detail: SecurityDetail, day: int) -> tuple[list[list[str]], list[str]]:
    """Borrows to give back, the dearest first; what each gives is what goes back of it. And their keys."""
    found = suggested_returns(detail.copy, day)
    rows = [_row(detail, each.row, f"{each.quantity:,}") for each in found]
    return rows, [row_key(detail, each.row) for each in found]


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


def latest_events(
    detail: SecurityDetail, topics: Sequence[str] = (), row: str = ""
) -> tuple[list[list[str]], list[str]]:
    """The security's newest events (`row`: of the row with that key), the newest first; and what each is known by."""
    of = parts_of(row)
    events = [each for each in detail.events if of is None or (each.book, each.kind, each.depot) == of]
    return [_event(each, topics) for each in events], [f"{each.source} {each.seq}" for each in events]


def _event(event: RecentEvent, topics: Sequence[str]) -> list[str]:
    return [
        _moment(event.time_ns),
        _moment(event.received_ns) if event.received_ns else "",
        words(event.op) + (" (cancel)" if event.flags & Flag.CANCEL else ""),
        f"{event.quantity / PRICE_UNIT:,.4f}" if event.op == Op.PRICE.name else f"{event.quantity:,}",
        event.book,
        "" if event.op == Op.PRICE.name else words(event.kind),
        event.depot,
        event.settle_date.isoformat() if event.settle_date else "",
        event.source,
        str(event.seq),
        topics[event.topic] if event.topic < len(topics) else f"#{event.topic}",
        str(event.partition),
        f"{event.offset:,}",
    ]


def _moment(ns: int) -> str:
    """Time of day, to the millisecond."""
    at = datetime.fromtimestamp(ns / 1e9, UTC)
    return f"{at:%H:%M:%S.%f}"[:-3]
