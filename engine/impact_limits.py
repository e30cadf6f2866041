"""Limits of clients and aggregation units that a draft would overdraw, for those whose holdings decisions tell.

Nobody keeps these numbers: both are made from the same moment of the security, the one in force as it explains itself, the
draft's as `engine.parties` makes it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.explain import Explainer
from engine.explain_rows import Raw, SecurityCopy, made_of, raw
from engine.impact_reading import PATIENCE_S, DraftReading
from engine.model import Decided
from engine.parties import Parties
from engine.rule_model import Role, Scope
from engine.rules import Compiled
from engine.tables import Tables, Word

_Numbers: TypeAlias = dict[str, NDArray[np.int64]]
_AtOnce: TypeAlias = tuple[Raw, list[_Numbers]]
_ROLES: Final = {
    Scope.CLIENT: (Role.CLIENT_LONG, Role.CLIENT_SHORT),
    Scope.AU: (Role.AU_LONG, Role.AU_SHORT),
}


@dataclass(frozen=True, slots=True)
class Holding:
    """What decisions hold of a client or an aggregation unit (`scope`) in a security."""

    security: int
    scope: Scope
    owner: str
    decided: Mapping[Decided, int]


class Overdrawn(Struct, frozen=True):
    """A limit that would be below zero, and below what it is, on the settlement day. `calculation`: its name in the draft."""

    security: str
    scope: str
    owner: str
    calculation: str
    role: str
    before: int
    after: int


def overdrawn(
    tables: Tables, reading: DraftReading, holdings: Sequence[Holding], patience_s: float = PATIENCE_S
) -> list[Overdrawn]:
    """What the draft would overdraw, the worst first; `reading` may have been used before.

    An owner without a book is left out: nothing of theirs is of a row. Raises KeyError for an unknown security, and
    `TornReadError`.
    """
    found: list[Overdrawn] = []
    deadline = time.monotonic() + patience_s
    for security, group in groupby(sorted(holdings, key=_security), _security):
        if not 0 < security <= tables.count(Word.SECURITIES):
            raise KeyError(f"no security has id {security}")
        found += _of_security(tables, reading, security, list(group), deadline)
    return sorted(found, key=lambda each: (each.after, each.security, each.owner, each.role))


def _security(holding: Holding) -> int:
    return holding.security


def _of_security(
    tables: Tables, reading: DraftReading, security: int, holdings: list[Holding], deadline: float
) -> list[Overdrawn]:
    """Reads the security, its values and its owners' numbers in one epoch, as often as it takes."""
    found = None
    while found is None:
        reading.classify(deadline)
        seen = reading.as_if_published()
        parties, values = Parties(seen), seen.array["values"]

        def at_once(parties: Parties = parties, values: NDArray[np.int64] = values) -> _AtOnce | None:
            now = reading.values_now(security)
            if now is None:
                return None
            values[security] = now
            return raw(tables, security), [_numbers(parties, reading.compiled, each) for each in holdings]

        found = tables.read(at_once, max(0.0, deadline - time.monotonic()))
    taken, numbers = found
    copy = made_of(tables, taken)
    pairs = zip(holdings, numbers, strict=True)
    return [each for holding, after in pairs for each in _below(copy, reading.compiled.catalogue, holding, after)]


def _numbers(parties: Parties, compiled: Compiled, holding: Holding) -> _Numbers:
    """The draft's, by name; none of an owner without a book."""
    try:
        return parties.numbers(compiled, holding.scope, holding.security, holding.owner, holding.decided)
    except KeyError:
        return {}


def _below(copy: SecurityCopy, draft: Catalogue, holding: Holding, numbers: _Numbers) -> list[Overdrawn]:
    """Which limits the draft takes below zero, or deeper."""
    client, unit = (holding.owner, None) if holding.scope == Scope.CLIENT else (None, holding.owner)
    explainer = Explainer(copy, client=client, aggregation_unit=unit, decided=holding.decided)
    day, found = copy.market.settle_days, []
    for role in _ROLES[holding.scope] if numbers else ():
        name = draft.calculations[draft.playing(role)].name
        before = explainer.explain(copy.catalogue.playing(role), day).value
        after = int(numbers[name][day])
        if after < min(0, before):
            code = bytes(copy.record["code"]).decode("utf-8", "replace")
            found.append(Overdrawn(code, holding.scope, holding.owner, name, role, before, after))
    return found
