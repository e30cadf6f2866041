"""Alerts as they are watched: what has begun to hold since the last look, and what holds no more.

A value that dances round its limit rings once: what has begun to hold ends only when it has not held for a while with every
limit moved by a margin. Each is the alert's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.alert_moment import Ids, Judge, Mask, Moment, TooManyWindowsError, judge
from engine.alert_tree import ChangeTest, Test, leaves

MOST_OPEN: Final = 500
"""Securities that one alert has open at a time: a condition that holds for more is about something else than securities."""


@dataclass(frozen=True, slots=True)
class Watched:
    """`securities`: the ids for which it can hold; None: all. `hold_s`: how long it must not hold before it ends."""

    key: str
    test: Test
    margin: Fraction = Fraction(0)
    hold_s: float = 0.0
    securities: Ids | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at one alert has found. `matching`: securities for which it holds, told or not; `problem`: why it could
    not be looked at."""

    key: str
    begun: Ids
    ended: Ids
    matching: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Watched:
    """With its test made ready: as it is, and with its margin."""

    asked: Watched
    strict: Judge
    wide: Judge

    def found(self, moment: Moment) -> Ids:
        """For which it holds."""
        if self.asked.securities is None:
            return moment.ids[self.strict(moment.whole())]
        return self.asked.securities[self.strict(moment.among(self.asked.securities))]

    def still(self, moment: Moment, ids: Ids) -> Mask:
        """For which of these it is not over."""
        mask = np.zeros(len(ids), bool)
        if len(ids):
            kept = ids <= len(moment.ids)
            if self.asked.securities is not None:
                kept &= _within(ids, self.asked.securities)
            mask[kept] = self.wide(moment.among(ids[kept]))
        return mask


@dataclass(slots=True)
class _Open:
    """Ids, ascending, and when each was last seen to hold."""

    ids: Ids = field(default_factory=lambda: np.empty(0, np.int32))
    held_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))


class Watch:
    """Looks at all alerts. What a look finds counts once it is accepted: so nothing is lost that could not be written down."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._open: dict[str, _Open] = {}
        self._now_s = 0.0

    def put(self, watched: Watched, open_ids: Ids | None = None, now_s: float = 0.0) -> None:
        """Watch it from now on; what is open of one that is watched already stays so. `open_ids`: what is open of a new one."""
        self._watched[watched.key] = _Watched(watched, judge(watched.test), judge(watched.test, watched.margin))
        if watched.key not in self._open:
            ids = np.unique(open_ids).astype(np.int32) if open_ids is not None else np.empty(0, np.int32)
            self._open[watched.key] = _Open(ids, np.full(len(ids), now_s))

    def drop(self, key: str) -> None:
        """Watch it no more."""
        self._watched.pop(key, None)
        self._open.pop(key, None)

    @property
    def keys(self) -> set[str]:
        """Of all that are watched."""
        return set(self._watched)

    @property
    def wanted(self) -> list[tuple[Test, Ids | None]]:
        """The tests, and the securities that each is kept to."""
        return [(watched.asked.test, watched.asked.securities) for watched in self._watched.values()]

    def changes(self) -> list[ChangeTest]:
        """The tests that need the past."""
        tests = [watched.asked.test for watched in self._watched.values()]
        return [leaf for test in tests for leaf in leaves(test) if isinstance(leaf, ChangeTest)]

    def look(self, moment: Moment, again: Callable[[Judge, Ids], Mask], now_s: float) -> list[Look]:
        """At each alert. `again`: whether a test holds of some securities at one epoch; asked before anything rings, because
        columns that were read apart must not make it."""
        self._now_s = now_s
        return [self._at(watched, self._open[key], moment, again, now_s) for key, watched in self._watched.items()]

    def accept(self, look: Look) -> None:
        """It was written down."""
        known = self._open.get(look.key)
        if known is None or not (len(look.begun) or len(look.ended)):
            return
        stays = ~_within(known.ids, look.ended)
        ids = np.concatenate([known.ids[stays], look.begun])
        held_s = np.concatenate([known.held_s[stays], np.full(len(look.begun), self._now_s)])
        order = np.argsort(ids)
        self._open[look.key] = _Open(ids[order], held_s[order])

    def _at(
        self, watched: _Watched, known: _Open, moment: Moment, again: Callable[[Judge, Ids], Mask], now_s: float
    ) -> Look:
        none = np.empty(0, np.int32)
        try:
            found = watched.found(moment)
            still = watched.still(moment, known.ids)
        except TooManyWindowsError as error:
            return Look(watched.asked.key, none, none, 0, str(error))
        known.held_s[still] = now_s
        ended = known.ids[~still & (now_s - known.held_s >= watched.asked.hold_s)]
        room = MOST_OPEN - len(known.ids) + len(ended)
        # the first ones once more, all of one moment
        new = np.setdiff1d(found, known.ids, assume_unique=True)[: max(0, room)] if len(known.ids) else found[:room]
        if len(new):
            new = new[again(watched.strict, new)]
        return Look(watched.asked.key, new, ended, len(found))


def _within(ids: Ids, others: Ids) -> Mask:
    """Which of these are among the others; both ascending."""
    if not len(others):
        return np.zeros(len(ids), bool)
    mask: Mask = others[np.minimum(np.searchsorted(others, ids), len(others) - 1)] == ids
    return mask
