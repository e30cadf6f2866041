"""The words of an alert's condition: what is written, cut into words with their places, and what the names in it mean.

A number is called what the grid calls it: by its name, by its title, or by the role that it plays, letter case and signs aside.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.catalogue import Catalogue
from engine.model import Classification, Temperature
from engine.rule_model import Role, Scope
from engine.rule_tokens import close_to
from engine.views_columns import Column, columns_of, playing

LONGEST: Final = 1_000
"""Characters of a condition."""
MOST: Final = 200
"""Words of one."""
_TOKEN: Final = re.compile(
    r"\s+|(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.]|,\d)|(?:\d+(?:\.\d+)?)(?:bn|[km])\b)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\")|(?P<word>[^\W\d]\w*(?:\.\d\b)?)|(?P<sign><>|!=|<=|>=|[-=<>+*/(),%&])",
    re.IGNORECASE,
)
_SHAPE: Final = re.compile(r"[\W_]+")
_NAME_WORDS: Final = 8
"""Of the longest name."""
TIMES: Final = "time"
"""The unit of columns that no condition may look at."""
PERCENTS: Final = frozenset({"rate", "basis_points"})
"""Units of columns that are shown in percent."""
KEYWORDS: Final = frozenset(
    "and or not is in between contains changes rises falls by within of known unknown true false".split()
)
ATTRIBUTES: Final = (
    *("market", "temperature", "classification", "currency", "country"),
    *("name", "code", "ticker", "isin", "cusip", "sedol", "figi"),
)
"""Texts of a security that a condition may look at."""


class ConditionError(ValueError):
    """A condition that cannot be used: what is wrong with its characters `begin` to `end`."""

    def __init__(self, message: str, begin: int, end: int) -> None:
        super().__init__(message)
        self.begin = begin
        self.end = end

    def place(self, text: str) -> tuple[int, int]:
        """Line and column in `text`, from 1."""
        before = text[: self.begin]
        return before.count("\n") + 1, self.begin - (before.rfind("\n") + 1) + 1


class Token(NamedTuple):
    """`kind`: number, text, word, sign or end; `text` as it is written, of a text without its quotes."""

    kind: str
    text: str
    begin: int
    end: int

    @property
    def low(self) -> str:
        """In small letters; "" of a text, which means only itself."""
        return "" if self.kind == "text" else self.text.lower()


def tokens_of(text: str) -> list[Token]:
    """The words of a condition, with an end behind them. Raises `ConditionError`."""
    if len(text) > LONGEST:
        raise ConditionError(f"longer than {LONGEST:,} characters", LONGEST, len(text))
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConditionError(_unreadable(text, at), at, at + 1)
        if match.lastgroup:
            word = match.group()
            tokens.append(Token(match.lastgroup, word[1:-1] if match.lastgroup == "text" else word, at, match.end()))
        at = match.end()
    if len(tokens) > MOST:
        raise ConditionError(f"more than {MOST} words", tokens[MOST].begin, tokens[MOST].end)
    return [*tokens, Token("end", "", len(text.rstrip()), len(text.rstrip()) + 1)]


def _unreadable(text: str, at: int) -> str:
    if text[at].isdigit():
        return "a number is written 10000, 10,000, 0.25, 10k, 2.5m or 1bn"
    if text[at] in "'\"":
        return "this quote has no end"
    return f"cannot be read: {text[at]!r}"


def shape(name: str) -> str:
    """A name as it is looked up: small letters, with _ for all that is neither letter nor digit."""
    return _SHAPE.sub("_", name.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Words:
    """What can be named: numbers by the shapes of their names, and values of attributes by themselves."""

    numbers: Mapping[str, Column]
    attributes: Mapping[str, str]
    """Shape -> attribute."""
    values: Mapping[str, str]
    """A value that means an attribute where it stands alone, in small letters -> the attribute."""
    markets: tuple[str, ...]

    def number(self, name: str) -> Column | None:
        """The number of that name."""
        return self.numbers.get(shape(name))

    def longest(self, tokens: list[Token], at: int) -> int:
        """How many of the words from `at` on are one name; 0 where none begins here."""
        words: list[str] = []
        found = 0
        for token in tokens[at : at + _NAME_WORDS]:
            if token.kind != "word" and not (words and token.text in "/%"):
                break
            words.append(token.text)
            name = shape(" ".join(words))
            if token.kind == "word" and (name in self.numbers or name in self.attributes):
                found = len(words)
        return found

    def hint(self, word: str) -> str:
        """At the known word that was perhaps meant, or nothing."""
        return close_to(shape(word), (*self.numbers, *self.attributes, *self.values))


def words_under(catalogue: Catalogue, markets: Iterable[str]) -> Words:
    """What can be named under these rules."""
    columns = columns_of(catalogue)
    of_securities = {info.role for info in catalogue.calculations if info.role and info.scope == Scope.SECURITY}
    return words_of(columns, {Role(role): playing(catalogue, Role(role)) for role in of_securities}, markets)


def words_of(columns: Iterable[Column], roles: Mapping[Role, Column], markets: Iterable[str]) -> Words:
    """What can be named where these are the columns; `roles`: the number that plays each role."""
    numbers: dict[str, Column] = {}
    titles: dict[str, list[Column]] = {}
    for column in columns:
        if column.is_text or column.unit == TIMES:
            continue
        numbers[shape(column.name)] = column
        base, day = column.name.rpartition(".")[::2]
        if base:
            titles.setdefault(shape(f"{base} {column.title}"), []).append(column)
            titles.setdefault(shape(f"{column.group} {column.title}"), []).append(column)
            if day == "0":
                titles.setdefault(shape(base), []).append(column)
                titles.setdefault(shape(column.group), []).append(column)
        else:
            titles.setdefault(shape(column.title), []).append(column)
    for title, called in titles.items():
        # a title that two have means neither of them
        if len({column.name for column in called}) == 1 and title not in KEYWORDS:
            numbers.setdefault(title, called[0])
    for role, column in roles.items():
        numbers.setdefault(shape(role), column)
    codes = tuple(markets)
    attributes = {shape(name): name for name in ATTRIBUTES} | {
        "symbol": "ticker",
        "temp": "temperature",
        "mkt": "market",
    }
    values = {code.lower(): "market" for code in codes}
    values |= {each.name.lower(): "classification" for each in Classification if each}
    values |= {each.name.lower(): "temperature" for each in Temperature if each}
    numbers = {name: column for name, column in numbers.items() if name not in attributes}
    return Words(numbers, attributes, values, codes)
