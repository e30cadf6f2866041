"""Layouts of the records that tables and rings hold. Text is UTF-8, padded with zeros; ids start at 1."""

from typing import Final

import numpy as np

from engine.model import BUCKETS, SYMBOL_BYTES

POSITION: Final = np.dtype(
    [
        ("key", "<u8"),
        ("next_in_security", "<i4"),
        ("next_in_book", "<i4"),
        ("td", "<i8"),
        ("sd", "<i8"),
        ("hypothecatable", "<i8"),
        ("hypothecated", "<i8"),  # of a contract's row, which has no client: its rate (`Op.SET_RATE`)
        ("segregated", "<i8"),
        ("reserved", "<i8"),
        ("receipt", "<i8", (BUCKETS,)),
        ("intraday_buy", "<i8"),
        ("intraday_sell", "<i8"),
        ("deliver", "<i8", (BUCKETS,)),
        ("intraday_short", "<i8"),
        ("ca_pending", "<i8"),
    ]
)
"""One row of the position table: 192 bytes, three cache lines. Key: see `row_key`."""

SECURITY: Final = np.dtype(
    [
        ("code", f"S{SYMBOL_BYTES}"),
        ("ticker", "S16"),
        ("isin", "S12"),
        ("cusip", "S9"),
        ("sedol", "S7"),
        ("figi", "S12"),
        ("name", "S64"),
        ("currency", "S3"),
        ("country", "S2"),
        ("market", "u1"),
        ("temperature", "u1"),
        ("flags", "u1"),
        ("classification", "u1"),
        ("fee", "<i4"),
        ("rebate", "<i4"),
        ("event_date", "<i4"),
        ("volume_30d", "<i8"),
        ("outstanding", "<i8"),
    ]
)
"""Reference data of a security. Text is UTF-8, padded with zeros. `market` is an index into the markets; `event_date` the next
dividend or corporate action, 0 where none is known."""

LATER_NODE: Final = np.dtype([("date", "<i4"), ("next", "<i4"), ("receipt", "<i8"), ("deliver", "<i8")])
"""What a row's later bucket gets and gives on one date; see `engine.later`."""

BOOK: Final = np.dtype(
    [
        ("code", f"S{SYMBOL_BYTES}"),
        ("client", f"S{SYMBOL_BYTES}"),
        ("entity", f"S{SYMBOL_BYTES}"),
        ("aggregation_unit", f"S{SYMBOL_BYTES}"),
    ]
)

NAMED: Final = np.dtype([("code", f"S{SYMBOL_BYTES}"), ("name", "S40")])
"""Depots and sources: a code and what a person calls it."""

CURRENCY: Final = np.dtype([("code", "S3"), ("day_count", "<i4"), ("fx", "<i8")])
"""`fx`: billionths of the reporting currency for one unit; 0 where unknown."""

COUNTERPARTY: Final = np.dtype(
    [("code", f"S{SYMBOL_BYTES}"), ("name", "S40"), ("lei", "S20"), ("country", "S2"), ("kind", "u1"), ("flags", "u1")]
)

UNIT: Final = np.dtype(
    [("code", f"S{SYMBOL_BYTES}"), ("name", "S40"), ("entity", f"S{SYMBOL_BYTES}"), ("market", "u1"), ("type", "u1")]
)
"""An aggregation unit: `market` is an index into the markets, `type` a `UnitType`."""

DEAL: Final = np.dtype(
    [
        ("code", f"S{SYMBOL_BYTES}"),
        ("opened", "<i8"),
        ("quantity", "<i8"),
        ("recalled", "<i8"),
        ("updated_ns", "<i8"),
        ("security", "<i4"),
        ("next_in_security", "<i4"),
        ("rate", "<i4"),
        ("start_date", "<i4"),
        ("due_date", "<i4"),
        ("end_date", "<i4"),
        ("source", "<u2"),
        ("book", "<u2"),
        ("depot", "<u2"),
        ("counterparty", "<u2"),
        ("kind", "u1"),
        ("state", "u1"),
        ("op", "u1"),
        ("spare", "u1"),
    ]
)
"""A deal as it is now. `opened`: all it ever was; `quantity`: what is open, of which `recalled` is due on `due_date`; `op`:
INCREASE or DECREASE, what opening it does to its row; `rate` in `RATE_UNIT`, `RATE_UNKNOWN` where there is none."""
