"""How often each token may ask: so many requests a second, and as many at once."""

import math
import time
from collections.abc import Callable
from typing import Final

_MOST_KEYS: Final = 10_000


class Throttle:
    """A bucket per key that fills with `rate` a second and holds a second's worth. `clock`: seconds that never go back."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When the bucket of a key will be full again."""

    def wait_s(self, key: str) -> int:
        """0: ask now, and it is counted; else after so many whole seconds, which is what Retry-After says."""
        if not self._rate:
            return 0
        now = self._clock()
        full_at = max(now, self._full_at.get(key, now)) + 1 / self._rate
        if full_at - now > max(1.0, 1 / self._rate):
            return math.ceil(full_at - now - 1.0)
        if len(self._full_at) >= _MOST_KEYS and key not in self._full_at:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        self._full_at[key] = full_at
        return 0
