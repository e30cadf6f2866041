"""Classes of rows: which sums a row feeds, on which days, follows from its attributes alone.

Of every security, book and depot only those attributes count that the rules' conditions name; equal ones are one group. A
combination of a kind and three groups is asked once, in SQL, for the sums it feeds, and combinations that feed the same are one
class. A row is classified when it is made; it changes class with its security's or book's attributes, its market's day or the
rules.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model import (
    COUNT_WORDS,
    DAYS,
    ENTRY_WORDS,
    KIND_ATTRIBUTES,
    TOUCHES_ALL,
    Classification,
    KindAttributes,
    SecurityFlag,
    Temperature,
)
from engine.rebuild import classify, combined, insert
from engine.row import ATTRIBUTES
from engine.rules import Compiled
from engine.tables import CLASSES, Tables, Word

_KIND: Final = tuple(KindAttributes.__slots__)
_BOOK: Final = {"book": "code", "client": "client", "entity": "entity", "aggregation_unit": "aggregation_unit"}
_DEPOT: Final = {"depot": "code"}
_SECURITY: Final = (
    "security isin country currency market temperature classification designated threshold event_days".split()
)
_IDS: Final = 1 << 16
"""Books and depots there can be."""
_NEWS: Final = 1 << 15
_SLOTS: Final = 1 << 17


class TooManyClassesError(RuntimeError):
    """The conditions of the rules tell more sorts of rows apart than there is room for."""


class _Groups:
    """Distinct tuples of attributes, numbered from 0."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.values: list[tuple[Any, ...]] = []
        self._number: dict[tuple[Any, ...], int] = {}

    def numbers(self, columns: Sequence[Sequence[Any]], count: int) -> NDArray[np.int32]:
        """The group of each of `count` things, given a column per name."""
        if not self.names:
            self.values = [()]
            return np.zeros(count, np.int32)
        number, values = self._number, self.values
        result = np.empty(count, np.int32)
        for i, attributes in enumerate(zip(*columns, strict=True)):
            found = number.get(attributes)
            if found is None:
                found = number[attributes] = len(values)
                values.append(attributes)
            result[i] = found
        return result

    def column(self, place: int, groups: Iterable[int]) -> list[Any]:
        return [self.values[group][place] for group in groups]


