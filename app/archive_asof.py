"""What the inventory of a security was at a moment: a small machine is told again what the great one was told of it."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from app import world
from app.archive_manifest import Manifest, Missing
from app.archive_names import Names, NothingError
from app.archive_reader import Past
from app.archive_rows import newest_of, parts_of, securities_of
from app.snapshot_files import Contents
from engine.events import EventArray
from engine.explain_rows import SecurityCopy, copy_of
from engine.model import Capacity, Clock, Decided, Flag, Market, Op
from engine.recognise import APPLIED
from engine.ring import DTYPES, Message
from engine.rule_model import Document
from engine.snapshot_restore import restore
from engine.state import Calendar, Machine
from engine.tables import Word
from feeds.archive_records import STATE_COLUMNS, Told, joined

_REFERENCE: Final = (
    Message.CURRENCIES,
    Message.BOOKS,
    Message.DEPOTS,
    Message.SOURCES,
    Message.COUNTERPARTIES,
    Message.UNITS,
    Message.BOOK_UNITS,
)
_SOURCE: Final = 1
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class AsOf:
    """What was. `place`, `at_ns`: the last message of the machine's log that is in it; `gaps`: what may be missing of it."""

    copy: SecurityCopy
    generation: str
    place: int
    at_ns: int
    snapshot_ns: int
    events: int
    decided: dict[str, int]
    written_ns: int
    """Up to when the archive was written by the time of asking."""
    gaps: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """Something that makes a difference to events after it."""

    place: int
    kind: Message
    records: NDArray[Any]


def asof(archive: Path, at_ns: int, security: str, snapshots: Path | None = None) -> AsOf:
    """The inventory of a security, by code or identifier, as the machine had it at `at_ns`: from the newest snapshot before
    it, or from the beginning of the archive.

    Raises `NothingError`, `feeds.archive_files.DamagedError`, FileNotFoundError.
    """
    manifest = Manifest(archive)
    try:
        past = Past(archive, manifest, at_ns)
        contents = newest_of(snapshots, past) if snapshots is not None else None
        if (contents is None and past.parts[0].first != 1) or past.forgotten():
            raise NothingError(
                "what the engine began from then is no longer kept: the archive does not reach so far back"
            )
        return _Small(past, contents, security).made()
    finally:
        manifest.close()


