"""Whether documents of rules make sense together: names, SQL, dates, roles, cycles. Every problem is found in one go."""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Protocol

import yaml

from engine.rule_bounds import hopeless
from engine.rule_model import (
    ROW_MEASURES,
    Calculation,
    Document,
    Problem,
    Role,
    Rule,
    RuleBook,
    Term,
)
from engine.rule_sql import RESERVED, normal, read_condition, read_expression
from engine.rule_tokens import SqlError, close_to

MOST: Final = 500
"""Terms, calculations and rules of each sort, in all documents together."""
What = tuple[str, str]
"""term, calculation or rule, and its name."""


class _Documented(Protocol):
    @property
    def document(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Place:
    document: Document
    node: yaml.Node
    fields: Mapping[str, yaml.Node]


@dataclass(slots=True)
class Places:
    """Where everything stands. `declared`: names of terms and calculations, also of those that could not be read."""

    declared: set[str] = field(default_factory=set)
    _places: dict[What, list[_Place]] = field(default_factory=dict)

    def put(self, what: What, document: Document, node: yaml.Node, fields: Mapping[str, yaml.Node]) -> None:
        """Something stands at `node`, its parts at `fields`."""
        self._places.setdefault(what, []).append(_Place(document, node, fields))

    def problem(self, what: What, part: str, message: str, nth: int = 0) -> Problem:
        """A problem of a part of the `nth` thing of this name, or of the whole where it does not say the part."""
        place = self._places[what][nth]
        mark = place.fields.get(part, place.node).start_mark
        return Problem(place.document.name, mark.line + 1, mark.column + 1, message)

    def inside(self, what: What, part: str, message: str, begin: int, end: int) -> Problem:
        """A problem of the characters `begin` to `end` of a part's value, which YAML may have folded or quoted."""
        place = self._places[what][0]
        node = place.fields.get(part)
        if not isinstance(node, yaml.ScalarNode):
            return self.problem(what, part, message)
        value, text = node.value, place.document.text
        begin += len(value) - len(value.lstrip())
        end += len(value) - len(value.lstrip())
        word, first = value[begin:end], node.start_mark.index
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if re.fullmatch(r"\w+", word) else re.escape(word))
        before = len(pattern.findall(value[:begin])) if word.strip() else 0
        found = [first + m.start() for m in pattern.finditer(text[first : node.end_mark.index])] if word.strip() else []
        at = found[min(before, len(found) - 1)] if found else first
        return Problem(place.document.name, *place_at(text, at), message)


