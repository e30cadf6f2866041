"""The columns of the inventory: what there is to see, from the rules in force; where each number is kept, and how it reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

import numpy as np

from engine.catalogue import CalculationInfo, Catalogue, TermInfo
from engine.model import DAYS, HEAD_FACTS, HEAD_UPDATED, PRICE_UNIT, RATE_UNIT, RATE_UNKNOWN, Fact, Temperature
from engine.rule_model import Role, Scope, Show, Unit

NO_VALUE: Final = int(np.iinfo(np.int64).min)
"""A raw value that no column can have: `unknown` of the columns that always have one."""
NS_PER_MS: Final = 1_000_000
_FX_UNIT: Final = 1_000_000_000
_SCALES: Final = {Unit.SHARES: 1, Unit.MONEY: 100, Unit.REPORTING: 100, Unit.BASIS_POINTS: 100}
_GROUPS: Final = {
    Role.POOL_SHORT: "Locate",
    Role.LEFT_SHORT: "Locate",
    Role.POOL_LONG: "Locate long",
    Role.LEFT_LONG: "Locate long",
}
_FLOORS: Final = (Role.POOL_SHORT, Role.LEFT_SHORT)
"""What lenders say they have at least is part of these."""
_HOT_PERCENT: Final = 90.0
_OURS, _CALCULATIONS, _TERMS = "Security", "Calculations", "Terms"
"""Families."""


class Source(Enum):
    """Which array a column is read from."""

    TEXT = auto()
    """`Reference.text`."""
    REFERENCE = auto()
    """`Reference.numbers`: changes with reference data only."""
    VALUES = auto()
    TERMS = auto()
    HEAD = auto()
    PARKED = auto()
    """Shares that wait for reference data, one word a security."""
    POSITION = auto()
    """Words of a row of the position table, see `engine.views_position_columns`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `day` None is the day on which a trade of today settles in the security's market."""

    name: str
    source: Source
    item: int = 0
    """Which calculation, component or word of the head; of a position how it is made (`Form`)."""
    day: int | None = None
    scale: int = 1
    unknown: int = NO_VALUE
    unit: str = ""
    """What the numbers are, for who writes them: a `Unit`, or price, rate, ratio, count, time; "" for text."""
    title: str = ""
    family: str = ""
    """Where a list of all columns has it."""
    group: str = ""
    """What stands above the titles of neighbours that belong together."""
    tip: str = ""
    shown: bool = False
    """Whether a table shows it that nobody has chosen columns for."""
    floor: bool = False
    """Whether the number is "at least" this for a security whose external availability is a floor."""
    strong: bool = False
    """Whether it is the number of its group that is looked for."""
    hot: float | None = None
    """From which value on, as shown, it stands out."""
    plus: tuple[int, ...] = ()
    """Of a position: words of its row that are added up, and those that are taken from that."""
    minus: tuple[int, ...] = ()

    @property
    def is_text(self) -> bool:
        return self.source is Source.TEXT

    @property
    def summed(self) -> bool:
        """Whether a sum over rows means anything: prices, rates, times and money of several currencies have none."""
        return self.unit in (Unit.SHARES, Unit.REPORTING)


def _text(name: str, title: str, tip: str = "", *, shown: bool = True) -> Column:
    return Column(name, Source.TEXT, title=title, family=_OURS, tip=tip or title, shown=shown)


def _rate(name: str, title: str, tip: str, *, shown: bool = False) -> Column:
    return Column(
        name,
        Source.REFERENCE,
        scale=RATE_UNIT,
        unknown=RATE_UNKNOWN,
        unit="rate",
        title=title,
        family=_OURS,
        tip=tip,
        shown=shown,
    )


def _fact(fact: Fact, title: str, tip: str, *, scale: int = 1, unit: str = "count") -> Column:
    shown, name = fact is Fact.PRICE, fact.name.lower()
    return Column(name, Source.HEAD, HEAD_FACTS + fact, None, scale, 0, unit, title, _OURS, tip=tip, shown=shown)


