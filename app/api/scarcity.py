"""/api/v1/scarcity: how scarce stock is now, by market and class of instrument or temperature: the cells of a heat map."""

import asyncio
import datetime as dt
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from tornado.web import RequestHandler

from app.api.answers import time_of
from app.api.base import Base
from app.api.formats import Form, body_of, form_of
from app.api.parameters import Parameters
from app.api.problems import ProblemError
from app.identity import Role
from engine.model import HEAD_FACTS, PRICE_UNIT, Classification, Fact, Temperature
from engine.rule_model import Role as Plays
from engine.tables import Tables, TornReadError, Word

_READERS: Final = frozenset({Role.TRADER, Role.OPS, Role.COMPLIANCE, Role.ADMIN})
FRESH_S: Final = 1.0
"""However many ask, the cells are made once in this time."""
HOT_BASIS_POINTS: Final = 9_000
_FX_UNIT: Final = 10**9


class By(StrEnum):
    """The second axis."""

    CLASSIFICATION = "classification"
    TEMPERATURE = "temperature"


class ScarcityCell(Struct, frozen=True, kw_only=True):
    """Securities of a market and a group; of those that have stock where nothing else is said."""

    market: str
    group: str
    securities: Annotated[int, Meta(description="That have stock.")]
    utilisation: Annotated[float, Meta(description="Percent: the median of what is used of what can be lent.")]
    hot: Annotated[int, Meta(description="Securities of which 90% or more is used.")]
    pool: Annotated[int, Meta(description="Shares that short locates are approved from.")]
    remaining: Annotated[int, Meta(description="What of them is not located; below zero where more was promised.")]
    remaining_value: Annotated[float, Meta(description="The same at the last price, in the reporting currency.")]
    short_of_stock: Annotated[int, Meta(description="Securities with nothing remaining, or less.")]


class ScarcityPage(Struct, frozen=True, kw_only=True):
    """Cells by market, then by group; those without a security that has stock are left out."""

    cells: list[ScarcityCell]
    by: By
    currency: Annotated[str, Meta(description="The reporting currency.")]
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event that is in it.")]
    next_cursor: None = None


class Scarcity(Base):
    """Worked out beside the loop that decides."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"GET": _READERS}
    _made: ClassVar[WeakKeyDictionary[Tables, dict[By, tuple[float, ScarcityPage]]]] = WeakKeyDictionary()
    """When each was made, and what."""

    async def get(self) -> None:
        """By market and group."""
        self.checked_body()
        form, parameters = form_of(self.request.headers.get("Accept", "")), Parameters(self, ("by",))
        by = parameters.read("by", _by) or By.CLASSIFICATION
        parameters.check()
        body = await asyncio.to_thread(lambda: body_of(form, self._page(by), ScarcityCell))
        self.set_header("Vary", "Accept")
        self.answer(body, media_type=f"{form}; charset=utf-8; header=present" if form == Form.CSV else str(form))

    def _page(self, by: By) -> ScarcityPage:
        tables = self.context.securities.tables
        made = self._made.setdefault(tables, {})
        known = made.get(by)
        if known is None or time.monotonic() - known[0] > FRESH_S:
            try:
                known = time.monotonic(), scarcity(tables, by, self.context.reporting_currency)
            except TornReadError as error:
                raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
            made[by] = known
        return known[1]


def scarcity(tables: Tables, by: By, currency: str) -> ScarcityPage:
    """The cells of now. Columns are copied without the epoch: one word is never torn, and a cell is of thousands of them.

    Raises `TornReadError`.
    """
    count, catalogue = tables.count(Word.SECURITIES), tables.catalogue
    records = tables.array["security"][1 : count + 1]
    market = records["market"].astype(np.int64)
    group = records[by].astype(np.int64)
    settles = np.array([each.settle_days for each in tables.markets])[market]
    everybody = np.arange(1, count + 1)

    def numbers(plays: Plays) -> NDArray[np.int64]:
        return np.asarray(tables.array["values"][everybody, catalogue.playing(plays), settles])

    pool, left, used = numbers(Plays.POOL_SHORT), numbers(Plays.LEFT_SHORT), numbers(Plays.UTILISATION)
    head = tables.array["head"][1 : count + 1]
    price = head[:, HEAD_FACTS + Fact.PRICE] / PRICE_UNIT * (head[:, HEAD_FACTS + Fact.FX] / _FX_UNIT)
    names = [each.name for each in (Classification if by == By.CLASSIFICATION else Temperature)]
    stocked = (pool != 0) | (used != 0)
    cells = []
    for key in np.unique(market[stocked] * len(names) + group[stocked]).tolist():
        here = stocked & (market * len(names) + group == key)
        cells.append(
            ScarcityCell(
                market=tables.markets[key // len(names)].code,
                group=names[key % len(names)],
                securities=int(here.sum()),
                utilisation=round(float(np.median(used[here])) / 100, 2),
                hot=int((used[here] >= HOT_BASIS_POINTS).sum()),
                pool=int(pool[here].sum()),
                remaining=int(left[here].sum()),
                remaining_value=round(float((left[here] * price[here]).sum()), 2),
                short_of_stock=int((left[here] <= 0).sum()),
            )
        )
    as_of_ns = tables.count(Word.LAST_EVENT_NS)
    return ScarcityPage(cells=cells, by=by, currency=currency, as_of=time_of(as_of_ns) if as_of_ns > 0 else None)


def _by(text: str) -> By:
    if text not in list(By):
        raise ValueError(f"Expected one of {', '.join(By)}")
    return By(text)


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = ((r"/api/v1/scarcity", Scarcity),)
"""Path and handler."""
