"""/api/v1/availability and /api/v1/easy-to-borrow: what can be lent and located now."""

import asyncio
import datetime as dt
from functools import partial
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from app.api import answers
from app.api.answers import AvailabilityPage, percent, time_of
from app.api.base import Base
from app.api.formats import send
from app.api.parameters import Parameters, member, number, signed
from app.api.problems import ProblemError
from app.api.securities import Securities
from engine.model import RATE_UNKNOWN, Classification, SecurityFlag, Temperature
from engine.rule_model import Role
from engine.tables import Tables, TornReadError, Word

MAX_PAGE: Final = 500
_A_TURN: Final = 5
"""Securities shown before others get their turn on the loop that decides: a millisecond or so."""
_FILTERS: Final = ("market", "temperature", "classification", "left_min")
_JSON: Final = msgspec.json.Encoder()


class EasyToBorrow(Struct, frozen=True):
    """A security that may be located without asking a person: general collateral with something left."""

    security: str
    ticker: str
    isin: Annotated[str, Meta(description="Empty where it is incomplete as published.")]
    cusip: str
    sedol: str
    figi: str
    name: str
    market: str
    currency: str
    left: Annotated[int, Meta(description="Shares left for locates of short sales.")]
    at_least: Annotated[bool, Meta(description="A part of it is a floor that a lender published, not a count.")]
    rate: Annotated[float | None, Meta(description="Borrow fee, percent a year; null where unknown.")]
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event that is in it.")]
    stale: Annotated[bool, Meta(description="Feeds are silent or not complete: nothing is approved without a person.")]


class EasyToBorrowPage(Struct, frozen=True, kw_only=True):
    """Securities in the order in which they became known."""

    securities: list[EasyToBorrow]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for more; null at the end.")]


class Wanted(Struct, frozen=True, kw_only=True):
    """Which securities; None: all."""

    market: int | None = None
    temperature: Temperature | None = None
    classification: Classification | None = None
    left_min: int | None = None
    after: int = 0
    """Ids above this one."""
    limit: int

    def ids(self, tables: Tables) -> NDArray[np.int64]:
        """The next `limit` of them."""
        last = tables.count(Word.SECURITIES)
        records = tables.array["security"][self.after + 1 : last + 1]
        fits = np.ones(len(records), bool)
        for name in ("market", "temperature", "classification"):
            if (value := getattr(self, name)) is not None:
                fits &= records[name] == value
        if self.left_min is not None:
            fits &= left_of(tables, np.arange(self.after + 1, last + 1)) >= self.left_min
        return np.flatnonzero(fits)[: self.limit] + self.after + 1


def left_of(tables: Tables, securities: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is left for short locates of securities, on the day on which a trade of today settles."""
    days = np.array([market.settle_days for market in tables.markets])
    markets = tables.array["security"]["market"][securities]
    role = tables.catalogue.playing(Role.LEFT_SHORT)
    left: NDArray[np.int64] = tables.array["values"][securities, role, days[markets]]
    return left


class Availabilities(Base):
    """/api/v1/availability."""

    async def get(self) -> None:
        """What can be lent and located now, of many securities."""
        self.checked_body()
        securities = self.context.securities
        wanted = _wanted(self, _FILTERS)
        found = wanted.ids(securities.tables).tolist()
        shown: list[answers.Availability] = []
        now_ns = self.context.decisions.clock()
        for number_, security in enumerate(found[: wanted.limit - 1]):
            if number_ and number_ % _A_TURN == 0:
                await asyncio.sleep(0)
            shown.append(securities.availability(security, now_ns))
        cursor = str(found[-2]) if len(found) == wanted.limit else None
        await send(self, answers.Availability, lambda: AvailabilityPage(securities=shown, next_cursor=cursor))


class Availability(Base):
    """/api/v1/availability/{security}."""

    async def get(self, text: str) -> None:
        """What can be lent and located of a security now."""
        self.checked_body()
        security = self.context.securities.find(text)
        if not security:
            raise ProblemError(
                404, "not-found", f"no security {text}: give a code, ISIN, CUSIP, SEDOL, FIGI or TICKER@MARKET"
            )
        self.answer(_JSON.encode(self.context.securities.availability(security, self.context.decisions.clock())))


class EasyToBorrowList(Base):
    """/api/v1/easy-to-borrow."""

    for_clients = True

    async def get(self) -> None:
        """What may be located without asking."""
        self.checked_body()
        securities = self.context.securities
        asked = _wanted(self, ("market", "left_min"))
        wanted = msgspec.structs.replace(asked, temperature=Temperature.GC, left_min=max(1, asked.left_min or 1))

        def page() -> EasyToBorrowPage:
            try:
                return securities.tables.read(lambda: _easy(securities, wanted))
            except TornReadError as error:
                raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error

        await send(self, EasyToBorrow, page)


def _easy(securities: Securities, wanted: Wanted) -> EasyToBorrowPage:
    tables = securities.tables
    ids = wanted.ids(tables)
    more = str(ids[-2]) if len(ids) == wanted.limit else None
    ids = ids[: wanted.limit - 1]
    records, stale = tables.array["security"][ids], securities.stale
    as_of_ns = tables.count(Word.LAST_EVENT_NS)
    as_of = time_of(as_of_ns) if as_of_ns > 0 else None
    rows = []
    for record, left in zip(records, left_of(tables, ids).tolist(), strict=True):
        flags, fee = int(record["flags"]), int(record["fee"])
        texts = {name: bytes(record[name]).decode("utf-8", "replace") for name in ("code", *_TEXTS)}
        rows.append(
            EasyToBorrow(
                security=texts.pop("code"),
                **texts | ({"isin": ""} if flags & SecurityFlag.MASKED_ISIN else {}),
                market=tables.markets[int(record["market"])].code,
                left=left,
                at_least=bool(flags & SecurityFlag.AT_LEAST),
                rate=percent(None if fee == RATE_UNKNOWN else fee),
                as_of=as_of,
                stale=stale,
            )
        )
    return EasyToBorrowPage(securities=rows, next_cursor=more)


_TEXTS: Final = ("ticker", "isin", "cusip", "sedol", "figi", "name", "currency")


def _wanted(handler: Base, filters: tuple[str, ...]) -> Wanted:
    """What is asked for, and a security more than shown. Raises `ProblemError`."""
    parameters = Parameters(handler, (*filters, "limit", "cursor"))
    wanted = Wanted(
        market=parameters.read("market", handler.context.securities.market_index),
        temperature=parameters.read("temperature", partial(member, of=Temperature)),
        classification=parameters.read("classification", partial(member, of=Classification)),
        left_min=parameters.read("left_min", signed),
        limit=(parameters.read("limit", partial(number, least=1, most=MAX_PAGE)) or 100) + 1,
        after=parameters.read("cursor", partial(number, least=0, most=2**31)) or 0,
    )
    parameters.check()
    return wanted


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (r"/api/v1/availability", Availabilities),
    (r"/api/v1/availability/([^/]+)", Availability),
    (r"/api/v1/easy-to-borrow", EasyToBorrowList),
)
