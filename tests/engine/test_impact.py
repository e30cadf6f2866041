"""What an impact says is what publishing makes; and no number of it is of two moments."""

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import world
from engine import impact_reading
from engine.impact import Impact, compiled_beside, impact, ladder_dates
from engine.impact_reading import DraftReading, RulesChangedError
from engine.model import DAYS, Clock, Decided, Kind, Op, Temperature
from engine.records import CURRENCY
from engine.ring import Message
from engine.rule_model import Measure, Role, Rule, RuleBook, RulesError
from engine.state import Machine
from engine.tables import Tables, TornReadError, Word
from tests.engine.machines import SMALL, TODAY, events, machine, named, security_records

BOOK = world.rule_book()
CONDITIONS = [
    "book = 'B1'",
    "book <> 'B2' AND depot = 'D1'",
    "temperature = 'HTB'",
    "market = 'TW' OR recall_days > day",
    "client = '' AND day >= 2",
    "event_days BETWEEN day AND day + 3",
    "NOT reusable",
    "security IN ('S1', 'S3')",
]

event = st.fixed_dictionaries(
    {
        "security": st.integers(1, 5),
        "book": st.integers(1, 3),
        "depot": st.integers(1, 2),
        "kind": st.sampled_from(list(Kind)),
        "op": st.sampled_from([op for op in Op if op != Op.RESET_BOOK]),
        "quantity": st.integers(0, 1_000_000),
        "settle_date": st.integers(TODAY, TODAY + 7),
    }
)


@st.composite
def changed_books(draw: st.DrawFn) -> RuleBook:
    """The shipped rules with a few weights, measures, conditions and rules of their own, and some left out."""
    rules = list(BOOK.rules)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(rules) - 1))
        match draw(st.sampled_from(["weight", "split", "drop", "markets"])):
            case "weight":
                rules[at] = dataclasses.replace(rules[at], weight=draw(st.integers(-20_000, 20_000)))
            case "split":
                rules.append(_split(draw, rules[at], len(rules)))
            case "drop":
                del rules[at]
            case "markets":
                rules[at] = dataclasses.replace(rules[at], markets=("TW",))
    return dataclasses.replace(BOOK, rules=tuple(rules))


def _split(draw: st.DrawFn, rule: Rule, count: int) -> Rule:
    return dataclasses.replace(
        rule,
        id=f"{rule.id}.{count}",
        priority=1_000 + count,
        condition=draw(st.sampled_from(CONDITIONS)),
        weight=draw(st.integers(-20_000, 20_000)),
        measure=draw(st.sampled_from([None, Measure.LONG, Measure.NET, Measure.SD_LONG])),
    )


def described(count: int) -> Any:
    """Securities whose attributes differ, so that conditions tell them apart."""
    records = security_records(count)
    records["temperature"] = np.arange(count) % 2 * Temperature.HTB
    records["event_date"] = TODAY + np.arange(count)
    return records


def moments(made: Machine, book: RuleBook, **more: Any) -> dict[int, tuple[Any, Any]]:
    """Before and after by security."""
    compiled, rules = compiled_beside(made.tables, book)
    found = {}
    for moment in DraftReading(made.tables, compiled, rules).moments(**more):
        for i, security in enumerate(moment.ids.tolist()):
            assert security not in found, "read twice"
            found[security] = moment.before[i], moment.after[i]
    assert sorted(found) == list(range(1, made.tables.count(Word.SECURITIES) + 1))
    return found


