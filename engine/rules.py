"""Rules compiled for the days that it is now: sums that the kernel keeps, and a program per market and calculation.

A component is one sum over rows. Each term made from rows has one that holds all of it; rules with conditions of their own need
further ones, of the rows that they choose. Which rules are in force is asked for each market and ladder day by its own date.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import EVERY_DAY, CalculationInfo, Catalogue, ComponentInfo, DocumentInfo, InputInfo, TermInfo
from engine.expression import Code, Expression, Program, bind
from engine.model import DAYS, Clock, Decided, Fact, Market
from engine.rule_bounds import by_input, chain
from engine.rule_check import ordered
from engine.rule_model import (
    ROW_MEASURES,
    WEIGHT_UNIT,
    Calculation,
    Measure,
    Problem,
    Rule,
    RuleBook,
    RulesError,
    Scope,
    Term,
)
from engine.rule_reader import place_of_market
from engine.rule_sql import ATTRIBUTES, FLAG, NUMBER, Condition, normal, read_condition, read_expression

ALWAYS: Final = "position_type"
"""Asked for also where no condition names it: there is a column to count."""
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


class _Key(NamedTuple):
    """A component: rows of a term that meet `holds` and do not meet any of `lacks`."""

    term: str
    measure: Measure
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class _Piece(NamedTuple):
    """What one rule takes of one input on the days on which it has a weight; `weights` empty: named in the expression."""

    name: str
    kind: str
    plus: tuple[_Key, ...]
    minus: tuple[_Key, ...]
    weights: tuple[int, ...]
    rule: Rule | None
    in_force: int = EVERY_DAY
    """A bit for each day on which the rule is asked."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Rules as the machine runs them. Calculations and components are indexed as in the catalogue.

    `programs[market][calculation]`; `day_weights` (n, DAYS) for Code.WEIGH_DAYS; `attributes`: what the conditions ask of a
    row, without the day; `measures` (components,) of `Measure`; `maintained` (components,): kept for every security, and first.
    """

    catalogue: Catalogue
    programs: tuple[tuple[Program, ...], ...]
    day_weights: NDArray[np.int64]
    attributes: frozenset[str]
    measures: NDArray[np.int64]
    maintained: NDArray[np.bool_]
    conditions: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """By component the conditions that its rows meet, and those they do not; both empty: not from rows."""

    def members(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.uint8]:
        """Which rows are in which component: bit n of [component, i] for day n, given each attribute of row i."""
        wanted = {text for holds, lacks in self.conditions for text in (*holds, *lacks)}
        days = _answers([read_condition(text) for text in sorted(wanted)], {n: columns[n] for n in self.attributes})
        result = np.zeros((len(self.conditions), len(columns[ALWAYS])), np.uint8)
        for component, (holds, lacks) in enumerate(self.conditions):
            if holds:
                result[component] = (1 << DAYS) - 1
            for text in holds:
                result[component] &= days[text]
            for text in lacks:
                result[component] &= ~days[text]
        return result


def compile_rules(book: RuleBook, markets: Sequence[Market], dates: NDArray[np.int32], version: int) -> Compiled:
    """`book` for `markets`, whose ladder days are `dates` (markets, DAYS), days since 1970. Raises `RulesError`."""
    _check_markets(book, {market.code for market in markets})
    order, rules = ordered(book), by_input(book)
    terms = {term.name: term for term in book.terms}
    days = [[dt.date.fromordinal(_EPOCH + int(day)) for day in of_market] for of_market in dates]
    pieces = [
        [_pieces(calculation, rules[calculation.name], terms, market.code, days[i]) for calculation in order]
        for i, market in enumerate(markets)
    ]
    components = _components(book, order, pieces)
    emit = _Emit(terms, {c.name: i for i, c in enumerate(order)}, {key: i for i, key in enumerate(components)})
    programs = tuple(
        tuple(emit.program(c, found) for c, found in zip(order, of_market, strict=True)) for of_market in pieces
    )
    inputs = tuple(tuple(tuple(map(emit.info, found)) for found in of_market) for of_market in pieces)
    conditions = tuple(_conditions_of(key, terms[key.term]) for key in components)
    columns = {name for held in conditions for texts in held for text in texts for name in read_condition(text).columns}
    return Compiled(
        _catalogue(book, order, components, inputs, version),
        programs,
        np.array(emit.day_weights, np.int64).reshape(-1, DAYS),
        frozenset(columns - {"day"} | {ALWAYS}),
        np.array([int(key.measure) for key in components], np.int64),
        np.array(list(components.values()), np.bool_),
        conditions,
    )


def _check_markets(book: RuleBook, codes: set[str]) -> None:
    texts = {document.name: document for document in book.documents}
    named = [(heading.document, heading.markets) for heading in book.headings]
    named += [(rule.document, tuple(rule.markets)) for rule in book.every_rule]
    asked = [(term.document, term.rows) for term in book.terms] + [
        (rule.document, rule.condition) for rule in book.rules
    ]
    named += [(document, tuple(sorted(read_condition(text).markets))) for document, text in asked if text]
    unknown = {(document, code): None for document, markets in named for code in markets if code not in codes}
    if unknown:
        raise RulesError(
            tuple(
                Problem(document, *place, f"there is no market {code!r}")
                for document, code in unknown
                for place in (place_of_market(texts[document], code) if document in texts else [(0, 0)])
            )
        )


def _pieces(
    calculation: Calculation,
    rules: Mapping[str, Sequence[Rule]],
    terms: Mapping[str, Term],
    market: str,
    days: Sequence[dt.date],
) -> tuple[_Piece, ...]:
    """What a calculation takes in: what its rules weigh, then what its expression names."""
    found: list[_Piece] = []
    for name, of_input in rules.items():
        weights: dict[tuple[str, tuple[_Key, ...], tuple[_Key, ...]], list[int | None]] = {}
        by_id = {rule.id: rule for rule in of_input}
        for day, date in enumerate(days):
            for rule, plus, minus in _shares(chain(of_input, market, date), name, terms.get(name)):
                weights.setdefault((rule.id, plus, minus), [None] * DAYS)[day] = rule.weight
        kind = _kind(terms.get(name))
        for (id_, plus, minus), asked in weights.items():
            in_force = sum(1 << day for day, weight in enumerate(asked) if weight is not None)
            of_days = tuple(weight or 0 for weight in asked)
            found.append(_Piece(name, kind, plus, minus, of_days, by_id[id_], in_force))
    named = dict.fromkeys(name for name, _ in read_expression(calculation.expression).places if name != "total")
    return (*found, *(_Piece(name, _kind(terms.get(name)), _whole(terms.get(name)), (), (), None) for name in named))


def _shares(
    asked: Sequence[Rule], name: str, term: Term | None
) -> Iterable[tuple[Rule, tuple[_Key, ...], tuple[_Key, ...]]]:
    """Of one input's rules in force, first the one that is asked first: the rows that each gets."""
    if term is None or term.measure > ROW_MEASURES:
        yield from ((rule, _whole(term), ()) for rule in asked[:1])
        return
    earlier: list[_Key] = []
    lacks: tuple[str, ...] = ()
    for rule in asked:
        measure = term.measure if rule.measure is None else rule.measure
        condition = normal(rule.condition)
        if condition and condition not in lacks:
            key = _Key(name, measure, (condition,), tuple(sorted(lacks)))
            yield rule, (key,), ()
            earlier.append(key)
            lacks = (*lacks, condition)
        elif not condition and measure == term.measure and all(key.measure == measure for key in earlier):
            yield rule, (_Key(name, measure),), tuple(earlier)
        elif not condition:
            yield rule, (_Key(name, measure, (), tuple(sorted(lacks))),), ()


