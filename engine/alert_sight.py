"""Which numbers alerts need of which securities, and those numbers, read.

A number of 50,000 securities lies in as many places of memory: reading it costs more than all that is then made of it. What a
text of the reference data excludes is therefore not read: of `left < 10,000 and HTB`, nothing of all that is easy to borrow.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.alert_tree import All, NumberTest, Some, Test, TextTest
from engine.views_cells import InventoryColumns
from engine.views_columns import Column
from engine.views_reference import Reference

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class _Needed:
    """`read`: copies the numbers of `at` (places of the array, from 0)."""

    at: NDArray[np.int64]
    read: Callable[[], dict[str, NDArray[np.int64]]]
    numbers: NDArray[np.int64]
    fresh: bool = False


class Sight:
    """Under one version of the rules and of the reference data."""

    def __init__(self, columns: InventoryColumns, reference: Reference) -> None:
        self._columns = columns
        self._reference = reference
        self._needed: dict[str, _Needed] = {}

    def want(self, tests: Iterable[tuple[Test, Mask | None]], text: Callable[[TextTest], Mask]) -> None:
        """What these tests need is read from now on; the mask: which securities a test is kept to; None: all."""
        masks: dict[str, tuple[Column, Mask]] = {}
        every = np.ones(self._reference.count, bool)
        for test, kept in tests:
            _need(test, every if kept is None else kept, text, masks)
        self._needed = {name: self._ready(column, mask) for name, (column, mask) in masks.items()}

    def turn(self) -> None:
        """From now on everything is read anew, once."""
        for needed in self._needed.values():
            needed.fresh = False

    def read(self, column: Column) -> NDArray[np.int64]:
        """The number of every security, raw; where no test can need it, any. Do not keep it: it changes with the turn."""
        needed = self._needed.get(column.name)
        if needed is None:
            ids = np.arange(1, self._reference.count + 1, dtype=np.int32)
            return self._columns.read(column, ids, self._reference)
        if not needed.fresh:
            needed.numbers[needed.at] = needed.read()[column.name]
            needed.fresh = True
        return needed.numbers

    def _ready(self, column: Column, mask: Mask) -> _Needed:
        at = np.flatnonzero(mask)
        read = self._columns.copier([column], (at + 1).astype(np.int32), self._reference)
        return _Needed(at, read, np.zeros(self._reference.count, np.int64))


def _need(test: Test, mask: Mask, text: Callable[[TextTest], Mask], masks: dict[str, tuple[Column, Mask]]) -> None:
    match test:
        case All(parts):
            for part in parts:
                if isinstance(part, TextTest):
                    mask = mask & text(part)
            for part in parts:
                _need(part, mask, text, masks)
        case Some(parts):
            for part in parts:
                _need(part, mask, text, masks)
        case NumberTest():
            for _, column in test.terms:
                _mark(column, mask, masks)
        case TextTest():
            pass
        case _:
            _mark(test.column, mask, masks)


def _mark(column: Column, mask: Mask, masks: dict[str, tuple[Column, Mask]]) -> None:
    known = masks.get(column.name)
    masks[column.name] = column, mask if known is None else known[1] | mask
