"""How each market of the demo universe lists its securities: share, tickers, identifiers, prices, lots, depots."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Listing:
    """One market's manner. Prices in currency units; `usd` is about what one unit is worth, `rate` percent a year."""

    share: float
    """Part of the universe, before scaling to 1."""
    price: float
    usd: float
    rate: float
    ticks: tuple[tuple[float, float], ...]
    """From this price on, this step."""
    lots: tuple[int, ...]
    depots: tuple[tuple[str, str], ...]
    """The market's own first, then where else its stock lies."""


_CAYMAN: Final = 40
"""Percent of the companies listed in Hong Kong that are of the Cayman Islands."""
_COUNTRY: Final = re.compile("[A-Z]{2}")
_EOC: Final = ("EOC", "Euroclear Bank")
_CBL: Final = ("CBL", "Clearstream Luxembourg")
_EURO_TICKS: Final = ((0.0, 0.001), (1.0, 0.005), (10.0, 0.01), (50.0, 0.05), (500.0, 0.5))
_YEN_TICKS: Final = ((0.0, 0.5), (1_000.0, 1.0), (5_000.0, 5.0), (30_000.0, 50.0))
_WON_TICKS: Final = ((0.0, 1.0), (2_000.0, 5.0), (20_000.0, 50.0), (200_000.0, 500.0))
_HKD_TICKS: Final = ((0.0, 0.001), (0.25, 0.005), (0.5, 0.01), (10.0, 0.02), (100.0, 0.1), (500.0, 0.5))
_TWD_TICKS: Final = ((0.0, 0.01), (10.0, 0.05), (50.0, 0.1), (100.0, 0.5), (500.0, 1.0), (1_000.0, 5.0))
LISTINGS: Final = {
    "US": Listing(
        0.45, 32, 1.0, 3.9, ((0.0, 0.0001), (1.0, 0.01)), (100,), (("DTC", "Depository Trust Company"), _EOC)
    ),
    "TW": Listing(0.08, 62, 0.031, 1.6, _TWD_TICKS, (1_000,), (("TDCC", "Taiwan Depository & Clearing"),)),
    "JP": Listing(0.15, 1_750, 0.0066, 0.6, _YEN_TICKS, (100,), (("JASDEC", "Japan Securities Depository"), _EOC)),
    "KR": Listing(0.09, 18_500, 0.00071, 2.6, _WON_TICKS, (10,), (("KSD", "Korea Securities Depository"),)),
    "HK": Listing(0.08, 5.8, 0.128, 3.4, _HKD_TICKS, (100, 200, 500, 1_000, 2_000), (("CCASS", "HKSCC CCASS"), _EOC)),
    "GB": Listing(0.06, 4.2, 1.31, 4.0, ((0.0, 0.0005), (1.0, 0.002), (10.0, 0.01)), (1,), (("CREST", "CREST"), _EOC)),
    "DE": Listing(0.05, 27, 1.14, 2.0, _EURO_TICKS, (1,), (("CBF", "Clearstream Frankfurt"), _CBL)),
    "FR": Listing(0.04, 24, 1.14, 2.0, _EURO_TICKS, (1,), (("EFR", "Euroclear France"), _CBL)),
}
_PLAIN: Final = Listing(0.03, 20, 1.0, 3.0, ((0.0, 0.01),), (1,), (_EOC, _CBL))


def listing(market: Market) -> Listing:
    """The market's manner; a plain one where this page knows none."""
    return LISTINGS.get(market.code, _PLAIN)


def shares(markets: Sequence[Market], count: int) -> NDArray[np.int64]:
    """How many of `count` securities each market lists: sums to `count`, one each at least if there are enough."""
    weights = np.array([listing(market).share for market in markets])
    ends = np.rint(np.cumsum(weights / weights.sum()) * count).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0))


def price_steps(market: Market, prices: NDArray[np.float64]) -> NDArray[np.int64]:
    """The smallest price change at these prices (currency units), in `PRICE_UNIT`."""
    limits, steps = zip(*listing(market).ticks, strict=True)
    at = np.searchsorted(np.array(limits), prices, side="right") - 1
    return np.asarray(np.rint(np.array(steps)[at] * PRICE_UNIT), np.int64)


