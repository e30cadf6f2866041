"""Rules of locates match what they say and nothing else, the highest priority decides, and texts are read strictly."""

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from app import world
from engine.locate_rules import (
    NO_DECISION,
    NO_RATIO,
    PERCENT,
    Action,
    DecisionRule,
    DecrementRule,
    LocateRules,
    Number,
    Range,
)
from engine.locates import LocateType, Reason, Subject
from engine.rule_model import Document, Problem, RuleBook, RulesError

SUBJECT = Subject(
    market="US",
    temperature="HTB",
    type=LocateType.SHORT,
    date=dt.date(2026, 11, 20),
    country="IE",
    classification="EQUITY",
    client="FUND1",
    quantity=600,
    pool=2_000,
    rate=52_500,
    located_today_client=400,
    located_today_security=900,
    volume_30d=5_000,
    outstanding=100_000,
)
HEAD = "format: 1\ndocument: locates\ntitle: Locates\n"


def rule(**fields: Any) -> DecisionRule:
    given: dict[str, Any] = {"id": "r", "version": 1, "action": Action.APPROVE}
    return DecisionRule(**given | fields)


def read(body: str, head: str = HEAD) -> RuleBook:
    """The shipped rules with other rules of locates."""
    others = [document for document in world.shipped_documents() if document.name != "locates"]
    return world.rule_book([*others, Document("locates", 7, head + body)])


def problems_of(body: str, head: str = HEAD) -> tuple[Problem, ...]:
    with pytest.raises(RulesError) as found:
        read(body, head)
    return found.value.problems


