"""A machine as it was when a snapshot was taken; what follows from its rows and records is made anew."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine import begun
from engine import snapshot_pack as pack
from engine.snapshot import BEGUN, COUNTED, DEALS, PRIVATE, STREAM, SYMBOLS, UNPLACED, as_words
from engine.state import Machine
from engine.symbols import put_slots
from engine.tables import Word

_OWN: Final = frozenset(
    {
        Word.EPOCH,
        Word.HEARTBEAT_NS,
        Word.READY,
        Word.STARTED_NS,
        Word.LOCATES_LIVE,
        Word.LOCATES_PENDING,
        Word.HISTORY,
        Word.RECENT,
        Word.LOCATED_SHARES,
        Word.FEED_NS,
        Word.RULES,
        Word.CATALOGUE_SIZE,
        Word.LATER_USED,
        Word.LATER_FREE,
        Word.STALE,
    }
)
"""Words that belong to the writer's start, not to what it holds, or that follow from what is restored."""
Parts = Mapping[str, Sequence[NDArray[Any]]]
"""The arrays of a snapshot by name, in the order in which they were given."""


class SnapshotError(ValueError):
    """A snapshot that does not fit this machine, or does not hold together; the machine must not be used."""


def restore(machine: Machine, parts: Parts) -> None:
    """Fill a machine that holds nothing yet. Its business days stay those of the snapshot: `roll` it to those it is.

    What decisions hold is not restored: the journal knows it. Raises `SnapshotError`.
    """
    tables = machine.tables
    words = parts["state"][0]
    with tables.writing():
        _fit(machine, parts, words)
        for name in ("today", "newest", "missing", "applied"):
            tables.array[name][: len(parts[name][0])] = parts[name][0]
        for name in (*COUNTED, "book_unit", "head", DEALS):
            _fill(tables.array[name], parts.get(name, ()))
        _symbols(machine, parts.get(SYMBOLS, ()))
        _deals(machine, parts)
        _rows(machine, parts.get(STREAM, ()), int(words[Word.ROWS]))
        for word in Word:
            if word not in _OWN:
                tables.state[word] = words[word]
        for name, array in begun.kept(machine.begun).items():
            _fill(array, parts[BEGUN + name])
        machine.begun.lost_ns[:] = machine.begun.moved_ns
        machine.moves.restore({name: parts[name][0].copy() for name in machine.moves.state()})
        machine.restored(parts[UNPLACED][0])


def _fit(machine: Machine, parts: Parts, words: NDArray[np.int64]) -> None:
    """Raises `SnapshotError` where the machine is too small, or its calendar too young."""
    tables = machine.tables
    wanted = {name: int(words[word]) + 1 for name, word in COUNTED.items()}
    room = {name: len(tables.array[name]) for name in COUNTED}
    wanted |= {"rows": int(words[Word.ROWS]), DEALS: int(words[Word.DEALS]) + 1}
    room |= {"rows": machine.capacity.rows, DEALS: len(tables.array[DEALS])}
    for name, count in wanted.items():
        if count > room[name]:
            raise SnapshotError(f"it holds {count:,} {name}, there is room for {room[name]:,}: start with more")
    for name in ("applied", "today"):
        if parts[name][0].shape != tables.array[name].shape:
            raise SnapshotError(f"its {name} is of another shape")
    if parts["newest"][0][len(tables.array["newest"]) :].any():
        raise SnapshotError("it holds more sources than there is room for: start with more")
    if (parts["today"][0] < tables.base_date).any():
        raise SnapshotError("it is older than the calendar")


def _fill(into: NDArray[Any], arrays: Sequence[NDArray[Any]]) -> None:
    at = 0
    for array in arrays:
        into[at : at + len(array)] = array
        at += len(array)


def _symbols(machine: Machine, parts: Sequence[NDArray[np.uint64]]) -> None:
    table = machine.tables.array["symbols"]
    for slots in parts:
        put_slots(table, slots)


def _deals(machine: Machine, parts: Parts) -> None:
    private = machine.deals.private()
    for name, arrays in parts.items():
        if name.startswith(PRIVATE):
            into = private[name.removeprefix(PRIVATE)]
            if len(arrays[0]) > len(into):
                raise SnapshotError(f"there is no room for its {name}: start with more deals")
            into[: len(arrays[0])] = arrays[0]


def _rows(machine: Machine, blocks: Sequence[NDArray[np.uint64]], rows: int) -> None:
    array = machine.tables.array
    position = array["position"].view("<i8").reshape(machine.capacity.rows, -1)
    counters = machine.tables.state[Word.LATER_USED : Word.LATER_FREE + 1]
    seen, ledger = (as_words(machine.private()[name]) for name in ("seen", "ledger"))
    found = 0
    for block in blocks:
        count = pack.unpack(block, position, array["later_head"], array["later"], counters, seen, ledger)
        if count < 0:
            raise SnapshotError("a block of rows cannot be read")
        found += count
    if found != rows:
        raise SnapshotError(f"it has {found:,} rows, not {rows:,}")
    wrong = pack.index_rows(rows, position, array["index"], array["first_in_security"], array["first_in_book"])
    if wrong >= 0:
        raise SnapshotError(f"row {wrong:,} is of no security or book")
