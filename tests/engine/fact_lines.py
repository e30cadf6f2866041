"""Lines of tests/engine/facts/*.txt: a name, where, what happens, and what comes out, with its arithmetic.

`name | context | steps | results`, and nothing else: an unknown word is an error that says file and line.

- context: a market and what is so of it and of the security. on=DATE (of the real calendar; without it every day is a business
  day), at=HH:MM (by the market's clocks: decides the day and the cut-off), closed=DAYS (lending is over for these), event=N
  (business days to the next dividend), price= fx= days= fee=% volume= outstanding= temperature= classification= designated
  threshold
- steps, divided by `;`: `KIND[/BOOK[/DEPOT]] words`, `DECIDED quantity`, `PARTY: DECIDED quantity`, `reset BOOK`, `roll N`,
  `becomes ...` (the security's context from now on), or `-`
- words of a row: N (set), +N@D -N@D (expected), buy= sell= short= in= out= N@D (the last two: settled), each also after
  cancel: quanto: old: (traded yesterday); free= hypothecated= segregated= reserved= ca= rate= td= N. D counts business days
  from today, or is a date
- results, divided by `;`: `what[.days][(row or party)] = arithmetic = result`, with square brackets around row or party
"""

import ast
import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.model import LATER, Classification, Decided, Kind, Temperature

