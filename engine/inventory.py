"""What decisions may ask of the machine, and the numbers they may change."""

import datetime as dt
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.model import (
    DAYS,
    HEAD_FACTS,
    RATE_UNKNOWN,
    Classification,
    Concern,
    CounterpartyKind,
    Decided,
    Fact,
    Market,
    Namespace,
    SecurityFlag,
    Temperature,
)
from engine.rule_model import Role
from engine.symbols import Symbols
from engine.tables import FEED_STALE_NS, Tables, Word

_MOST_ASKED: Final = 200_000
"""Codes, known or not, that are looked up once only."""
_KNOWN: Final = "country classification fee flags volume_30d outstanding currency".split()
_CLASSES: Final = {int(each): each.name for each in Classification}
_DESIGNATED: Final = int(SecurityFlag.DESIGNATED)
_THRESHOLD: Final = int(SecurityFlag.THRESHOLD)


class Reference(NamedTuple):
    """What is known of a security besides its quantities. `rate`: ten-thousandths of a percent a year, None where unknown.

    0 where unknown: `volume_30d` and `outstanding` in shares, `price` in millionths of the currency, `day_count` of its year.
    """

    country: str
    classification: str
    rate: int | None
    designated: bool
    threshold: bool
    volume_30d: int
    outstanding: int
    currency: str
    price: int
    day_count: int


