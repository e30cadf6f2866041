"""Documents of rules as text (YAML): what they say, each word with its place, so that a problem points at it.

Reading goes in two steps: each document by itself (here), then all of them together (`engine.rule_check`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import yaml

from engine.locate_rules import DecisionRule, DecrementRule
from engine.model import Clock, Decided, Fact
from engine.rule_check import Places, check
from engine.rule_locates import read_decision, read_decrement
from engine.rule_model import (
    FORMAT,
    ROW_MEASURES,
    Calculation,
    Document,
    Heading,
    Measure,
    Problem,
    Role,
    Rule,
    RuleBook,
    RulesError,
    Scope,
    Show,
    Term,
    Unit,
)
from engine.rule_reader import Reader

_DOCUMENT: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PARTS: Final = "format document title markets effective_from terms calculations rules decisions decrements"
_SOURCES: Final[dict[Measure, type[Decided] | type[Fact] | type[Clock]]] = {
    Measure.DECIDED: Decided,
    Measure.FACT: Fact,
    Measure.CLOCK: Clock,
}


def read_documents(documents: Sequence[Document]) -> RuleBook:
    """Everything that these documents say together. Raises `RulesError` with every problem of all of them."""
    problems: list[Problem] = []
    places = Places()
    readers = [_Reader(document, problems, places) for document in documents]
    for i, reader in enumerate(readers):
        if documents[i].name in [other.name for other in documents[:i]]:
            problems.append(Problem(documents[i].name, 0, 0, "there are two documents of this name"))
        reader.read()
    book = RuleBook(
        tuple(documents),
        tuple(term for reader in readers for term in reader.terms),
        tuple(calculation for reader in readers for calculation in reader.calculations),
        tuple(rule for reader in readers for rule in reader.rules),
        tuple(reader.heading for reader in readers),
        tuple(rule for reader in readers for rule in reader.decisions),
        tuple(rule for reader in readers for rule in reader.decrements),
    )
    problems += check(book, places, complete=not problems)
    if problems:
        order = {document.name: i for i, document in enumerate(documents)}
        found = sorted(dict.fromkeys(problems), key=lambda p: (order.get(p.document, -1), p.line, p.column))
        raise RulesError(tuple(found))
    return book


@dataclass(slots=True)
class _Reader(Reader):
    """One document. What cannot be read is a problem, and is left out."""

    heading: Heading = field(init=False)
    terms: list[Term] = field(default_factory=list)
    calculations: list[Calculation] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    decisions: list[DecisionRule] = field(default_factory=list)
    decrements: list[DecrementRule] = field(default_factory=list)

    def read(self) -> None:
        """Fill everything from the text."""
        self.heading = Heading(self.document.name, self.document.name)
        root = self.compose()
        if root is None:
            return
        fields = self.fields(root, _PARTS, "a document")
        if not self._readable(root, fields):
            return
        self.heading = Heading(
            self.document.name,
            self.text(fields, "title") or self.document.name,
            self.markets(fields),
            self.date(fields, "effective_from"),
        )
        for name, node, key in self.named(fields, "terms"):
            self._term(name, node, key)
        for name, node, key in self.named(fields, "calculations"):
            self._calculation(name, node, key)
        for node in self.items(fields, "rules"):
            self._rule(node)
        for node in self.items(fields, "decisions"):
            self.decisions += read_decision(self, node, self.heading.markets)
        for node in self.items(fields, "decrements"):
            self.decrements += read_decrement(self, node, self.heading.markets)

    def _readable(self, root: yaml.Node, fields: dict[str, yaml.Node]) -> bool:
        """Whether the rest can be understood: a document of a newer form is refused whole."""
        form = self.whole(fields, "format")
        if form is None:
            if "format" not in fields:
                self.say(root, "says no format")
            return False
        if not 1 <= form <= FORMAT:
            self.say(fields["format"], f"format {form} is newer than this program reads (up to {FORMAT})")
            return False
        name = self.text(fields, "document")
        if name is None or not _DOCUMENT.fullmatch(name):
            self.say(fields.get("document", root), "document: a name in small letters is needed")
        elif name != self.document.name:
            self.say(fields["document"], f"is named {name!r}, not {self.document.name!r}")
        return True

    # parts of a document

    def _term(self, name: str, node: yaml.Node, key: yaml.Node) -> None:
        fields = self.fields(node, "title rows measure source category stability", f"term {name!r}")
        measure = self.choice(fields, "measure", Measure)
        if measure is None:
            if "measure" not in fields:
                self.say(key, f"term {name!r} says no measure")
            return
        rows, source = (self.text(fields, "rows") or "").strip(), None
        if measure in _SOURCES:
            source = self.choice(fields, "source", _SOURCES[measure])
            if "source" not in fields:
                self.say(key, f"term {name!r} says no source")
            if "rows" in fields:
                self.say(fields["rows"], f"a term of {measure.name.lower()} has no rows")
        else:
            if "rows" not in fields:
                self.say(key, f"term {name!r} says no rows")
            if "source" in fields:
                self.say(fields["source"], f"a term of {measure.name.lower()} is made from rows: no source")
        title, category = self.text(fields, "title") or name, self.text(fields, "category") or ""
        stability = self.text(fields, "stability") or ""
        if measure in _SOURCES and source is None:
            return
        self.place(("term", name), key, fields)
        self.terms.append(Term(name, title, measure, rows, category, stability, source, self.document.name))

    def _calculation(self, name: str, node: yaml.Node, key: yaml.Node) -> None:
        allowed = "title expression scope unit show role description"
        fields = self.fields(node, allowed, f"calculation {name!r}")
        expression = self.text(fields, "expression")
        if "expression" not in fields:
            self.say(key, f"calculation {name!r} says no expression")
        self.place(("calculation", name), key, fields)
        self.calculations.append(
            Calculation(
                name,
                self.text(fields, "title") or name,
                expression or "",
                self.choice(fields, "scope", Scope) or Scope.SECURITY,
                self.choice(fields, "unit", Unit) or Unit.SHARES,
                self.choice(fields, "show", Show) or Show.NONE,
                self.choice(fields, "role", Role),
                self.text(fields, "description") or "",
                self.document.name,
            )
        )

    def _rule(self, node: yaml.Node) -> None:
        allowed = "id calculation input weight condition measure markets effective_from effective_to priority note"
        fields = self.fields(node, allowed, "a rule")
        calculation, given = self.text(fields, "calculation"), self.text(fields, "input")
        for name in ("calculation", "input", "weight"):
            if name not in fields and fields:
                self.say(node, f"a rule needs {name}")
        weight = self.weight(fields)
        suffix = "" if self.document.name == "default" else f".{self.document.name}"
        id_ = self.id(fields, node, f"{calculation}.{given}{suffix}")
        measure = self.choice(fields, "measure", Measure)
        if measure is not None and measure > ROW_MEASURES:
            self.say(fields["measure"], f"a rule cannot measure {measure.name.lower()}: not from rows")
        begins, ends = self.period(fields)
        own = self.heading.markets
        markets, priority = self.own_markets(fields, own), self.priority(fields, own)
        if None in (calculation, given, weight, id_, priority):
            return
        rule = Rule(
            str(id_),
            str(calculation),
            str(given),
            int(weight or 0),
            self.document.name,
            self.version_of(str(id_)),
            (self.text(fields, "condition") or "").strip(),
            measure,
            markets,
            begins,
            ends,
            int(priority or 0),
            self.text(fields, "note") or "",
        )
        self.place(("rule", rule.id), node, fields)
        self.rules.append(rule)
