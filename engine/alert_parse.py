"""The condition of an alert, read: `left < 10,000 and HTB` -> tests. Strict: what is not understood is an error with its place.

    condition   some or some ...              some    each and each ...            each   not each | ( condition ) | test
    test        sum < sum                     also <= > >= = !=
                sum between NUMBER and NUMBER
                NAME is known                 also: is unknown
                NAME changes by 10% within 5 minutes        also rises, falls; a number in place of the percentage; a minute
                                              where nothing is said
                ATTRIBUTE = VALUE             also !=, in (VALUE, VALUE), contains TEXT; temperatures also < <= > >=
                VALUE                         HTB, ETF, a market's code: the attribute goes without saying
    sum         numbers, names, + - * / and `10% of NAME`

A percentage is compared with what is shown in percent; of anything else one says of what.
"""

import operator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from engine.alert_tree import All, ChangeTest, Compare, Direction, KnownTest, NumberTest, Some, Test, TextTest, negated
from engine.alert_words import KEYWORDS, PERCENTS, ConditionError, Token, Words, tokens_of
from engine.model import Classification, Temperature
from engine.rule_tokens import close_to
from engine.views_columns import Column

NESTED: Final = 20
SHORTEST_S: Final = 10
LONGEST_S: Final = 3_600
"""Windows of a change."""
_WINDOW_S: Final = 60
_COMPARES: Final = {each.value: each for each in Compare} | {"<>": Compare.OTHER}
_UNITS: Final = {"k": 10**3, "m": 10**6, "bn": 10**9}
_SECONDS: Final = {"s": 1, "second": 1, "sec": 1, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600}
_MOST: Final = 10**18


def parse(text: str, words: Words) -> Test:
    """The tests that `text` says. Raises `ConditionError`."""
    parser = _Parser(tokens_of(text), words)
    if parser.now.kind == "end":
        raise ConditionError("say when to tell you", 0, 1)
    test = parser.condition()
    if parser.now.kind != "end":
        raise parser.wrong(f"'and' or 'or' is expected before {parser.now.text!r}")
    return test


@dataclass(frozen=True, slots=True)
class _Sum:
    """`percent`: a constant that was written as a percentage."""

    terms: dict[Column, Fraction]
    constant: Fraction
    percent: bool = False


