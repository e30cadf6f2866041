"""Limits that are looked at in the writer's own process, some at a time, all of them again and again.

Of those who hold something by orders: which were overdrawn. Of these, and of all that somebody has asked about lately: every
number, for the history.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from app.breaks.elsewhere import Overdrawn
from app.limits_asked import Name
from app.limits_told import SCOPES
from app.stream_limits import LimitLeft, LimitNow, Limits
from engine.tables import Word

_A_TURN: Final = 10
"""Limits worked out before others get their turn on the loop that decides: half a millisecond."""
_REST_S: Final = 0.05
"""Between two turns, at least."""
_PART: Final = 99
"""And so many times what the turn took: looking takes a hundredth of a core at the most, however many limits there are."""
_ROUND_S: Final = 1.0
"""Between two rounds."""
_JSON: Final = msgspec.json.Encoder()


class OverdrawnWatch:
    """`holders`: whose limits may be overdrawn: those who hold something by orders."""

    def __init__(self, limits: Limits, holders: Callable[[], Iterable[Name]]) -> None:
        self._limits = limits
        self._holders = holders
        self._found: dict[tuple[Name, str], Overdrawn] = {}
        self._told: dict[Name, bytes] = {}
        """Every number of each, as JSON."""
        self._rules = -1
        """The catalogue that these are of."""

    @property
    def found(self) -> list[Overdrawn]:
        """Overdrawn, as of the last look at each."""
        return list(self._found.values())

    def told(self) -> bytes:
        """The field of `app.limits_told.WatchedLimits`, as JSON: all of them, as of the last look at each."""
        return b"[%s]" % b",".join(self._told.values() if self._whole() else ())

    async def run(self) -> None:
        """For as long as the service lives."""
        while True:
            await self.round(_REST_S)
            await asyncio.sleep(_ROUND_S)

    async def round(self, rest_s: float = 0.0) -> None:
        """Look at every limit once."""
        holders = set(self._holders())
        names = [*holders, *(name for name in self._limits.asked.names() if name not in holders)]
        present = set(names)
        self._found = {key: one for key, one in self._found.items() if key[0] in holders}
        self._told = {name: one for name, one in self._told.items() if name in present}
        for first in range(0, len(names), _A_TURN):
            began_s = time.perf_counter()
            for name in names[first : first + _A_TURN]:
                self._look(name, holds=name in holders)
            took_s = time.perf_counter() - began_s
            await asyncio.sleep(max(rest_s, _PART * took_s) if rest_s else 0.0)

    def _look(self, name: Name, *, holds: bool) -> None:
        whole = self._whole()
        try:
            now, days = self._limits.look(name)
        except KeyError:
            now = None  # nobody has a book of that owner any more: it has no limit
            self._told.pop(name, None)
        else:
            if whole:
                self._told[name] = _JSON.encode(days)
        if holds:
            self._judge(name, now)

    def _whole(self) -> bool:
        """Whether the machine knows everything, and what is kept is by the rules in force; what is not is forgotten."""
        tables = self._limits.securities.tables
        rules = tables.count(Word.RULES)
        if rules != self._rules:
            self._told, self._rules = {}, rules
        if not tables.count(Word.READY):
            self._told = {}
            return False
        return True

    def _judge(self, name: Name, now: LimitNow | None) -> None:
        sides: dict[str, LimitLeft] = {} if now is None else {"long": now.long, "short": now.short}
        for side in ("long", "short"):
            left = sides[side].left if side in sides else 0
            if left < 0:
                code = self._limits.securities.code(name[2])
                self._found[name, side] = Overdrawn(
                    scope=SCOPES[name[0]], owner=name[1], security=code, side=side, left=left
                )
            else:
                self._found.pop((name, side), None)
