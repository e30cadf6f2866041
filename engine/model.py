"""The words of the inventory as data: enumerations, record layouts and limits (domain.md 1 and 2).

Quantities are whole shares, int64. Prices are millionths of the security's currency, fees and rebates
ten-thousandths of a percent a year. Days are counted from 1970-01-01; times are UTC nanoseconds.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

DAYS: Final = 5
"""SD0..SD4: the days every calculation is made for."""
LATER: Final = 5
"""The ladder bucket of everything that settles after SD4."""
BUCKETS: Final = 6
TERM_WORDS: Final = 8
"""Words kept for a term of a security: its days, padded to a cache line of its own."""
ENTRY_WORDS: Final = 8
"""An entry of a class: component, measure, a mask of -1 or 0 for each of the five days; a cache line."""
# what is counted of a class: entries whose measure follows the ladder, those and the other kept ones, all; and a bit for
# each kept component
DYNAMIC: Final = 0
MAINTAINED: Final = 1
ALL: Final = 2
TOUCHES: Final = 3
TOUCHES_ALL: Final = 4
COUNT_WORDS: Final = 8
# words of a security's head
HEAD_UPDATED: Final = 0
HEAD_MARK: Final = 1
HEAD_TOUCHED: Final = 2
"""A bit for each component that rows of the security ever fed."""
HEAD_FACTS: Final = 3
"""The first of the words of `Fact`."""
HEAD_WORDS: Final = 16
SYMBOL_BYTES: Final = 24
"""The longest code or identifier, in UTF-8 bytes."""
PRICE_UNIT: Final = 1_000_000
RATE_UNIT: Final = 10_000
RATE_UNKNOWN: Final = -(2**31)
"""A fee or rebate that the source gives as not available."""
NO_DATE: Final = -1


class Namespace(IntEnum):
    """What a code names. The same text may be a book and a depot."""

    SECURITY = 1
    BOOK = 2
    DEPOT = 3
    SOURCE = 4
    CURRENCY = 5
    COUNTERPARTY = 6
    UNIT = 7
    """An aggregation unit."""
    DEAL = 8


class Temperature(IntEnum):
    """How hard a security is to borrow."""

    UNKNOWN = 0
    GC = 1
    WARM = 2
    HTB = 3
    RESTRICTED = 4


class Flag(IntEnum):
    """Bits of `EVENT.flags`."""

    CANCEL = 1
    """Reverse exactly what the event names."""
    START_OF_DAY = 2
    """Part of a snapshot: does not count as a change of today."""
    QUANTO = 4
    """Settles in another currency: where the market says so, a day later than it is dated (`Market.quanto_days`)."""
    PART = 8
    """Never on the wire: belongs to the event before it, has no number of its own, stands and falls with it."""


WIRE_FLAGS: Final = int(Flag.CANCEL | Flag.START_OF_DAY | Flag.QUANTO)
"""What a producer may say."""


class SecurityFlag(IntEnum):
    """Bits of `SECURITY.flags`."""

    AT_LEAST = 1
    """A lender published a floor ("more than"), not a measured quantity."""
    MASKED_ISIN = 2
    """The ISIN shown is incomplete and must not be looked up."""
    DESIGNATED = 4
    """The market permits short selling of it."""
    THRESHOLD = 8
    """On a list of persistent settlement failures."""


class Concern(IntEnum):
    """Bits of what a feed that is late makes doubtful."""

    SHARES = 1
    """Positions and all that is made of them: nothing is approved without a person."""
    MONEY = 2
    """Prices and values."""
    REFERENCE = 4
    """Names, identifiers, who a book belongs to."""
    STATEMENTS = 8
    """What custodians have stated: breaks against them may be none, and others may not be seen."""


class Classification(IntEnum):
    """What sort of instrument a security is."""

    UNKNOWN = 0
    EQUITY = 1
    ETF = 2
    DEPOSITARY_RECEIPT = 3
    PREFERRED = 4
    BOND = 5
    RIGHT = 6


class Fact(IntEnum):
    """Numbers of a security, not of its rows, that calculations may use: int64, 0 where unknown."""

    PRICE = 0
    """Millionths of the security's currency."""
    FX = 1
    """Billionths of the reporting currency for one unit of the security's."""
    FEE = 2
    """Borrow fee, millionths a year."""
    DAY_COUNT = 3
    """Days of an interest year in the security's currency."""
    VOLUME_30D = 4
    """Average shares traded a day."""
    OUTSTANDING = 5
    """Shares issued."""
    CLOSE = 6
    """The last official close, millionths of the security's currency."""
    NAV = 7
    """Net asset value of a fund's unit, as its administrator publishes it; millionths."""
    INAV = 8
    """The same as it is estimated during the day; millionths."""
    VOLATILITY = 9
    """Millionths a year."""


