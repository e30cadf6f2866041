"""What decisions hold of securities: counted by the code they were made under, told of the security that code leads to now.

Securities merge, and merges are taken back (`engine.moves`): codes then lead elsewhere, and what they hold goes with them. So
several codes may hold shares of one security; what it is asked for, and told, is the sum.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.model import SYMBOL_BYTES, Decided

Owner: TypeAlias = tuple[str, str]
"""For whom something is held: a scope ("client", "unit") and a name in it."""
ALL: Final[Owner] = ("", "")
_Counts: TypeAlias = dict[Decided, int]


class Told(Protocol):
    """What is asked of the inventory, and told to it."""

    def security_id(self, code: str) -> int: ...
    def security_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]: ...
    def set_decided(self, security: int, what: Decided, quantity: int) -> None: ...
    def decided(self, security: int, what: Decided) -> int: ...
    @property
    def reference(self) -> int: ...


class Holdings:
    """Shares by code and owner. `invariant`: what to raise where they cannot be right."""

    def __init__(self, inventory: Told, invariant: type[Exception]) -> None:
        self._inventory = inventory
        self._invariant = invariant
        self._counts: dict[tuple[str, Owner], _Counts] = {}
        self._of_owner: dict[Owner, set[str]] = {}
        """The codes an owner holds something under."""
        self._ids: dict[str, int] = {}
        """Where every code that is followed leads, 0 for nowhere yet."""
        self._codes: dict[int, list[str]] = {}
        """The codes that lead to a security."""
        self._texts: NDArray[np.bytes_] | None = None
        """The keys of `_ids`, for looking up all at once."""
        self._reference: int | None = None

    def id(self, code: str) -> int:
        """The security a code leads to now; 0 where it is unknown."""
        self.renew()
        known = self._ids.get(code)
        return self._inventory.security_id(code) if known is None else known

    def together(self, code: str) -> Sequence[str]:
        """The followed codes that lead to the same security as this one."""
        security = self.id(code)
        return tuple(self._codes.get(security, ())) if security else (code,)

    def held(self, code: str, owner: Owner = ALL) -> _Counts:
        """What is held of the security that a code leads to."""
        sums: _Counts = {}
        for each in self.together(code):
            _add(sums, self._counts.get((each, owner), {}))
        return sums

    def securities_of(self, owner: Owner) -> set[int]:
        """The securities an owner holds something of; those that nobody knows yet are left out."""
        self.renew()
        return {self._ids[code] for code in self._of_owner.get(owner, ())} - {0}

    def owners(self, code: str, scope: str) -> set[str]:
        """Those of a scope who hold something of the security that a code leads to."""
        codes = self.together(code)
        return {
            owner[1]
            for owner in self._of_owner
            if owner[0] == scope and any((each, owner) in self._counts for each in codes)
        }

    def largest(self, scope: str, most: int) -> list[tuple[str, str, _Counts]]:
        """Owners of a scope that hold most of a security: a code of it, their name, and what they hold; largest first."""
        self.renew()
        found: dict[tuple[str, str], _Counts] = {}
        for (code, owner), counts in self._counts.items():
            if owner[0] == scope and (security := self._ids[code]):
                _add(found.setdefault((self._codes[security][0], owner[1]), {}), counts)
        largest = heapq.nlargest(most, found.items(), key=lambda each: sum(each[1].values()))
        return [(code, name, counts) for (code, name), counts in largest]

    def expect(self, codes: Iterable[str]) -> None:
        """Follow these codes; they are looked up together, and what they hold by then is told at once, by the next `renew`."""
        for code in codes:
            self._ids.setdefault(code, 0)
        self._texts = self._reference = None

    def follow(self, code: str) -> None:
        """Know where a code leads from now on."""
        if code not in self._ids:
            self._lead(code, self._inventory.security_id(code))
            self._texts = None

    def add(self, code: str, what: Decided, shares: int, *owners: Owner) -> None:
        """Hold so many more shares (less than 0: fewer), and tell the inventory."""
        self.add_for((ALL, *owners), code, what, shares)
        self._tell(self._ids[code], what)

    def add_for(self, owners: Sequence[Owner], code: str, what: Decided, shares: int) -> None:
        """The same for these owners only, who may hold other shares than all together; the inventory is not told."""
        self.follow(code)
        for owner in owners:
            counts = self._counts.setdefault((code, owner), {})
            self._of_owner.setdefault(owner, set()).add(code)
            counts[what] = counts.get(what, 0) + shares
            if counts[what] < 0:
                raise self._invariant(f"{code}: {-counts[what]:,} more shares given back than were taken")
            if not counts[what]:
                del counts[what]
            if not counts:
                del self._counts[code, owner]
                self._of_owner[owner].remove(code)
                if not self._of_owner[owner]:
                    del self._of_owner[owner]

    def renew(self) -> None:
        """Look up again where codes lead, where that may have changed, and tell the inventory what has gone elsewhere."""
        reference = self._inventory.reference
        if reference == self._reference:
            return
        if self._texts is None:
            self._texts = np.array([code.encode() for code in self._ids], f"S{SYMBOL_BYTES}")
        changed: set[tuple[int, Decided]] = set()
        leads = self._inventory.security_ids(self._texts).tolist()
        for (code, before), now in zip(list(self._ids.items()), leads, strict=True):
            if now != before:
                changed.update(
                    (security, what) for security in (before, now) for what in self._counts.get((code, ALL), ())
                )
                self._lead(code, now)
        self._reference = reference
        for security, what in sorted(changed):
            self._tell(security, what)

    def check(self, sums: Mapping[tuple[str, Decided], int]) -> None:
        """Whether these are the shares held, by code, and the inventory has them. Raises the invariant's error."""
        self.renew()
        counted = {
            (code, what): shares
            for (code, owner), counts in self._counts.items()
            if owner == ALL
            for what, shares in counts.items()
        }
        for code, what in counted.keys() | sums.keys():
            ours, theirs = counted.get((code, what), 0), sums.get((code, what), 0)
            if ours != theirs:
                raise self._invariant(f"{what.name} {code}: {ours} counted, decisions say {theirs}")
        for security, what in {(self._ids[code], what) for code, what in counted}:
            self._agree(security, what)

    # parts

    def _lead(self, code: str, security: int) -> None:
        """A code leads to this security from now on."""
        before = self._ids.get(code, 0)
        if before:
            self._codes[before].remove(code)
            if not self._codes[before]:
                del self._codes[before]
        self._ids[code] = security
        if security:
            self._codes.setdefault(security, []).append(code)

    def _sum(self, security: int, what: Decided) -> int:
        return sum(self._counts.get((code, ALL), {}).get(what, 0) for code in self._codes.get(security, ()))

    def _tell(self, security: int, what: Decided) -> None:
        if security:
            self._inventory.set_decided(security, what, self._sum(security, what))
            self._agree(security, what)

    def _agree(self, security: int, what: Decided) -> None:
        if not security:
            return
        told, ours = self._inventory.decided(security, what), self._sum(security, what)
        if told != ours:
            codes = ", ".join(self._codes.get(security, ()))
            raise self._invariant(f"{codes}: the inventory has {told} {what.name.lower()}, decisions hold {ours}")


def _add(sums: _Counts, counts: Mapping[Decided, int]) -> None:
    for what, shares in counts.items():
        sums[what] = sums.get(what, 0) + shares
