"""What people do about records that were set aside: read them again, or give them up."""

from collections.abc import Callable, Sequence
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
        "unknown_deal",
        "deal_known",
        "more_than_open",
    }
)
"""Reasons of the machine: the number of such an event is used up, and reading it again changes nothing."""


class SetAside:
    """The quarantine, as people handle it. Call it from the writer's loop."""

    def __init__(self, keeping: Keeping, tables: Tables, decode: Decode, use: Callable[[Decoded], None]) -> None:
        self._keeping = keeping
        self._tables = tables
        self._decode = decode
        self._use = use

    async def retry(self, numbers: Sequence[int]) -> tuple[int, int]:
        """Read entries again, oldest first; returns how many were used, and how many stay. Parked ones count as used."""
        store, beside = self._keeping.quarantine, self._keeping.beside
        entries: list[Entry] = await beside.ask(store.chosen, numbers)
        done = [entry.id for entry in entries if entry.reason not in REFUSED and self._used(entry)]
        await beside.ask(store.remove, done)
        return len(done), len(entries) - len(done)

    async def discard(self, numbers: Sequence[int], who: str, comment: str) -> int:
        """Give entries up for good, and remember who did it."""
        store, beside = self._keeping.quarantine, self._keeping.beside
        entries: list[Entry] = await beside.ask(store.chosen, numbers)
        told = [Unreadable(e.topic, e.partition, e.offset, e.reason, e.detail, e.raw, e.events) for e in entries]
        await beside.ask(self._keeping.parking.store.discard, told, who, comment)
        gone: int = await beside.ask(store.remove, [entry.id for entry in entries])
        log.info("quarantined records are given up", records=gone, who=who, comment=comment)
        return gone

    def _used(self, entry: Entry) -> bool:
        """Whether nothing of the entry is left to be kept."""
        place = [(entry.partition, entry.offset)]
        decoded = self._decode(entry.topic, [entry.raw], encoding_of(entry.raw), place)
        left = [each for each in decoded.unreadable if not each.unknown]
        if left:
            return False
        count = self._tables.count
        before = count(Word.DUPLICATES) + count(Word.REJECTED)
        self._keeping.parking.park(decoded.unreadable)
        decoded.unreadable.clear()
        self._use(decoded)
        # an event whose number is used up has not been used now: it stays where somebody can see it
        return count(Word.DUPLICATES) + count(Word.REJECTED) == before
