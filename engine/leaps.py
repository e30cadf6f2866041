"""Numbers far beyond all that their source has counted to: one of them, applied, would make everything normal too old for good.

Kept apart from `engine.recognise`, which every kernel is made of.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.recognise import WINDOW

MOST: Final = 1 << 62
"""No source counts so far, however it begins; the time in nanoseconds is a third of it."""
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


@nb.njit(**_JIT)
def leaps(number: int, newest: int) -> bool:
    """Whether a number is too far ahead of the newest one of its source; the first of a source may be almost any."""
    return bool(number > MOST or (newest > 0 and number - newest > WINDOW))


@nb.njit(**_JIT)
def any_of(numbers: NDArray[np.int64], sources: NDArray[np.uint16], newest: NDArray[np.int64]) -> bool:
    """Whether one of these leaps. `newest`: by source."""
    found = False
    for i in range(numbers.shape[0]):
        found |= sources[i] < newest.shape[0] and leaps(numbers[i], newest[sources[i]])
    return found


@nb.njit(**_JIT)
def which(numbers: NDArray[np.int64], sources: NDArray[np.uint16], newest: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of them do."""
    found = np.zeros(numbers.shape[0], np.bool_)
    for i in range(numbers.shape[0]):
        found[i] = sources[i] < newest.shape[0] and leaps(numbers[i], newest[sources[i]])
    return found