@pytest.mark.parametrize(
    ("selector", "changed"),
    [
        ({"markets": frozenset({"US", "CA"})}, {"market": "JP"}),
        ({"countries": frozenset({"IE"})}, {"country": "US"}),
        ({"temperatures": frozenset({"HTB"})}, {"temperature": "GC"}),
        ({"classifications": frozenset({"EQUITY"})}, {"classification": "ETF"}),
        ({"types": frozenset({LocateType.SHORT})}, {"type": LocateType.LONG}),
        ({"settlements": frozenset({"cash"})}, {"settlement": "swap"}),
        ({"clients": frozenset({"FUND1"})}, {"client": "FUND2"}),
        ({"designated": False}, {"designated": True}),
        ({"threshold": False}, {"threshold": True}),
        ({"stale": False}, {"stale": True}),
        ({"intraday_cover": False}, {"intraday_cover": True}),
        ({"client_known": True}, {"client_known": False}),
        ({"effective_from": dt.date(2026, 11, 20)}, {"date": dt.date(2026, 11, 19)}),
        ({"effective_to": dt.date(2026, 11, 20)}, {"date": dt.date(2026, 11, 21)}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_selector_takes_what_it_names_and_leaves_the_rest(selector: dict[str, Any], changed: dict[str, Any]) -> None:
    assert rule(**selector).matches(SUBJECT)
    assert not rule(**selector).matches(replace(SUBJECT, **changed))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (Number.QUANTITY, 600),
        (Number.POOL, 2_000),
        (Number.CLIENT_TODAY, 1_000),
        (Number.SECURITY_TODAY, 1_500),
        (Number.RATE, 52_500),
        (Number.OF_POOL, PERCENT * 30 // 100),
        (Number.OF_VOLUME, PERCENT * 30 // 100),
        (Number.OF_OUTSTANDING, PERCENT * 15 // 1_000),
    ],
)
def test_least_and_most_are_inside_a_range_above_and_below_are_not(number: Number, value: int) -> None:
    bounds = {
        "least": (True, True, False),
        "above": (True, False, False),
        "most": (False, True, True),
        "below": (False, False, True),
    }
    for bound, expected in bounds.items():
        found = [Range(number=number, **{bound: value + by}).holds(SUBJECT) for by in (-1, 0, 1)]
        assert tuple(found) == expected, bound


@pytest.mark.parametrize(
    ("number", "unknown"),
    [
        (Number.RATE, {"rate": None}),
        (Number.OF_VOLUME, {"volume_30d": 0}),
        (Number.OF_OUTSTANDING, {"outstanding": 0}),
    ],
)
def test_what_is_not_known_is_in_no_range(number: Number, unknown: dict[str, Any]) -> None:
    subject = replace(SUBJECT, **unknown)
    assert not Range(number=number, least=0).holds(subject)
    assert not Range(number=number, most=2**62).holds(subject)


@pytest.mark.parametrize("pool", [0, -500])
def test_a_request_of_an_empty_pool_is_more_of_it_than_any_part(pool: int) -> None:
    subject = replace(SUBJECT, pool=pool)
    assert Range(number=Number.OF_POOL, above=10**12).holds(subject)
    assert not Range(number=Number.OF_POOL, most=10**12).holds(subject)


def test_the_highest_priority_decides_and_among_equals_the_first() -> None:
    rules = LocateRules(
        decisions=(
            rule(id="a"),
            rule(id="b", priority=5),
            rule(id="c", priority=5),
            rule(id="d", priority=9, types={"long"}),
        ),
        decrements=(
            DecrementRule(id="x", version=1, ratio_basis_points=1, priority=-1),
            DecrementRule(id="y", version=1, ratio_basis_points=2),
        ),
    )
    assert rules.decision(SUBJECT).id == "b"
    assert rules.decrement(SUBJECT).id == "y"
    assert LocateRules().decision(SUBJECT) is NO_DECISION
    assert LocateRules().decrement(SUBJECT) is NO_RATIO


def test_a_document_says_all_that_a_rule_can_ask_for() -> None:
    book = read(
        """decisions:
  - id: much
    note: Too much for nobody to look at.
    priority: 20
    markets: [US]
    countries: [IE, US]
    temperatures: [HTB, WARM]
    classifications: [EQUITY]
    types: [short]
    settlements: [cash]
    clients: [FUND1]
    designated: false
    threshold: false
    stale: false
    intraday_cover: false
    quantity: {min: 1, max: 1_000_000}
    rate_percent: {above: 5.2499, below: 6}
    pool_percent: {max: 30}
    effective_from: 2026-01-01
    effective_to: 2026-12-31
    action: pend
    reason: limit_exceeded
decrements:
  - {id: once, types: [short], ratio_basis_points: 2500, reuse: false}
"""
    )
    rules = book.locates
    found = rules.decision(SUBJECT)
    assert (found.id, found.version, found.action, found.reason) == ("much", 7, Action.PEND, Reason.LIMIT_EXCEEDED)
    assert rules.decision(replace(SUBJECT, quantity=601)) is NO_DECISION  # 30.05% of the pool
    assert rules.decision(replace(SUBJECT, rate=52_499)) is NO_DECISION
    taken = rules.decrement(SUBJECT)
    assert (taken.ratio_basis_points, taken.reuse) == (2_500, False)


def test_a_rule_in_a_document_for_some_markets_is_for_them_and_goes_before_the_rules_for_all() -> None:
    body = "decisions:\n  - {id: own, action: pend}\n"
    documents = [*world.shipped_documents(), Document("desk", 1, f"format: 1\ndocument: desk\nmarkets: [JP]\n{body}")]
    rules = world.rule_book(documents).locates
    assert rules.decision(replace(SUBJECT, market="JP")).id == "own"
    assert rules.decision(replace(SUBJECT, market="GB")).id == "up-to-the-pool"


@pytest.mark.parametrize(
    ("line", "said", "place"),
    [
        ("{action: approve}", "a rule needs id", "{"),
        ("{id: a}", "a decision needs action", "{"),
        ("{id: a, action: reject}", "a rejection needs a reason", "{"),
        ("{id: a, action: approve, reason: limit_exceeded}", "what is approved has no reason", "limit"),
        ("{id: a, action: accept}", "one of approve, reject, pend, not 'accept'", "accept"),
        ("{id: a, action: reject, reason: because}", "not 'because'", "because"),
        ("{id: a, action: pend, within_terms: [exclusive]}", "only what is approved", "[excl"),
        ("{id: a, action: approve, within_terms: [exclusiv]}", "no term 'exclusiv'", "[excl"),
        ("{id: a, action: approve, within_terms: [for_loan]}", "no term 'for_loan'", "[for"),
        ("{id: a, action: approve, temperatures: [HOT]}", "not 'HOT'", "HOT"),
        ("{id: a, action: approve, markets: []}", "at least one is needed", "[]"),
        ("{id: a, action: approve, clients: [A, A]}", "'A' is there twice", "A]"),
        ("{id: a, action: approve, clients: A}", "clients is a list", "A}"),
        ("{id: a, action: approve, stale: maybe}", "true or false", "maybe"),
        ("{id: a, action: approve, quantity: {min: 10, max: 9}}", "nothing is between min and max", "9}"),
        ("{id: a, action: approve, quantity: {above: 9, max: 9}}", "nothing is between above and max", "9}}"),
        ("{id: a, action: approve, quantity: {min: 1, above: 9}}", "either min or above", "9}}"),
        ("{id: a, action: approve, quantity: {least: 1}}", "quantity has no 'least'", "least"),
        ("{id: a, action: approve, quantity: {}}", "at least one of min", "{}"),
        ("{id: a, action: approve, quantity: {min: 1.5}}", "whole shares are needed", "1.5"),
        ("{id: a, action: approve, quantity: 100}", "is a mapping", "100"),
        ("{id: a, action: approve, rate_percent: {min: 0.00001}}", "at most four places", "0.00001"),
        ("{id: a, action: approve, rate_percent: {min: 1e999999}}", "at most four places", "1e9"),
        ("{id: a, action: approve, rate_percent: {min: NaN}}", "at most four places", "NaN"),
        ("{id: a, action: approve, version: 3}", "a decision has no 'version'", "version"),
        (
            "{id: a, action: approve, effective_from: 2026-02-01, effective_to: 2026-01-01}",
            "before it begins",
            "2026-01",
        ),
        ("{id: for_loan.firm_long, action: approve}", "there is another rule", "for_loan"),
    ],
)
def test_a_problem_of_a_decision_has_its_place(line: str, said: str, place: str) -> None:
    found = [problem for problem in problems_of(f"decisions:\n  - {line}\n") if said in problem.message]
    assert found, said
    assert (found[0].document, found[0].line) == ("locates", HEAD.count("\n") + 2)
    assert found[0].column == 5 + line.rindex(place)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{id: a}", "a decrement needs ratio_basis_points"),
        ("{id: a, ratio_basis_points: 10001}", "between 0 and 10,000"),
        ("{id: a, ratio_basis_points: -1}", "between 0 and 10,000"),
        ("{id: a, ratio_basis_points: 5, reuse: never}", "true or false"),
        ("{id: a, ratio_basis_points: 5, action: approve}", "a decrement has no 'action'"),
    ],
)
def test_a_problem_of_a_decrement_is_named(line: str, said: str) -> None:
    assert any(said in problem.message for problem in problems_of(f"decrements:\n  - {line}\n"))


def test_every_problem_of_a_document_is_found_in_one_go() -> None:
    body = (
        "decisions:\n  - {id: a, action: no}\n  - {id: b, action: approve, types: [both]}\ndecrements:\n  - {id: c}\n"
    )
    assert [problem.line - HEAD.count("\n") for problem in problems_of(body)] == [2, 3, 5]
