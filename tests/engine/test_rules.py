"""Rules compiled for the days that it is: which rows, which weights, in which order."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from engine.expression import Code
from engine.model import DAYS, KIND_ATTRIBUTES, Clock, Decided, Fact, Kind
from engine.rule_model import Measure, RulesError
from engine.rules import Compiled
from tests.engine.program_runner import run
from tests.engine.rule_books import CODES, MONDAY, compiled, read, shipped, small

DOCUMENT = "format: 1\ndocument: %s\nmarkets: [%s]\nrules:\n"


@pytest.fixture(scope="module")
def default() -> Compiled:
    return compiled(read(shipped()))


def columns(rules: Compiled, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Attributes of rows that are firm positions in New York where they do not say otherwise."""
    plain: dict[str, Any] = {
        "position_type": "FIRM",
        "external_kind": "",
        "reusable": False,
        "recall_days": 0,
        "market": "US",
        "country": "US",
        "designated": True,
        "event_days": None,
        "client": "C1",
    }
    return {name: [(plain | dict(row))[name] for row in rows] for name in rules.attributes}


def days(mask: int) -> list[int]:
    return [day for day in range(DAYS) if mask >> day & 1]


def weights(rules: Compiled, market: str, calculation: str) -> dict[str, tuple[int, ...]]:
    """By rule, in ten-thousandths a day."""
    catalogue = rules.catalogue
    inputs = catalogue.inputs[CODES.index(market)][catalogue.calculation(calculation)]
    return {given.rule: given.weights for given in inputs if given.rule}


def component(rules: Compiled, term: str, *holds: str) -> int:
    (found,) = [
        i for i, c in enumerate(rules.catalogue.components) if c.term == term and c.holds == holds and not c.lacks
    ]
    return found


def always(quantity: int) -> Callable[[Code, int], int]:
    """Whatever is pushed is this."""
    return lambda *_: quantity


# rows and days


def test_a_condition_selects_kinds_and_days(default: Compiled) -> None:
    rows = [
        {
            "position_type": kind.position_type,
            "external_kind": kind.external_kind,
            "reusable": kind.reusable,
            "recall_days": kind.recall_days,
        }
        for kind in KIND_ATTRIBUTES
    ]
    members = default.members(columns(default, rows))
    locked = members[component(default, "pledged_locked")]
    for family in ("REPO_PLEDGE", "SWAP_PLEDGE"):
        assert [days(locked[Kind[f"{family}_{recall}"]]) for recall in range(6)] == [list(range(n)) for n in range(6)]
    assert [Kind(i) for i, mask in enumerate(members[component(default, "collateral_in")]) if mask] == [
        Kind.REPO_RECEIVED
    ]
    assert [days(mask) for mask in members[component(default, "ca_due")]] == [[0, 1, 2, 3, 4]] * len(Kind)


def test_an_event_within_five_days_of_the_day_is_inside_the_pledge(default: Compiled) -> None:
    events = [None, 0, 1, 4, 5, 6, 9, 10]
    members = default.members(columns(default, [{"event_days": event} for event in events]))
    assert [days(mask) for mask in members[component(default, "event_stock")]] == [
        [],
        [0],
        [0, 1],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4],
        [4],
        [],
    ]


def test_what_decisions_hold_has_no_rows(default: Compiled) -> None:
    members = default.members(columns(default, [{}]))
    held = [i for i, measure in enumerate(default.measures) if measure == Measure.DECIDED]
    assert len(held) == len(Decided)
    assert not members[held].any()


def test_no_rows_at_all(default: Compiled) -> None:
    assert default.members(columns(default, [])).shape == (len(default.measures), 0)


# which rules are in force


def test_a_market_without_rules_of_its_own_has_those_of_all(default: Compiled) -> None:
    programs = dict(zip(CODES, default.programs, strict=True))
    assert programs["US"] == programs["GB"] == programs["JP"]
    assert programs["US"] != programs["TW"]


