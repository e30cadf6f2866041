"""A batch of events: one record of 64 bytes each, a cache line, in the order in which they are to be applied."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.model import SYMBOL_BYTES

EVENT: Final = np.dtype(
    [
        ("seq", "<i8"),
        ("time_ns", "<i8"),
        ("quantity", "<i8"),
        ("offset", "<i8"),
        ("received_ns", "<i8"),
        ("security", "<i4"),
        ("settle_date", "<i4"),
        ("trade_date", "<i4"),
        ("partition", "<u2"),
        ("source", "<u2"),
        ("book", "<u2"),
        ("depot", "<u2"),
        ("kind", "u1"),
        ("op", "u1"),
        ("flags", "u1"),
        ("topic", "u1"),
    ]
)
"""(source, seq) is the event's identity; dates are days since 1970-01-01 or `NO_DATE`; ids are those of the tables."""

CORRECTION: Final = np.dtype([("event", EVENT), ("corrects", "<i8")])
"""The event replaces the one of the same source with the number `corrects`; with `Flag.CANCEL` it only takes that one back."""

DEAL_STEP: Final = np.dtype(
    [
        ("event", EVENT),
        ("code", f"S{SYMBOL_BYTES}"),
        ("rate", "<i4"),
        ("due_date", "<i4"),
        ("end_date", "<i4"),
        ("counterparty", "<u2"),
        ("action", "u1"),
        ("spare", "u1"),
    ]
)
"""A step of the deal `code` of the event's source. `event` has the identity of the step, the row it is about, the quantity of
the step, its settlement date and as `op` INCREASE or DECREASE, the direction of the deal's opening."""

EventArray: TypeAlias = NDArray[np.void]
"""Shape (n,), dtype `EVENT`."""


def empty(count: int) -> EventArray:
    """A batch of `count` zeroed events."""
    return np.zeros(count, EVENT)