def _whole(term: Term | None) -> tuple[_Key, ...]:
    """The component that holds all of a term; none for what has no sum."""
    return (_Key(term.name, term.measure),) if term and term.measure <= Measure.DECIDED else ()


def _kind(term: Term | None) -> str:
    if term is None:
        return "calculation"
    return {Measure.FACT: "fact", Measure.CLOCK: "clock"}.get(term.measure, "term")


def _components(
    book: RuleBook, order: Sequence[Calculation], pieces: Sequence[Sequence[Sequence[_Piece]]]
) -> dict[_Key, bool]:
    """Every component and whether it is maintained; those that are come first."""
    scopes: dict[_Key, set[Scope]] = {key: set() for term in book.terms for key in _whole(term)}
    for of_market in pieces:
        for calculation, found in zip(order, of_market, strict=True):
            for piece in found:
                for key in (*piece.plus, *piece.minus):
                    scopes.setdefault(key, set()).add(calculation.scope)
    # a term that no calculation uses is kept, too: it is shown
    maintained = {key: not used or Scope.SECURITY in used for key, used in scopes.items()}
    return dict(sorted(maintained.items(), key=lambda item: not item[1]))


@dataclass(slots=True)
class _Emit:
    """Turns pieces into code and into what readers see, once every component has its place."""

    terms: Mapping[str, Term]
    calculations: Mapping[str, int]
    components: Mapping[_Key, int]
    day_weights: list[tuple[int, ...]] = field(default_factory=list)

    def program(self, calculation: Calculation, pieces: Sequence[_Piece]) -> Program:
        """The program of a calculation in the market of these pieces."""
        names = {piece.name: self._push(piece) for piece in pieces if not piece.weights}
        total: list[tuple[int, int]] = [(Code.CONSTANT, 0)]
        for piece in pieces:
            # weights of both signs: once for the days above zero, once for those below
            for sign, code in ((1, Code.ADD), (-1, Code.SUBTRACT)):
                weights = tuple(max(0, sign * weight) for weight in piece.weights)
                if any(weights):
                    total += [*self._push(piece), *self._weigh(weights), (code, 0)]
        return tuple((int(c), a) for c, a in bind(_code(calculation), {**names, "total": tuple(total)}))

    def info(self, piece: _Piece) -> InputInfo:
        plus, minus = (tuple(self.components[key] for key in keys) for keys in (piece.plus, piece.minus))
        rule = piece.rule
        if rule is None:
            return InputInfo(piece.name, piece.kind, plus, minus, (), "", "", 0)
        who = (rule.id, rule.document, rule.version, rule.note)
        return InputInfo(piece.name, piece.kind, plus, minus, piece.weights, *who, piece.in_force)

    def _push(self, piece: _Piece) -> Program:
        """The quantity of a piece."""
        term = self.terms.get(piece.name)
        if term is None:
            return ((Code.CALCULATION, self.calculations[piece.name]),)
        if term.source is not None and not isinstance(term.source, Decided):
            return ((Code.FACT if isinstance(term.source, Fact) else Code.CLOCK, int(term.source)),)
        code = [(Code.TERM, self.components[key]) for key in piece.plus]
        for key in piece.minus:
            code += [(Code.TERM, self.components[key]), (Code.SUBTRACT, 0)]
        return tuple(code)

    def _weigh(self, weights: tuple[int, ...]) -> Program:
        if len(set(weights)) == 1:
            return () if weights[0] == WEIGHT_UNIT else ((Code.WEIGH, weights[0]),)
        if weights not in self.day_weights:
            self.day_weights.append(weights)
        return ((Code.WEIGH_DAYS, self.day_weights.index(weights)),)


