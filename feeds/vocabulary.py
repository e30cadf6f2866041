"""Words that sources write in many ways and we in one: markets, countries, temperatures, classifications."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec

from engine.model import Classification, Market, Temperature

_BETWEEN: Final = re.compile(r"[\s_\-./,'()]+")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """assets/vocabulary.yaml: our word -> how else it is written. Countries: ISO 3166 alpha-2."""

    countries: dict[str, list[str]] = {}
    markets: dict[str, list[str]] = {}
    temperatures: dict[str, list[str]] = {}
    classifications: dict[str, list[str]] = {}


class VocabularyError(ValueError):
    """Words that cannot be used; the message says which."""


class Vocabulary:
    """Each method gives our word, "" for none, None for a word that is not known."""

    def __init__(
        self,
        countries: Mapping[str, str],
        markets: Mapping[str, str],
        temperatures: Mapping[str, str],
        classifications: Mapping[str, str],
    ) -> None:
        self._countries = countries
        self._markets = markets
        self._temperatures = temperatures
        self._classifications = classifications
        self._known: dict[tuple[int, str], str | None] = {}

    @classmethod
    def of(cls, words: Words, markets: Sequence[Market]) -> Self:
        """Raises `VocabularyError` for a word that means two things, or stands for none of ours."""
        codes = {market.code: [market.calendar, *words.markets.get(market.code, [])] for market in markets}
        return cls(
            _written("country", words.countries),
            _written("market", codes),
            _written("temperature", _ours("temperature", words.temperatures, Temperature.__members__)),
            _written("classification", _ours("classification", words.classifications, Classification.__members__)),
        )

    def country(self, text: str) -> str | None:
        return self._say(0, self._countries, text)

    def market(self, text: str) -> str | None:
        return self._say(1, self._markets, text)

    def temperature(self, text: str) -> str | None:
        """A name of `Temperature`."""
        return self._say(2, self._temperatures, text)

    def classification(self, text: str) -> str | None:
        """A name of `Classification`."""
        return self._say(3, self._classifications, text)

    def _say(self, which: int, words: Mapping[str, str], text: str) -> str | None:
        if not text:
            return ""
        place = which, text
        if place not in self._known:
            if len(self._known) > 1 << 16:
                self._known.clear()
            self._known[place] = words.get(_plain(text))
        return self._known[place]


def _plain(text: str) -> str:
    return _BETWEEN.sub(" ", text).strip().upper()


def _ours(what: str, words: Mapping[str, list[str]], members: Mapping[str, object]) -> dict[str, list[str]]:
    if strange := set(words) - set(members):
        raise VocabularyError(f"no {what} {', '.join(sorted(strange))}")
    return {name: words.get(name, []) for name in members}


def _written(what: str, words: Mapping[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word, others in words.items():
        for text in (word, *others):
            plain = _plain(text)
            if found.setdefault(plain, word) != word:
                raise VocabularyError(f"{what} {text!r} means {found[plain]} and {word}")
    return found
