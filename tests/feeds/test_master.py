"""The security master: many sources, one golden record, nothing settled silently."""

import datetime as dt
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app import world
from app.master_rules import master_rules, vocabulary
from feeds.master import Change, Kept, Master
from feeds.master_cases import Case, CaseState
from feeds.master_decisions import Decided, Decision, DecisionKind
from feeds.master_records import (
    BasketKind,
    Component,
    Composition,
    Counterparty,
    FaultKind,
    Identifier,
    IdentifierType,
    Merge,
    Security,
)
from feeds.quarantine import Reason

TODAY = dt.date(2026, 11, 20)
WORDS = vocabulary(world.markets())
RULES = msgspec.structs.replace(master_rules(), priority=("IMS", "GOOD", "FAIR"))
ISINS = ("US0378331005", "US5949181045", "US88160R1014")
CUSIPS = ("037833100", "594918104", "88160R101")
SEDOLS = ("2046251", "2588173", "B616C79")


def _master(kept: Kept | None = None, today: dt.date = TODAY) -> Master:
    return Master(RULES, WORDS, today, kept)


def _take(master: Master, *records: Any, at_ns: int = 1) -> Change:
    change = master.take(list(enumerate(records)), at_ns)
    assert not change.refused
    return change


def _seen(master: Master) -> Any:
    """All that anybody sees, without counts and times."""
    cases = {
        (case.kind, case.security, case.field, case.values, case.chosen, case.state)
        for case in master.cases.values()
        if case.state != CaseState.CLOSED
    }
    golden = {code: one.record for code, one in master.golden.items() if code not in master.rulings.merged}
    return golden, master.leads, cases


def _case(master: Master, kind: FaultKind) -> Case:
    (case,) = [case for case in master.cases.values() if case.kind == kind and case.state != CaseState.CLOSED]
    return case


def _decide(master: Master, case: str, value: str) -> Change:
    return master.decide(Decided(1, 5, "ann", Decision(DecisionKind.DECIDE, case=case, value=value)), 5)


def _merge(master: Master, source: str, target: str) -> Change:
    return master.decide(Decided(2, 6, "ann", Decision(DecisionKind.MERGE, source=source, target=target)), 6)


def _split(master: Master, source: str, target: str) -> Change:
    return master.decide(Decided(3, 7, "ann", Decision(DecisionKind.SPLIT, source=source, target=target)), 7)


records = st.builds(
    Security,
    code=st.sampled_from("ABC"),
    source=st.sampled_from(("", "GOOD", "FAIR", "OTHER")),
    isin=st.sampled_from(("", *ISINS)),
    cusip=st.sampled_from(("", *CUSIPS)),
    sedol=st.sampled_from(("", *SEDOLS)),
    ticker=st.sampled_from(("", "T1", "T2")),
    market=st.sampled_from(("", "US", "Taiwan")),
    name=st.sampled_from(("", "one", "two")),
    temperature=st.sampled_from(("UNKNOWN", "GC", "hard to borrow", "?")),
    valid_from=st.sampled_from((None, dt.date(2026, 1, 1), dt.date(2027, 1, 1))),
    valid_to=st.sampled_from((None, dt.date(2026, 6, 1), dt.date(2028, 1, 1))),
).filter(lambda one: one.valid_from is None or one.valid_to is None or one.valid_from < one.valid_to)
one_each = st.lists(records, max_size=9, unique_by=lambda one: (one.code, one.source))


@settings(max_examples=40, deadline=None)
@given(said=one_each, data=st.data())
def test_in_which_order_sources_speak_does_not_matter(said: list[Security], data: st.DataObject) -> None:
    other = data.draw(st.permutations(said))
    first, second = _master(), _master()
    for record in said:
        _take(first, record)
    _take(second, *other)
    assert _seen(first) == _seen(second)


@settings(max_examples=50, deadline=None)
@given(said=st.lists(records, max_size=12))
def test_the_same_again_is_nothing(said: list[Security]) -> None:
    master = _master()
    _take(master, *said)
    newest = {(one.code, one.source): one for one in said}
    assert _take(master, *newest.values(), at_ns=9).nothing


