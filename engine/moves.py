"""Rows of one security become rows of another: merges of securities, and taking them back (see `feeds.master`).

A row moves whole, with its ladder, its later dates and what corporate actions are to bring; where the other security has a row
of the same book, depot and kind, both are one from then on. What a whole move has done is remembered until the business day
ends, so that it can be taken back: a row goes back as it came where its new row has not changed since; where it has, nobody
can tell the parts apart any more, and it stays.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import later
from engine.kernel import Book, hash_of
from engine.model import LATER, SYMBOL_BYTES, Kind
from engine.rebuild import rows_of_securities
from engine.registry import CapacityError
from engine.row import CA, DELIVER, KEY, LINKS, RECEIPT, SD, TD
from engine.tables import Tables, Word

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_WORDS: Final = 24
_LOW_KEY: Final = (1 << 40) - 1
_RATE: Final = SD + 2
"""`POSITION.hypothecated`, of a contract's row its rate."""
_LAST_OF_CLIENTS: Final = Kind.SYNTHETIC.value

MOVED: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("key", "<i8"),
        ("source", "<i4"),
        ("target", "<i4"),
        ("back", "u1"),
        ("left", "u1"),
        ("spare", "V6"),
        ("row", "<i8", (_WORDS,)),
        ("before", "<i8", (_WORDS,)),
        ("after", "<i8", (_WORDS,)),
    ]
)
"""A row that moved from `source` to `target` (ids). `key`: book, depot and kind as in `engine.model.row_key`; `row`: what moved
(words of `POSITION`); `before` and `after`: the row it went to. `back`: it was taken back; `left`: it could not be."""
DATED: Final = np.dtype(
    [
        ("key", "<i8"),
        ("receipt", "<i8"),
        ("deliver", "<i8"),
        ("source", "<i4"),
        ("target", "<i4"),
        ("date", "<i4"),
        ("spare", "<i4"),
    ]
)
"""What of a moved row settles later than on SD4."""
DEALT: Final = np.dtype([("source", "<i4"), ("target", "<i4"), ("number", "<i4"), ("code", f"S{SYMBOL_BYTES}")])
"""A deal that is about another security since."""
assert CA < _WORDS
assert TD > LINKS


class Moved(NamedTuple):
    """Ids of the securities whose rows have changed, and the rows that moved (`MOVED`)."""

    changed: NDArray[np.int32]
    rows: NDArray[np.void]


