"""The first look at a piece of SQL: its words, each with its place, and whether they stand in an order that makes sense.

Polars says neither where it found something wrong nor survives everything (an empty call panics), so only text that passes
here is given to it. What is allowed is listed here, word by word.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, NamedTuple

LONGEST: Final = 4_000
"""Characters of a condition or an expression."""
MOST: Final = 500
"""Words of one: what reads them, reads them recursively."""
NESTED: Final = 32
"""How deep parentheses may be nested."""

# a comment of either kind is no sign: it cannot be read
_TOKEN: Final = re.compile(
    r"\s+|(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|!=|<=|>=|-(?!-)|/(?!\*)|[=<>+*(),])",
    re.ASCII,
)
_LONGEST_NUMBER: Final = 18


class SqlProblem(NamedTuple):
    """What is wrong with the characters `begin` to `end` of a piece of SQL."""

    message: str
    begin: int
    end: int


class SqlError(ValueError):
    """SQL that cannot be used; says every problem found."""

    def __init__(self, problems: tuple[SqlProblem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Token(NamedTuple):
    """`kind`: number, text, name, function, keyword or sign; keywords are in capitals, functions in small letters."""

    kind: str
    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Language:
    """What may be written: `functions` by name with their fewest and most arguments, and the words of operators."""

    functions: dict[str, tuple[int, int]]
    keywords: frozenset[str]
    binary: frozenset[str]
    """Signs that stand between two values."""
    texts: bool
    """Whether 'text' is a value."""
    names: tuple[str, ...] = ()
    """The names there are; empty: whoever asks knows."""


def tokens_of(text: str, language: Language) -> list[Token]:
    """The words of `text`, checked. Raises `SqlError`."""
    if len(text) > LONGEST:
        raise SqlError((SqlProblem(f"longer than {LONGEST:,} characters", 0, 1),))
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SqlError((SqlProblem(f"cannot be read: {text[at]!r}", at, at + 1),))
        if match.lastgroup:
            tokens.append(Token(match.lastgroup, match.group(), at, match.end()))
        at = match.end()
    if len(tokens) > MOST:
        raise SqlError((SqlProblem(f"more than {MOST} words", tokens[MOST].begin, tokens[MOST].end),))
    tokens = [_named(tokens, i, language) for i in range(len(tokens))]
    _Order(tokens, language, len(text)).check()
    return tokens


def _named(tokens: list[Token], index: int, language: Language) -> Token:
    """A word told apart: keyword, function (a parenthesis follows) or name."""
    token = tokens[index]
    if token.kind != "word":
        return token
    if token.text.upper() in language.keywords:
        return token._replace(kind="keyword", text=token.text.upper())
    called = index + 1 < len(tokens) and tokens[index + 1].text == "("
    return token._replace(kind="function", text=token.text.lower()) if called else token._replace(kind="name")


@dataclass(slots=True)
class _Call:
    """An open parenthesis; of a call: how many arguments it has so far."""

    token: Token
    function: str = ""
    arguments: int = 1


@dataclass(slots=True)
class _Order:
    """Walks once over the words, knowing only whether a value or an operator must come next."""

    tokens: list[Token]
    language: Language
    length: int
    problems: list[SqlProblem] = field(default_factory=list)

    def check(self) -> None:
        """Raise `SqlError` unless the words stand in order."""
        at, open_calls, value_next = 0, list[_Call](), True
        while at < len(self.tokens):
            token = self.tokens[at]
            if value_next:
                at, value_next = self._value(at, open_calls)
            elif token.text == ")" and open_calls:
                self._close(open_calls.pop(), token)
                at += 1
            elif token.text == "," and open_calls and open_calls[-1].function:
                open_calls[-1].arguments += 1
                at, value_next = at + 1, True
            else:
                at, value_next = self._operator(at)
            if at < 0 or len(open_calls) > NESTED:
                if len(open_calls) > NESTED:
                    self._say(f"nested more than {NESTED} deep", token)
                break
        else:
            if value_next:
                self.problems.append(SqlProblem("ends where a value is expected", max(0, self.length - 1), self.length))
            for call in open_calls:
                self._say("not closed: '('", call.token)
        if self.problems:
            raise SqlError(tuple(self.problems))

    def _say(self, message: str, token: Token) -> int:
        self.problems.append(SqlProblem(message, token.begin, token.end))
        return -1

    def _next(self, at: int) -> str:
        return self.tokens[at].text if at < len(self.tokens) else ""

    def _value(self, at: int, open_calls: list[_Call]) -> tuple[int, bool]:
        """From where a value is expected: the next place, and whether a value is expected there."""
        token = self.tokens[at]
        if token.kind == "function":
            if token.text not in self.language.functions:
                known = sorted(self.language.functions)
                self._say(f"unknown function {token.text!r}{close_to(token.text, known)}", token)
            if self._next(at + 2) == ")":
                return self._say(f"{token.text} needs a value", token), True
            open_calls.append(_Call(token, token.text))
            return at + 2, True
        if token.text == "(" and token.kind == "sign":
            open_calls.append(_Call(token))
            return at + 1, True
        if (token.text == "-" and self._next(at + 1) != "-") or (token.kind == "keyword" and token.text == "NOT"):
            return at + 1, True
        if token.kind == "number":
            if "." in token.text:
                self._say(f"whole numbers only, not {token.text}", token)
            elif len(token.text) > _LONGEST_NUMBER:
                self._say(f"too great a number: {token.text}", token)
            return at + 1, False
        if token.kind == "text" and not self.language.texts:
            return self._say(f"no text here: {token.text}", token), False
        if token.kind == "name" and self.language.names and token.text not in self.language.names:
            self._say(f"unknown column {token.text!r}{close_to(token.text, self.language.names)}", token)
        if token.kind in ("name", "text") or token.text in ("TRUE", "FALSE"):
            return at + 1, False
        return self._say(f"a value is expected before {token.text!r}", token), True

    def _operator(self, at: int) -> tuple[int, bool]:
        """The same from where an operator is expected."""
        token = self.tokens[at]
        negated = token.kind == "keyword" and token.text == "NOT"
        at += negated
        word = self._next(at) if self.language.keywords else ""
        if word == "IS" and not negated:
            at += 1 + (self._next(at + 1) == "NOT")
            if self._next(at) != "NULL":
                return self._say("IS is followed by NULL or NOT NULL", token), True
            return at + 1, False
        if word == "IN":
            return self._list(at + 1, token), False
        if word in ("LIKE", "BETWEEN"):
            if word == "LIKE" and (at + 1 == len(self.tokens) or self.tokens[at + 1].kind != "text"):
                return self._say("LIKE is followed by a text", token), True
            return at + 1, True
        if not negated and (token.text in self.language.binary and token.kind in ("sign", "keyword")):
            return at + 1, True
        return self._say(f"an operator is expected before {token.text!r}", token), True

    def _list(self, at: int, word: Token) -> int:
        """After IN: numbers, or texts, in parentheses."""
        if self._next(at) != "(":
            return self._say("IN is followed by values in parentheses", word)
        kinds = set()
        while True:
            at += 1 + (self._next(at + 1) == "-")
            if at >= len(self.tokens) or self.tokens[at].kind not in ("number", "text"):
                return self._say("IN is followed by numbers or texts in parentheses", word)
            kinds.add(self.tokens[at].kind)
            self._value(at, [])
            at += 1
            if self._next(at) == ")":
                break
            if self._next(at) != ",":
                return self._say("IN is followed by values with commas between, in parentheses", word)
        return at + 1 if len(kinds) == 1 else self._say("IN compares with numbers and with texts", word)

    def _close(self, call: _Call, token: Token) -> None:
        fewest, most = self.language.functions.get(call.function, (1, len(self.tokens)))
        if call.function and not fewest <= call.arguments <= most:
            wanted = str(fewest) if fewest == most else f"at least {fewest}"
            self._say(
                f"{call.function} takes {wanted} values, not {call.arguments}", call.token._replace(end=token.end)
            )


def close_to(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that was perhaps meant, or nothing."""
    by_small = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_small, 1)
    return f": {by_small[close[0]]}?" if close else ""