def place_at(text: str, at: int) -> tuple[int, int]:
    """Line and column of a character, from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def check(book: RuleBook, places: Places, *, complete: bool) -> list[Problem]:
    """Every problem of the book as a whole. `complete` False: something could not be read, so nothing is missed."""
    sorts: tuple[tuple[Sequence[_Documented], str], ...] = (
        (book.terms, "terms"),
        (book.calculations, "calculations"),
        (book.rules, "rules"),
        (book.decisions, "decisions"),
        (book.decrements, "decrements"),
    )
    for items, plural in sorts:
        if len(items) > MOST:
            return [Problem(items[MOST].document, 0, 0, f"{len(items):,} {plural} are too many: at most {MOST}")]
    problems = [
        *_names(book, places),
        *_conditions(book, places),
        *_expressions(book, places),
        *_rules(book, places),
        *_overlaps(book, places),
        *_locates(book, places),
        *_roles(book, places, complete=complete),
        *(
            places.problem(("calculation", path[0]), "expression", f"goes round: {' -> '.join(path)}")
            for path in cycles(book)
        ),
    ]
    if problems or not complete:
        return problems
    order = ordered(book)
    return [
        places.problem(
            ("rule", found.rule.id) if found.rule else ("calculation", found.calculation),
            "weight" if found.rule else "expression",
            f"{found.calculation} would never be above zero{found.where}",
        )
        for found in hopeless(book, order)
    ]


def needs(book: RuleBook) -> dict[str, tuple[str, ...]]:
    """By calculation the calculations that it is made from, by its rules or its expression."""
    names = {calculation.name for calculation in book.calculations}
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    for calculation in book.calculations:
        try:
            places = read_expression(calculation.expression).places
        except SqlError:
            places = ()
        found[calculation.name] |= {name: None for name, _ in places if name in names}
    for rule in book.rules:
        if rule.calculation in names and rule.input in names:
            found[rule.calculation][rule.input] = None
    return {name: tuple(of) for name, of in found.items()}


def cycles(book: RuleBook) -> list[list[str]]:
    """Paths of calculations that need themselves, each begun and ended by the same name; one for each way round."""
    graph, done, paths = needs(book), set[str](), list[list[str]]()
    for start in sorted(graph):
        path, ways = [start], [iter(graph[start])]
        while ways and start not in done:
            following = next(ways[-1], None)
            if following is None:
                ways.pop()
                done.add(path.pop())
            elif following in path:
                paths.append([*path[path.index(following) :], following])
            elif following not in done:
                path.append(following)
                ways.append(iter(graph[following]))
    return paths


def ordered(book: RuleBook) -> tuple[Calculation, ...]:
    """Calculations of securities first, then those of clients and aggregation units; each after those that it needs."""
    graph, placed = needs(book), dict[str, Calculation]()
    by_name = {calculation.name: calculation for calculation in book.calculations}

    def place(name: str) -> None:
        for needed in graph[name]:
            if needed not in placed:
                place(needed)
        placed[name] = by_name[name]

    for calculation in book.calculations:
        if calculation.name not in placed:
            place(calculation.name)
    scopes = list(type(book.calculations[0].scope)) if book.calculations else []
    return tuple(sorted(placed.values(), key=lambda calculation: scopes.index(calculation.scope)))


def _names(book: RuleBook, places: Places) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    counts: dict[What, int] = defaultdict(int)
    for what, items in (("term", book.terms), ("calculation", book.calculations)):
        for item in items:
            nth, key = counts[what, item.name], (what, item.name)
            counts[key] += 1
            if item.name in seen:
                message = f"{item.name!r} is already a {seen[item.name]}"
                yield places.problem(key, "", message, nth)
            elif item.name in RESERVED:
                yield places.problem(key, "", f"{item.name!r} is a word of expressions")
            seen.setdefault(item.name, what)
    for rule in book.every_rule:
        nth = counts["rule", rule.id]
        counts["rule", rule.id] += 1
        if nth:
            yield places.problem(("rule", rule.id), "id", f"there is another rule {rule.id!r}", nth)


def _conditions(book: RuleBook, places: Places) -> Iterator[Problem]:
    texts: list[tuple[What, str, str]] = [
        (("term", term.name), "rows", term.rows) for term in book.terms if term.measure <= ROW_MEASURES
    ]
    texts += [(("rule", rule.id), "condition", rule.condition) for rule in book.rules if rule.condition]
    for what, part, text in texts:
        try:
            read_condition(text)
        except SqlError as error:
            for problem in error.problems:
                yield places.inside(what, part, problem.message, problem.begin, problem.end)


def _expressions(book: RuleBook, places: Places) -> Iterator[Problem]:
    known = places.declared | {"total"}
    scopes = {calculation.name: calculation.scope for calculation in book.calculations}
    weighed = {rule.calculation for rule in book.rules}
    for calculation in book.calculations:
        what = ("calculation", calculation.name)
        try:
            named = read_expression(calculation.expression).places
        except SqlError as error:
            for problem in error.problems:
                yield places.inside(what, "expression", problem.message, problem.begin, problem.end)
            continue
        for name, begin in named:
            end = begin + len(name)
            if name not in known:
                message = f"unknown name {name!r}{close_to(name, known)}"
                yield places.inside(what, "expression", message, begin, end)
            elif scopes.get(name, calculation.scope) != calculation.scope:
                message = f"{name!r} is of {_of(scopes[name])}, {calculation.name!r} of {_of(calculation.scope)}"
                yield places.inside(what, "expression", message, begin, end)
        if calculation.name in weighed and "total" not in dict(named):
            yield places.problem(what, "expression", "has rules, but does not use their total")


def _rules(book: RuleBook, places: Places) -> Iterator[Problem]:
    terms: dict[str, Term] = {term.name: term for term in book.terms}
    scopes = {calculation.name: calculation.scope for calculation in book.calculations}
    for rule in book.rules:
        what, term = ("rule", rule.id), terms.get(rule.input)
        if rule.calculation not in places.declared or rule.calculation in terms:
            known = [calculation.name for calculation in book.calculations]
            message = f"no calculation {rule.calculation!r}{close_to(rule.calculation, known)}"
            yield places.problem(what, "calculation", message)
        if rule.input not in places.declared:
            message = f"no term and no calculation {rule.input!r}{close_to(rule.input, places.declared)}"
            yield places.problem(what, "input", message)
        elif rule.input in scopes and rule.calculation in scopes and scopes[rule.input] != scopes[rule.calculation]:
            own = _of(scopes[rule.calculation])
            yield places.problem(what, "input", f"{rule.input!r} is of {_of(scopes[rule.input])}, the rule of {own}")
        for part, given in (("condition", bool(rule.condition)), ("measure", rule.measure is not None)):
            if given and (rule.input in scopes or (term and term.measure > ROW_MEASURES)):
                yield places.problem(what, part, f"{rule.input!r} is not made from rows: it has no {part} to choose")


def _overlaps(book: RuleBook, places: Places) -> Iterator[Problem]:
    """Rules between which nobody could choose."""
    alike: dict[tuple[str, str, str, int], list[Rule]] = defaultdict(list)
    for rule in book.rules:
        try:
            condition = normal(rule.condition)
        except SqlError:
            continue
        alike[rule.calculation, rule.input, condition, rule.priority].append(rule)
    for rules in alike.values():
        for one, other in combinations(rules, 2):
            markets = set(one.markets) & set(other.markets) if one.markets and other.markets else True
            begins = max(one.effective_from or dt.date.min, other.effective_from or dt.date.min)
            ends = min(one.effective_to or dt.date.max, other.effective_to or dt.date.max)
            if markets and begins <= ends and one.id != other.id:
                since = f"from {begins}" if begins > dt.date.min else "from the first day"
                message = f"overlaps {one.id!r} ({one.document}) {since}: same input, condition and priority"
                yield places.problem(("rule", other.id), "effective_from", message)


def _locates(book: RuleBook, places: Places) -> Iterator[Problem]:
    terms = {term.name for term in book.terms}
    others = {calculation.name for calculation in book.calculations}
    for rule in book.decisions:
        for name in rule.within_terms:
            if name in others or name not in terms | places.declared:
                yield places.problem(("rule", rule.id), "within_terms", f"no term {name!r}{close_to(name, terms)}")


def _roles(book: RuleBook, places: Places, *, complete: bool) -> Iterator[Problem]:
    players: dict[Role, str] = {}
    for calculation in book.calculations:
        what = ("calculation", calculation.name)
        role = calculation.role
        if role is None:
            continue
        if players.setdefault(role, calculation.name) != calculation.name:
            yield places.problem(what, "role", f"{players[role]!r} already plays {role.value}")
        wanted = role.value.split("_")[0] if role.value.split("_")[0] in ("client", "au") else "security"
        if calculation.scope != wanted:
            yield places.problem(what, "role", f"{role.value} is played by a calculation of {_of(wanted)}")
    for role in Role if complete else ():
        if role not in players:
            yield Problem(book.documents[0].name if book.documents else "rules", 0, 0, f"nobody plays {role.value}")


def _of(scope: str) -> str:
    return {"security": "a security", "client": "a client", "au": "an aggregation unit"}[scope]
