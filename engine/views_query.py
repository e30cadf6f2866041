"""What somebody wants to see of a table, and which rows that is, in which order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.model import Market
from engine.views_columns import NO_VALUE, TEMPERATURES, Column
from engine.views_sight import Ids, Read, Sight, codes
from engine.views_where import MAX_CONDITIONS, Condition, QueryError

INVENTORY: Final = "inventory"
POSITIONS: Final = "positions"
TABLES: Final = (INVENTORY, POSITIONS)
ROWS: Final = "rows"
"""What groups may be sorted by beside columns: how many rows they have."""
MAX_SORT_KEYS: Final = 4
MAX_GROUPS: Final = 6
MAX_TEXT: Final = 100
MAX_COLUMNS: Final = 255
"""As many as a frame can tell apart."""
_NAMED: Final = 12
"""Of what there is instead of a wrong name, so many are told."""
_WORD_BITS: Final = 64
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Query:
    """Columns to show, filters that must all hold (an empty one holds always), and sort keys (column, "asc" or "desc").

    With groups a sort key may be `ROWS`, with a pivot a measure of one of its values (`NAME|VALUE`). `clients`: only what is
    theirs may be seen; None: everybody's. Raises `QueryError`, whose message begins with the field
    that is wrong.
    """

    columns: tuple[str, ...]
    text: str = ""
    markets: tuple[str, ...] = ()
    temperatures: tuple[str, ...] = ()
    changed_today: bool = False
    sort: tuple[tuple[str, str], ...] = ()
    table: str = INVENTORY
    where: tuple[Condition, ...] = ()
    clients: frozenset[str] | None = None
    groups: tuple[str, ...] = ()
    """Text columns by which rows are grouped, the outermost first."""
    pivot: str = ""
    """A text column whose values become columns."""

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise QueryError("table", f"unknown {self.table!r}; known: {', '.join(TABLES)}")
        if self.clients is not None and self.table != POSITIONS:
            raise QueryError("table", f"{self.table} is not for who is kept to clients")
        if self.changed_today and self.table != INVENTORY:
            raise QueryError("changed_today", f"{self.table} do not say when they changed")
        if not self.columns:
            raise QueryError("columns", "at least one is needed")
        if len(self.columns) > MAX_COLUMNS:
            raise QueryError("columns", f"at most {MAX_COLUMNS}")
        _check_once("columns", self.columns)
        if len(self.text) > MAX_TEXT:
            raise QueryError("text", f"at most {MAX_TEXT} characters")
        _check_known("temperatures", self.temperatures, TEMPERATURES)
        _check_once("temperatures", self.temperatures)
        _check_once("markets", self.markets)
        if len(self.where) > MAX_CONDITIONS:
            raise QueryError("where", f"at most {MAX_CONDITIONS} conditions")
        if len(self.groups) > MAX_GROUPS:
            raise QueryError("groups", f"at most {MAX_GROUPS}")
        _check_once("groups", self.groups)
        if self.pivot and not self.groups:
            raise QueryError("pivot", "needs at least one group")
        if self.pivot in self.groups:
            raise QueryError("pivot", f"{self.pivot!r} is grouped already")
        if len(self.sort) > MAX_SORT_KEYS:
            raise QueryError("sort", f"at most {MAX_SORT_KEYS} keys")
        _check_once("sort", tuple(name for name, _ in self.sort))
        for name, direction in self.sort:
            if direction not in ("asc", "desc"):
                raise QueryError("sort", f"direction of {name!r} must be 'asc' or 'desc', not {direction!r}")

    def check(self, markets: Sequence[Market], columns: Mapping[str, Column]) -> None:
        """Raises `QueryError` for a market that the tables, and for a column or sort key that the rules do not have."""
        _check_known("columns", self.columns, columns)
        self.check_rows(markets, columns)
        if self.pivot:
            self._check_pivot(columns)

    def check_rows(self, markets: Sequence[Market], columns: Mapping[str, Column]) -> None:
        """As `check`, for what decides on rows and order only."""
        _check_known("markets", self.markets, [market.code for market in markets])
        _check_known("sort", [name for name, _ in self.sort if not self._is_of_groups(name)], columns)
        for field, names in (("groups", self.groups), ("pivot", (self.pivot,) if self.pivot else ())):
            _check_known(field, names, columns)
            for name in names:
                if not columns[name].is_text:
                    raise QueryError(field, f"{name!r} is a number; only text is grouped")
        for condition in self.where:
            condition.check(columns)

    @property
    def selection(self) -> tuple[Any, ...]:
        """Equal for queries that show the same rows in the same order."""
        return (
            self.table,
            self.clients,
            " ".join(self.text.split()),
            tuple(sorted(self.markets)),
            tuple(sorted(self.temperatures)),
            self.changed_today,
            self.where,
            self.sort,
            self.groups,
            self.pivot,
            self.columns if self.pivot else (),
        )

    def summed(self, columns: Mapping[str, Column]) -> tuple[Column, ...]:
        """Columns whose sums groups show or are sorted by."""
        names = dict.fromkeys([*self.columns, *(name for name, _ in self.sort if not self.pivot)])
        return tuple(columns[name] for name in names if name in columns and columns[name].summed)

    def within_groups(self) -> "Query":
        """The same without the sort keys that are of groups only."""
        return replace(self, sort=tuple(each for each in self.sort if not self._is_of_groups(each[0])))

    def _is_of_groups(self, name: str) -> bool:
        of_pivot = bool(self.pivot) and name.partition("|")[0] in self.columns and "|" in name
        return bool(self.groups) and (name == ROWS or of_pivot)

    def _check_pivot(self, columns: Mapping[str, Column]) -> None:
        for name in self.columns:
            if not (columns[name].summed or name in self.groups):
                raise QueryError("columns", f"a pivot has sums and grouped columns; {name!r} is neither")
        if not self.summed(columns):
            raise QueryError("columns", "a pivot needs a column that can be summed")

    def moves(self, columns: Mapping[str, Column]) -> bool:
        """Whether events, not only reference data and new rows, can change the rows or their order."""
        moving = any(not columns[name].is_text for name, _ in self.sort if name in columns)
        return moving or bool(self.groups) or self.filter_moves

    @property
    def filter_moves(self) -> bool:
        """Whether events can change which rows pass."""
        return self.changed_today or any(not condition.is_text for condition in self.where)


def _check_known(field: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            more = ", …" if len(known) > _NAMED else ""
            raise QueryError(field, f"unknown {name!r}; known: {', '.join(list(known)[:_NAMED])}{more}")


def _check_once(field: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise QueryError(field, "the same name twice")


def candidates(query: Query, sight: Sight) -> Ids:
    """Ids, ascending, of the rows that pass the filters which events cannot change."""
    reference = sight.reference
    kept: dict[int, NDArray[np.bool_]] = {}

    def keep(part: int, marks: NDArray[np.bool_]) -> None:
        kept[part] = kept[part] & marks if part in kept else marks

    if query.markets:
        keep(0, np.array([code in query.markets for code in reference.markets])[reference.market])
    if query.temperatures:
        keep(0, np.array([name in query.temperatures for name in TEMPERATURES])[reference.temperature])
    if query.text.strip():
        keep(0, reference.search(" ".join(query.text.split())))
    for condition in query.where:
        if condition.is_text:
            texts = sight.texts(condition.column)
            keep(sight.part(condition.column), condition.labels(texts)[texts.codes])
    if query.clients is not None:
        texts = sight.texts("client")
        own = texts.among(query.clients) & (texts.labels != b"")
        keep(sight.part("client"), own[texts.codes])
    if not kept:
        return sight.everybody
    marks = np.ones(len(sight.everybody), bool)
    for part, members in kept.items():
        marks &= members.take(sight.member(part, sight.everybody))
    return sight.everybody[marks]


def passing(query: Query, ids: Ids, sight: Sight, read: Read, midnights: NDArray[np.int64]) -> Ids:
    """Of the candidates `ids` those that pass the other filters, too.

    `midnights`: when today began in each market, see `midnights_ns`.
    """
    if query.changed_today:
        today = midnights[sight.reference.market.take(sight.member(0, ids))]
        ids = ids[read("updated_ms", ids) >= today]
    for condition in query.where:
        if not condition.is_text:
            ids = ids[condition.numbers(sight.by_name[condition.column], read(condition.column, ids))]
    return ids


def arrange(query: Query, ids: Ids, sight: Sight, read: Read) -> Ids:
    """Rows in the query's order; equal ones keep theirs."""
    return ids[order(keys)] if (keys := sort_keys(query, ids, sight, read)) else ids


