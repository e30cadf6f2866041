"""Requests that wait: which, in which order, and whether anything has changed since they were tried."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from engine.locates import Locate

Fingerprint: TypeAlias = tuple[object, ...]
"""Differs whenever a decision on a security might."""


class LocateQueue:
    """Pending requests by the code of their security; higher priority first, then older."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, tuple[int, int]]] = {}
        """Code -> sequence -> place in the order."""
        self._tried: dict[str, Fingerprint] = {}
        self.count = 0

    def __contains__(self, code: object) -> bool:
        return code in self._waiting

    def codes(self) -> list[str]:
        """Codes that requests wait for."""
        return list(self._waiting)

    def add(self, locate: Locate) -> None:
        """One more waits."""
        waiting = self._waiting.setdefault(locate.request.security, {})
        waiting[locate.sequence] = (-locate.request.priority, locate.sequence)
        self.count += 1

    def remove(self, locate: Locate) -> None:
        """It waits no more."""
        code = locate.request.security
        del self._waiting[code][locate.sequence]
        self.count -= 1
        if not self._waiting[code]:
            del self._waiting[code]
            self._tried.pop(code, None)

    def in_order(self, codes: Iterable[str]) -> list[int]:
        """Those that wait for any of these codes, as they are to be tried."""
        places = [place for code in codes for place in self._waiting.get(code, {}).values()]
        return [sequence for _priority, sequence in sorted(places)]

    def tried(self, codes: Sequence[str], now: Fingerprint) -> bool:
        """Whether they were judged when all was as it is now."""
        return all(self._tried.get(code) == now for code in codes)

    def note(self, codes: Iterable[str], now: Fingerprint) -> None:
        """They have been judged."""
        self._tried |= dict.fromkeys(codes, now)

    def again(self, code: str | None = None) -> None:
        """Judge those of a code (None: all) anew, whatever has not changed."""
        if code is None:
            self._tried.clear()
        else:
            self._tried.pop(code, None)
