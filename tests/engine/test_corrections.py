"""What is corrected by its number is as if it had never come; parts stand and fall with their event."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import CORRECTION
from engine.model import HEAD_FACTS, QUOTES, Flag, Kind, Op
from engine.recognise import BAD_QUANTITY, NO_HEAD, NOT_CORRECTABLE, UNKNOWN_ORIGINAL
from engine.state import Machine
from engine.tables import Word
from tests.engine.arrivals import events_of, move
from tests.engine.machines import TODAY, events, machine


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine(f"test-{os.getpid()}-corrections") as machine_:
        yield machine_


def corrections(batch: Any, *corrects: int) -> Any:
    records = np.zeros(len(batch), CORRECTION)
    records["event"], records["corrects"] = batch, corrects
    return records


def test_a_correction_replaces_and_may_be_replaced_itself(made: Machine) -> None:
    made.apply(events({"op": Op.BUY, "quantity": 100, "settle_date": TODAY + 2}))
    replaced = events(
        {"op": Op.SELL, "quantity": 70, "settle_date": TODAY + 1}, {"op": Op.BUY, "quantity": 5}, first_seq=2
    )
    assert not made.correct(corrections(replaced, 1, 2)).outcomes.size
    row = made.tables.array["position"][0]
    assert (row["td"], row["receipt"].tolist(), row["deliver"].tolist()) == (5, [5, 0, 0, 0, 0, 0], [0] * 6)
    assert (row["intraday_buy"], row["intraday_sell"]) == (5, 0)
    assert made.tables.count(Word.CORRECTED) == 2


def test_a_correction_that_cannot_be_leaves_the_first_as_it_was(made: Machine) -> None:
    made.apply(events({"op": Op.BUY, "quantity": 100}))
    bad = events({"op": Op.BUY, "quantity": -1}, {"quantity": 8}, {"op": Op.BUY, "quantity": 8}, first_seq=2)
    refused = made.correct(corrections(bad, 1, 1, 99))
    assert refused.outcomes.tolist() == [BAD_QUANTITY, NOT_CORRECTABLE, UNKNOWN_ORIGINAL]
    assert made.tables.array["position"]["td"][0] == 100
    fine = corrections(events({"flags": Flag.CANCEL}, first_seq=9), 1)
    for _ in range(2):  # the second time it is a duplicate
        assert not made.correct(fine).outcomes.size
    assert made.tables.array["position"]["td"][0] == 0


def test_what_has_fallen_due_since_is_taken_back_where_it_is(made: Machine) -> None:
    made.apply(events({"op": Op.BUY, "quantity": 100, "settle_date": TODAY + 1}))
    made.roll(made.tables.array["today"] + 3)
    made.correct(corrections(events({"flags": Flag.CANCEL}, first_seq=2), 1))
    row = made.tables.array["position"][0]
    assert (row["td"], row["receipt"].any()) == (0, False)


def test_an_event_and_its_parts_are_applied_together_or_not_at_all(made: Machine) -> None:
    part = {"op": Op.INCREASE, "quantity": 7, "settle_date": TODAY + 2, "flags": Flag.PART}
    good = events(
        {"quantity": 100}, part | {"seq": 1}, {"quantity": 50, "book": 2, "seq": 2}, part | {"quantity": -7, "book": 2}
    )
    assert made.apply(good).outcomes.tolist() == [BAD_QUANTITY] * 2
    assert [(row["td"], row["sd"]) for row in made.tables.array["position"][:2]] == [(107, 100), (0, 0)]
    assert made.apply(good[:2]).outcomes.size == 0  # a duplicate with its part
    assert made.tables.array["position"]["td"][0] == 107
    assert made.apply(good[1:2]).outcomes.tolist() == [NO_HEAD]
    counted = [made.tables.count(word) for word in (Word.EVENTS, Word.DUPLICATES, Word.REJECTED)]
    assert counted[:2] == [1, 1]


def test_a_piece_of_a_large_batch_never_begins_with_a_part(made: Machine) -> None:
    size = 1 << 14
    rows = [{"quantity": 1, "op": Op.BUY}] * (size - 1)
    last = [{"quantity": 1, "op": Op.BUY}, {"quantity": 1, "op": Op.BUY, "flags": Flag.PART}]
    assert not made.apply(events(*rows, *last)).outcomes.size
    assert made.tables.array["position"]["td"][0] == size + 1


def test_every_quote_is_a_fact_of_the_security(made: Machine) -> None:
    quotes = [{"op": op, "quantity": 10 + op, "book": 0, "kind": Kind.FIRM} for op in QUOTES]
    assert not made.apply(events(*quotes)).outcomes.size
    head = made.tables.array["head"][2]
    assert {fact: head[HEAD_FACTS + fact] for fact in QUOTES.values()} == {fact: 10 + op for op, fact in QUOTES.items()}
    assert made.tables.count(Word.ROWS) == 0


@given(st.lists(move, min_size=2, max_size=25), st.data())
@settings(max_examples=50, deadline=None)
def test_a_correction_is_as_if_the_first_had_never_been_sent(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    numbered = [row | {"source": 1, "seq": at} for at, row in enumerate(rows, 1)]
    corrected = data.draw(st.sets(st.integers(1, len(rows)), min_size=1))
    replacements = {at: data.draw(st.one_of(st.none(), move)) for at in sorted(corrected)}
    after: list[tuple[dict[str, Any], int]] = []
    sent = [row for row in numbered if row["seq"] not in corrected]
    for seq, (at, row) in enumerate(replacements.items(), len(rows) + 1):
        identity = {"source": 1, "seq": seq}
        # a cancellation cannot be the replacement: with that flag a correction only takes back
        replaced: dict[str, Any] | None = None if row is None else row | identity
        if replaced is not None and replaced["flags"] == Flag.CANCEL:
            replaced["flags"] = 0
        after.append((replaced or numbered[at - 1] | identity | {"flags": Flag.CANCEL}, at))
        sent += [replaced] if replaced else []
    with (
        machine(f"test-{os.getpid()}-put", securities=20) as put,
        machine(f"test-{os.getpid()}-never", securities=20) as never,
    ):
        put.apply(events_of(numbered, TODAY))
        put.correct(corrections(events_of([row for row, _ in after], TODAY), *(at for _, at in after)))
        never.apply(events_of(sent, TODAY))
        assert held(put) == held(never)
        assert (put.tables.array["values"] == never.tables.array["values"]).all()


def held(of: Machine) -> dict[int, list[Any]]:
    """What rows hold, by key, without the empty ones."""
    words = of.tables.array["position"][: of.tables.count(Word.ROWS)].view("<i8").reshape(-1, 24)
    return {row[0]: row[2:] for row in words.tolist() if any(row[2:])}
