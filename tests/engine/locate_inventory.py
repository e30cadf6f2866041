"""An inventory of a few dictionaries for tests of the desk: pools that a test may set as it likes."""

import datetime as dt
from functools import cache

import numpy as np
from numpy.typing import NDArray

from app import world
from engine.inventory import Reference
from engine.locate_rules import LocateRules
from engine.model import Decided, Market, Temperature

US = Market("US", "XNYS", "America/New_York", "USD", "16:00", 1)
MARKETS = {
    code: Market(code, "", zone, "", "16:00", 2)
    for code, zone in {
        "TW": "Asia/Taipei",
        "JP": "Asia/Tokyo",
        "KR": "Asia/Seoul",
        "HK": "Asia/Hong_Kong",
        "GB": "Europe/London",
        "DE": "Europe/Berlin",
        "FR": "Europe/Paris",
    }.items()
} | {"US": US}
NOTHING_KNOWN = Reference("", "EQUITY", None, False, False, 0, 0, "USD", 0, 0)
NOON_NS = 1_790_000_000_000_000_000
"""A moment in September 2026."""


@cache
def shipped_rules() -> LocateRules:
    """The rules that the program comes with."""
    return world.rule_book().locates


class PlainInventory:
    """One security per code given to `add`; its gross pool may be changed at any time."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.reference = 0
        self.gross: dict[int, int] = {}
        self.told: dict[tuple[int, Decided], int] = {}
        self.terms: dict[int, dict[str, int]] = {}
        self.temperatures: dict[int, Temperature] = {}
        self.markets: dict[int, Market] = {}
        self.references: dict[int, Reference] = {}
        self.strangers: set[str] = set()
        self.later: dict[int, int] = {}
        """Pools on the settlement day of a later trading day."""
        self.stale = False
        self.as_of_ns = NOON_NS - 1

    def add(
        self, code: str, pool: int, temperature: Temperature = Temperature.HTB, market: str = "US", **terms: int
    ) -> int:
        security = len(self.gross) + 1
        self.lead(code, security)
        self.gross[security] = pool
        self.terms[security] = {"firm_long": pool, "client_free": 0, "exclusive": 0, "external_firm": 0} | terms
        self.temperatures[security] = temperature
        self.markets[security] = MARKETS[market]
        return security

    def lead(self, code: str, security: int) -> None:
        """Securities merge and split."""
        self.codes[code] = security
        self.reference += 1

    def security_id(self, code: str) -> int:
        return self.codes.get(code, 0)

    def security_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        return np.array([self.codes.get(code.decode(), 0) for code in codes.tolist()], np.int64)

    def temperature(self, security: int) -> Temperature:
        return self.temperatures[security]

    def market(self, security: int) -> Market:
        return self.markets[security]

    def reference_of(self, security: int) -> Reference:
        return self.references.get(security, NOTHING_KNOWN)

    def knows_client(self, code: str) -> bool:
        return code not in self.strangers

    def left_by_day(self, security: int) -> tuple[int, ...]:
        return self.left(security), self.left(security, long=True)

    def left(self, security: int, *, long: bool = False, good_for: dt.date | None = None) -> int:
        if long:
            own = self.terms[security]["firm_long"] + self.terms[security]["client_free"]
            return own - self.decided(security, Decided.LONG_LOCATES)
        there = self.gross[security] if good_for is None else min(self.gross[security], self.later[security])
        return there - self.decided(security, Decided.SHORT_LOCATES)

    def terms_of(self, security: int) -> dict[str, int]:
        return self.terms[security] | {"located": self.decided(security, Decided.SHORT_LOCATES)}

    def set_decided(self, security: int, what: Decided, quantity: int) -> None:
        self.told[security, what] = quantity

    def decided(self, security: int, what: Decided) -> int:
        return self.told.get((security, what), 0)
