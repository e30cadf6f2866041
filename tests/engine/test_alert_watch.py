"""Alerts are told once, whatever dances round a limit, and again only after they were over."""

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from engine.alert_eye import Eye
from engine.alert_moment import Moment, Past
from engine.alert_tree import Compare, NumberTest
from engine.alert_watch import MOST_OPEN, Look, Watch, Watched
from engine.state import Machine
from engine.views import Inventory
from engine.views_columns import Column, Source
from tests.engine.machines import events, machine

LEFT = Column("left", Source.VALUES, 0, unit="shares", title="Left")
BELOW_100 = NumberTest(((Fraction(1), LEFT),), Compare.BELOW, Fraction(100))


def look(watch: Watch, left: list[int], now_s: float, *, torn: bool = False, accept: bool = True) -> list[Look]:
    """At these numbers. `torn`: at one epoch none of it is so."""
    array = np.array(left, np.int64)
    moment = Moment(lambda _column: array, Past(), lambda _test: np.zeros(len(left), bool), len(left))
    looks = watch.look(moment, lambda holds, ids: holds(moment.among(ids)) & (not torn), now_s)
    if accept:
        for each in looks:
            watch.accept(each)
    return looks


def watching(margin: Fraction = Fraction(1, 10), hold_s: float = 5.0) -> Watch:
    watch = Watch()
    watch.put(Watched("a", BELOW_100, margin, hold_s))
    return watch


def test_what_dances_round_the_limit_rings_once() -> None:
    watch, rings, ends = watching(), 0, 0
    for second in range(60):
        (seen,) = look(watch, [99 if second % 2 else 105], float(second))
        rings, ends = rings + len(seen.begun), ends + len(seen.ended)
    assert (rings, ends) == (1, 0)


def test_it_is_over_once_the_margin_is_passed_for_as_long_as_it_must_and_may_ring_again() -> None:
    watch = watching()
    told = []
    for second, left in enumerate([99, 111, 111, 99, 111, 111, 111, 111, 111, 111, 99]):
        (seen,) = look(watch, [left], float(second))
        told += [("begun", second)] * len(seen.begun) + [("ended", second)] * len(seen.ended)
    assert told == [("begun", 0), ("ended", 8), ("begun", 10)]


def test_what_was_not_written_down_is_found_again() -> None:
    watch = watching()
    assert look(watch, [5], 0.0, accept=False)[0].begun.tolist() == [1]
    assert look(watch, [5], 1.0)[0].begun.tolist() == [1]
    assert look(watch, [5], 2.0)[0].begun.tolist() == []


def test_columns_that_were_read_apart_do_not_ring() -> None:
    watch = watching()
    assert look(watch, [5], 0.0, torn=True)[0].begun.tolist() == []


def test_one_alert_has_so_many_open_and_says_for_how_many_it_holds() -> None:
    watch = watching(hold_s=0)
    (seen,) = look(watch, [5] * 2_000, 0.0)
    assert (len(seen.begun), seen.matching) == (MOST_OPEN, 2_000)
    (seen,) = look(watch, [500] * 10 + [5] * 1_990, 1.0)
    assert (len(seen.ended), len(seen.begun)) == (10, 10)


def test_what_was_open_before_a_restart_stays_quiet_and_ends() -> None:
    watch = Watch()
    watch.put(Watched("a", BELOW_100, hold_s=1.0), np.array([2], np.int32), 0.0)
    assert look(watch, [500, 5], 0.0)[0].begun.tolist() == []
    assert look(watch, [500, 500], 2.0)[0].ended.tolist() == [2]


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(80, 130), min_size=3, max_size=3), max_size=25), st.integers(0, 4))
def test_events_of_a_security_alternate_and_follow_the_slow_reference(values: list[list[int]], hold_s: int) -> None:
    watch = watching(hold_s=hold_s)
    open_: dict[int, int] = {}
    for second, left in enumerate(values):
        (seen,) = look(watch, left, float(second))
        begun = [at for at, value in enumerate(left, 1) if value < 100 and at not in open_]
        open_ |= {at: second for at in open_ if left[at - 1] < 110}
        ended = [at for at, held in open_.items() if left[at - 1] >= 110 and second - held >= hold_s]
        assert (seen.begun.tolist(), sorted(seen.ended.tolist())) == (begun, sorted(ended))
        open_ = {at: held for at, held in open_.items() if at not in ended} | dict.fromkeys(begun, second)


@pytest.fixture
def eye(instance: str) -> object:
    with machine(instance) as made:
        made.apply(events({"quantity": 1_000}, {"security": 4, "quantity": 70}))
        yield made, Eye(Inventory(made.tables))


def test_the_eye_reads_the_tables_of_the_writer(eye: tuple[Machine, Eye]) -> None:
    made, sees = eye
    assert sees.turn()
    assert not sees.turn()
    code = made.markets[0].code
    test = sees.parse(f"firm_long between 1 and 100 and market = {code}")
    watch = Watch()
    watch.put(Watched("a", test, securities=sees.candidates(test, ())))
    sees.want(watch.wanted)
    (seen,) = watch.look(sees.moment(watch.changes(), 0.0), sees.again, 0.0)
    assert seen.begun.tolist() == [4]
    watch.accept(seen)
    assert sees.told(seen.begun)[0] == {"security": "S4", "ticker": "T4", "title": "", "market": code}
    assert sees.values(test, seen.begun) == [{"firm_long": 70}]
    made.apply(events({"security": 4, "quantity": 7_000}, first_seq=3))
    (seen,) = watch.look(sees.moment(watch.changes(), 1.0), sees.again, 1.0)
    assert seen.ended.tolist() == [4]
    assert sees.ids_of(["S4", "S2", "nobody"]).tolist() == [2, 4]
    kept = sees.candidates(sees.parse("firm_long > 0"), ["S2", "S3"])
    assert kept is not None
    assert kept.tolist() == [2, 3]
