"""Keeps numbers that leap from reaching the machine, unless their source really counts on from there."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from app.refused import refused
from engine import leaps
from engine.events import CORRECTION, DEAL_STEP, EVENT
from engine.model import Flag
from engine.recognise import TOO_OLD, WINDOW
from engine.tables import Tables
from feeds.quarantine import Reason, Unreadable

log = structlog.get_logger()
ENOUGH: Final = 3
"""So many different numbers near each other, and none of the source's old ones between them, are a new beginning."""


class Leaps:
    """For the writer's loop. `keep`: takes what is set aside."""

    def __init__(self, tables: Tables, topics: tuple[str, ...], keep: Callable[[list[Unreadable]], None]) -> None:
        self._tables = tables
        self._topics = topics
        self._keep = keep
        nothing = np.empty(0, EVENT)
        for each in (leaps.any_of, leaps.which):  # compiled now, or the first events would wait for it
            each(nothing["seq"], nothing["source"], tables.array["newest"])
        self._heard: dict[int, set[int]] = {}
        """By source, the numbers that leapt since one came that did not."""

    def sift(self, records: NDArray[Any]) -> NDArray[Any]:
        """Events, steps or corrections without those that leap; those are set aside."""
        events = records["event"] if records.dtype in (CORRECTION, DEAL_STEP) else records
        numbers, sources, newest = events["seq"], events["source"], self._tables.array["newest"]
        if not leaps.any_of(numbers, sources, newest):
            if self._heard:
                self._forget(sources)
            return records
        chosen = self._chosen(leaps.which(numbers, sources, newest), events)
        if chosen.any():
            self._set_aside(records[chosen], events[chosen])
        return records[~chosen]

    def _forget(self, sources: NDArray[np.uint16]) -> None:
        """Who counts as before has not begun anew."""
        for source in np.intersect1d(list(self._heard), sources).tolist():
            del self._heard[source]

    def _chosen(self, leaping: NDArray[np.bool_], events: NDArray[Any]) -> NDArray[np.bool_]:
        """Those that do not count on where others of their source have leapt to. Parts go with their event."""
        chosen = leaping.copy()
        for at in range(len(events)):
            source, number = int(events["source"][at]), int(events["seq"][at])
            if events["flags"][at] & Flag.PART:
                chosen[at] = at > 0 and chosen[at - 1]
            elif not leaping[at]:
                self._heard.pop(source, None)
            else:
                chosen[at] = not self._begins(source, number)
        return chosen

    def _begins(self, source: int, number: int) -> bool:
        near = {each for each in self._heard.get(source, ()) if abs(each - number) <= WINDOW} | {number}
        self._heard[source] = near
        if len(near) < ENOUGH or number > leaps.MOST:
            return False
        log.warning("a source counts on from elsewhere", source=self._code(source), number=number)
        return True

    def _set_aside(self, records: NDArray[Any], events: NDArray[Any]) -> None:
        entries = refused(self._tables, self._topics, records, np.full(len(records), TOO_OLD, np.uint8))
        heads = events[events["flags"] & Flag.PART == 0]
        told = []
        for entry, source, number in zip(entries, heads["source"].tolist(), heads["seq"].tolist(), strict=True):
            newest = int(self._tables.array["newest"][source])
            detail = f"leaps by {number - newest:,} beyond {newest:,}, the newest number of {self._code(source)}"
            told.append(msgspec.structs.replace(entry, reason=Reason.LEAP.value, detail=detail))
        self._keep(told)

    def _code(self, source: int) -> str:
        return bytes(self._tables.array["source"]["code"][source]).decode()