@settings(max_examples=50, deadline=None)
@given(said=st.lists(records, max_size=12), choices=st.lists(st.integers(0, 9), max_size=6), again=one_each)
def test_a_name_leads_to_one_security_and_its_own_code_home(
    said: list[Security], choices: list[int], again: list[Security]
) -> None:
    master = _master()
    _take(master, *said)
    for choice in choices:
        waiting = [
            case for case in master.cases.values() if case.state == CaseState.OPEN and case.kind in "conflict shared"
        ]
        if waiting:
            case = waiting[choice % len(waiting)]
            _decide(master, case.id, case.values[choice % len(case.values)][0])
    _take(master, *again)
    shown: dict[str, str] = {}
    for code, one in master.golden.items():
        record = one.record
        for text in filter(
            None, (record.isin, record.cusip, record.sedol, record.ticker and f"{record.ticker}@{record.market}")
        ):
            assert shown.setdefault(text, code) == code
            assert master.leads[text] == code
    for case in master.cases.values():
        if case.state == CaseState.OPEN and case.kind == FaultKind.CONFLICT:
            mine = [value for value, _ in case.values]
            assert not any(master.leads.get(value) == case.security for value in mine)
            assert (
                not getattr(master.golden[case.security].record, case.field.lower())
                if case.security in master.golden
                else True
            )


@settings(max_examples=50, deadline=None)
@given(said=st.lists(records, max_size=12), pair=st.permutations("ABC"))
def test_merge_then_split_is_as_before(said: list[Security], pair: list[str]) -> None:
    master = _master()
    _take(master, *said, Security("A", market="US"), Security("B", market="US"), Security("C", market="US"))
    before, (source, target, _) = _seen(master), pair
    _merge(master, source, target)
    assert source not in _seen(master)[0]
    assert master.leads[source] == target
    assert source not in master.leads.values()
    _split(master, target, source)
    assert _seen(master) == before


@settings(max_examples=40, deadline=None)
@given(said=st.lists(records, max_size=12), choices=st.lists(st.integers(0, 9), max_size=4))
def test_made_anew_from_what_was_kept_it_is_the_same(said: list[Security], choices: list[int]) -> None:
    master = _master()
    kept = Kept()
    for change in [_take(master, *said)] + [_one_decision(master, choice) for choice in choices]:
        kept.decided += change.decided
    kept.claims, kept.golden, kept.cases, kept.leads = (
        master.claims, dict(master.golden), dict(master.cases), dict(master.leads),
    )  # fmt: skip
    again = _master(kept)
    assert again.begin(99).nothing
    assert _seen(again) == _seen(master)


def _one_decision(master: Master, choice: int) -> Change:
    waiting = [
        case for case in master.cases.values() if case.state == CaseState.OPEN and case.kind in "conflict shared"
    ]
    if not waiting:
        return Change()
    case = waiting[choice % len(waiting)]
    return _decide(master, case.id, case.values[choice % len(case.values)][0])


def test_two_sources_that_differ_wait_for_a_person_and_only_the_identifier_leads_nowhere() -> None:
    master = _master()
    _take(
        master,
        Security("A", market="US", isin=ISINS[0], cusip=CUSIPS[0], ticker="T"),
        Security("A", isin=ISINS[1], source="GOOD"),
    )
    case = _case(master, FaultKind.CONFLICT)
    assert (case.security, case.field, case.state) == ("A", "ISIN", CaseState.OPEN)
    assert dict(case.values) == {ISINS[0]: ("IMS",), ISINS[1]: ("GOOD",)}
    record = master.golden["A"].record
    assert (record.isin, record.cusip, record.ticker) == ("", CUSIPS[0], "T")
    assert [master.leads.get(text) for text in (ISINS[0], ISINS[1], CUSIPS[0], "A")] == [None, None, "A", "A"]
    change = _decide(master, case.id, ISINS[1])
    assert change.golden["A"].record.isin == ISINS[1]
    assert change.names == {ISINS[1]: "A"}
    assert master.golden["A"].version == 2
    assert _case(master, FaultKind.CONFLICT).state == CaseState.DECIDED