class Classifier:
    """Classes under one set of compiled rules. Reads the tables, changes none of them.

    `entries` (CLASSES, components, ENTRY_WORDS) and `counts` (CLASSES, COUNT_WORDS): see `engine.row`; class 0 feeds nothing.
    """

    def __init__(self, compiled: Compiled, tables: Tables) -> None:
        self.compiled = compiled
        self._tables = tables
        wanted = compiled.attributes
        self._securities = _Groups([name for name in _SECURITY if name in wanted])
        self._books = _Groups([name for name in _BOOK if name in wanted])
        self._depots = _Groups([name for name in _DEPOT if name in wanted])
        self._kinds = [name for name in _KIND if name in wanted]
        components = tables.capacity.components
        self.entries = np.zeros((CLASSES, components, ENTRY_WORDS), np.int64)
        self.counts = np.zeros((CLASSES, COUNT_WORDS), np.int64)
        self.classes = 1
        self.combinations = np.zeros((_SLOTS, 2), np.uint64)
        self._known = 0
        self._class_of: dict[bytes, int] = {}
        self.security_group = np.zeros(len(tables.array["security"]), np.int32)
        self.book_group = np.zeros(_IDS, np.int32)
        self.depot_group = np.zeros(_IDS, np.int32)
        used = tables.count(Word.SECURITIES) + 1
        self.regroup_securities(np.arange(used))
        self.security_group[used:] = self.security_group[0]  # who has not come yet has no attributes, as nobody has
        self.regroup_books(np.arange(len(tables.array["book"])))
        self.regroup_depots(np.arange(len(tables.array["depot"])))

    # groups

    def regroup_securities(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """Look at the attributes of these securities again; which of them are in another group now."""
        names = self._securities.names
        columns = [self._security_column(name, ids) for name in names]
        return _moved(self.security_group, ids, self._securities.numbers(columns, len(ids)))

    def regroup_books(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """The same for books."""
        columns = [_texts(self._tables.array["book"][_BOOK[name]][ids]) for name in self._books.names]
        return _moved(self.book_group, ids, self._books.numbers(columns, len(ids)))

    def regroup_depots(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """The same for depots."""
        columns = [_texts(self._tables.array["depot"][_DEPOT[name]][ids]) for name in self._depots.names]
        return _moved(self.depot_group, ids, self._depots.numbers(columns, len(ids)))

    def _security_column(self, name: str, ids: NDArray[Any]) -> list[Any]:
        records = self._tables.array["security"][ids]
        match name:
            case "security":
                return _texts(records["code"])
            case "market":
                codes = [market.code for market in self._tables.markets]
                return [codes[index] for index in records["market"].tolist()]
            case "temperature":
                return [Temperature(value).name for value in records["temperature"].tolist()]
            case "classification":
                return [Classification(value).name for value in records["classification"].tolist()]
            case "designated":
                return [bool(flags & SecurityFlag.DESIGNATED) for flags in records["flags"].tolist()]
            case "threshold":
                return [bool(flags & SecurityFlag.THRESHOLD) for flags in records["flags"].tolist()]
            case "event_days":
                return self._event_days(records)
            case _:
                return _texts(records[name])

    def _event_days(self, records: NDArray[Any]) -> list[int | None]:
        """Business days from today to the next event; None without one, or where it is over."""
        tables = self._tables
        market, last = records["market"].astype(np.int64), tables.array["business_day"].shape[1] - 1
        ordinals, today = tables.array["business_day"], tables.array["today"].astype(np.int64)
        at = np.clip(records["event_date"] - tables.base_date, 0, last)
        days = ordinals[market, at] - ordinals[market, today[market] - tables.base_date]
        coming = (records["event_date"] > 0) & (records["event_date"] >= today[market])
        return [day if wanted else None for day, wanted in zip(days.tolist(), coming.tolist(), strict=True)]

    # classes

    def classes_of(self, keys: NDArray[np.int64]) -> NDArray[np.uint16]:
        """The classes of rows with these keys; what was never seen is learnt. Raises `TooManyClassesError`."""
        wanted = combined(keys, self.security_group, self.book_group, self.depot_group)
        classes, news = np.zeros(keys.size, np.uint16), np.zeros(_NEWS, np.int64)
        while True:
            while 2 * (self._known + _NEWS) > len(self.combinations):
                self._grow()
            found = classify(wanted, self.combinations, classes, news)
            if found == 0:
                return classes
            self._learn(news if found < 0 else news[:found])

    def _grow(self) -> None:
        old = self.combinations[self.combinations[:, 1] != 0]
        self.combinations = np.zeros((2 * len(self.combinations), 2), np.uint64)
        insert(old[:, 0].astype(np.int64), old[:, 1].astype(np.int64) - 1, self.combinations)

    def _learn(self, news: NDArray[np.int64]) -> None:
        """Ask the rules which sums these combinations feed."""
        members = self.compiled.members(self._columns(news))
        masks, which = np.unique(members.T, axis=0, return_inverse=True)
        numbers = np.array([self._number(mask) for mask in masks])
        insert(news, numbers[which.reshape(-1)], self.combinations)
        self._known += news.size

    def _columns(self, news: NDArray[np.int64]) -> dict[str, list[Any]]:
        kinds = (news & 0xFF).tolist()
        columns: dict[str, list[Any]] = {
            name: [getattr(KIND_ATTRIBUTES[kind], name) for kind in kinds] for name in self._kinds
        }
        for groups, shift, bits in ((self._securities, 40, 24), (self._books, 24, 16), (self._depots, 8, 16)):
            numbers = (news >> shift & ((1 << bits) - 1)).tolist()
            columns |= {name: groups.column(place, numbers) for place, name in enumerate(groups.names)}
        return columns

    def _number(self, mask: NDArray[np.uint8]) -> int:
        """The class of rows that feed just these components on just these days (a bit for each)."""
        known = self._class_of.get(mask.tobytes())
        if known is not None:
            return known
        if self.classes == CLASSES:
            raise TooManyClassesError(f"the rules tell more than {CLASSES - 1:,} sorts of rows apart")
        number, compiled = self.classes, self.compiled
        fed = [int(component) for component in np.flatnonzero(mask)]
        dynamic = [c for c in fed if compiled.maintained[c] and compiled.measures[c] not in ATTRIBUTES]
        fixed = [c for c in fed if compiled.maintained[c] and compiled.measures[c] in ATTRIBUTES]
        asked = [c for c in fed if not compiled.maintained[c]]
        for place, component in enumerate([*dynamic, *fixed, *asked]):
            days = [-(int(mask[component]) >> day & 1) for day in range(DAYS)]
            self.entries[number, place] = component, int(compiled.measures[component]), *days, 0
        kept = len(dynamic) + len(fixed)
        self.counts[number, : TOUCHES_ALL + 1] = len(dynamic), kept, len(fed), _bits(dynamic), _bits([*dynamic, *fixed])
        self._class_of[mask.tobytes()] = number
        self.classes += 1
        return number


def _bits(components: Sequence[int]) -> int:
    """A bit for each, in an int64."""
    return int(np.uint64(sum(1 << component for component in components)).astype(np.int64))


def _moved(groups: NDArray[np.int32], ids: NDArray[Any], numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    moved: NDArray[np.bool_] = groups[ids] != numbers
    groups[ids] = numbers
    return moved


def _texts(codes: NDArray[np.bytes_]) -> list[str]:
    return [code.decode("utf-8", "replace") for code in codes.tolist()]
