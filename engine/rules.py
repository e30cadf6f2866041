"""Rules as data: which rows feed a term, and how terms make a calculation, per market (domain.md 3).

Text in, compiled tables out; whoever reads the files is outside. Conditions are evaluated once per kind of row and day by
polars' SQL, restricted to the attributes of `KindAttributes` and `day`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from engine.expression import WEIGHT_UNIT, Code, ExpressionError, Program, compile_expression
from engine.model import DAYS, KIND_ATTRIBUTES

DEFAULT: Final = "default"


class Measure(IntEnum):
    """What a row gives to a term on a day."""

    LONG = 0
    SHORT = 1
    FREE = 2
    RESERVED = 3
    CA_PENDING = 4
    DECIDED = 5
    """Not from rows: what the locate desk holds."""


class RulesError(ValueError):
    """Rules that cannot be used; lists every problem found."""


@dataclass(frozen=True, slots=True)
class Term:
    """A named sum over rows."""

    name: str
    measure: Measure
    category: str
    days_by_kind: tuple[int, ...]
    """Per kind, a bit for each day on which its rows feed the term."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Compiled rules. `programs[market][calculation]`; weights (ten-thousandths) by [market][calculation][input name]."""

    terms: tuple[Term, ...]
    calculations: tuple[str, ...]
    programs: tuple[tuple[Program, ...], ...]
    weights: tuple[Mapping[str, Mapping[str, int]], ...]
    expressions: Mapping[str, str]
    versions: tuple[str, ...]
    """Per market, the files and versions that made it."""

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms)

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For the kernel: per kind the (term, measure, a mask of -1 or 0 for each day) its rows feed, and how many."""
        fed = [
            [
                (i, int(t.measure), *(-(t.days_by_kind[kind] >> day & 1) for day in range(DAYS)))
                for i, t in enumerate(self.terms)
                if t.days_by_kind[kind]
            ]
            for kind in range(len(KIND_ATTRIBUTES))
        ]
        table = np.zeros((len(fed), max(1, *(len(rows) for rows in fed)), 2 + DAYS), np.int64)
        for kind, rows in enumerate(fed):
            for i, row in enumerate(rows):
                table[kind, i] = row
        return table, np.array([len(rows) for rows in fed], np.int64)

    def explain(self) -> dict[str, Any]:
        """What a page needs to show how a number is made, as plain JSON."""
        return {
            "categories": {term.name: term.category for term in self.terms},
            "weights": [{c: dict(w) for c, w in market.items()} for market in self.weights],
            "expressions": dict(self.expressions),
            "versions": list(self.versions),
        }


def compile_rules(texts: Mapping[str, str], markets: Sequence[str], on: date) -> Rules:
    """Rules for `markets` on the date `on` from YAML `texts` by file name. Raises `RulesError` with every problem."""
    problems: list[str] = []
    files = {name: _parse(name, text, problems) for name, text in texts.items()}
    active = {str(f.get("market")): (name, f) for name, f in files.items() if _active(name, f, on, problems)}
    if DEFAULT not in active:
        raise RulesError("; ".join([*problems, f"no rules for market {DEFAULT!r} on {on}"]))
    name, default = active[DEFAULT]
    terms = _terms(name, default.get("terms"), problems)
    calculations = default.get("calculations") or {}
    programs, weights, versions = [], [], []
    for market in markets:
        own_name, own = active.get(market, (name, {}))
        merged = {
            calc: _weights(
                own_name, calc, {**(body.get("weights") or {}), **(own.get("weights") or {}).get(calc, {})}, problems
            )
            for calc, body in calculations.items()
        }
        weights.append(merged)
        programs.append(_programs(name, terms, calculations, merged, problems))
        versions.append(f"{name}@{default.get('version')}" + (f" {own_name}@{own.get('version')}" if own else ""))
        problems += [f"{own_name}: no calculation {c!r}" for c in set(own.get("weights") or {}) - set(calculations)]
    if problems:
        raise RulesError("; ".join(dict.fromkeys(problems)))
    expressions = {calc: str(body["expression"]) for calc, body in calculations.items()}
    return Rules(terms, tuple(calculations), tuple(programs), tuple(weights), expressions, tuple(versions))


def _parse(name: str, text: str, problems: list[str]) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problems.append(f"{name}: {error}")
        return {}
    if isinstance(data, dict):
        return data
    problems.append(f"{name}: not a mapping")
    return {}


def _active(name: str, file: Mapping[str, Any], on: date, problems: list[str]) -> bool:
    begins, ends = file.get("effective_from"), file.get("effective_to")
    if not isinstance(begins, date) or not (ends is None or isinstance(ends, date)):
        problems.append(f"{name}: effective_from must be a date, effective_to a date or absent")
        return False
    return begins <= on and (ends is None or on <= ends)


def _terms(name: str, data: Any, problems: list[str]) -> tuple[Term, ...]:
    terms = []
    for term, body in (data or {}).items():
        try:
            measure = Measure[str(body["measure"]).upper()]
            days = (0,) * len(KIND_ATTRIBUTES) if measure == Measure.DECIDED else _select(str(body["rows"]))
        except (KeyError, TypeError, RulesError) as error:
            problems.append(f"{name}: term {term!r}: {error}")
            continue
        terms.append(Term(term, measure, str(body.get("category", term)), days))
    return tuple(terms)


def _select(condition: str) -> tuple[int, ...]:
    """Per kind the bits of the days on which `condition` holds."""
    import polars as pl  # noqa: PLC0415  only the writer compiles rules; readers need not load polars

    attributes = [
        {"kind": kind, "day": day, **{f: getattr(a, f) for f in a.__slots__}}
        for kind, a in enumerate(KIND_ATTRIBUTES)
        for day in range(DAYS)
    ]
    frame = pl.DataFrame(attributes)
    try:
        chosen = frame.filter(pl.sql_expr(condition)).select("kind", "day").rows()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise RulesError(f"condition {condition!r}: {error}") from None
    days = [0] * len(KIND_ATTRIBUTES)
    for kind, day in chosen:
        days[kind] |= 1 << day
    return tuple(days)


def _weights(name: str, calculation: str, data: Mapping[str, Any], problems: list[str]) -> dict[str, int]:
    weights = {}
    for term, value in data.items():
        try:
            scaled = Decimal(str(value)) * WEIGHT_UNIT
            if isinstance(value, bool) or scaled != int(scaled):
                raise InvalidOperation
            weights[str(term)] = int(scaled)
        except (InvalidOperation, OverflowError, ValueError):
            problems.append(f"{name}: {calculation}: weight of {term!r} is no number of at most four places: {value!r}")
    return weights


def _programs(
    name: str,
    terms: Sequence[Term],
    calculations: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, int]],
    problems: list[str],
) -> tuple[Program, ...]:
    names: dict[str, Program] = {term.name: ((Code.TERM, i),) for i, term in enumerate(terms)}
    programs = []
    for i, (calculation, body) in enumerate(calculations.items()):
        try:
            total = _total(weights[calculation], names)
            programs.append(compile_expression(str(body["expression"]), {**names, "total": total}))
        except (ExpressionError, KeyError, TypeError) as error:
            problems.append(f"{name}: calculation {calculation!r}: {error}")
        names[calculation] = ((Code.CALCULATION, i),)
    return tuple(programs)


def _total(weights: Mapping[str, int], names: Mapping[str, Program]) -> Program:
    """Sum of the weighed inputs; a weight of 1 or -1 costs no multiplication, a weight of 0 nothing at all."""
    code: list[tuple[int, int]] = [(Code.CONSTANT, 0)]
    for name, weight in weights.items():
        if name not in names:
            raise ExpressionError(f"weight of unknown term {name!r}")
        if weight:
            code += names[name]
            if abs(weight) != WEIGHT_UNIT:
                code.append((Code.WEIGH, abs(weight)))
            code.append((Code.ADD if weight > 0 else Code.SUBTRACT, 0))
    return tuple(code)
