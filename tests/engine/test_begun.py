"""Whatever order topics are read in: the rows of a book after a start of day are those that time says."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.corrections import KEPT
from engine.events import CORRECTION, EventArray
from engine.model import NO_DATE, Flag, Kind, Op
from engine.recognise import LATE_START_OF_DAY
from engine.state import Machine
from engine.tables import RECENT_EVENTS, Word
from tests.engine.machines import TODAY, events, machine

TRADES, POSITIONS, ACTIONS = 4, 9, 13
"""Topics; each has a source of its own, and is read in its order."""
assert KEPT


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as opened:
        yield opened


def reset(seq: int, at: int, **more: Any) -> EventArray:
    fields = {"op": Op.RESET_BOOK, "security": 0, "time_ns": at, "topic": POSITIONS, "flags": Flag.START_OF_DAY}
    return events(fields | {"source": 2} | more, first_seq=seq)


def position(seq: int, at: int, quantity: int, **more: Any) -> EventArray:
    fields = {"quantity": quantity, "time_ns": at, "topic": POSITIONS, "flags": Flag.START_OF_DAY, "source": 2}
    return events(fields | more, first_seq=seq)


def trade(seq: int, at: int, quantity: int, **more: Any) -> EventArray:
    return events({"op": Op.BUY, "quantity": quantity, "time_ns": at, "topic": TRADES} | more, first_seq=seq)


def held(machine: Machine, security: int = 2) -> list[tuple[int, int, int]]:
    """td, sum of today's buys and ca_pending, by row."""
    rows = machine.tables.array["position"][machine.tables.rows_of(security)]
    return sorted((int(row["td"]), int(row["intraday_buy"]), int(row["ca_pending"])) for row in rows)


def joined(*parts: EventArray) -> EventArray:
    return np.concatenate(parts)


def test_what_is_older_than_the_start_of_day_of_its_book_is_in_it(made: Machine) -> None:
    made.apply(joined(reset(1, 100), position(2, 100, 1_000)))
    assert not made.apply(joined(trade(1, 99, 5), trade(2, 101, 7), trade(3, 99, 9, book=2))).outcomes.size
    assert held(made) == [(9, 9, 0), (1_007, 7, 0)]
    assert (made.gaps(1), made.tables.count(Word.REJECTED), made.tables.count(Word.DUPLICATES)) == ([], 0, 1)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_newer_than_a_start_of_day_survives_it(made: Machine, *, at_once: bool) -> None:
    action = events(
        {"op": Op.SET_CA_PENDING, "quantity": 3, "time_ns": 120, "topic": ACTIONS, "source": 1}, first_seq=3
    )
    arrivals = [trade(1, 99, 5), trade(2, 101, 7), action, reset(1, 100), position(2, 100, 1_000), trade(4, 130, 1)]
    for batch in [joined(*arrivals)] if at_once else arrivals:
        assert not made.apply(batch).outcomes.size
    assert held(made) == [(1_008, 8, 3)]


def test_what_settles_later_and_quanto_trades_settle_on_their_day_when_they_are_done_again(
    made: Machine, instance: str
) -> None:
    far = {"settle_date": TODAY + 30}
    quanto = {"settle_date": TODAY + 1, "flags": Flag.QUANTO}
    late, early = (
        joined(trade(1, 110, 7, **far), trade(2, 110, 4, **quanto)),
        joined(reset(1, 100), position(2, 100, 9)),
    )
    made.apply(joined(late, early))
    after = made.tables.array["position"][made.tables.rows_of(2)].copy()
    with machine(f"{instance}-other") as other:
        other.apply(joined(early, late))
        before = other.tables.array["position"][other.tables.rows_of(2)]
        assert (before == after).all()
        assert (before["receipt"][0].sum(), before["receipt"][0, 5]) == (11, 7)


def test_a_start_of_day_that_would_undo_what_nobody_remembers_is_refused_whole(made: Machine) -> None:
    made.apply(trade(1, 200, 5))
    many = np.repeat(trade(2, 201, 1, book=2), RECENT_EVENTS)
    many["seq"] += np.arange(RECENT_EVENTS)
    made.apply(many)
    refused = made.apply(joined(reset(1, 100), position(2, 100, 1_000)))
    assert refused.outcomes.tolist() == [LATE_START_OF_DAY] * 2
    assert (5, 5, 0) in held(made)
    assert not made.apply(joined(reset(3, 300), position(4, 300, 1_000))).outcomes.size
    assert (1_000, 0, 0) in held(made)


def test_a_correction_of_what_a_start_of_day_has_is_still_possible(made: Machine) -> None:
    made.apply(joined(reset(1, 100), position(2, 100, 1_000), trade(1, 99, 5)))
    bust = np.zeros(1, CORRECTION)
    bust["event"], bust["corrects"] = trade(2, 150, 0, flags=Flag.CANCEL), 1
    assert not made.correct(bust).outcomes.size
    assert held(made) == [(995, -5, 0)]


