"""Compiled loops of views: numbers of rows of the position table, and sums of them by group.

Records are 192 bytes and a column is a sum of a few of their words, so one pass makes all columns that are wanted: two million
rows and twelve columns take a tenth of a second, where numpy would walk over the same memory once a column. Prices are of
securities, which rows name in no order: for many rows the caller puts them close together first, where the cache keeps them.
"""

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.events import EventArray
from engine.kernel import hash_of, key_of
from engine.row import KEY
from engine.views_columns import NO_VALUE
from engine.views_position_columns import Form

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_NO_CONTRACT, _CONTRACT = Form.NO_CONTRACT.value, Form.CONTRACT.value
_VALUE, _PRICE, _ROW = Form.VALUE.value, Form.PRICE.value, Form.ROW.value
_PRICE_AT, _FX_AT = 0, 1
"""Places in `Rows.facts`."""
_NONE: Final = NO_VALUE
_LOW: Final = np.uint64(0xFFFFFFFF)
_MONEY: Final = 100
_MILLION: Final = 1_000_000
_BILLION: Final = 1_000_000_000
_LARGEST: Final = 2**63 - 1
_USUAL_PRICE: Final = _LARGEST // _MILLION
_USUAL_FX: Final = _LARGEST // _BILLION
"""Up to these what is left over of a division fits into 64 bits when it is multiplied: nine millions a share, nine for one."""


class Plan(NamedTuple):
    """How columns are made of words: column c adds `word[k]` times `sign[k]` for k of `first[c]` .. `first[c + 1]`."""

    form: NDArray[np.int64]
    first: NDArray[np.int64]
    word: NDArray[np.int64]
    sign: NDArray[np.int64]


class Rows(NamedTuple):
    """What the numbers of rows are read from; see `engine.tables`. `position` is viewed as words."""

    position: NDArray[np.int64]
    facts: NDArray[np.int64]
    """Price and exchange rate, by security: (securities, 2)."""
    security: NDArray[np.int32]
    """By row."""
    contract: NDArray[np.bool_]
    """By row."""


@nb.njit(**_INLINE)
def _scaled(a: int, b: int, unit: int) -> int:
    """floor(a * b / unit), exact also where the product does not fit into 64 bits."""
    whole_a, rest_a, whole_b, rest_b = a // unit, a % unit, b // unit, b % unit
    return whole_a * whole_b * unit + whole_a * rest_b + rest_a * whole_b + rest_a * rest_b // unit


@nb.njit(**_INLINE)
def _usual(a: int, b: int, unit: int) -> int:
    """The same where `b` is at most the largest number // `unit`: half the divisions."""
    whole = a // unit
    return whole * b + (a - whole * unit) * b // unit


@nb.njit(**_INLINE)
def _worth(shares: int, price: int, fx: int) -> int:
    """Hundredths of the reporting currency."""
    worth: int
    if -_USUAL_PRICE <= price <= _USUAL_PRICE and -_USUAL_FX <= fx <= _USUAL_FX:
        worth = _usual(_usual(shares * _MONEY, price, _MILLION), fx, _BILLION)
    else:
        worth = _scaled(_scaled(shares * _MONEY, price, _MILLION), fx, _BILLION)
    return worth


@nb.njit(**_INLINE)
def _cell(rows: Rows, row: int, plan: Plan, c: int) -> int:
    """One raw number, `NO_VALUE` where there is none."""
    form = plan.form[c]
    if form == _ROW:
        return row + 1
    if form == _PRICE:
        price = rows.facts[rows.security[row], _PRICE_AT]
        return price if price != 0 else _NONE
    total = 0
    for k in range(plan.first[c], plan.first[c + 1]):
        total += plan.sign[k] * rows.position[row, plan.word[k]]
    if form == _VALUE:
        price, fx = rows.facts[rows.security[row], _PRICE_AT], rows.facts[rows.security[row], _FX_AT]
        total = _worth(total, price, fx) if price != 0 and fx != 0 else _NONE
    elif (form == _CONTRACT and not rows.contract[row]) or (form == _NO_CONTRACT and rows.contract[row]):
        total = _NONE
    return total


@nb.njit(**_JIT)
def read(rows: Rows, ids: NDArray[np.int32], plan: Plan, out: NDArray[np.int64]) -> None:
    """Raw numbers of rows (ids are their numbers + 1) into `out` (ids, columns)."""
    for i in range(ids.size):
        for c in range(plan.form.size):
            out[i, c] = _cell(rows, np.int64(ids[i]) - 1, plan, c)


@nb.njit(**_JIT)
def add_rows(
    rows: Rows,
    ids: NDArray[np.int32],
    group: NDArray[np.int32],
    plan: Plan,
    sums: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> None:
    """Add rows to the sums of their groups, (groups, columns); `known`: where at least one row had a value."""
    for i in range(ids.size):
        g = group[i]
        for c in range(plan.form.size):
            number = _cell(rows, np.int64(ids[i]) - 1, plan, c)
            if number != _NONE:
                sums[g, c] += number
                known[g, c] = True


@nb.njit(**_JIT)
def add_values(
    rows: Rows,
    ids: NDArray[np.int32],
    group: NDArray[np.int32],
    word: int,
    sums: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> None:
    """`add_rows` of one column, the value of a word, (groups,): nothing of the plan is asked a row."""
    for i in range(ids.size):
        row = np.uint64(ids[i]) - np.uint64(1)
        security = np.uint64(rows.security[row])
        price, fx = rows.facts[security, _PRICE_AT], rows.facts[security, _FX_AT]
        if price != 0 and fx != 0:
            g = np.uint64(group[i])
            sums[g] += _worth(rows.position[row, word], price, fx)
            known[g] = True


@nb.njit(**_JIT)
def add_words(
    position: NDArray[np.int64],
    ids: NDArray[np.int32],
    group: NDArray[np.int32],
    words: NDArray[np.uint64],
    sums: NDArray[np.int64],
) -> None:
    """Add words of rows to the sums of their groups, (groups, words): what many columns are made of is read once a row."""
    for i in range(ids.size):
        row, g = np.uint64(ids[i]) - np.uint64(1), np.uint64(group[i])
        for k in range(words.size):
            sums[g, k] += position[row, words[k]]


@nb.njit(**_JIT)
def copy_rows(
    position: NDArray[np.int64], rows: NDArray[np.int64], words: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """Some words of these rows into the same rows of `out`."""
    for row in rows:
        for k in range(words.size):
            out[row, k] = position[row, words[k]]


@nb.njit(**_JIT)
def rows_of(events: EventArray, slots: NDArray[np.uint64], position: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """The row that each event names; -1 where there is none."""
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(events.shape[0]):
        key = key_of(events[i])
        at = hash_of(key) & mask
        while True:
            row = np.int64(slots[at] & _LOW) - 1
            if row < 0 or position[row, KEY] == key:
                break
            at = (at + np.uint64(1)) & mask
        out[i] = row


@nb.njit(**_JIT)
def add_column(
    raw: NDArray[np.int64], unknown: int, group: NDArray[np.int32], sums: NDArray[np.int64], known: NDArray[np.bool_]
) -> None:
    """Add the numbers of one column to the sums of their groups, (groups,) each."""
    for i in range(raw.size):
        if raw[i] != unknown:
            sums[group[i]] += raw[i]
            known[group[i]] = True
