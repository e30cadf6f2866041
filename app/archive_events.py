"""What happened to a security, event by event, from the archive: the newest first, a page at a time."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.archive_manifest import ArchiveFile, Manifest
from app.archive_names import NothingError
from app.archive_reader import Past
from feeds import archive_files

BUDGET_S: Final = 6.0
"""How long one page may search; where it came to, it says, and the next one goes on there."""
_HOUR_NS: Final = 3_600_000_000_000
_KINDS: Final = ("events", "effects", "corrections", "deals")
QUOTES: Final = "prices"
COLUMNS: Final = (
    "place index at time security op quantity book depot kind source seq trade_date settle_date flags outcome topic partition "
    "offset received"
).split()


class Wanted(NamedTuple):
    """Which events; empty texts: of any. `before`: the place and index of the last one that is known already."""

    security: str
    from_ns: int
    to_ns: int
    book: str = ""
    depot: str = ""
    kind: str = ""
    quotes: bool = False
    before: tuple[int, int] = (2**62, 0)
    limit: int = 100


class Found(NamedTuple):
    """Rows as dicts of `COLUMNS` and `told` (the kind of file), newest first. `searched_ns`: everything from it on was looked
    through; `next_ns`: up to when there may be more, None where nothing more is there."""

    rows: list[dict[str, Any]]
    searched_ns: int
    next_ns: int | None


def events(archive: Path, wanted: Wanted, budget_s: float = BUDGET_S) -> Found:
    """Raises `NothingError`, FileNotFoundError, `feeds.archive_files.DamagedError`, `sqlite3.Error`."""
    manifest = Manifest(archive)
    deadline = time.monotonic() + budget_s
    rows: list[dict[str, Any]] = []
    try:
        past = Past(archive, manifest, wanted.to_ns)
        searched_ns = wanted.to_ns
        for begins_ns, files in _by_hour(past, wanted):
            found = [row for part, file in files for row in _rows(archive, part.first, part.last, file, wanted)]
            rows += sorted(found, key=lambda row: (-row["place"], -row["index"]))
            searched_ns = max(wanted.from_ns, begins_ns)
            if len(rows) > wanted.limit:
                rows = rows[: wanted.limit]
                return Found(rows, rows[-1]["at"], rows[-1]["at"])
            if time.monotonic() > deadline and begins_ns > wanted.from_ns:
                return Found(rows, searched_ns, begins_ns - 1)
        return Found(rows, wanted.from_ns, None)
    finally:
        manifest.close()


def _by_hour(past: Past, wanted: Wanted) -> Iterator[tuple[int, list[tuple[Any, ArchiveFile]]]]:
    """Files in which some may be, an hour at a time, the newest first: no later hour has an earlier place."""
    hours: dict[int, list[tuple[Any, ArchiveFile]]] = {}
    for name in (*_KINDS, *((QUOTES,) if wanted.quotes else ())):
        for part, file in past.files(name):
            if file.last_ns >= wanted.from_ns and file.first < wanted.before[0] + 1:
                hours.setdefault(file.first_ns // _HOUR_NS, []).append((part, file))
    for hour in sorted(hours, reverse=True):
        yield hour * _HOUR_NS, hours[hour]


def _rows(archive: Path, first: int, last: int, file: ArchiveFile, wanted: Wanted) -> list[dict[str, Any]]:
    read = archive_files.read(archive / file.path, file.bytes, securities=[wanted.security], columns=COLUMNS)
    table = read.filter(_chosen(read, first, last, wanted))
    words = {
        name: table[name].cast(pa.string()) for name in ("security", "op", "book", "depot", "kind", "source", "outcome")
    }
    for name, column in words.items():
        table = table.set_column(table.column_names.index(name), name, column)
    for name in ("at", "time", "received"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
    return [row | {"told": file.name} for row in table.to_pylist()]


def _chosen(table: pa.Table, first: int, last: int, wanted: Wanted) -> pa.ChunkedArray:
    """Of the security, of this past, within the time, and not known yet."""
    place, index = np.asarray(table["place"]), np.asarray(table["index"])
    at_ns = np.asarray(table["at"].cast(pa.int64()))
    before, within = wanted.before
    mask = (place >= first) & (place <= last) & (at_ns >= wanted.from_ns) & (at_ns <= wanted.to_ns)
    mask &= (place < before) | ((place == before) & (index < within))
    chosen = pc.and_(pa.array(mask), pc.equal(table["security"].cast(pa.string()), wanted.security))
    for name in ("book", "depot", "kind"):
        if text := getattr(wanted, name):
            chosen = pc.and_(chosen, pc.equal(table[name].cast(pa.string()), text))
    return chosen


TROUBLE: Final[tuple[type[Exception], ...]] = (archive_files.DamagedError, sqlite3.Error, OSError)
NOTHING: Final[tuple[type[Exception], ...]] = (NothingError, FileNotFoundError)


def largest(rows: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The largest by quantity, in the order in which they are given."""
    sizes = sorted((abs(row["quantity"]) for row in rows), reverse=True)
    least = sizes[most - 1] if len(sizes) >= most else 0
    return [row for row in rows if abs(row["quantity"]) >= least][:most]
