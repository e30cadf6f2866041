"""Two sets of rules over the same rows, calculation by calculation: totals, the securities that change, locates under water."""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.catalogue import CalculationInfo, Catalogue
from engine.impact_reading import Moment
from engine.model import DAYS, HEAD_FACTS, PRICE_UNIT, Decided, Fact, Market
from engine.rule_model import Role, Scope, Show, Unit
from engine.tables import Tables

_FX_UNIT: Final = 10**9
_HIGH: Final = 32
_LOW: Final = np.int64((1 << _HIGH) - 1)
_HELD: Final = (
    ("short", Role.LEFT_SHORT, Decided.SHORT_LOCATES),
    ("long", Role.LEFT_LONG, Decided.LONG_LOCATES),
)
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


class Total(Struct, frozen=True):
    """A calculation over all securities. None: that side does not have it, or a sum of such numbers says nothing.

    `before`, `after`: on the day on which each security shows it (SD0 where it shows all); `days_before`, `days_after`: on
    SD0..SD4. Money is in hundredths of the reporting currency, and in `by_currency` in those of its own. `securities`: in how
    many it changes.
    """

    unit: str
    before: int | None
    after: int | None
    days_before: list[int]
    days_after: list[int]
    securities: int
    by_currency: dict[str, tuple[int, int]]


class Change(Struct, frozen=True):
    """One calculation of a security, on the day on which it changes most."""

    day: int
    before: int
    after: int


class SecurityChange(Struct, frozen=True):
    """What changes in a security: calculations that both sides have, on the days on which they are shown."""

    security: str
    name: str
    market: str
    changes: dict[str, Change]


class UnderWater(Struct, frozen=True):
    """A security whose live locates hold more than would be in its pool; `side`: short or long. On the settlement day."""

    security: str
    name: str
    market: str
    side: str
    remaining_before: int
    remaining_after: int
    located: int


class _Sides(NamedTuple):
    """Every calculation of a security that either side has, by name; arrays have one entry per calculation."""

    names: tuple[str, ...]
    infos: tuple[CalculationInfo, ...]
    before: NDArray[np.int64]
    """Its index in the active catalogue, or -1."""
    after: NDArray[np.int64]
    """Its index in the draft's, or -1."""
    shown: NDArray[np.int64]
    """(calculations, markets): the day that counts for the total."""
    days: NDArray[np.int64]
    """(calculations, markets): a bit for each day on which a change is one."""


class _Sums(NamedTuple):
    """(2 sides, currencies, calculations, days..., 2): upper and lower halves, so that no sum is too large."""

    days: NDArray[np.int64]
    shown: NDArray[np.int64]


