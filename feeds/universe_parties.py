"""Whom the simulated house deals with, and the aggregation units of its books in every market."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from feeds import reference
from feeds.reference import AggregationUnit, BookUnit, Counterparty, UnitKind
from feeds.universe import AGENTS, Role, Universe, unit_of

_LENDERS: Final = 32
_BROKERS: Final = 12
_LEI_ISSUER: Final = "5299IMS0"


def counterparties(universe: Universe) -> list[Counterparty]:
    """Clients and legal entities of the books, custodians, agents, lenders and brokers; each with a valid LEI."""
    books = universe.books
    clients = sorted(set(books["client"][(universe.role == Role.MARGIN) | (universe.role == Role.CASH)].tolist()))
    entities = sorted(set(books["entity"].tolist()) - {b""})
    named = [(code.decode(), "CLIENT") for code in clients] + [(code.decode(), "ENTITY") for code in entities]
    named += [(code.decode(), "CUSTODIAN") for code in universe.depots["code"].tolist()]
    named += [(code, "CUSTODIAN") for code in AGENTS]
    named += [(code, "LENDER") for code in lenders()]
    named += [(f"BROKER-{number + 1}", "BROKER") for number in range(_BROKERS)]
    return [Counterparty(code, code, lei(number), kind=kind) for number, (code, kind) in enumerate(named)]


def lenders() -> list[str]:
    """Codes of those with whom stock is borrowed, lent and pledged."""
    return [f"LENDER-{number + 1}" for number in range(_LENDERS)]


def units(universe: Universe) -> list[reference.Record]:
    """Every unit that a book has in any market, and which: desks in their own, clients in all."""
    made: dict[str, reference.Record] = {}
    belongs: list[reference.Record] = []
    first = {role: int(np.flatnonzero(universe.role == role)[0]) for role in Role}
    for at, (code, _, entity, _) in enumerate(universe.books.tolist()):
        role, home = Role(universe.role[at]), int(universe.home[at])
        everywhere = role in (Role.MARGIN, Role.CASH)
        for index, market in enumerate(universe.markets):
            unit = unit_of(role, market.code, at - first[role])
            if not unit or not (everywhere or index == home):
                continue
            kind = UnitKind(unit.split("-")[1])
            made.setdefault(unit, AggregationUnit(unit, market.code, kind, unit, entity.decode()))
            belongs.append(BookUnit(code.decode(), unit, market.code))
    return [*made.values(), *belongs]


def lei(number: int) -> str:
    """A legal entity identifier with its check digits (ISO 7064, modulo 97)."""
    body = f"{_LEI_ISSUER}{number:010d}"
    return f"{body}{98 - int(''.join(str(int(sign, 36)) for sign in body) + '00') % 97:02d}"


def everything(universe: Universe) -> Sequence[reference.Record]:
    """Counterparties, then units, then what books are in them."""
    return [*counterparties(universe), *units(universe)]
