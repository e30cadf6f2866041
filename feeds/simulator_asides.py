"""What happens beside the events of the simulated day: rates, requests for locates, reference data that changes or comes late.

None of it is numbered. A block of events has its own, made of the seed and the block's number; the time is that of sending.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from engine.model import RATE_UNIT, Temperature
from feeds import reference
from feeds.master_records import BasketKind, Component, Composition
from feeds.reference import Book, Security
from feeds.simulator_routes import Route
from feeds.universe import FX_UNIT, Role, Universe

_EPOCH: Final = dt.date(1970, 1, 1)
_STAMPED: Final = (Route.FX, Route.CORPORATE_ACTIONS)
_RATES: Final = 12
"""Of each block; so with what follows."""
_REQUESTS: Final = 2
_RATED_ANEW: Final = 1
_ANNOUNCED_EVERY: Final = 8
_EXPLAINED_EVERY: Final = 16
"""Blocks until one of the codes that nobody knew is explained."""
WAITING: Final = 4
"""Of the codes that will be explained, so many are in use at a time; as many are never explained."""
VENDORS: Final = ("VENDOR-A", "VENDOR-B")
_CONFLICTS: Final = 3
_VENDED: Final = 0.02
"""The part of securities that vendors speak of, too."""
_BASKETS: Final = 24
_MEMBERS: Final = 20


@dataclass(frozen=True, slots=True)
class Aside:
    """A record without a number: `fields` of it, to which `ts` is added where the feed has one."""

    route: Route
    key: str
    fields: dict[str, Any]

    def value(self, now_ns: int) -> bytes:
        """As it is sent."""
        stamped = self.fields | {"ts": now_ns} if self.route in _STAMPED else self.fields
        return msgspec.json.encode(stamped)


@dataclass(frozen=True, slots=True)
class Known:
    """Which stray securities (`first`..`last`) and books are explained by a block."""

    securities: range
    books: range


class Asides:
    """Made block by block, in order."""

    def __init__(self, universe: Universe, seed: int, now_day: int) -> None:
        self._universe, self._seed, self._today = universe, seed, now_day
        self._popular = np.cumsum(universe.popularity)
        self._fx = universe.currencies["fx"].astype(np.float64)
        margin = universe.books["client"][universe.role == Role.MARGIN]
        self._clients = sorted({code.decode() for code in margin.tolist()})
        self._versions: dict[int, int] = {}

    def explained(self, block: int) -> Known:
        """The strays that become known after that block."""
        turn, last = divmod(block + 1, _EXPLAINED_EVERY)
        count = 1 if last == 0 and turn > 0 else 0
        at = turn - 1
        securities = range(at, at + count) if at < self._universe.strays.size // 2 else range(0)
        books = range(at, at + count) if at < self._universe.stray_books.size // 2 else range(0)
        return Known(securities, books)

    def strays(self, block: int, count: int, random: np.random.Generator, total: int) -> np.ndarray[Any, Any]:
        """Which of `total` unknown codes are named in that block: some that will be explained, some that will not."""
        first = min(block // _EXPLAINED_EVERY, total // 2)
        soon = np.arange(first, min(first + WAITING, total // 2))
        return random.choice(np.concatenate([soon, np.arange(total - WAITING, total)]), count)

    def of(self, block: int) -> Iterator[Aside]:
        """Everything beside that block."""
        random = np.random.default_rng([self._seed, 5, block])
        yield from self._rates(random)
        for at in np.searchsorted(self._popular, random.random(_REQUESTS)).clip(0, self._popular.size - 1).tolist():
            yield self._request(at, random)
        for at in random.integers(0, self._popular.size, _RATED_ANEW).tolist():
            yield self._rerated(at, random)
        if block % _ANNOUNCED_EVERY == 0:
            yield self._announced(int(random.integers(0, self._popular.size)), block, random)
        known = self.explained(block)
        for at in known.securities:
            code = self._universe.strays[at].decode()
            market = self._universe.markets[0]
            yield _of(
                Security(
                    code, f"NEW{at}", code, name=f"LATE LISTING {at + 1}", currency=market.currency, market=market.code
                )
            )
        for at in known.books:
            yield _of(Book(self._universe.stray_books[at].decode(), self._clients[at % len(self._clients)]))

    def _rates(self, random: np.random.Generator) -> Iterator[Aside]:
        for at in random.integers(0, self._fx.size, _RATES).tolist():
            code = self._universe.currencies["code"][at].decode()
            if self._fx[at] != FX_UNIT:
                self._fx[at] *= 1 + 1e-4 * random.standard_normal()
            yield Aside(Route.FX, code, {"code": code, "fx": round(self._fx[at])})

    def _request(self, at: int, random: np.random.Generator) -> Aside:
        client, code = str(random.choice(self._clients)), self._universe.securities["code"][at].decode()
        quantity = int(self._universe.trade[at]) * int(random.integers(1, 10))
        fields = {"security": code, "client": client, "quantity": quantity, "requested_by": "simulator"}
        return Aside(Route.LOCATES, code, fields)

    def _rerated(self, at: int, random: np.random.Generator) -> Aside:
        """A security becomes a little harder, or easier, to borrow."""
        record = self._universe.securities[at : at + 1].copy()
        record["fee"] = max(1, int(record["fee"][0] * random.uniform(0.8, 1.3))) if record["fee"][0] > 0 else RATE_UNIT
        if record["temperature"][0] in (Temperature.GC, Temperature.WARM):
            record["temperature"] = random.choice([Temperature.GC, Temperature.WARM])
        self._versions[at] = self._versions.get(at, 0) + 1
        return _of(reference.securities(record, self._universe.markets)[0])

    def _announced(self, at: int, block: int, random: np.random.Generator) -> Aside:
        day = _EPOCH + dt.timedelta(days=self._today + int(random.integers(2, 40)))
        code = self._universe.securities["code"][at].decode()
        fields = {"type": "announcement", "src": "announcements", "seq": block // _ANNOUNCED_EVERY + 1}
        return Aside(Route.CORPORATE_ACTIONS, code, fields | {"sec": code, "event_date": day, "event": "DIVIDEND"})


def vendors(universe: Universe) -> list[reference.Record]:
    """What two vendors say of some securities: mostly the same, of a few another CUSIP or SEDOL."""
    every = max(1, round(1 / _VENDED))
    records = universe.securities[::every].copy()
    said: list[reference.Record] = []
    for vendor, name in enumerate(VENDORS):
        other = records.copy()
        if vendor:
            # each of the first few is given the number of the next one: well formed, and wrong
            other["sedol"][:_CONFLICTS] = np.roll(records["sedol"], -1)[:_CONFLICTS]
        said += [
            msgspec.structs.replace(security, source=name, version=1, fee=None, rebate=None, temperature="UNKNOWN")
            for security in reference.securities(other, universe.markets)
        ]
    return said


def baskets(universe: Universe) -> list[reference.Record]:
    """What some funds hold, for their price and for their creation."""
    made: list[reference.Record] = []
    random = np.random.default_rng(17)
    for fund in np.flatnonzero(universe.fund)[:_BASKETS].tolist():
        market = universe.securities["market"]
        others = np.flatnonzero((market == market[fund]) & ~universe.fund)
        members = random.choice(others, min(_MEMBERS, others.size), replace=False)
        for kind in BasketKind:
            parts = tuple(
                Component(universe.securities["code"][at].decode(), shares=int(universe.lot[at]) * 10)
                for at in members.tolist()
            )
            made.append(Composition(universe.securities["code"][fund].decode(), kind, parts, unit=50_000))
    return made


def _of(record: reference.Record) -> Aside:
    fields = msgspec.json.decode(reference.encode(record))
    return Aside(Route.REFERENCE, f"{fields['type']}:{fields['code']}", fields)
