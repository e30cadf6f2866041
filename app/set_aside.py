"""What people do about records that were set aside: read them again, or give them up."""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

import structlog

from app.keeping import Keeping
from app.parked_record import encoding_of
from app.parking import Decode
from app.quarantine_store import Entry
from engine.tables import Tables, Word
from feeds.quarantine import Decoded, Unreadable

log = structlog.get_logger()
REFUSED: Final = frozenset(
    {
        "too_old",
        "past_settlement",
        "no_settlement_date",
        "quantity_out_of_range",
        "no_head",
        "unknown_original",
        "not_correctable",
        "deal_known",
        "deal_over",
        "late_start_of_day",
        "more_than_open",
        "replaced",
    }
)
"""Reasons of the machine: the number of such an event is used up, and reading it again changes nothing."""


class _Became(Enum):
    """What became of an entry that was read again."""

    USED = auto()
    REFUSED = auto()
    """The machine has put it into the quarantine anew, with its own reason."""
    NOTHING = auto()


class SetAside:
    """The quarantine, as people handle it. Call it from the writer's loop."""

    def __init__(self, keeping: Keeping, tables: Tables, decode: Decode, use: Callable[[Decoded], None]) -> None:
        self._keeping = keeping
        self._tables = tables
        self._decode = decode
        self._use = use

    async def retry(self, numbers: Sequence[int]) -> tuple[int, int]:
        """Read entries again, oldest first; returns how many were used, or are parked now, and how many were not."""
        store, beside = self._keeping.quarantine, self._keeping.beside
        entries: list[Entry] = await beside.ask(store.chosen, numbers)
        became = {entry.id: self._became(entry) for entry in entries if entry.reason not in REFUSED}
        await beside.ask(store.remove, [number for number, what in became.items() if what is not _Became.NOTHING])
        used = sum(what is _Became.USED for what in became.values())
        return used, len(entries) - used

    async def discard(self, numbers: Sequence[int], who: str, comment: str) -> int:
        """Give entries up for good, and remember who did it."""
        store, beside = self._keeping.quarantine, self._keeping.beside
        entries: list[Entry] = await beside.ask(store.chosen, numbers)
        told = [Unreadable(e.topic, e.partition, e.offset, e.reason, e.detail, e.raw, e.events) for e in entries]
        await beside.ask(self._keeping.parking.store.discard, told, who, comment)
        gone: int = await beside.ask(store.remove, [entry.id for entry in entries])
        log.info("quarantined records are given up", records=gone, who=who, comment=comment)
        return gone

    def _became(self, entry: Entry) -> _Became:
        place = [(entry.partition, entry.offset)]
        decoded = self._decode(entry.topic, [entry.raw], encoding_of(entry.raw), place)
        if any(not each.unknown for each in decoded.unreadable):
            return _Became.NOTHING
        count = self._tables.count
        duplicates, rejected = count(Word.DUPLICATES), count(Word.REJECTED)
        self._keeping.parking.park(decoded.unreadable)
        decoded.unreadable.clear()
        self._use(decoded)
        if count(Word.DUPLICATES) > duplicates:
            return _Became.NOTHING  # its number is used up, but not by it: it stays where somebody can see it
        return _Became.REFUSED if count(Word.REJECTED) > rejected else _Became.USED