@settings(max_examples=40)
@given(st.lists(event, max_size=40), changed_books(), st.lists(st.integers(0, 500), max_size=3))
def test_after_is_what_a_machine_makes_that_publishes_the_draft(
    rows: list[dict[str, Any]], book: RuleBook, located: list[int]
) -> None:
    with machine("impact-property") as made:
        made.register(Message.SECURITIES, described(5))
        made.apply(events(*rows))
        for security, quantity in enumerate(located, 1):
            made.set_decided(security, Decided.SHORT_LOCATES, quantity)
        old = made.tables.array["values"].copy()
        try:
            made.publish(book)
        except RulesError:
            with pytest.raises(RulesError):
                impact(made.tables, book)
            return
        new = made.tables.array["values"].copy()
        count = len(made.compiled.catalogue.calculations)
        made.publish(BOOK)
        assert np.array_equal(made.tables.array["values"], old)
        said = impact(made.tables, book)
        for security, (before, after) in moments(made, book).items():
            assert np.array_equal(before, old[security, : before.shape[0]])
            assert np.array_equal(after, new[security, :count])
        _assert_sums(said, made, old, new)


def _assert_sums(said: Impact, made: Machine, old: Any, new: Any) -> None:
    """Totals are the sums of the values; a security is listed where and only where something shown changes."""
    catalogue = made.compiled.catalogue
    pool = catalogue.playing(Role.LEND)
    total = said.totals[catalogue.calculations[pool].name]
    assert total.days_before == old[:, pool].sum(axis=0).tolist()
    assert total.days_after == new[:, pool].sum(axis=0).tolist()
    differ = {
        catalogue.calculations[i].name
        for i in np.flatnonzero((old != new).any(axis=(0, 2))).tolist()
        if catalogue.calculations[i].show != "settlement"
    }
    listed = {name for each in said.securities for name in each.changes}
    assert differ - {info.name for info in catalogue.calculations if info.show == "today"} <= listed
    assert {name for name, each in said.totals.items() if each.securities} == listed
    assert said.securities_changed == len(said.securities)


def test_the_rules_in_force_change_nothing(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 5_000}, {"security": 1, "kind": Kind.SLAB_BORROW, "quantity": 300}))
        said = impact(made.tables, BOOK)
    assert (said.securities_changed, said.securities, said.under_water) == (0, [], [])
    assert said.rows_read == 2
    assert all(total.before == total.after for total in said.totals.values())


def _weighed(name: str, weight: int, calculation: str = "") -> RuleBook:
    """The shipped rules in which an input of the lendable stock has another weight, in every market."""
    return dataclasses.replace(
        BOOK,
        rules=tuple(
            dataclasses.replace(rule, weight=weight)
            if rule.input == name and calculation in ("", rule.calculation)
            else rule
            for rule in BOOK.rules
        ),
    )


def test_the_largest_changes_by_value_come_first_and_no_more_than_asked_for(instance: str) -> None:
    with machine(instance) as made:
        rates = named(CURRENCY, "", 1)
        rates["code"], rates["fx"] = b"USD", 10**9
        made.register(Message.CURRENCIES, rates)
        made.register(Message.SECURITIES, security_records(8, currency="USD"))
        prices = [{"security": s, "op": Op.PRICE, "quantity": price * 10**6} for s, price in ((2, 1), (4, 50), (6, 2))]
        held = [{"security": s, "quantity": 1_000 * s} for s in (2, 4, 6, 8)]
        made.apply(events(*prices, *held))
        said = impact(made.tables, _weighed("firm_long", 0), largest=3)
    assert [each.security for each in said.securities] == ["S4", "S6", "S2"]
    assert said.securities_changed == 4
    change = said.securities[0].changes["for_loan"]
    assert (change.before, change.after) == (4_000, 0)


def test_live_locates_that_would_not_be_covered_are_named_the_worst_first(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 1_000}, {"security": 4, "quantity": 5_000}, {"security": 6, "quantity": 900}))
        for security, located in ((2, 300), (4, 4_000)):
            made.set_decided(security, Decided.SHORT_LOCATES, located)
        made.set_decided(6, Decided.LONG_LOCATES, 800)
        said = impact(made.tables, _weighed("firm_long", 1_000))
    found = [(each.security, each.side, each.remaining_before, each.remaining_after) for each in said.under_water]
    assert found == [("S4", "short", 1_000, -3_500), ("S6", "long", 100, -710), ("S2", "short", 700, -200)]
    assert [each.located for each in said.under_water] == [4_000, 800, 300]


