"""What rows are worth: the compiled sums against whole numbers without a limit, for whatever price and exchange rate."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import views_kernel as kernel
from engine.views_columns import NO_VALUE
from engine.views_position_columns import POSITION_COLUMNS, ROW_WORDS
from engine.views_positions import close, plan_of

LARGEST = 2**63 - 1
_EDGES = [0, 1, -1, 10**6, 10**9, LARGEST // 10**6, LARGEST // 10**6 + 1, LARGEST // 10**9, LARGEST // 10**9 + 1]
FACTS = st.one_of(st.sampled_from(_EDGES), st.integers(-(10**14), 10**14))
SHARES = st.one_of(st.integers(-9_999, 9_999), st.integers(-(10**16), 10**16))
VALUE = next(column for column in POSITION_COLUMNS if column.name == "value")


def worth(shares: int, price: int, fx: int) -> int | None:
    """As domain.md has it, in hundredths; None where price or exchange rate is not known."""
    return shares * 100 * price // 10**6 * fx // 10**9 if price and fx else None


@given(rows=st.lists(st.tuples(SHARES, FACTS, FACTS, st.integers(0, 2)), min_size=1, max_size=12))
@example(rows=[(10**12 + 7, LARGEST // 10**6, 10**9, 0), (-3, LARGEST // 10**6 + 1, 10**9, 0)])
@example(rows=[(3, 10**6, LARGEST // 10**9 + 1, 1), (-3, 1, 10**9, 1), (1, 0, 10**9, 2), (1, 1, 0, 2)])
@settings(max_examples=300)
def test_values_and_their_sums_are_exact(rows: list[tuple[int, int, int, int]]) -> None:
    # what does not fit into 64 bits is nobody's position
    fits = [
        row
        for row in rows
        if abs(row[0] * 100 * row[1] // 10**6) <= LARGEST and abs(worth(*row[:3]) or 0) <= LARGEST // 16
    ]
    count = len(fits)
    position = np.zeros((count, ROW_WORDS), np.int64)
    position[:, VALUE.plus[0]] = [row[0] for row in fits]
    facts = np.array([[0, 0], *([price, fx] for _, price, fx, _ in fits)], np.int64)
    # row i is of security count - i: in another order than these
    security = np.arange(count, 0, -1).astype(np.int32)
    facts[1:] = facts[:0:-1]
    position.flags.writeable = False
    of = kernel.Rows(position, close(facts), security, np.zeros(count, np.bool_))
    ids, plan = np.arange(1, count + 1, dtype=np.int32), plan_of([VALUE], {word: word for word in range(ROW_WORDS)})
    cells = np.empty((count, 1), np.int64)
    kernel.read(of, ids, plan, cells)
    values = [worth(*row[:3]) for row in fits]
    assert cells[:, 0].tolist() == [NO_VALUE if value is None else value for value in values]
    group = np.array([row[3] for row in fits], np.int32)
    sums, known = np.zeros(3, np.int64), np.zeros(3, np.bool_)
    kernel.add_values(of, ids, group, np.uint64(VALUE.plus[0]), sums, known)
    by_group = [[v for v, row in zip(values, fits, strict=True) if row[3] == g and v is not None] for g in range(3)]
    assert sums.tolist() == [sum(of_group) for of_group in by_group]
    assert known.tolist() == [bool(of_group) for of_group in by_group]
    both = np.zeros((3, 1), np.int64), np.zeros((3, 1), np.bool_)
    kernel.add_rows(of, ids, group, plan, *both)
    assert (both[0][:, 0].tolist(), both[1][:, 0].tolist()) == (sums.tolist(), known.tolist())
