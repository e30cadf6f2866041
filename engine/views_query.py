"""What somebody wants to see of the inventory, and which rows that is, in which order."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.model import Market
from engine.views_columns import NO_VALUE, TEMPERATURES, TEXTS, Column
from engine.views_reference import Reference

MAX_SORT_KEYS: Final = 4
MAX_TEXT: Final = 100
MAX_COLUMNS: Final = 255
"""As many as a frame can tell apart."""
_NAMED: Final = 12
"""Of what there is instead of a wrong name, so many are told."""
_WORD_BITS: Final = 64
_NS: Final = 1_000_000_000


class QueryError(ValueError):
    """A query that cannot be answered; `field` is the part that is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """Columns to show, filters that must all hold (an empty one holds always), and sort keys (column, "asc" or "desc").

    Raises `QueryError`, whose message begins with the field that is wrong.
    """

    columns: tuple[str, ...]
    text: str = ""
    markets: tuple[str, ...] = ()
    temperatures: tuple[str, ...] = ()
    changed_today: bool = False
    sort: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
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
        if len(self.sort) > MAX_SORT_KEYS:
            raise QueryError("sort", f"at most {MAX_SORT_KEYS} keys")
        _check_once("sort", tuple(name for name, _ in self.sort))
        for name, direction in self.sort:
            if direction not in ("asc", "desc"):
                raise QueryError("sort", f"direction of {name!r} must be 'asc' or 'desc', not {direction!r}")

    def check(self, markets: Sequence[Market], columns: Collection[str]) -> None:
        """Raises `QueryError` for a market that the tables, and for a column or sort key that the rules do not have."""
        _check_known("columns", self.columns, columns)
        self.check_rows(markets, columns)

    def check_rows(self, markets: Sequence[Market], columns: Collection[str]) -> None:
        """As `check`, for what decides on rows and order only."""
        _check_known("markets", self.markets, [market.code for market in markets])
        _check_known("sort", [name for name, _ in self.sort], columns)

    @property
    def selection(self) -> tuple[Any, ...]:
        """Equal for queries that show the same rows in the same order."""
        return (
            " ".join(self.text.split()),
            tuple(sorted(self.markets)),
            tuple(sorted(self.temperatures)),
            self.changed_today,
            self.sort,
        )

    @property
    def moves(self) -> bool:
        """Whether events, not only reference data, can change the rows or their order."""
        return self.changed_today or any(name not in TEXTS for name, _ in self.sort)


def _check_known(field: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            more = ", …" if len(known) > _NAMED else ""
            raise QueryError(field, f"unknown {name!r}; known: {', '.join(list(known)[:_NAMED])}{more}")


def _check_once(field: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise QueryError(field, "the same name twice")


Read = Callable[[str, NDArray[np.int32]], NDArray[np.int64]]
"""Raw numbers of a column for ids: from the living tables, or from a copy of one moment."""


def candidates(query: Query, reference: Reference) -> NDArray[np.int32]:
    """Ids, ascending, of the rows that pass the filters which events cannot change."""
    keep = np.ones(reference.count + 1, bool)
    keep[0] = False
    if query.markets:
        keep &= np.array([code in query.markets for code in reference.markets])[reference.market]
    if query.temperatures:
        keep &= np.array([name in query.temperatures for name in TEMPERATURES])[reference.temperature]
    if query.text.strip():
        keep &= reference.search(query.selection[0])
    return np.flatnonzero(keep).astype(np.int32)


def arrange(
    query: Query,
    ids: NDArray[np.int32],
    reference: Reference,
    columns: Mapping[str, Column],
    read: Read,
    midnights: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Of the candidates `ids` those that pass the other filters, in the query's order; equal rows keep theirs.

    `midnights`: when today began in each market, see `midnights_ns`.
    """
    if query.changed_today:
        ids = ids[read("updated_ms", ids) >= midnights[reference.market[ids]]]
    if not query.sort:
        return ids
    return ids[order([_key(columns[name], direction, ids, reference, read) for name, direction in query.sort])]


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


def _key(column: Column, direction: str, ids: NDArray[np.int32], reference: Reference, read: Read) -> Key:
    raw = reference.rank(column.name).take(ids) if column.is_text else read(column.name, ids)
    unknown = -1 if column.is_text else column.unknown
    return key(raw, unknown, descending=direction == "desc")


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
