"""How a calculation's number comes about, exact to the share: weighed inputs, their rules and rows, and the numbers inside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import CalculationInfo, InputInfo, TermInfo
from engine.explain_parts import Parts, run
from engine.explain_rows import SecurityCopy, copy_of
from engine.model import DAYS, Clock, Decided, Fact
from engine.rule_model import ROW_MEASURES, WEIGHT_UNIT, Measure, Scope
from engine.tables import Tables, Word

TOTAL: Final = "total"
_NO_ROWS: Final[NDArray[np.int64]] = np.empty(0, np.int64)
_OWNERS: Final = {Scope.CLIENT: ("client", "a client"), Scope.AU: ("aggregation_unit", "an aggregation unit")}


class ExplanationError(RuntimeError):
    """A number is not what its inputs make: the rules in force and the tables do not belong together."""


class OwnerError(ValueError):
    """A number without the owner that it needs, or with one that it does not have. `scope`: of that owner."""

    def __init__(self, scope: Scope, message: str) -> None:
        super().__init__(message)
        self.scope = scope


class InputKind(StrEnum):
    """What an input is."""

    ROWS = "rows"
    DECIDED = "decided"
    FACT = "fact"
    CLOCK = "clock"
    CALCULATION = "calculation"


@dataclass(frozen=True, slots=True)
class Input:
    """What a calculation takes in on a day.

    `share` is what it adds to `total`, rounded as the engine rounds: down by its size, then its sign. `weight` in
    ten-thousandths; None: the expression names it, and it has no share.
    """

    name: str
    title: str
    kind: InputKind
    category: str
    stability: str
    quantity: int
    weight: int | None
    share: int
    rule: str
    document: str
    version: int
    note: str
    condition: str
    """Which rows it is from, as SQL; "" where it is from none."""
    measure: str
    source: str
    """The name of the Decided, Fact or Clock that it reads; "" for another."""
    rows: NDArray[np.int64]
    """Places in `Explanation.copy.rows` of the rows that contribute; those that give nothing are left out."""
    given: NDArray[np.int64]
    """What each of them gives: they add up to `quantity`."""
    nested: "Explanation | None"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A number that explains itself: the shares of `inputs` add up to `total`, the expression makes `value` of it."""

    copy: SecurityCopy
    calculation: CalculationInfo
    day: int
    client: str | None
    aggregation_unit: str | None
    inputs: tuple[Input, ...]
    total: int
    value: int

    def evaluated(self) -> int:
        """What the expression makes of the inputs: the value, worked out a second time."""
        return run(self.calculation.postfix, self.named()).value

    def named(self) -> dict[str, Parts]:
        """What the expression may name, as plain numbers."""
        named = {each.name: Parts(each.quantity, label=each.title) for each in self.inputs if each.weight is None}
        return named | {TOTAL: Parts(self.total, label=TOTAL)}


def explain(
    tables: Tables,
    security: int,
    calculation: str,
    day: int,
    *,
    client: str | None = None,
    aggregation_unit: str | None = None,
    decided: Mapping[Decided, int] | None = None,
) -> Explanation:
    """Explain a calculation of security `security` on day 0..4, as of now.

    `client`, `aggregation_unit`: whose number, for a calculation of that scope; `decided`: what decisions hold of them.
    Raises KeyError for an unknown security, calculation, client or aggregation unit; ValueError for another day; OwnerError;
    ExplanationError where numbers and rules do not agree; `TornReadError`.
    """
    if not 0 < security <= tables.count(Word.SECURITIES):
        raise KeyError(f"no security has id {security}")
    check_owner(tables, client=client, aggregation_unit=aggregation_unit)
    copy = copy_of(tables, security)
    at = copy.catalogue.calculation(calculation)
    scope = Scope(copy.catalogue.calculations[at].scope)
    for of, name in ((Scope.CLIENT, client), (Scope.AU, aggregation_unit)):
        if name is not None and scope != of:
            raise OwnerError(of, f"{calculation} is not a number of {_OWNERS[of][1]}")
    made = Explainer(copy, client=client, aggregation_unit=aggregation_unit, decided=decided).explain(at, day)
    if made.evaluated() != made.value:
        raise ExplanationError(f"{calculation} is {made.value}, but its inputs make {made.evaluated()}")
    return made


def check_owner(tables: Tables, *, client: str | None = None, aggregation_unit: str | None = None) -> None:
    """Raises KeyError for a client or aggregation unit that no book has."""
    books = tables.array["book"][1 : tables.count(Word.BOOKS) + 1]
    for name, (column, title) in zip((client, aggregation_unit), _OWNERS.values(), strict=True):
        # numpy takes no notice of zeros at the end: to it such a name is another owner's, or that of books without one
        if name is not None and not (name and "\0" not in name and (books[column] == name.encode()).any()):
            raise KeyError(f"no {title.split(maxsplit=1)[1]} {name!r}")


def share(quantity: int, weight: int) -> int:
    """What a weight in ten-thousandths makes of a quantity, as the engine rounds it."""
    size = quantity * abs(weight) // WEIGHT_UNIT
    return size if weight >= 0 else -size


