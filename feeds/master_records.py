"""What the security master is told: securities by source, merges and splits, baskets and counterparties, as wire records."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from engine.model import RATE_UNKNOWN, SecurityFlag

_ALL_FLAGS: Final = int(sum(SecurityFlag))
Flags: TypeAlias = Annotated[int, Meta(ge=0, le=_ALL_FLAGS)]
Rate: TypeAlias = Annotated[int, Meta(gt=RATE_UNKNOWN, lt=2**31)]
Shares: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
Version: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class IdentifierType(StrEnum):
    """What sort of name an identifier is."""

    ISIN = "ISIN"
    CUSIP = "CUSIP"
    SEDOL = "SEDOL"
    FIGI = "FIGI"
    TICKER = "TICKER"
    """Together with its market only."""
    RIC = "RIC"
    BBG = "BBG"
    LEI = "LEI"
    """The issuer's: many securities have it, so it leads to none."""


class Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A name of a security, valid from a date until before another; None: always, and for good. `market`: of a ticker."""

    type: IdentifierType
    value: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    market: str = ""


class Security(msgspec.Struct, tag="security", frozen=True, forbid_unknown_fields=True):
    """What one source says of a security, whole: it replaces what the source said before.

    `market` is a market's code, `temperature` and `classification` are names of the enumerations of those names; on the way
    through the security master also what the vocabulary knows for them. Rates are in `RATE_UNIT`, None where unknown.
    `event_date`: the next dividend or corporate action, None where none is known. `volume_30d`: average shares traded a day,
    `outstanding`: shares issued, 0 where unknown. `source`: who says it; empty: our own reference data. `version`: the
    source's own count; an older one than is known changes nothing. What a source leaves empty it does not say.
    """

    code: str
    ticker: str = ""
    isin: str = ""
    cusip: str = ""
    sedol: str = ""
    figi: str = ""
    name: str = ""
    currency: str = ""
    country: str = ""
    market: str = ""
    temperature: str = "UNKNOWN"
    flags: Flags = 0
    fee: Rate | None = None
    rebate: Rate | None = None
    classification: str = "UNKNOWN"
    event_date: dt.date | None = None
    volume_30d: Shares = 0
    outstanding: Shares = 0
    source: str = ""
    identifiers: tuple[Identifier, ...] = ()
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    version: Version | None = None


class Merge(msgspec.Struct, tag="merge", frozen=True, forbid_unknown_fields=True):
    """Two securities are one: `source` becomes `target`, with its names and its positions."""

    source: str
    target: str
    comment: str = ""


class Split(msgspec.Struct, tag="split", frozen=True, forbid_unknown_fields=True):
    """Positions of `source` go to `target`: of a book, a depot or both; or, where neither is named, what a merge of `target`
    into `source` brought is taken back."""

    source: str
    target: str
    book: str = ""
    depot: str = ""
    comment: str = ""


class BasketKind(StrEnum):
    """What a basket is for."""

    PRICING = "pricing"
    """What makes the price of an index or a fund."""
    CREATION = "creation"
    """What is delivered for a creation unit of a fund."""


class Component(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A member of a basket: so many shares, or a weight in billionths, of the basket's unit."""

    security: str
    shares: Shares = 0
    weight: Annotated[int, Meta(ge=0, le=10**9)] = 0


class Composition(msgspec.Struct, tag="composition", frozen=True, forbid_unknown_fields=True):
    """A basket as its provider states it, whole. `unit`: shares of the fund that the basket stands for; `cash` in hundredths
    of `currency` goes with it."""

    security: str
    kind: BasketKind = BasketKind.PRICING
    components: tuple[Component, ...] = ()
    date: dt.date | None = None
    unit: Shares = 0
    cash: Annotated[int, Meta(ge=-(10**15), le=10**15)] = 0
    currency: str = ""
    source: str = ""
    version: Version | None = None


class Counterparty(msgspec.Struct, tag="counterparty", frozen=True, forbid_unknown_fields=True):
    """Who we deal with. `kind`: a name of `engine.model.CounterpartyKind`; `lei`: legal entity identifier, checked."""

    code: str
    name: str = ""
    lei: str = ""
    country: str = ""
    kind: str = "UNKNOWN"


Record: TypeAlias = Security | Merge | Split | Composition | Counterparty


class FaultKind(StrEnum):
    """What can be wrong with names and words; each is an exception that somebody should look at."""

    CONFLICT = "conflict"
    """Two sources give a security two values: none of them leads anywhere until a person has decided."""
    SHARED = "shared"
    """Two securities have the same name: it leads to neither until a person has decided."""
    BROKEN = "broken_identifier"
    """The check digit or the form is wrong."""
    MASKED = "masked_identifier"
    BARE_TICKER = "bare_ticker"
    """A ticker without a market names nothing."""
    WORD = "unknown_word"
    """A country, a temperature or a classification that the vocabulary does not know."""
    INCOMPLETE = "incomplete"
    """No source says in which market the security is."""


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Something a source says that cannot be used; the rest of its record can."""

    kind: FaultKind
    field: str
    value: str
    detail: str
