"""The contractual quantity of every row when its market's business day began, kept over restarts of either process.

By key, not by number: an engine that was started again may have its rows in another order.
"""

from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
import structlog
from numpy.typing import NDArray

from engine.tables import Tables, Word

log = structlog.get_logger()
FILE: Final = "close-of-day.npz"
_AT_ONCE: Final = 4_096
"""Rows copied together: some tenths of a millisecond without a change by the writer."""


class CloseOfDay:
    """By row: `quantities`, and 1 in `known` where there is one."""

    def __init__(self, tables: Tables, folder: Path) -> None:
        self._tables = tables
        self._path = folder / FILE
        self._today = np.asarray(tables.array["today"]).copy()
        self.quantities: NDArray[np.int64] = np.zeros(0, np.int64)
        self.known: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._recall()

    @property
    def any(self) -> bool:
        """Whether there is one of any row: without it nothing can be said of starts of day."""
        return bool(self.known.any())

    def turn(self) -> bool:
        """Take the close of the markets whose business day has begun since the last turn; whether there were any.

        Raises `TornReadError`.
        """
        today = np.asarray(self._tables.array["today"])
        rolled = today != self._today
        if not rolled.any():
            return False
        count = self._tables.count(Word.ROWS)
        keys = self._tables.array["position"]["key"][:count].copy()
        fresh = rolled[self._tables.array["security"]["market"][keys.astype(np.int64) >> 40]]
        began, kept = self._began(count), len(self.known)
        quantities, known = np.zeros(count, np.int64), np.zeros(count, np.uint8)
        quantities[:kept], known[:kept] = self.quantities, self.known
        self.quantities, self.known = np.where(fresh, began, quantities), np.where(fresh, 1, known).astype(np.uint8)
        self._today = today.copy()
        self._keep(keys)
        return True

    # parts

    def _began(self, count: int) -> NDArray[np.int64]:
        """What is contractual of every row less what was traded since the day began, each row as it was at some moment."""
        began, position = np.zeros(count, np.int64), self._tables.array["position"]
        for first in range(0, count, _AT_ONCE):
            some = slice(first, min(first + _AT_ONCE, count))
            rows = self._tables.read(lambda some=some: position[some].copy())  # type: ignore[misc]
            began[some] = rows["td"] - rows["intraday_buy"] + rows["intraday_sell"] + rows["intraday_short"]
        return began

    def _keep(self, keys: NDArray[np.uint64]) -> None:
        """A disk that does not take it costs what a restart would have known."""
        beside = self._path.with_suffix(".part")
        try:
            with beside.open("wb") as out:
                known = self.known != 0
                np.savez(out, today=self._today, keys=keys[known], quantities=self.quantities[known])
            beside.replace(self._path)
        except OSError as error:
            log.warning("the close of the day is not kept over a restart", reason=str(error))

    def _recall(self) -> None:
        """The close that this business day began with, where one was kept."""
        try:
            with np.load(self._path) as kept:
                today, keys, quantities = kept["today"], kept["keys"], kept["quantities"]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            log.warning("the close of the day that was kept cannot be read", reason=str(error))
            return
        if today.shape != self._today.shape or (today != self._today).any() or not keys.size:
            return
        count = self._tables.count(Word.ROWS)
        present = self._tables.array["position"]["key"][:count]
        order = np.argsort(keys)
        at = np.minimum(np.searchsorted(keys, present, sorter=order), keys.size - 1)
        same = keys[order[at]] == present
        self.quantities = np.where(same, quantities[order[at]], 0)
        self.known = same.astype(np.uint8)
