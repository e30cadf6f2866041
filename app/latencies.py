"""How fast something was answered over the last day: a histogram a stretch of ten seconds, in memory."""

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

EVERY_NS: Final = 10_000_000_000
KEPT: Final = 24 * 360
_LEAST_S: Final = 1e-5
_PER_E: Final = 24
"""Buckets for a factor of e: what is told is within 4%."""
_BUCKETS: Final = 400


class Stretch(NamedTuple):
    """Answers of ten seconds from `at_ns` on, seconds each."""

    at_ns: int
    answers: int
    p50_s: float
    p99_s: float
    max_s: float


class Latencies:
    """Belongs to the loop that answers; `observe` costs a logarithm."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._max_s = 0.0
        self._at_ns = 0
        self._told: deque[Stretch] = deque(maxlen=KEPT)

    def observe(self, seconds: float) -> None:
        """An answer took so long."""
        bucket = int(math.log(max(seconds, _LEAST_S) / _LEAST_S) * _PER_E)
        self._counts[min(bucket, _BUCKETS - 1)] += 1
        self._max_s = max(self._max_s, seconds)

    def tick(self, now_ns: int) -> None:
        """Time passes: a stretch is over when ten seconds are; one without an answer is told only after one with some."""
        at_ns = now_ns // EVERY_NS * EVERY_NS
        if at_ns == self._at_ns:
            return
        if self._at_ns and (self._max_s or (self._told and self._told[-1].answers)):
            self._told.append(self._stretch())
        self._counts[:] = 0
        self._max_s, self._at_ns = 0.0, at_ns

    def between(self, from_ns: int, to_ns: int) -> Iterator[Stretch]:
        """What was, and what this stretch has so far; oldest first."""
        for told in (*self._told, *([self._stretch()] if self._max_s else [])):
            if from_ns <= told.at_ns <= to_ns:
                yield told

    def _stretch(self) -> Stretch:
        below, count = np.cumsum(self._counts), int(self._counts.sum())

        def within(part: float) -> float:
            """The upper end of the bucket in which that part of all is reached."""
            bucket = int(np.searchsorted(below, math.ceil(part * count)))
            return float(min(self._max_s, _LEAST_S * math.exp((bucket + 1) / _PER_E)))

        return Stretch(self._at_ns, count, within(0.5) if count else 0.0, within(0.99) if count else 0.0, self._max_s)
