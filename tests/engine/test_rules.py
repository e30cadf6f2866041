"""Rules: what they select, how they weigh, and what they refuse."""

import datetime as dt
from importlib.resources import files

import pytest

from engine.expression import Code, ExpressionError, compile_expression
from engine.model import Kind
from engine.rules import RulesError, compile_rules

ON = dt.date(2026, 1, 5)
DEFAULT = files("assets").joinpath("rules", "default.yaml").read_text()
NAMES = {"a": ((int(Code.TERM), 0),), "b": ((int(Code.TERM), 1),)}


def test_conditions_select_kinds_and_days() -> None:
    terms = {term.name: term for term in compile_rules({"default.yaml": DEFAULT}, ["US"], ON).terms}
    locked = terms["pledged_locked"].days_by_kind
    assert [f"{locked[Kind[f'REPO_PLEDGE_{n}']]:05b}" for n in range(6)] == [
        "00000",
        "00001",
        "00011",
        "00111",
        "01111",
        "11111",
    ]
    assert [Kind(k) for k, days in enumerate(terms["collateral_in"].days_by_kind) if days] == [Kind.REPO_RECEIVED]


def test_a_market_without_rules_of_its_own_has_the_default() -> None:
    rules = compile_rules({"default.yaml": DEFAULT}, ["US", "TW"], ON)
    assert rules.programs[0] == rules.programs[1]


def test_rules_of_a_market_hold_only_between_their_dates() -> None:
    own = "market: TW\nversion: 1\neffective_from: 2026-02-01\neffective_to: 2026-02-28\nweights: {for_loan: {borrowed: 0}}"
    texts = {"default.yaml": DEFAULT, "tw.yaml": own}
    on = [
        compile_rules(texts, ["TW"], dt.date(2026, month, 15)).weights[0]["for_loan"]["borrowed"] for month in (1, 2, 3)
    ]
    assert on == [10_000, 0, 10_000]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("firm_long: 1", "firm_long: lots"), "weight of 'firm_long' is no number"),
        (("firm_long: 1", "firm_long: 0.00001"), "at most four places"),
        (("      firm_long: 1", "      firmlong: 1"), "unknown term 'firmlong'"),
        (("greatest(0, total)", "greatest(0, totl)"), "unknown name 'totl' at column 13"),
        (("position_type = 'FIRM'\"", "postion = 'FIRM'\""), "term 'firm_long'"),
        (("effective_from: 2020-01-01", "effective_from: soon"), "effective_from must be a date"),
        (("measure: long, category: firm}", "measure: tall, category: firm}"), "TALL"),
    ],
)
def test_a_bad_rule_is_refused_and_its_place_named(change: tuple[str, str], message: str) -> None:
    assert change[0] in DEFAULT
    with pytest.raises(RulesError, match=message) as refused:
        compile_rules({"default.yaml": DEFAULT.replace(*change, 1)}, ["US"], ON)
    assert "default.yaml" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "a +",
        "a.b",
        "__import__('os')",
        "a if b else a",
        "max(a)",
        "1.5 * a",
        "a ** b",
        "f'{a}'",
        "greatest()",
        "c",
        "[a]",
    ],
)
def test_an_expression_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, NAMES)


def test_an_expression_becomes_postfix() -> None:
    code = [Code(c).name for c, _ in compile_expression("greatest(0, a - b * 2, -a)", NAMES)]
    assert code == "CONSTANT TERM TERM CONSTANT MULTIPLY SUBTRACT GREATEST CONSTANT TERM SUBTRACT GREATEST".split()
