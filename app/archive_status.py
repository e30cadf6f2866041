"""How the archive fares, without opening any of its files: the words of its ring, and its manifest."""

import os
import sqlite3
import time
from typing import Any, Final

import msgspec
import numpy as np

from app.archive_manifest import FILE, Manifest
from app.archive_place import folder_of, ring_prefix
from app.settings import Settings
from engine import segment
from engine.ring import Ring
from feeds.archive_recorder import ArchiveWord, words_of

BEHIND_NS: Final = 30_000_000_000
"""The archive is behind when the newest change has not been on disk for so long."""
_DEAD_NS: Final = 30_000_000_000
_SHOWN_GAPS: Final = 20


class GapStatus(msgspec.Struct, frozen=True):
    """A gap that is not repaired: places of the machine's log, and since when."""

    first: int
    last: int
    at_ns: int
    why: str


class ArchiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: off, live, behind (what it is given is not on disk), gap (something is missing) or down."""

    state: str
    at_ns: int
    alive: bool = False
    problem: str = ""
    behind_bytes: int = 0
    ring_bytes: int = 0
    behind_messages: int = 0
    behind_ns: int = 0
    written_to_ns: int = 0
    """When what is newest on disk was applied."""
    written_place: int = 0
    dropped_messages: int = 0
    """Since the engine started."""
    files: int = 0
    bytes: int = 0
    files_today: int = 0
    bytes_today: int = 0
    gap_count: int = 0
    gaps: list[GapStatus] = []


class Watch:
    """Looks when asked, at no cost worth a word: keep one, and ask it once a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ring: Ring | None = None
        self._manifest: Manifest | None = None

    def status(self, now_ns: int | None = None) -> ArchiveStatus:
        """Never raises for what is wrong with the archive: that is in `problem`."""
        now_ns = time.time_ns() if now_ns is None else now_ns
        if not self._settings.archive:
            return ArchiveStatus(state="off", at_ns=now_ns)
        try:
            kept = self._kept(now_ns)
        except (OSError, sqlite3.Error) as error:
            kept = {"problem": f"the manifest cannot be read: {error}"}
        told = kept | self._told(now_ns)
        alive, behind = told.get("alive", False), int(told.get("behind_ns", 0)) > BEHIND_NS
        state = "down" if not alive else "behind" if behind else "gap" if kept.get("gap_count") else "live"
        return msgspec.convert({"state": state, "at_ns": now_ns} | told, ArchiveStatus)

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
        if self._manifest is not None:
            self._manifest.close()

    def _told(self, now_ns: int) -> dict[str, Any]:
        """From the engine's ring."""
        ring = self._living()
        if ring is None:
            return {}
        words = dict(zip(ArchiveWord, words_of(ring).tolist(), strict=True))
        open_messages = max(0, words[ArchiveWord.PLACE] - words[ArchiveWord.WRITTEN])
        since = words[ArchiveWord.WRITTEN_NS] or int(ring.segment.meta["started_ns"])
        told: dict[str, Any] = {
            "alive": now_ns - max(words[ArchiveWord.FLUSHED_NS], int(ring.segment.meta["started_ns"])) < _DEAD_NS
            or bool(words[ArchiveWord.FAILURES]),
            "behind_bytes": ring.backlog_bytes,
            "ring_bytes": ring.size_bytes,
            "behind_messages": open_messages,
            "behind_ns": max(0, words[ArchiveWord.AT_NS] - since) if open_messages else 0,
            "written_to_ns": words[ArchiveWord.WRITTEN_NS],
            "written_place": words[ArchiveWord.WRITTEN],
            "dropped_messages": words[ArchiveWord.DROPPED],
        }
        if words[ArchiveWord.FAILURES]:
            number = words[ArchiveWord.ERRNO]
            told["problem"] = os.strerror(number) if number else "it cannot be written; see the log"
        return told

    def _living(self) -> Ring | None:
        if self._ring is not None and self._ring.segment.stale:
            self._ring.close()
            self._ring = None
        if self._ring is None:
            for name in sorted(segment.names(ring_prefix(self._settings.instance)), reverse=True):
                try:
                    found = Ring.attach(name)
                except segment.SegmentMissingError:
                    continue
                if found.segment.owner_alive:
                    self._ring = found
                    break
                found.close()
        return self._ring

    def _kept(self, now_ns: int) -> dict[str, Any]:
        """From the manifest."""
        folder = folder_of(self._settings)
        if self._manifest is None:
            if not (folder / FILE).is_file():
                return {}
            self._manifest = Manifest(folder)
        today = f"date={np.datetime64(now_ns, 'ns').astype('datetime64[D]')}/"
        files, size, of_today, size_today = self._manifest.sizes(today)
        gaps = self._manifest.gaps()
        shown = [{"first": g.first, "last": g.last, "at_ns": g.at_ns, "why": g.why} for g in gaps[-_SHOWN_GAPS:]]
        return {
            "files": files,
            "bytes": size,
            "files_today": of_today,
            "bytes_today": size_today,
            "gap_count": len(gaps),
            "gaps": shown,
        }
