"""The whole state of the machine as it was at one moment, copied while the machine goes on.

What every event changes and is small is copied at once: words, sums of sources, facts of securities, how far each partition
was applied. Rows, and the memories of the sources' numbers, are copied in slices between batches; before a batch, what it is
going to touch is put aside first (`engine.preserve`). Reference data and deals are copied in slices, too, and the rest of them
before they change. What follows from all this is not copied, but made anew: index, chains, classes, sums, calculations.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import begun
from engine import snapshot_pack as pack
from engine.corrections import LEDGER
from engine.events import EventArray
from engine.model import HEAD_WORDS, Kind, Namespace
from engine.recognise import WINDOW
from engine.records import BOOK, COUNTERPARTY, CURRENCY, DEAL, NAMED, POSITION, SECURITY, UNIT
from engine.state import Machine
from engine.symbols import WORDS, used_slots
from engine.tables import Word

STREAM: Final = "stream"
"""Blocks of records of `engine.snapshot_pack`."""
SYMBOLS: Final = "symbols"
DEALS: Final = "deal"
BEGUN: Final = "begun."
"""Before the names of what is known of the books' starts of day."""
UNPLACED: Final = "unplaced"
"""Units of books that wait for the book or the unit."""
BLOCK_WORDS: Final = 1 << 19
"""Words of a block: four megabytes."""
_ROWS: Final = 1 << 13
"""Rows of a slice: a megabyte and a half, half a millisecond."""
_SLOTS: Final = 1 << 16
_PIECES: Final = 1 << 5
_AT_ONCE: Final = ("state", "today", "clock", "newest", "missing", "applied")
PRIVATE: Final = "private."
"""Before the names of what the machine keeps for itself of deals."""
COUNTED: Final = {
    "security": Word.SECURITIES,
    "book": Word.BOOKS,
    "depot": Word.DEPOTS,
    "source": Word.SOURCES,
    "currency": Word.CURRENCIES,
    "counterparty": Word.COUNTERPARTIES,
    "unit": Word.UNITS,
}
_FORM: Final = 2
"""Of the stream; another number for another form."""


def layout_digest() -> str:
    """What a snapshot's bytes mean: equal digests, equal meaning."""
    records = (POSITION, SECURITY, BOOK, NAMED, CURRENCY, COUNTERPARTY, UNIT, DEAL, LEDGER)
    told = (_FORM, [dtype.descr for dtype in records], HEAD_WORDS, WINDOW, [*Word], [*Kind], len(Namespace))
    return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


class Part(NamedTuple):
    """A piece of a snapshot: an array, or a part of one, by name. Nobody changes it any more."""

    name: str
    array: NDArray[Any]