def test_a_rule_that_begins_in_the_middle_of_the_days_changes_only_those_from_its_date_on() -> None:
    texts = small(rules="  - {calculation: c, input: a, weight: 1}\n")
    texts["tw"] = DOCUMENT % ("tw", "TW") + "  - {calculation: c, input: a, weight: 0.5, effective_from: 2026-01-07}\n"
    rules = compiled(read(texts))
    assert weights(rules, "TW", "c") == {"c.a": (10_000, 10_000, 0, 0, 0), "c.a.tw": (0, 0, 5_000, 5_000, 5_000)}
    assert weights(rules, "US", "c") == {"c.a": (10_000,) * DAYS}
    at = rules.catalogue.calculation("c")
    held = [run(rules, rules.programs[CODES.index("TW")][at], day, always(1_001)) for day in range(DAYS)]
    assert held == [1_001, 1_001, 500, 500, 500]


def test_a_rule_holds_to_the_end_of_its_last_day() -> None:
    rule = "  - {id: x, calculation: c, input: a, weight: 1, effective_from: 2026-01-06, effective_to: 2026-01-07}\n"
    assert weights(compiled(read(small(rules=rule))), "US", "c") == {"x": (0, 10_000, 10_000, 0, 0)}


def test_rules_that_follow_each_other_share_the_days() -> None:
    rules = compiled(
        read(
            small(
                rules="  - {id: x, calculation: c, input: a, weight: 1, effective_to: 2026-01-06}\n"
                "  - {id: y, calculation: c, input: a, weight: 0.25, effective_from: 2026-01-07}\n"
            )
        )
    )
    assert weights(rules, "US", "c") == {"x": (10_000, 10_000, 0, 0, 0), "y": (0, 0, 2_500, 2_500, 2_500)}


def test_weights_of_both_signs_on_different_days_are_each_rounded_down_by_themselves() -> None:
    texts = small(
        rules="  - {id: x, calculation: c, input: a, weight: -0.5, effective_to: 2026-01-06}\n"
        "  - {id: y, calculation: c, input: a, weight: 0.5, effective_from: 2026-01-07}\n"
    )
    texts["default"] = texts["default"].replace("{expression: total}", "{expression: total + a}")
    rules = compiled(read(texts))
    program = rules.programs[0][rules.catalogue.calculation("c")]
    assert [run(rules, program, day, always(3)) for day in range(DAYS)] == [2, 2, 4, 4, 4]


@pytest.mark.parametrize(("day", "expected"), [(MONDAY, 0), (dt.date(2019, 12, 31), 5_000)])
def test_rules_of_the_day_after_tomorrow_are_asked_by_its_own_date(day: dt.date, expected: int) -> None:
    texts = small(rules="  - {id: x, calculation: c, input: a, weight: 0.5, effective_to: 2020-01-03}\n")
    assert weights(compiled(read(texts), first=day), "US", "c").get("x", (0,))[0] == expected


def test_the_higher_priority_wins_and_a_document_of_markets_has_it() -> None:
    texts = small(rules="  - {id: all, calculation: c, input: a, weight: 1, priority: 99}\n")
    texts["tw"] = DOCUMENT % ("tw", "TW, KR") + "  - {id: two, calculation: c, input: a, weight: 0}\n"
    texts["kr"] = DOCUMENT % ("kr", "KR") + "  - {id: one, calculation: c, input: a, weight: 0.5, priority: 101}\n"
    rules = compiled(read(texts))
    assert [list(weights(rules, market, "c")) for market in ("US", "TW", "KR")] == [["all"], ["two"], ["one"]]


# rules with conditions


SPLIT = """\
  - {id: rest, calculation: c, input: a, weight: 1}
  - {id: own, calculation: c, input: a, weight: 0.5, condition: country = 'US', priority: 1}
  - {id: short, calculation: c, input: a, weight: 0.25, measure: short, condition: NOT designated, priority: 2}
"""


def test_a_rule_with_a_condition_takes_its_rows_out_of_the_term() -> None:
    rules = compiled(read(small(rules=SPLIT)))
    kept = [(c.term, c.measure, c.holds, c.lacks) for c in rules.catalogue.components]
    assert kept[:2] == [("a", "long", (), ()), ("b", "long", (), ())]
    assert set(kept[2:]) == {
        ("a", "short", ("NOT designated",), ()),
        ("a", "long", ("country = 'US'",), ("NOT designated",)),
        ("a", "long", (), ("NOT designated", "country = 'US'")),
    }
    rows = [{"designated": d, "country": c} for d in (True, False) for c in ("US", "DE")]
    members = rules.members(columns(rules, rows))
    by_place = {key: members[i].tolist() for i, key in enumerate(kept)}
    assert by_place["a", "long", (), ()] == [31, 31, 31, 31]
    assert by_place["a", "short", ("NOT designated",), ()] == [0, 0, 31, 31]
    assert by_place["a", "long", ("country = 'US'",), ("NOT designated",)] == [31, 0, 0, 0]
    assert by_place["a", "long", (), ("NOT designated", "country = 'US'")] == [0, 31, 0, 0]


