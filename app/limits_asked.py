"""Whose limits somebody has asked about lately: these are worked out again and again, and kept over time."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from engine.rule_model import Scope

MOST: Final = 2_000
"""The one whose last question is longest ago goes first."""
FORGET_NS: Final = 86_400 * 10**9
"""So long after the last question nobody is thought to be interested."""
Name = tuple[Scope, str, int]
"""Whose limit in which security."""


class AskedLimits:
    """Belongs to the loop that answers. `clock`: UTC nanoseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._asked_ns: OrderedDict[Name, int] = OrderedDict()
        """When each was asked about last, the longest ago first."""

    def note(self, name: Name) -> None:
        """Somebody has asked, and was answered: what nobody may know, or nobody has, is not noted."""
        self._asked_ns[name] = self._clock()
        self._asked_ns.move_to_end(name)
        if len(self._asked_ns) > MOST:
            self._asked_ns.popitem(last=False)

    def names(self) -> list[Name]:
        """Those that were asked about within the last day."""
        oldest_ns = self._clock() - FORGET_NS
        while self._asked_ns and next(iter(self._asked_ns.values())) < oldest_ns:
            self._asked_ns.popitem(last=False)
        return list(self._asked_ns)