class Snapshot:
    """One snapshot while it is taken; it is the machine's `preserve` from its making until `done` or `spoilt`.

    Call `slice` between batches until it says False; `take` gives what is ready, in the order in which it may be written.
    """

    def __init__(self, machine: Machine, extra: Mapping[str, NDArray[Any]]) -> None:
        self.spoilt = ""
        """Why it is not what it should be: begin another one."""
        self.done = False
        self._machine = machine
        self._array, state = machine.tables.array, machine.tables.state
        self._count = {name: int(state[word]) + 1 for name, word in COUNTED.items()}
        self._deals = int(state[Word.DEALS]) + 1
        self._ready = [Part(name, self._array[name].copy()) for name in _AT_ONCE]
        securities = self._count["security"]
        self._ready += [Part(name, self._array[name][:securities].copy()) for name in ("head", "decided")]
        books = self._count["book"]
        self._ready += [Part(BEGUN + name, array[:books].copy()) for name, array in begun.kept(machine.begun).items()]
        self._ready.append(Part(UNPLACED, machine.unplaced()))
        self._ready += [Part(name, array) for name, array in (machine.moves.state() | dict(extra)).items()]
        self._of = self._source()
        self._block, self._at = np.empty(BLOCK_WORDS, np.uint64), 0
        self._reference = self._copy_reference()
        self._deal = self._copy_deals()
        self._slices = self._copy()
        machine.preserve = self

    # taking

    def slice(self) -> bool:
        """Copy a little more; False once there is no more to copy."""
        if self.done or self.spoilt:
            return False
        if next(self._slices, None) is None:
            self._flush()
            self.done = True
            self._machine.preserve = None
        return not self.done

    def take(self) -> list[Part]:
        """What is ready and was not taken before."""
        ready, self._ready = self._ready, []
        return ready

    def drop(self, why: str) -> None:
        """Give it up."""
        self.spoilt = self.spoilt or why
        self._machine.preserve = None

    def _copy(self) -> Iterator[bool]:
        yield from self._deal
        yield from self._reference
        for source in np.flatnonzero(self._of.newest > 0).tolist():
            for first in range(0, pack.PIECES, _PIECES):
                at = first
                while at < first + _PIECES:
                    at, self._at = pack.put_source(source, at, first + _PIECES, self._of, self._block, self._at)
                    if at < first + _PIECES:
                        self._flush()
                yield True
        for first in range(0, self._of.rows, _ROWS):
            row, stop = first, min(first + _ROWS, self._of.rows)
            while row < stop:
                row, self._at = pack.put_rows(row, stop, self._of, self._block, self._at)
                if row < stop:
                    self._flush()
            yield True

    def _copy_reference(self) -> Iterator[bool]:
        for name, count in self._count.items():
            for first in range(0, count, _ROWS):
                self._ready.append(Part(name, self._array[name][first : min(first + _ROWS, count)].copy()))
                yield True
        self._ready.append(Part("book_unit", self._array["book_unit"][: self._count["book"]].copy()))
        table = self._array["symbols"]
        for first in range(0, len(table), _SLOTS):
            found = np.empty((_SLOTS, WORDS), np.uint64)
            used = used_slots(table, first, min(first + _SLOTS, len(table)), found)
            self._ready.append(Part(SYMBOLS, found[:used].copy()))
            yield True

    def _copy_deals(self) -> Iterator[bool]:
        for first in range(0, self._deals, _ROWS):
            self._ready.append(Part(DEALS, self._array["deal"][first : min(first + _ROWS, self._deals)].copy()))
            yield True

        private = self._machine.deals.private()
        used = {"deal_nodes": int(private["deal_node_counters"][0]), "deal_node_counters": 2}
        for name, array in private.items():
            self._ready.append(Part(PRIVATE + name, array[: used.get(name, self._deals)].copy()))
            yield True

    def _source(self) -> pack.Source:
        array, rows = self._array, int(self._machine.tables.state[Word.ROWS])
        position = array["position"]
        seen, ledger = (self._machine.private()[name] for name in ("seen", "ledger"))
        return pack.Source(
            position=position.view("<i8").reshape(len(position), -1),
            slots=array["index"],
            first_in_security=array["first_in_security"],
            first_in_book=array["first_in_book"],
            later_head=array["later_head"],
            later_nodes=array["later"],
            rows=rows,
            row_done=np.zeros(rows // 64 + 1, np.uint64),
            seen=as_words(seen),
            seen_done=np.zeros((len(seen), pack.PIECES), np.uint8),
            ledger=as_words(ledger),
            ledger_done=np.zeros((len(ledger), pack.PIECES), np.uint8),
            ledger_size=ledger.shape[1],
            newest=array["newest"].copy(),
        )

    def _flush(self) -> None:
        if self._at:
            self._ready.append(Part(STREAM, self._block[: self._at]))
            self._block, self._at = np.empty(BLOCK_WORDS, np.uint64), 0

    # engine.preserve.Preserve

    def events(self, events: EventArray) -> None:
        """Put aside what these events are going to touch."""
        first = 0
        while first < events.size:
            first, self._at = pack.put_events(events, first, self._of, self._block, self._at)
            if first < events.size:
                self._flush()

    def ledger(self, events: EventArray) -> None:
        """Put aside the entries of these numbers."""
        first = 0
        while first < events.size:
            first, self._at = pack.put_entries(events, first, self._of, self._block, self._at)
            if first < events.size:
                self._flush()

    def securities(self, ids: list[int]) -> None:
        """Put aside all rows of these securities, and all deals, which may go from one to another."""
        self.deals()
        for security in ids:
            while (end := pack.put_security(security, self._of, self._block, self._at)) < 0:
                self._at = ~end
                self._flush()
            self._at = end

    def deals(self) -> None:
        """Copy what is left of the deals now."""
        for _ in self._deal:
            pass

    def reference(self) -> None:
        """Copy what is left of the reference data now."""
        for _ in self._reference:
            pass

    def everything(self) -> None:
        """A roll changes every row: what is copied so far is of another day."""
        self.drop("a business day began")


def as_words(memory: NDArray[Any]) -> NDArray[np.uint64]:
    """A memory of numbers, by source, as rows of words."""
    return memory.reshape(len(memory), -1).view(np.uint64)
