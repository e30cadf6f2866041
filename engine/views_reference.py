"""Reference data as views need it: one consistent copy, texts as codes, and a search over names and identifiers.

Everything is built over whole columns at once; at 50,000 securities the copy costs 9 ms, ranks of names 60 ms, the
search text 50 ms, each once per version of the reference data and only where a query asks for it.
"""

import itertools
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model import Classification, SecurityFlag, Temperature
from engine.tables import Tables, TornReadError, Word
from engine.views_texts import Texts

SEARCHED: Final = ("name", "ticker", "code", "isin", "cusip", "sedol", "figi")
_FIELD_END: Final = 0x0A
_ROW_END: Final = 0x1E
"""Both are white space to `str.split`, so no word that is searched for contains one."""
_SPACE: Final = 0x20
_SAMPLED: Final = 16
"""One byte in so many is looked at to learn which letters are rare."""
_PATIENCE_S: Final = 2.0


class Reference:
    """Security records of one version. Arrays are by security id, shape (count + 1,); id 0 is nobody."""

    def __init__(
        self, records: NDArray[np.void], version: int, markets: tuple[str, ...], settle_days: tuple[int, ...]
    ) -> None:
        self.version = version
        self.markets = markets
        self.records = records
        self.count = len(records) - 1
        self.market: NDArray[np.uint8] = np.minimum(records["market"], len(markets) - 1)
        self.temperature: NDArray[np.uint8] = np.minimum(records["temperature"], max(Temperature))
        self.settle_day: NDArray[np.int64] = np.array(settle_days, np.int64)[self.market]
        self.numbers: dict[str, NDArray[np.int64]] = {
            "fee": records["fee"].astype(np.int64),
            "rebate": records["rebate"].astype(np.int64),
            "at_least": (records["flags"] & SecurityFlag.AT_LEAST != 0).astype(np.int64),
            "id": np.arange(len(records), dtype=np.int64),
        }
        classification = np.minimum(records["classification"], max(Classification))
        by_difficulty = [-1 if each is Temperature.UNKNOWN else int(each) for each in Temperature]
        self._texts: dict[str, Texts] = {
            "market": Texts.listed(markets, self.market),
            "temperature": Texts.listed([each.name for each in Temperature], self.temperature, by_difficulty),
            "classification": Texts.listed([each.name for each in Classification], classification),
        }
        self._named = frozenset(self._texts)
        self._found: dict[str, NDArray[np.bool_]] = {}
        self._haystack: Haystack | None = None

    @classmethod
    def of(cls, tables: Tables) -> "Reference":
        """What the tables hold now. Raises `TornReadError` while reference data never rests for the time of a copy.

        The copy may overlap batches of events, which do not touch it; only a change of reference data spoils it.
        """
        deadline = time.monotonic() + _PATIENCE_S
        before = tables.read(lambda: (tables.count(Word.REFERENCE), tables.count(Word.SECURITIES)))
        while True:
            records = tables.array["security"][: before[1] + 1].copy()
            after = tables.read(lambda: (tables.count(Word.REFERENCE), tables.count(Word.SECURITIES)))
            if after == before:
                break
            if time.monotonic() > deadline:
                raise TornReadError(f"reference data did not rest within {_PATIENCE_S} s")
            before = after
        markets = tables.markets
        return cls(records, before[0], tuple(m.code for m in markets), tuple(m.settle_days for m in markets))

    def text(self, column: str, ids: NDArray[np.int32] | slice = slice(None)) -> NDArray[np.bytes_]:
        """A text column as UTF-8, for `ids` or everybody."""
        if column in self._named:
            texts = self._texts[column]
            return texts.labels[texts.codes[ids]]
        return self.records[column][ids]

    def texts(self, column: str) -> Texts:
        """A text column as codes by security, made when it is first asked for.

        Temperatures are ordered from easy to hard, not by their letters; an unknown one is no text.
        """
        found = self._texts.get(column)
        if found is None:
            found = self._texts[column] = Texts.of(self.records[column])
        return found

    def search(self, text: str) -> NDArray[np.bool_]:
        """Which rows have every word of `text` in their name or one of their identifiers, letter case ignored."""
        if self._haystack is None:
            self._haystack = Haystack(self.records)
        found = self._found.get(text)
        if found is None:
            found = np.ones(self.count + 1, bool)
            for word in text.split():
                found &= self._haystack.find(word)
            while len(self._found) >= 16:  # noqa: PLR2004  a handful of searches are open at a time
                self._found.pop(next(iter(self._found)), None)
            self._found[text] = found
        return found

    def forget_searches(self) -> None:
        """Let the next search be made anew, for who measures it."""
        self._found.clear()


class Haystack:
    """The searched columns of all rows as one run of bytes, so that a search costs a few passes over 5 MB."""

    def __init__(self, records: NDArray[np.void]) -> None:
        fields = [_characters(records[name]) for name in SEARCHED]
        ends = itertools.chain(itertools.repeat(_FIELD_END, len(fields) - 1), [_ROW_END])
        parts = [part for field, end in zip(fields, ends, strict=True) for part in (field, _column(end, len(records)))]
        flat = np.concatenate(parts, axis=1).reshape(-1)
        # one call folds the case of everything; the row ends survive it, so the rows are found again
        folded = flat[flat != 0].tobytes().decode("utf-8", "replace").casefold().encode()
        self._bytes = np.frombuffer(folded, np.uint8)
        self._frequency = np.bincount(self._bytes[::_SAMPLED], minlength=256)
        self._ends = np.flatnonzero(self._bytes == _ROW_END)

    def find(self, word: str) -> NDArray[np.bool_]:
        """Which rows contain `word`."""
        needle = word.casefold().encode()
        last = len(self._bytes) - len(needle) + 1
        if last <= 0:
            return np.zeros(len(self._ends), bool)
        order = sorted(range(len(needle)), key=lambda at: self._frequency[needle[at]])
        rarest = order[0]
        places = np.flatnonzero(self._bytes[rarest : last + rarest] == needle[rarest])
        for at in order[1:]:
            places = places[self._bytes[places + at] == needle[at]]
        return np.diff(np.searchsorted(places, self._ends), prepend=0) > 0


def _characters(field: NDArray[Any]) -> NDArray[np.uint8]:
    """A text field as one byte per column; control characters, which separate fields here, become spaces."""
    width = field.dtype.itemsize
    characters = np.ascontiguousarray(field).view(np.uint8).reshape(len(field), width)
    return np.where((characters < _SPACE) & (characters > 0), np.uint8(_SPACE), characters)


def _column(value: int, rows: int) -> NDArray[np.uint8]:
    return np.full((rows, 1), value, np.uint8)
