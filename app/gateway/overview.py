"""`GET /overview?ticket=`: what all securities come to, about once a second, however many pages look."""

import asyncio
import time
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from app.gateway import writer
from app.gateway.asked import Asked, Refused
from app.gateway.messages import Stats
from app.gateway.pump import Pump
from app.gateway.writer import Attachment
from engine.model import Temperature
from engine.views import TornReadError
from engine.views_overview import Sums, overview

FRESH_S: Final = 0.9
SHARE: Final = 0.02
"""Of one core: sums over very many securities are made less often rather than cost more."""


class MeasureAnswer(Struct, frozen=True):
    """A number that is summed; `column` is its column's name on the page of all securities."""

    column: str
    title: str
    tip: str
    role: str
    day: int | None


class Part(Struct, frozen=True):
    """A market, or a temperature. `money`, `shares`: one for each measure; money in whole units of the reporting currency."""

    name: str
    securities: int
    negative: Annotated[int, Meta(description="Securities of which more is promised than there is.")]
    unpriced: Annotated[int, Meta(description="Securities whose shares no money stands for.")]
    money: list[float]
    shares: list[int]
    hard: Annotated[list[float], Meta(description="Of a market's money what is hard to borrow.")]


class Overview(Struct, frozen=True, kw_only=True):
    """All securities."""

    currency: str
    made_ms: float
    took_ms: Annotated[float, Meta(description="Processor time of a thread for one pass.")]
    measures: list[MeasureAnswer]
    markets: list[Part]
    temperatures: list[Part]
    stats: Stats


class _Made(Struct, frozen=True):
    sums: Sums
    at_s: float
    took_s: float
    generation: str

    def fresh(self, now_s: float) -> bool:
        """Whether it is as new as the next would be."""
        return now_s - self.at_s < max(FRESH_S, self.took_s / SHARE)


class Overviews:
    """One pass serves all who ask within a second."""

    def __init__(self) -> None:
        self.made: _Made | None = None
        self._making: asyncio.Task[_Made] | None = None

    async def now(self, pump: Pump, attachment: Attachment) -> _Made:
        """Raises `TornReadError`."""
        generation = attachment.tables.generation
        if self.made and self.made.generation == generation and self.made.fresh(time.monotonic()):
            return self.made
        if self._making is None or self._making.done():
            self._making = asyncio.get_running_loop().create_task(self._make(pump, attachment))
        return await asyncio.shield(self._making)

    async def _make(self, pump: Pump, attachment: Attachment) -> _Made:
        self.made = await attachment.run(pump.executor, _pass, attachment)
        return self.made


def _pass(attachment: Attachment) -> _Made:
    began = time.thread_time()
    sums = overview(attachment.inventory)
    return _Made(sums, time.monotonic(), time.thread_time() - began, attachment.tables.generation)


class OverviewHandler(Asked):
    """Nothing of it is for who is kept to clients: such a person has no ticket."""

    async def answer(self) -> Overview:
        """Raises `Refused`."""
        attachment = self.pump.attachment
        if attachment is None:
            raise Refused(503, "there is no engine to ask")
        overviews: Overviews = self.shared["overviews"]
        try:
            made = await overviews.now(self.pump, attachment)
        except TornReadError as error:
            raise Refused(503, str(error)) from error
        names = [market.code for market in attachment.tables.markets]
        sums = made.sums
        return Overview(
            currency=self.shared["currency"],
            made_ms=time.time() * 1e3 - (time.monotonic() - made.at_s) * 1e3,
            took_ms=round(made.took_s * 1e3, 3),
            measures=[MeasureAnswer(m.column, m.title, m.description, m.role, m.day) for m in sums.measures],
            markets=_parts(sums, names, 1),
            temperatures=_parts(sums, [temperature.name for temperature in Temperature], 0),
            stats=attachment.stats(writer.now_ns()),
        )


def _parts(sums: Sums, names: list[str], over: int) -> list[Part]:
    """One for each market (`over` 1) or temperature (0): what it comes to over the other."""
    money, shares = sums.money.sum(axis=1 + over), sums.shares.sum(axis=1 + over)
    hard = sums.money[:, :, Temperature.HTB] if over else np.zeros(money.shape)
    securities, negative, unpriced = (
        counted.sum(axis=over).tolist() for counted in (sums.securities, sums.negative, sums.unpriced)
    )
    return [
        Part(
            name=name,
            securities=securities[at],
            negative=negative[at],
            unpriced=unpriced[at],
            money=money[:, at].round(2).tolist(),
            shares=shares[:, at].tolist(),
            hard=hard[:, at].round(2).tolist(),
        )
        for at, name in enumerate(names)
    ]
