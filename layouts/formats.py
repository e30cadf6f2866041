"""Numbers as a person reads them, by their units."""

from typing import Final

from engine.model import PRICE_UNIT, RATE_UNIT, Fact
from engine.views import Input, InputKind, Unit

_CENT: Final = 100
_FX_UNIT: Final = 10**9
_SCALES: Final = {Unit.MONEY: _CENT, Unit.REPORTING: _CENT, Unit.BASIS_POINTS: _CENT}


def scale(unit: str) -> int:
    """By what a number is divided to be drawn: money in whole units, basis points as percent."""
    return _SCALES.get(Unit(unit), 1)


def number(value: int, unit: str, currencies: tuple[str, str]) -> str:
    """A calculation's value; `currencies`: the security's and the reporting one."""
    match Unit(unit):
        case Unit.SHARES:
            return f"{value:,}"
        case Unit.BASIS_POINTS:
            return f"{_decimal(value)}%"
        case Unit.MONEY:
            return f"{currencies[0]} {_decimal(value)}".strip()
        case _:
            return f"{currencies[1]} {_decimal(value)}".strip()


def quantity(given: Input, currencies: tuple[str, str]) -> str:
    """An input's quantity in its own unit."""
    if given.nested is not None:
        return number(given.quantity, given.nested.calculation.unit, currencies)
    if given.kind == InputKind.CLOCK:
        return "yes" if given.quantity else "no"
    if given.kind != InputKind.FACT:
        return f"{given.quantity:,}"
    match given.source:
        case Fact.PRICE.name:
            return f"{currencies[0]} {given.quantity / PRICE_UNIT:,.4f}"
        case Fact.FX.name:
            return f"{given.quantity / _FX_UNIT:,.6f}"
        case Fact.FEE.name:
            return f"{given.quantity / RATE_UNIT:,.4f}%"
        case _:
            return f"{given.quantity:,}"


def _decimal(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    whole, rest = divmod(abs(hundredths), _CENT)
    return f"{sign}{whole:,}.{rest:02}"