class Moves:
    """The writer's. `told`: who wants to know what moved."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.told: Callable[[NDArray[np.void]], None] | None = None
        self._rows = np.empty(0, MOVED)
        self._dates = np.empty(0, DATED)
        self._deals = np.empty(0, DEALT)
        self._ids: dict[bytes, int] = {}
        self._parts: set[int] = set()
        """Times of moves of a book or a depot, which are made once."""

    def move(self, moves: NDArray[np.void], book: Book) -> Moved:
        """Carry out moves (dtype `engine.ring.MOVE`) in order. Done again, a move finds nothing to do. Call it inside
        `Tables.writing`, and make the sums of what changed anew. Raises `CapacityError`."""
        done: list[NDArray[np.void]] = []
        for move in moves:
            source, target = self.own_id(bytes(move["source"])), self.own_id(bytes(move["target"]))
            if not source or not target or source == target:
                continue
            whole, time_ns = not move["book"] and not move["depot"], int(move["time_ns"])
            if time_ns < 0:
                done.append(self._take_back(target, source, -time_ns, book))
            elif whole:
                done.append(self._transfer(source, target, move, book, whole=True))
            elif time_ns not in self._parts:
                self._parts.add(time_ns)
                done.append(self._transfer(source, target, move, book, whole=False))
        rows = np.concatenate(done) if done else np.empty(0, MOVED)
        if rows.size and self.told is not None:
            self.told(rows)
        changed = np.unique(np.concatenate([rows["source"], rows["target"]])) if rows.size else np.empty(0, np.int32)
        return Moved(changed.astype(np.int32), rows)

    def forget(self) -> None:
        """A business day has begun: what moved before it is not taken back any more."""
        self._rows, self._dates, self._deals = self._rows[:0], self._dates[:0], self._deals[:0]

    def state(self) -> dict[str, NDArray[Any]]:
        """What a snapshot keeps of it."""
        return {
            "moved_rows": self._rows.copy(),
            "moved_dates": self._dates.copy(),
            "moved_deals": self._deals.copy(),
            "moved_parts": np.array(sorted(self._parts), np.int64),
        }

    def restore(self, kept: dict[str, NDArray[Any]]) -> None:
        """What `state` gave."""
        self._rows, self._dates, self._deals = kept["moved_rows"], kept["moved_dates"], kept["moved_deals"]
        self._parts = set(kept["moved_parts"].tolist())
        self._ids.clear()

    def own_id(self, code: bytes) -> int:
        """The id of the security whose own code it is, wherever names lead; 0 for none."""
        codes = self._tables.array["security"]["code"]
        known = self._ids.get(code, 0)
        if not known or codes[known] != code:
            found = np.flatnonzero(codes[: self._tables.count(Word.SECURITIES) + 1] == code)
            known = int(found[0]) if code and found.size else 0
            self._ids[code] = known
        return known

    # parts

    def _brought(self, source: int, target: int) -> NDArray[np.bool_]:
        """Which of the remembered rows moved from one to the other and have not gone back."""
        rows = self._rows
        brought: NDArray[np.bool_] = (rows["source"] == source) & (rows["target"] == target) & (rows["left"] == 0)
        return brought

    def _transfer(self, source: int, target: int, move: np.void, book: Book, *, whole: bool) -> NDArray[np.void]:
        position = book.position
        rows = rows_of_securities(np.array([source], np.int32), book.first_in_security, position)
        rows = rows[(position[rows, TD:] != 0).any(axis=1) | (book.later_head[rows] != 0)]
        rows = rows[self._wanted(move, position[rows, KEY])]
        self._move_deals(source, target, move, whole=whole)
        made = np.zeros(rows.size, MOVED)
        if not rows.size:
            return made
        made["time_ns"], made["source"], made["target"] = move["time_ns"], source, target
        made["key"] = position[rows, KEY] & _LOW_KEY
        others = self._rows_for(target, made["key"], book)
        made["row"], made["before"] = position[rows], position[others]
        for i, (row, other) in enumerate(zip(rows.tolist(), others.tolist(), strict=True)):
            rate = _rate(position[row], position[other])
            position[other, TD:] += position[row, TD:]
            if rate is not None:
                position[other, _RATE] = rate
            position[row, TD:] = 0
            dates = self._move_dates(row, other, book)
            dates["key"], dates["source"], dates["target"] = made["key"][i], source, target
            if whole:
                self._dates = np.concatenate([self._dates, dates])
        made["after"] = position[others]
        if whole:
            self._rows = np.concatenate([self._rows, made])
        return made

    def _take_back(self, source: int, target: int, time_ns: int, book: Book) -> NDArray[np.void]:
        """Rows that moved from `source` to `target` go home, the last ones first."""
        position, brought = book.position, np.flatnonzero(self._brought(source, target))[::-1]
        told = self._rows[brought].copy()
        rows, others = self._rows_for(source, told["key"], book), self._rows_for(target, told["key"], book)
        for i, (row, other) in enumerate(zip(rows.tolist(), others.tolist(), strict=True)):
            if (position[other, TD:] != told["after"][i, TD:]).any():
                told["left"][i] = 1
                continue
            position[other, TD:] = told["before"][i, TD:]
            position[row, TD:] += told["row"][i, TD:]
        for key in set(told["key"][told["left"] == 0].tolist()):
            at = told["key"].tolist().index(key)
            self._return_dates(key, source, target, int(rows[at]), int(others[at]), book)
        self._deals_home(source, target)
        told["back"], told["time_ns"] = 1, time_ns
        told["source"], told["target"] = target, source
        gone = np.zeros(self._rows.size, np.bool_)
        gone[brought] = True
        self._rows = self._rows[~gone]
        return told

    def _wanted(self, move: np.void, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows of the book and the depot that a move names."""
        wanted = np.ones(keys.size, np.bool_)
        for name, table, shift in (("book", "book", 24), ("depot", "depot", 8)):
            if move[name]:
                codes = self._tables.array[table]["code"][(keys >> shift) & 0xFFFF]
                wanted &= codes == move[name]
        return wanted

    def _rows_for(self, security: int, low_keys: NDArray[np.int64], book: Book) -> NDArray[np.int64]:
        """The security's rows of these keys; what there is not is made, without a class."""
        keys = (np.int64(security) << 40) | low_keys
        rows = np.empty(keys.size, np.int64)
        state = self._tables.state
        count = _find_or_make(keys, rows, int(state[Word.ROWS]), book)
        if count < 0:
            limit = len(book.position)
            raise CapacityError(f"positions: all {limit:,} rows are in use; start with --rows {2 * limit}")
        state[Word.ROWS] = count
        return rows

    def _move_dates(self, row: int, other: int, book: Book) -> NDArray[np.void]:
        """Carry a row's later dates over; returns them."""
        head, nodes, counters = book.later_head, book.later_nodes, book.later_counters
        found: list[tuple[int, int, int]] = []
        at = int(head[row])
        while at:
            node = nodes[at - 1]
            found.append((int(node["date"]), int(node["receipt"]), int(node["deliver"])))
            at = int(node["next"])
        later.clear(row, head, nodes, counters)
        made = np.zeros(len(found), DATED)
        for i, (date, receipt, deliver) in enumerate(found):
            made[i]["date"], made[i]["receipt"], made[i]["deliver"] = date, receipt, deliver
            self._add_date(other, date, receipt, deliver, book)
        return made

    def _return_dates(self, key: int, source: int, target: int, row: int, other: int, book: Book) -> None:
        dates = self._dates
        mine = (dates["key"] == key) & (dates["source"] == source) & (dates["target"] == target)
        for one in dates[mine]:
            date, receipt, deliver = int(one["date"]), int(one["receipt"]), int(one["deliver"])
            self._add_date(other, date, -receipt, -deliver, book)
            self._add_date(row, date, receipt, deliver, book)
        self._dates = dates[~mine]
        if not book.position[other, RECEIPT + LATER] and not book.position[other, DELIVER + LATER]:
            later.clear(other, book.later_head, book.later_nodes, book.later_counters)

    def _add_date(self, row: int, date: int, receipt: int, deliver: int, book: Book) -> None:
        if not later.add(row, date, receipt, deliver, book.later_head, book.later_nodes, book.later_counters):
            raise CapacityError("later dates: there is room for no more; start with more --rows")

    def _move_deals(self, source: int, target: int, move: np.void, *, whole: bool) -> None:
        """Contracts, swaps and orders about one security are about the other from now on."""
        array = self._tables.array
        numbers = [
            number
            for number in self._deals_of(source)
            if all(
                not move[name] or array[name]["code"][array["deal"][name][number]] == move[name]
                for name in ("book", "depot")
            )
        ]
        self._relink(numbers, target)
        if whole and numbers:
            codes = array["deal"]["code"][numbers].tolist()
            kept = [(source, target, number, code) for number, code in zip(numbers, codes, strict=True)]
            self._deals = np.concatenate([self._deals, np.array(kept, DEALT)])

    def _deals_home(self, source: int, target: int) -> None:
        deals, deal = self._deals, self._tables.array["deal"]
        mine = (deals["source"] == source) & (deals["target"] == target)
        numbers = deals["number"][mine]
        there = (deal["code"][numbers] == deals["code"][mine]) & (deal["security"][numbers] == target)
        self._relink(numbers[there].tolist(), source)
        self._deals = deals[~mine]

    def _deals_of(self, security: int) -> list[int]:
        links = self._tables.array["deal"]["next_in_security"]
        numbers: list[int] = []
        at = int(self._tables.array["first_deal"][security])
        while at and len(numbers) < len(links):
            numbers.append(at)
            at = int(links[at])
        return numbers

    def _relink(self, numbers: list[int], target: int) -> None:
        """Move deals to another security's chain."""
        deal, first = self._tables.array["deal"], self._tables.array["first_deal"]
        wanted = set(numbers)
        for security in {int(deal["security"][number]) for number in numbers}:
            left = [number for number in self._deals_of(security) if number not in wanted]
            first[security] = left[0] if left else 0
            deal["next_in_security"][left] = [*left[1:], 0][: len(left)]
        for number in reversed(numbers):
            deal["security"][number] = target
            deal["next_in_security"][number] = first[target]
            first[target] = number


