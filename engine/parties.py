"""Numbers of one client or aggregation unit in one security, made when they are asked for (domain.md 5).

The rows of the security that belong to the owner are summed as the kernel sums all of them, and the same programs run over
these sums. Numbers of the whole security that such a calculation uses are the security's own.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.calc import recalculate
from engine.expression import Code, Program
from engine.model import ALL, DAYS, HEAD_TOUCHED, HEAD_WORDS, TERM_WORDS, Decided
from engine.programs import Programs, programs_of
from engine.row import KEY, LINKS, feed, look
from engine.rule_model import Measure, Scope
from engine.rules import Compiled
from engine.tables import Tables, Word

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_LOW: Final = np.int64(0xFFFFFFFF)
_MOST_SUMS: Final = 63
"""Bits of HEAD_TOUCHED that can be asked for."""
_COLUMN: Final = {Scope.CLIENT: "client", Scope.AU: "aggregation_unit"}
_TITLE: Final = {Scope.CLIENT: "client", Scope.AU: "aggregation unit"}


class _Rows(NamedTuple):
    """The machine's rows, and what those of a class feed."""

    first_in_security: NDArray[np.int32]
    position: NDArray[np.int64]
    row_class: NDArray[np.uint16]
    entries: NDArray[np.int64]
    counts: NDArray[np.int64]


class _Seen(NamedTuple):
    """What is seen of whole securities and their markets."""

    market: NDArray[np.uint8]
    values: NDArray[np.int64]
    head: NDArray[np.int64]
    clock: NDArray[np.int64]


class _Room(NamedTuple):
    """For one owner's numbers. `one`: the place of the only one."""

    terms: NDArray[np.int64]
    head: NDArray[np.int64]
    values: NDArray[np.int64]
    one: NDArray[np.int32]


class Parties:
    """For the writer's own process, between two events: it reads the tables without asking for the epoch."""

    def __init__(self, tables: Tables) -> None:
        array = tables.array
        self._tables = tables
        self._position = array["position"].view("<i8").reshape(len(array["position"]), -1)
        self._market = array["security"]["market"]
        self._rows = _Rows(
            array["first_in_security"],
            self._position,
            array["row_class"],
            array["class_entries"],
            array["class_counts"],
        )
        self._seen = _Seen(self._market, array["values"], array["head"], array["clock"])
        self._compiled: Compiled | None = None
        self._reference = -1
        self._scopes: dict[Scope, _Scoped] = {}
        self._owners: dict[tuple[Scope, int], tuple[dict[bytes, int], NDArray[np.int32]]] = {}

    def numbers(
        self, compiled: Compiled, scope: Scope, security: int, owner: str, decided: Mapping[Decided, int] | None = None
    ) -> dict[str, NDArray[np.int64]]:
        """Every calculation of the scope for one owner, by name, shape (DAYS,). `compiled`: the rules in force; `decided`:
        what decisions hold of the owner in the security.

        Raises KeyError for a security that there is not, or an owner that no book has.
        """
        made = self._make(compiled, scope, security, owner, decided)
        return {name: made.values[0, at * DAYS : (at + 1) * DAYS].copy() for name, at in made.names.items()}

    def number(
        self,
        compiled: Compiled,
        scope: Scope,
        security: int,
        owner: str,
        decided: Mapping[Decided, int],
        calculation: int,
        day: int,
    ) -> int:
        """One calculation of the scope, by its place in the catalogue, on one day. Raises as `numbers`."""
        return int(self._make(compiled, scope, security, owner, decided).values[0, calculation * DAYS + day])

    def _make(
        self, compiled: Compiled, scope: Scope, security: int, owner: str, decided: Mapping[Decided, int] | None
    ) -> "_Scoped":
        """Everything of the scope, for one owner in one security."""
        tables = self._tables
        if not 0 < security <= tables.count(Word.SECURITIES):
            raise KeyError(f"no security has id {security}")
        if compiled is not self._compiled:
            self._scopes = {of: _Scoped(compiled, of) for of in _COLUMN}
            self._compiled = compiled
        number, owner_of = self._owner(scope, owner, int(self._market[security]))
        made = self._scopes[scope]
        made.shares.fill(0)
        for what, shares in (decided or {}).items():
            for place in made.counted.get(what, ()):
                made.shares[place] = shares
        _calculate(
            security,
            number,
            owner_of,
            self._rows,
            self._seen,
            made.decided,
            made.shares,
            made.whole,
            made.programs,
            made.room,
            made.market,
        )
        return made

    def _owner(self, scope: Scope, owner: str, market: int) -> tuple[int, NDArray[np.int32]]:
        """The number of an owner, and the owner of every book in a market."""
        reference = self._tables.count(Word.REFERENCE)
        if reference != self._reference:
            self._owners = {}
            self._reference = reference
        place = scope, market if scope == Scope.AU else 0
        if place not in self._owners:
            self._owners[place] = self._grouped(scope, market)
        numbers, owner_of = self._owners[place]
        number = numbers.get(owner.encode())
        if number is None and owner and self._elsewhere(scope, owner):
            return -2, owner_of  # it has no book in this market: nothing is its
        if number is None or not owner:
            raise KeyError(f"no {_TITLE[scope]} {owner!r}")
        return number, owner_of

    def _elsewhere(self, scope: Scope, owner: str) -> bool:
        """Whether an aggregation unit is known though no book is in it here."""
        array, name = self._tables.array, owner.encode()
        if scope != Scope.AU:
            return False
        units = array["unit"]["code"][: self._tables.count(Word.UNITS) + 1]
        return bool((units == name).any() or (array["book"]["aggregation_unit"] == name).any())

    def _grouped(self, scope: Scope, market: int) -> tuple[dict[bytes, int], NDArray[np.int32]]:
        """Owners by name, and the owner of every book; an aggregation unit may be another one in each market."""
        array, count = self._tables.array, self._tables.count(Word.BOOKS) + 1
        owners = array["book"][_COLUMN[scope]][:count].copy()
        if scope == Scope.AU:
            units = array["book_unit"][:count, market]
            owners[units != 0] = array["unit"]["code"][units[units != 0]]
        names, owner_of = np.unique(owners, return_inverse=True)
        every = np.full(len(array["book"]), -1, np.int32)
        every[1 : len(owner_of)] = owner_of[1:]
        return {name: i for i, name in enumerate(names.tolist())}, every


