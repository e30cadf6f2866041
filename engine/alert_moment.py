"""Where a condition holds: its tests over columns of securities, and over the past of those that may change.

Whole numbers are compared whole: a limit becomes a raw value, rounded so that the comparison stays the same. Sums of several
numbers are compared as they are shown, in floats, exact up to 2^53.
"""

import math
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.alert_tree import All, ChangeTest, Compare, Direction, KnownTest, NumberTest, Some, Test, TextTest
from engine.model import Classification, Temperature
from engine.views_cells import shown
from engine.views_columns import NO_VALUE, Column
from engine.views_reference import Reference

Mask: TypeAlias = NDArray[np.bool_]
Ids: TypeAlias = NDArray[np.int32]
Numbers: TypeAlias = NDArray[np.int64]
SAMPLES: Final = 6
"""Of a window: what a number was a minute ago is what it was 60 to 70 seconds ago."""
MOST_WINDOWS: Final = 40
"""Columns whose past is kept, each for each length of window: some 3 MB each at 50,000 securities."""
_LEAST, _GREATEST = int(np.iinfo(np.int64).min) + 1, int(np.iinfo(np.int64).max)


class TooManyWindowsError(ValueError):
    """The past of no more numbers is kept."""


@dataclass(slots=True)
class Past:
    """What numbers were at the beginning of their windows. `turn` once at each look."""

    kept: dict[tuple[str, int], deque[tuple[float, Numbers]]] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)

    def want(self, tests: Collection[ChangeTest]) -> None:
        """Keep what these need, and nothing else. What is beyond `MOST_WINDOWS` is not kept."""
        wanted = list(dict.fromkeys((test.column.name, test.window_s) for test in tests))[:MOST_WINDOWS]
        self.kept = {key: self.kept.get(key, deque()) for key in wanted}
        self.columns = {test.column.name: test.column for test in tests}

    def turn(self, read: Callable[[Column], Numbers], now_s: float) -> None:
        """Take a sample where one is due; let go of what is older than its window needs."""
        for (name, window_s), samples in self.kept.items():
            if not samples or now_s - samples[-1][0] >= window_s / SAMPLES:
                samples.append((now_s, read(self.columns[name]).copy()))
            while len(samples) > 1 and now_s - samples[1][0] >= window_s:
                samples.popleft()

    def was(self, column: Column, window_s: int) -> Numbers:
        """Of the securities that were there then. Raises `TooManyWindowsError`."""
        samples = self.kept.get((column.name, window_s))
        if not samples:
            raise TooManyWindowsError(f"the past of {MOST_WINDOWS} numbers is kept already")
        return samples[0][1]


@dataclass(frozen=True, slots=True)
class Reading:
    """Some securities, in an order. Each function gives an array in that order."""

    number: Callable[[Column], Numbers]
    was: Callable[[Column, int], Numbers]
    text: Callable[[TextTest], Mask]


Judge: TypeAlias = Callable[[Reading], Mask]
"""Where a test holds. Raises `TooManyWindowsError`."""


class Moment:
    """All securities now. `read`: the number of every security, raw; `text`: where a test of a text holds; `count`: of them."""

    def __init__(
        self, read: Callable[[Column], Numbers], past: Past, text: Callable[[TextTest], Mask], count: int
    ) -> None:
        self.ids = np.arange(1, count + 1, dtype=np.int32)
        self._read = read
        self._past = past
        self._text = text

    def whole(self) -> Reading:
        """All of them, by id."""
        return Reading(
            self._read, lambda column, window_s: _then(self._past.was(column, window_s), self.ids), self._text
        )

    def among(self, ids: Ids) -> Reading:
        """These."""
        at = ids - 1
        return Reading(
            lambda column: self._read(column)[at],
            lambda column, window_s: _then(self._past.was(column, window_s), ids),
            lambda test: self._text(test)[at],
        )


def judge(test: Test, margin: Fraction = Fraction(0)) -> Judge:
    """The test, with each limit moved by `margin` of itself to the side on which more holds."""
    match test:
        case All(parts):
            judges = [judge(part, margin) for part in parts]
            return lambda reading: np.logical_and.reduce([each(reading) for each in judges])
        case Some(parts):
            judges = [judge(part, margin) for part in parts]
            return lambda reading: np.logical_or.reduce([each(reading) for each in judges])
        case TextTest():
            return lambda reading: reading.text(test)
        case KnownTest(column, known):
            return lambda reading: (reading.number(column) != column.unknown) == known
        case ChangeTest():
            return _change(test, margin)
        case NumberTest(((factor, column),), compare, limit):
            return _one(column, compare if factor > 0 else compare.mirrored, limit / factor, margin)
        case NumberTest():
            return _several(test, float(margin))


