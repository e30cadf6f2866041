"""What can be lent and located, of the securities that somebody follows: looked at a few times a second."""

import asyncio
from collections import Counter
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from app.api.answers import Shares, percent
from app.api.securities import Securities
from app.stream_board import Board
from app.stream_followed import Followed
from app.stream_messages import StreamError, Subscribe
from engine.model import DAYS, RATE_UNKNOWN, Decided, Temperature
from engine.rule_model import Role
from engine.tables import Word

_A_TURN: Final = 50
"""Securities looked at before others have a turn: a millisecond or two of the loop that decides."""
_A_LOOK: Final = 1_000
"""Securities told of one look at most: of what changes more often than that, the newest comes with one of the next."""
_A_SLICE: Final = 4_000
"""Securities compared with what was told of them, at once."""
_ROLES: Final = (Role.LEND, Role.POOL_SHORT, Role.LEFT_SHORT, Role.POOL_LONG, Role.LEFT_LONG)
_MARKS: Final = len(_ROLES) * DAYS + 3
_JSON: Final = msgspec.json.Encoder()


class Available(Struct, frozen=True, kw_only=True):
    """Of one security, on the day on which a trade of today settles."""

    security: str
    market: str
    temperature: str
    fee_percent: float | None
    lend: Annotated[tuple[int, ...], Meta(description="Shares for loan on the business days SD0 to SD4.")]
    settle_day: int
    pool: Shares
    located: Shares
    left: Shares
    pool_long: Shares
    left_long: Shares


class AvailabilityBoard:
    """In the writer's own process: it reads between two batches."""

    def __init__(self, securities: Securities) -> None:
        self.board = Board()
        self._securities = securities
        self._tables = securities.tables
        self._followed: Counter[int] = Counter()
        self._everything = 0
        self._turns = 0
        self._seen = np.zeros((0, _MARKS), np.int64)
        """What was told of each, by id; made once somebody follows."""

    async def follow(self, asked: Subscribe) -> Followed:
        """Looks at what is asked for first, so that a snapshot is whole. Raises `StreamError`."""
        if asked.clients is not None or asked.aggregation_units is not None:
            raise StreamError("availability is nobody's: it has no clients and no aggregation_units")
        chosen = self._chosen(asked)
        if not self._seen.size:
            self._seen = np.full((len(self._tables.array["security"]), _MARKS), np.iinfo(np.int64).min)
        self._everything += chosen is None
        self._followed.update(chosen or ())

        def end() -> None:
            self._everything -= chosen is None
            self._followed.subtract(chosen or ())
            for security in chosen or ():
                if not self._followed[security]:
                    del self._followed[security]

        try:
            await self._look(self._all() if chosen is None else np.fromiter(chosen, np.int64))
        except BaseException:
            end()
            raise
        if chosen is None:
            return Followed(self.board, asked, lambda _key: True, end)
        codes = {self._securities.code(security) for security in chosen}
        return Followed(self.board, asked, codes.__contains__, end)

    async def turn(self) -> None:
        """Tell what has changed."""
        if self._everything or self._followed:
            ids = self._all() if self._everything else np.fromiter(self._followed, np.int64)
            # from another place each time: where more changes than is told at once, everybody has his turn
            self._turns += 1
            await self._look(np.roll(ids, -_A_LOOK * self._turns), _A_LOOK)

    # parts

    def _chosen(self, asked: Subscribe) -> set[int] | None:
        """The ids asked for; None for all."""
        if asked.securities is None and asked.markets is None:
            return None
        chosen = set()
        for text in asked.securities or ():
            security = self._securities.find(text)
            if not security:
                raise StreamError(f"no security {text}")
            chosen.add(security)
        if asked.markets is not None:
            try:
                markets = [self._securities.market_index(code) for code in asked.markets]
            except ValueError as error:
                raise StreamError(f"markets: {error}") from error
            of = np.isin(self._tables.array["security"]["market"][self._all()], markets)
            found = set((np.flatnonzero(of) + 1).tolist())
            chosen = found if asked.securities is None else chosen & found
        return chosen

    def _all(self) -> NDArray[np.int64]:
        return np.arange(1, self._tables.count(Word.SECURITIES) + 1)

    async def _look(self, ids: NDArray[np.int64], most: int | None = None) -> None:
        """Put on the board what has changed, a slice at a time, at most so much of it."""
        before, left = self.board.sequence, ids.size if most is None else most
        for at in range(0, ids.size, _A_SLICE):
            of = ids[at : at + _A_SLICE]
            changed = of[(self._marks(of) != self._seen[of]).any(1)][:left]
            left -= changed.size
            for first in range(0, changed.size, _A_TURN):
                self._put(changed[first : first + _A_TURN])
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        if self.board.sequence != before:
            self.board.changed.ring()

    def _marks(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """All that a line is made of, shape (ids, `_MARKS`)."""
        array, playing = self._tables.array, self._tables.catalogue.playing
        values = array["values"][ids[:, None], [playing(role) for role in _ROLES]]
        records = array["security"][ids]
        facts = np.stack((array["decided"][ids, Decided.SHORT_LOCATES], records["temperature"], records["fee"]), 1)
        return np.concatenate((values.reshape(ids.size, -1), facts), 1)

    def _put(self, ids: NDArray[np.int64]) -> None:
        marks = self._marks(ids)
        self._seen[ids] = marks
        for security, line in zip(ids.tolist(), marks.tolist(), strict=True):
            found = self._available(security, line)
            self.board.put(found.security, _JSON.encode(found))

    def _available(self, security: int, line: list[int]) -> Available:
        market = self._securities.market(security)
        pool, left, pool_long, left_long = (line[DAYS * role + market.settle_days] for role in range(1, len(_ROLES)))
        located, temperature, fee = line[-3:]
        return Available(
            security=self._securities.code(security),
            market=market.code,
            temperature=Temperature(temperature).name,
            fee_percent=percent(None if fee == RATE_UNKNOWN else fee),
            lend=tuple(line[:DAYS]),
            settle_day=market.settle_days,
            pool=pool,
            located=located,
            left=left,
            pool_long=pool_long,
            left_long=left_long,
        )
