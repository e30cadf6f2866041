"""A dry run judges each request as it was, says what differs and what does not, and counts both sides alike."""

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.locate_desk import LocateDesk
from engine.locate_dry_run import Count, DryRun, Outcome, Past
from engine.locate_rules import Action, DecisionRule, DecrementRule, LocateRules, Number, Range
from engine.locates import LocateRequest, LocateType, OnInsufficient, Reason, RuleUsed, State, Subject
from engine.model import Temperature
from tests.engine.locate_inventory import NOON_NS, NOTHING_KNOWN, PlainInventory, shipped_rules

ALL = RuleUsed("all", 1)
SUBJECT = Subject("US", "HTB", LocateType.SHORT, dt.date(2026, 11, 20), client="FUND1", quantity=100, pool=1_000)
APPROVED = Outcome(State.APPROVED, None, 100, 100, ALL)
ALL_RULES = LocateRules(decisions=(DecisionRule(id="all", version=1, action=Action.APPROVE),))
SMALL = LocateRules(
    decisions=(
        DecisionRule(id="small", version=2, action=Action.APPROVE, ranges=(Range(number=Number.QUANTITY, most=100),)),
        DecisionRule(id="large", version=2, action=Action.REJECT, reason=Reason.LIMIT_EXCEEDED),
    ),
    decrements=(DecrementRule(id="half", version=2, ratio_basis_points=5_000),),
)


def past(sequence: int = 1, outcome: Outcome = APPROVED, quantity: int = 100, **fields: Any) -> Past:
    asked = LocateRequest(security="X", client="FUND1", quantity=quantity)
    given: dict[str, Any] = {
        "sequence": sequence,
        "at_ns": sequence,
        "first": True,
        "request": asked,
        "outcome": outcome,
        "subject": replace(SUBJECT, quantity=quantity),
        "terms": {"firm_long": 1_000},
        "held": 0,
    }
    return Past(**given | fields)


def test_rules_that_say_the_same_differ_in_nothing() -> None:
    run = DryRun(ALL_RULES, 10)
    for sequence in range(3):
        run.add(past(sequence))
    assert (run.requests, run.differ, run.lines) == (3, 0, [])
    assert run.total.was == run.total.would == Count(3, 300, 300, 300)


def test_what_would_differ_is_counted_on_both_sides_and_shown_as_far_as_asked_for() -> None:
    run = DryRun(SMALL, 2)
    for sequence in range(3):
        run.add(past(sequence))
    run.add(past(3, Outcome(State.APPROVED, None, 101, 101, ALL), 101))
    assert (run.requests, run.differ, len(run.lines)) == (4, 4, 2)
    assert run.total.was == Count(4, 401, 401, 401)
    assert run.total.would == Count(4, 401, 300, 150)
    assert set(run.states) == {(State.APPROVED, State.APPROVED), (State.APPROVED, State.REJECTED)}
    rejected = run.states[State.APPROVED, State.REJECTED]
    assert (rejected.was, rejected.would) == (Count(1, 101, 101, 101), Count(1, 101, 0, 0))
    by_rule = {rule: (sides.was.requests, sides.would.requests) for rule, sides in run.rules.items()}
    assert by_rule == {ALL: (4, 0), RuleUsed("small", 2): (0, 3), RuleUsed("large", 2): (0, 1)}
    line = run.lines[0]
    assert (line.would.decrement, line.would.rule, line.later) == (50, RuleUsed("small", 2), None)


def test_a_request_is_judged_by_the_pool_that_it_found() -> None:
    run = DryRun(ALL_RULES, 10)
    run.add(past(subject=replace(SUBJECT, pool=40)))
    (line,) = run.lines
    assert (line.would.state, line.would.approved) == (State.PARTIALLY_APPROVED, 40)
    assert line.would.reason == Reason.INSUFFICIENT_INVENTORY


def test_what_a_person_decided_later_stands_beside_what_rules_would_have() -> None:
    run = DryRun(SMALL, 10)
    pending = Outcome(State.PENDING, None, 0, 0, ALL)
    for sequence in (1, 2, 3):
        run.add(past(sequence, pending))
    by_hand = Outcome(State.APPROVED, None, 100, 100, RuleUsed("by_hand", 1), by="otto")
    run.add(past(1, by_hand, first=False))
    run.add(past(2, replace(by_hand, state=State.PARTIALLY_APPROVED, approved=60), first=False))
    run.add(past(9, by_hand, first=False))  # asked for before the period
    reviews = run.reviews()
    assert (run.requests, reviews.was, reviews.would, reviews.spared) == (3, 3, 0, 3)
    assert (reviews.decided, reviews.decided_alike) == (2, 1)
    assert [line.later.by if line.later else None for line in run.lines] == ["otto", "otto", None]


def test_evidence_without_a_subject_is_counted_and_not_judged() -> None:
    run = DryRun(SMALL, 10)
    run.add(past(subject=None))
    assert (run.requests, run.unknown, run.lines) == (0, 1, [])


REQUESTS = st.builds(
    LocateRequest,
    security=st.sampled_from("ABCD"),
    client=st.sampled_from(["FUND1", "FUND2"]),
    quantity=st.integers(1, 900),
    type=st.sampled_from(LocateType),
    allow_partial=st.booleans(),
    minimum_quantity=st.integers(1, 400),
    on_insufficient=st.sampled_from(OnInsufficient),
    max_rate=st.none() | st.floats(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(REQUESTS, max_size=20), rates=st.lists(st.none() | st.integers(0, 20_000), min_size=4, max_size=4)
)
def test_what_is_kept_of_a_decision_is_enough_to_decide_it_again(
    asked: list[LocateRequest], rates: list[int | None]
) -> None:
    inventory = PlainInventory()
    markets = [("A", "US", Temperature.GC), ("B", "HK", Temperature.HTB), ("C", "TW", Temperature.WARM)]
    for (code, market, temperature), rate in zip([*markets, ("D", "KR", Temperature.HTB)], rates, strict=True):
        security = inventory.add(code, 1_000, temperature, market, exclusive=200, external_firm=300)
        inventory.references[security] = NOTHING_KNOWN._replace(designated=True, rate=rate, volume_30d=2_000)
    desk, run = LocateDesk(inventory, shipped_rules()), DryRun(shipped_rules(), 10)
    for number, request in enumerate(asked):
        inventory.stale = number % 7 == 6
        change = desk.decide(request, NOON_NS + number, NOON_NS + 10**12)
        desk.settle(change)
        locate, evidence = change.after, change.evidence
        assert evidence is not None
        outcome = Outcome(locate.state, locate.reason, locate.approved, locate.decrement, evidence.decision_rule)
        kept: dict[str, Any] = {
            "subject": evidence.subject,
            "terms": evidence.terms,
            "held": evidence.held,
            "request": request,
        }
        run.add(past(locate.sequence, outcome, **kept))
    assert (run.requests, run.lines) == (len(asked), [])