def test_what_is_under_water_already_is_named_only_where_it_sinks(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 100}))
        made.set_decided(2, Decided.SHORT_LOCATES, 500)
        assert impact(made.tables, BOOK).under_water == []
        assert impact(made.tables, _weighed("firm_long", 20_000)).under_water == []
        assert [each.remaining_after for each in impact(made.tables, _weighed("firm_long", 0)).under_water] == [-500]


def test_a_calculation_that_only_one_side_has_is_a_total_and_no_change(instance: str) -> None:
    gone = next(info for info in BOOK.calculations if info.role is None and not _used(info.name))
    fewer = dataclasses.replace(
        BOOK,
        calculations=tuple(info for info in BOOK.calculations if info is not gone),
        rules=tuple(rule for rule in BOOK.rules if rule.calculation != gone.name),
    )
    with machine(instance) as made:
        made.apply(events({"quantity": 100}))
        said = impact(made.tables, fewer)
        assert said.totals[gone.name].after is None
        assert said.totals[gone.name].before is not None
        assert said.securities == []
        made.publish(fewer)
        back = impact(made.tables, BOOK).totals[gone.name]
    assert back.before is None
    assert back.after == said.totals[gone.name].before


def _used(name: str) -> bool:
    return any(name in info.expression for info in BOOK.calculations) or any(rule.input == name for rule in BOOK.rules)


# the writer at work meanwhile


def _between(monkeypatch: pytest.MonkeyPatch, step: Callable[[int], object]) -> None:
    """Have `step` done once between the reading of the first securities and its check: the number of the reading is given."""
    original, times = impact_reading.collect, itertools.count()

    def collect(*arguments: Any) -> int:
        read = original(*arguments)
        step(next(times))
        return int(read)

    monkeypatch.setattr(impact_reading, "collect", collect)


def test_a_security_that_a_batch_touched_is_read_again_and_the_others_are_not(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 100}, {"security": 4, "quantity": 100}))
        later = events({"security": 4, "quantity": 700}, first_seq=3)
        _between(monkeypatch, lambda time: made.apply(later) if time == 0 else None)
        said = impact(made.tables, _weighed("firm_long", 5_000, "for_loan"))
        assert said.read_again == 1
        assert said.totals["for_loan"].days_before == [800] * DAYS
        assert said.totals["for_loan"].days_after == [400] * DAYS


def test_a_row_made_meanwhile_is_in_both_numbers(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 100}))
        later = events({"book": 2, "quantity": 50}, first_seq=2)
        _between(monkeypatch, lambda time: made.apply(later) if time == 0 else None)
        said = impact(made.tables, _weighed("firm_long", 20_000, "for_loan"))
    assert said.totals["for_loan"].days_before == [150] * DAYS
    assert said.totals["for_loan"].days_after == [300] * DAYS