def _rate(row: NDArray[np.int64], other: NDArray[np.int64]) -> int | None:
    """What a contract's row costs when another is added to it, weighed by quantity; None where the word is a quantity."""
    if int(row[KEY]) & 0xFF <= _LAST_OF_CLIENTS:
        return None
    rates, weights = (int(row[_RATE]), int(other[_RATE])), (abs(int(row[TD])), abs(int(other[TD])))
    if not rates[0] or not rates[1]:
        return rates[0] or rates[1]
    whole = sum(weights)
    return (rates[0] * weights[0] + rates[1] * weights[1]) // whole if whole else rates[1]


@nb.njit(**_JIT)
def _find_or_make(keys: NDArray[np.int64], rows: NDArray[np.int64], count: int, book: Book) -> int:
    """Row numbers of keys into `rows`. Returns how many rows there are now, or -1 where there is no room for all."""
    position, slots = book.position, book.slots
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(keys.size):
        key = keys[i]
        hashed = hash_of(key)
        at = hashed & mask
        while True:
            row = np.int64(slots[at] & np.uint64(0xFFFFFFFF)) - 1
            if row < 0 or position[row, KEY] == key:
                break
            at = (at + np.uint64(1)) & mask
        if row < 0:
            if count >= position.shape[0]:
                return -1
            row = np.int64(count)
            count += 1
            security, number = key >> 40, (key >> 24) & 0xFFFF
            position[row, KEY] = key
            position[row, LINKS] = np.int64(book.first_in_security[security]) | (
                np.int64(book.first_in_book[number]) << 32
            )
            slots[at] = (hashed & ~np.uint64(0xFFFFFFFF)) | np.uint64(count)
            book.first_in_security[security] = count
            book.first_in_book[number] = count
            book.row_class[row] = 0
        rows[i] = row
    return count