class Clock(IntEnum):
    """What the time of day decides for a market, per ladder day: 1 or 0."""

    LENDING_OPEN = 0
    """Stock can still be lent for that day."""


class Decided(IntEnum):
    """Quantities that decisions hold, not rows."""

    SHORT_LOCATES = 0
    """Decrements of live short locates."""
    LONG_LOCATES = 1
    APPROVED_SHORT_LOCATES = 2
    """Approved quantities, whole."""
    APPROVED_LONG_LOCATES = 3
    OPEN_LONG_SELLS = 4
    """Approved long sells, not yet executed."""
    SHORT_SELLS = 5
    """Approved short sells that were not cancelled; executed ones stay counted."""
    BREAKS = 6
    """Shares that people keep out of what is available until a break is solved."""


class Op(IntEnum):
    """What an event does to its row (domain.md 2)."""

    BUY = 0
    SELL = 1
    SHORT_SELL = 2
    INCREASE = 3
    """A contract, or a start-of-day receipt: like a buy, outside the intraday sums."""
    DECREASE = 4
    """A return, or a start-of-day delivery: like a sell, outside the intraday sums."""
    SETTLE_RECEIPT = 5
    SETTLE_DELIVERY = 6
    SET = 7
    """Replace the row: td = sd = quantity, the ladder and intraday sums empty."""
    SET_HYPOTHECATABLE = 8
    SET_HYPOTHECATED = 9
    SET_SEGREGATED = 10
    SET_RESERVED = 11
    SET_CA_PENDING = 12
    RESET_BOOK = 13
    """Empty every row of the book: the first event of its start-of-day snapshot."""
    PRICE = 14
    """The security's price, in millionths of its currency; no row is touched."""
    SET_RATE = 15
    """What a contract row costs, ten-thousandths of a percent a year."""
    SET_TD = 16
    """Replace the contractual quantity alone, as a start of day states it."""
    CLOSE = 17
    """What follows, like `PRICE`, is a number of the security: `QUOTES` says which."""
    NAV = 18
    INAV = 19
    VOLATILITY = 20


QUOTES: Final = {
    Op.PRICE: Fact.PRICE,
    Op.CLOSE: Fact.CLOSE,
    Op.NAV: Fact.NAV,
    Op.INAV: Fact.INAV,
    Op.VOLATILITY: Fact.VOLATILITY,
}
"""Operations that name a security and no book: their quantity replaces this fact."""


class DealAction(IntEnum):
    """A step in the life of something that is agreed and has an id: a contract, a swap, an order."""

    OPEN = 0
    INCREASE = 1
    RECALL = 2
    """The lender, or whoever has the right, asks for it back: expected on the due date."""
    RETURN = 3
    """Given back, or an order's fill; what was recalled is returned first."""
    RERATE = 4
    CLOSE = 5
    """All that is left is given back, or cancelled."""
    CANCEL = 6
    """It never was: everything it did is undone."""


class DealState(IntEnum):
    """Where a deal is in its life."""

    OPEN = 1
    CLOSED = 2
    CANCELLED = 3


class CounterpartyKind(IntEnum):
    """What a counterparty is to us."""

    UNKNOWN = 0
    CLIENT = 1
    LENDER = 2
    BROKER = 3
    CUSTODIAN = 4
    ENTITY = 5
    """A legal entity of our own."""


class UnitType(IntEnum):
    """What an aggregation unit may be (domain.md 1)."""

    NET = 0
    LONG = 1
    SHORT = 2


@dataclass(frozen=True, slots=True)
class KindAttributes:
    """The attributes a rule's condition may ask for, of one kind of row."""

    position_type: str
    external_kind: str = ""
    reusable: bool = False
    recall_days: int = 0


