"""How much was located today: approved shares by security and client, as rules ask for them.

Days are the market's own, so shares are kept by quarter of an hour: every time zone's day begins with one.
"""

from collections.abc import Iterable
from typing import Final

QUARTER_NS: Final = 900 * 10**9
KEPT_NS: Final = 2 * 86_400 * 10**9
"""How long shares are kept: no market's day is longer, wherever it began."""


class LocatedToday:
    """Approved shares of requests by the time they were received. Ends of locates change nothing of it."""

    def __init__(self) -> None:
        self._shares: dict[tuple[str, str], dict[int, int]] = {}
        self._newest = 0

    def add(self, security: str, client: str, received_ns: int, shares: int) -> None:
        """So many more (less than 0: taken back) for a client, and for the security."""
        quarter = received_ns // QUARTER_NS
        self.add_quarter(security, client, quarter, shares)

    def add_quarter(self, security: str, client: str, quarter: int, shares: int) -> None:
        """The same, of a quarter of an hour since 1970."""
        if quarter > self._newest:
            self._newest = quarter
            self._forget(quarter - KEPT_NS // QUARTER_NS)
        for owner in (client, ""):
            quarters = self._shares.setdefault((security, owner), {})
            quarters[quarter] = quarters.get(quarter, 0) + shares

    def of(self, securities: Iterable[str], client: str, since_ns: int) -> tuple[int, int]:
        """Shares since a moment in any of these codes: the client's, and everybody's."""
        since = since_ns // QUARTER_NS
        mine = everybody = 0
        for security in securities:
            mine += self._since(security, client, since)
            everybody += self._since(security, "", since)
        return mine, everybody

    def _since(self, security: str, owner: str, since: int) -> int:
        quarters = self._shares.get((security, owner))
        return sum(shares for quarter, shares in quarters.items() if quarter >= since) if quarters else 0

    def _forget(self, before: int) -> None:
        for place, quarters in list(self._shares.items()):
            for quarter in [each for each in quarters if each < before]:
                del quarters[quarter]
            if not quarters:
                del self._shares[place]
