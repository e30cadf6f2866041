"""What contracts, swaps and orders have in common: records about a deal -> steps in its life."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.events import DEAL_STEP, EventArray
from engine.model import NO_DATE, RATE_UNKNOWN, DealAction, Namespace, Op
from engine.symbols import Symbols
from feeds.quarantine import Reason
from feeds.records import Columns

DealCode: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=24, description="The source's own id of it, for as long as it lives.")
]
Steps: TypeAlias = NDArray[np.void]
"""Shape (n,), dtype `DEAL_STEP`."""


class Action(StrEnum):
    """What happens to it; `OPEN` comes first."""

    OPEN = "OPEN"
    INCREASE = "INCREASE"
    RECALL = "RECALL"
    RETURN = "RETURN"
    RERATE = "RERATE"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"


_ACTIONS: Final[dict[Any, int]] = {member: int(DealAction[member.name]) for member in Action}
_COUNTED: Final = (DealAction.OPEN, DealAction.INCREASE, DealAction.RECALL, DealAction.RETURN)
"""Actions that are about a quantity."""
_SETTLED: Final = (DealAction.OPEN, DealAction.INCREASE, DealAction.RETURN, DealAction.CLOSE)


def steps(columns: Columns, events: EventArray, symbols: Symbols, dated: Sequence[DealAction] = _SETTLED) -> Steps:
    """One step per record: `id`, `action`, `qty`, and where the form has them `settle`, `due`, `end`, `rate`, `counterparty`.

    The quantity, the rate and, for the actions `dated`, the settlement date are there where the action needs them; what is
    wrong becomes a fault of `columns`.
    """
    made = np.zeros(len(columns), DEAL_STEP)
    action = columns.names("action", _ACTIONS)
    quantity = columns.integers("qty")
    wanting = np.isin(action, _COUNTED) & (quantity == 0)
    columns.fault(wanting, Reason.INVALID, lambda at: f"{columns['action'][at]} without a quantity")
    events["quantity"], events["op"] = quantity, Op.INCREASE
    made["rate"], made["due_date"], made["end_date"] = RATE_UNKNOWN, NO_DATE, NO_DATE
    optional = columns.present
    if "settle" in optional:
        events["settle_date"] = columns.days("settle")
        undated = np.isin(action, dated) & (events["settle_date"] == NO_DATE)
        columns.fault(undated, Reason.INVALID, lambda at: f"{columns['action'][at]} without a settlement date")
    if "due" in optional:
        made["due_date"] = columns.days("due")
        undated = (action == DealAction.RECALL) & (made["due_date"] == NO_DATE)
        columns.fault(undated, Reason.INVALID, lambda _: "RECALL without a due date")
    if "end" in optional:
        made["end_date"] = columns.days("end")
    if "rate" in optional:
        made["rate"] = columns.integers("rate", "<i4", RATE_UNKNOWN)
        unrated = (action == DealAction.RERATE) & (made["rate"] == RATE_UNKNOWN)
        columns.fault(unrated, Reason.INVALID, lambda _: "RERATE without a rate")
    if "counterparty" in optional:
        made["counterparty"] = columns.ids("counterparty", Namespace.COUNTERPARTY, Reason.UNKNOWN_COUNTERPARTY, symbols)
    made["code"], made["action"], made["event"] = columns.codes("id"), action, events
    return made


def opening(directions: Sequence[Any], negative: Sequence[Any]) -> NDArray[np.uint8]:
    """INCREASE for each direction that is not among the negative ones, else DECREASE."""
    known = {each: Op.DECREASE if each in negative else Op.INCREASE for each in set(directions)}
    return np.fromiter(map(known.__getitem__, directions), np.uint8, len(directions))
