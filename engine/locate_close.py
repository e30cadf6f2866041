"""Near its market's close a locate holds what is sold on it, or about to be, and no more: the rest is in the pool, for all.

So an order that comes then is sold on what the pool still has, not on what was promised in the morning.
"""

from collections import Counter
from collections.abc import Sequence

from engine.locates import Locate, LocateType


class Leaning:
    """What orders sell out of the pool, and the locates of their clients do not hold yet, by security and type."""

    def __init__(self) -> None:
        self._shares: dict[tuple[int, LocateType], Counter[str]] = {}
        """By client."""

    def lacking(self, security: int, kind: LocateType, client: str, live: Sequence[Locate], left: int) -> int:
        """Shares of a client's `live` locates that were given back, and that the pool, which has `left`, cannot give again."""
        leaning = self._shares.get((security, kind), Counter())
        lacking, left = -leaning[client], max(0, left - leaning.total())
        for locate in live:
            grows = locate.full - locate.decrement
            if grows > left:
                lacking += max(0, locate.remaining - (locate.decrement - locate.used) - left)
            left -= min(left, max(0, grows))
        return max(0, lacking)

    def lean(self, security: int, kind: LocateType, client: str, live: Sequence[Locate], shares: int) -> None:
        """So many more are approved: what the client's `live` locates have given back is needed again."""
        grows = sum(max(0, locate.full - locate.decrement) for locate in live)
        leaning = self._shares.setdefault((security, kind), Counter())
        leaning[client] = min(leaning[client] + shares, grows)

    def clear(self) -> None:
        """Locates hold what orders need from now on."""
        self._shares.clear()