class Explainer:
    """Explains calculations of one copy, for one owner at most; see `explain` for what it raises."""

    def __init__(
        self,
        copy: SecurityCopy,
        *,
        client: str | None = None,
        aggregation_unit: str | None = None,
        decided: Mapping[Decided, int] | None = None,
    ) -> None:
        self._copy = copy
        self._owner = {Scope.CLIENT: client, Scope.AU: aggregation_unit}
        self._decided = decided or {}
        self._terms = {term.name: term for term in copy.catalogue.terms}
        self._made: dict[tuple[int, int], Explanation] = {}

    def explain(self, calculation: int, day: int) -> Explanation:
        """The calculation with that place in the catalogue, on a day."""
        if not 0 <= day < DAYS:
            raise ValueError(f"the days are 0 to {DAYS - 1}, not {day}")
        if (calculation, day) not in self._made:
            self._made[calculation, day] = self._explain(calculation, day)
        return self._made[calculation, day]

    def _explain(self, calculation: int, day: int) -> Explanation:
        copy = self._copy
        info = copy.catalogue.calculations[calculation]
        scope = Scope(info.scope)
        if scope != Scope.SECURITY and self._owner[scope] is None:
            raise OwnerError(scope, f"{info.name} is a number of {_OWNERS[scope][1]}: say of which")
        found = copy.catalogue.inputs[copy.market_index][calculation]
        inputs = tuple(self._input(each, scope, day) for each in found if each.in_force >> day & 1)
        made = Explanation(
            copy=copy,
            calculation=info,
            day=day,
            client=self._owner[Scope.CLIENT] if scope == Scope.CLIENT else None,
            aggregation_unit=self._owner[Scope.AU] if scope == Scope.AU else None,
            inputs=inputs,
            total=sum(each.share for each in inputs),
            value=int(copy.values[calculation, day]),
        )
        if scope == Scope.SECURITY:
            return made
        # nobody keeps the numbers of clients and aggregation units: they are made here
        return Explanation(
            copy, info, day, made.client, made.aggregation_unit, inputs, made.total, made.evaluated()
        )  # fmt: skip

    def _input(self, info: InputInfo, scope: Scope, day: int) -> Input:
        term = self._terms.get(info.name)
        rows = given = _NO_ROWS
        nested, condition, title, measure, source = None, "", info.name, "", ""
        if info.kind == InputKind.CALCULATION or term is None:
            kind = InputKind.CALCULATION
            nested = self.explain(self._copy.catalogue.calculation(info.name), day)
            quantity, title = nested.value, nested.calculation.title
        else:
            kind, measure, title = _kind(term), term.measure, term.title
            if kind == InputKind.ROWS:
                quantity, rows, given = self._summed(info, scope, day)
                condition, measure = self._condition(info, term), self._copy.catalogue.components[info.plus[0]].measure
            else:
                source = (term.source or term.name).upper()
                quantity = self._read(term, kind, source, scope, day)
        weight = info.weights[day] if info.weights else None
        return Input(
            name=info.name,
            title=title or info.name,
            kind=kind,
            category=term.category if term else "",
            stability=term.stability if term else "",
            quantity=quantity,
            weight=weight,
            share=0 if weight is None else share(quantity, weight),
            rule=info.rule,
            document=info.document,
            version=info.version,
            note=info.note,
            condition=condition,
            measure=measure,
            source=source,
            rows=rows,
            given=given,
            nested=nested,
        )

    def _read(self, term: TermInfo, kind: InputKind, source: str, scope: Scope, day: int) -> int:
        """A quantity that is not from rows."""
        copy = self._copy
        if kind == InputKind.FACT:
            return int(copy.facts[Fact[source]])
        if kind == InputKind.CLOCK:
            return int(copy.clocks[Clock[source], day])
        return (
            int(copy.terms[term.component, day]) if scope == Scope.SECURITY else self._decided.get(Decided[source], 0)
        )

    def _summed(self, info: InputInfo, scope: Scope, day: int) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
        """A quantity from rows, the places of the rows that give something, and what they give."""
        copy = self._copy
        every = copy.rows.given(info.plus, day) - copy.rows.given(info.minus, day)
        if scope == Scope.SECURITY:
            quantity = int(copy.terms[list(info.plus), day].sum() - copy.terms[list(info.minus), day].sum())
        else:
            owner = self._owner
            of = {other: owner[other] if other == scope else None for other in owner}
            every[~copy.rows.belonging(of[Scope.CLIENT], of[Scope.AU])] = 0
            quantity = int(every.sum())
        places = np.flatnonzero(every)
        return quantity, places, every[places]

    def _condition(self, info: InputInfo, term: TermInfo) -> str:
        """Which rows an input is from."""
        components = self._copy.catalogue.components
        holds = dict.fromkeys([term.rows, *(text for i in info.plus for text in components[i].holds)])
        lacks = dict.fromkeys(text for i in info.plus for text in components[i].lacks)
        apart = dict.fromkeys(_all(components[i].holds) for i in info.minus)
        return _all([*holds, *(f"NOT ({text})" for text in {**lacks, **apart} if text)])


def _kind(term: TermInfo) -> InputKind:
    measure = Measure[term.measure.upper()]
    return InputKind.ROWS if measure <= ROW_MEASURES else InputKind(measure.name.lower())


def _all(conditions: Iterable[str]) -> str:
    texts = [text for text in conditions if text]
    alone = len(texts) == 1
    return " AND ".join(text if alone or " or " not in text.lower() else f"({text})" for text in texts)
