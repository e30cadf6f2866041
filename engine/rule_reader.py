"""A document of rules as nodes of YAML, read strictly: whatever is unknown, twice there or not what is needed is a problem with
its line and column, and is left out.
"""

import datetime as dt
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

import yaml

from engine.rule_check import Places, place_at
from engine.rule_model import WEIGHT_UNIT, Document, Problem
from engine.rule_tokens import close_to

LONGEST: Final = 200_000
"""Characters of a document."""
GREATEST_WEIGHT: Final = 1_000
OWN_MARKETS_PRIORITY: Final = 100
"""What a rule has that says no priority, in a document for some markets; 0 in one for all."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
_FLAGS: Final = {"true": True, "false": False}
_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)


@dataclass(slots=True)
class Reader:
    """One document."""

    document: Document
    problems: list[Problem]
    places: Places

    def compose(self) -> yaml.Node | None:
        """The document as nodes, which know their places."""
        if len(self.document.text) > LONGEST:
            self.say(None, f"longer than {LONGEST:,} characters")
            return None
        try:
            root = composed(self.document.text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            what = ", ".join(filter(None, (error.context, error.problem)))
            self.problems.append(Problem(self.document.name, line, column, f"not YAML: {what}"))
            return None
        except yaml.YAMLError as error:
            self.say(None, f"not YAML: {' '.join(str(error).split())}")
            return None
        except (RecursionError, ValueError):
            self.say(None, "not YAML: nested too deep, or a number that is none")
            return None
        if root is None:
            self.say(None, "is empty")
        return root

    def say(self, node: yaml.Node | None, message: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (0, 0)
        self.problems.append(Problem(self.document.name, line, column, message))

    def place(self, what: tuple[str, str], node: yaml.Node, fields: dict[str, yaml.Node]) -> None:
        self.places.put(what, self.document, node, fields)

    def fields(self, node: yaml.Node, allowed: str, what: str) -> dict[str, yaml.Node]:
        """The entries of a mapping. Whatever is unknown or twice there is a problem."""
        names, found = allowed.split(), {}
        for key, value in self.entries(node, what):
            if key.value not in names:
                self.say(key, f"{what} has no {key.value!r}{close_to(key.value, names)}")
            else:
                found[key.value] = value
        return found

    def entries(self, node: yaml.Node, what: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.say(node, f"{what} is a mapping of names to values")
            return
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.say(key, "a name is needed")
            elif key.value in seen:
                self.say(key, f"{key.value!r} is there twice")
            else:
                seen.add(key.value)
                yield key, value

    def named(self, fields: dict[str, yaml.Node], part: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if part in fields and not is_null(fields[part]):
            for key, value in self.entries(fields[part], part):
                self.places.declared.add(key.value)
                if _NAME.fullmatch(key.value):
                    yield key.value, value, key
                else:
                    self.say(key, f"{key.value!r} is no name: small letters, digits and _, at most 40")

    def items(self, fields: dict[str, yaml.Node], part: str) -> list[Any]:
        node = fields.get(part)
        if node is None or is_null(node):
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.say(node, f"{part} is a list")
        return []

    def scalar(self, fields: dict[str, yaml.Node], name: str, read: Callable[[str], _T], wanted: str) -> _T | None:
        """A field as `read` understands it; a problem says what is `wanted`."""
        node = fields.get(name)
        if node is None:
            return None
        try:
            if isinstance(node, yaml.ScalarNode) and not is_null(node):
                return read(node.value)
        except (ValueError, KeyError, ArithmeticError):
            pass_on = node.value
            self.say(node, f"{name}: {wanted}, not {pass_on!r}")
            return None
        self.say(node, f"{name}: {wanted}")
        return None

    def text(self, fields: dict[str, yaml.Node], name: str) -> str | None:
        return self.scalar(fields, name, str, "a text is needed")

    def whole(self, fields: dict[str, yaml.Node], name: str) -> int | None:
        return self.scalar(fields, name, whole_number, "a whole number is needed")

    def date(self, fields: dict[str, yaml.Node], name: str) -> dt.date | None:
        return self.scalar(fields, name, dt.date.fromisoformat, "a date like 2026-01-31 is needed")

    def weight(self, fields: dict[str, yaml.Node]) -> int | None:
        wanted = f"a number of at most four places between -{GREATEST_WEIGHT:,} and {GREATEST_WEIGHT:,} is needed"
        return self.scalar(fields, "weight", ten_thousandths, wanted)

    def choice(self, fields: dict[str, yaml.Node], name: str, of: type[_E]) -> _E | None:
        members = {member.name.lower(): member for member in of}
        return self.scalar(fields, name, members.__getitem__, f"one of {', '.join(members)}")

    def flag(self, fields: dict[str, yaml.Node], name: str) -> bool | None:
        return self.scalar(fields, name, _FLAGS.__getitem__, "true or false")

    def texts(
        self, fields: dict[str, yaml.Node], name: str, wanted: str, known: Container[str] | None = None
    ) -> list[str]:
        """A list of different texts, of the `known` ones; an empty list is a problem."""
        found: list[str] = []
        for node in self.items(fields, name):
            if not isinstance(node, yaml.ScalarNode) or is_null(node) or not node.value:
                self.say(node, f"{name}: {wanted}")
            elif known is not None and node.value not in known:
                self.say(node, f"{name}: {wanted}, not {node.value!r}")
            elif node.value in found:
                self.say(node, f"{name}: {node.value!r} is there twice")
            else:
                found.append(node.value)
        if name in fields and isinstance(fields[name], yaml.SequenceNode | yaml.ScalarNode) and not fields[name].value:
            self.say(fields[name], f"{name}: at least one is needed; leave it out for all")
        return found

    # what all rules have

    def id(self, fields: dict[str, yaml.Node], node: yaml.Node, default: str | None = None) -> str | None:
        """The id of the rule at `node`."""
        if "id" not in fields and default is None and fields:
            self.say(node, "a rule needs id")
        found = self.text(fields, "id") if "id" in fields else default
        if found is not None and not _ID.fullmatch(found):
            self.say(fields.get("id", node), f"{found!r} is no id: letters, digits, dots, - and _ only")
        return found

    def version_of(self, rule: str) -> int:
        """In which version of the document a rule last changed."""
        return self.document.rule_versions.get(rule, self.document.version)

    def period(self, fields: dict[str, yaml.Node]) -> tuple[dt.date | None, dt.date | None]:
        """From when to when a rule is in force."""
        begins, ends = self.date(fields, "effective_from"), self.date(fields, "effective_to")
        if begins and ends and ends < begins:
            self.say(fields["effective_to"], f"ends on {ends}, before it begins on {begins}")
        return begins, ends

    def markets(self, fields: dict[str, yaml.Node]) -> tuple[str, ...]:
        """Codes of markets, as they are written."""
        return tuple(self.texts(fields, "markets", "codes are needed"))

    def own_markets(self, fields: dict[str, yaml.Node], own: tuple[str, ...]) -> tuple[str, ...]:
        """The markets of a rule in a document for `own`: some of them, or all where it names none."""
        markets = self.markets(fields)
        for market in sorted(set(markets) - set(own)) if own else ():
            place = next(node for node in fields["markets"].value if node.value == market)
            self.say(place, f"market {market!r} is not one of the document's")
        return markets or own

    def priority(self, fields: dict[str, yaml.Node], own: tuple[str, ...]) -> int | None:
        """None where it cannot be read."""
        return self.whole(fields, "priority") if "priority" in fields else OWN_MARKETS_PRIORITY if own else 0


@lru_cache(maxsize=32)
def composed(text: str) -> yaml.Node | None:
    """A text as nodes; kept, because of the documents in force all but one are read again unchanged. Raises what yaml does."""
    return yaml.compose(text, yaml.SafeLoader)


def is_null(node: yaml.Node) -> bool:
    """Whether nothing is written there."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def whole_number(text: str) -> int:
    """Raises ValueError."""
    if not re.fullmatch(r"-?\d{1,6}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def shares_of(text: str, most: int) -> int:
    """Whole shares, as people write them: 1000000 or 1_000_000. Raises ValueError."""
    if not re.fullmatch(r"\d[\d_]{0,24}", text, re.ASCII) or int(text) > most:
        raise ValueError(text)
    return int(text)


def ten_thousandths(text: str) -> int:
    """A weight as it is kept. Raises ValueError or ArithmeticError."""
    if not re.fullmatch(r"[+-]?\d{1,6}(\.\d{1,12})?|[+-]?\.\d{1,12}", text, re.ASCII):
        raise InvalidOperation
    scaled = Decimal(text) * WEIGHT_UNIT
    if scaled != int(scaled) or abs(scaled) > GREATEST_WEIGHT * WEIGHT_UNIT:
        raise ValueError(text)
    return int(scaled)


def place_of_market(document: Document, code: str) -> list[tuple[int, int]]:
    """Lines and columns at which a readable document names a market; (0, 0) where it does not."""
    places, left = list[int](), [composed(document.text)]
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
