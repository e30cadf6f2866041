"""All breaks that the shared tables show, kept up to date: only securities that something has happened to are looked at again.

A reader's work, beside the writer: some securities at a time, each at one epoch. What decisions and rules change is cheap to
look at whole; with a business day everything is looked at anew. Who merges or splits securities changes rows without a mark:
whoever looks does so at everything (`whole`) now and then while reference data change.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine import break_kernel
from engine.break_kernel import FOUND_WORDS, SIGNS, examine
from engine.break_kinds import BreakKind, Found, Place
from engine.model import DAYS, HEAD_MARK, NO_DATE, DealState, Kind
from engine.rule_model import Role
from engine.tables import Tables, Word

_AT_ONCE: Final = 256
"""Securities looked at in one epoch: a millisecond or two without a change by the writer."""
_LINES: Final = 65_536
_GIVEN: Final = frozenset(k for k in Kind if k == Kind.SLAB_LOAN or "_PLEDGE_" in k.name)
"""Contracts under which a counterparty has stock of ours."""
_TAKEN: Final = frozenset({Kind.SLAB_BORROW, Kind.REPO_RECEIVED, Kind.REPO_RECEIVED_LOCKED})
"""Contracts under which we have stock of a counterparty's."""
_SHOWN: Final = {break_kernel.TD_SD: BreakKind.TD_SD, break_kernel.FRONT_BACK: BreakKind.FRONT_BACK}
BELOW: Final = (Role.LEFT_SHORT, Role.LEFT_LONG)
"""Numbers that must not be below zero."""


