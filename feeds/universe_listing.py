"""How the markets of the demo universe list their securities: data of one file each, and the forms of their identifiers.

A file names the form in which its market makes ISINs and tickers; the forms are here, and know no market.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.model import PRICE_UNIT, Market
from feeds.identifiers import (
    CONSONANTS_AND_DIGITS,
    DIGITS,
    LETTERS_AND_DIGITS,
    Text,
    cusip,
    isin,
    joined,
    scattered,
    written,
)

_COUNTRY: Final = re.compile("[A-Z]{2}")
_NOWHERE: Final = "XS"
"""The prefix of ISINs that no country gives."""
_BODY: Final = 9
"""Characters of an ISIN between its country and its check digit."""


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a market's file."""


class Depot(_Data, frozen=True):
    """Where stock lies."""

    code: str
    name: str


class Abroad(_Data, frozen=True):
    """That part of the companies is of another country, whose ISINs begin with `prefix`."""

    prefix: str
    percent: int


class Numbering(_Data, frozen=True):
    """How ISINs are made: country, `prefix`, what the form gives, `suffix`."""

    form: Literal["alphanumeric", "cusip", "digits", "sedol", "ticker"]
    prefix: str = ""
    suffix: str = ""
    abroad: Abroad | None = None


class Tickers(_Data, frozen=True):
    """So many letters of a name; or numbers of so many digits, from `first` on, multiples of `step` while they last."""

    letters: int = 0
    digits: int = 0
    first: int = 0
    step: int = 1


class Names(_Data, frozen=True):
    """The words of company names: `beginnings` and `endings` are separated by blanks, `lines` and `forms` by bars."""

    beginnings: str
    endings: str
    lines: str
    forms: str


class Listing(_Data, frozen=True):
    """One market's manner. Prices in currency units; `usd` is about what one unit is worth, `rate` percent a year."""

    share: float
    """Part of the universe, before scaling to 1."""
    price: float
    """The median."""
    usd: float
    rate: float
    ticks: tuple[tuple[float, float], ...]
    """From this price on, this step."""
    lots: tuple[int, ...]
    entity: str
    """Whose books are of this market."""
    depots: tuple[Depot, ...]
    """The market's own first, then where else its stock lies."""
    numbering: Numbering
    tickers: Tickers
    names: Names
    code: str = ""
    """The market's; "" in the listing of all markets that have none of their own."""
    lead: float = 1.0
    """How much likelier than elsewhere a security is to be among the most traded ones."""
    day_count: int = 360
    """Days of an interest year."""
    designated: float = 1.0
    """The part of its securities that may be sold short."""
    threshold: float = 0.0
    """The part of them with persistent settlement failures."""
    published: bool = False
    """Whether a published availability file is of this market."""


def listings_of(markets: Sequence[Market], listings: Mapping[str, Listing]) -> list[Listing]:
    """The manner of each market; that of the name "" where `listings` has none of its own. Raises KeyError for neither."""
    return [listings[market.code if market.code in listings else ""] for market in markets]


def shares(listings: Sequence[Listing], count: int) -> NDArray[np.int64]:
    """How many of `count` securities each market lists: sums to `count`, one each at least if there are enough."""
    weights = np.array([listing.share for listing in listings])
    ends = np.rint(np.cumsum(weights / weights.sum()) * count).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0))


def price_steps(listing: Listing, prices: NDArray[np.float64]) -> NDArray[np.int64]:
    """The smallest price change at these prices (currency units), in `PRICE_UNIT`."""
    limits, steps = zip(*listing.ticks, strict=True)
    at = np.searchsorted(np.array(limits), prices, side="right") - 1
    return np.asarray(np.rint(np.array(steps)[at] * PRICE_UNIT), np.int64)


def country(code: str) -> str:
    """What the ISINs of a market begin with."""
    return code if _COUNTRY.fullmatch(code) else _NOWHERE


@dataclass(frozen=True, slots=True)
class Identified:
    """Identifiers of one market's securities, each an S array; CUSIPs are empty where ISINs are made of other numbers."""

    ticker: Text
    isin: Text
    cusip: Text
    country: Text