def test_a_decision_holds_until_a_source_says_something_nobody_has_seen() -> None:
    master = _master()
    _take(master, Security("A", market="US", isin=ISINS[0]), Security("A", isin=ISINS[1], source="GOOD"))
    _decide(master, _case(master, FaultKind.CONFLICT).id, ISINS[0])
    _take(master, Security("A", isin=ISINS[0], source="FAIR"))
    assert master.golden["A"].record.isin == ISINS[0]
    _take(master, Security("A", isin=ISINS[2], source="FAIR"))
    assert _case(master, FaultKind.CONFLICT).state == CaseState.OPEN
    assert master.golden["A"].record.isin == ""


def test_an_exception_closes_when_its_cause_is_gone() -> None:
    master = _master()
    _take(master, Security("A", market="US", isin=ISINS[0]), Security("A", isin=ISINS[1], source="GOOD"))
    change = _take(master, Security("A", isin=ISINS[0], source="GOOD"), at_ns=7)
    (case,) = change.cases.values()
    assert (case.state, case.first_seen_ns, case.changed_ns) == (CaseState.CLOSED, 1, 7)
    assert master.leads[ISINS[0]] == "A"


def test_a_name_of_two_securities_leads_to_neither_until_a_person_has_decided() -> None:
    master = _master()
    _take(
        master, Security("A", market="US", sedol=SEDOLS[0]), Security("B", market="US", sedol=SEDOLS[0], source="GOOD")
    )
    case = _case(master, FaultKind.SHARED)
    assert dict(case.values) == {"A": ("IMS",), "B": ("GOOD",)}
    assert SEDOLS[0] not in master.leads
    _decide(master, case.id, "B")
    assert master.leads[SEDOLS[0]] == "B"
    assert [master.golden[code].record.sedol for code in "AB"] == ["", SEDOLS[0]]


def test_fields_are_each_the_best_sources_that_says_anything() -> None:
    master = _master()
    _take(
        master,
        Security("A", source="FAIR", market="TWN", name="fair", currency="TWD", temperature="HARD_TO_BORROW"),
        Security("A", source="GOOD", name="good", country="Taiwan"),
        Security("A", source="ZULU", name="zulu", outstanding=5),
        Security("A", fee=7),
    )
    record = master.golden["A"].record
    assert (record.name, record.market, record.currency, record.country) == ("good", "TW", "TWD", "TW")
    assert (record.temperature, record.fee, record.outstanding) == ("HTB", 7, 5)


def test_versions_follow_the_provider() -> None:
    master = _master()
    _take(master, Security("A", market="US", name="second", source="GOOD", version=2))
    assert _take(master, Security("A", market="US", name="first", source="GOOD", version=1)).nothing
    change = master.take([(0, Security("A", market="US", name="other", source="GOOD", version=2))], 1)
    assert change.refused[0][2] == "version 2 of GOOD came before and said something else"
    assert master.golden["A"].record.name == "second"


def test_a_former_identifier_finds_its_security_until_another_has_it() -> None:
    master = _master()
    _take(master, Security("A", market="US", isin=ISINS[0]))
    _take(master, Security("A", market="US", isin=ISINS[1]))
    assert [master.leads[isin] for isin in ISINS[:2]] == ["A", "A"]
    (former, *_) = [one for one in master.golden["A"].record.identifiers if one.value == ISINS[0]]
    assert former.valid_to == TODAY
    _take(master, Security("B", market="US", isin=ISINS[0]))
    assert master.leads[ISINS[0]] == "B"


def test_identifiers_begin_and_end_on_their_dates() -> None:
    dated = Identifier(IdentifierType.SEDOL, SEDOLS[1], dt.date(2026, 12, 1), None)
    old = Identifier(IdentifierType.SEDOL, SEDOLS[0], None, dt.date(2026, 12, 1))
    master = _master()
    _take(master, Security("A", market="US", identifiers=(old, dated)))
    assert master.golden["A"].record.sedol == SEDOLS[0]
    assert SEDOLS[1] not in master.leads
    master.roll(dt.date(2026, 12, 1), 3)
    assert master.golden["A"].record.sedol == SEDOLS[1]
    assert [master.leads[sedol] for sedol in SEDOLS[:2]] == ["A", "A"]