class Inventory:
    """The machine's face for the locate and order desks. Quantities on the day on which a trade of today settles."""

    def __init__(self, tables: Tables, set_decided: Callable[[int, Decided, int], None]) -> None:
        self._tables = tables
        self._array = tables.array
        self._symbols = Symbols(tables.array["symbols"])
        self._set_decided = set_decided
        self._market = self._array["security"]["market"]
        self._temperature = self._array["security"]["temperature"]
        self._known = {name: self._array["security"][name] for name in _KNOWN}
        self._head = self._array["head"]
        self._kept: tuple[Catalogue | None, list[tuple[str, int]]] = (None, [])
        """Names of the terms that are kept and where, by these rules."""
        self._roles: tuple[Catalogue | None, dict[Role, int]] = (None, {})
        """Which calculation plays a role, by these rules."""
        self._ids: tuple[int, dict[str, int]] = (-1, {})
        """Where codes lead that were asked for, as of a state of the reference data."""
        self._clients: tuple[int, frozenset[str]] = (-1, frozenset())

    def security_id(self, code: str) -> int:
        """The security a code or identifier names (ISIN, CUSIP, SEDOL, FIGI, TICKER@MARKET); 0 if none."""
        reference = self.reference
        if reference != self._ids[0] or len(self._ids[1]) > _MOST_ASKED:
            self._ids = reference, {}
        ids = self._ids[1]
        found = ids.get(code)
        if found is None:
            found = ids[code] = self._symbols.find_one(Namespace.SECURITY, code)
        return found

    def security_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The same of many. Shape of `codes`."""
        return self._symbols.find(Namespace.SECURITY, codes)

    @property
    def reference(self) -> int:
        """Differs whenever a code may lead elsewhere than before."""
        return self._tables.count(Word.REFERENCE)

    def knows_client(self, code: str) -> bool:
        """Whether a book is this client's, or reference data names it as a client of ours."""
        reference = self.reference
        if reference != self._clients[0]:
            self._clients = reference, self._all_clients()
        return code in self._clients[1]

    def temperature(self, security: int) -> Temperature:
        return Temperature(self._temperature.item(security))

    def reference_of(self, security: int) -> Reference:
        """What is known of the security besides its quantities."""
        # field by field: all of a record, most of which nobody asks for, costs as much as a decision
        known, head = self._known, self._head
        flags, rate = known["flags"].item(security), known["fee"].item(security)
        return Reference(
            country=known["country"].item(security).decode(),
            classification=_CLASSES[known["classification"].item(security)],
            rate=None if rate == RATE_UNKNOWN else rate,
            designated=bool(flags & _DESIGNATED),
            threshold=bool(flags & _THRESHOLD),
            volume_30d=known["volume_30d"].item(security),
            outstanding=known["outstanding"].item(security),
            currency=known["currency"].item(security).decode(),
            price=head.item(security, HEAD_FACTS + Fact.PRICE),
            day_count=head.item(security, HEAD_FACTS + Fact.DAY_COUNT),
        )

    def market(self, security: int) -> Market:
        return self._tables.markets[self.market_index(security)]

    def market_index(self, security: int) -> int:
        """The place of its market among all markets."""
        index: int = self._market.item(security)
        return index

    def settle_day(self, security: int) -> int:
        """The day on which a short sold today settles."""
        return self.market(security).settle_days

    def left(self, security: int, *, long: bool = False, good_for: dt.date | None = None) -> int:
        """What is left of the pool for locates; negative where more was promised than is there.

        `good_for`: the trading day until whose close it is promised, so it has to be there when a trade of that day settles,
        too. What settles later than the last day that is kept, by that one.
        """
        role = Role.LEFT_LONG if long else Role.LEFT_SHORT
        left = self._value(security, role)
        if good_for is None or not (ahead := self._days_ahead(security, good_for)):
            return left
        return min(left, self._value(security, role, min(self.settle_day(security) + ahead, DAYS - 1)))

    def left_by_day(self, security: int) -> tuple[int, ...]:
        """What is left of both pools on every day that is kept."""
        roles = Role.LEFT_SHORT, Role.LEFT_LONG
        return tuple(self._value(security, role, day) for role in roles for day in range(DAYS))

    def pool(self, security: int, *, long: bool = False) -> int:
        """The pool before what live locates hold."""
        return self._value(security, Role.POOL_LONG if long else Role.POOL_SHORT)

    def terms_of(self, security: int) -> dict[str, int]:
        """Every term that is kept."""
        terms = self._array["terms"][security, :, self.settle_day(security)].tolist()
        catalogue = self._tables.catalogue
        if self._kept[0] is not catalogue:
            components = catalogue.components
            found = [(term.name, term.component) for term in catalogue.terms if term.component >= 0]
            self._kept = catalogue, [(name, at) for name, at in found if components[at].maintained]
        return {name: terms[at] for name, at in self._kept[1]}

    def set_decided(self, security: int, what: Decided, quantity: int) -> None:
        self._set_decided(security, what, quantity)

    def decided(self, security: int, what: Decided) -> int:
        """What decisions hold of a security, as the calculations count it."""
        held: int = self._array["decided"].item(security, what)
        return held

    @property
    def as_of_ns(self) -> int:
        """The newest event's own time."""
        return self._tables.count(Word.LAST_EVENT_NS)

    @property
    def stale(self) -> bool:
        """Whether a feed that positions come from has been silent or behind too long, or has not yet handed over what existed
        at start."""
        state = self._tables.state
        silent_ns = state.item(Word.HEARTBEAT_NS) - state.item(Word.FEED_NS)
        late = state.item(Word.STALE) & Concern.SHARES
        return bool(not state.item(Word.READY) or late or silent_ns > FEED_STALE_NS)

    def _days_ahead(self, security: int, date: dt.date) -> int:
        """Business days of its market from today to a trading day."""
        tables, market = self._tables, self.market_index(security)
        ordinals, today = self._array["business_day"][market], self._array["today"].item(market)
        at = (date - dt.date(1970, 1, 1)).days
        return max(0, int(ordinals[at - tables.base_date]) - int(ordinals[today - tables.base_date]))

    def _all_clients(self) -> frozenset[str]:
        books = self._array["book"]["client"][: self._tables.count(Word.BOOKS) + 1]
        others = self._array["counterparty"][: self._tables.count(Word.COUNTERPARTIES) + 1]
        codes = np.union1d(books, others["code"][others["kind"] == CounterpartyKind.CLIENT])
        return frozenset(code.decode() for code in codes.tolist() if code)

    def _value(self, security: int, role: Role, day: int | None = None) -> int:
        catalogue = self._tables.catalogue
        if self._roles[0] is not catalogue:
            self._roles = catalogue, {}
        roles = self._roles[1]
        if role not in roles:
            roles[role] = catalogue.playing(role)
        day = self.settle_day(security) if day is None else day
        value: int = self._array["values"].item(security, roles[role], day)
        return value