def identified(code: str, listing: Listing, names: Sequence[str], sedols: Text, start: int) -> Identified:
    """Tickers and identifiers for securities of these names; tickers and ISINs are unique within the market `code`."""
    tickers = _tickers(listing.tickers, names, start)
    bodies = _FORMS[listing.numbering.form](
        country(code), listing.numbering, _Given(len(names), start, tickers, sedols)
    )
    has_cusips = listing.numbering.form == "cusip"
    return Identified(
        ticker=tickers,
        isin=isin(bodies.astype("S11")),
        cusip=np.strings.slice(bodies, 2, 11).astype("S9") if has_cusips else np.full(len(names), b"", "S1"),
        country=np.strings.slice(bodies, 0, 2).astype("S2"),
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """What identifiers are made from, one of each per security; `start`: where numbers begin."""

    count: int
    start: int
    tickers: Text
    sedols: Text


_Form = Callable[[str, Numbering, _Given], Text]
"""Bodies of ISINs, 11 characters."""


def _cusips(country: str, _: Numbering, given: _Given) -> Text:
    signs = len(LETTERS_AND_DIGITS)
    issuer = scattered(given.count, 10_000 * signs**2, given.start)
    front = written(issuer // signs**2 % 1_000, DIGITS, 3)
    middle = written(issuer, LETTERS_AND_DIGITS, 2)
    last = written(issuer // (1_000 * signs**2), DIGITS, 1)
    return joined(country, cusip(joined(front, middle, last, "10")))


def _of_tickers(country: str, how: Numbering, given: _Given) -> Text:
    width = _BODY - len(how.prefix) - len(how.suffix)
    return joined(country, how.prefix, np.asarray(np.strings.zfill(given.tickers, width)), how.suffix)


def _digits(country: str, how: Numbering, given: _Given) -> Text:
    width = _BODY - len(how.prefix) - len(how.suffix)
    number = scattered(given.count, 10**width, given.start)
    local = joined(country, how.prefix, written(number, DIGITS, width), how.suffix)
    if how.abroad is None:
        return local
    foreign = joined(how.abroad.prefix, written(number, DIGITS, 2 + _BODY - len(how.abroad.prefix)))
    return np.where(number % 100 < how.abroad.percent, foreign, local)


def _of_sedols(country: str, how: Numbering, given: _Given) -> Text:
    return joined(country, how.prefix, given.sedols)


def _alphanumeric(country: str, how: Numbering, given: _Given) -> Text:
    width, signs = _BODY - len(how.prefix), len(LETTERS_AND_DIGITS)
    number = scattered(given.count, 10 * signs ** (width - 1), given.start)
    return joined(country, how.prefix, written(number, LETTERS_AND_DIGITS, width))


_FORMS: Final[dict[str, _Form]] = {
    "alphanumeric": _alphanumeric,
    "cusip": _cusips,
    "digits": _digits,
    "sedol": _of_sedols,
    "ticker": _of_tickers,
}


def _tickers(how: Tickers, names: Sequence[str], start: int) -> Text:
    if how.letters:
        return _letters(names, how.letters)
    if how.step > 1:
        return _stepped(len(names), how.digits, how.step, start)
    return _numbers(len(names), how.first, how.digits, start)


def _stepped(count: int, width: int, step: int, start: int) -> Text:
    """Numbers of `width` digits, multiples of `step` while there are enough of them."""
    if count > 10**width // step:
        step = 1
    return written(step * scattered(count, 10**width // step, start), DIGITS, width)


def _numbers(count: int, first: int, width: int, start: int) -> Text:
    """Numeric tickers from `first` on, of `width` digits or as many more as it takes."""
    while count > 10**width - first:
        width, first = width + 1, 10**width
    return written(first + scattered(count, 10**width - first, start), DIGITS, width)


def _letters(names: Sequence[str], width: int) -> Text:
    """Tickers of letters in the manner of a name: its consonants, then with the letters of the words that follow."""
    taken: set[str] = set()
    tickers = []
    for number, name in enumerate(names):
        letters = "".join(c for c in name.upper() if "A" <= c <= "Z")
        skeleton = letters[0] + "".join(c for c in letters[1:] if c not in "AEIOUY")
        ticker = next((t for t in _attempts(letters, skeleton, width) if t not in taken), None) or _coined(
            number, taken
        )
        taken.add(ticker)
        tickers.append(ticker)
    return np.array(tickers).astype("S")


def _attempts(letters: str, skeleton: str, width: int) -> list[str]:
    ends = skeleton[width - 1 : width + 8]
    return [skeleton[:width], letters[:width], *(skeleton[: width - 1] + end for end in ends)]


def _coined(number: int, taken: set[str]) -> str:
    """A ticker that no name suggests."""
    consonants = CONSONANTS_AND_DIGITS[10:]
    while True:
        rest, ticker = number, ""
        for _ in range(4):
            rest, digit = divmod(rest, len(consonants))
            ticker += consonants[digit]
        if rest:
            ticker += consonants[rest % len(consonants)]
        if ticker not in taken:
            return ticker
        number += 7_919
