"""Start of day of the simulated world: who holds, owes, has lent, pledged, ordered, offers and states how much, row by row."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import RATE_UNIT, RATE_UNKNOWN, STOCK, Kind, Temperature
from feeds import availability
from feeds.universe import Role, Universe

ROW: Final = np.dtype(
    [
        ("quantity", "<i8"),
        ("hypothecatable", "<i8"),
        ("reserved", "<i8"),
        ("due", "<i8"),
        ("hypothecated", "<i8"),
        ("segregated", "<i8"),
        ("ca_pending", "<i8"),
        ("td_break", "<i8"),
        ("ref", "<i8"),
        ("security", "<i4"),
        ("book", "<i4"),
        ("depot", "<i4"),
        ("rate", "<i4"),
        ("due_day", "u1"),
        ("kind", "u1"),
        ("ended", "u1"),
    ]
)
"""One row of the position table at start of day: settled shares, and `due` to be received (or, negative, delivered)
on the business day `due_day` from today. Security, book and depot are indices of the universe; `rate` is a contract's, in
RATE_UNIT, 0 where nobody has said it; `td_break` is by how much the source's contractual quantity is off; `ref` the row's
number from 1, which is also its deal's where it is one; `ended` is 1 for a contract whose last day is over. A swap is settled
shares that are all due on its expiry; an open order is nothing but what will be due."""
Rows = NDArray[np.void]

_USUAL: Final = 1e-4
"""The part of a company's shares that a usual position holds."""
_OTHER_DEPOT: Final = 0.08
_SHORT: Final = {Role.MARGIN: (0.28, 0.55), Role.FIRM: (0.22, 0.30)}
"""How many of a role's positions are short: in general collateral, and in what is hard to borrow."""
_RESERVED: Final = 0.05
"""The part of clients' long positions of which some is reserved for them."""
_LOCKED: Final = 0.2
"""The part of stock received as collateral that may not be used again."""
_DUE: Final = 1 / 7
"""The part of rows of which something is still to settle."""
_HYPOTHECATED: Final = 0.3
"""The part of clients' usable positions of which some has been used."""
_UNRATED: Final = 0.1
"""The part of contracts of which nobody has said what they cost."""
_BROKEN: Final = 0.002
"""The part of positions whose contractual quantity a source states wrongly."""
_MISSTATED: Final = 0.003
"""The part of custodians' statements that do not agree with the books."""
_EARLY: Final = 0.01
"""The part of statements in which a movement stands that has not settled with us."""
_OFF_AGREED: Final = 0.02
"""The part of collateral of which its agent states something else than is agreed."""
_ENDED: Final = 0.01
"""The part of what is received as collateral that should have been given back, and was not."""
_LEAST: Final = 2
"""Of what is seldom there are so many, however small the world is."""
_DAYS_TO_RECALL: Final = 6
_STOCK: Final = np.array(STOCK, np.int64)
EXPIRY_DAYS: Final = 15
"""A swap runs for at most so many business days."""
_ORDERED: Final = 0.06
"""The part of positions for which the book has an order in the market."""
_SELLS: Final = 0.5
_ENTITLED: Final = 0.3
"""The part of long positions in a security with a corporate action soon of which some is due to be given away."""
_SOON_DAYS: Final = 10
_USUAL_FEE: Final = int(0.3 * RATE_UNIT)
"""What is borrowed costs where no fee is known."""