class _Small:
    """A machine of some securities, and what it is told."""

    def __init__(self, past: Past, contents: Contents | None, text: str) -> None:
        self._past, self._contents = past, contents
        self._begin = past.parts[-1].generation.begin
        self._markets = tuple(msgspec.convert(self._begin.markets, list[Market]))
        known = None if contents is None else securities_of(contents)
        self._names = Names(past.table("securities"), self._markets, known)
        asked = self._names.find(text)
        self._ids = self._related(asked)
        self._one = int(np.searchsorted(self._ids, asked)) + 1
        self._codes = [self._names.code(number) for number in self._ids.tolist()]
        self._events = self._read()
        self._parts = None if contents is None else parts_of(contents, self._ids)

    def made(self) -> AsOf:
        place, at_ns = self._past.newest()
        with self._machine() as machine:
            self._register(machine)
            self._tell(machine)
            held = machine.tables.array["decided"][self._one]
            return AsOf(
                copy=copy_of(machine.tables, self._one),
                generation=self._begin.generation,
                place=place,
                at_ns=at_ns,
                snapshot_ns=0 if self._contents is None else self._contents.header.taken_ns,
                events=self._events.place.size,
                decided={what.name.lower(): int(held[what]) for what in Decided if held[what]},
                written_ns=self._past.parts[-1].generation.written_ns,
                gaps=tuple(self._past.gaps()),
            )

    def _related(self, asked: int) -> NDArray[np.int64]:
        """The security and those whose rows became its own, or the other way: ids, which are in the order of arrival."""
        moves = self._past.told(Message.MOVES).records
        pairs = [{self._names.of(bytes(move[end]).decode()) for end in ("source", "target")} - {0} for move in moves]
        found, before = {asked}, 0
        while len(found) > before:
            before = len(found)
            found.update(*(pair for pair in pairs if pair & found))
        return np.array(sorted(found), np.int64)

    def _read(self) -> Told:
        """Everything that was applied to rows and prices of the securities, and to books as a whole; numbered from 1."""
        kinds = (("events", Message.EVENTS), ("effects", Message.EFFECTS), ("prices", Message.EVENTS))
        found = [self._past.told(kind, name, securities=self._codes, columns=STATE_COLUMNS) for name, kind in kinds]
        found[1].records["flags"] &= ~np.uint8(Flag.QUANTO)  # they are dated as they settle
        found[2] = _last_ones(found[2])
        whole = joined(found, Message.EVENTS).ordered()
        events: EventArray = whole.records
        about = np.isin(events["security"], self._ids) | (events["op"] == Op.RESET_BOOK)
        whole = whole.taken(np.flatnonzero(about & (whole.outcome == APPLIED)))
        events = whole.records
        events["security"] = self._number(events["security"])
        events["flags"] &= ~np.uint8(Flag.PART)  # what they belong to was applied, too
        events["source"], events["seq"] = _SOURCE, np.arange(1, events.size + 1)
        return whole

    def _number(self, ids: NDArray[Any]) -> NDArray[np.int64]:
        """The small machine's ids; 0 for others."""
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        number: NDArray[np.int64] = np.where(self._ids[at] == ids, at + 1, 0)
        return number

    @contextmanager
    def _machine(self) -> Iterator[Machine]:
        begin = self._past.parts[0].generation.begin
        calendar = Calendar(begin.base_date, np.array(begin.business_day, np.int32), np.array(begin.today, np.int32))
        rows = self._events.place.size + 1
        if self._parts is not None:
            rows += int(self._parts["state"][0][Word.ROWS])
        capacity = msgspec.convert(begin.capacity | {"securities": len(self._ids), "rows": rows, "deals": 1}, Capacity)
        name = f"asof-{os.getpid()}-{next(_numbers)}.tables"
        documents = self._documents()
        machine = Machine(name, capacity, world.rule_book(documents), self._markets, calendar, begin.generation)
        try:
            yield machine
        finally:
            machine.close()

    def _documents(self) -> tuple[Document, ...]:
        """The rules in force in the end: whatever came before them, numbers are as if they had always been."""
        told = self._past.texts(Message.RULES)
        if told and told[-1][0] > self._past.parts[-1].generation.place:
            return tuple(msgspec.json.decode(told[-1][2], type=list[Document]))
        if self._contents is not None and len(self._past.parts) == 1:
            return tuple(msgspec.json.decode(self._contents.parts["rules"][0].tobytes(), type=list[Document]))
        return tuple(msgspec.convert(self._begin.documents, list[Document]))

    def _register(self, machine: Machine) -> None:
        """What has ids by its order of arrival, all at once: no event names what had not come yet."""
        if self._parts is not None:
            restore(machine, self._parts)
        for kind in _REFERENCE:
            if (records := self._past.told(kind).records).size:
                machine.register(kind, records)

    def _tell(self, machine: Machine) -> None:
        at, places = 0, self._events.place
        for change in self._changes():
            before = int(np.searchsorted(places, change.place))
            self._apply(machine, at, before)
            at = before
            _change(machine, change)
        self._apply(machine, at, places.size)
        held: dict[tuple[int, int], int] = self._held()
        for (security, what), quantity in held.items():
            machine.set_decided(security, Decided(what), quantity)

    def _apply(self, machine: Machine, first: int, stop: int) -> None:
        if first == stop:
            return
        refused = machine.apply(self._events.records[first:stop]).outcomes
        if refused.size:
            raise RuntimeError(
                f"{refused.size} events that were applied then cannot be applied now: outcomes {set(refused.tolist())}"
            )

    def _changes(self) -> list[_Change]:
        """In order; of what an engine began with only what it did not have before."""
        past = self._past
        securities = past.told(Message.SECURITIES)
        chosen = np.isin(securities.records["code"], [code.encode() for code in self._codes])
        began = [(part.generation.place, part.generation.begin) for part in past.parts]
        changes = [_Change(place, Message.DAY, np.array(begin.today, np.int32)) for place, begin in began[1:]]
        clocks = [begin.clock for _, begin in began]
        if self._contents is not None:
            clocks[0] = self._contents.parts["clock"][0].tolist()
        changes += [
            _Change(place, Message.CLOCK, _opened(clock)) for (place, _), clock in zip(began, clocks, strict=True)
        ]
        for kind, told in (
            (Message.SECURITIES, securities.taken(np.flatnonzero(chosen))),
            (Message.DAY, past.told(Message.DAY)),
            (Message.CLOCK, past.told(Message.CLOCK)),
            (Message.MOVES, past.told(Message.MOVES)),
        ):
            changes += [
                _Change(place, kind, told.records[told.place == place]) for place in np.unique(told.place).tolist()
            ]
        return sorted(changes, key=lambda change: change.place)

    def _held(self) -> dict[tuple[int, int], int]:
        """What decisions held in the end."""
        begin = self._begin
        ids = self._number(np.array([security for security, _, _ in begin.decided], np.int64))
        held = {
            (int(number), what): quantity
            for number, (_, what, quantity) in zip(ids, begin.decided, strict=True)
            if number
        }
        if self._parts is not None and len(self._past.parts) == 1:
            of_all = self._parts["decided"][0]
            held = {(int(number), int(what)): int(of_all[number, what]) for number, what in np.argwhere(of_all)}
        told = self._past.told(Message.DECIDED, securities=self._codes)
        ours = told.taken(np.flatnonzero(told.place > begin.place)).records
        for number, record in zip(self._number(ours["security"]).tolist(), ours, strict=True):
            if number:
                held[number, int(record["what"])] = int(record["quantity"])
        return held


def _last_ones(prices: Told) -> Told:
    """Of prices only the last of each sort and security, and those with the latest time: the others leave no trace."""
    quotes = prices.taken(np.flatnonzero(prices.outcome == APPLIED))
    records = quotes.records
    about = (
        records["security"].astype(np.int64) << 9
        | records["op"].astype(np.int64) << 1
        | (records["flags"] & Flag.START_OF_DAY != 0)
    )
    latest = np.lexsort((records["time_ns"], about))
    keep = np.zeros(len(records), bool)
    keep[len(records) - 1 - np.unique(about[::-1], return_index=True)[1]] = True
    ends = np.flatnonzero(np.diff(about[latest], append=-1))
    keep[latest[ends]] = True
    return quotes.taken(np.flatnonzero(keep))


def _opened(clock: list[list[list[int]]]) -> NDArray[np.void]:
    """What the time of day had decided, as messages."""
    every = [(m, w, d, v) for m, of in enumerate(clock) for w, days in enumerate(of) for d, v in enumerate(days)]
    return np.array(every, DTYPES[Message.CLOCK])


def _change(machine: Machine, change: _Change) -> None:
    if change.kind == Message.DAY:
        machine.roll(change.records)
    elif change.kind == Message.CLOCK:
        for market, what, day, is_open in change.records.tolist():
            machine.set_clock(market, Clock(what), day, is_open=bool(is_open))
    elif change.kind == Message.MOVES:
        machine.move(change.records)
    else:
        machine.register(change.kind, change.records)
