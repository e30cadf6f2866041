"""What two services hold, compared as whole tables; and what one has promised with what it counts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.locates import Locate, LocateType
from engine.model import HEAD_FACTS, HEAD_UPDATED, DealState, Decided, Namespace
from engine.rule_model import Measure
from engine.symbols import Symbols
from engine.tables import Tables, Word

_WORDS: Final = (Word.EVENTS, Word.MISSING, Word.REJECTED, Word.CORRECTED, Word.LAST_EVENT_NS, Word.PARKED)
"""Counters that do not depend on how often something was read. Duplicates do."""
_BY_ID: Final = (
    "security",
    "book",
    "depot",
    "source",
    "counterparty",
    "unit",
    "terms",
    "values",
    "newest",
    "missing",
    "parked",
)


class FaultError(AssertionError):
    """A service that did not come back, or that holds something else than the uninterrupted one."""


def broken_promises(tables: Tables, locates: Sequence[Locate]) -> str:
    """The first security whose live locates hold something else than is counted; "" where there is none."""
    held = np.zeros_like(tables.array["decided"][:, :2])
    symbols = Symbols(tables.array["symbols"])
    of = {LocateType.SHORT: Decided.SHORT_LOCATES, LocateType.LONG: Decided.LONG_LOCATES}
    for locate in locates:
        held[symbols.find_one(Namespace.SECURITY, locate.request.security), of[locate.request.type]] += locate.decrement
    counted = tables.read(tables.array["decided"][:, :2].copy)
    for security, what in np.argwhere(held[1:] != counted[1:]).tolist():
        code = tables.array["security"]["code"][security + 1].decode()
        return f"{code} {Decided(what).name.lower()}: {held[security + 1, what]:,}, {counted[security + 1, what]:,}"
    return ""


def contents(tables: Tables) -> dict[str, NDArray[Any]]:
    """Everything that a table holds, in an order that does not depend on when what came."""
    return tables.read(lambda: _contents(tables), patience_s=10.0)


def _contents(tables: Tables) -> dict[str, NDArray[Any]]:
    array = tables.array
    rows, count = tables.count(Word.ROWS), tables.count(Word.SECURITIES) + 1
    order = np.argsort(array["position"]["key"][:rows])
    position = array["position"][:rows][order]
    deals = array["deal"][1 : tables.count(Word.DEALS) + 1]
    deals = deals[deals["state"] == DealState.OPEN]  # those that are over are forgotten when there is need of room
    deals = deals[np.lexsort((deals["source"], deals["code"]))]
    held = {name: position[name].copy() for name in position.dtype.names or () if not name.startswith("next_")}
    held |= {
        f"deal {name}": deals[name].copy()
        for name in deals.dtype.names or ()
        if name not in {"next_in_security", "spare"}
    }
    held |= {
        name: array[name][:count].copy()
        if len(array[name]) > count > 0 and name in {"security", "terms", "values", "parked"}
        else array[name].copy()
        for name in _BY_ID
    }
    sums, calculated = _undecided(tables.catalogue)
    held["terms"], held["values"] = held["terms"][:, sums], held["values"][:, calculated]
    held["facts"] = array["head"][:count, HEAD_FACTS:].copy()
    held["updated_ns"] = array["head"][:count, HEAD_UPDATED].copy()
    held["later"] = _later(array, rows)
    held["counters"] = tables.state[list(_WORDS)].copy()
    return held


def _undecided(catalogue: Catalogue) -> tuple[list[int], list[int]]:
    """Components and calculations into which no decision goes. Each service decides about locates for itself, by what it knows
    at that moment, and for a moment after a fault it knows less."""
    decided = {
        at for at, component in enumerate(catalogue.components) if component.measure == Measure.DECIDED.name.lower()
    }
    named = {catalogue.components[at].term for at in decided}
    before = -1
    while len(named) != before:
        before = len(named)
        named |= {
            calculation.name
            for of_market in catalogue.inputs
            for calculation, inputs in zip(catalogue.calculations, of_market, strict=True)
            if any(one.name in named or not decided.isdisjoint((*one.plus, *one.minus)) for one in inputs)
        }
    return (
        [at for at in range(len(catalogue.components)) if at not in decided],
        [at for at, calculation in enumerate(catalogue.calculations) if calculation.name not in named],
    )


def _later(array: Mapping[str, NDArray[Any]], rows: int) -> NDArray[Any]:
    """(key, date, receipt, delivery) of what settles after SD4, ordered."""
    head, nodes = array["later_head"][:rows], array["later"]
    found = []
    at, keys = head.copy(), array["position"]["key"][:rows]
    while at.any():
        chosen = np.flatnonzero(at)
        of = nodes[at[chosen] - 1]
        found.append(
            np.stack([keys[chosen].astype(np.int64), of["date"].astype(np.int64), of["receipt"], of["deliver"]], axis=1)
        )
        at[chosen] = of["next"]
    every = np.concatenate(found) if found else np.zeros((0, 4), np.int64)
    every = every[(every[:, 2] != 0) | (every[:, 3] != 0)]
    return np.asarray(every[np.lexsort((every[:, 1], every[:, 0]))])


def compare(witness: Tables, victim: Tables) -> dict[str, int]:
    """How much was compared. Raises `FaultError` with the first differences."""
    one, other = contents(witness), contents(victim)
    wrong = []
    for name, expected in one.items():
        found = other[name]
        if expected.shape != found.shape:
            wrong.append(f"{name}: {found.shape}, not {expected.shape}")
        elif not np.array_equal(expected, found):
            at = np.argwhere(expected != found)[:3]
            shown = ", ".join(f"[{place}] {found[tuple(place)]} for {expected[tuple(place)]}" for place in at.tolist())
            wrong.append(f"{name}: {int((expected != found).sum())} differ: {shown}")
    if wrong:
        raise FaultError("; ".join(wrong))
    return {"rows": len(one["key"]), "events": witness.count(Word.EVENTS), "deals": len(one["deal code"])}
