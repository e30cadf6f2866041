"""What does not come when it should: lines of custodians' statements that were not with the others, and what a start of day
states that nobody has dealt.

Both wait for a block of the day, so that whoever looks for breaks has seen what there was before.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import NO_DATE, Kind, Op
from feeds.simulator_opening import Rows, few, keys_of
from feeds.simulator_routes import Route
from feeds.simulator_world import World
from feeds.universe import Universe
from feeds.wire import DRAFT, Drafts, joined

_UNSTATED: Final = 0.002
"""The part of custodians' lines that do not come with the others. Every second of them comes later; the rest does not, unless
the custodian states that security anew in the course of the day."""
_FIRST_LATE: Final = 0
_LATE_EVERY: Final = 16
"""Blocks: the first of the late lines comes after this one, and after so many more the next."""
_RESTATED: Final = 0.001
"""The part of desks' untouched positions that a start of day states with a trade more than there was at the close."""
AFTER_TURN: Final = 12
"""Blocks after a day has begun in which its start of day comes: ten seconds at the usual pace, so that the close is known."""


class Late:
    """Of one day and those after it. `rows`: those of the start of day; what is stated anew is put into them."""

    def __init__(self, universe: Universe, rows: Rows, seed: int) -> None:
        self._universe, self._rows, self._seed = universe, rows, seed
        lines = np.flatnonzero((rows["kind"] == Kind.DEPOT) & (rows["depot"] >= 0))
        self.withheld = few(np.random.default_rng([seed, 8]), lines, _UNSTATED)
        """Rows that the start of day leaves out."""
        self._waiting: list[tuple[int, Drafts]] = []
        self._turns = 0

    def in_time(self) -> Rows:
        """The rows that the start of day states."""
        return np.delete(self._rows, self.withheld)

    def turn(self, world: World, began: NDArray[np.bool_], block: int) -> None:
        """A business day has begun in some markets, `block` being made next: its start of day comes a little later."""
        self._turns += 1
        random, rows = np.random.default_rng([self._seed, 9, self._turns]), self._rows
        desks = (rows["kind"] == Kind.FIRM) & (rows["quantity"] > 0) & (rows["due"] == 0) & (rows["td_break"] == 0)
        still = world.rows[(world.rows["held"] == world.rows["usual"]) & (world.rows["working"] == 0)]
        desks &= began[self._universe.securities["market"][rows["security"]]]
        some = few(random, np.flatnonzero(desks & np.isin(keys_of(rows), keys_of(still))), _RESTATED)
        rows["due"][some], rows["due_day"][some] = self._universe.trade[rows["security"][some]], 1
        self._waiting.append((block + AFTER_TURN, _positions(rows[some])))

    def after(self, block: int, world: World) -> Drafts:
        """What comes at the end of that block."""
        due = [made for at, made in self._waiting if at <= block]
        self._waiting = [(at, made) for at, made in self._waiting if at > block]
        number, rest = divmod(block - _FIRST_LATE, _LATE_EVERY)
        lines = self.withheld[::2]
        if rest == 0 and 0 <= number < lines.size:
            due.append(self._line(self._rows[lines[number]], world))
        return joined(due) if due else np.empty(0, DRAFT)

    def _line(self, row: np.void, world: World) -> Drafts:
        """What lies there by now."""
        made, security = np.zeros(1, DRAFT), int(row["security"])
        for name in ("security", "book", "depot", "kind"):
            made[name] = row[name]
        place = 0 if row["depot"] == world.depot[world.market[security], 0] else 1
        made["op"], made["quantity"] = Op.SET, max(0, int(world.stock[security, place]))
        made["trade_date"] = made["settle_date"] = NO_DATE
        return made


def _positions(rows: Rows) -> Drafts:
    made = np.zeros(rows.size, DRAFT)
    for name in ("security", "book", "depot", "kind", "ref", "quantity"):
        made[name] = rows[name]
    made["op"], made["feed"] = Op.SET, Route.POSITIONS
    made["trade_date"] = made["settle_date"] = NO_DATE
    return made