@dataclass(frozen=True, slots=True)
class Identified:
    """Identifiers of one market's securities, each an S array; CUSIPs are empty outside the US."""

    ticker: Text
    isin: Text
    cusip: Text
    country: Text


def identified(market: Market, names: Sequence[str], sedols: Text, start: int) -> Identified:
    """Tickers and identifiers for securities of these names; tickers and ISINs are unique within the market."""
    build = _BUILDERS.get(market.code, _plain)
    made = build(market.code, names, sedols, start)
    bodies, tickers = made[0], made[1]
    is_us = market.code == "US"
    cusips = np.strings.slice(bodies, 2, 11).astype("S8") if is_us else np.full(len(names), b"", "S1")
    return Identified(
        ticker=tickers,
        isin=isin(bodies.astype("S11")),
        cusip=cusip(cusips) if is_us else cusips,
        country=np.strings.slice(bodies, 0, 2).astype("S2"),
    )


_Made = tuple[Text, Text]
"""Bodies of ISINs (11 characters), and tickers."""
_Builder = Callable[[str, Sequence[str], Text, int], _Made]


def _us(_: str, names: Sequence[str], __: Text, start: int) -> _Made:
    issuer = scattered(len(names), 10_000 * len(LETTERS_AND_DIGITS) ** 2, start)
    front = written(issuer // len(LETTERS_AND_DIGITS) ** 2 % 1_000, DIGITS, 3)
    middle = written(issuer, LETTERS_AND_DIGITS, 2)
    last = written(issuer // (1_000 * len(LETTERS_AND_DIGITS) ** 2), DIGITS, 1)
    cusip_bodies = joined(front, middle, last, "10")
    return joined("US", cusip(cusip_bodies)), _letters(names, 4)


def _taiwan(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    tickers = _numbers(len(names), 1_101, 4, start)
    return joined(code, _padded(tickers, 7), "00"), tickers


def _japan(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    issuer = written(scattered(len(names), 1_000_000, start), DIGITS, 6)
    return joined(code, "3", issuer, "00"), _numbers(len(names), 1_301, 4, start)


def _korea(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    space = 10**5 if len(names) <= 10**5 else 10**6  # short codes end in 0 while there are enough of them
    tickers = written(10**6 // space * scattered(len(names), space, start), DIGITS, 6)
    return joined(code, "7", tickers, "00"), tickers


def _hong_kong(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    number = scattered(len(names), 10_000_000, start)
    local = joined(code, "00", written(number, DIGITS, 7))
    cayman = joined("KYG", written(number, DIGITS, 8))
    return np.where(number % 100 < _CAYMAN, cayman, local), _numbers(len(names), 1, 4, start)


def _britain(code: str, names: Sequence[str], sedols: Text, _: int) -> _Made:
    return joined(code, "00", sedols), _letters(names, 3)


def _germany(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    wkn = joined("A", written(scattered(len(names), 10 * 34**4, start), LETTERS_AND_DIGITS, 5))
    return joined(code, "000", wkn), _letters(names, 3)


def _france(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    return joined(code, "00", written(scattered(len(names), 10**7, start), DIGITS, 7)), _letters(names, 3)


def _plain(code: str, names: Sequence[str], _: Text, start: int) -> _Made:
    number = scattered(len(names), 10**9, start)
    country = code if _COUNTRY.fullmatch(code) else "XS"
    return joined(country, written(number, DIGITS, 9)), _letters(names, 4)


_BUILDERS: Final[dict[str, _Builder]] = {
    "US": _us,
    "TW": _taiwan,
    "JP": _japan,
    "KR": _korea,
    "HK": _hong_kong,
    "GB": _britain,
    "DE": _germany,
    "FR": _france,
}


def _padded(tickers: Text, width: int) -> Text:
    return np.asarray(np.strings.zfill(tickers, width))


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
