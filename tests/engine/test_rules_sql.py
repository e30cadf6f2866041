"""The SQL of rules: what is allowed, and where it is said what is not."""

import math

import pytest

from engine.expression import Code, bind, bounds, depth
from engine.rule_model import RulesError
from engine.rule_sql import ATTRIBUTES, VALUES, normal, read_condition, read_expression
from engine.rule_tokens import LONGEST, SqlError
from tests.engine.rule_books import read, shipped


@pytest.mark.parametrize(
    "text",
    [
        "position_type = 'FIRM'",
        "position_type <> 'FIRM' AND position_type != 'DEPOT'",
        "position_type IN ('FIRM', 'DEPOT') OR NOT external_kind NOT IN ('FIRM')",
        "recall_days > day AND recall_days >= 1 AND day < 3 AND day <= 2",
        "event_days BETWEEN day AND day + 5",
        "event_days NOT BETWEEN -1 AND 2 * day - 1",
        "event_days IS NULL OR event_days IS NOT NULL",
        "client LIKE 'A%' OR book NOT LIKE '%X' OR depot LIKE '%A_B%' OR entity LIKE 'Z'",
        "starts_with(client, 'A') AND ends_with(lower(book), 'x') AND upper(entity) = 'Z'",
        "coalesce(event_days, 9) > 3",
        "reusable AND NOT designated = TRUE AND threshold <> FALSE",
        "client = 'O''Neill'",
        "TRUE",
        "recall_days IN (1, -2, 3)",
        "((reusable))",
        "  reusable\n  AND day = 0  ",
        "Client = 'x'".lower(),
        "not reusable and day in (0) or threshold",
    ],
)
def test_a_condition_within_the_language_is_read(text: str) -> None:
    condition = read_condition(text)
    assert condition.columns <= ATTRIBUTES.keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("«pos = 1 AND foo(day) > 2", "unknown column 'pos'"),
        ("pos = 1 AND «foo(day) > 2", "unknown function 'foo'"),
        ("«Position_Type = 'FIRM'", "unknown column 'Position_Type': position_type?"),
        ("position_type = 'FIRM' AND «position_type > 3", "position_type is a text, and is compared with a number"),
        ("day BETWEEN 0 AND 2 AND «day = 'x'", "day is a number, and is compared with a text"),
        ("day = 1 AND (reusable OR «day)", "day is a number, where OR needs a condition"),
        ("reusable AND «reusable > TRUE", "it is true or false, not less or more"),
        ("day + «'x' = 3", "'x' is a text, where a sum or product needs a number"),
        ("NOT «recall_days", "recall_days is a number, where NOT needs a condition"),
        ("coalesce(event_days, «'x') > 3", "'x' is a text, where coalesce needs a number"),
        ("coalesce(event_days, «1, 'x') > 3", ""),
        ("lower(«day) = 'x'", "day is a number, where lower and upper needs a text"),
        ("«day LIKE 'x%'", "day is a number"),
        ("«day IN ('x')", "day is a number, and is compared with a text"),
        ("day «IN ('x', 1)", "IN compares with numbers and with texts"),
        ("day «IN (recall_days)", "IN is followed by numbers or texts in parentheses"),
        ("day «IN 3", "IN is followed by values in parentheses"),
        ("day IN (1 «", ""),
        ("day «IS 3", "IS is followed by NULL or NOT NULL"),
        ("client «LIKE book", "LIKE is followed by a text"),
        ("temperature = «'COLD'", "no temperature 'COLD'"),
        ("«'COLD' = temperature", "no temperature 'COLD'"),
        ("classification IN ('BOND', «'BONDS')", "no classification 'BONDS': BOND?"),
        ("«day", "day is a number, not a condition"),
        ("«'x'", "'x' is a text, not a condition"),
        ("day = «1.5", "whole numbers only, not 1.5"),
        ("day = «9999999999999999999", "too great a number"),
        ("day «/ 2 = 1", "an operator is expected before '/'"),
        ("day = = 1", "a value is expected before '='"),
        ("day = «=1", "a value is expected before '='"),
        ("day 1", "an operator is expected before '1'"),
        ("day = 1 AN«D", "ends where a value is expected"),
        ("«", "ends where a value is expected"),
        ("«(day = 1", "not closed"),
        ("day = 1«)", "an operator is expected before ')'"),
        ("lower«()", ""),
        ("«lower() = 'x'", "lower needs a value"),
        ("«lower(client, book) = 'x'", "lower takes 1 values, not 2"),
        ("day = 1«; DROP TABLE x", "cannot be read: ';'"),
        ("day = 1 «-- words", "cannot be read: '-'"),
        ("day «/* words */ = 1", "cannot be read: '/'"),
        ('«"day" = 1', "cannot be read"),
        ("day«::int = 1", "cannot be read"),
        ("security IN («SELECT 1)", ""),
        ("CASE «WHEN day = 1 THEN 1 END", ""),
        ("day = «NULL", "a value is expected before 'NULL'"),
        ("«day BETWEEN 1", "cannot be read as SQL"),
        ("«count(day) > 1", "unknown function 'count'"),
        ("(" * 32 + "«(day = 1" + ")" * 33, "nested more than 32 deep"),
        ("«" + " " * LONGEST + "day = 1", "longer than"),
        ("day = 0" + " OR day = 1" * 124 + " OR «day = 1 OR day = 1", "more than 500 words"),
    ],
)  # fmt: skip
def test_a_condition_outside_the_language_is_refused_at_its_place(text: str, said: str) -> None:
    place, text = text.find("«"), text.replace("«", "")
    with pytest.raises(SqlError) as refused:
        read_condition(text)
    found = [problem for problem in refused.value.problems if said in problem.message]
    assert found, refused.value.problems
    assert not said or place < 0 or place in [problem.begin for problem in found], found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a «> b", "an operator is expected before '>'"),
        ("a «AND b", "an operator is expected before 'AND'"),
        ("a + «'b'", "no text here"),
        ("greatest(«'value', a, b)", "no text here"),
        ("«value(a)", "value takes 2 values, not 1"),
        ("«greatest(a)", "greatest takes at least 2 values, not 1"),
        ("«greatest()", "greatest needs a value"),
        ("«sqrt(a)", "unknown function 'sqrt'"),
        ("a«.b", "cannot be read"),
        ("a «** b", ""),
        ("a, b", "an operator is expected before ','"),
        ("1.5 * a", "whole numbers only"),
        ("a -", "ends where a value is expected"),
        ("a % b", "cannot be read: '%'"),
        ("(" + "a + (" * 13 + "a" + ")" * 14, "nested more than 12 deep"),
    ],
)
def test_an_expression_outside_the_language_is_refused(text: str, said: str) -> None:
    place, text = text.find("«"), text.replace("«", "")
    with pytest.raises(SqlError) as refused:
        read_expression(text)
    found = [problem for problem in refused.value.problems if said in problem.message]
    assert found, refused.value.problems
    assert not said or place < 0 or place in [problem.begin for problem in found], found


