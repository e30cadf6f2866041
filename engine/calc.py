"""Runs the compiled calculations over the securities that changed, a block at a time: one instruction, many securities.

Sums, facts and clocks are gathered into their slots once per block, and while one is calculated memory is asked for the next.
Places are unsigned throughout: numba looks for negative ones otherwise, and the loops do not become vector instructions.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.expression import CONVERT_UNIT, VALUE_UNIT
from engine.model import DAYS, HEAD_FACTS, HEAD_TOUCHED, HEAD_WORDS, TERM_WORDS, Clock, Fact
from engine.prefetch import prefetch
from engine.programs import (
    ADD,
    ADD_TO,
    DIVIDE,
    GREATEST,
    LEAST,
    MULTIPLY,
    SET,
    SUBTRACT,
    SUBTRACT_FROM,
    VALUE,
    WEIGH,
    WEIGH_DAYS,
    Programs,
)
from engine.rule_model import WEIGHT_UNIT

BLOCK: Final = 16
_LANES: Final = BLOCK * DAYS
_FACTS: Final = len(Fact)
_CLOCKS: Final = len(Clock)
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True, "error_model": "numpy"}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True, "error_model": "numpy"}
_MOST: Final = 9.2e18
"""A product that is surely below 2**63."""
_WHOLE: Final = 4.5e15
"""Whole numbers up to here are exact as float64."""
_U: Final[Any] = np.uint64
_DAYS: Final = _U(DAYS)
_STRIDE: Final = _U(_LANES)


@nb.njit(**_JIT)
def recalculate(
    ids: NDArray[np.int32],
    market_of: NDArray[np.uint8],
    programs: Programs,
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    clock: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Fill the values of `ids`. Shapes: terms (securities, components * TERM_WORDS), head (securities, HEAD_WORDS), clock
    (markets, clocks, DAYS), values (securities, calculations * DAYS)."""
    code, span, fixed, components = programs.code, programs.span, programs.fixed, programs.components
    calculations = programs.calculations
    flat_terms, flat_head, flat_values = terms.reshape(-1), head.reshape(-1), values.reshape(-1)
    term_stride, value_stride = _U(terms.shape[1]), _U(values.shape[1])
    first, ordered = _by_market(ids, market_of, span.shape[0])
    work = np.zeros(programs.slots * _LANES, np.int64)
    for slot in range(fixed.shape[0]):
        _spread(work, slot * _LANES, fixed[slot])
    components_at = fixed.shape[0] * _LANES
    facts_at = components_at + components.size * _LANES
    clocks_at = facts_at + _FACTS * _LANES
    values_at = clocks_at + _CLOCKS * _LANES
    for i in range(min(2 * BLOCK, ids.size)):
        prefetch(head, ordered[i], 0)
    for market in range(span.shape[0]):
        if first[market] == first[market + 1]:
            continue
        for i in range(_CLOCKS):
            _spread(work, clocks_at + i * _LANES, clock[market, i])
        own = code[span[market, 0] : span[market, 1]]
        for start in range(first[market], first[market + 1], BLOCK):
            size = min(BLOCK, first[market + 1] - start)
            for j in range(size):
                security, lane = _U(ordered[start + j]), _U(j * DAYS)
                head_at, terms_at = security * _U(HEAD_WORDS), security * term_stride
                touched = flat_head[head_at + _U(HEAD_TOUCHED)]
                slot = _U(components_at) + lane
                for i in range(components.size):
                    if touched >> components[i] & 1:
                        at = terms_at + _U(components[i] * TERM_WORDS)
                        for day in range(_DAYS):
                            work[slot + day] = flat_terms[at + day]
                    else:
                        for day in range(_DAYS):
                            work[slot + day] = 0
                    slot += _STRIDE
                for i in range(_U(_FACTS)):
                    fact = flat_head[head_at + _U(HEAD_FACTS) + i]
                    for day in range(_DAYS):
                        work[slot + day] = fact
                    slot += _STRIDE
            for i in range(start + size + BLOCK, min(start + size + 2 * BLOCK, ids.size)):
                prefetch(head, ordered[i], 0)
            _run(own, work, size * DAYS, ordered[start + size : start + size + BLOCK], components, terms, head, values)
            for j in range(size):
                at, slot = _U(ordered[start + j]) * value_stride, _U(values_at + j * DAYS)
                for i in range(calculations.size):
                    into = at + _U(calculations[i] * DAYS)
                    for day in range(_DAYS):
                        flat_values[into + day] = work[slot + day]
                    slot += _STRIDE