def sort_keys(query: Query, ids: Ids, sight: Sight, read: Read) -> list["Key"]:
    """What rows are sorted by, the most important first."""
    keys = []
    for name, direction in query.sort:
        column = sight.by_name[name]
        if column.is_text:
            raw, unknown = sight.texts(name).ranks.take(codes(sight, name, ids)), -1
        else:
            raw, unknown = read(name, ids), column.unknown
        keys.append(key(raw, unknown, descending=direction == "desc"))
    return keys


def read_by(query: Query) -> tuple[str, ...]:
    """Columns that rows, their order, their cells or their groups are made from."""
    conditions = [condition.column for condition in query.where]
    moving = dict.fromkeys([*query.columns, *(name for name, _ in query.sort), *conditions])
    return (*moving, "updated_ms") if query.changed_today and "updated_ms" not in moving else tuple(moving)


def midnights_ns(markets: Sequence[Market], now_ns: int) -> NDArray[np.int64]:
    """When today began in each market, UTC nanoseconds."""
    return np.array([_midnight_ns(market.time_zone, now_ns) for market in markets], np.int64)


def _midnight_ns(time_zone: str, now_ns: int) -> int:
    now = datetime.fromtimestamp(now_ns / _NS, ZoneInfo(time_zone))
    return int(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * _NS


@dataclass(frozen=True, slots=True)
class Key:
    """Sort keys as numbers from 0 to `top`: ascending order is the order asked for, with what has no value last."""

    numbers: NDArray[np.uint64]
    top: int

    def at(self, positions: NDArray[np.intp]) -> "Key":
        """The key of the rows at `positions`."""
        return Key(self.numbers[positions], self.top)


def key(raw: NDArray[np.int64], unknown: int = NO_VALUE, *, descending: bool = False) -> Key:
    """Raw values as a sort key. Differences are taken modulo 2^64, where no span of int64 overflows."""
    known = raw != unknown
    if not known.any():
        return Key(np.zeros(len(raw), np.uint64), 0)
    low = np.min(raw, where=known, initial=np.iinfo(np.int64).max)
    high = np.max(raw, where=known, initial=np.iinfo(np.int64).min)
    words, span = raw.view(np.uint64), int(high) - int(low)
    numbers = high.view(np.uint64) - words if descending else words - low.view(np.uint64)
    top = min(span + 1, 2**_WORD_BITS - 1)
    return Key(np.where(known, numbers, np.uint64(top)), top)


def order(keys: Sequence[Key]) -> NDArray[np.intp]:
    """Positions in the order of the keys, the first the most important; equal ones keep their order.

    As many keys as fit are packed into one 64-bit word with the position: sorting such words is ten times faster than
    an indirect sort. What does not fit beside the others is sorted before them, and stays in that order among equals.
    """
    count = len(keys[0].numbers)
    room = _WORD_BITS - max(1, (count - 1).bit_length())
    positions = np.arange(count)
    group: list[Key] = []
    for k in reversed(keys):
        if group and sum(other.top.bit_length() for other in [k, *group]) > room:
            positions = positions[_order_of([other.at(positions) for other in group], room)]
            group = []
        group.insert(0, k)
    return positions[_order_of([k.at(positions) for k in group], room)]


def _order_of(keys: Sequence[Key], room: int) -> NDArray[np.intp]:
    """As `order`, for keys that fit `room` bits together, or a single one that does not."""
    if keys[0].top.bit_length() > room:
        return np.argsort(keys[0].numbers, kind="stable")
    packed = np.zeros(len(keys[0].numbers), np.uint64)
    for k in keys:
        packed <<= np.uint64(k.top.bit_length())
        packed |= k.numbers
    packed <<= np.uint64(_WORD_BITS - room)
    packed |= np.arange(len(packed), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << (_WORD_BITS - room)) - 1)).astype(np.intp)
