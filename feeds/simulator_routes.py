"""Which feed of the simulated day says what, and how its records are spread over partitions."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import QUOTES, SYMBOL_BYTES, DealAction, Kind, Op
from feeds.wire import CORRECTS


class Route(IntEnum):
    """Values of `DRAFT.feed`; names in lower case are those of the feeds. What is made of drafts comes first."""

    EVENTS = 0
    """Everything in one topic, in the form of events."""
    PRICES = 1
    TRADES = 2
    SETTLEMENTS = 3
    DEPOTS = 4
    EXTERNAL = 5
    ATTRIBUTES = 6
    POSITIONS = 7
    ORDERS = 8
    CONTRACTS = 9
    SWAPS = 10
    CORPORATE_ACTIONS = 11
    FX = 12
    LOCATES = 13
    REFERENCE = 14

    @property
    def feed(self) -> str:
        """Its name among `feeds.registry.FEEDS`."""
        return self.name.lower()


class Step(IntEnum):
    """Values of `DRAFT.action`; those of deals are `DealAction` + 1."""

    NONE = 0
    OPEN = DealAction.OPEN + 1
    INCREASE = DealAction.INCREASE + 1
    RECALL = DealAction.RECALL + 1
    RETURN = DealAction.RETURN + 1
    RERATE = DealAction.RERATE + 1
    CLOSE = DealAction.CLOSE + 1
    CANCEL = DealAction.CANCEL + 1
    EXECUTE = 16
    """An order's fill, and the trade that it makes."""
    CORRECT = CORRECTS
    """Replaces the event `ref`, or with `Flag.CANCEL` takes it back."""


APART: Final = tuple(route for route in Route if Route.EVENTS < route < Route.FX)
"""Feeds of drafts."""
BY_SECURITY: Final = (Route.EVENTS, Route.PRICES)
"""Feeds in whose partitions a security stays; in those of the others a book does, so that its order is kept."""
FEW: Final = 2
"""The most partitions of a feed that does not say much."""
_MANY: Final = (Route.PRICES, Route.TRADES, Route.POSITIONS)
_SHORT: Final = {Route.CORPORATE_ACTIONS: "ca"}
_ONE: Final = (Route.CORPORATE_ACTIONS, Route.FX, Route.REFERENCE)
"""What the first worker reads alone."""
FORMS: Final = (Route.POSITIONS, Route.ORDERS, Route.CONTRACTS, Route.SWAPS, Route.CORPORATE_ACTIONS)
"""Feeds of drafts with record forms of their own; the others' records are events."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Partitions by feed; sources are numbered over all of them."""

    partitions: tuple[int, ...]

    @classmethod
    def of(cls, partitions: int, *, apart: bool) -> "Spread":
        """One topic, or one for each feed. Trades and positions of a book are in partitions of the same number."""
        if not apart:
            return cls((partitions, *[0] * (len(Route) - 1)))
        few = min(FEW, partitions)
        return cls((0, *(partitions if at in _MANY else 1 if at in _ONE else few for at in Route if at)))

    @property
    def routes(self) -> tuple[Route, ...]:
        """Feeds with numbers of their own."""
        return tuple(route for route in (Route.EVENTS, *APART) if self.partitions[route])

    def names(self, prefix: str) -> list[str]:
        """A source for each partition of each feed, in the order in which they are numbered."""
        middle = {
            route: "-" if route == Route.EVENTS else f"-{_SHORT.get(route, route.feed)}-" for route in self.routes
        }
        names = [f"{prefix}{middle[route]}{at}" for route in self.routes for at in range(self.partitions[route])]
        if any(len(name) > SYMBOL_BYTES for name in names):
            raise ValueError(f"{prefix!r} is too long for the beginning of sources' names")
        return names

    @property
    def first(self) -> NDArray[np.int32]:
        """The number of the first source of each feed, shape (routes,)."""
        counts = [self.partitions[route] if route in self.routes else 0 for route in Route]
        return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)


def _table() -> NDArray[np.uint8]:
    made = np.full((len(Op), len(Kind)), Route.POSITIONS, np.uint8)
    for op in Op:
        if op.name.startswith("SET_"):
            made[op] = Route.ATTRIBUTES
        elif op.name.startswith("SETTLE_"):
            made[op] = Route.SETTLEMENTS
        elif op in (Op.BUY, Op.SELL, Op.SHORT_SELL):
            made[op] = Route.TRADES
        elif op in QUOTES:
            made[op] = Route.PRICES
    made[Op.SET_CA_PENDING] = Route.CORPORATE_ACTIONS
    for kind in Kind:
        if kind.name.startswith("EXTERNAL_"):
            made[Op.SET, kind] = Route.EXTERNAL
    made[Op.SET, Kind.DEPOT] = Route.DEPOTS
    return made


TABLE: Final = _table()
"""(ops, kinds): the feed of an event that is no step of a deal."""
