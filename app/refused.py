"""Events that were read but could not be applied, written out for the quarantine as a person would send them again."""

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.model import Kind, Op
from engine.recognise import BAD_FIELD, BAD_QUANTITY, NO_SETTLEMENT, OUTCOMES, PAST_SETTLEMENT, TOO_OLD
from engine.tables import Tables
from feeds.calendars import date_of
from feeds.quarantine import Unreadable

_REASON: Final = {
    TOO_OLD: "too_old",
    PAST_SETTLEMENT: "past_settlement",
    NO_SETTLEMENT: "no_settlement_date",
    BAD_QUANTITY: "quantity_out_of_range",
    BAD_FIELD: "invalid_field",
}


def refused(
    tables: Tables, topics: tuple[str, ...], events: EventArray, outcomes: NDArray[np.uint8]
) -> list[Unreadable]:
    """One entry per event; `raw` is the event's JSON form, `detail` the outcome in words."""
    return [
        Unreadable(
            topic=topics[int(event["topic"])] if int(event["topic"]) < len(topics) else "",
            partition=int(event["partition"]),
            offset=int(event["offset"]),
            reason=_REASON[int(outcome)],
            detail=OUTCOMES[int(outcome)],
            raw=msgspec.json.encode(_wire(tables, event)),
        )
        for event, outcome in zip(events, outcomes, strict=True)
    ]


def _wire(tables: Tables, event: Any) -> dict[str, object]:
    def code(table: str, number: int) -> str:
        records = tables.array[table]
        return bytes(records[number]["code"]).decode() if 0 < number < len(records) else ""

    def name(names: type[Kind] | type[Op], value: int) -> str:
        return names(value).name if value < len(names) else str(value)

    def day(number: int) -> str | None:
        return date_of(number).isoformat() if number >= 0 else None

    return {
        "src": code("source", int(event["source"])),
        "seq": int(event["seq"]),
        "ts": int(event["time_ns"]),
        "op": name(Op, int(event["op"])),
        "sec": code("security", int(event["security"])),
        "book": code("book", int(event["book"])),
        "depot": code("depot", int(event["depot"])),
        "kind": name(Kind, int(event["kind"])),
        "trade": day(int(event["trade_date"])),
        "settle": day(int(event["settle_date"])),
        "qty": int(event["quantity"]),
        "flags": int(event["flags"]),
    }
