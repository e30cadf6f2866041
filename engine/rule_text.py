"""Documents of rules as text (YAML): what they say, each word with its place, so that a problem points at it.

Reading goes in two steps: each document by itself (here), then all of them together (`engine.rule_check`).
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

import yaml

from engine.model import Clock, Decided, Fact
from engine.rule_check import Places, check, place_at
from engine.rule_model import (
    FORMAT,
    ROW_MEASURES,
    WEIGHT_UNIT,
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
from engine.rule_tokens import close_to

LONGEST: Final = 200_000
"""Characters of a document."""
GREATEST_WEIGHT: Final = 1_000
OWN_MARKETS_PRIORITY: Final = 100
"""What a rule has that says no priority, in a document for some markets; 0 in one for all."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DOCUMENT: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_SOURCES: Final[dict[Measure, type[Decided] | type[Fact] | type[Clock]]] = {
    Measure.DECIDED: Decided,
    Measure.FACT: Fact,
    Measure.CLOCK: Clock,
}
_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)


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
    )
    problems += check(book, places, complete=not problems)
    if problems:
        order = {document.name: i for i, document in enumerate(documents)}
        found = sorted(dict.fromkeys(problems), key=lambda p: (order.get(p.document, -1), p.line, p.column))
        raise RulesError(tuple(found))
    return book


