"""What all securities come to, by market and temperature: every number of shares that the rules show, and what it is worth.

Money is a sum of float64 in whole units of the reporting currency: it is looked at, and nothing is decided on it. Shares are
int64, exact. At 50,000 securities a pass costs 24 ms of a busy core.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import HEAD_FACTS, PRICE_UNIT, Fact, Temperature
from engine.rule_model import Role, Scope, Show, Unit
from engine.views import Inventory
from engine.views_cells import InventoryColumns
from engine.views_columns import Column
from engine.views_reference import Reference

_FX_UNIT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of shares as the rules have it. `column`: the name of its column in the table of all securities."""

    column: str
    title: str
    description: str
    role: str
    day: int | None
    """None: the day on which a trade of today settles."""


@dataclass(frozen=True, slots=True)
class Sums:
    """By market and temperature. Shapes (measures, markets, temperatures) and (markets, temperatures)."""

    measures: tuple[Measure, ...]
    shares: NDArray[np.int64]
    money: NDArray[np.float64]
    securities: NDArray[np.int64]
    negative: NDArray[np.int64]
    """Securities of which more is promised than there is."""
    unpriced: NDArray[np.int64]
    """Securities with shares that no money stands for: no price, or no rate into the reporting currency."""

    @property
    def by_market(self) -> NDArray[np.float64]:
        """Money, shape (measures, markets)."""
        return np.asarray(self.money.sum(axis=2))


def measures_of(inventory: Inventory, columns: InventoryColumns) -> list[tuple[Measure, Column]]:
    """Every number of shares that the rules show, in their order; of one that is shown for several days the first."""
    found = []
    for info in inventory.tables.catalogue.calculations:
        if info.scope != Scope.SECURITY or info.unit != Unit.SHARES or info.show == Show.NONE:
            continue
        name = f"{info.name}.0" if info.show == Show.DAYS else info.name
        column = columns.by_name.get(name)
        if column is None:
            continue
        title = info.title or info.name
        found.append((Measure(name, title, info.description.rstrip("."), info.role, column.day), column))
    return found


def overview(inventory: Inventory) -> Sums:
    """The sums of now. Raises `TornReadError` where the writer has not said which rules are in force.

    Each column is copied without the epoch, as orders of views are: a sum over all that is some microseconds apart between two
    securities is not wrong by more than what has just happened.
    """
    columns, reference = inventory.columns(), inventory.reference()
    ids = np.arange(1, reference.count + 1, dtype=np.int32)
    markets, heats = len(reference.markets), len(Temperature)
    shape = (markets, heats)
    cell = reference.market[1:].astype(np.int64) * heats + reference.temperature[1:]
    worth = _worth(inventory, reference)
    chosen = measures_of(inventory, columns)
    shares = np.empty((len(chosen), *shape), np.int64)
    money = np.empty((len(chosen), *shape), np.float64)
    negative = np.zeros(shape, np.int64)
    owed = np.zeros(ids.size, bool)
    for at, (measure, column) in enumerate(chosen):
        numbers = columns.read(column, ids, reference)
        shares[at] = _summed(cell, numbers, markets * heats).reshape(shape)
        money[at] = np.bincount(cell, numbers * worth, markets * heats).reshape(shape)
        owed |= (numbers != 0) & (worth == 0)
        if measure.role == Role.LEFT_SHORT:
            negative = np.bincount(cell[numbers < 0], minlength=markets * heats).reshape(shape)
    return Sums(
        measures=tuple(measure for measure, _ in chosen),
        shares=shares,
        money=money,
        securities=np.bincount(cell, minlength=markets * heats).reshape(shape),
        negative=negative,
        unpriced=np.bincount(cell[owed], minlength=markets * heats).reshape(shape),
    )


def _summed(cell: NDArray[np.int64], numbers: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """Exact sums by cell: as two halves, neither of which a float64 rounds at as many securities as there may be."""
    high, low = numbers >> 24, numbers & 0xFFFFFF
    upper = np.bincount(cell, high, cells).astype(np.int64)
    return (upper << 24) + np.bincount(cell, low, cells).astype(np.int64)


def _worth(inventory: Inventory, reference: Reference) -> NDArray[np.float64]:
    """One share of each security in the reporting currency; 0 where that is not known."""
    head = inventory.tables.array["head"][1 : reference.count + 1]
    price, fx = head[:, HEAD_FACTS + Fact.PRICE], head[:, HEAD_FACTS + Fact.FX]
    return np.asarray(price.astype(np.float64) / PRICE_UNIT * (fx.astype(np.float64) / _FX_UNIT))
