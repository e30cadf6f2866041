"""What clients and aggregation units may still sell, as the inventory says it now (domain.md 5)."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.inventory import Inventory
from engine.locate_desk import LocateDesk
from engine.locates import Locate, LocateType, sequence_of
from engine.model import Decided, Market, Namespace
from engine.orders import LOCATES_OF, OrderRequest, Side
from engine.parties import Parties
from engine.rule_model import Role, Scope
from engine.rules import Compiled
from engine.symbols import Symbols
from engine.tables import Tables

_MOST_UNITS: Final = 100_000
_ROLES: Final = {
    (Scope.CLIENT, Side.LONG): Role.CLIENT_LONG,
    (Scope.CLIENT, Side.SHORT): Role.CLIENT_SHORT,
    (Scope.AU, Side.LONG): Role.AU_LONG,
    (Scope.AU, Side.SHORT): Role.AU_SHORT,
}


class InventoryLimits:
    """The face of the machine for the order desk, in the writer's own process.

    `compiled`: the rules in force; `locates`: the desk that clients have locates from.
    """

    def __init__(
        self,
        tables: Tables,
        inventory: Inventory,
        compiled: Callable[[], Compiled],
        locates: LocateDesk,
    ) -> None:
        self._tables = tables
        self._inventory = inventory
        self._compiled = compiled
        self._locates = locates
        self._parties = Parties(tables)
        self._symbols = Symbols(tables.array["symbols"])
        self._playing: tuple[Compiled | None, dict[tuple[Scope, Side], int]] = (None, {})
        """Which calculation is a limit, by these rules."""
        self._units: dict[tuple[str, int], str | None] = {}
        self._owners: dict[str, str] = {}
        """Units of books by market, and whose books are, as of a state of the reference data."""
        self._reference = -1

    def security_id(self, code: str) -> int:
        return self._inventory.security_id(code)

    def security_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        return self._inventory.security_ids(codes)

    def market(self, security: int) -> Market:
        return self._inventory.market(security)

    def unit_of(self, book: str, security: int) -> str | None:
        """The aggregation unit of a book in the security's market; None where the book is unknown or has none."""
        self._renew()
        place = book, self._inventory.market_index(security)
        if place not in self._units:
            self._units[place] = self._unit(*place)
        return self._units[place]

    def owner_of(self, book: str) -> str:
        """The client whose book it is; empty for one of the firm's own, or none at all."""
        self._renew()
        if book not in self._owners:
            self._owners[book] = self._owner(book)
        return self._owners[book]

    def _renew(self) -> None:
        if self._inventory.reference != self._reference or len(self._units) > _MOST_UNITS:
            self._reference, self._units, self._owners = self._inventory.reference, {}, {}

    def _owner(self, book: str) -> str:
        record = self._tables.array["book"][self._symbols.find_one(Namespace.BOOK, book)]
        own = record["client"] == record["entity"]  # the firm's entity stands for a client where there is none
        return "" if own else bytes(record["client"]).decode()

    def _unit(self, book: str, market: int) -> str | None:
        array, number = self._tables.array, self._symbols.find_one(Namespace.BOOK, book)
        if not number:
            return None
        unit = int(array["book_unit"][number, market])
        name = array["unit"][unit]["code"] if unit else array["book"][number]["aggregation_unit"]
        return bytes(name).decode() or None

    def client_left(
        self, security: int, client: str, request: OrderRequest, sells: Mapping[Decided, int]
    ) -> int | None:
        """What the client may still sell; None where no book is the client's."""
        decided = self._locates.held_of(request.security, client) | dict(sells)
        left = self._left(Scope.CLIENT, security, client, request, decided)
        if left is None or not self._locates.any_shrunk:
            return left
        kind = LOCATES_OF[request.side]
        live, pool = self._live(request), self._inventory.left(security, long=kind == LocateType.LONG)
        return left - self._locates.leaning.lacking(security, kind, client, live, pool)

    def lean(self, security: int, request: OrderRequest, shares: int) -> None:
        """So many more shares of an order are approved."""
        if self._locates.any_shrunk:
            self._locates.leaning.lean(security, LOCATES_OF[request.side], request.client, self._live(request), shares)

    def _live(self, request: OrderRequest) -> list[Locate]:
        return self._locates.live_of(request.security, request.client, LOCATES_OF[request.side])

    def located(self, request: OrderRequest) -> bool:
        """Whether the locate that the order names is one it may use up."""
        sequence = sequence_of(request.locate)
        kind = LOCATES_OF[request.side]
        return sequence is not None and self._locates.serves(sequence, request.security, request.client, kind)

    def unit_left(self, security: int, unit: str, request: OrderRequest, sells: Mapping[Decided, int]) -> int | None:
        """What the unit may still sell."""
        return self._left(Scope.AU, security, unit, request, sells)

    def set_decided(self, security: int, what: Decided, quantity: int) -> None:
        self._inventory.set_decided(security, what, quantity)

    def decided(self, security: int, what: Decided) -> int:
        return self._inventory.decided(security, what)

    @property
    def reference(self) -> int:
        return self._inventory.reference

    @property
    def as_of_ns(self) -> int:
        return self._inventory.as_of_ns

    @property
    def stale(self) -> bool:
        return self._inventory.stale

    def _left(
        self, scope: Scope, security: int, owner: str, request: OrderRequest, decided: Mapping[Decided, int]
    ) -> int | None:
        compiled = self._compiled()
        if self._playing[0] is not compiled:
            catalogue = compiled.catalogue
            self._playing = compiled, {which: catalogue.playing(role) for which, role in _ROLES.items()}
        calculation, day = self._playing[1][scope, request.side], self._inventory.settle_day(security)
        try:
            return self._parties.number(compiled, scope, security, owner, decided, calculation, day)
        except KeyError:
            return None
