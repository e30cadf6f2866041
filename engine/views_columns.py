"""The columns of the inventory: where each number is kept, and how whole numbers become what a person reads.

Numbers stay int64 until the frame or the file they leave in: `raw / scale` is what is shown, and a raw value equal to
`unknown` is no value at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model import DAYS, PRICE_UNIT, RATE_UNIT, RATE_UNKNOWN, Temperature
from engine.tables import Tables
from engine.views_reference import Reference

NO_VALUE: Final = int(np.iinfo(np.int64).min)
"""A raw value that no column can have: `unknown` of the columns that always have one."""
BASIS_POINTS_PER_PERCENT: Final = 100
NS_PER_MS: Final = 1_000_000


class Source(Enum):
    """Which array a column is read from."""

    TEXT = auto()
    """`Reference.text`."""
    REFERENCE = auto()
    """`Reference.numbers`: changes with reference data only."""
    VALUES = auto()
    TERMS = auto()
    PRICE = auto()
    UPDATED = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `day` None is the day on which a trade of today settles in the security's market."""

    name: str
    source: Source
    item: str = ""
    day: int | None = None
    scale: int = 1
    unknown: int = NO_VALUE

    @property
    def is_text(self) -> bool:
        return self.source is Source.TEXT


_TEXT: Final = ("name", "code", "ticker", "isin", "cusip", "sedol", "figi", "currency", "market", "temperature")
_INVENTORY: Final = (
    *(Column(name, Source.TEXT) for name in _TEXT),
    Column("fee", Source.REFERENCE, scale=RATE_UNIT, unknown=RATE_UNKNOWN),
    Column("rebate", Source.REFERENCE, scale=RATE_UNIT, unknown=RATE_UNKNOWN),
    Column("price", Source.PRICE, scale=PRICE_UNIT, unknown=0),
    *(Column(f"for_loan_{day}", Source.VALUES, "for_loan", day) for day in range(DAYS)),
    Column("pool", Source.VALUES, "locate_pool"),
    Column("located", Source.TERMS, "located"),
    Column("remaining", Source.VALUES, "remaining"),
    Column("utilisation", Source.VALUES, "utilisation", 0, scale=BASIS_POINTS_PER_PERCENT),
    Column("updated_ms", Source.UPDATED, scale=NS_PER_MS, unknown=0),
    Column("at_least", Source.REFERENCE),
    Column("id", Source.REFERENCE),
)
COLUMNS: Final = {column.name: column for column in _INVENTORY}
TEMPERATURES: Final = tuple(temperature.name for temperature in Temperature)


def shown(column: Column, raw: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a person reads: raw values in the column's unit, NaN for none. Whole shares below 2^53 are exact."""
    return np.where(raw == column.unknown, np.nan, raw / column.scale)


class InventoryColumns:
    """Reads columns out of one writer's tables. Raises ValueError where the tables lack a term or calculation."""

    def __init__(self, tables: Tables) -> None:
        array = tables.array
        # as they lie in memory, with their padding: a reshaped slice would be a copy, and show one moment for ever
        values, terms = array["values"], tables.segment.arrays["terms"]
        self._flat: dict[Source, NDArray[np.int64]] = {
            Source.VALUES: values.reshape(-1),
            Source.TERMS: terms.reshape(-1),
            Source.PRICE: array["price"],
            Source.UPDATED: array["updated_ns"],
        }
        self._stride: dict[Source, int] = {
            Source.VALUES: values.shape[1] * values.shape[2],
            Source.TERMS: terms.shape[1] * terms.shape[2],
            Source.PRICE: 1,
            Source.UPDATED: 1,
        }
        names = {Source.VALUES: tables.calculations, Source.TERMS: tables.terms}
        words = {Source.VALUES: values.shape[2], Source.TERMS: terms.shape[2]}
        self._offset: dict[str, int] = {
            c.name: names[c.source].index(c.item) * words[c.source] for c in _INVENTORY if c.source in names
        }

    def read(self, column: Column, ids: NDArray[np.int32], reference: Reference) -> NDArray[np.int64]:
        """A copy of a number column for `ids`, raw.

        Aligned 64-bit words are never torn, so one column may be read while the writer writes; several columns that
        must belong together are read under the epoch.
        """
        if column.source is Source.REFERENCE:
            return reference.numbers[column.name].take(ids)
        return self._flat[column.source].take(self._places(column, ids, reference))

    def copier(
        self, columns: Sequence[Column], ids: NDArray[np.int32], reference: Reference
    ) -> Callable[[], dict[str, NDArray[np.int64]]]:
        """A function that copies whole columns for `ids` as fast as memory gives: time is short under the epoch."""
        moving = [column for column in columns if not column.is_text and column.source is not Source.REFERENCE]
        places = {column.name: (self._flat[column.source], self._places(column, ids, reference)) for column in moving}
        fixed = {c.name: self.read(c, ids, reference) for c in columns if c.source is Source.REFERENCE}
        return lambda: fixed | {name: flat.take(at) for name, (flat, at) in places.items()}

    def window(self, columns: Sequence[Column], ids: NDArray[np.int32], reference: Reference) -> "Window":
        """A fast reader of the same cells again and again."""
        numbers = [column for column in columns if not column.is_text]
        fixed = np.zeros((len(ids), len(numbers)), np.int64)
        places: dict[Source, list[tuple[int, NDArray[np.int64]]]] = {}
        for i, column in enumerate(numbers):
            if column.source is Source.REFERENCE:
                fixed[:, i] = reference.numbers[column.name].take(ids)
            else:
                places.setdefault(column.source, []).append((i, self._places(column, ids, reference)))
        parts = [
            (self._flat[source], np.array([i for i, _ in found]), np.stack([at for _, at in found], axis=1))
            for source, found in places.items()
        ]
        return Window(fixed, parts)

    def _places(self, column: Column, ids: NDArray[np.int32], reference: Reference) -> NDArray[np.int64]:
        """Where a column's numbers are in the flat array of its source."""
        places = ids.astype(np.int64) * self._stride[column.source] + self._offset.get(column.name, 0)
        if column.source in (Source.VALUES, Source.TERMS):
            places += reference.settle_day.take(ids) if column.day is None else column.day
        return places


class Window:
    """The number cells of some rows: what is fixed is kept, what moves is gathered with one index per array."""

    def __init__(
        self, fixed: NDArray[np.int64], parts: list[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]]
    ) -> None:
        self._fixed = fixed
        self._parts = parts

    def read(self) -> NDArray[np.int64]:
        """Raw cells now, shape (rows, number columns). Call it inside `Tables.read` or `glimpse`."""
        cells = self._fixed.copy()
        for flat, columns, places in self._parts:
            cells[:, columns] = flat.take(places)
        return cells


@dataclass(frozen=True, slots=True)
class Scales:
    """Scale and unknown value of several number columns, for whole matrices of cells at once."""

    scale: NDArray[np.float64]
    unknown: NDArray[np.int64]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Scales":
        numbers = [column for column in columns if not column.is_text]
        return cls(np.array([c.scale for c in numbers], float), np.array([c.unknown for c in numbers], np.int64))

    def shown(self, raw: NDArray[np.int64]) -> NDArray[np.float64]:
        """Shape (rows, columns), as `shown` for each column."""
        return np.where(raw == self.unknown, np.nan, raw / self.scale)


def changes(
    previous: NDArray[np.int64], now: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.int64]]:
    """Cells that differ between two readings of one window: row, number column and raw value of each."""
    rows, columns = np.nonzero(previous != now)
    return rows.astype(np.uint16), columns.astype(np.uint8), now[rows, columns]