@dataclass(slots=True)
class _Parser:
    tokens: list[Token]
    words: Words
    at: int = 0
    depth: int = field(default=0)

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def wrong(self, message: str, token: Token | None = None) -> ConditionError:
        token = token or self.now
        return ConditionError(message, token.begin, token.end)

    def takes(self, *words: str) -> str:
        """The next word, if it is one of these, taken; else ""."""
        low = self.now.low
        if low in words:
            self.at += 1
            return low
        return ""

    def needs(self, *words: str) -> str:
        """The same; raises `ConditionError` where it is none of these."""
        taken = self.takes(*words)
        if not taken:
            seen = f"before {self.now.text!r}" if self.now.kind != "end" else "at the end"
            raise self.wrong(f"{' or '.join(repr(word) for word in words)} is expected {seen}")
        return taken

    # tests and how they are put together

    def condition(self) -> Test:
        parts = [self._each_of()]
        while self.takes("or"):
            parts.append(self._each_of())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _each_of(self) -> Test:
        parts = [self._one()]
        while self.takes("and", "&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Test:
        self.depth += 1
        if self.depth > NESTED:
            raise self.wrong(f"nested more than {NESTED} deep")
        try:
            if self.takes("not"):
                return negated(self._one())
            if self.now.text == "(" and self._holds_a_test():
                self.at += 1
                inner = self.condition()
                self.needs(")")
                return inner
            return self._test()
        finally:
            self.depth -= 1

    def _holds_a_test(self) -> bool:
        """Whether the parenthesis here is around a test, and not around a part of a sum."""
        open_ = 0
        for token in self.tokens[self.at :]:
            open_ += (token.low == "(") - (token.low == ")")
            if not open_:
                break
            if token.low in _COMPARES or (token.low in KEYWORDS and token.low != "of"):
                return True
        inner = self.tokens[self.at + 1]
        return inner.kind == "word" and not self._named_number(self.at + 1)

    def _named_number(self, at: int) -> bool:
        length = self.words.longest(self.tokens, at)
        return bool(length) and self.words.number(" ".join(t.text for t in self.tokens[at : at + length])) is not None

    def _test(self) -> Test:
        if self.now.kind in ("word", "text"):
            attribute, length = self._attribute()
            if attribute:
                self.at += length
                return self._of_attribute(attribute)
            value = self.words.values.get(self.now.low)
            if value and not self.words.longest(self.tokens, self.at):
                self.at += 1
                return TextTest(value, frozenset({self.tokens[self.at - 1].low}))
        begin = self.now
        left = self._sum()
        if change := self.takes(*Direction):
            return self._change(self._only(left, begin), Direction(change))
        if self.takes("is"):
            known = not self.takes("not")
            known ^= self.needs("known", "unknown") == "unknown"
            return KnownTest(self._only(left, begin), known)
        if self.takes("between"):
            least = self._sum()
            self.needs("and")
            most = self._sum()
            return All(
                (
                    self._compared(left, Compare.AT_LEAST, least, begin),
                    self._compared(left, Compare.AT_MOST, most, begin),
                )
            )
        compare = self.takes(*_COMPARES)
        if not compare:
            raise self.wrong(
                f"a comparison is expected {f'before {self.now.text!r}' if self.now.kind != 'end' else 'at the end'}"
            )
        return self._compared(left, _COMPARES[compare], self._sum(), begin)

    def _compared(self, left: _Sum, compare: Compare, right: _Sum, begin: Token) -> Test:
        terms = dict(left.terms)
        for column, factor in right.terms.items():
            terms[column] = terms.get(column, Fraction(0)) - factor
        terms = {column: factor for column, factor in terms.items() if factor}
        whole = Token(begin.kind, begin.text, begin.begin, self.tokens[self.at - 1].end)
        if not terms:
            raise self.wrong("this is the same whatever happens: name a number of the inventory", whole)
        if (left.percent or right.percent) and not all(column.unit in PERCENTS for column in terms):
            name = next(column.name for column in terms if column.unit not in PERCENTS)
            raise self.wrong(f"{name} is not shown in percent: say of what, as in `10% of {name}`", whole)
        return NumberTest(
            tuple((factor, column) for column, factor in terms.items()), compare, right.constant - left.constant
        )

    def _change(self, column: Column, direction: Direction) -> Test:
        self.needs("by")
        begin = self.now
        amount, share = self._number(), bool(self.takes("%"))
        if amount <= 0:
            raise self.wrong("more than 0 is expected", begin)
        window_s = _WINDOW_S
        if self.takes("within", "in"):
            begin = self.now
            count = self._number()
            unit = self.now.low
            seconds = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
            if seconds is None:
                raise self.wrong("seconds, minutes or hours are expected")
            self.at += 1
            if not SHORTEST_S <= count * seconds <= LONGEST_S:
                raise self.wrong(f"{SHORTEST_S} seconds to an hour is expected", begin)
            window_s = int(count * seconds)
        return ChangeTest(column, direction, amount / 100 if share else amount, share, window_s)

    def _only(self, of: _Sum, begin: Token) -> Column:
        """The one number of a sum that is nothing else."""
        if len(of.terms) != 1 or of.constant or next(iter(of.terms.values())) != 1:
            raise self.wrong("one number of the inventory is expected here, and no sum", begin)
        return next(iter(of.terms))

    # attributes

    def _attribute(self) -> tuple[str, int]:
        """The attribute named here, and of how many words; "" where none is."""
        length = self.words.longest(self.tokens, self.at)
        if self.now.kind != "word" or not length:
            return "", 0
        name = "_".join(token.low for token in self.tokens[self.at : self.at + length])
        return self.words.attributes.get(name, ""), length

    def _of_attribute(self, attribute: str) -> Test:
        refuses = bool(self.takes("not"))
        if self.takes("contains"):
            inner = self.now
            if inner.kind not in ("text", "word", "number"):
                raise self.wrong("a text is expected after 'contains'")
            self.at += 1
            return TextTest(attribute, frozenset({inner.text.lower()}), inside=True, negated=refuses)
        if self.takes("in"):
            self.needs("(")
            texts = [self._value(attribute)]
            while self.takes(","):
                texts.append(self._value(attribute))
            self.needs(")")
            return TextTest(attribute, frozenset(texts), negated=refuses)
        if refuses:
            raise self.wrong("'in' or 'contains' is expected after 'not'")
        compare = self.takes("is", *_COMPARES)
        if not compare:
            raise self.wrong(f"{attribute} is compared by =, !=, in or contains")
        if compare == "is":
            return TextTest(attribute, frozenset({self._value(attribute)}), negated=bool(self.takes("not")))
        if _COMPARES[compare] in (Compare.EQUAL, Compare.OTHER):
            return TextTest(attribute, frozenset({self._value(attribute)}), negated=_COMPARES[compare] == Compare.OTHER)
        if attribute != "temperature":
            raise self.wrong(
                f"{attribute} has no order: it is compared by =, !=, in or contains", self.tokens[self.at - 1]
            )
        return TextTest(attribute, _temperatures(_COMPARES[compare], self._value(attribute)))

    def _value(self, attribute: str) -> str:
        token = self.now
        if token.kind not in ("word", "text", "number"):
            raise self.wrong(f"a value of {attribute} is expected")
        known = {
            "market": [code.lower() for code in self.words.markets],
            "temperature": [each.name.lower() for each in Temperature],
            "classification": [each.name.lower() for each in Classification],
        }.get(attribute)
        value = token.text.lower()
        if known is not None and value not in known:
            raise self.wrong(f"no {attribute} {token.text!r}{close_to(value, known)}")
        self.at += 1
        return value

    # sums

    def _sum(self) -> _Sum:
        total = self._product()
        while sign := self.takes("+", "-"):
            token = self.tokens[self.at - 1]
            total = self._added(total, self._product(), -1 if sign == "-" else 1, token)
        return total

    def _added(self, left: _Sum, right: _Sum, sign: int, token: Token) -> _Sum:
        if left.percent != right.percent:
            raise self.wrong("a percentage and another number do not add up", token)
        terms = dict(left.terms)
        for column, factor in right.terms.items():
            terms[column] = terms.get(column, Fraction(0)) + sign * factor
        return _Sum(terms, self._bounded(left.constant + sign * right.constant, token), left.percent)

    def _product(self) -> _Sum:
        made = self._factor()
        while sign := self.takes("*", "/", "of"):
            token = self.tokens[self.at - 1]
            other = self._factor()
            if sign == "of" and not made.percent:
                raise self.wrong("'of' follows a percentage", token)
            made = self._multiplied(made, other, token)
        return made

    def _multiplied(self, left: _Sum, right: _Sum, token: Token) -> _Sum:
        scale = {True: 100, False: 1}
        if token.text == "/":
            if right.terms or not right.constant:
                raise self.wrong("one divides by a number that is not 0", token)
            factor, other = scale[right.percent] / right.constant, left
        elif right.terms and left.terms:
            raise self.wrong("two numbers of the inventory are not multiplied", token)
        else:
            factor, other = (
                (right.constant / scale[right.percent], left)
                if left.terms
                else (left.constant / scale[left.percent], right)
            )
        terms = {column: each * factor for column, each in other.terms.items()}
        return _Sum(terms, self._bounded(other.constant * factor, token), other.percent)

    def _bounded(self, value: Fraction, token: Token) -> Fraction:
        if abs(value) > _MOST or value.denominator > _MOST:
            raise self.wrong("too great a number", token)
        return value

    def _factor(self) -> _Sum:
        if self.takes("-"):
            inner = self._factor()
            return _Sum({column: -each for column, each in inner.terms.items()}, -inner.constant, inner.percent)
        if self.takes("("):
            inner = self._sum()
            self.needs(")")
            return inner
        if self.now.kind == "number":
            return _Sum({}, self._number(), bool(self.takes("%")))
        return _Sum({self._column(): Fraction(1)}, Fraction(0))

    def _number(self) -> Fraction:
        token = self.now
        if token.kind != "number":
            raise self.wrong("a number is expected" + (f" before {token.text!r}" if token.text else " at the end"))
        self.at += 1
        digits = token.low.replace(",", "")
        unit = next((unit for unit in ("bn", "m", "k") if digits.endswith(unit)), "")
        return self._bounded(Fraction(digits.removesuffix(unit)) * _UNITS.get(unit, 1), token)

    def _column(self) -> Column:
        token = self.now
        if token.kind == "text":
            column = self.words.number(token.text)
            if column is None:
                raise self.wrong(f"no number {token.text!r}{self.words.hint(token.text)}")
            self.at += 1
            return column
        length = self.words.longest(self.tokens, self.at)
        column = (
            self.words.number(" ".join(t.text for t in self.tokens[self.at : self.at + length])) if length else None
        )
        if column is not None:
            self.at += length
            return column
        if length:
            raise self.wrong(f"{token.text!r} is a text: it is compared by itself")
        if token.kind == "word" and token.low not in KEYWORDS:
            raise self.wrong(f"unknown word {token.text!r}{self.words.hint(token.text)}")
        raise self.wrong("a value is expected" + (f" before {token.text!r}" if token.text else " at the end"))


def _temperatures(compare: Compare, value: str) -> frozenset[str]:
    """The temperatures that stand so to this one, from easy to hard; an unknown one stands nowhere."""
    limit = Temperature[value.upper()]
    stands = {Compare.BELOW: operator.lt, Compare.AT_MOST: operator.le, Compare.ABOVE: operator.gt}.get(
        compare, operator.ge
    )
    return frozenset(each.name.lower() for each in Temperature if each and stands(each, limit))
