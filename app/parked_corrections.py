"""Corrections of records that wait: they wait behind them, or take their place, and are never thrown away."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.parked_record import Numbered, encoding_of
from app.parking_store import Parked
from app.refused import correction
from engine.model import Flag
from engine.tables import Tables
from feeds.quarantine import Decoded, Unreadable


class Place(Protocol):
    """The parking, as corrections see it: `app.parking.Parking`."""

    def park(self, entries: Sequence[Unreadable]) -> None: ...

    def having(self, number: Numbered) -> Parked | None: ...

    def replace(self, original: Parked, why: str) -> bool: ...


class Corrections:
    """What becomes of them. `decode` and `use` are those of the parking."""

    def __init__(
        self,
        tables: Tables,
        topics: Sequence[str],
        parking: Place,
        decode: Callable[[str, Sequence[bytes], bytes, Sequence[tuple[int, int]]], Decoded],
        use: Callable[[Decoded], None],
    ) -> None:
        self._tables = tables
        self._topics = tuple(topics)
        self._parking = parking
        self._decode, self._use = decode, use

    def behind(self, records: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which of these are about something that waits; they are taken care of."""
        codes = self._tables.array["source"]["code"]
        waits = np.zeros(len(records), np.bool_)
        for at, record in enumerate(records):
            source = bytes(codes[int(record["event"]["source"])]).decode()
            original = self._parking.having((source, int(record["corrects"])))
            if original is not None:
                waits[at] = True
                self._take(record, original)
        return waits

    def _take(self, record: Any, original: Parked) -> None:
        told = _told_by(original)
        why = f"number {int(record['event']['seq'])} of its source replaced it"
        if _replaceable(told, record) and self._parking.replace(original, why):
            self._instead(record, told)
        else:
            self._parking.park([correction(self._tables, self._topics, record, told, instead=False)])

    def _instead(self, record: Any, told: Mapping[str, Any]) -> None:
        entry = correction(self._tables, self._topics, record, told, instead=True)
        decoded = self._decode(entry.topic, [entry.raw], b"json", [(entry.partition, entry.offset)])
        # as much of its order is filled as the market said then: the market amends that by itself
        decoded.steps["event"]["quantity"][decoded.steps["code"] != b""] = told.get("qty", 0)
        self._use(decoded)


def _told_by(parked: Parked) -> Mapping[str, Any]:
    """What one record in JSON says; nothing where it is another one, or several."""
    if encoding_of(parked.entry.raw) != b"json" or parked.entry.events != 1:
        return {}
    try:
        told = msgspec.json.decode(parked.entry.raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _replaceable(told: Mapping[str, Any], correction: Any) -> bool:
    """Whether a correction can stand for a record that waits: that is a plain one, and is not taken back."""
    return bool(told) and "corrects" not in told and not correction["event"]["flags"] & Flag.CANCEL
