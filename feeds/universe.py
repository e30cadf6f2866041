"""A believable universe: securities of several markets, clients, books, depots and aggregation units, all invented.

The same (markets, listings, count, seed, today) gives the same universe. Where a published availability file is given, its
securities take the place of the simulated ones of their market.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import PRICE_UNIT, RATE_UNIT, Classification, Market, SecurityFlag, Temperature
from engine.records import BOOK, CURRENCY, NAMED, SECURITY
from feeds import availability, reference
from feeds.availability import Snapshot
from feeds.identifiers import CONSONANTS_AND_DIGITS, Text, figi, isin, joined, scattered, sedol, written
from feeds.temperature import temperature_of
from feeds.universe_listing import Listing, country, identified, listings_of, price_steps, shares
from feeds.universe_names import clients, companies, flavour_of

FEE_MAX: Final = 80
"""The dearest simulated borrow, percent a year."""
_GC_FEES: Final = ((0.25, 0.52), (0.30, 0.22), (0.35, 0.10), (0.40, 0.08), (0.50, 0.08))
"""Percent a year, and which part of general collateral pays it."""
_ABOVE_GC: Final = ((0.50, 1.0, 0.05), (1.0, 5.0, 0.09), (5.0, FEE_MAX, 0.06))
"""From, to (percent a year), and which part of all securities lies there, evenly on a logarithmic scale."""
_RESTRICTED: Final = 0.004
_UNUSUAL: Final = 1.8
"""The power by which a fee's rank leans away from the most traded securities."""
_TRADE_USD: Final = 15_000
_LARGEST_USD: Final = 2e12
_SMALLEST_SHARES: Final = 5_000_000
_STRAYS: Final = 64
_STRAY_BOOKS: Final = 16
FX_UNIT: Final = 1_000_000_000
"""What one unit of the reporting currency is worth."""
_CLASSES: Final = {
    Classification.EQUITY: 0.86,
    Classification.ETF: 0.08,
    Classification.DEPOSITARY_RECEIPT: 0.04,
    Classification.PREFERRED: 0.02,
}
_TURNOVER: Final = 0.003
"""The part of a company's shares that changes hands on a usual day."""
_EVENTS: Final = 0.25
"""The part of securities with a dividend or corporate action within the next `_EVENT_DAYS` days."""
_EVENT_DAYS: Final = 60


class Role(IntEnum):
    """What a book is for."""

    MARGIN = 0
    CASH = 1
    FIRM = 2
    SLAB = 3
    REPO = 4
    LENDER = 5
    CUSTODIAN = 6
    """What a depot states lies there."""
    AGENT = 7
    """What an agent states of collateral that he keeps for both sides."""


_CODES: Final = {
    Role.MARGIN: ("B", 330),
    Role.CASH: ("C", 110),
    Role.FIRM: ("F", 80),
    Role.SLAB: ("SLAB", 24),
    Role.REPO: ("REPO", 24),
    Role.LENDER: ("LEND", 32),
}
"""How the books of a role are called, and how many there are."""
_CLIENTS: Final = 140
AGENTS: Final = ("TRIPARTY-1", "TRIPARTY-2")
"""With whom lies what is received as collateral: of a security always with the same one."""
_UNITS: Final = {Role.MARGIN: "SHORT", Role.CASH: "LONG", Role.FIRM: "NET", Role.SLAB: "SHORT", Role.REPO: "NET"}