def test_what_is_left_of_a_term_is_the_term_less_what_was_taken() -> None:
    rules = compiled(read(small(rules=SPLIT.replace("measure: short, ", ""))))
    inputs = {i.rule: i for i in rules.catalogue.inputs[0][rules.catalogue.calculation("c")]}
    assert inputs["rest"].plus == (component(rules, "a"),)
    assert sorted(inputs["rest"].minus) == sorted(inputs["own"].plus + inputs["short"].plus)


def test_a_condition_whose_answer_is_unknown_does_not_hold_nor_keeps_a_row_from_the_next_rule() -> None:
    rule = "  - {id: %s, calculation: c, input: a, weight: %s, priority: %d%s}\n"
    text = rule % ("rest", "1", 0, "") + rule % ("soon", "0.5", 1, ", condition: NOT event_days > 3")
    rules = compiled(read(small(rules=text)))
    members = rules.members(columns(rules, [{"event_days": None}, {"event_days": 3}, {"event_days": 4}]))
    assert members[component(rules, "a", "NOT event_days > 3")].tolist() == [0, 31, 0]
    text = text.replace("weight: 1,", "weight: 1, measure: short,")
    rules = compiled(read(small(rules=text)))
    (rest,) = [i for i, c in enumerate(rules.catalogue.components) if c.lacks]
    members = rules.members(columns(rules, [{"event_days": None}, {"event_days": 3}, {"event_days": 4}]))
    assert members[rest].tolist() == [31, 0, 31]


def test_a_condition_that_is_not_in_force_keeps_no_row_from_the_others() -> None:
    texts = small(rules="  - {id: rest, calculation: c, input: a, weight: 1}\n")
    texts["tw"] = (
        DOCUMENT % ("tw", "TW") + "  - {id: own, calculation: c, input: a, weight: 0, condition: designated}\n"
    )
    rules = compiled(read(texts))
    at = rules.catalogue.calculation("c")
    of = {market: rules.catalogue.inputs[CODES.index(market)][at] for market in ("US", "TW")}
    assert [(i.rule, i.minus) for i in of["US"]] == [("rest", ())]
    assert [(i.rule, len(i.minus)) for i in of["TW"]] == [("own", 0), ("rest", 1)]


def test_of_rules_alike_the_one_with_a_condition_is_asked_first_then_by_id() -> None:
    text = "".join(
        f"  - {{id: {name}, calculation: c, input: a, weight: 1{more}}}\n"
        for name, more in (("z", ""), ("y", ", condition: threshold"), ("x", ", condition: designated"))
    )
    rules = compiled(read(small(rules=text)))
    lacks = {c.holds: c.lacks for c in rules.catalogue.components if c.holds}
    assert lacks == {("designated",): (), ("threshold",): ("designated",)}


def test_a_rule_that_can_never_be_reached_gets_nothing() -> None:
    text = (
        "  - {id: first, calculation: c, input: a, weight: 1, condition: designated, priority: 9}\n"
        "  - {id: again, calculation: c, input: a, weight: 1, condition: designated, priority: 8}\n"
        "  - {id: all, calculation: c, input: a, weight: 1, priority: 7}\n"
        "  - {id: never, calculation: c, input: a, weight: 1, condition: threshold, priority: 6}\n"
    )
    assert list(weights(compiled(read(small(rules=text))), "US", "c")) == ["first", "all"]


# programs and the catalogue