@dataclass(slots=True)
class _Reader:
    """One document. What cannot be read is a problem, and is left out."""

    document: Document
    problems: list[Problem]
    places: Places
    heading: Heading = field(init=False)
    terms: list[Term] = field(default_factory=list)
    calculations: list[Calculation] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    def read(self) -> None:
        """Fill everything from the text."""
        self.heading = Heading(self.document.name, self.document.name)
        root = self._compose()
        if root is None:
            return
        fields = self._fields(
            root, "format document title markets effective_from terms calculations rules", "a document"
        )
        if not self._readable(root, fields):
            return
        self.heading = Heading(
            self.document.name,
            self._text(fields, "title") or self.document.name,
            self._markets(fields),
            self._date(fields, "effective_from"),
        )
        for name, node, key in self._named(fields, "terms"):
            self._term(name, node, key)
        for name, node, key in self._named(fields, "calculations"):
            self._calculation(name, node, key)
        for node in self._items(fields, "rules"):
            self._rule(node)

    def _compose(self) -> yaml.Node | None:
        """The document as nodes, which know their places."""
        if len(self.document.text) > LONGEST:
            self._say(None, f"longer than {LONGEST:,} characters")
            return None
        try:
            root = _composed(self.document.text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            what = ", ".join(filter(None, (error.context, error.problem)))
            self.problems.append(Problem(self.document.name, line, column, f"not YAML: {what}"))
            return None
        except yaml.YAMLError as error:
            self._say(None, f"not YAML: {' '.join(str(error).split())}")
            return None
        except (RecursionError, ValueError):
            self._say(None, "not YAML: nested too deep, or a number that is none")
            return None
        if root is None:
            self._say(None, "is empty")
        return root

    def _readable(self, root: yaml.Node, fields: dict[str, yaml.Node]) -> bool:
        """Whether the rest can be understood: a document of a newer form is refused whole."""
        form = self._whole(fields, "format")
        if form is None:
            if "format" not in fields:
                self._say(root, "says no format")
            return False
        if not 1 <= form <= FORMAT:
            self._say(fields["format"], f"format {form} is newer than this program reads (up to {FORMAT})")
            return False
        name = self._text(fields, "document")
        if name is None or not _DOCUMENT.fullmatch(name):
            self._say(fields.get("document", root), "document: a name in small letters is needed")
        elif name != self.document.name:
            self._say(fields["document"], f"is named {name!r}, not {self.document.name!r}")
        return True

    # parts of a document

    def _term(self, name: str, node: yaml.Node, key: yaml.Node) -> None:
        fields = self._fields(node, "title rows measure source category stability", f"term {name!r}")
        measure = self._choice(fields, "measure", Measure)
        if measure is None:
            if "measure" not in fields:
                self._say(key, f"term {name!r} says no measure")
            return
        rows, source = (self._text(fields, "rows") or "").strip(), None
        if measure in _SOURCES:
            source = self._choice(fields, "source", _SOURCES[measure])
            if "source" not in fields:
                self._say(key, f"term {name!r} says no source")
            if "rows" in fields:
                self._say(fields["rows"], f"a term of {measure.name.lower()} has no rows")
        else:
            if "rows" not in fields:
                self._say(key, f"term {name!r} says no rows")
            if "source" in fields:
                self._say(fields["source"], f"a term of {measure.name.lower()} is made from rows: no source")
        title, category = self._text(fields, "title") or name, self._text(fields, "category") or ""
        stability = self._text(fields, "stability") or ""
        if measure in _SOURCES and source is None:
            return
        self._place(("term", name), key, fields)
        self.terms.append(Term(name, title, measure, rows, category, stability, source, self.document.name))

    def _calculation(self, name: str, node: yaml.Node, key: yaml.Node) -> None:
        allowed = "title expression scope unit show role description"
        fields = self._fields(node, allowed, f"calculation {name!r}")
        expression = self._text(fields, "expression")
        if "expression" not in fields:
            self._say(key, f"calculation {name!r} says no expression")
        self._place(("calculation", name), key, fields)
        self.calculations.append(
            Calculation(
                name,
                self._text(fields, "title") or name,
                expression or "",
                self._choice(fields, "scope", Scope) or Scope.SECURITY,
                self._choice(fields, "unit", Unit) or Unit.SHARES,
                self._choice(fields, "show", Show) or Show.NONE,
                self._choice(fields, "role", Role),
                self._text(fields, "description") or "",
                self.document.name,
            )
        )

    def _rule(self, node: yaml.Node) -> None:
        allowed = "id calculation input weight condition measure markets effective_from effective_to priority note"
        fields = self._fields(node, allowed, "a rule")
        calculation, given = self._text(fields, "calculation"), self._text(fields, "input")
        for name in ("calculation", "input", "weight"):
            if name not in fields and fields:
                self._say(node, f"a rule needs {name}")
        weight = self._weight(fields)
        suffix = "" if self.document.name == "default" else f".{self.document.name}"
        id_ = self._text(fields, "id") if "id" in fields else f"{calculation}.{given}{suffix}"
        if id_ is not None and not _ID.fullmatch(id_):
            self._say(fields.get("id", node), f"{id_!r} is no id: letters, digits, dots, - and _ only")
        measure = self._choice(fields, "measure", Measure)
        if measure is not None and measure > ROW_MEASURES:
            self._say(fields["measure"], f"a rule cannot measure {measure.name.lower()}: not from rows")
        begins, ends = self._date(fields, "effective_from"), self._date(fields, "effective_to")
        if begins and ends and ends < begins:
            self._say(fields["effective_to"], f"ends on {ends}, before it begins on {begins}")
        markets, own = self._markets(fields), self.heading.markets
        for market in sorted(set(markets) - set(own)) if own else ():
            place = next(node for node in fields["markets"].value if node.value == market)
            self._say(place, f"market {market!r} is not one of the document's")
        default = OWN_MARKETS_PRIORITY if own else 0
        priority = self._whole(fields, "priority") if "priority" in fields else default
        if None in (calculation, given, weight, id_, priority):
            return
        rule = Rule(
            str(id_),
            str(calculation),
            str(given),
            int(weight or 0),
            self.document.name,
            self.document.rule_versions.get(str(id_), self.document.version),
            (self._text(fields, "condition") or "").strip(),
            measure,
            markets or own,
            begins,
            ends,
            int(priority or 0),
            self._text(fields, "note") or "",
        )
        self._place(("rule", rule.id), node, fields)
        self.rules.append(rule)

    # words

    def _say(self, node: yaml.Node | None, message: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (0, 0)
        self.problems.append(Problem(self.document.name, line, column, message))

    def _place(self, what: tuple[str, str], node: yaml.Node, fields: dict[str, yaml.Node]) -> None:
        self.places.put(what, self.document, node, fields)

    def _fields(self, node: yaml.Node, allowed: str, what: str) -> dict[str, yaml.Node]:
        """The entries of a mapping. Whatever is unknown or twice there is a problem."""
        names, found = allowed.split(), {}
        for key, value in self._entries(node, what):
            if key.value not in names:
                self._say(key, f"{what} has no {key.value!r}{close_to(key.value, names)}")
            else:
                found[key.value] = value
        return found

    def _entries(self, node: yaml.Node, what: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._say(node, f"{what} is a mapping of names to values")
            return
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._say(key, "a name is needed")
            elif key.value in seen:
                self._say(key, f"{key.value!r} is there twice")
            else:
                seen.add(key.value)
                yield key, value

    def _named(self, fields: dict[str, yaml.Node], part: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if part in fields and not _is_null(fields[part]):
            for key, value in self._entries(fields[part], part):
                self.places.declared.add(key.value)
                if _NAME.fullmatch(key.value):
                    yield key.value, value, key
                else:
                    self._say(key, f"{key.value!r} is no name: small letters, digits and _, at most 40")

    def _items(self, fields: dict[str, yaml.Node], part: str) -> list[Any]:
        node = fields.get(part)
        if node is None or _is_null(node):
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._say(node, f"{part} is a list")
        return []

    def _scalar(self, fields: dict[str, yaml.Node], name: str, read: Callable[[str], _T], wanted: str) -> _T | None:
        """A field as `read` understands it; a problem says what is `wanted`."""
        node = fields.get(name)
        if node is None:
            return None
        try:
            if isinstance(node, yaml.ScalarNode) and not _is_null(node):
                return read(node.value)
        except (ValueError, KeyError, ArithmeticError):
            pass_on = node.value
            self._say(node, f"{name}: {wanted}, not {pass_on!r}")
            return None
        self._say(node, f"{name}: {wanted}")
        return None

    def _text(self, fields: dict[str, yaml.Node], name: str) -> str | None:
        return self._scalar(fields, name, str, "a text is needed")

    def _whole(self, fields: dict[str, yaml.Node], name: str) -> int | None:
        return self._scalar(fields, name, _whole_number, "a whole number is needed")

    def _date(self, fields: dict[str, yaml.Node], name: str) -> dt.date | None:
        return self._scalar(fields, name, dt.date.fromisoformat, "a date like 2026-01-31 is needed")

    def _weight(self, fields: dict[str, yaml.Node]) -> int | None:
        wanted = f"a number of at most four places between -{GREATEST_WEIGHT:,} and {GREATEST_WEIGHT:,} is needed"
        return self._scalar(fields, "weight", _ten_thousandths, wanted)

    def _choice(self, fields: dict[str, yaml.Node], name: str, of: type[_E]) -> _E | None:
        members = {member.name.lower(): member for member in of}
        return self._scalar(fields, name, members.__getitem__, f"one of {', '.join(members)}")

    def _markets(self, fields: dict[str, yaml.Node]) -> tuple[str, ...]:
        codes: list[str] = []
        for node in self._items(fields, "markets"):
            if not isinstance(node, yaml.ScalarNode) or _is_null(node):
                self._say(node, "markets: codes are needed")
            elif node.value in codes:
                self._say(node, f"market {node.value!r} is there twice")
            else:
                codes.append(node.value)
        if "markets" in fields and not codes:
            self._say(fields["markets"], "markets: at least one is needed; leave it out for all")
        return tuple(codes)


@lru_cache(maxsize=32)
def _composed(text: str) -> yaml.Node | None:
    """A text as nodes; kept, because of the documents in force all but one are read again unchanged. Raises what yaml does."""
    return yaml.compose(text, yaml.SafeLoader)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,6}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def _ten_thousandths(text: str) -> int:
    """A weight as it is kept. Raises ValueError or ArithmeticError."""
    if not re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,12})?|[+-]?\.\d{1,12}", text, re.ASCII):
        raise InvalidOperation
    scaled = Decimal(text) * WEIGHT_UNIT
    if scaled != int(scaled) or abs(scaled) > GREATEST_WEIGHT * WEIGHT_UNIT:
        raise ValueError(text)
    return int(scaled)


def place_of_market(document: Document, code: str) -> list[tuple[int, int]]:
    """Lines and columns at which a readable document names a market; (0, 0) where it does not."""
    places, left = list[int](), [_composed(document.text)]
    while left:
        node = left.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                left.append(value)
                if key.value == "markets" and isinstance(value, yaml.SequenceNode):
                    places += [item.start_mark.index for item in value.value if item.value == code]
                elif key.value in ("rows", "condition"):
                    quoted = re.compile(re.escape(code)).finditer(
                        document.text, value.start_mark.index, value.end_mark.index
                    )
                    places += [found.start() for found in quoted if f"'{code}'" in value.value]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value
    return [place_at(document.text, place) for place in sorted(places)] or [(0, 0)]