class BreakScan:
    """Of one attachment to the tables: where the writer is another one, begin anew. `turn` may be called by one thread."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.beyond = 0
        """Rows that were not held against a statement: their security lies in too many depots."""
        array, books = tables.array, len(tables.array["book"])
        self._position = array["position"].view("<i8").reshape(len(array["position"]), -1)
        self._seen = np.full(len(array["head"]), -1, np.int64)
        self._today = b""
        self._states = np.zeros(len(array["depot"]), np.uint8)
        self._holds = np.zeros((books, len(tables.markets)), np.uint8)
        self._closing = np.zeros(0, np.int64)
        self._closed = np.zeros(0, np.uint8)
        self._lines = np.zeros((_LINES, FOUND_WORDS), np.int64)
        self._of: dict[int, list[Found]] = {}
        self._stated: dict[int, list[tuple[int, int]]] = {}
        """By security, (book, shares) that counterparties state."""

    @property
    def found(self) -> Iterator[Found]:
        """Everything that differs, as of the last turn, those of the tables' rows first."""
        for some in self._of.values():
            yield from some
        yield from self._numbers
        yield from self._contracts
        yield from self._books

    def close_at(self, closing: NDArray[np.int64], closed: NDArray[np.uint8]) -> None:
        """Hold starts of day against this close from now on: by row, the contractual quantity, and whether there was one."""
        self._closing, self._closed = closing, closed
        self._today = b""

    def turn(self, *, whole: bool = False) -> int:
        """Look at what has changed since the last turn, or at everything; returns how many securities were looked at.

        Raises `TornReadError` while the writer leaves no quiet moment; what was seen until then is kept.
        """
        tables, count = self.tables, self.tables.count(Word.SECURITIES) + 1
        marks = tables.array["head"][:count, HEAD_MARK].copy()
        today = tables.array["today"].tobytes()
        if whole or today != self._today:
            self._seen[:] = -1
            self._holds[:] = 0
            self._today = today
        changed = np.flatnonzero(marks[1:] != self._seen[1:count]).astype(np.int32) + np.int32(1)
        states = self._states.copy()
        self._look(changed, marks)
        if (states != self._states).any():  # a custodian has begun to state: what it does not name counts, too
            self._seen[:] = -1
            self._look(np.arange(1, count, dtype=np.int32), marks)
        self._numbers = tables.read(self._below_zero)
        self._contracts = tables.read(self._of_contracts)
        self._books = tables.read(self._without_unit)
        return len(changed)

    # parts

    _numbers: list[Found] = []  # noqa: RUF012  replaced, never changed
    _contracts: list[Found] = []  # noqa: RUF012
    _books: list[Found] = []  # noqa: RUF012

    def _look(self, ids: NDArray[np.int32], marks: NDArray[np.int64]) -> None:
        at = 0
        while at < ids.size:
            some = ids[at : at + _AT_ONCE]
            done, lines, beyond = self.tables.read(lambda some=some: self._examine(some))  # type: ignore[misc]
            if done == 0:  # one security alone has more lines than there is room for
                self._lines = np.zeros((2 * len(self._lines), FOUND_WORDS), np.int64)
                continue
            self.beyond += beyond
            looked = some[:done]
            self._keep(looked.tolist(), self._lines[:lines])
            self._seen[looked] = marks[looked]
            at += done

    def _examine(self, ids: NDArray[np.int32]) -> tuple[int, int, int]:
        array = self.tables.array
        market_of = np.ascontiguousarray(array["security"]["market"])
        looked: tuple[int, int, int] = examine(
            ids,
            array["first_in_security"],
            self._position,
            market_of,
            SIGNS,
            self._closing,
            self._closed,
            self._states,
            self._holds,
            self._lines,
        )
        return looked

    def _keep(self, ids: list[int], lines: NDArray[np.int64]) -> None:
        for security in ids:
            self._of.pop(security, None)
            self._stated.pop(security, None)
        for what, security, where, ours, theirs in lines.tolist():
            if what == break_kernel.DEPOT:
                found = Found(BreakKind.DEPOT, Place(security=security, depot=where), ours, theirs)
                self._of.setdefault(security, []).append(found)
                continue
            key = int(self._position[where, 0])
            book, depot, kind = key >> 24 & 0xFFFF, key >> 8 & 0xFFFF, key & 0xFF
            if what == break_kernel.STATED:
                self._stated.setdefault(security, []).append((book, theirs))
            else:
                place = Place(security, book, depot, kind)
                self._of.setdefault(security, []).append(Found(_SHOWN[what], place, ours, theirs))

    def _below_zero(self) -> list[Found]:
        tables, array, found = self.tables, self.tables.array, []
        count = tables.count(Word.SECURITIES) + 1
        ids = np.arange(1, count)
        days = np.array([market.settle_days for market in tables.markets])
        on = np.minimum(days[array["security"]["market"][1:count]], DAYS - 1)
        for role in BELOW:
            left = array["values"][ids, tables.catalogue.playing(role), on]
            for at in np.flatnonzero(left < 0).tolist():
                place = Place(security=at + 1, number=role)
                found.append(Found(BreakKind.AVAILABILITY, place, int(left[at]), 0))
        return found

    def _of_contracts(self) -> list[Found]:
        array, used = self.tables.array, self.tables.count(Word.DEALS) + 1
        deals = array["deal"][:used]
        today = array["today"][array["security"]["market"][deals["security"]]]
        is_open = deals["state"] == DealState.OPEN
        late = is_open & (deals["recalled"] > 0) & (deals["due_date"] != NO_DATE) & (deals["due_date"] < today)
        over = (
            is_open & ~late & (deals["end_date"] > 0) & (deals["end_date"] < today) & (deals["kind"] != Kind.OPEN_ORDER)
        )
        found = [self._overdue(at, "recall_overdue") for at in np.flatnonzero(late).tolist()]
        found += [self._overdue(at, "past_its_end") for at in np.flatnonzero(over).tolist()]
        return found + self._against_counterparties(deals, is_open)

    def _overdue(self, deal: int, number: str) -> Found:
        record = self.tables.array["deal"][deal]
        place = Place(
            security=int(record["security"]),
            book=int(record["book"]),
            depot=int(record["depot"]),
            row_kind=int(record["kind"]),
            counterparty=int(record["counterparty"]),
            deal=deal,
            number=number,
        )
        still = int(record["quantity"])
        due = int(record["recalled"]) if number == "recall_overdue" else still
        return Found(BreakKind.CONTRACT, place, still, still - due)

    def _against_counterparties(self, deals: NDArray[np.void], is_open: NDArray[np.bool_]) -> list[Found]:
        """What a counterparty states (a row of kind DEPOT without a depot, in a book whose client it is): what it has of
        ours, and below zero what we have of it."""
        if not self._stated:
            return []
        array = self.tables.array
        codes = array["counterparty"]["code"][: self.tables.count(Word.COUNTERPARTIES) + 1]
        number = {code: at for at, code in enumerate(codes.tolist()) if code}
        stated: dict[tuple[int, int], int] = {}
        for security, rows in self._stated.items():
            for book, shares in rows:
                counterparty = number.get(bytes(array["book"]["client"][book]), 0)
                if counterparty:
                    stated[security, counterparty] = stated.get((security, counterparty), 0) + shares
        sign = np.array([int(kind in _GIVEN) - int(kind in _TAKEN) for kind in Kind], np.int64)
        counted = np.flatnonzero(is_open & np.isin(deals["security"], np.array(list(self._stated), np.int32)))
        ours = dict.fromkeys(stated, 0)
        for at in counted.tolist():
            key = int(deals["security"][at]), int(deals["counterparty"][at])
            if key in ours:
                ours[key] += int(sign[deals["kind"][at]] * deals["quantity"][at])
        return [
            Found(BreakKind.CONTRACT, Place(security=security, counterparty=counterparty), ours[key], theirs)
            for key, theirs in stated.items()
            if ours[key] != theirs
            for security, counterparty in [key]
        ]

    def _without_unit(self) -> list[Found]:
        array, found = self.tables.array, []
        homeless = (self._holds > 0) & (array["book_unit"] == 0)
        homeless &= (array["book"]["aggregation_unit"] == b"")[:, None]
        for book, market in np.argwhere(homeless).tolist():
            found.append(Found(BreakKind.PARTY, Place(book=book, market=market), 1, 0))
        return found
