"""Runs the compiled calculations over the securities that changed, a block at a time: one instruction, many securities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.expression import DEPTH, WEIGHT_UNIT, Code, Program
from engine.model import DAYS, TERM_WORDS

_BLOCK: Final = 64
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_INLINE: Final[dict[str, Any]] = {"inline": "always", "nogil": True}
_CONSTANT, _TERM, _CALCULATION, _WEIGH = Code.CONSTANT.value, Code.TERM.value, Code.CALCULATION.value, Code.WEIGH.value
_ADD, _SUBTRACT, _MULTIPLY = Code.ADD.value, Code.SUBTRACT.value, Code.MULTIPLY.value
_DIVIDE, _GREATEST, _LEAST = Code.DIVIDE.value, Code.GREATEST.value, Code.LEAST.value


@dataclass(frozen=True, slots=True)
class Programs:
    """All programs in one array. `code`: (instructions, 2); `span`: (markets, calculations, 2) begin and end."""

    code: NDArray[np.int64]
    span: NDArray[np.int64]

    @classmethod
    def of(cls, programs: Sequence[Sequence[Program]]) -> "Programs":
        code: list[tuple[int, int]] = []
        span = np.zeros((len(programs), len(programs[0]), 2), np.int64)
        for market, calculations in enumerate(programs):
            for i, program in enumerate(calculations):
                span[market, i] = len(code), len(code) + len(program)
                code += program
        return cls(np.array(code, np.int64), span)


@nb.njit(**_JIT)
def recalculate(
    ids: NDArray[np.int32],
    count: int,
    market_of: NDArray[np.uint8],
    code: NDArray[np.int64],
    span: NDArray[np.int64],
    terms: NDArray[np.int64],
    values: NDArray[np.int64],
) -> None:
    """Fill the values of the first `count` of `ids`. Shapes: terms (securities, terms * TERM_WORDS), values
    (securities, calculations * DAYS)."""
    markets, calculations = span.shape[0], span.shape[1]
    stack = np.empty(DEPTH * _BLOCK * DAYS, np.int64)
    block = np.empty(_BLOCK, np.int32)
    for market in range(markets):
        at = 0
        while at < count:
            size = 0
            while at < count and size < _BLOCK:
                if market_of[ids[at]] == market:
                    block[size] = ids[at]
                    size += 1
                at += 1
            if size == 0:
                continue  # none of this market
            for calculation in range(calculations):
                begin, end = span[market, calculation]
                used = stack[: DEPTH * size * DAYS].reshape(DEPTH, -1)
                _run(code[begin:end], block[:size], terms, values, used)
                for j in range(size):
                    for day in range(DAYS):
                        values[block[j], calculation * DAYS + day] = used[0, j * DAYS + day]


@nb.njit(**_INLINE)
def _combine(what: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """left = left (what) right. Plain loops from 0 over whole arrays: the compiler makes vector instructions of them."""
    if what == _ADD:
        for k in range(left.size):
            left[k] += right[k]
    elif what == _SUBTRACT:
        for k in range(left.size):
            left[k] -= right[k]
    elif what == _MULTIPLY:
        for k in range(left.size):
            left[k] *= right[k]
    elif what == _DIVIDE:
        for k in range(left.size):
            left[k] = left[k] // right[k] if right[k] != 0 else 0
    elif what == _GREATEST:
        for k in range(left.size):
            left[k] = max(left[k], right[k])
    else:
        for k in range(left.size):
            left[k] = min(left[k], right[k])


@nb.njit(**_INLINE)
def _gather(source: NDArray[np.int64], column: int, block: NDArray[np.int32], into: NDArray[np.int64]) -> None:
    """The five days of `source[id, column]` of every id of the block; `into` has the shape (ids, days)."""
    for j in range(block.size):
        row = block[j]
        for day in range(DAYS):
            into[j, day] = source[row, column + day]


@nb.njit(**_JIT)
def _run(
    code: NDArray[np.int64],
    block: NDArray[np.int32],
    terms: NDArray[np.int64],
    values: NDArray[np.int64],
    stack: NDArray[np.int64],
) -> None:
    """Leave the program's results for the block in `stack[0]`. Shape of `stack`: (DEPTH, ids * DAYS)."""
    top = -1
    for i in range(code.shape[0]):
        what, argument = code[i, 0], code[i, 1]
        if what == _TERM:
            top += 1
            _gather(terms, argument * TERM_WORDS, block, stack[top].reshape(-1, DAYS))
        elif what == _CALCULATION:
            top += 1
            _gather(values, argument * DAYS, block, stack[top].reshape(-1, DAYS))
        elif what == _CONSTANT:
            top += 1
            stack[top] = argument
        elif what == _WEIGH:
            row = stack[top]
            for k in range(row.size):
                row[k] = row[k] * argument // WEIGHT_UNIT
        else:
            top -= 1
            _combine(what, stack[top], stack[top + 1])