@dataclass(frozen=True, slots=True)
class _Maker:
    """The universe, its random numbers, and what is picked and sized from them."""

    universe: Universe
    random: np.random.Generator
    weight: NDArray[np.float64]
    """How likely a position is in a security: half by popularity, half anything."""

    def securities(self, part: float) -> NDArray[np.int64]:
        """`part` x securities picks, popular ones more often."""
        count = round(part * self.weight.size)
        return np.searchsorted(np.cumsum(self.weight), self.random.random(count)).clip(0, self.weight.size - 1)

    def sized(self, security: NDArray[np.int64], part: float = _USUAL) -> NDArray[np.int64]:
        """Whole lots around that part of the shares issued."""
        lot = self.universe.lot[security]
        shares = self.universe.outstanding[security] * part * self.random.lognormal(0, 1, security.size)
        return np.maximum(1, np.rint(shares / lot)).astype(np.int64) * lot

    def lots(self, security: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """Whole lots not above `shares`."""
        lot = self.universe.lot[security]
        return np.asarray(np.maximum(0, shares).astype(np.int64) // lot * lot)

    def rows(self, role: Role, kind: Kind | NDArray[np.uint8], security: NDArray[np.int64]) -> Rows:
        """Empty rows in books of the role; desks hold what is listed on their own market."""
        universe, random = self.universe, self.random
        market = universe.securities["market"][security].astype(np.int64)
        made = np.zeros(security.size, ROW)
        made["security"], made["kind"] = security, kind
        books = np.flatnonzero((universe.role == role) & (universe.books["code"] != availability.BOOK.encode()))
        made["book"] = random.choice(books, security.size)
        if role in (Role.FIRM, Role.SLAB, Role.REPO):
            for home in range(len(universe.markets)):
                here = market == home
                made["book"][here] = random.choice(books[universe.home[books] == home], int(np.count_nonzero(here)))
        made["depot"] = universe.depot_of[market, (random.random(security.size) < _OTHER_DEPOT).astype(np.int64)]
        return made


def opening_rows(universe: Universe, seed: int, today: int = 0) -> Rows:
    """All rows at start of day, at most one for each (security, book, depot, kind); empty ones that trades may fill.

    `today`, in days since 1970, says which corporate actions are near; without it none is.
    """
    random = np.random.default_rng([seed, 2])
    popular = np.sqrt(universe.popularity)
    maker = _Maker(universe, random, 0.5 * popular / popular.sum() + 0.5 / popular.size)
    everything = np.arange(universe.securities.size)
    firm = _traded(maker, Role.FIRM, Kind.FIRM, np.concatenate([everything, maker.securities(0.5)]))
    margin = _traded(maker, Role.MARGIN, Kind.CLIENT_FREE, maker.securities(2.4))
    cash = _traded(maker, Role.CASH, Kind.CLIENT_SEGREGATED, maker.securities(0.75))
    fresh = maker.rows(Role.MARGIN, Kind.CLIENT_FREE, maker.securities(0.4))
    for rows in (firm, margin):
        _entitle(maker, rows, today)
    held = _once(np.concatenate([firm, margin, cash]))
    _break(maker, held)
    contracts = [*_contracts(maker, firm, margin), *_external(maker), *_swaps(maker)]
    rows = _once(np.concatenate([held, *contracts, fresh, _orders(maker, held)]))
    seldom = np.random.default_rng([seed, 7])
    received = np.flatnonzero(rows["kind"] == Kind.REPO_RECEIVED)
    rows["ended"][few(seldom, received, _ENDED)] = 1
    stated = _statements(maker, rows)
    made: Rows = np.concatenate([rows, stated, _agents(universe, rows, seldom)])
    made["ref"] = np.arange(1, made.size + 1)
    return made


def _once(rows: Rows) -> Rows:
    """The first of each (security, book, depot, kind)."""
    _, first = np.unique(keys_of(rows), return_index=True)
    return rows[np.sort(first)]


def keys_of(rows: Rows) -> NDArray[np.int64]:
    """Of each row, or of what acts as one, the same number for the same security, book, depot and kind."""
    return (
        rows["security"].astype(np.int64) << 40
        | rows["book"].astype(np.int64) << 24
        | (rows["depot"].astype(np.int64) + 1) << 8
        | rows["kind"].astype(np.int64)
    )


def _traded(maker: _Maker, role: Role, kind: Kind, security: NDArray[np.int64]) -> Rows:
    """Long and short positions of books that trade, some with trades of the last days still to settle."""
    random, universe = maker.random, maker.universe
    rows = maker.rows(role, kind, security)
    size = maker.sized(security)
    usual, hard = _SHORT.get(role, (0.0, 0.0))
    warm = universe.securities["temperature"][security] > Temperature.GC
    short = random.random(security.size) < np.where(warm, hard, usual)
    rows["quantity"] = np.where(short, -(size // 2 // universe.lot[security] * universe.lot[security]), size)
    if kind == Kind.CLIENT_FREE:
        rows["hypothecatable"] = np.where(short, 0, size * random.uniform(0.6, 1.0, size.size))
        chosen = random.random(size.size) < _RESERVED
        rows["reserved"] = np.where(chosen, rows["hypothecatable"] * random.uniform(0.1, 0.5, size.size), 0)
        chosen = random.random(size.size) < _HYPOTHECATED
        free = rows["hypothecatable"] - rows["reserved"]
        rows["hypothecated"] = np.where(chosen, free * random.uniform(0.2, 0.9, size.size), 0)
    if kind == Kind.CLIENT_SEGREGATED:
        rows["segregated"] = rows["quantity"]
    _add_due(maker, rows, size, both_ways=True)
    return rows


def _add_due(maker: _Maker, rows: Rows, size: NDArray[np.int64], *, both_ways: bool) -> None:
    """One row in seven has up to a third of its size still to settle, in whole lots."""
    random, security = maker.random, rows["security"].astype(np.int64)
    due = maker.lots(security, size * random.uniform(0.05, 0.34, size.size))
    due *= random.random(size.size) < _DUE
    if both_ways:
        due *= random.choice(np.array([1, -1]), size.size)
    settle_days = np.array([market.settle_days for market in maker.universe.markets])
    days = settle_days[maker.universe.securities["market"][security]]
    rows["due"], rows["due_day"] = due, random.integers(0, days, endpoint=True)


def _entitle(maker: _Maker, rows: Rows, today: int) -> None:
    """Stock of long positions that a corporate action of the next days will take."""
    if not today:
        return
    days = maker.universe.securities["event_date"][rows["security"]] - today
    chosen = (days > 0) & (days <= _SOON_DAYS) & (rows["quantity"] > 0) & (maker.random.random(rows.size) < _ENTITLED)
    rows["ca_pending"] = np.where(chosen, rows["quantity"] * maker.random.uniform(0.01, 0.1, rows.size), 0)


def _break(maker: _Maker, rows: Rows) -> None:
    """A trade or two that one side of the house has, and the other has not."""
    random = maker.random
    chosen = np.flatnonzero((random.random(rows.size) < _BROKEN) & (rows["quantity"] != 0))
    sign = random.choice(np.array([1, -1]), chosen.size)
    rows["td_break"][chosen] = (
        sign * maker.universe.trade[rows["security"][chosen]] * random.integers(1, 4, chosen.size)
    )


def _contracts(maker: _Maker, firm: Rows, margin: Rows) -> list[Rows]:
    """Borrows that cover shorts; loans, pledges and held stock out of what is there; stock received as collateral."""
    random, count = maker.random, maker.universe.securities.size
    free, shorts = np.zeros(count), np.zeros(count)
    np.add.at(free, firm["security"], np.maximum(0, firm["quantity"]))
    np.add.at(free, margin["security"], margin["hypothecatable"])
    for rows in (firm, margin):
        np.add.at(shorts, rows["security"], np.maximum(0, -rows["quantity"]))
    uncovered = np.flatnonzero(shorts > 0.4 * free)
    borrow_of = np.concatenate([uncovered, maker.securities(0.08)])
    need = shorts[borrow_of] * random.uniform(0.6, 1.2, borrow_of.size)
    borrowed = maker.rows(Role.SLAB, Kind.SLAB_BORROW, borrow_of)
    borrowed["quantity"] = np.maximum(maker.universe.lot[borrow_of], maker.lots(borrow_of, need))
    made = [borrowed]
    for role, kind, recalls, part, most in (
        (Role.SLAB, Kind.SLAB_LOAN, 1, 0.28, 0.30),
        (Role.REPO, Kind.REPO_PLEDGE_0, _DAYS_TO_RECALL, 0.09, 0.20),
        (Role.REPO, Kind.SWAP_PLEDGE_0, _DAYS_TO_RECALL, 0.05, 0.10),
        (Role.MARGIN, Kind.PAY_TO_HOLD, 1, 0.06, 0.05),
    ):
        security = maker.securities(part)
        rows = maker.rows(role, kind, security)
        rows["kind"] += random.integers(0, recalls, rows.size).astype(np.uint8)
        rows["quantity"] = maker.lots(security, free[security] * random.uniform(0.02, most, security.size))
        made.append(rows[rows["quantity"] > 0])
    security = maker.securities(0.1)
    received = maker.rows(Role.REPO, Kind.REPO_RECEIVED, security)
    received["kind"][random.random(security.size) < _LOCKED] = Kind.REPO_RECEIVED_LOCKED
    received["quantity"] = maker.sized(security)
    for rows, low, high in ((borrowed, 0.7, 1.1), (made[1], 1.0, 1.4)):
        _add_due(maker, rows, rows["quantity"], both_ways=False)
        rate = fees(maker.universe)[rows["security"]] * random.uniform(low, high, rows.size)
        rows["rate"] = np.where(random.random(rows.size) < _UNRATED, 0, rate)
    return [*made, received]


def fees(universe: Universe) -> NDArray[np.int64]:
    """What borrowing costs, by security, in RATE_UNIT."""
    fee = universe.securities["fee"].astype(np.int64)
    return np.where(fee == RATE_UNKNOWN, _USUAL_FEE, np.maximum(0, fee))


def _swaps(maker: _Maker) -> list[Rows]:
    """Clients' swaps of either direction, each with its expiry; they lie in no depot."""
    random, security = maker.random, maker.securities(0.25)
    rows = maker.rows(Role.MARGIN, Kind.SYNTHETIC, security)
    rows["depot"] = -1
    rows["quantity"] = maker.sized(security, 0.5 * _USUAL) * random.choice(np.array([1, 1, -1]), security.size)
    rows["due"] = -rows["quantity"]
    rows["due_day"] = random.integers(0, EXPIRY_DAYS, security.size, endpoint=True)
    return [rows]


def _orders(maker: _Maker, held: Rows) -> Rows:
    """What books have in the market: one order a book and security; nobody offers more than he has, unless he may be short."""
    random, universe = maker.random, maker.universe
    rows = held[random.random(held.size) < _ORDERED]
    _, first = np.unique(rows["security"].astype(np.int64) << 32 | rows["book"], return_index=True)
    rows = rows[np.sort(first)]
    made = np.zeros(rows.size, ROW)
    security = rows["security"].astype(np.int64)
    made["security"], made["book"], made["depot"], made["kind"] = security, rows["book"], -1, Kind.OPEN_ORDER
    settle_days = np.array([market.settle_days for market in universe.markets])
    made["due_day"] = settle_days[universe.securities["market"][security]]
    size = universe.trade[security] * random.integers(1, 8, rows.size, endpoint=True)
    sells = (random.random(rows.size) < _SELLS) & (rows["quantity"] != 0)
    most = np.where(rows["quantity"] > 0, maker.lots(security, rows["quantity"] * 0.5), size)
    made["due"] = np.where(sells, -np.minimum(size, most), size)
    orders: Rows = made[made["due"] != 0]
    return orders


def stock_of(universe: Universe, rows: Rows) -> NDArray[np.int64]:
    """What should lie in each depot of a security's market, its own first: shape (securities, 2), settled shares."""
    stock = np.zeros((universe.securities.size, 2), np.int64)
    market = universe.securities["market"][rows["security"]]
    place = (rows["depot"] != universe.depot_of[market, 0]).astype(np.int64)
    np.add.at(stock, (rows["security"], place), _STOCK[rows["kind"]] * rows["quantity"])
    return stock


def _statements(maker: _Maker, rows: Rows) -> Rows:
    """What custodians say lies with them: what should, but for a few; some have booked already what is still due with us."""
    universe, random = maker.universe, maker.random
    stock = stock_of(universe, rows)
    security, place = np.nonzero(stock > 0)
    made = np.zeros(security.size, ROW)
    made["security"], made["kind"] = security, Kind.DEPOT
    made["depot"] = universe.depot_of[universe.securities["market"][security], place]
    made["book"] = universe.custody[made["depot"]]
    off = universe.trade[security] * (random.random(security.size) < _MISSTATED)
    early = random.random(security.size) < _EARLY
    off = np.where(off == 0, _due(universe, rows)[security, place] * early, off)
    made["quantity"] = np.maximum(0, stock[security, place] + off)
    return made


def _agents(universe: Universe, rows: Rows, random: np.random.Generator) -> Rows:
    """What agents state of collateral: below zero, for we have it of others; what was agreed, but for a few."""
    received = rows[np.isin(rows["kind"], [Kind.REPO_RECEIVED, Kind.REPO_RECEIVED_LOCKED])]
    security, of = np.unique(received["security"], return_inverse=True)
    agreed = np.zeros(security.size, np.int64)
    np.add.at(agreed, of, received["quantity"])
    wrong = few(random, np.arange(security.size), _OFF_AGREED)
    agreed[wrong] += universe.trade[security[wrong]]
    made = np.zeros(security.size, ROW)
    made["security"], made["kind"], made["depot"] = security, Kind.DEPOT, -1
    made["book"] = universe.agency[security % universe.agency.size]
    made["quantity"] = -agreed
    return made


def few(random: np.random.Generator, places: NDArray[np.int64], part: float) -> NDArray[np.int64]:
    """Some of these places, in any order."""
    return random.choice(places, min(places.size, max(_LEAST, round(part * places.size))), replace=False)


def _due(universe: Universe, rows: Rows) -> NDArray[np.int64]:
    """What one row of each security and depot of its market expects: shape (securities, 2), below 0 what goes."""
    moving = rows[(rows["due"] != 0) & (_STOCK[rows["kind"]] != 0)]
    due = np.zeros((universe.securities.size, 2), np.int64)
    market = universe.securities["market"][moving["security"]]
    place = (moving["depot"] != universe.depot_of[market, 0]).astype(np.int64)
    due[moving["security"], place] = _STOCK[moving["kind"]] * moving["due"]
    return due


def _external(maker: _Maker) -> list[Rows]:
    """What lenders offer; a published snapshot speaks for its own securities' indicative stock."""
    universe, made = maker.universe, []
    for kind, part, size in (
        (Kind.EXTERNAL_EXCLUSIVE, 0.12, 1.0),
        (Kind.EXTERNAL_FIRM, 0.30, 1.5),
        (Kind.EXTERNAL_INDICATIVE, 0.85, 4.0),
    ):
        security = maker.securities(part)
        if kind == Kind.EXTERNAL_INDICATIVE:
            security = security[security < universe.published]
        rows = maker.rows(Role.LENDER, kind, security)
        rows["depot"] = -1
        hard = universe.securities["temperature"][security] > Temperature.WARM
        rows["quantity"] = maker.sized(security, size * _USUAL) // np.where(hard, 8, 1)
        made.append(rows)
    return made