def test_every_problem_of_a_condition_is_listed() -> None:
    with pytest.raises(SqlError) as refused:
        read_condition("client > 3 AND day AND NOT recall_days AND temperature = 'COLD'")
    assert [problem.begin for problem in refused.value.problems] == [0, 15, 27, 57]


def test_conditions_that_differ_in_spaces_and_capitals_of_sql_are_one() -> None:
    assert (
        normal("not  designated\n and day=1")
        == normal("NOT designated AND day = 1")
        != normal("NOT designated AND day = 2")
    )


def test_what_an_attribute_can_be_is_known() -> None:
    assert "SWAP_PLEDGE" in VALUES["position_type"]
    assert "EXCLUSIVE" in VALUES["external_kind"]
    assert VALUES.keys() < ATTRIBUTES.keys()


def test_an_expression_becomes_postfix() -> None:
    code = read_expression("greatest(0, a - b * 2, -a) / value(a + 1, b)").code
    words = [item if isinstance(item, str) else item[0].name if isinstance(item[0], Code) else "" for item in code]
    assert (
        words
        == (
            "CONSTANT a b CONSTANT MULTIPLY SUBTRACT GREATEST CONSTANT a SUBTRACT GREATEST a CONSTANT ADD b VALUE DIVIDE"
        ).split()
    )
    assert code[-2] == (Code.VALUE, 10**6)
    assert depth(code) == 4
    assert bind(read_expression("a - 1").code, {"a": ((Code.TERM, 7),)}) == (
        (Code.TERM, 7),
        (Code.CONSTANT, 1),
        (Code.SUBTRACT, 0),
    )


def test_the_name_of_a_keyword_is_a_name() -> None:
    assert read_expression("position + select - order").code[:2] == ("position", "select")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("a", 0, math.inf),
        ("-a", -math.inf, 0),
        ("a - b", -math.inf, math.inf),
        ("greatest(0, -a)", 0, 0),
        ("least(1, a)", 0, 1),
        ("f * 3 - 1", -1, 2),
        ("f * n", -5, 5),
        ("n * n", -25, 25),
        ("n / 2", -2.5, 2.5),
        ("n / f", -5, 5),
        ("a / f", 0, math.inf),
        ("7 / greatest(1, a)", 0, 7),
        ("n / n", -math.inf, math.inf),
        ("value(a, f)", 0, math.inf),
        ("value(0, a)", 0, 0),
        ("convert(n, 2000000000)", -10, 10),
    ],
)
def test_bounds_hold_what_an_expression_can_be(text: str, low: float, high: float) -> None:
    known = {"a": (0.0, math.inf), "b": (0.0, math.inf), "f": (0.0, 1.0), "n": (-5.0, 5.0)}
    assert bounds(read_expression(text).code, known) == (low, high)


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ('"day = 1 AND dya = 2"', 0, 13),
        ("'client = ''x'' AND dya = 2'", 0, 20),
        (">-\n      day = 1\n      AND  dya = 2", 2, 5),
        ("|\n      day = 1 AND\n\n      dya = 2", 3, 0),
        ("day = 1\n      AND dya = 2", 1, 4),
        ('"day = 1 \\\n      AND dya = 2"', 1, 4),
    ],
)
def test_a_problem_is_found_in_folded_and_quoted_text(written: str, line: int, column: int) -> None:
    texts = shipped()
    marker = "condition: market = 'HK' AND NOT designated"
    before = texts["hk"][: texts["hk"].index(marker)]
    texts["hk"] = texts["hk"].replace(marker, f"condition: {written}")
    with pytest.raises(RulesError) as refused:
        read(texts)
    (problem,) = refused.value.problems
    first_line = before.count("\n") + 1
    start = len("    condition: ") if line == 0 else len("      ")
    assert (problem.line, problem.column) == (first_line + line, start + column + 1)
    assert problem.message == "unknown column 'dya': day?"
