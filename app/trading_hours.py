"""Whether any market trades now: whoever tells prices must then talk."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.model import Market

SESSION_MIN: Final = 360
"""The last six hours before the close: calendars know closes, and every market has opened by then for half an hour or so."""
_EPOCH: Final = dt.date(1970, 1, 1)


def trading(markets: Sequence[Market], closes: NDArray[np.int32], base_date: int) -> Callable[[int], bool]:
    """Asked with the time, UTC nanoseconds. `closes`: minute of the close by market and date (from `base_date` on), 0: none."""
    zones = [ZoneInfo(market.time_zone) for market in markets]

    def is_trading(now_ns: int) -> bool:
        for zone, row in zip(zones, closes, strict=True):
            now = dt.datetime.fromtimestamp(now_ns / 1e9, zone)
            at = (now.date() - _EPOCH).days - base_date
            close = int(row[at]) if 0 <= at < len(row) else 0
            if close and close - SESSION_MIN <= 60 * now.hour + now.minute < close:
                return True
        return False

    return is_trading