def test_what_cannot_be_used_is_raised_and_the_rest_is_used() -> None:
    master = _master()
    broken = Security(
        "A", market="TWN", isin="US0378331006", cusip="03783310X", sedol="2046251", figi="BBG000B9XR*4",
        temperature="lukewarm", country="Neverland",
    )  # fmt: skip
    _take(master, broken, Security("B", ticker="AAPL"))
    told = {(case.security, case.field): case.kind for case in master.cases.values()}
    assert told == {
        ("A", "isin"): FaultKind.BROKEN,
        ("A", "cusip"): FaultKind.BROKEN,
        ("A", "figi"): FaultKind.MASKED,
        ("A", "temperature"): FaultKind.WORD,
        ("A", "country"): FaultKind.WORD,
        ("B", "ticker"): FaultKind.BARE_TICKER,
        ("B", "market"): FaultKind.INCOMPLETE,
    }
    record = master.golden["A"].record
    assert (record.market, record.isin, record.sedol, record.temperature) == ("TW", "", "2046251", "UNKNOWN")
    assert "B" not in master.golden


def test_a_masked_isin_is_shown_and_not_looked_up() -> None:
    master = _master()
    _take(master, Security("A", market="US", isin="US03783*****"))
    record = master.golden["A"].record
    assert (record.isin, record.flags & 2) == ("US03783*****", 2)
    assert "US03783*****" not in master.leads


def test_the_merged_ones_names_lead_to_the_other_and_nothing_else_changes_hands() -> None:
    master = _master()
    _take(master, Security("A", market="US", isin=ISINS[0]), Security("B", market="US", isin=ISINS[1], sedol=SEDOLS[1]))
    change = _take(master, Merge("A", "B"))
    assert change.names == {"A": "B", ISINS[0]: "B"}
    assert [one.decision.target for one in change.moves] == ["B"]
    assert master.golden["B"].record.isin == ISINS[1]
    assert _take(master, Merge("A", "B")).nothing


def test_counterparties_have_a_good_lei_or_none() -> None:
    master = _master()
    good = Counterparty("CP1", "One", "5493001KJTIIGC8Y1R12", "USA", "CLIENT")
    _take(master, good, Counterparty("CP2", "Two", "5493001KJTIIGC8Y1R13"))
    assert [(one.lei, one.country) for one in master.counterparties.values()] == [
        ("5493001KJTIIGC8Y1R12", "US"),
        ("", ""),
    ]
    assert _case(master, FaultKind.BROKEN).security == "CP2"


def test_a_basket_is_kept_whole_and_the_same_one_again_is_nothing() -> None:
    basket = Composition("ETF", BasketKind.CREATION, (Component("A", 100), Component("B", 50)), unit=50_000)
    master = _master()
    assert _take(master, basket).compositions == [basket]
    assert _take(master, basket).nothing


def test_a_basket_that_says_something_else_under_the_same_version_is_refused_and_told() -> None:
    master = _master()
    said = Composition("ETF", BasketKind.CREATION, (Component("A", 100),), unit=50_000, source="GOOD", version=7)
    other = msgspec.structs.replace(said, components=(Component("A", 900),))
    _take(master, said)
    change = master.take([(3, other)], 2)
    assert [(number, reason) for number, reason, _ in change.refused] == [(3, Reason.INVALID)]
    assert "version 7 of GOOD came before and said something else" in change.refused[0][2]
    assert change.nothing
    assert list(master.compositions.values()) == [said]
    for version, kept in ((6, said), (8, None), (None, None)):
        newer = msgspec.structs.replace(other, version=version)
        _take(master, newer)
        assert list(master.compositions.values()) == [kept or newer]
    elsewhere = msgspec.structs.replace(said, source="FAIR"), msgspec.structs.replace(said, kind=BasketKind.PRICING)
    assert _take(master, *elsewhere).compositions == list(elsewhere)