def test_events_of_any_sort_have_the_order_of_their_topic(made: Machine) -> None:
    started = {"topic": 0, "flags": Flag.START_OF_DAY}
    made.apply(joined(trade(1, 300, 5, topic=0), reset(1, 100, topic=0), position(2, 100, 70, **started)))
    made.apply(trade(2, 50, 1, topic=0))
    assert held(made) == [(71, 1, 0)]


def test_a_clock_that_is_ahead_does_not_keep_starts_of_day_out(made: Machine) -> None:
    made.apply(trade(1, 2**60, 5, received_ns=90))
    assert not made.apply(joined(reset(1, 100), position(2, 100, 50))).outcomes.size
    assert held(made) == [(50, 0, 0)]


_moved = st.fixed_dictionaries({"book": st.integers(1, 2), "quantity": st.integers(1, 9), "depot": st.integers(0, 1)})
_kinds = st.sampled_from([Kind.FIRM, Kind.SLAB_BORROW, Kind.EXTERNAL_FIRM])
_topics = st.lists(st.sampled_from([TRADES, POSITIONS, ACTIONS]), min_size=4, max_size=24)


@settings(max_examples=60, deadline=None)
@given(what=_topics, drawn=st.data())
def test_the_order_in_which_topics_are_read_makes_no_difference(what: list[int], drawn: st.DataObject) -> None:
    by_topic: dict[int, list[EventArray]] = {TRADES: [], POSITIONS: [], ACTIONS: []}
    in_time: list[EventArray] = []
    for at, topic in enumerate(what):
        fields = drawn.draw(_moved) | {"topic": topic, "source": 1 + (topic == POSITIONS), "time_ns": 1_000 + at}
        seq = 1 + at
        if topic == POSITIONS:
            start = reset(3 * seq, 1_000 + at, book=fields["book"])
            row = position(3 * seq + 1, 1_000 + at, **{k: v for k, v in fields.items() if k != "time_ns"})
            one = joined(start, row)
        else:
            moving = {"op": Op.BUY, "kind": drawn.draw(_kinds), "settle_date": TODAY + drawn.draw(st.integers(0, 8))}
            stated = {"op": Op.SET_CA_PENDING, "kind": Kind.FIRM, "settle_date": NO_DATE}
            one = events(fields | (moving if topic == TRADES else stated), first_seq=seq)
        by_topic[topic].append(one)
        in_time.append(one)
    mixed: list[EventArray] = []
    while any(by_topic.values()):
        topic = drawn.draw(st.sampled_from([topic for topic, left in by_topic.items() if left]))
        mixed.append(by_topic[topic].pop(0))
    rows = []
    for arrivals in (in_time, mixed):
        with machine("test-begun-order") as made:
            at = 0
            while at < len(arrivals):
                many = drawn.draw(st.integers(1, 6))
                assert not made.apply(joined(*arrivals[at : at + many])).outcomes.size
                at += many
            found = made.tables.array["position"][: made.tables.count(Word.ROWS)]
            words = [name for name in found.dtype.names or () if "next" not in name]
            rows.append(sorted(str([row[name].tolist() for name in words]) for row in found))
    assert [row for row in rows[0] if not _empty(row)] == [row for row in rows[1] if not _empty(row)]


def _empty(row: str) -> bool:
    return not set(row.split(",", 1)[1]) - set("[], 0")


def test_of_starts_of_day_that_come_late_together_each_row_goes_by_its_own(made: Machine) -> None:
    """A whole file: two books, one of them stated twice, a position that is younger than its book's beginning."""
    for seq, (at, book) in enumerate([(110, 1), (160, 1), (210, 1), (120, 2), (130, 2)], 1):
        made.apply(trade(seq, at, seq, book=book))
    starts = [
        *(reset(1, 100), position(2, 100, 1_000)),
        *(reset(3, 200), position(4, 200, 2_000)),
        *(reset(5, 100, book=2), position(6, 125, 3_000, book=2)),
    ]
    assert not made.apply(joined(*starts)).outcomes.size
    assert held(made) == [(2_003, 3, 0), (3_005, 5, 0)]


def test_positions_that_come_after_the_beginning_of_their_book_keep_what_is_newer(made: Machine) -> None:
    made.apply(joined(trade(1, 110, 5), trade(2, 110, 7, depot=1)))
    made.apply(reset(1, 100))
    made.apply(joined(position(2, 100, 1_000), position(3, 100, 2_000, depot=1)))
    assert held(made) == [(1_005, 5, 0), (2_007, 7, 0)]
