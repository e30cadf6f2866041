"""Incremental equals recomputed from scratch, whatever happens."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.events import EVENT, empty
from engine.model import NO_DATE, Flag, Kind, Op
from engine.tables import Word
from tests.engine.machines import MARKETS, SMALL, TODAY, machine
from tests.engine.reference_machine import DAYS, Reference

COLUMNS = (
    "td sd receipt deliver intraday_buy intraday_sell intraday_short hypothecatable hypothecated segregated reserved ca_pending"
).split()

event = st.fixed_dictionaries(
    {
        "source": st.integers(1, 2),
        "seq": st.integers(1, 40),
        "security": st.integers(1, 3),
        "book": st.integers(1, 2),
        "depot": st.integers(0, 1),
        "kind": st.sampled_from(list(Kind)),
        "op": st.sampled_from(list(Op)),
        "quantity": st.one_of(st.integers(0, 1_000), st.integers(-1_000, 10**12)),
        "settle_date": st.one_of(st.integers(TODAY - 2, TODAY + 8), st.just(NO_DATE), st.just(TODAY + 5_000)),
        "trade_date": st.integers(TODAY - 1, TODAY),
        "flags": st.sampled_from([0, 0, Flag.CANCEL, Flag.START_OF_DAY]),
    }
)


def _batch(rows: list[dict[str, Any]]) -> Any:
    batch = empty(len(rows))
    for i, row in enumerate(rows):
        for name, value in row.items():
            batch[i][name] = value
    return batch


@given(st.lists(st.lists(event, max_size=30), min_size=1, max_size=4), st.lists(st.integers(0, 500), max_size=3))
def test_incremental_equals_recomputed_from_scratch_bit_for_bit(
    batches: list[list[dict[str, Any]]], located: list[int]
) -> None:
    with machine("property") as made:
        slow = Reference(TODAY)
        for i, rows in enumerate(batches):
            batch = _batch(rows)
            made.apply(batch)
            slow.apply(batch)
            if i < len(located):
                made.set_located(1 + i, located[i])
                slow.located[1 + i] = located[i]
        _assert_rows_equal(made, slow)
        _assert_numbers_equal(made, slow)
        assert made.tables.count(Word.DUPLICATES) == slow.duplicates
        assert made.tables.count(Word.MISSING) == slow.missing
        assert made.tables.count(Word.REJECTED) == slow.rejected
        applied = sum(map(len, batches)) - slow.duplicates - slow.rejected
        assert made.tables.count(Word.EVENTS) == applied


@given(st.lists(event, min_size=1, max_size=40))
def test_how_events_are_cut_into_batches_changes_nothing(rows: list[dict[str, Any]]) -> None:
    batch = _batch(rows)
    with machine("property") as whole, machine("property-cut") as cut:
        whole.apply(batch)
        for i in range(len(batch)):
            cut.apply(batch[i : i + 1])
        for name in ("terms", "values", "price", "updated_ns"):
            assert np.array_equal(whole.tables.array[name], cut.tables.array[name])
        assert (whole.tables.array["position"] == cut.tables.array["position"]).all()


def _assert_rows_equal(made: Any, slow: Reference) -> None:
    count = made.tables.count(Word.ROWS)
    rows = made.tables.array["position"][:count]
    keys = [(int(k) >> 40, int(k) >> 24 & 0xFFFF, int(k) >> 8 & 0xFFFF, int(k) & 0xFF) for k in rows["key"]]
    assert sorted(keys) == sorted(slow.rows)
    for key, row in zip(keys, rows, strict=True):
        expected = slow.rows[key]
        assert {c: np.asarray(row[c]).tolist() for c in COLUMNS} == {c: getattr(expected, c) for c in COLUMNS}


def _assert_numbers_equal(made: Any, slow: Reference) -> None:
    tables = made.tables
    for security in range(1, 4):
        market = MARKETS[int(tables.array["security"][security]["market"])].code
        for day in DAYS:
            terms = slow.terms(security, day)
            assert tables.array["terms"][security, :, day].tolist() == [terms.get(name, 0) for name in tables.terms]
            values = slow.values(security, day, market)
            found = dict(zip(tables.calculations, tables.array["values"][security, :, day].tolist(), strict=True))
            assert found == values
    assert SMALL.rows >= tables.count(Word.ROWS)
    assert EVENT.itemsize == 64