FOLDER: Final = Path(__file__).parent / "facts"
DATED: Final = {"+", "-", "buy", "sell", "short", "in", "out"}
REPLACED: Final = {"free", "hypothecated", "segregated", "reserved", "ca", "rate", "td"}
MANNERS: Final = {"cancel", "quanto", "old"}
_SCALES: Final = {"price": 10**6, "fx": 10**9, "fee": 10**4, "days": 1, "volume": 1, "outstanding": 1}
_ROW: Final = re.compile(r"([A-Z_0-5]+)(?:/(B\d+))?(?:/(D\d+))?")
_WORD: Final = re.compile(r"((?:[a-z]+:)*)([a-z]+=|[+-])([\d_]+)@(-?\d+|\d{4}-\d\d-\d\d)")
_RESULT: Final = re.compile(r"([a-z_]+)(?:\.(\d)(?:-(\d))?)?(?:\[([A-Z_0-9/a-z]+)\])?")
_OPERATIONS: Final[Mapping[type, Callable[..., int]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.USub: operator.neg,
}


class FactError(ValueError):
    """A line that cannot be read."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a line happens. `facts`: in the units of `engine.model`."""

    market: str
    on: dt.date | None = None
    at: str = ""
    closed: tuple[int, ...] = ()
    event: int | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
    temperature: Temperature = Temperature.UNKNOWN
    classification: Classification = Classification.UNKNOWN
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """Which row of the line's security."""

    kind: Kind
    book: str
    depot: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a row. `word`: "set", or one of `DATED` and `REPLACED`."""

    row: Row
    word: str
    quantity: int
    manners: frozenset[str] = frozenset()
    day: int | dt.date | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What decisions hold; `party` "": of the whole security."""

    what: Decided
    quantity: int
    party: str = ""


@dataclass(frozen=True, slots=True)
class Reset:
    """The first event of a book's start-of-day snapshot."""

    book: str


@dataclass(frozen=True, slots=True)
class Roll:
    """So many business days pass."""

    days: int


@dataclass(frozen=True, slots=True)
class Becomes:
    """Reference data of the security from now on; what is not said is not known any more."""

    context: Context


Step = Happening | Decision | Reset | Roll | Becomes


@dataclass(frozen=True, slots=True)
class Expected:
    """`days` (): not a number per day."""

    what: str
    days: tuple[int, ...]
    where: str
    arithmetic: str
    result: int

    def __str__(self) -> str:
        days = f".{self.days[0]}-{self.days[-1]}" if self.days else ""
        where = f"[{self.where}]" if self.where else ""
        return f"{self.what}{days}{where} = {self.arithmetic} = {self.result}"


@dataclass(frozen=True, slots=True)
class Line:
    """One case."""

    place: str
    name: str
    context: Context
    steps: tuple[Step, ...]
    expected: tuple[Expected, ...]

    @property
    def rolls(self) -> tuple[int, ...]:
        return tuple(step.days for step in self.steps if isinstance(step, Roll))


def read(path: Path) -> list[Line]:
    """All lines of a file. Raises `FactError` with every line that cannot be read."""
    lines: list[Line] = []
    wrong: list[str] = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        place = f"{path.name}:{number}"
        try:
            lines.append(_line(place, text))
        except (ValueError, KeyError, SyntaxError, ArithmeticError) as error:
            wrong.append(f"{place}: {error} in {text!r}")
    names = [line.name for line in lines]
    wrong += [f"{path.name}: the name {name!r} comes twice" for name in set(names) if names.count(name) > 1]
    if wrong:
        raise FactError("\n".join(wrong))
    return lines


def calculate(arithmetic: str) -> int:
    """The value of an expression of whole numbers, + - * // max min. Raises `FactError` for anything else."""
    return _value(ast.parse(arithmetic.strip(), mode="eval").body)


def _value(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=arguments, keywords=[]):
            return (max if name == "max" else min)(map(_value, arguments))
    raise FactError(f"not arithmetic: {ast.unparse(node)}")


def _line(place: str, text: str) -> Line:
    parts = [part.strip() for part in text.split(" | ")]
    if len(parts) != 4 or not all(parts):
        raise FactError("not four parts: name | context | steps | results")
    name, context, steps, results = parts
    where = _context(context.split())
    happened = (
        () if steps == "-" else tuple(one for step in steps.split(";") for one in _steps(where.market, step.split()))
    )
    expected = tuple(_expected(result) for result in results.split(";"))
    return Line(place, name, where, happened, expected)


def _context(words: list[str]) -> Context:
    if not words or not re.fullmatch("[A-Z]{2}", words[0]):
        raise FactError("no market")
    given: dict[str, Any] = {"market": words[0]}
    facts, flags = {}, set()
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name in _SCALES:
            scaled = Decimal(value.removesuffix("%")) * _SCALES[name]
            if scaled != int(scaled) or value.endswith("%") != (name == "fee"):
                raise FactError(f"not in the units of {name}: {value}")
            facts[name] = int(scaled)
        elif word in {"designated", "threshold"}:
            flags.add(word)
        elif name == "on":
            given[name] = dt.date.fromisoformat(value)
        elif name == "at" and re.fullmatch(r"\d\d:\d\d", value):
            given[name] = value
        elif name == "closed":
            given[name] = tuple(map(int, value.split(",")))
        elif name == "event":
            given[name] = int(value)
        elif name == "temperature":
            given[name] = Temperature[value]
        elif name == "classification":
            given[name] = Classification[value]
        else:
            raise FactError(f"unknown word {word!r}")
    return Context(facts=facts, flags=frozenset(flags), **given)


def _steps(market: str, words: list[str]) -> list[Step]:
    first, *others = words
    party = ""
    if first.endswith(":"):
        party, first, *others = first[:-1], *others
    if first in Decided.__members__ and len(others) == 1:
        return [Decision(Decided[first], int(others[0]), party)]
    if first == "becomes":
        return [Becomes(_context([market, *others]))]
    if first == "roll" and len(others) == 1:
        return [Roll(int(others[0]))]
    if first == "reset" and len(others) == 1:
        return [Reset(others[0])]
    if party or not others:
        raise FactError(f"unknown step {' '.join(words)!r}")
    row = row_of(first)
    return [_happening(row, word) for word in others]


def row_of(text: str) -> Row:
    """KIND, KIND/BOOK or KIND/BOOK/DEPOT."""
    found = _ROW.fullmatch(text)
    if not found or found[1] not in Kind.__members__:
        raise FactError(f"unknown row {text!r}")
    return Row(Kind[found[1]], found[2] or "B1", found[3] or "D1")


def _happening(row: Row, word: str) -> Happening:
    if re.fullmatch(r"-?[\d_]+", word):
        return Happening(row, "set", int(word))
    name, _, value = word.partition("=")
    if name in REPLACED:
        return Happening(row, name, int(value))
    found = _WORD.fullmatch(word)
    if not found:
        raise FactError(f"unknown word {word!r}")
    manners = frozenset(found[1].split(":")[:-1])
    what, when = found[2].removesuffix("="), found[4]
    if what not in DATED or not manners <= MANNERS:
        raise FactError(f"unknown word {word!r}")
    day = dt.date.fromisoformat(when) if len(when) == len("2026-01-01") else int(when)
    return Happening(row, what, int(found[3]), manners, day)


def _expected(text: str) -> Expected:
    parts = [part.strip() for part in text.split(" = ")]
    if len(parts) != 3:
        raise FactError(f"not `what = arithmetic = result`: {text!r}")
    found = _RESULT.fullmatch(parts[0])
    if not found:
        raise FactError(f"unknown result {parts[0]!r}")
    days = tuple(range(int(found[2]), int(found[3] or found[2]) + 1)) if found[2] else ()
    if found[2] and (not days or days[-1] > LATER):
        raise FactError(f"no such days: {parts[0]!r}")
    calculate(parts[1])
    return Expected(found[1], days, found[4] or "", parts[1], int(parts[2]))