_BEFORE: Final = (
    _text("name", "Name"),
    _text("code", "Code", "Our own code", shown=False),
    _text("ticker", "Symbol"),
    _text("isin", "ISIN"),
    _text("sedol", "SEDOL", shown=False),
    _text("cusip", "CUSIP", shown=False),
    _text("figi", "FIGI", shown=False),
    _text("market", "Mkt", "Market"),
    _text("temperature", "Temp", "How hard it is to borrow"),
    _rate("fee", "Fee %", "Borrow fee, percent a year", shown=True),
    _rate("rebate", "Rebate %", "Rebate, percent a year"),
    _text("currency", "Ccy", "Currency"),
    _text("country", "Country", "Country of issue", shown=False),
    _text("classification", "Class", "What sort of instrument it is", shown=False),
    _fact(Fact.PRICE, "Price", "Price in the security's currency", scale=PRICE_UNIT, unit="price"),
    Column(
        "updated_ms",
        Source.HEAD,
        HEAD_UPDATED,
        scale=NS_PER_MS,
        unknown=0,
        unit="time",
        title="Age",
        family=_OURS,
        tip="Since the last event of the security",
        shown=True,
    ),
    _fact(Fact.FX, "FX", "One unit of its currency in the reporting currency", scale=_FX_UNIT, unit="ratio"),
    _fact(Fact.DAY_COUNT, "Day count", "Days of an interest year in its currency"),
    _fact(Fact.VOLUME_30D, "Volume 30d", "Average shares traded a day"),
    _fact(Fact.OUTSTANDING, "Outstanding", "Shares issued"),
)
_AFTER: Final = (
    Column(
        "at_least",
        Source.REFERENCE,
        unit="count",
        title="Floor",
        family=_OURS,
        tip="1: external availability is a floor",
    ),
    Column(
        "parked",
        Source.PARKED,
        unknown=0,
        unit=Unit.SHARES,
        title="Parked",
        family=_OURS,
        tip="Shares of records that wait for reference data: no number here has them",
        shown=True,
    ),
    Column(
        "id", Source.REFERENCE, unit="count", title="Id", family=_OURS, tip="Number of the security in this machine"
    ),
)
TEXTS: Final = frozenset(column.name for column in _BEFORE if column.is_text)
"""Columns that events cannot change."""
TEMPERATURES: Final = tuple(temperature.name for temperature in Temperature)


def columns_of(catalogue: Catalogue) -> tuple[Column, ...]:
    """Everything there is to see of a security under these rules, in the order of a table."""
    beside = _beside_left(catalogue)
    made: list[Column] = []
    for index, info in enumerate(catalogue.calculations):
        if info.scope != Scope.SECURITY:
            continue
        if info.role == Role.LEFT_SHORT:
            made += [_of_term(term, group=_GROUPS[Role.LEFT_SHORT], shown=True) for term in beside]
        made += _of_calculation(index, info)
    kept = [term for term in catalogue.terms if term not in beside and _kept(catalogue, term)]
    return _distinct([*_BEFORE, *_together(made), *map(_of_term, kept), *_AFTER])


def playing(catalogue: Catalogue, role: Role) -> Column:
    """The calculation with a role, on the day on which a trade of today settles. Raises KeyError."""
    index = catalogue.playing(role)
    return _calculated(index, catalogue.calculations[index], None, "")


def _of_calculation(index: int, info: CalculationInfo) -> list[Column]:
    if info.show != Show.DAYS:
        return [_calculated(index, info, 0 if info.show == Show.TODAY else None, "")]
    return [_calculated(index, info, day, f".{day}") for day in range(DAYS)]


def _calculated(index: int, info: CalculationInfo, day: int | None, suffix: str) -> Column:
    role = Role(info.role) if info.role else None
    title = info.title or info.name
    return Column(
        name=info.name + suffix,
        source=Source.VALUES,
        item=index,
        day=day,
        scale=_SCALES[Unit(info.unit)],
        unit=info.unit,
        title=f"SD{day}" if suffix else title,
        family=_CALCULATIONS,
        group=title if suffix else _GROUPS.get(role, "") if role else "",
        tip=". ".join(filter(None, (f"{title} on SD{day}" if suffix else title, info.description.rstrip(".")))),
        shown=info.show != Show.NONE,
        floor=role in _FLOORS,
        strong=role is Role.LEFT_SHORT,
        hot=_HOT_PERCENT if role is Role.UTILISATION else None,
    )


def _of_term(info: TermInfo, group: str = _TERMS, *, shown: bool = False) -> Column:
    title = info.title or info.name
    return Column(
        name=info.name,
        source=Source.TERMS,
        item=info.component,
        unit=Unit.SHARES,
        title=title,
        family=_TERMS,
        group=group,
        tip=f"{title}: {info.category}" if info.category.lower() not in ("", title.lower()) else title,
        shown=shown,
    )


def _kept(catalogue: Catalogue, term: TermInfo) -> bool:
    """Whether there is a number of the term for every security."""
    return term.component >= 0 and catalogue.components[term.component].maintained


def _beside_left(catalogue: Catalogue) -> list[TermInfo]:
    """What lies between the pool and what is left of it: shown with them."""
    if not catalogue.inputs:
        return []
    index = catalogue.playing(Role.LEFT_SHORT)
    names = {given.name for given in catalogue.inputs[0][index] if given.kind == "term"}
    return [term for term in catalogue.terms if term.name in names and _kept(catalogue, term)]


def _together(columns: Sequence[Column]) -> list[Column]:
    """Columns of one group side by side, at the place of the first."""
    first: dict[str, int] = {}
    for place, column in enumerate(columns):
        if column.group:
            first.setdefault(column.group, place)
    order = sorted(range(len(columns)), key=lambda place: (first.get(columns[place].group, place), place))
    return [columns[place] for place in order]


def _distinct(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Each name once: a rule may be called like a column that every table has."""
    taken = {column.name for column in (*_BEFORE, *_AFTER)}
    made: list[Column] = []
    for column in columns:
        own = column.source in (Source.VALUES, Source.TERMS)
        name = column.name
        while own and name in taken:
            name += "_"
        taken.add(name)
        made.append(replace(column, name=name))
    return tuple(made)
