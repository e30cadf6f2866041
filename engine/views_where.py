"""Conditions on columns: what a person writes above one, exact on raw numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.views_columns import Column
from engine.views_texts import Texts

MAX_CONDITIONS: Final = 32
MAX_MEMBERS: Final = 1_000
MAX_LENGTH: Final = 100
_CONTAINS: Final = ("contains", "not_contains")
_AMONG: Final = ("in", "not_in")
TEXT_OPS: Final = (*_CONTAINS, *_AMONG)
NUMBER_OPS: Final = ("=", "<>", "<", "<=", ">", ">=", "between")
_LEAST, _MOST = -(2**63), 2**63 - 1

Value = str | int | float | tuple[str | int | float, ...]


class QueryError(ValueError):
    """A query that cannot be answered; `field` is the part that is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column must be. `value`: a text (contains), texts (in), a number as it is shown, or two (between, both included).

    A cell without a value passes no condition on numbers. Raises `QueryError`.
    """

    column: str
    op: str
    value: Value

    def __post_init__(self) -> None:
        value, fits = self.value, False
        if self.op in _CONTAINS:
            fits = isinstance(value, str) and len(value) <= MAX_LENGTH
        elif self.op in _AMONG:
            fits = isinstance(value, tuple) and len(value) <= MAX_MEMBERS and all(isinstance(v, str) for v in value)
        elif self.op == "between":
            fits = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))  # noqa: PLR2004  low, high
        elif self.op in NUMBER_OPS:
            fits = _is_number(value)
        else:
            raise QueryError("where", f"unknown {self.op!r}; known: {', '.join((*TEXT_OPS, *NUMBER_OPS))}")
        if not fits:
            raise QueryError("where", f"{self.column} {self.op}: {_wanted(self.op)} is needed")

    @property
    def is_text(self) -> bool:
        return self.op in TEXT_OPS

    def check(self, columns: Mapping[str, Column]) -> None:
        """Raises `QueryError` for a column that there is not, or of the other kind."""
        column = columns.get(self.column)
        if column is None:
            raise QueryError("where", f"unknown {self.column!r}")
        if column.is_text != self.is_text:
            kind, ops = ("text", TEXT_OPS) if column.is_text else ("a number", NUMBER_OPS)
            raise QueryError("where", f"{self.column} is {kind}: use one of {', '.join(ops)}")

    def labels(self, texts: Texts) -> NDArray[np.bool_]:
        """Of a text column: the labels that pass."""
        if isinstance(self.value, str):
            found = texts.containing(self.value)
        else:
            assert isinstance(self.value, tuple)
            found = texts.among({str(member) for member in self.value})
        return ~found if self.op.startswith("not_") else found

    def numbers(self, column: Column, raw: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of a number column: the raw values that pass."""
        low, high = self._span(column.scale)
        inside = (raw >= low) & (raw <= high) if low <= high else np.zeros(len(raw), bool)
        passes: NDArray[np.bool_] = (~inside if self.op == "<>" else inside) & (raw != column.unknown)
        return passes

    def _span(self, scale: int) -> tuple[int, int]:
        """The raw values between which lies what is meant, both included; empty where the first is the larger."""
        if isinstance(self.value, tuple):
            low, high = (_raw(each, scale) for each in self.value)
            return _within(math.ceil(low), math.floor(high))
        raw = _raw(self.value, scale)
        match self.op:
            case "<":
                return _within(_LEAST, math.ceil(raw) - 1)
            case "<=":
                return _within(_LEAST, math.floor(raw))
            case ">":
                return _within(math.floor(raw) + 1, _MOST)
            case ">=":
                return _within(math.ceil(raw), _MOST)
        return _within(math.ceil(raw), math.floor(raw))


def _raw(value: str | float, scale: int) -> Decimal:
    """Exact: 0.1 is a tenth, as whoever wrote it meant."""
    return Decimal(repr(value)) * scale


def _within(low: int, high: int) -> tuple[int, int]:
    """The same span of int64; (1, 0) where it is empty."""
    return (max(low, _LEAST), min(high, _MOST)) if low <= _MOST and high >= _LEAST else (1, 0)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _wanted(op: str) -> str:
    if op in _CONTAINS:
        return f"a text of at most {MAX_LENGTH} characters"
    if op in _AMONG:
        return f"a list of at most {MAX_MEMBERS:,} texts"
    return "a list of two numbers" if op == "between" else "a number"