@dataclass(frozen=True, slots=True)
class Universe:
    """Reference data as the engine's records, and what a simulator needs besides. Arrays run over securities."""

    markets: tuple[Market, ...]
    currencies: NDArray[np.void]
    securities: NDArray[np.void]
    price: NDArray[np.int64]
    """In PRICE_UNIT, a multiple of `step`."""
    step: NDArray[np.int64]
    lot: NDArray[np.int64]
    outstanding: NDArray[np.int64]
    """Shares issued."""
    trade: NDArray[np.int64]
    """Shares of a usual trade, whole lots."""
    popularity: NDArray[np.float64]
    """Zipf's; sums to 1."""
    snapshot: Snapshot | None
    """The published availability whose securities are the last ones here."""
    books: NDArray[np.void]
    role: NDArray[np.uint8]
    home: NDArray[np.uint8]
    """The market that a book is of; client books and lenders deal in all markets."""
    depots: NDArray[np.void]
    depot_of: NDArray[np.int32]
    """Shape (markets, 2): a market's own depot, and where else its stock lies."""
    custody: NDArray[np.int32]
    """Of each depot the book in which its statements are kept."""
    strays: Text
    """Well-formed codes that nobody has reference data for."""
    stray_books: Text

    @property
    def agency(self) -> NDArray[np.int32]:
        """Of each agent the book in which his statements are kept."""
        return np.flatnonzero(self.role == Role.AGENT).astype(np.int32)

    @property
    def published(self) -> int:
        """The first security whose external availability a snapshot gives; it is so for all that follow."""
        return int(self.securities.size) - (0 if self.snapshot is None else self.snapshot.size)

    @property
    def fund(self) -> NDArray[np.bool_]:
        """Which securities are units of a fund."""
        return np.asarray(self.securities["classification"] == Classification.ETF)

    @property
    def volatility(self) -> NDArray[np.int64]:
        """Millionths a year: the less a security is traded, the more."""
        rank = np.argsort(np.argsort(-self.popularity))
        return np.asarray(150_000 + 450_000 * rank // max(1, rank.size), np.int64)

    def reference(self) -> list[reference.Record]:
        """Everything as records of the reference topic, without the sources of events."""
        records: list[reference.Record] = [
            reference.Currency(code.decode(), day_count, fx) for code, day_count, fx in self.currencies.tolist()
        ]
        records.extend(reference.securities(self.securities, self.markets))
        records.extend(reference.Book(*(field.decode() for field in row)) for row in self.books.tolist())
        records.extend(reference.Depot(*(field.decode() for field in row)) for row in self.depots.tolist())
        return records


def build(
    markets: Sequence[Market],
    listings: Mapping[str, Listing],
    count: int,
    seed: int,
    snapshot: Snapshot | None = None,
    today: int = 0,
) -> Universe:
    """About `count` securities; a snapshot's take the place of those simulated for the market that is published.

    `listings` by code of market, that of all others under "". `today` in days since 1970; without it no dividend and no
    corporate action is known.
    """
    random = np.random.default_rng([seed, 1])
    manners = listings_of(markets, listings)
    per_market = shares(manners, count)
    published = [] if snapshot is None else [_published(manners, snapshot, per_market)]
    sedols = sedol(joined("B", written(scattered(count, 31**5, int(random.integers(31**5))), CONSONANTS_AND_DIGITS, 5)))
    ends = np.cumsum(per_market)
    parts = [
        _listed(market, manner, index, sedols[end - n : end], random)
        for index, (market, manner, n, end) in enumerate(zip(markets, manners, per_market, ends, strict=True))
        if n
    ]
    simulated = np.concatenate([np.empty(0, SECURITY), *parts])
    if simulated.size:
        bodies = written(scattered(simulated.size, 31**6, int(random.integers(31**6))), CONSONANTS_AND_DIGITS, 6)
        simulated["figi"] = figi(joined("BBG00", bodies))
    rank = _ranks(np.concatenate([simulated["market"], *(part["market"] for part in published)]), manners, random)
    _rate(simulated, rank[: simulated.size], manners, random)
    made = _priced(tuple(markets), manners, np.concatenate([simulated, *published]), rank, snapshot, random)
    _characterise(made, manners, np.random.default_rng([seed, 3]), today)
    return made


def _published(manners: Sequence[Listing], snapshot: Snapshot, per_market: NDArray[np.int64]) -> NDArray[np.void]:
    """The snapshot's securities; none are left to simulate for their market."""
    market = next((index for index, manner in enumerate(manners) if manner.published), 0)
    per_market[market] = 0
    return snapshot.securities(market)


def _listed(market: Market, manner: Listing, index: int, sedols: Text, random: np.random.Generator) -> NDArray[np.void]:
    """One market's securities with names, tickers and identifiers."""
    start = int(random.integers(10**5))
    flavour = flavour_of(manner.names)
    series, within = np.divmod(np.arange(sedols.size), flavour.names)
    numbers = series * flavour.names + (within * (2**31 - 1) + start) % flavour.names
    names = companies(flavour, numbers.tolist())
    codes = identified(market.code, manner, names, sedols, start)
    made = np.zeros(sedols.size, SECURITY)
    made["code"] = made["isin"] = codes.isin
    made["ticker"], made["cusip"], made["country"] = codes.ticker, codes.cusip, codes.country
    made["sedol"] = sedols
    made["name"] = [name.encode() for name in names]
    made["currency"] = market.currency.encode()
    made["market"] = index
    return made


def _ranks(market: NDArray[np.uint8], manners: Sequence[Listing], random: np.random.Generator) -> NDArray[np.int64]:
    """The place of every security in the order of trading, from 0; the larger markets lead."""
    lead = np.array([manner.lead for manner in manners])[market]
    order = np.argsort(random.random(market.size) / lead, kind="stable")
    rank = np.empty(market.size, np.int64)
    rank[order] = np.arange(market.size)
    return rank


def _rate(
    securities: NDArray[np.void], rank: NDArray[np.int64], manners: Sequence[Listing], random: np.random.Generator
) -> None:
    """Borrow fees, most of them general collateral, with temperatures and rebates that follow from them."""
    count = securities.size
    values, parts = np.array(_GC_FEES).T
    fee = random.choice(values, count, p=parts / parts.sum())
    # the unusual fees fall rarely on what everybody trades
    place = (rank / max(1, count - 1)) ** (1 / _UNUSUAL) * 0.5 + random.random(count) * 0.5
    order = np.argsort(-place, kind="stable")
    end = 0
    for low, high, part in reversed(_ABOVE_GC):
        chosen = order[end : end + round(part * count)]
        end += chosen.size
        fee[chosen] = np.exp(random.uniform(np.log(low), np.log(high), chosen.size))
    securities["fee"] = np.rint(fee * RATE_UNIT).astype(np.int32)
    base = np.array([manner.rate for manner in manners])[securities["market"]]
    securities["rebate"] = np.rint(base * RATE_UNIT).astype(np.int32) - securities["fee"]
    securities["temperature"] = temperature_of(securities["fee"])
    restricted = random.random(count) < _RESTRICTED
    securities["temperature"][restricted] = Temperature.RESTRICTED


def _priced(
    markets: tuple[Market, ...],
    manners: Sequence[Listing],
    securities: NDArray[np.void],
    rank: NDArray[np.int64],
    snapshot: Snapshot | None,
    random: np.random.Generator,
) -> Universe:
    """Prices, sizes and popularity, and then the books and depots."""
    count, market = securities.size, securities["market"]
    median, usd = (np.array([getattr(manner, name) for manner in manners])[market] for name in ("price", "usd"))
    price = median * np.exp(random.normal(0, 0.95, count))
    step, lot = np.ones(count, np.int64), np.ones(count, np.int64)
    for index, manner in enumerate(manners):
        here = market == index
        step[here] = price_steps(manner, price[here])
        lot[here] = random.choice(np.array(manner.lots), int(np.count_nonzero(here)))
    capital = _LARGEST_USD / (1 + rank) ** 0.95
    outstanding = np.maximum(_SMALLEST_SHARES, capital / (price * usd)).astype(np.int64)
    popularity = 1.0 / (1 + rank)
    depots, depot_of = _depots(manners)
    books, role, home = _books(markets, manners, depots["code"].tolist())
    return Universe(
        markets=markets,
        currencies=_currencies(markets, manners),
        securities=securities,
        price=np.maximum(1, np.rint(price * PRICE_UNIT / step).astype(np.int64)) * step,
        step=step,
        lot=lot,
        outstanding=outstanding,
        trade=lot * np.clip(_TRADE_USD / (price * usd * lot), 1, 100_000).astype(np.int64),
        popularity=popularity / popularity.sum(),
        snapshot=snapshot,
        books=books,
        role=role,
        home=home,
        depots=depots,
        depot_of=depot_of,
        custody=np.flatnonzero(role == Role.CUSTODIAN).astype(np.int32),
        strays=isin(joined(country(markets[0].code), written(scattered(_STRAYS, 10**7, 4_711), "0123456789", 7), "XX")),
        stray_books=np.array([f"NEW{number + 1:03d}" for number in range(_STRAY_BOOKS)], "S24"),
    )


def _characterise(made: Universe, manners: Sequence[Listing], random: np.random.Generator, today: int) -> None:
    """What rules may ask of a security besides: its kind, turnover, next event, and lists it is on."""
    securities, market = made.securities, made.securities["market"]
    count = securities.size
    securities["classification"] = random.choice(list(_CLASSES), count, p=list(_CLASSES.values()))
    securities["outstanding"] = made.outstanding
    securities["volume_30d"] = np.maximum(made.lot, made.outstanding * _TURNOVER * random.lognormal(0, 0.8, count))
    for flag, parts in (
        (SecurityFlag.DESIGNATED, [manner.designated for manner in manners]),
        (SecurityFlag.THRESHOLD, [manner.threshold for manner in manners]),
    ):
        securities["flags"][random.random(count) < np.array(parts)[market]] |= int(flag)
    has_event = random.random(count) < _EVENTS
    after = random.integers(1, _EVENT_DAYS, count, endpoint=True)
    if today:
        securities["event_date"] = np.where(has_event, today + after, 0)


def _currencies(markets: Sequence[Market], manners: Sequence[Listing]) -> NDArray[np.void]:
    """The currencies of the markets, once each; a dollar is the unit of what they are worth."""
    known = {
        market.currency: (market.currency.encode(), manner.day_count, round(manner.usd * FX_UNIT))
        for market, manner in zip(markets, manners, strict=True)
    }
    return np.array(list(known.values()), CURRENCY)


def unit_of(role: Role, market: str, number: int) -> str:
    """The aggregation unit of a book of that role and number in a market; "" where it has none."""
    return f"{market}-{_UNITS[role]}-{number % 3 + 1}" if role in _UNITS else ""


def _depots(manners: Sequence[Listing]) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """All depots once, and which two are each market's."""
    named: dict[str, str] = {}
    pairs = []
    for manner in manners:
        own, other = manner.depots[0], manner.depots[-1]
        named |= {own.code: own.name, other.code: other.name}
        pairs.append((own.code, other.code))
    codes = list(named)
    depots = np.array([(code.encode(), name.encode()) for code, name in named.items()], NAMED)
    return depots, np.array([[codes.index(code) for code in pair] for pair in pairs], np.int32)


def _books(
    markets: Sequence[Market], manners: Sequence[Listing], depots: Sequence[bytes]
) -> tuple[NDArray[np.void], NDArray[np.uint8], NDArray[np.uint8]]:
    """Books with their client or desk, legal entity and aggregation unit; their roles and markets."""
    funds = clients(_CLIENTS)
    rows, roles, homes = [], [], []
    for role, (prefix, count) in _CODES.items():
        for number in range(count):
            home = number % len(markets)
            market = markets[home].code
            entity = manners[home].entity
            client = funds[number * 11 % _CLIENTS] if role in (Role.MARGIN, Role.CASH) else entity
            unit = unit_of(role, market, number)
            code = f"{prefix}-{market}-{number // len(markets) + 1}" if len(prefix) > 1 else f"{prefix}{number + 1:04d}"
            rows.append((code.encode(), client.encode(), entity.encode(), unit.encode()))
            roles.append(role)
            homes.append(home)
    rows.append((availability.BOOK.encode(), b"", b"", b""))
    rows.extend((b"CUST-" + depot, b"", b"", b"") for depot in depots)
    rows.extend((f"AGENT-{agent}".encode(), agent.encode(), b"", b"") for agent in AGENTS)
    roles.extend([Role.LENDER, *[Role.CUSTODIAN] * len(depots), *[Role.AGENT] * len(AGENTS)])
    homes.extend([0] * (1 + len(depots) + len(AGENTS)))
    return np.array(rows, BOOK), np.array(roles, np.uint8), np.array(homes, np.uint8)
