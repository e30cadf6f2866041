"""Limits that were overdrawn, looked for in the writer's own process: some at a time, all of them again and again."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from app.breaks.elsewhere import Overdrawn
from app.stream_limits import LimitLeft, Limits, Name
from engine.rule_model import Scope

_A_TURN: Final = 10
"""Limits worked out before others get their turn on the loop that decides: a millisecond or less."""
_REST_S: Final = 0.05
"""Between two turns: a fiftieth of the loop is the most that looking takes."""
_ROUND_S: Final = 1.0
"""Between two rounds."""


class OverdrawnWatch:
    """`holders`: whose limits may be overdrawn: those who hold something by orders."""

    def __init__(self, limits: Limits, holders: Callable[[], Iterable[Name]]) -> None:
        self._limits = limits
        self._holders = holders
        self._found: dict[tuple[Name, str], Overdrawn] = {}

    @property
    def found(self) -> list[Overdrawn]:
        """As of the last look at each."""
        return list(self._found.values())

    async def run(self) -> None:
        """For as long as the service lives."""
        while True:
            await self.round(_REST_S)
            await asyncio.sleep(_ROUND_S)

    async def round(self, rest_s: float = 0.0) -> None:
        """Look at every limit once."""
        names = list(self._holders())
        present = set(names)
        self._found = {key: one for key, one in self._found.items() if key[0] in present}
        for first in range(0, len(names), _A_TURN):
            for name in names[first : first + _A_TURN]:
                self._look(name)
            await asyncio.sleep(rest_s)

    def _look(self, name: Name) -> None:
        sides: dict[str, LimitLeft] = {}
        try:
            now = self._limits.of(name)
        except KeyError:
            pass  # nobody has a book of that owner any more: it has no limit
        else:
            sides = {"long": now.long, "short": now.short}
        for side in ("long", "short"):
            left = sides[side].left if side in sides else 0
            if left < 0:
                scope = "client" if name[0] == Scope.CLIENT else "au"
                code = self._limits.securities.code(name[2])
                self._found[name, side] = Overdrawn(scope=scope, owner=name[1], security=code, side=side, left=left)
            else:
                self._found.pop((name, side), None)
