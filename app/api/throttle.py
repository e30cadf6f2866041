"""How often each token may ask: so many requests a second, and as many at once."""

import math
import time
from collections.abc import Callable
from typing import Final

_MOST_KEYS: Final = 10_000
_ROUNDED_S: Final = 1e-6


class Throttle:
    """A bucket per key that fills with `rate` a second and holds a second's worth, but one at least; 0: no limit.

    `clock`: seconds that never go back.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step_s = 1 / rate if rate else 0.0
        self._span_s = max(1.0, self._step_s) + _ROUNDED_S
        self._full_at: dict[str, float] = {}
        """When the bucket of a key will be full again."""

    def wait_s(self, key: str) -> int:
        """0: ask now, and it is counted; else after so many whole seconds, which is what Retry-After says."""
        if not self._step_s:
            return 0
        now = self._clock()
        full_at = max(now, self._full_at.get(key, now)) + self._step_s
        if full_at > now + self._span_s:
            return math.ceil(full_at - now - self._span_s)
        if len(self._full_at) >= _MOST_KEYS and key not in self._full_at:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        self._full_at[key] = full_at
        return 0
