"""What was read but could not be applied, written out for the quarantine as a person would send it again."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine import recognise
from engine.events import CORRECTION, DEAL_STEP
from engine.model import RATE_UNKNOWN, DealAction, Flag, Kind, Op
from engine.tables import Tables
from feeds.calendars import date_of
from feeds.contracts import Contract
from feeds.orders import Execution, ExecutionCancel, Order
from feeds.orders import Side as Traded
from feeds.quarantine import Reason, Unreadable
from feeds.registry import feed_named
from feeds.swaps import Pledge, Side, Swap

_REASON: Final = {
    recognise.TOO_OLD: "too_old",
    recognise.PAST_SETTLEMENT: "past_settlement",
    recognise.NO_SETTLEMENT: "no_settlement_date",
    recognise.BAD_QUANTITY: "quantity_out_of_range",
    recognise.BAD_FIELD: "invalid_field",
    recognise.NO_HEAD: "no_head",
    recognise.UNKNOWN_ORIGINAL: Reason.UNKNOWN_ORIGINAL.value,
    recognise.NOT_CORRECTABLE: "not_correctable",
    recognise.UNKNOWN_DEAL: Reason.UNKNOWN_DEAL.value,
    recognise.DEAL_KNOWN: "deal_known",
    recognise.MORE_THAN_OPEN: "more_than_open",
    recognise.DEAL_OVER: "deal_over",
    recognise.LATE_START_OF_DAY: "late_start_of_day",
}

_Form: TypeAlias = tuple[type[msgspec.Struct], str, str]
_FORM: Final[dict[int, _Form]] = {
    Kind.SYNTHETIC: (Swap, Side.LONG.value, Side.SHORT.value),
    Kind.OPEN_ORDER: (Order, Traded.BUY.value, Traded.SELL.value),
    **{kind: (Pledge, "", "") for kind in Kind if kind.name.startswith("SWAP_PLEDGE")},
}
"""How a step of a deal of this kind is written, and its sides; all others are contracts."""


def refused(
    tables: Tables, topics: tuple[str, ...], records: NDArray[np.void], outcomes: NDArray[np.uint8]
) -> list[Unreadable]:
    """One entry per event, correction or step of a deal; the parts of an event are in its entry.

    `raw` is the JSON form, `detail` the outcome in words.
    """
    entries: list[tuple[Any, int, dict[str, Any]]] = []
    for record, outcome in zip(records, outcomes.tolist(), strict=True):
        event, told = _wire(tables, record)
        if event["flags"] & Flag.PART and entries:
            entries[-1][2].setdefault("parts", []).append(told)
        else:
            entries.append((event, outcome, told))
    return [
        Unreadable(
            topic=topics[int(event["topic"])] if int(event["topic"]) < len(topics) else "",
            partition=int(event["partition"]),
            offset=int(event["offset"]),
            reason=_REASON[outcome],
            detail=recognise.OUTCOMES[outcome],
            raw=msgspec.json.encode(told),
        )
        for event, outcome, told in entries
    ]


def correction(
    tables: Tables, topics: tuple[str, ...], record: Any, original: Mapping[str, Any], *, instead: bool
) -> Unreadable:
    """A correction in the form of its feed, so that it can be read again. `original`: what it is about, as far as that can be
    read; `instead`: it takes that one's place, and corrects nothing."""
    event, told = _wire(tables, record)
    number = told["corrects"]
    if event["topic"] == feed_named("orders").index:
        told |= {"id": str(original.get("id") or event["seq"]), "order": str(original.get("order") or number)}
        told |= {"side": told["op"], "quanto": bool(event["flags"] & Flag.QUANTO)}
        form = ExecutionCancel if event["flags"] & Flag.CANCEL else Execution
        told = {"type": form.__struct_config__.tag} | {name: told[name] for name in form.__struct_fields__}
    if instead:
        del told["corrects"]
    return Unreadable(
        topic=topics[int(event["topic"])],
        partition=int(event["partition"]),
        offset=int(event["offset"]),
        reason=Reason.UNKNOWN_ORIGINAL,
        detail=f"it corrects number {number} of its source, which waits",
        raw=msgspec.json.encode(told),
    )


def _wire(tables: Tables, record: Any) -> tuple[Any, dict[str, Any]]:
    """The record's event, and all of the record as a person reads it."""
    if record.dtype == CORRECTION:
        return record["event"], _event(tables, record["event"]) | {"corrects": int(record["corrects"])}
    if record.dtype == DEAL_STEP and record["code"]:
        return record["event"], _step(tables, record)
    event = record["event"] if record.dtype == DEAL_STEP else record
    return event, _event(tables, event)


def _event(tables: Tables, event: Any) -> dict[str, Any]:
    return {
        "src": _code(tables, "source", event["source"]),
        "seq": int(event["seq"]),
        "ts": int(event["time_ns"]),
        "op": _name(Op, event["op"]),
        "sec": _code(tables, "security", event["security"]),
        "book": _code(tables, "book", event["book"]),
        "depot": _code(tables, "depot", event["depot"]),
        "kind": _name(Kind, event["kind"]),
        "trade": _day(event["trade_date"]),
        "settle": _day(event["settle_date"]),
        "qty": int(event["quantity"]),
        "flags": int(event["flags"]) & ~int(Flag.PART),
    }


def _step(tables: Tables, step: Any) -> dict[str, Any]:
    """In the form of its feed, so that it can be read again."""
    event = step["event"]
    form, positive, negative = _FORM.get(int(event["kind"]), (Contract, "", ""))
    told = _event(tables, event) | {
        "id": bytes(step["code"]).decode(),
        "action": _name(DealAction, step["action"]),
        "side": negative if event["op"] == Op.DECREASE else positive,
        "counterparty": _code(tables, "counterparty", step["counterparty"]),
        "rate": None if step["rate"] == RATE_UNKNOWN else int(step["rate"]),
        "due": _day(step["due_date"]),
        "end": _day(step["end_date"]),
    }
    tag = form.__struct_config__.tag
    return ({"type": tag} if tag else {}) | {
        name: told[name] for name in form.__struct_fields__ if told[name] not in (None, "")
    }


def _code(tables: Tables, table: str, number: Any) -> str:
    records = tables.array[table]
    return bytes(records[int(number)]["code"]).decode() if 0 < number < len(records) else ""


def _name(names: type[Kind] | type[Op] | type[DealAction], value: Any) -> str:
    return names(int(value)).name if value < len(names) else str(value)


def _day(number: Any) -> str | None:
    return date_of(int(number)).isoformat() if number >= 0 else None