@nb.njit(**_JIT)
def _by_market(
    ids: NDArray[np.int32], market_of: NDArray[np.uint8], markets: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The ids market by market, and where each market begins."""
    first = np.zeros(markets + 1, np.int64)
    for i in range(ids.size):
        first[market_of[ids[i]] + 1] += 1
    for market in range(markets):
        first[market + 1] += first[market]
    ordered, at = np.empty(ids.size, np.int32), first.copy()
    for i in range(ids.size):
        market = market_of[ids[i]]
        ordered[at[market]] = ids[i]
        at[market] += 1
    return first, ordered


@nb.njit(**_INLINE)
def _ask(
    security: int,
    components: NDArray[np.int64],
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Have what the next block needs of a security brought near."""
    touched = head[security, HEAD_TOUCHED]
    for i in range(components.size):
        if touched >> components[i] & 1:
            prefetch(terms, security, components[i] * TERM_WORDS)
    for word in range(0, values.shape[1], TERM_WORDS):
        prefetch(values, security, word)


@nb.njit(**_INLINE)
def _spread(work: NDArray[np.int64], at: int, days: NDArray[np.int64]) -> None:
    """The same five days for every security of a block."""
    for lane in range(_LANES):
        work[at + lane] = days[lane % DAYS]


@nb.njit(**_INLINE)
def _rounded_down(product: int, unit: int) -> int:
    """product // unit: by floating point, off by one at most, then put right; it becomes vector instructions."""
    quotient = np.int64(np.floor(np.float64(product) * (1.0 / unit)))
    rest = product - quotient * unit
    return int(quotient + np.int64(rest >= unit) - np.int64(rest < 0))


@nb.njit(**_JIT)
def _most(work: NDArray[np.int64], at: np.uint64, count: np.uint64) -> float:
    """The largest magnitude of a slot."""
    most = np.int64(0)
    for k in range(count):
        most = max(most, abs(work[at + k]))
    return np.float64(most)


@nb.njit(**_JIT)
def _scale(work: NDArray[np.int64], d: np.uint64, a: np.uint64, b: np.uint64, count: np.uint64, unit: int) -> None:
    """floor(a * b / unit), exact also where the product does not fit into 64 bits."""
    if _most(work, a, count) * _most(work, b, count) < _MOST:
        for k in range(count):
            work[d + k] = _rounded_down(work[a + k] * work[b + k], unit)
        return
    for k in range(count):
        left, right = work[a + k], work[b + k]
        left_whole, left_rest, right_whole, right_rest = left // unit, left % unit, right // unit, right % unit
        whole = left_whole * right_whole * unit + left_whole * right_rest + left_rest * right_whole
        work[d + k] = whole + left_rest * right_rest // unit


@nb.njit(**_JIT)
def _weigh(work: NDArray[np.int64], d: np.uint64, a: np.uint64, weight: int, count: np.uint64) -> None:
    """floor(a * weight / WEIGHT_UNIT), exact also where the product does not fit into 64 bits."""
    if _most(work, a, count) * weight < _MOST:
        for k in range(count):
            work[d + k] = _rounded_down(work[a + k] * weight, WEIGHT_UNIT)
        return
    for k in range(count):
        whole, rest = work[a + k] // WEIGHT_UNIT, work[a + k] % WEIGHT_UNIT
        work[d + k] = whole * weight + rest * weight // WEIGHT_UNIT


@nb.njit(**_JIT)
def _divide(work: NDArray[np.int64], d: np.uint64, a: np.uint64, b: np.uint64, count: np.uint64) -> None:
    """floor(a / b), 0 where b is 0."""
    if max(_most(work, a, count), _most(work, b, count)) < _WHOLE:
        for k in range(count):
            left, right = work[a + k], work[b + k]
            divisor = right if right != 0 else 1
            quotient = np.int64(np.floor(np.float64(left) / np.float64(divisor)))
            rest = left - quotient * divisor
            # the quotient of exact numbers is off only where it was rounded up to the next whole
            quotient -= np.int64((rest < 0) != (divisor < 0) and rest != 0)
            work[d + k] = quotient if right != 0 else 0
        return
    for k in range(count):
        work[d + k] = work[a + k] // work[b + k] if work[b + k] != 0 else 0


@nb.njit(**_JIT)
def _run(
    code: NDArray[np.int64],
    work: NDArray[np.int64],
    lanes: int,
    following: NDArray[np.int32],
    components: NDArray[np.int64],
    terms: NDArray[np.int64],
    head: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Run a program over a block, and between its instructions ask memory for the `following` block."""
    count = _U(lanes)
    asked = 0
    for i in range(code.shape[0]):
        if i & 1 and asked < following.size:
            _ask(np.int64(following[asked]), components, terms, head, values)
            asked += 1
        what = code[i, 0]
        d, a, b = _U(code[i, 1] * _LANES), _U(code[i, 2] * _LANES), _U(code[i, 3] * _LANES)
        if what == ADD_TO:
            for k in range(count):
                work[d + k] += work[b + k]
        elif what == SUBTRACT_FROM:
            for k in range(count):
                work[d + k] -= work[b + k]
        elif what == ADD:
            for k in range(count):
                work[d + k] = work[a + k] + work[b + k]
        elif what == SUBTRACT:
            for k in range(count):
                work[d + k] = work[a + k] - work[b + k]
        elif what == GREATEST:
            for k in range(count):
                work[d + k] = max(work[a + k], work[b + k])
        elif what == LEAST:
            for k in range(count):
                work[d + k] = min(work[a + k], work[b + k])
        elif what == SET:
            for k in range(count):
                work[d + k] = work[a + k]
        elif what == MULTIPLY:
            for k in range(count):
                work[d + k] = work[a + k] * work[b + k]
        elif what == DIVIDE:
            _divide(work, d, a, b, count)
        elif what == WEIGH:
            _weigh(work, d, a, code[i, 3], count)
        elif what == WEIGH_DAYS:
            _scale(work, d, a, b, count, WEIGHT_UNIT)
        elif what == VALUE:
            _scale(work, d, a, b, count, VALUE_UNIT)
        else:
            _scale(work, d, a, b, count, CONVERT_UNIT)