class _Scoped:
    """The programs of one scope, and room for one owner's numbers."""

    def __init__(self, compiled: Compiled, scope: Scope) -> None:
        catalogue = compiled.catalogue
        chosen = [i for i, info in enumerate(catalogue.calculations) if info.scope == scope]
        self.names = {catalogue.calculations[i].name: i for i in chosen}
        used = {
            argument
            for of_market in compiled.programs
            for i in chosen
            for code, argument in of_market[i]
            if code == Code.CALCULATION and argument not in chosen
        }
        # a number of the whole security is given to the programs as if it were one more sum
        first = len(catalogue.components)
        place = {calculation: first + i for i, calculation in enumerate(sorted(used))}
        if first + len(place) > _MOST_SUMS:
            raise ValueError(f"more than {_MOST_SUMS} sums and numbers for calculations of a {_TITLE[scope]}")
        self.whole = np.array([(at, calculation) for calculation, at in place.items()], np.int64).reshape(-1, 2)
        """Components that are numbers of the whole security, and of which calculation."""
        decided = [term for term in catalogue.terms if term.measure == Measure.DECIDED.name.lower()]
        self.decided = np.array([term.component for term in decided], np.int64)
        """Components that decisions are counted in, and how many shares."""
        self.shares = np.zeros(len(decided), np.int64)
        self.counted: dict[Decided, list[int]] = {}
        for at, term in enumerate(decided):
            self.counted.setdefault(Decided[(term.source or term.name).upper()], []).append(at)
        programs = [[_given(program, place) for program in of_market] for of_market in compiled.programs]
        self.programs: Programs = programs_of(programs, chosen, compiled.day_weights)
        self.values = np.zeros((1, len(catalogue.calculations) * DAYS), np.int64)
        terms = np.zeros((1, (first + len(place)) * TERM_WORDS), np.int64)
        self.room = _Room(terms, np.zeros((1, HEAD_WORDS), np.int64), self.values, np.zeros(1, np.int32))
        self.market = np.zeros(1, np.uint8)


def _given(program: Program, place: Mapping[int, int]) -> Program:
    return tuple(
        (Code.TERM, place[argument]) if code == Code.CALCULATION and argument in place else (code, argument)
        for code, argument in program
    )


@nb.njit(**_JIT)
def _calculate(
    security: int,
    owner: int,
    owner_of: NDArray[np.int32],
    rows: _Rows,
    seen: _Seen,
    decided: NDArray[np.int64],
    shares: NDArray[np.int64],
    whole: NDArray[np.int64],
    programs: Programs,
    room: _Room,
    market: NDArray[np.uint8],
) -> None:
    """Everything of a scope for one owner in one security, into `room.values`: one step, because each costs its arguments."""
    terms, head = room.terms, room.head
    terms[:] = 0
    first, position, row_class, entries, counts = rows
    _sum(security, owner, owner_of, first, position, row_class, entries, counts, terms)
    for i in range(decided.size):
        for day in range(DAYS):
            terms[0, decided[i] * TERM_WORDS + day] = shares[i]
    for i in range(whole.shape[0]):
        for day in range(DAYS):
            terms[0, whole[i, 0] * TERM_WORDS + day] = seen.values[security, whole[i, 1], day]
    head[0] = seen.head[security]
    head[0, HEAD_TOUCHED] = -1
    market[0] = seen.market[security]
    recalculate(room.one, market, programs, terms, head, seen.clock, room.values)


@nb.njit(**_JIT)
def _sum(
    security: int,
    owner: int,
    owner_of: NDArray[np.int32],
    first_in_security: NDArray[np.int32],
    position: NDArray[np.int64],
    row_class: NDArray[np.uint16],
    entries: NDArray[np.int64],
    counts: NDArray[np.int64],
    terms: NDArray[np.int64],
) -> None:
    """Add what the security's rows in the owner's books give to every component. Shape of `terms`: (1, words)."""
    nothing = look(np.zeros((1, position.shape[1]), np.int64), 0)
    at = np.int64(first_in_security[security])
    while at:
        row = at - 1
        if owner_of[(position[row, KEY] >> 24) & 0xFFFF] == owner:
            of_class = np.int64(row_class[row])
            feed(nothing, look(position, row), terms, 0, entries, of_class, counts[of_class, ALL])
        at = position[row, LINKS] & _LOW
