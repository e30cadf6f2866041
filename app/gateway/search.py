"""`GET /search?ticket=&q=&limit=&exact=`: securities by what a person types, and in words why there are none."""

import re
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from app.gateway.asked import Asked, Refused
from app.gateway.writer import Attachment
from engine.model import SecurityFlag, Temperature
from engine.views import TornReadError
from engine.views_search import Found, Search
from feeds.identifier_check import BrokenIdentifierError, checked
from feeds.master_records import IdentifierType

MAX_FOUND: Final = 50
MAX_TEXT: Final = 100
_MIC: Final = re.compile(r"[A-Z0-9]{4}")
_SHAPES: Final = (
    (IdentifierType.FIGI, re.compile(r"BBG[A-Z0-9]{9}")),
    (IdentifierType.ISIN, re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")),
    (IdentifierType.CUSIP, re.compile(r"[0-9][A-Z0-9@#*]{7}[0-9]")),
    (IdentifierType.SEDOL, re.compile(r"[B-DF-HJ-NP-TV-Z0-9]{6}[0-9]")),
)
"""What looks like an identifier: nobody has it, or it cannot be one."""


class Hit(Struct, frozen=True):
    """A security."""

    code: Annotated[str, Meta(description="Our own.")]
    name: str
    ticker: str
    market: str
    mic: Annotated[str, Meta(description="Of the exchange whose calendar the market has; empty where there is none.")]
    country: str
    currency: str
    temperature: str
    isin: Annotated[str, Meta(description="Empty where it is incomplete as published.")]
    cusip: str
    sedol: str
    figi: str
    matched: Annotated[str, Meta(description="What of it was typed.")]


class Hits(Struct, frozen=True):
    """The likeliest first."""

    found: list[Hit]
    total: int
    why: Annotated[str, Meta(description="Why there are none; else empty.")]


class SearchHandler(Asked):
    """Looks into the copy of the reference data that grids have, beside the loop."""

    async def answer(self) -> Hits:
        """Raises `Refused`."""
        text = " ".join(self.get_query_argument("q", "").split())
        limit, exact = self.number("limit", 12, MAX_FOUND), self.get_query_argument("exact", "") == "1"
        if len(text) > MAX_TEXT:
            raise Refused(400, f"q: at most {MAX_TEXT} characters")
        attachment = self.pump.attachment
        if attachment is None:
            raise Refused(503, "there is no engine to ask")
        try:
            return await attachment.run(self.pump.executor, self._searched, attachment, text, limit, exact)
        except TornReadError as error:
            raise Refused(503, str(error)) from error

    def _searched(self, attachment: Attachment, text: str, limit: int, exact: bool) -> Hits:  # noqa: FBT001  as it is asked
        search = attachment.search()
        found = search.find(text, limit, exact=exact)
        mics = [market.calendar if _MIC.fullmatch(market.calendar) else "" for market in attachment.tables.markets]
        why = "" if found.total or not text else why_nothing(search, text)
        return Hits(_hits(search, found, mics), found.total, why)


def why_nothing(search: Search, text: str) -> str:
    """Why no security is what was typed, as far as can be told from it."""
    ticker, at, market = text.rpartition("@")
    if at:
        if not search.is_market(market):
            return f"There is no market {market!r}: there are {', '.join(search.reference.markets)}."
        elsewhere = search.markets_of(ticker)
        if elsewhere:
            return f"{ticker.upper()} is traded in {', '.join(elsewhere)}, not in {market.upper()}."
        return f"No security has the ticker {ticker.upper()} in any market."
    words = text.split()
    if len(words) > 1:
        alone = [word for word in words if not search.find(word, 1).total]
        if alone:
            return f"No name or identifier has {' or '.join(repr(word) for word in alone)}."
        return "Each of these words is found, but no security has all of them."
    for kind, shape in _SHAPES:
        if shape.fullmatch(text.upper()):
            try:
                checked(kind, text)
            except BrokenIdentifierError as error:
                return f"{text.upper()} is no {kind}: {error}."
            return f"No security here has the {kind} {text.upper()}."
    return f"No name or identifier has {text!r}."


def _hits(search: Search, found: Found, mics: list[str]) -> list[Hit]:
    reference = search.reference
    hits = []
    for at, matched in zip(found.ids.tolist(), found.matched, strict=True):
        record: Any = reference.records[at]
        text = {name: bytes(record[name]).decode("utf-8", "replace") for name in _TEXTS}
        if int(record["flags"]) & SecurityFlag.MASKED_ISIN:
            text["isin"] = ""
        market = int(reference.market[at])
        hits.append(
            Hit(
                **text,
                market=reference.markets[market],
                mic=mics[market],
                temperature=Temperature(int(reference.temperature[at])).name,
                matched=matched,
            )
        )
    return hits


_TEXTS: Final = ("code", "name", "ticker", "country", "currency", "isin", "cusip", "sedol", "figi")