class Comparison:
    """Takes moments in, gives the parts of an impact out."""

    def __init__(self, tables: Tables, active: Catalogue, draft: Catalogue) -> None:
        self._tables = tables
        self._sides = _sides(active, draft, tables.markets)
        self._currencies, self._currency_of = np.unique(tables.array["security"]["currency"], return_inverse=True)
        count, currencies = len(self._sides.names), len(self._currencies)
        self._sums = _Sums(
            np.zeros((2, currencies, count, DAYS, 2), np.int64), np.zeros((2, currencies, count, 2), np.int64)
        )
        self._fx = np.zeros(currencies, np.int64)
        self._securities = np.zeros(count, np.int64)
        self._held = [_held(active, draft, role) for _, role, _ in _HELD]
        self._settles = np.array([market.settle_days for market in tables.markets])
        self._changes: list[tuple[NDArray[Any], ...]] = []
        self._under_water: list[UnderWater] = []

    @property
    def changed(self) -> int:
        """Securities in which anything changes."""
        return sum(len(ids) for ids, *_ in self._changes)

    def add(self, moment: Moment) -> None:
        """Count these securities in."""
        sides, count = self._sides, moment.ids.size
        if not count:
            return
        currency = self._currency_of[moment.ids]
        facts = moment.head[:, HEAD_FACTS:]
        self._fx[currency] = facts[:, Fact.FX]
        day = np.full((count, len(sides.names)), -1, np.int8)
        pair = np.zeros((count, len(sides.names), 2), np.int64)
        # names and infos are not for compiled code
        of_sides = sides.before, sides.after, sides.shown, sides.days
        compare(moment.before, moment.after, moment.market, currency, *of_sides, *self._sums, day, pair)
        self._securities += (day >= 0).sum(axis=0)
        self._look_under_water(moment)
        some = (day >= 0).any(axis=1)
        if some.any():
            size = self._size(pair[some], facts[some])
            self._changes.append((moment.ids[some], day[some], pair[some], *size))

    def _size(self, pair: NDArray[np.int64], facts: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
        """How large changes are: in reporting currency where price and rate are known, and in units."""
        change = np.abs(pair[:, :, 1].astype(np.float64) - pair[:, :, 0])
        fx = facts[:, Fact.FX, None] / _FX_UNIT
        units = np.array([info.unit for info in self._sides.infos])
        worth = np.where(units == Unit.SHARES, 100 * facts[:, Fact.PRICE, None] / PRICE_UNIT * fx, 0.0)
        worth = np.where(units == Unit.MONEY, fx, np.where(units == Unit.REPORTING, 1.0, worth))
        return (change * worth).max(axis=1), change.max(axis=1)

    def _look_under_water(self, moment: Moment) -> None:
        row, day = np.arange(moment.ids.size), self._settles[moment.market]
        for (side, _, held), (before_at, after_at) in zip(_HELD, self._held, strict=True):
            before, after = moment.before[row, before_at, day], moment.after[row, after_at, day]
            located = moment.decided[:, held]
            for i in np.flatnonzero((after < 0) & (after < before) & (located > 0)).tolist():
                named = self._named(int(moment.ids[i]))
                quantities = int(before[i]), int(after[i]), int(located[i])
                self._under_water.append(UnderWater(*named, side, *quantities))

    def _named(self, security: int) -> tuple[str, str, str]:
        record = self._tables.array["security"][security]
        text = [bytes(record[field]).decode("utf-8", "replace") for field in ("code", "name")]
        return text[0], text[1], self._tables.markets[int(record["market"])].code

    def under_water(self) -> list[UnderWater]:
        """All of them, what lacks most first."""
        return sorted(self._under_water, key=lambda each: (each.remaining_after, each.security, each.side))

    def largest(self, most: int) -> list[SecurityChange]:
        """The securities with the largest changes by value; those without a price come after, by quantity."""
        if not self._changes:
            return []
        ids, day, pair, value, units = (np.concatenate(part) for part in zip(*self._changes, strict=True))
        chosen = np.lexsort((ids, -units, -value))[:most]
        return [self._change(int(ids[i]), day[i], pair[i]) for i in chosen.tolist()]

    def _change(self, security: int, day: NDArray[np.int8], pair: NDArray[np.int64]) -> SecurityChange:
        at = np.flatnonzero(day >= 0).tolist()
        changes = {self._sides.names[i]: Change(int(day[i]), int(pair[i, 0]), int(pair[i, 1])) for i in at}
        return SecurityChange(*self._named(security), changes)

    def totals(self) -> dict[str, Total]:
        """By calculation."""
        return {name: self._total(i) for i, name in enumerate(self._sides.names)}

    def _total(self, at: int) -> Total:
        sides, info = self._sides, self._sides.infos[at]
        has = sides.before[at] >= 0, sides.after[at] >= 0
        money, sums = info.unit == Unit.MONEY, info.unit != Unit.BASIS_POINTS
        rates = self._fx.tolist() if money else [_FX_UNIT] * len(self._fx)
        shown = [_whole(self._sums.shown[side, :, at]) for side in (0, 1)]
        days = [[_whole(self._sums.days[side, :, at, day]) for day in range(DAYS)] for side in (0, 1)]
        by_currency = {
            code.decode("utf-8", "replace"): (before, after)
            for code, before, after in zip(self._currencies.tolist(), *shown, strict=True)
            if money and (before or after)
        }
        return Total(
            unit=Unit.REPORTING if money else info.unit,
            before=_in_one(shown[0], rates) if has[0] and sums else None,
            after=_in_one(shown[1], rates) if has[1] and sums else None,
            days_before=[_in_one(day, rates) for day in days[0]] if has[0] and sums else [],
            days_after=[_in_one(day, rates) for day in days[1]] if has[1] and sums else [],
            securities=int(self._securities[at]),
            by_currency=by_currency,
        )


def _whole(halves: NDArray[np.int64]) -> list[int]:
    return [(high << _HIGH) + low for high, low in halves.tolist()]


def _in_one(quantities: list[int], rates: list[int]) -> int:
    return sum(quantity * rate // _FX_UNIT for quantity, rate in zip(quantities, rates, strict=True))


def _sides(active: Catalogue, draft: Catalogue, markets: tuple[Market, ...]) -> _Sides:
    before, after = _of_securities(active), _of_securities(draft)
    names = tuple(dict.fromkeys([*after, *before]))
    infos = tuple(draft.calculations[after[n]] if n in after else active.calculations[before[n]] for n in names)
    settles = np.array([market.settle_days for market in markets])
    shown, days = np.zeros((2, len(names), len(markets)), np.int64)
    for i, info in enumerate(infos):
        if info.show == Show.SETTLEMENT:
            shown[i] = settles
        one_day = info.show in (Show.SETTLEMENT, Show.TODAY)
        days[i] = 1 << shown[i] if one_day else (1 << DAYS) - 1
    return _Sides(
        names,
        infos,
        np.array([before.get(name, -1) for name in names], np.int64),
        np.array([after.get(name, -1) for name in names], np.int64),
        shown,
        days,
    )


def _of_securities(catalogue: Catalogue) -> dict[str, int]:
    return {info.name: i for i, info in enumerate(catalogue.calculations) if info.scope == Scope.SECURITY}


def _held(active: Catalogue, draft: Catalogue, role: Role) -> tuple[int, int]:
    return active.playing(role), draft.playing(role)


@nb.njit(**_JIT)
def compare(
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    market: NDArray[np.uint8],
    currency: NDArray[np.int64],
    at_before: NDArray[np.int64],
    at_after: NDArray[np.int64],
    shown: NDArray[np.int64],
    days: NDArray[np.int64],
    sum_days: NDArray[np.int64],
    sum_shown: NDArray[np.int64],
    day_out: NDArray[np.int8],
    pair_out: NDArray[np.int64],
) -> None:
    """Add to the sums; `day_out` (n, calculations): the day of the largest change, -1 for none; `pair_out`: both numbers."""
    for i in range(market.size):
        of_market, of_currency = market[i], currency[i]
        for c in range(at_before.size):
            b, a = at_before[c], at_after[c]
            largest = np.int64(0)
            for day in range(DAYS):
                old = before[i, b, day] if b >= 0 else np.int64(0)
                new = after[i, a, day] if a >= 0 else np.int64(0)
                sum_days[0, of_currency, c, day, 0] += old >> _HIGH
                sum_days[0, of_currency, c, day, 1] += old & _LOW
                sum_days[1, of_currency, c, day, 0] += new >> _HIGH
                sum_days[1, of_currency, c, day, 1] += new & _LOW
                if day == shown[c, of_market]:
                    sum_shown[0, of_currency, c, 0] += old >> _HIGH
                    sum_shown[0, of_currency, c, 1] += old & _LOW
                    sum_shown[1, of_currency, c, 0] += new >> _HIGH
                    sum_shown[1, of_currency, c, 1] += new & _LOW
                if b >= 0 and a >= 0 and days[c, of_market] >> day & 1 and abs(new - old) > largest:
                    largest = abs(new - old)
                    day_out[i, c] = day
                    pair_out[i, c, 0], pair_out[i, c, 1] = old, new
