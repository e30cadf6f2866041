"""A table as it is under one version of reference data and rules: what queries, windows and files are made from.

A row leads to members (its security, its book, ...), and text columns belong to members; numbers are read from living memory,
raw. So filters, order and groups are said once for all tables.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.views_columns import Column
from engine.views_reference import Reference
from engine.views_texts import Texts

Ids = NDArray[np.int32]
Numbers = Mapping[str, NDArray[np.int64]]


class Cells(Protocol):
    """A reader of the same number cells again and again."""

    def read(self) -> NDArray[np.int64]:
        """Raw cells now, shape (rows, number columns). Call it inside `Tables.read` or `glimpse`."""


class Sight(Protocol):
    """One table."""

    reference: Reference
    by_name: Mapping[str, Column]
    rules: int | None
    """The version of the rules that its columns are of; None: they do not depend on rules."""
    everybody: Ids
    """All rows, ascending."""

    @property
    def meaning(self) -> object:
        """The same object for as long as texts and the meaning of columns are the same."""

    def part(self, column: str) -> int:
        """What a text column belongs to; 0: the security."""

    def member(self, part: int, ids: Ids) -> NDArray[np.integer[Any]]:
        """By row its member of a part."""

    def texts(self, column: str) -> Texts:
        """A text column, by member."""

    def read(self, column: Column, ids: Ids) -> NDArray[np.int64]:
        """A number column, raw."""

    def window(self, columns: Sequence[Column], ids: Ids) -> Cells:
        """A reader of the number columns among `columns`."""

    def sums(
        self, columns: Sequence[Column], ids: Ids, group: NDArray[np.int32], groups: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Sums of number columns by group, and where at least one row had a value; (groups, columns) each."""

    def text(self, column: str, ids: Ids) -> NDArray[np.bytes_]:
        """A text column as UTF-8."""


def codes(sight: Sight, column: str, ids: Ids) -> NDArray[np.int32]:
    """By row the index of its label in `Sight.texts`."""
    return sight.texts(column).codes.take(sight.member(sight.part(column), ids))


Read = Callable[[str, Ids], NDArray[np.int64]]
"""Raw numbers of a column for ids: from the living tables, or from a copy of one moment."""