def _code(calculation: Calculation) -> Expression:
    return read_expression(calculation.expression).code


def _conditions_of(key: _Key, term: Term) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return ((term.rows, *key.holds), key.lacks) if key.measure <= ROW_MEASURES else ((), ())


def _catalogue(
    book: RuleBook,
    order: Sequence[Calculation],
    components: Mapping[_Key, bool],
    inputs: tuple[tuple[tuple[InputInfo, ...], ...], ...],
    version: int,
) -> Catalogue:
    titles = {heading.document: heading.title for heading in book.headings}
    places = {key: i for i, key in enumerate(components)}
    terms = (
        TermInfo(
            term.name,
            term.title,
            term.category,
            term.stability,
            term.measure.name.lower(),
            term.rows,
            places[_whole(term)[0]] if _whole(term) else -1,
            _source_name(term.source),
        )
        for term in book.terms
    )
    calculations = (
        CalculationInfo(
            c.name,
            c.title,
            c.description,
            c.expression,
            c.scope.value,
            c.unit.value,
            c.show.value,
            c.role.value if c.role else "",
            tuple(item if isinstance(item, str) else (int(item[0]), item[1]) for item in _code(c)),
        )
        for c in order
    )
    return Catalogue(
        version,
        tuple(DocumentInfo(d.name, d.version, titles.get(d.name, d.name)) for d in book.documents),
        tuple(terms),
        tuple(
            ComponentInfo(key.term, key.measure.name.lower(), key.holds, key.lacks, kept)
            for key, kept in components.items()
        ),
        tuple(calculations),
        inputs,
    )


def _source_name(source: Decided | Fact | Clock | None) -> str:
    return "" if source is None else source.name.lower()


def _answers(conditions: Sequence[Condition], columns: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[np.uint8]]:
    """By condition and row a bit for each day on which it holds; an unknown (a null) does not."""
    import polars as pl  # noqa: PLC0415  only the process that compiles rules needs polars

    types: dict[str, Any] = {FLAG: pl.Boolean, NUMBER: pl.Int64}
    frame = pl.DataFrame(
        [pl.Series(name, values, types.get(ATTRIBUTES[name], pl.String)) for name, values in columns.items()]
    )
    fixed = [condition for condition in conditions if "day" not in condition.columns]
    by_day = [condition for condition in conditions if "day" in condition.columns]
    answers = {c.text: np.zeros(frame.height, np.uint8) for c in conditions}
    for chosen, day, bits in (
        (fixed, 0, (1 << DAYS) - 1),
        *((by_day, day, 1 << day) for day in range(DAYS) if by_day),
    ):
        asked = [c.filter.fill_null(value=False).alias(f"{i}") for i, c in enumerate(chosen)]
        met = frame.with_columns(pl.lit(day, pl.Int64).alias("day")).with_columns(asked)
        for i, condition in enumerate(chosen):
            answers[condition.text] |= met[f"{i}"].to_numpy().astype(np.uint8) * np.uint8(bits)
    return answers
