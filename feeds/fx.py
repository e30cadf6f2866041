"""Exchange rates: what a currency is worth in the reporting currency.

    {"ts":1790000000000000000,"code":"EUR","fx":1083000000}

`fx`: billionths of the reporting currency for one unit. `day_count` may be given with it; else it stays what it was.
"""

from collections.abc import Sequence
from typing import Annotated, Final
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from msgspec import Meta

from engine.model import Market
from engine.records import CURRENCY
from engine.ring import Message
from engine.symbols import Symbols
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.records import Columns, Nanoseconds, read
from feeds.reference import InterestYear


class FxRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest one of a currency counts."""

    ts: Nanoseconds
    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    fx: Annotated[int, Meta(ge=1, le=10**15)]
    day_count: InterestYear | None = None


RECORDS: Final = (FxRate,)
_DECODER: Final = msgspec.json.Decoder(FxRate)
_NEWEST: Final[WeakKeyDictionary[Symbols, dict[str, int]]] = WeakKeyDictionary()
"""By the table of codes that a reader has, the time of the newest rate of each currency that it has read."""


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """The newest rate of each currency, as reference data; nothing of one that is older than what this reader has read.

    Never raises for what is in a record.
    """
    del markets, master
    records, numbers, unreadable = read(values, _DECODER, origin)
    if not records:
        return Decoded(unreadable=unreadable)
    columns = Columns(FxRate, records, numbers)
    known, times, newest = _NEWEST.setdefault(symbols, {}), columns["ts"], dict[str, int]()
    for at, code in enumerate(columns["code"]):
        if times[at] >= known.get(code, 0):  # the same once more is read again, and counts
            known[code], newest[code] = times[at], at
    chosen = np.array(sorted(newest.values()), np.intp)
    if not chosen.size:
        return Decoded(unreadable=unreadable)
    rates = np.zeros(chosen.size, CURRENCY)
    rates["code"] = np.array(columns["code"], "S3")[chosen]
    rates["fx"], rates["day_count"] = columns.integers("fx")[chosen], columns.integers("day_count")[chosen]
    return Decoded(unreadable=unreadable, messages=[(Message.CURRENCIES, rates)])


def encode(record: FxRate) -> bytes:
    """The value of a Kafka record; its key is the currency."""
    return msgspec.json.encode(record)
