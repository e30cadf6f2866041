"""What clients and aggregation units may still sell, of those that somebody follows: made anew a few times a second."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.api.answers import Shares
from app.api.securities import Securities
from app.limits_asked import AskedLimits, Name
from app.limits_told import SCOPES, LimitDays
from app.stream_board import Board
from app.stream_followed import Followed
from app.stream_messages import StreamError, Subscribe
from engine.model import Decided
from engine.parties import Parties
from engine.rule_model import Role, Scope
from engine.rules import Compiled
from engine.tables import Word

_A_TURN: Final = 20
_MOST: Final = 500
"""Limits of one reader."""
_MOST_OF_ALL: Final = 5_000
_JSON: Final = msgspec.json.Encoder()
_ROLES: Final = {Scope.CLIENT: (Role.CLIENT_LONG, Role.CLIENT_SHORT), Scope.AU: (Role.AU_LONG, Role.AU_SHORT)}
_USED: Final = (Decided.OPEN_LONG_SELLS, Decided.SHORT_SELLS)


class LimitLeft(Struct, frozen=True):
    """`left`: shares that may still be sold, negative where more was promised than is there; `used`: what orders hold of it."""

    left: Shares
    used: Shares


class LimitNow(Struct, frozen=True, kw_only=True):
    """Both limits of one owner in one security."""

    scope: Scope
    owner: str
    security: str
    long: LimitLeft
    short: LimitLeft


class Limits:
    """Numbers of limits now, in the writer's own process. `decided`: what is held of a security, by its code, for an owner;
    `clock`: UTC nanoseconds.
    """

    def __init__(
        self,
        securities: Securities,
        compiled: Callable[[], Compiled],
        decided: Callable[[str, Scope, str], Mapping[Decided, int]],
        clock: Callable[[], int],
    ) -> None:
        self.securities = securities
        self.asked = AskedLimits(clock)
        self._compiled = compiled
        self._decided = decided
        self._parties = Parties(securities.tables)

    def of(self, name: Name) -> LimitNow:
        """Raises KeyError for an owner that no book has."""
        decided = self._decided_for(name)
        return self._now(name, self.numbers(name, decided), decided)

    def look(self, name: Name) -> tuple[LimitNow, LimitDays]:
        """The limits, and every number of the owner, of one moment. Raises as `of`."""
        decided = self._decided_for(name)
        numbers = self.numbers(name, decided)
        scope, owner, security = name
        days = LimitDays(
            scope=SCOPES[scope],
            owner=owner,
            security=self.securities.code(security),
            place=self.securities.tables.count(Word.LOG),
            values=[of_days.tolist() for of_days in numbers.values()],
        )
        return self._now(name, numbers, decided), days

    def numbers(self, name: Name, decided: Mapping[Decided, int] | None = None) -> dict[str, NDArray[np.int64]]:
        """Every calculation of the scope, by name, shape (DAYS,). Raises as `of`."""
        scope, owner, security = name
        decided = self._decided_for(name) if decided is None else decided
        return self._parties.numbers(self._compiled(), scope, security, owner, decided)

    def _decided_for(self, name: Name) -> Mapping[Decided, int]:
        scope, owner, security = name
        return self._decided(self.securities.code(security), scope, owner)

    def _now(self, name: Name, numbers: Mapping[str, NDArray[np.int64]], decided: Mapping[Decided, int]) -> LimitNow:
        scope, owner, security = name
        day, catalogue = self.securities.settle_day(security), self._compiled().catalogue
        long, short = (
            LimitLeft(
                int(numbers[catalogue.calculations[catalogue.playing(role)].name][day]), int(decided.get(used, 0))
            )
            for role, used in zip(_ROLES[scope], _USED, strict=True)
        )
        return LimitNow(scope=scope, owner=owner, security=self.securities.code(security), long=long, short=short)


class LimitsBoard:
    """Those that somebody follows."""

    def __init__(self, limits: Limits) -> None:
        self.board = Board()
        self._limits = limits
        self._followed: Counter[Name] = Counter()

    async def follow(self, asked: Subscribe) -> Followed:
        """Raises `StreamError`."""
        names = self._names(asked)
        self._followed.update(names)

        def end() -> None:
            self._followed.subtract(names)
            for name in names:
                if not self._followed[name]:
                    del self._followed[name]

        try:
            await self._look(sorted(names))
        except BaseException:
            end()
            raise
        return Followed(self.board, asked, {self._key(name) for name in names}.__contains__, end)

    async def turn(self) -> None:
        """Tell what has changed."""
        if self._followed:
            await self._look(list(self._followed))

    # parts

    def _names(self, asked: Subscribe) -> set[Name]:
        owners = [(Scope.CLIENT, each) for each in asked.clients or ()]
        owners += [(Scope.AU, each) for each in asked.aggregation_units or ()]
        if not owners or asked.securities is None or asked.markets is not None:
            raise StreamError("limits take securities, and clients or aggregation_units (and no markets)")
        ids = {text: self._limits.securities.find(text) for text in asked.securities}
        if missing := [text for text, security in ids.items() if not security]:
            raise StreamError(f"no security {missing[0]}")
        names = {(scope, owner, security) for scope, owner in owners for security in ids.values()}
        if len(names) > _MOST:
            raise StreamError(f"{len(names):,} limits: at most {_MOST:,} can be followed by one")
        if len(self._followed | Counter(names)) > _MOST_OF_ALL:
            raise StreamError(f"{_MOST_OF_ALL:,} limits are followed already")
        return names

    def _key(self, name: Name) -> str:
        scope, owner, security = name
        return f"{scope}:{owner}/{self._limits.securities.code(security)}"

    async def _look(self, names: list[Name]) -> None:
        before = self.board.sequence
        for number, name in enumerate(names, start=1):
            try:
                self.board.put(self._key(name), _JSON.encode(self._limits.of(name)))
            except KeyError:
                self.board.remove(self._key(name))
            else:
                self._limits.asked.note(name)
            if number % _A_TURN == 0:
                await asyncio.sleep(0)
        if self.board.sequence != before:
            self.board.changed.ring()
