"""The language of alerts: what may be said, what it means, and where what may not be said is wrong."""

from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from engine.alert_moment import Moment, Past, judge
from engine.alert_parse import parse
from engine.alert_tree import All, ChangeTest, Compare, Direction, NumberTest, Some, Test, TextTest, negated
from engine.alert_words import ConditionError, Words, words_of
from engine.model import RATE_UNKNOWN
from engine.rule_model import Role
from engine.views_columns import Column, Source

LEFT = Column("left", Source.VALUES, 0, unit="shares", title="What is left", family="x")
LOAN = [
    Column(f"loan.{day}", Source.VALUES, 1, day, unit="shares", title=f"SD{day}", group="To lend") for day in range(5)
]
USED = Column("used_part", Source.VALUES, 2, scale=100, unit="basis_points", title="Used %")
FEE = Column("fee", Source.REFERENCE, scale=10_000, unknown=RATE_UNKNOWN, unit="rate", title="Fee %")
AGE = Column("updated_ms", Source.HEAD, unit="time", title="Age")
COLUMNS = (LEFT, *LOAN, USED, FEE, AGE)
WORDS: Words = words_of(COLUMNS, {Role.LEFT_SHORT: LEFT}, ("AA", "BB"))


def number(column: Column, compare: str, limit: Fraction | int) -> NumberTest:
    return NumberTest(((Fraction(1), column),), Compare(compare), Fraction(limit))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("left < 10,000", number(LEFT, "<", 10_000)),
        ("LEFT >= 2.5m", number(LEFT, ">=", 2_500_000)),
        ("left_short <> 7", number(LEFT, "!=", 7)),
        ("What is left > -1bn", number(LEFT, ">", -(10**9))),
        ('"What is left" = 10k', number(LEFT, "=", 10_000)),
        ("5 > left", NumberTest(((Fraction(-1), LEFT),), Compare.ABOVE, Fraction(-5))),
        ("loan < 1", number(LOAN[0], "<", 1)),
        ("loan.3 < 1", number(LOAN[3], "<", 1)),
        ("to lend SD2 < 1", number(LOAN[2], "<", 1)),
        ("used_part > 90%", number(USED, ">", 90)),
        ("used_part > 90", number(USED, ">", 90)),
        ("left < 10% of loan", NumberTest(((Fraction(1), LEFT), (Fraction(-1, 10), LOAN[0])), Compare.BELOW, Fraction(0))),
        ("2 * (left + 3) <= loan / 2",
         NumberTest(((Fraction(2), LEFT), (Fraction(-1, 2), LOAN[0])), Compare.AT_MOST, Fraction(-6))),
        ("left between 5 and 7", All((number(LEFT, ">=", 5), number(LEFT, "<=", 7)))),
        ("HTB", TextTest("temperature", frozenset({"htb"}))),
        ("temperature >= WARM", TextTest("temperature", frozenset({"warm", "htb", "restricted"}))),
        ("market in (aa, 'BB')", TextTest("market", frozenset({"aa", "bb"}))),
        ("AA", TextTest("market", frozenset({"aa"}))),
        ("name contains 'Steel Works'", TextTest("name", frozenset({"steel works"}), inside=True)),
        ("not ETF", TextTest("classification", frozenset({"etf"}), negated=True)),
        ("not (left < 1 or HTB)", All((number(LEFT, ">=", 1), TextTest("temperature", frozenset({"htb"}), negated=True)))),
        ("left < 1 and HTB or ETF", Some((All((number(LEFT, "<", 1), TextTest("temperature", frozenset({"htb"})))),
                                          TextTest("classification", frozenset({"etf"}))))),
        ("left falls by 5% within 5 minutes", ChangeTest(LEFT, Direction.DOWN, Fraction(1, 20), True, 300)),
        ("left changes by 1,000", ChangeTest(LEFT, Direction.EITHER, Fraction(1_000), False, 60)),
    ],
)  # fmt: skip
def test_a_condition_means(text: str, meaning: Test) -> None:
    assert parse(text, WORDS) == meaning


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "say when"),
        ("left <", (1, 7), "a value is expected at the end"),
        ("left", (1, 5), "a comparison is expected"),
        ("lefft < 1", (1, 1), "unknown word 'lefft': left?"),
        ("left < 1 HTB", (1, 10), "'and' or 'or' is expected before 'HTB'"),
        ("left < 1\nand HTP", (2, 5), "unknown word 'HTP'"),
        ("left < 10,00", (1, 8), "a number is written"),
        ("left < 10%", (1, 1), "left is not shown in percent: say of what, as in `10% of left`"),
        ("left + 1", (1, 9), "a comparison is expected at the end"),
        ("left * loan > 1", (1, 6), "two numbers of the inventory are not multiplied"),
        ("left / 0 > 1", (1, 6), "one divides by a number that is not 0"),
        ("left - left < 1", (1, 1), "the same whatever happens"),
        ("(left < 1", (1, 10), "')' is expected at the end"),
        ("left < 'x", (1, 8), "this quote has no end"),
        ("market < AA", (1, 8), "market has no order"),
        ("market = CC", (1, 10), "no market 'CC'"),
        ("temperature = HOT", (1, 15), "no temperature 'HOT'"),
        ("left changes by 5% within 2 days", (1, 29), "seconds, minutes or hours"),
        ("left changes by 5% within 3 seconds", (1, 27), "10 seconds to an hour"),
        ("left changes by 0", (1, 17), "more than 0"),
        ("updated_ms > 5", (1, 1), "unknown word 'updated_ms'"),
        ("left ; 1", (1, 6), "cannot be read"),
        ("not " * 25 + "HTB", (1, 81), "nested more than 20 deep"),
        ("left < 1 or " * 60 + "HTB", (1, 601), "more than 200 words"),
        ("left < 1 or " * 90 + "HTB", (1, 1_001), "longer than 1,000 characters"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text, WORDS)
    assert message in str(caught.value)
    assert caught.value.place(text) == place