def test_calculations_come_after_those_they_need_and_those_of_securities_first() -> None:
    rules = compiled(
        read(
            small(
                calculations="  z: {expression: y + c}\n  y: {expression: x * 2}\n  x: {expression: total}",
                rules="  - {calculation: c, input: x, weight: 1}\n  - {calculation: x, input: a, weight: 1}\n",
            )
        )
    )
    names = [info.name for info in rules.catalogue.calculations]
    assert names.index("x") < names.index("c") < names.index("z")
    assert names.index("y") < names.index("z")
    scopes = [info.scope for info in rules.catalogue.calculations]
    assert scopes == sorted(scopes, key=["security", "client", "au"].index)


def test_sums_that_only_clients_and_aggregation_units_need_are_not_maintained(default: Compiled) -> None:
    kept = {c.term: c.maintained for c in default.catalogue.components}
    assert not any(
        kept[t] for t in ("client_positions", "client_holds", "au_net", "au_borrows", "au_external", "approved_short")
    )
    assert all(kept[t] for t in ("firm_long", "position", "located", "located_long", "event_stock"))
    assert default.maintained.tolist() == sorted(default.maintained.tolist(), reverse=True)
    assert [c.maintained for c in default.catalogue.components] == default.maintained.tolist()


def test_facts_and_the_clock_are_pushed_not_summed(default: Compiled) -> None:
    at = default.catalogue.calculation
    assert default.programs[0][at("lendable")] == (
        (Code.CALCULATION, at("for_loan")),
        (Code.CLOCK, Clock.LENDING_OPEN),
        (Code.MULTIPLY, 0),
    )
    reporting = default.programs[0][at("market_value_reporting")]
    assert reporting == ((Code.CALCULATION, at("market_value")), (Code.FACT, Fact.FX), (Code.VALUE, 10**9))
    fx = next(term for term in default.catalogue.terms if term.name == "fx")
    assert (fx.component, fx.measure, fx.source) == (-1, "fact", "fx")


def test_half_an_indication_is_rounded_down_once(default: Compiled) -> None:
    at = default.catalogue.calculation("locate_pool")
    place = {
        component(default, "external_firm"): 10,
        component(default, "external_indicative"): 3,
    }
    program = default.programs[0][at]
    assert run(default, program, 0, lambda code, i: 100 if code == Code.CALCULATION else place.get(i, 0)) == 111


def test_the_catalogue_says_what_a_calculation_takes_in_and_by_which_rule(default: Compiled) -> None:
    catalogue = default.catalogue
    inputs = {i.name: i for i in catalogue.inputs[CODES.index("TW")][catalogue.calculation("for_loan")]}
    assert (inputs["borrowed"].rule, inputs["borrowed"].document) == ("for_loan.borrowed.tw", "tw")
    assert inputs["borrowed"].weights == (0,) * DAYS
    assert inputs["borrowed"].note == "Borrowed stock may not be lent on."
    assert inputs["firm_long"].plus == (catalogue.component("firm_long"),)
    named = {i.name: i for i in catalogue.inputs[0][catalogue.calculation("lendable")]}
    assert [(i.kind, i.weights, i.plus, i.rule) for i in named.values()] == [
        ("calculation", (), (), ""),
        ("clock", (), (), ""),
    ]
    info = catalogue.calculations[catalogue.calculation("for_loan")]
    assert info.postfix == ((Code.CONSTANT, 0), "total", (Code.GREATEST, 0))
    assert [d.title for d in catalogue.documents][:2] == ["All markets", "Taiwan"]


def test_a_rule_for_a_market_that_there_is_not_is_refused_with_its_place() -> None:
    texts = shipped()
    texts["eu"] = texts["eu"].replace("[DE, FR, GB]", "[DE, XX, GB]")
    with pytest.raises(RulesError) as refused:
        compiled(read(texts))
    line = texts["eu"][: texts["eu"].index("markets:")].count("\n") + 1
    assert [str(problem) for problem in refused.value.problems] == [f"eu:{line}:15: there is no market 'XX'"]


def test_a_condition_on_a_market_that_there_is_not_is_refused_with_its_place() -> None:
    texts = shipped()
    texts["hk"] = texts["hk"].replace("market = 'HK' AND NOT designated\n    note", "market IN ('HK', 'HX')\n    note")
    with pytest.raises(RulesError) as refused:
        compiled(read(texts))
    before = texts["hk"][: texts["hk"].index("HX")]
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rindex(chr(10))}"
    assert [str(problem) for problem in refused.value.problems] == [f"hk:{place}: there is no market 'HX'"]
