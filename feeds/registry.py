"""The feeds: what comes in, over which topic, in which form, and what becomes doubtful when it is late.

A feed's number, its place in `FEEDS`, is `EVENT.topic` of everything that came by it. There are two sorts: *event* feeds, whose
records are events as `feeds.json_events` has them, each with what it may say; and *record* feeds with forms of their own. A new
feed is a module with its form, and an entry here, at the end: numbers stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from engine.model import QUOTES, Concern, Kind, Market, Op
from engine.symbols import Symbols
from feeds import contracts, corporate_actions, fx, json_events, orders, positions, reference, requests, swaps
from feeds.json_events import Permitted
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.topic_names import NAMES, topics


class Decode(Protocol):
    """Bytes of records, one form -> what they hold; never raises for what is in a record. With a master it may take seconds."""

    def __call__(
        self,
        values: Sequence[bytes],
        symbols: Symbols,
        markets: Sequence[Market],
        origin: Origin,
        master: Door | None = None,
    ) -> Decoded: ...


class Reader(StrEnum):
    """Who reads a feed's topic."""

    WORKERS = "workers"
    """All decode workers, each its share of the partitions."""
    FIRST = "first"
    """The first worker, all of it: reference data, which the others wait for."""
    ENGINE = "engine"
    """The engine process, which answers."""
    NONE = "none"
    """Nobody: it comes as a file only."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed. `records`: the forms a record may have, tagged by `type` where there are several."""

    name: str
    title: str
    concern: int
    """Bits of `Concern`."""
    records: tuple[type[msgspec.Struct], ...]
    decode: Decode
    permitted: Permitted | None = None
    """Of an event feed: its operations and kinds of rows."""
    reader: Reader = Reader.WORKERS

    @property
    def index(self) -> int:
        """`EVENT.topic`."""
        return FEEDS.index(self)

    @property
    def topic(self) -> str:
        """Its topic where the settings do not say otherwise; see `topics`."""
        return topics()[self.index]

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of all its forms, with that first which says what form a record has."""
        tag = (str(record.__struct_config__.tag_field) for record in self.records if record.__struct_config__.tag)
        fields = (field.encode_name for record in self.records for field in msgspec.structs.fields(record))
        return tuple(dict.fromkeys((*tag, *fields)))


def _events(name: str, title: str, concern: int, ops: Sequence[Op], kinds: Sequence[Kind] = tuple(Kind)) -> Feed:
    permitted = Permitted(tuple(ops), tuple(kinds), name)

    def decode(
        values: Sequence[bytes],
        symbols: Symbols,
        markets: Sequence[Market],
        origin: Origin,
        master: Door | None = None,
    ) -> Decoded:
        del markets, master
        return json_events.decode(values, symbols, origin, permitted)

    return Feed(name, title, concern, (json_events.Event,), decode, permitted)


def _records(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    del symbols
    return reference.decode(values, markets, origin, master)


_SHARES: Final = int(Concern.SHARES)
_MONEY: Final = int(Concern.MONEY)
_REFERENCE: Final = int(Concern.REFERENCE)
_STATEMENTS: Final = int(Concern.STATEMENTS)
_TRADED: Final = (Kind.CLIENT_SEGREGATED, Kind.CLIENT_FREE, Kind.FIRM, Kind.SYNTHETIC)
_EXTERNAL: Final = (Kind.EXTERNAL_EXCLUSIVE, Kind.EXTERNAL_FIRM, Kind.EXTERNAL_INDICATIVE)
_HELD: Final = tuple(kind for kind in Kind if kind not in (*_EXTERNAL, Kind.DEPOT, Kind.OPEN_ORDER))
_ATTRIBUTES: Final = (
    Op.SET_HYPOTHECATABLE,
    Op.SET_HYPOTHECATED,
    Op.SET_SEGREGATED,
    Op.SET_RESERVED,
    Op.SET_CA_PENDING,
    Op.SET_RATE,
)

FEEDS: Final[tuple[Feed, ...]] = (
    _events("events", "Events of any sort", _SHARES | _MONEY, tuple(Op)),
    Feed(
        "reference",
        "Securities, counterparties, books, units and baskets",
        _REFERENCE,
        reference.RECORDS,
        _records,
        reader=Reader.FIRST,
    ),
    _events(
        "availability", "Published availability of one lender, as a file", _SHARES, (Op.SET, Op.SET_RATE), _EXTERNAL
    ),
    _events("prices", "Prices, closes, fund values, volatilities", _MONEY, tuple(QUOTES)),
    _events("trades", "Trades", _SHARES, (Op.BUY, Op.SELL, Op.SHORT_SELL), _TRADED),
    _events("settlements", "Settlement confirmations", _SHARES, (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY), _HELD),
    _events("depots", "Statements of custodians", _STATEMENTS, (Op.SET, Op.RESET_BOOK), (Kind.DEPOT,)),
    _events("external", "Availability at lenders", _SHARES, (Op.SET, Op.SET_RATE, Op.RESET_BOOK), _EXTERNAL),
    _events("attributes", "Attributes of rows", _SHARES, _ATTRIBUTES, _HELD),
    Feed("positions", "Start-of-day positions", _SHARES, positions.RECORDS, positions.decode),
    Feed("orders", "Orders and executions", _SHARES, orders.RECORDS, orders.decode),
    Feed("contracts", "Borrows, loans, repo, pledges, pay-to-holds", _SHARES, contracts.RECORDS, contracts.decode),
    Feed("swaps", "Swaps, swap positions and pledges", _SHARES, swaps.RECORDS, swaps.decode),
    Feed(
        "corporate_actions",
        "Corporate actions",
        _SHARES,
        corporate_actions.RECORDS,
        corporate_actions.decode,
        reader=Reader.FIRST,
    ),
    Feed("fx", "Exchange rates", _MONEY, fx.RECORDS, fx.decode, reader=Reader.FIRST),
    Feed(
        "locates",
        "Requests for locates from upstream",
        0,
        requests.LOCATE_RECORDS,
        requests.decode_locates,
        reader=Reader.ENGINE,
    ),
    Feed(
        "order_requests",
        "Sell orders from upstream, to be checked",
        0,
        requests.ORDER_RECORDS,
        requests.decode_orders,
        reader=Reader.ENGINE,
    ),
)
assert tuple(feed.name for feed in FEEDS) == NAMES, "feeds.topic_names has other names than there are feeds"
EVENTS: Final = 0
REFERENCE: Final = 1
AVAILABILITY: Final = 2
POSITIONS: Final = 9


def feed_named(name: str) -> Feed:
    """Raises `KeyError` for a name that no feed has."""
    for feed in FEEDS:
        if feed.name == name:
            return feed
    raise KeyError(name)


__all__ = [
    "AVAILABILITY",
    "EVENTS",
    "FEEDS",
    "POSITIONS",
    "REFERENCE",
    "Decode",
    "Feed",
    "Reader",
    "feed_named",
    "topics",
]
