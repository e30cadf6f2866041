"""The position table, as views see it: a row for what is held or owed of a security in a book and a depot, of one kind.

What a row is (its key) never changes, and rows are only added, so what keys say is kept and grows; what rows hold is read from
the writer's memory, in compiled loops.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine import views_kernel as kernel
from engine.events import EVENT
from engine.model import HEAD_FACTS, Fact, Kind
from engine.tables import Tables, TornReadError, Word
from engine.views_columns import Column
from engine.views_position_columns import IS_CONTRACT, PARTS, POSITION_COLUMNS, ROW_WORDS, Form, Part
from engine.views_reference import Reference
from engine.views_sight import Ids
from engine.views_texts import Texts

_RECORD_NAMES: Final = {"security": "code", "book": "code"}
"""What the records call a column that is called otherwise here."""


class PositionTexts:
    """Text columns of the position table under one version of reference data."""

    def __init__(self, tables: Tables, reference: Reference) -> None:
        """Raises `TornReadError` when other reference data came than `reference` is of."""
        array, count = tables.array, tables.count
        self.reference = reference
        copied = tables.read(
            lambda: (
                count(Word.REFERENCE),
                array["book"][: count(Word.BOOKS) + 1].copy(),
                array["depot"]["code"][: count(Word.DEPOTS) + 1].copy(),
                array["book_unit"][: count(Word.BOOKS) + 1].astype(np.int64),
                array["unit"]["code"][: count(Word.UNITS) + 1].copy(),
            )
        )
        version, self._books, self._depots, unit, codes = copied
        if version != reference.version:
            raise TornReadError("reference data changed while it was copied")
        own = np.where(unit > 0, codes[unit], self._books["aggregation_unit"][:, None])
        self._units: NDArray[np.bytes_] = own.reshape(-1)
        self.markets = len(tables.markets)
        self._made: dict[str, Texts] = {"kind": Texts.listed([kind.name for kind in Kind], np.arange(len(Kind)))}

    def texts(self, column: str) -> Texts:
        """A text column, by member."""
        found = self._made.get(column)
        if found is None:
            found = self._made[column] = self._texts(column)
        return found

    def _texts(self, column: str) -> Texts:
        name = _RECORD_NAMES.get(column, column)
        match PARTS[column]:
            case Part.SECURITY:
                return self.reference.texts(name)
            case Part.BOOK:
                return Texts.of(self._books[name])
            case Part.UNIT:
                return Texts.of(self._units)
        return Texts.of(self._depots)


class Keys:
    """What the keys of rows say, by row number: kept from one renewal to the next."""

    def __init__(self, tables: Tables) -> None:
        room = tables.capacity.rows
        self.count = 0
        self.security, self.book = np.empty(room, np.int32), np.empty(room, np.uint16)
        self.depot, self.kind = np.empty(room, np.uint16), np.empty(room, np.uint8)
        self.contract = np.empty(room, np.bool_)
        self._key = tables.array["position"]["key"]
        self._tables = tables

    def extend(self) -> int:
        """Take up rows that are new; returns how many there are."""
        until = self._tables.count(Word.ROWS)
        if until > self.count:
            new = slice(self.count, until)
            key = self._key[new].astype(np.int64)
            self.security[new], self.book[new] = key >> 40, key >> 24 & 0xFFFF
            self.depot[new], self.kind[new] = key >> 8 & 0xFFFF, key & 0xFF
            self.contract[new] = IS_CONTRACT[self.kind[new]]
            self.count = until
        return self.count


class PositionSight:
    """So many rows of the position table, under one version of reference data. An id is a row's number + 1."""

    by_name: Mapping[str, Column] = {column.name: column for column in POSITION_COLUMNS}
    rules: int | None = None

    def __init__(self, memory: "Copied", keys: Keys, texts: PositionTexts, count: int) -> None:
        self.reference = texts.reference
        self.everybody: Ids = np.arange(1, count + 1, dtype=np.int32)
        self._texts = texts
        self._keys = keys
        self._words = {word: at for at, word in enumerate(memory.words.tolist())}
        self._living = kernel.Rows(_fixed(memory.position), _fixed(facts_of(memory.head)), keys.security, keys.contract)

    def over(self, memory: "Copied", count: int) -> "PositionSight":
        """The first so many of these rows, with numbers from other memory."""
        return PositionSight(memory, self._keys, self._texts, count)

    @property
    def meaning(self) -> object:
        return self._texts

    def part(self, column: str) -> int:
        return PARTS[column]

    def member(self, part: int, ids: Ids) -> NDArray[np.integer[Any]]:
        of = self._keys
        by_row: dict[int, NDArray[Any]] = {Part.SECURITY: of.security, Part.DEPOT: of.depot, Part.KIND: of.kind}
        if part in by_row:
            return self._taken(by_row[part], ids)
        books = self._taken(of.book, ids)
        if part == Part.BOOK:
            return books
        market = self.reference.market.take(self._taken(of.security, ids))
        return books.astype(np.int32) * self._texts.markets + market

    def texts(self, column: str) -> Texts:
        return self._texts.texts(column)

    def text(self, column: str, ids: Ids) -> NDArray[np.bytes_]:
        texts = self.texts(column)
        return texts.labels[texts.codes.take(self.member(self.part(column), ids))]

    def read(self, column: Column, ids: Ids) -> NDArray[np.int64]:
        out = np.empty((len(ids), 1), np.int64)
        kernel.read(self._rows(len(ids)), ids, self._plan([column]), out)
        return out[:, 0]

    def window(self, columns: Sequence[Column], ids: Ids) -> "PositionWindow":
        return PositionWindow(self._living, ids, self._plan([column for column in columns if not column.is_text]))

    def sums(
        self, columns: Sequence[Column], ids: Ids, group: NDArray[np.int32], groups: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        sums, known = np.zeros((groups, len(columns)), np.int64), np.zeros((groups, len(columns)), np.bool_)
        plain = [at for at, column in enumerate(columns) if column.item == Form.WORDS]
        if plain:
            sums[:, plain] = self._sums_of_words([columns[at] for at in plain], ids, group, groups)
            known[:, plain] = (np.bincount(group, minlength=groups) > 0)[:, None]
        values = [at for at, column in enumerate(columns) if _is_value(column)]
        for at in values:
            own, there = np.zeros(groups, np.int64), np.zeros(groups, np.bool_)
            word = np.uint64(self._words[columns[at].plus[0]])
            kernel.add_values(self._rows(len(ids)), ids, group, word, own, there)
            sums[:, at], known[:, at] = own, there
        if rest := [at for at in range(len(columns)) if at not in {*plain, *values}]:
            own, there = np.zeros((groups, len(rest)), np.int64), np.zeros((groups, len(rest)), np.bool_)
            kernel.add_rows(self._rows(len(ids)), ids, group, self._plan([columns[at] for at in rest]), own, there)
            sums[:, rest], known[:, rest] = own, there
        return sums, known

    def _sums_of_words(
        self, columns: Sequence[Column], ids: Ids, group: NDArray[np.int32], groups: int
    ) -> NDArray[np.int64]:
        """Sums of columns that are sums of words: the same as the columns of the words' sums."""
        words = words_of(columns).tolist()
        by_word = np.zeros((groups, len(words)), np.int64)
        places = np.array([self._words[word] for word in words], np.uint64)
        kernel.add_words(self._living.position, ids, group, places, by_word)
        signs = np.array([[(word in c.plus) - (word in c.minus) for c in columns] for word in words], np.int64)
        return by_word @ signs

    def _rows(self, count: int) -> kernel.Rows:
        """To read so many of them from: of many, what is needed of securities is put close together first."""
        facts = self._living.facts
        return self._living if count < len(facts) else self._living._replace(facts=close(facts))

    def _plan(self, columns: Sequence[Column]) -> kernel.Plan:
        return plan_of(columns, self._words)

    def _taken(self, by_row: NDArray[Any], ids: Ids) -> NDArray[Any]:
        """Of everybody without a copy."""
        return by_row[: len(ids)] if ids is self.everybody else by_row.take(ids - 1)


@dataclass(frozen=True, slots=True)
class Copied:
    """Memory to read numbers of rows from: words of each row, (rows, words), which of the record's these are, and heads."""

    position: NDArray[np.int64]
    head: NDArray[np.int64]
    words: NDArray[np.int64]


class PositionWindow:
    """The number cells of some rows."""

    def __init__(self, rows: kernel.Rows, ids: Ids, plan: kernel.Plan) -> None:
        self._rows, self._ids, self._plan = rows, ids, plan

    def read(self) -> NDArray[np.int64]:
        """Raw cells now, shape (rows, number columns). Call it inside `Tables.read` or `glimpse`."""
        out = np.empty((len(self._ids), len(self._plan.form)), np.int64)
        kernel.read(self._rows, self._ids, self._plan, out)
        return out


class PositionTable:
    """One writer's position table. Safe to use from several threads."""

    def __init__(self, tables: Tables, reference: Callable[[], Reference]) -> None:
        self.tables = tables
        self._reference = reference
        self._keys: Keys | None = None
        self._texts: PositionTexts | None = None
        self._sight: PositionSight | None = None
        self._refreshing = threading.Lock()

    def sight(self) -> PositionSight:
        """The rows of now; made anew when there are more, or other reference data. Raises `TornReadError`."""
        with self._refreshing:
            if self._keys is None:
                self._keys = Keys(self.tables)
            # in this order: what a row belongs to was known before there was the row
            count, reference = self._keys.extend(), self._reference()
            if self._texts is None or self._texts.reference is not reference:
                self._texts, self._sight = PositionTexts(self.tables, reference), None
            if self._sight is None or len(self._sight.everybody) != count:
                position = self.tables.array["position"].view("<i8").reshape(-1, ROW_WORDS)
                living = Copied(position, self.tables.array["head"], np.arange(ROW_WORDS))
                self._sight = PositionSight(living, self._keys, self._texts, count)
            return self._sight

    def rows_of_book(self, book: int, rows: int) -> NDArray[np.int64]:
        """Numbers of a book's rows among the first so many. Ask after `take_up`."""
        assert self._keys is not None, "asked for after a sight only"
        return np.flatnonzero(self._keys.book[:rows] == book)

    def take_up(self) -> None:
        """Let sights there are know the keys of rows that are new."""
        with self._refreshing:
            assert self._keys is not None, "asked for after a sight only"
            self._keys.extend()


def _fixed(array: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same memory, not to be written: what is compiled for one such array is good for all."""
    view = array.view()
    view.flags.writeable = False
    return view


def facts_of(head: NDArray[np.int64]) -> NDArray[np.int64]:
    """Price and exchange rate, by security, as they lie in memory: (securities, 2)."""
    return head[:, HEAD_FACTS + Fact.PRICE : HEAD_FACTS + Fact.FX + 1]


def close(facts: NDArray[np.int64]) -> NDArray[np.int64]:
    """A copy of these in a small piece of memory; of the same layout, so that what is compiled for the one is good for both."""
    copy = np.empty((len(facts), 3), np.int64)[:, :2]
    np.copyto(copy, facts)
    return _fixed(copy)


def _fixed_words() -> NDArray[np.uint64]:
    slots = np.zeros(2, np.uint64)
    slots.flags.writeable = False
    return slots


def warm() -> None:
    """Load what is compiled, or compile it: a first view shall not wait for that, and a sum of few rows takes no time."""
    nobody = np.ones(1, np.int32)
    facts = close(np.zeros((2, 2), np.int64))
    rows = kernel.Rows(_fixed(np.zeros((1, ROW_WORDS), np.int64)), facts, nobody, np.zeros(1, np.bool_))
    numbers = [column for column in POSITION_COLUMNS if not column.is_text]
    plan = plan_of(numbers, {word: word for word in range(ROW_WORDS)})
    PositionWindow(rows, nobody, plan).read()
    sums, known = np.zeros((1, len(numbers)), np.int64), np.zeros((1, len(numbers)), np.bool_)
    kernel.add_rows(rows, nobody, nobody - 1, plan, sums, known)
    kernel.add_values(rows, nobody, nobody - 1, np.uint64(0), sums[0], known[0])
    kernel.add_words(rows.position, nobody, nobody - 1, np.zeros(1, np.uint64), sums)
    kernel.copy_rows(rows.position, np.zeros(1, np.int64), np.arange(2), np.zeros((1, 2), np.int64))
    kernel.rows_of(np.zeros(1, EVENT), _fixed_words(), rows.position, np.zeros(1, np.int64))
    kernel.add_column(sums[0], 0, np.zeros(len(numbers), np.int32), np.zeros(1, np.int64), np.zeros(1, np.bool_))


def _is_value(column: Column) -> bool:
    """Whether it is the value of a single word."""
    return column.item == Form.VALUE and len(column.plus) == 1 and not column.minus


def words_of(columns: Sequence[Column]) -> NDArray[np.int64]:
    """Words of a row that these columns are made of."""
    return np.array(sorted({word for column in columns for word in (*column.plus, *column.minus)}), np.int64)


def plan_of(columns: Sequence[Column], place: Mapping[int, int]) -> kernel.Plan:
    """How the kernel makes number columns; `place`: of each word of a record in the memory that is read."""
    words = [[place[word] for word in (*column.plus, *column.minus)] for column in columns]
    signs = [[1] * len(column.plus) + [-1] * len(column.minus) for column in columns]
    first = np.zeros(len(columns) + 1, np.int64)
    np.cumsum([len(each) for each in words], out=first[1:])
    return kernel.Plan(
        np.array([column.item for column in columns], np.int64),
        first,
        np.array([word for each in words for word in each], np.int64),
        np.array([sign for each in signs for sign in each], np.int64),
    )
