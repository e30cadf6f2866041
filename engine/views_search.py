"""Securities by what a person types: any identifier, TICKER@MARKET, or words of a name; the likeliest first.

At 50,000 securities a search costs some ten milliseconds, the first after a change of reference data a hundred.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model import SecurityFlag
from engine.views_reference import Reference

_SPACE: Final = 0x20
_SORTED: Final = 2_000
"""More than these are too many to be put in order by name: whoever types goes on typing."""


class Matched(StrEnum):
    """What of a security was typed. In this order they are shown."""

    TICKER = "ticker"
    ISIN = "isin"
    CUSIP = "cusip"
    SEDOL = "sedol"
    FIGI = "figi"
    CODE = "code"
    NAME = "name"
    WORDS = "words"
    """Each word is somewhere in its name or identifiers."""


_MATCHED: Final = tuple(Matched)
_NAMES: Final = _MATCHED.index(Matched.NAME)
_IDENTIFIERS: Final = _MATCHED[:_NAMES]
_BEGINS: Final = len(_MATCHED)
"""Added to the place of what only begins with the text."""
_NOT: Final = 2 * _BEGINS


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of the likeliest, what of each was typed, and how many there are in all."""

    ids: NDArray[np.int64]
    matched: tuple[Matched, ...]
    total: int


class Search:
    """Over one version of the reference data. `calendars`: of each market, another name of it."""

    def __init__(self, reference: Reference, calendars: Sequence[str]) -> None:
        self.reference = reference
        self._markets = [(code.upper(), name.upper()) for code, name in zip(reference.markets, calendars, strict=True)]
        self._folded: dict[str, NDArray[Any]] = {}

    def find(self, text: str, limit: int, *, exact: bool = False) -> Found:
        """The `limit` likeliest securities that have every word of `text`, letter case ignored.

        A market is named by its code or its calendar's, or by the beginning of one; its code beside other words keeps to it. An
        identifier that is typed whole comes first, then what begins with it, then names. `exact`: whole identifiers only.
        """
        words = text.split()
        if not words:
            return Found(np.empty(0, np.int64), (), 0)
        one = len(words) == 1 and "@" in words[0]
        places = self._ticker_at(words[0]) if one else self._places(words, " ".join(words))
        places[0] = _NOT
        ids = np.flatnonzero(places < (_NAMES if exact else _NOT))
        if ids.size <= _SORTED:
            ids = ids[np.lexsort((self._text("name")[ids], places[ids]))]
        else:
            ids = ids[np.argsort(places[ids], kind="stable")]
        shown = ids[:limit]
        return Found(shown, tuple(_MATCHED[place % _BEGINS] for place in places[shown].tolist()), ids.size)

    def markets_of(self, ticker: str) -> list[str]:
        """Where a ticker is traded."""
        found = np.unique(self.reference.market[self._is(Matched.TICKER, ticker)])
        return [self.reference.markets[at] for at in found.tolist()]

    def is_market(self, text: str) -> bool:
        """Whether `text` is a market, or the beginning of one."""
        return bool(self._meant(text))

    def _ticker_at(self, word: str) -> NDArray[np.int64]:
        ticker, _, market = word.rpartition("@")
        places = np.full(self.reference.count + 1, _NOT, np.int64)
        here = np.isin(self.reference.market, self._meant(market))
        places[here & self._begins(Matched.TICKER, ticker)] = _BEGINS
        places[here & self._is(Matched.TICKER, ticker)] = 0
        return places

    def _places(self, words: list[str], whole: str) -> NDArray[np.int64]:
        """How likely each security is meant: the smaller the likelier; `_NOT` not at all. Shape (count + 1,)."""
        reference = self.reference
        fits = np.ones(reference.count + 1, bool)
        for word in words:
            has = reference.search(word)
            if len(words) > 1 and word.upper() in reference.markets:
                has = has | (reference.market == reference.markets.index(word.upper()))
            fits &= has
        places = np.where(fits, _BEGINS + _MATCHED.index(Matched.WORDS), _NOT)
        places[fits & self._begins(Matched.NAME, whole)] = _BEGINS + _MATCHED.index(Matched.NAME)
        for place, identifier in reversed(list(enumerate(_IDENTIFIERS))):
            places[fits & self._begins(identifier, words[0])] = _BEGINS + place
        for place, identifier in reversed(list(enumerate(_IDENTIFIERS))):
            whole_one = fits & self._is(identifier, words[0])
            if identifier is Matched.ISIN:  # what is shown of a masked one names nobody
                whole_one &= self.reference.records["flags"] & SecurityFlag.MASKED_ISIN == 0
            places[whole_one] = place
        return places

    def _meant(self, text: str) -> list[int]:
        wanted = text.upper()
        whole = [at for at, names in enumerate(self._markets) if wanted in names]
        return whole or [at for at, names in enumerate(self._markets) if any(name.startswith(wanted) for name in names)]

    def _begins(self, column: str, text: str) -> NDArray[np.bool_]:
        needle, folded = _lower(text), self._text(column)
        width = folded.dtype.itemsize
        if not needle or len(needle) > width:
            return np.zeros(len(folded), bool)
        beginnings = folded.view(np.uint8).reshape(len(folded), width)[:, : len(needle)]
        return np.asarray((beginnings == np.frombuffer(needle, np.uint8)).all(axis=1))

    def _is(self, column: str, text: str) -> NDArray[np.bool_]:
        needle, folded = _lower(text), self._text(column)
        return np.asarray(folded == needle) if needle else np.zeros(len(folded), bool)

    def _text(self, column: str) -> NDArray[Any]:
        """A text column with its ASCII letters in lower case."""
        if column not in self._folded:
            field = np.ascontiguousarray(self.reference.records[column])
            characters = field.view(np.uint8)
            capital = (characters >= ord("A")) & (characters <= ord("Z"))
            self._folded[column] = (characters + capital * np.uint8(_SPACE)).view(field.dtype)
        return self._folded[column]


def _lower(text: str) -> bytes:
    """As `_text` folds a column: ASCII letters only."""
    return bytes(byte + _SPACE if ord("A") <= byte <= ord("Z") else byte for byte in text.encode())