@pytest.mark.parametrize("change", ["decided", "reference", "clock"])
def test_whatever_else_happens_meanwhile_everything_of_that_moment_is_read_again(
    instance: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    narrowed = dataclasses.replace(
        BOOK.rules[0], id="hot", priority=2_000, condition="temperature = 'HTB'", input="firm_long", weight=0
    )
    draft = dataclasses.replace(BOOK, rules=(*BOOK.rules, narrowed))
    hot = security_records(8)
    hot["temperature"] = Temperature.HTB

    with machine(instance) as made:
        made.apply(events({"quantity": 1_000}, {"security": 1, "quantity": 70}))

        def step(time: int) -> None:
            if time:
                return
            match change:
                case "decided":
                    made.set_decided(2, Decided.SHORT_LOCATES, 400)
                case "reference":
                    made.register(Message.SECURITIES, hot)
                case "clock":
                    made.set_clock(0, Clock.LENDING_OPEN, 0, is_open=False)

        _between(monkeypatch, step)
        found = moments(made, draft)
        old = made.tables.array["values"].copy()
        made.publish(draft)
        for security, (before, after) in found.items():
            assert np.array_equal(before, old[security, : len(before)])
            assert np.array_equal(after, made.tables.array["values"][security, : len(after)])


def test_other_rules_in_force_meanwhile_end_the_comparison(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(instance) as made:
        _between(monkeypatch, lambda _: made.publish(BOOK))
        with pytest.raises(RulesChangedError):
            impact(made.tables, BOOK)


def test_a_writer_that_leaves_no_quiet_moment_is_said(instance: str) -> None:
    with machine(instance) as made:
        compiled, rules = compiled_beside(made.tables, BOOK)
        made.tables.state[Word.EPOCH] += 1
        with pytest.raises(TornReadError):
            list(DraftReading(made.tables, compiled, rules).moments(patience_s=0.01))


def test_who_asks_can_end_it(instance: str) -> None:
    class GoneError(Exception):
        pass

    def alive() -> None:
        raise GoneError

    with machine(instance) as made, pytest.raises(GoneError):
        impact(made.tables, BOOK, alive=alive)


def test_rules_that_need_more_room_than_the_tables_have_are_refused(instance: str) -> None:
    split = [
        dataclasses.replace(BOOK.rules[0], id=f"r{i}", priority=2_000 + i, condition=f"recall_days = {i}")
        for i in range(SMALL.components)
    ]
    with machine(instance) as made, pytest.raises(RulesError, match="components"):
        impact(made.tables, dataclasses.replace(BOOK, rules=(*BOOK.rules, *split)))


MOVER = """
import sys
from engine.model import Op
from tests.engine.machines import events, machine
with machine(sys.argv[1]) as made:
    made.apply(events({"book": 1, "quantity": 1000}, {"book": 2, "quantity": 0}))
    print("moving", flush=True)
    seq = 3
    while True:
        moved = 1 + seq * 7919 % 999
        made.apply(events({"book": 1, "quantity": 1000 - moved}, {"book": 2, "quantity": moved}, first_seq=seq))
        seq += 2
"""


@contextmanager
def _mover(instance: str) -> Iterator[Tables]:
    """A process that moves shares between two books of a security as fast as it can: together they are always 1,000."""
    with subprocess.Popen([sys.executable, "-c", MOVER, instance], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "moving\n"
            tables = Tables.attach(f"{instance}.tables")
            yield tables
            tables.close()
        finally:
            process.kill()


def test_a_writer_that_keeps_moving_stock_between_books_changes_no_number(instance: str) -> None:
    draft = dataclasses.replace(
        BOOK, rules=(*BOOK.rules, dataclasses.replace(BOOK.rules[0], id="b1", priority=2_000, condition="book = 'B1'"))
    )
    with _mover(instance) as tables:
        batches, again, readings = tables.count(Word.BATCHES), 0, 0
        while again < 10 or readings < 30:
            said = impact(tables, draft)
            assert said.securities == []
            assert said.totals["for_loan"].days_before == [1_000] * DAYS
            assert said.totals["for_loan"].days_after == [1_000] * DAYS
            again, readings = again + said.read_again, readings + 1
        assert tables.count(Word.BATCHES) > batches


def test_the_dates_of_the_ladder_skip_holidays_and_end_with_the_calendar() -> None:
    # ordinals of 2 markets from day 100; the first is closed on 102 and 103; room for more days than there are
    ordinals = np.array([[0, 1, 2, 2, 2, 3, 4, 5, 6, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]], np.int32)
    dates = ladder_dates(ordinals, np.array([101, 101]), 100)
    assert dates.tolist() == [[101, 104, 105, 106, 107], [101, 102, 103, 104, 105]]
