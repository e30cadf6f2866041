"""/markets: when each market trades, for the clock of every page's frame."""

import asyncio
import datetime as dt
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from app.market_hours import MarketHours, market_hours
from app.markets import all_kept, markets
from app.pages.login import Desk, Guarded

log = structlog.get_logger()
PATIENCE_S: Final = 60.0
"""How long the engine is waited for, which needs the same calendars and keeps them."""
LOOK_S: Final = 1.0
_encoder: Final = msgspec.json.Encoder()


class Hours:
    """The hours of all markets, made once a day. `clock`: UTC seconds."""

    def __init__(self, cache: Path, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._clock = clock
        self._made: tuple[dt.date, list[MarketHours]] | None = None
        self._making: asyncio.Task[None] | None = None

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)

    def look(self) -> list[MarketHours]:
        """Those of today; of a day before, or none, while they are being made."""
        if self._made is None or self._made[0] != self.now.date():
            if all_kept(markets(), self.now, self._cache):
                self._made = self.now.date(), market_hours(markets(), self.now, self._cache)
            elif self._making is None or self._making.done():
                self._making = asyncio.get_running_loop().create_task(self._make())
        return self._made[1] if self._made else []

    async def _make(self) -> None:
        """Wait for who keeps the calendars anyway; else compute them where it holds nobody up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while loop.time() < deadline:
            await asyncio.sleep(LOOK_S)
            if all_kept(markets(), self.now, self._cache):
                return
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
            await loop.run_in_executor(beside, market_hours, markets(), self.now, self._cache)
        log.info("calendars computed", cache=str(self._cache))


class MarketsHandler(Guarded):
    """/markets."""

    def initialize(self, desk: Desk, **own: Any) -> None:
        super().initialize(desk)
        self._hours: Hours = own["hours"]

    def get(self) -> None:
        """No markets while nobody knows their hours yet: ask again."""
        self.who_or_refuse()
        self.set_header("Content-Type", "application/json")
        self.finish(_encoder.encode({"now": round(self._hours.now.timestamp() * 1e3), "markets": self._hours.look()}))
