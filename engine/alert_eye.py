"""One writer's tables as alerts look at them: names, moments, and what there is to tell of a security.

A look reads each number that an alert names once, for all securities; what depends on reference data alone is worked out once
for each version of it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.alert_moment import Ids, Judge, Mask, Moment, Past, text_mask
from engine.alert_parse import parse
from engine.alert_sight import Sight
from engine.alert_tree import All, ChangeTest, Test, TextTest, columns
from engine.alert_words import Words, words_under
from engine.views import Inventory
from engine.views_cells import shown
from engine.views_columns import Column
from engine.views_reference import Reference

Values: TypeAlias = dict[str, float | int | None]


class Eye:
    """`turn` first, then all else: it is about the rules and securities of that turn."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._past = Past()
        self._texts: dict[TextTest, Mask] = {}
        self._versions = (-1, -1)
        self._codes: tuple[NDArray[np.bytes_], NDArray[np.int64]] | None = None
        self.words: Words | None = None
        """None before the first turn."""

    def turn(self) -> bool:
        """Follow rules and reference data; whether either is another than before. Raises `TornReadError`."""
        columns, reference = self._inventory.columns(), self._inventory.reference()
        if self._versions == (columns.version, reference.version):
            return False
        if self._versions[0] != columns.version:
            self.words = words_under(self._inventory.tables.catalogue, reference.markets)
            self._past = Past()  # a column of other rules is another number
        self._columns, self._reference = columns, reference
        self._versions = columns.version, reference.version
        self._sight = Sight(columns, reference)
        self._texts.clear()
        self._codes = None
        return True

    @property
    def rules(self) -> int:
        """Version of the rules that conditions are read under."""
        return self._versions[0]

    def parse(self, condition: str) -> Test:
        """Raises `ConditionError`."""
        assert self.words is not None, "there was a turn"
        return parse(condition, self.words)

    def moment(self, changes: Collection[ChangeTest], now_s: float) -> Moment:
        """All securities now; the past that these tests need is kept from now on."""
        self._sight.turn()
        moment = Moment(self._sight.read, self._past, self._text, self._reference.count)
        self._past.want(changes)
        self._past.turn(self._sight.read, now_s)
        return moment

    def candidates(self, test: Test, codes: Collection[str]) -> Ids | None:
        """The securities for which it can hold, by their texts and by our own codes (none: all); None: most of them."""
        mask = self._mask(self.ids_of(codes) if codes else None)
        for part in test.parts if isinstance(test, All) else (test,):
            if isinstance(part, TextTest):
                mask = self._text(part) if mask is None else mask & self._text(part)
        if mask is None or (not codes and np.count_nonzero(mask) > len(mask) // 2):
            return None
        return (np.flatnonzero(mask) + 1).astype(np.int32)

    def want(self, watched: Iterable[tuple[Test, Ids | None]]) -> None:
        """Tests that moments will be asked for, and the securities each is kept to (None: all). Others can be asked for, and
        cost more."""
        self._sight.want(((test, self._mask(ids)) for test, ids in watched), self._text)

    def glance(self, test: Test) -> Moment:
        """All securities now, without a past of its own: for a test that nobody watches yet."""
        sight = Sight(self._columns, self._reference)
        sight.want([(test, None)], self._text)
        return Moment(sight.read, self._past, self._text, self._reference.count)

    def again(self, holds: Judge, ids: Ids) -> Mask:
        """Whether it holds of these, all of one epoch. Raises `TornReadError`."""
        moment = Moment(self._sight.read, self._past, self._text, self._reference.count)
        near = replace(moment.among(ids), number=lambda column: self._columns.read(column, ids, self._reference))
        return self._inventory.tables.read(lambda: holds(near))

    def values(self, test: Test, ids: Ids) -> list[Values]:
        """What the numbers of a condition are, as shown, for each of these."""
        named = columns(test)
        if not named:
            return [{} for _ in ids]
        cells = [_shown(column, self._columns.read(column, ids, self._reference)) for column in named]
        return [
            {column.name: value for column, value in zip(named, row, strict=True)} for row in zip(*cells, strict=True)
        ]

    def ids_of(self, codes: Iterable[str]) -> Ids:
        """Of our own codes, ascending; codes that nobody has are left out."""
        if self._codes is None:
            every = self._reference.records["code"][1:]
            order = np.argsort(every, kind="stable")
            self._codes = every[order], order
        wanted = np.array(sorted({code.encode() for code in codes}), self._codes[0].dtype)
        if not len(self._codes[0]) or not len(wanted):
            return np.empty(0, np.int32)
        at = np.minimum(np.searchsorted(self._codes[0], wanted), len(self._codes[0]) - 1)
        found = self._codes[0][at] == wanted
        return np.sort(self._codes[1][at[found]] + 1).astype(np.int32)

    def told(self, ids: Ids) -> list[dict[str, str]]:
        """How each of these is called: code, ticker, title and market."""
        names = {"security": "code", "ticker": "ticker", "title": "name", "market": "market"}
        texts = {name: _decoded(self._reference, column, ids) for name, column in names.items()}
        return [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]

    def _text(self, test: TextTest) -> Mask:
        mask = self._texts.get(test)
        if mask is None:
            mask = self._texts[test] = text_mask(test, self._reference)
        return mask

    def _mask(self, ids: Ids | None) -> Mask | None:
        if ids is None:
            return None
        mask = np.zeros(self._reference.count, bool)
        mask[ids - 1] = True
        return mask


def _decoded(reference: Reference, column: str, ids: Ids) -> Sequence[str]:
    return [text.decode("utf-8", "replace") for text in reference.text(column, ids).tolist()]


def _shown(column: Column, raw: NDArray[np.int64]) -> list[float | int | None]:
    """Whole numbers stay whole."""
    if column.scale == 1:
        return [None if value == column.unknown else value for value in raw.tolist()]
    return [None if value != value else value for value in shown(column, raw).tolist()]  # noqa: PLR0124  NaN: none