@given(st.text(alphabet=" ()<>=!%,.'\"+-*/0123456789abeflnortuHTB\n", max_size=60))
def test_whatever_is_written_is_understood_or_told(text: str) -> None:
    try:
        parse(text, WORDS)
    except ConditionError as error:
        found = error
    else:
        return
    assert 0 <= found.begin <= len(text)
    assert str(found)


# what holds, against one security at a time in fractions

NUMBERS = (LEFT, USED, FEE)
UNKNOWN = {column.name: column.unknown for column in NUMBERS}


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> Test:
    kind = draw(st.sampled_from(["one", "several", "all", "some"] if depth else ["one", "several"]))
    if kind in ("all", "some"):
        parts = tuple(draw(st.lists(conditions(depth - 1), min_size=1, max_size=3)))
        return All(parts) if kind == "all" else Some(parts)
    columns = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=1 if kind == "one" else 2, unique=True))
    factors = st.sampled_from([Fraction(n) for n in (1, 2, -1, -4)] + [Fraction(1, 4)])
    limit = Fraction(draw(st.integers(-40, 40)), draw(st.sampled_from([1, 4])))
    return NumberTest(tuple((draw(factors), each) for each in columns), draw(st.sampled_from(list(Compare))), limit)


def holds(test: Test, row: dict[str, int]) -> bool:
    """The slow way."""
    match test:
        case All(parts):
            return all(holds(part, row) for part in parts)
        case Some(parts):
            return any(holds(part, row) for part in parts)
        case NumberTest(terms, compare, limit):
            if any(row[column.name] == column.unknown for _, column in terms):
                return False
            total = sum(factor * Fraction(row[column.name], column.scale) for factor, column in terms)
            return {
                "<": total < limit, "<=": total <= limit, ">": total > limit, ">=": total >= limit,
                "=": total == limit, "!=": total != limit,
            }[compare.value]  # fmt: skip
    raise AssertionError(test)


def rows() -> st.SearchStrategy[list[dict[str, int]]]:
    # powers of two: as floats, too, exact
    value = st.fixed_dictionaries(
        {
            "left": st.integers(-40, 40),
            "used_part": st.integers(-40, 40).map(lambda n: n * 25),
            "fee": st.integers(-40, 40).map(lambda n: n * 2_500) | st.just(RATE_UNKNOWN),
        }
    )
    return st.lists(value, min_size=1, max_size=8)


def moment(given_rows: list[dict[str, int]], past: Past | None = None) -> Moment:
    arrays = {name: np.array([row[name] for row in given_rows], np.int64) for name in given_rows[0]}

    def none(_test: TextTest) -> Any:
        raise AssertionError

    return Moment(lambda column: arrays[column.name], past or Past(), none, len(given_rows))


@settings(max_examples=60)
@given(conditions(2), rows())
def test_all_at_once_is_as_one_by_one(test: Test, given_rows: list[dict[str, int]]) -> None:
    assert judge(test)(moment(given_rows).whole()).tolist() == [holds(test, row) for row in given_rows]


@settings(max_examples=60)
@given(conditions(2), rows(), st.integers(0, 50))
def test_what_holds_strictly_holds_widely_and_never_with_its_opposite(
    test: Test, given_rows: list[dict[str, int]], percent: int
) -> None:
    now = moment(given_rows).whole()
    strict, wide = judge(test)(now), judge(test, Fraction(percent, 100))(now)
    assert not (strict & ~wide).any()
    assert not (strict & judge(negated(test))(now)).any()


def test_a_change_is_seen_against_the_beginning_of_its_window() -> None:
    test = ChangeTest(LEFT, Direction.DOWN, Fraction(1, 10), True, 60)
    past, told = Past(), []
    past.want([test])
    for second, left in enumerate([100] * 30 + [95] * 20 + [89] * 100):
        now = moment([{"left": left}], past)
        past.turn(now.whole().number, float(second))
        told.append(bool(judge(test)(now.whole())[0]))
    assert told.index(True) == 50, "11% less than at the beginning, 50 s ago"
    over = len(told) - told[::-1].index(True)
    assert 90 <= over <= 101, "a minute after it had begun to fall, 89 is not so far from what was"
