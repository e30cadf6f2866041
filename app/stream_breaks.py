"""What does not agree, looked for while somebody follows it: rows against themselves, and numbers below zero that must not be.

Three kinds: `td_sd` (a row whose contractual quantity is not what is settled and expected), `negative_availability` (more was
promised of a security than is there) and `overdrawn_limit` (the same of a client's or a unit's limit).
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from app.api.answers import time_of
from app.stream_board import Board
from app.stream_followed import Followed
from app.stream_limits import LimitLeft, Limits, Name
from app.stream_messages import StreamError, Subscribe
from engine.model import DAYS, Kind
from engine.rule_model import Role
from engine.tables import Word

_ROWS: Final = 20_000
"""Looked at in one turn: a millisecond or two of the loop that decides."""
_SECURITIES: Final = 20_000
_LIMITS: Final = 20
_REST_S: Final = 0.02
"""Between two turns: a tenth of the loop is the most that looking takes."""
_MOST: Final = 10_000
"""Of one kind: more are one fault, not so many."""
_JSON: Final = msgspec.json.Encoder()


class BreakKind(StrEnum):
    """What does not agree."""

    TD_SD = "td_sd"
    NEGATIVE_AVAILABILITY = "negative_availability"
    OVERDRAWN_LIMIT = "overdrawn_limit"


class Break(Struct, frozen=True, kw_only=True):
    """One of them as it is now."""

    id: str
    kind: BreakKind
    security: str
    quantity: Annotated[int, Meta(description="Shares: td less settled and expected; or the number below zero.")]
    first_seen_at: dt.datetime
    book: str = ""
    depot: str = ""
    position_type: str = ""
    owner: str = ""
    number: Annotated[str, Meta(description="Which number is below zero.")] = ""


class BreaksBoard:
    """In the writer's own process: it reads between two batches. `holders`: whose limits may be overdrawn."""

    def __init__(self, limits: Limits, holders: Callable[[], Iterable[Name]], clock: Callable[[], int]) -> None:
        self.board = Board()
        self._limits = limits
        self._securities = limits.securities
        self._tables = limits.securities.tables
        self._holders = holders
        self._clock = clock
        self._first_seen: dict[str, int] = {}
        self._followers = 0
        self._looking = asyncio.Lock()

    async def follow(self, asked: Subscribe) -> Followed:
        """Looks at everything first. Raises `StreamError`."""
        if any(each is not None for each in (asked.clients, asked.aggregation_units, asked.securities, asked.markets)):
            raise StreamError("breaks are followed all together")
        self._followers += 1

        def end() -> None:
            self._followers -= 1

        try:
            await self._look(0)
        except BaseException:
            end()
            raise
        return Followed(self.board, asked, lambda _key: True, end)

    async def turn(self) -> None:
        """Look at everything once, slowly."""
        if self._followers:
            await self._look(_REST_S)

    # parts

    async def _look(self, rest_s: float) -> None:
        async with self._looking:
            searches = {
                BreakKind.TD_SD: self._td_sd,
                BreakKind.NEGATIVE_AVAILABILITY: self._negative,
                BreakKind.OVERDRAWN_LIMIT: self._overdrawn,
            }
            for kind, search in searches.items():
                found: dict[str, Break] = {}
                for some in search():
                    for each in some[: _MOST - len(found)]:
                        found[each.id] = each
                    await asyncio.sleep(rest_s)
                self._tell(kind, found)

    def _tell(self, kind: BreakKind, found: dict[str, Break]) -> None:
        before = self.board.sequence
        for key in self.board.present():
            if key.startswith(f"{kind}:") and key not in found:
                self.board.remove(key)
                del self._first_seen[key]
        for key, each in found.items():
            first_ns = self._first_seen.setdefault(key, self._clock())
            self.board.put(key, _JSON.encode(msgspec.structs.replace(each, first_seen_at=time_of(first_ns))))
        if self.board.sequence != before:
            self.board.changed.ring()

    def _td_sd(self) -> Iterator[list[Break]]:
        rows: NDArray[np.void] = self._tables.array["position"]
        for first in range(0, self._tables.count(Word.ROWS), _ROWS):
            some = rows[first : min(first + _ROWS, self._tables.count(Word.ROWS))]
            expected = some["receipt"].sum(1) - some["deliver"].sum(1)
            differences = some["td"] - some["sd"] - expected
            yield [self._of_row(some[at], int(differences[at])) for at in np.flatnonzero(differences)[:_MOST].tolist()]

    def _of_row(self, row: Any, quantity: int) -> Break:
        key, array = int(row["key"]), self._tables.array
        security = self._securities.code(key >> 40)
        book = bytes(array["book"][key >> 24 & 0xFFFF]["code"]).decode()
        depot = bytes(array["depot"][key >> 8 & 0xFFFF]["code"]).decode()
        kind = Kind(key & 0xFF).name
        return Break(
            id=f"{BreakKind.TD_SD}:{book}/{security}/{depot}/{kind}",
            kind=BreakKind.TD_SD,
            security=security,
            quantity=quantity,
            first_seen_at=_NEVER,
            book=book,
            depot=depot,
            position_type=kind,
        )

    def _negative(self) -> Iterator[list[Break]]:
        tables = self._tables
        days = np.array([market.settle_days for market in tables.markets])
        for first in range(1, tables.count(Word.SECURITIES) + 1, _SECURITIES):
            ids = np.arange(first, min(first + _SECURITIES, tables.count(Word.SECURITIES) + 1))
            on = np.minimum(days[tables.array["security"]["market"][ids]], DAYS - 1)
            found = []
            for role in (Role.LEFT_SHORT, Role.LEFT_LONG):
                left = tables.array["values"][ids, tables.catalogue.playing(role), on]
                found += [self._below(int(ids[at]), role, int(left[at])) for at in np.flatnonzero(left < 0).tolist()]
            yield found

    def _below(self, security: int, role: Role, left: int) -> Break:
        code = self._securities.code(security)
        return Break(
            id=f"{BreakKind.NEGATIVE_AVAILABILITY}:{role}/{code}",
            kind=BreakKind.NEGATIVE_AVAILABILITY,
            security=code,
            quantity=left,
            first_seen_at=_NEVER,
            number=role,
        )

    def _overdrawn(self) -> Iterator[list[Break]]:
        names = list(self._holders())
        for first in range(0, len(names), _LIMITS):
            yield [each for name in names[first : first + _LIMITS] for each in self._of_limit(name)]

    def _of_limit(self, name: Name) -> Sequence[Break]:
        try:
            now = self._limits.of(name)
        except KeyError:
            return ()
        sides: dict[str, LimitLeft] = {"long": now.long, "short": now.short}
        return [
            Break(
                id=f"{BreakKind.OVERDRAWN_LIMIT}:{now.scope}/{now.owner}/{now.security}/{side}",
                kind=BreakKind.OVERDRAWN_LIMIT,
                security=now.security,
                quantity=limit.left,
                first_seen_at=_NEVER,
                owner=now.owner,
                number=f"{now.scope}_{side}",
            )
            for side, limit in sides.items()
            if limit.left < 0
        ]


_NEVER: Final = time_of(0)
