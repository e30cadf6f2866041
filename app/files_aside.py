"""Rows of a batch file that the engine set aside: in the quarantine or parked, by their place in the log of files."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from app.files_store import FileReport
from feeds.files_faults import KEPT, Fault
from feeds.files_feed import PARTITION
from feeds.files_log import FileLog, records_of
from feeds.quarantine import Unreadable

_QUARANTINE: Final = "quarantine.db"
_PARKED: Final = "parked.db"


def set_aside(data: Path, log: FileLog, report: FileReport) -> tuple[tuple[Fault, ...], int]:
    """The rows, each with its line and why, at most `KEPT` of them; and how many there are. None of files that did not load."""
    if report.position < 0 or not report.records:
        return (), 0
    first, end = report.position, report.position + report.records
    found = _quarantined(data / _QUARANTINE, first, end) + _parked(data / _PARKED, first, end)
    lines = _lines(log, first, {position for position, _ in found[:KEPT]})
    return tuple(Fault(lines.get(position, 0), detail) for position, detail in sorted(found)[:KEPT]), len(found)


def _quarantined(path: Path, first: int, end: int) -> list[tuple[int, str]]:
    asked = 'SELECT "offset", reason, detail FROM quarantine WHERE partition = ? AND "offset" >= ? AND "offset" < ?'
    return [(at, f"{reason}: {detail}") for at, reason, detail in _asked(path, asked, (PARTITION, first, end))]


def _parked(path: Path, first: int, end: int) -> list[tuple[int, str]]:
    found = []
    for (raw,) in _asked(path, "SELECT entry FROM parked", ()):
        entry = msgspec.msgpack.decode(raw, type=Unreadable)
        if entry.partition == PARTITION and first <= entry.offset < end:
            found.append((entry.offset, f"waits: {entry.detail}"))
    return found


def _asked(path: Path, statement: str, values: tuple[int, ...]) -> list[Any]:
    """Nothing where there is no such file, or nothing in it yet."""
    if not path.is_file():
        return []
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        return connection.execute(statement, values).fetchall()
    return []


def _lines(log: FileLog, first: int, positions: set[int]) -> dict[int, int]:
    """The lines of records of one part of the log."""
    found: dict[int, int] = {}
    for part in log.parts() if positions else ():
        if part.first == first:
            for records in records_of(part):
                for position in positions:
                    if records.first <= position < records.end:
                        found[position] = int(records.lines[position - records.first])
    return found