class Kind(IntEnum):
    """A position type refined by the attributes that decide which terms its rows feed."""

    CLIENT_SEGREGATED = 0
    CLIENT_FREE = 1
    FIRM = 2
    SYNTHETIC = 3
    REPO_RECEIVED = 4
    REPO_RECEIVED_LOCKED = 5
    SLAB_BORROW = 6
    SLAB_LOAN = 7
    PAY_TO_HOLD = 8
    EXTERNAL_EXCLUSIVE = 9
    EXTERNAL_FIRM = 10
    EXTERNAL_INDICATIVE = 11
    DEPOT = 12
    REPO_PLEDGE_0 = 13
    REPO_PLEDGE_1 = 14
    REPO_PLEDGE_2 = 15
    REPO_PLEDGE_3 = 16
    REPO_PLEDGE_4 = 17
    REPO_PLEDGE_5 = 18
    """A pledge that takes five days or more to call back."""
    OPEN_ORDER = 19
    """Working orders: what is to be bought is a receipt, what is to be sold a delivery, on the day it would settle."""
    SWAP_PLEDGE_0 = 20
    SWAP_PLEDGE_1 = 21
    SWAP_PLEDGE_2 = 22
    SWAP_PLEDGE_3 = 23
    SWAP_PLEDGE_4 = 24
    SWAP_PLEDGE_5 = 25


def _attributes(kind: Kind) -> KindAttributes:
    name = kind.name
    if name.startswith("EXTERNAL_"):
        return KindAttributes("EXTERNAL", external_kind=name.removeprefix("EXTERNAL_"))
    if name.startswith("REPO_RECEIVED"):
        return KindAttributes("REPO_RECEIVED", reusable=kind == Kind.REPO_RECEIVED)
    if "_PLEDGE_" in name:
        return KindAttributes(name[:-2], recall_days=int(name[-1]))
    return KindAttributes(name)


KIND_ATTRIBUTES: Final = tuple(_attributes(kind) for kind in Kind)


def _stock(attributes: KindAttributes) -> int:
    if attributes.position_type in ("FIRM", "CLIENT_FREE", "CLIENT_SEGREGATED", "SLAB_BORROW", "REPO_RECEIVED"):
        return 1
    return -1 if attributes.position_type in ("SLAB_LOAN", "REPO_PLEDGE") else 0


STOCK: Final = tuple(_stock(attributes) for attributes in KIND_ATTRIBUTES)
"""By kind: 1 for rows whose settled stock lies in their depot, -1 for those whose stock has left it, 0 for others."""


@dataclass(frozen=True, slots=True)
class Market:
    """One market as data (assets/markets.yaml); its index in the tuple is `SECURITY.market`."""

    code: str
    calendar: str
    time_zone: str
    currency: str
    close: str
    settle_days: int
    roll: str = "00:00"
    """When its business day begins, in its own time."""
    lending_cutoff: str | None = None
    """Until when stock can be lent for the same day, in its own time; None: all day."""
    two_people: bool = False
    """Whether who asks for a locate may not approve it by hand."""
    stale_halts: bool = False
    """Whether nobody approves on late inputs, not by hand either."""
    quanto_days: int = 0
    """By how many days a quanto trade dated for the next day settles later."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The limits of the tables, fixed at start."""

    securities: int = 50_000
    books: int = 2_000
    depots: int = 1_000
    sources: int = 64
    rows: int = 2_000_000
    deals: int = 200_000
    """Contracts, swaps and orders that are open, or were today."""
    counterparties: int = 2_000
    units: int = 500
    """Aggregation units."""
    components: int = 48
    """Sums over rows that the rules may need."""
    calculations: int = 32

    def __post_init__(self) -> None:
        limits = {
            "securities": (2**23, self.securities),
            "books": (2**16, self.books),
            "depots": (2**16, self.depots),
            "sources": (2**16, self.sources),
            "rows": (2**30, self.rows),
            "deals": (2**30, self.deals),
            "counterparties": (2**16, self.counterparties),
            "units": (2**16, self.units),
            "components": (65, self.components),
            "calculations": (65, self.calculations),
        }
        for name, (limit, value) in limits.items():
            if not 0 < value < limit:
                raise ValueError(f"capacity of {name} must be between 1 and {limit - 1:,}, not {value:,}")


def row_key(security: int, book: int, depot: int, kind: int) -> int:
    """The row's identity in 64 bits: security 24, book 16, depot 16, kind 8. Ids start at 1, so a key is never 0."""
    return (security << 40) | (book << 24) | (depot << 8) | kind