def text_mask(test: TextTest, reference: Reference) -> Mask:
    """Where a test of a text holds, shape (securities,)."""
    coded = _coded(test.attribute, reference)
    if coded is not None:
        names, codes = coded
        fits = [any(text in name for text in test.texts) if test.inside else name in test.texts for name in names]
        mask: Mask = np.array(fits)[np.minimum(codes, len(names) - 1)]
    else:
        texts = np.char.lower(reference.text(test.attribute)[1:])
        wanted = [text.encode() for text in sorted(test.texts)]
        if test.inside:
            mask = np.logical_or.reduce([np.char.find(texts, text) >= 0 for text in wanted])
        else:
            mask = np.isin(texts, np.array(wanted))
    return np.logical_not(mask) if test.negated else mask


def _coded(attribute: str, reference: Reference) -> tuple[list[str], NDArray[np.uint8]] | None:
    """Of an attribute with few values: they, and which of them each security has."""
    match attribute:
        case "market":
            return [code.lower() for code in reference.markets], reference.market[1:]
        case "temperature":
            return [each.name.lower() for each in Temperature], reference.temperature[1:]
        case "classification":
            return [each.name.lower() for each in Classification], reference.records["classification"][1:]
    return None


def _then(was: Numbers, ids: Ids) -> Numbers:
    """What was, of these; `NO_VALUE` of those that were not there yet."""
    known = ids <= len(was)
    return np.where(known, was[np.where(known, ids - 1, 0)], NO_VALUE) if len(was) else np.full(len(ids), NO_VALUE)


def _one(column: Column, compare: Compare, limit: Fraction, margin: Fraction) -> Judge:
    """One number against its limit, in whole raw values: between two of them, or none of one."""
    at = limit * column.scale
    room = abs(at) * margin
    least, most = _LEAST, _GREATEST
    match compare:
        case Compare.BELOW:
            most = math.ceil(at + room) - 1
        case Compare.AT_MOST:
            most = math.floor(at + room)
        case Compare.ABOVE:
            least = math.floor(at - room) + 1
        case Compare.AT_LEAST:
            least = math.ceil(at - room)
        case Compare.EQUAL:
            least, most = math.ceil(at - room), math.floor(at + room)
        case Compare.OTHER:
            return _other(column, int(at) if at.denominator == 1 else None)
    never = least > _GREATEST or most < _LEAST or least > most
    checks_least, checks_most, checks_known = least > _LEAST, most < _GREATEST, column.unknown != NO_VALUE

    def holds(reading: Reading) -> Mask:
        raw = reading.number(column)
        if never:
            return np.zeros(len(raw), bool)
        mask = raw <= most if checks_most else raw >= max(_LEAST, least)
        if checks_most and checks_least:
            mask &= raw >= least
        if checks_known:
            mask &= raw != column.unknown
        return mask

    return holds


def _other(column: Column, value: int | None) -> Judge:
    """Known, and not this; None: no raw value is it."""

    def holds(reading: Reading) -> Mask:
        raw = reading.number(column)
        mask = np.ones(len(raw), bool) if value is None or not _LEAST <= value <= _GREATEST else raw != value
        if column.unknown != NO_VALUE:
            mask &= raw != column.unknown
        return mask

    return holds


def _several(test: NumberTest, margin: float) -> Judge:
    """A sum of numbers against its limit, as shown; the margin is of the limit, or, where that is 0, of what is added."""
    terms = [(float(factor), column) for factor, column in test.terms]
    limit = float(test.limit)

    def holds(reading: Reading) -> Mask:
        parts = [factor * shown(column, reading.number(column)) for factor, column in terms]
        total = np.add.reduce(parts)
        room = abs(limit) * margin if limit else np.maximum.reduce([np.abs(part) for part in parts]) * margin
        mask: Mask
        with np.errstate(invalid="ignore"):
            match test.compare:
                case Compare.BELOW:
                    mask = total < limit + room
                case Compare.AT_MOST:
                    mask = total <= limit + room
                case Compare.ABOVE:
                    mask = total > limit - room
                case Compare.AT_LEAST:
                    mask = total >= limit - room
                case Compare.EQUAL:
                    mask = np.abs(total - limit) <= room
                case Compare.OTHER:
                    mask = ~np.isnan(total) & (total != limit)
        return mask

    return holds


def _change(test: ChangeTest, margin: Fraction) -> Judge:
    # quiet holds where it has not changed so far: there, more of a change is let pass
    widened = 1 + margin if test.quiet else 1 - margin
    amount = float(test.amount * widened * (1 if test.share else test.column.scale))

    def holds(reading: Reading) -> Mask:
        now, was = reading.number(test.column), reading.was(test.column, test.window_s)
        known = (now != test.column.unknown) & (was != test.column.unknown) & (was != NO_VALUE)
        moved = np.where(known, now - np.where(known, was, now), 0).astype(float)
        if test.direction is Direction.EITHER:
            moved = np.abs(moved)
        elif test.direction is Direction.DOWN:
            moved = -moved
        limit = np.abs(np.where(known, was, 0)) * amount if test.share else amount
        # of nothing, any change is a change by every share of it
        far = (moved >= limit) & (moved > 0)
        mask: Mask = known & (far != test.quiet)
        return mask

    return holds
