"""What is in the archive: which files count, which machine told them, and what is missing. SQLite, beside the files.

A file that is not named here does not count: it is what a killed process left. Places are counted by each generation of the
machine from where the snapshot it was made from ended, so that the same place may be there twice; `lineage` says which counts.
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from feeds.archive_recorder import Begin, Gap

FILE: Final = "manifest.db"
_BUSY_MS: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS generation (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, parent TEXT NOT NULL, place INTEGER NOT NULL,
    started_ns INTEGER NOT NULL, written INTEGER NOT NULL, written_ns INTEGER NOT NULL, begin BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS file (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, generation INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS file_by_place ON file (name, generation, first);
CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    at_ns INTEGER NOT NULL, why TEXT NOT NULL, told BLOB NOT NULL, repaired_ns INTEGER NOT NULL DEFAULT 0,
    UNIQUE (generation, first, last));
"""


class ArchiveFile(NamedTuple):
    """A file. `path` is relative to the archive; `name`: its kind; places and times of the first and last message in it."""

    path: str
    name: str
    generation: int
    first: int
    last: int
    first_ns: int
    last_ns: int
    rows: int
    bytes: int


class Generation(NamedTuple):
    """One start of the engine. `place`: what it began with; `written`: the newest place on disk."""

    number: int
    id: str
    parent: str
    place: int
    started_ns: int
    written: int
    written_ns: int
    begin: Begin


class Missing(NamedTuple):
    """A gap. `told` says from which offsets Kafka has it."""

    id: int
    generation: int
    first: int
    last: int
    at_ns: int
    why: str
    told: Gap
    repaired_ns: int


class Part(NamedTuple):
    """Of a generation the places `first` to `last`, which count."""

    generation: Generation
    first: int
    last: int


class Manifest:
    """Any thread may call it. Raises `sqlite3.Error` where the disk does not do its part."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        path = folder / FILE
        if write:
            folder.mkdir(parents=True, exist_ok=True)
        elif not path.is_file():
            raise FileNotFoundError(f"no {path}: nothing has been archived there")
        address = path.resolve().as_uri() + ("" if write else "?mode=ro")
        self._lock = threading.Lock()
        self._database = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=_BUSY_MS / 1e3)
        if write:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")  # the ring is given back for what is in here
            self._database.executescript(_SCHEMA)

    def generation(self, begin: Begin) -> int:
        """The number of the generation that begins so; the same again for one that is known."""
        with self._lock, self._database as database:
            known = database.execute("SELECT number FROM generation WHERE id = ?", (begin.generation,)).fetchone()
            if known is not None:
                return int(known[0])
            told = msgspec.json.encode(begin)
            row = (begin.generation, begin.parent, begin.place, begin.started_ns, begin.place, begin.started_ns, told)
            made = database.execute(
                "INSERT INTO generation (id, parent, place, started_ns, written, written_ns, begin) VALUES (?,?,?,?,?,?,?)",
                row,
            )
            number = int(made.lastrowid or 0)
            parent = database.execute(
                "SELECT number, written, written_ns FROM generation WHERE id = ?", (begin.parent,)
            ).fetchone()
            if parent is not None and parent[1] < begin.place:
                lost = Gap(parent[1] + 1, begin.place, 0, "lost with the memory of the machine", [], [])
                _add_gap(database, parent[0], parent[2], lost)
            return number

    def commit(
        self, generation: int, files: Sequence[ArchiveFile], written: int, written_ns: int, gaps: Iterable[Gap]
    ) -> None:
        """These files count from now on, and everything up to place `written` is on disk or in a gap."""
        with self._lock, self._database as database:
            database.executemany("INSERT INTO file VALUES (?,?,?,?,?,?,?,?,?)", files)
            database.execute(
                "UPDATE generation SET written = ?, written_ns = ? WHERE number = ?", (written, written_ns, generation)
            )
            for gap in gaps:
                _add_gap(database, generation, written_ns, gap)

    def replace(self, old: Sequence[ArchiveFile], new: Sequence[ArchiveFile]) -> None:
        """These files count instead of those."""
        with self._lock, self._database as database:
            database.executemany("DELETE FROM file WHERE path = ?", [(file.path,) for file in old])
            database.executemany("INSERT INTO file VALUES (?,?,?,?,?,?,?,?,?)", new)

    def missing(self, file: ArchiveFile, why: str) -> None:
        """A file is not what it was: its places are a gap from now on."""
        with self._lock, self._database as database:
            database.execute("DELETE FROM file WHERE path = ?", (file.path,))
            gap = Gap(file.first, file.last, 0, why, [], [])
            _add_gap(database, file.generation, file.first_ns, gap)

    def repaired(self, gap: Missing, files: Sequence[ArchiveFile], now_ns: int) -> None:
        """What was missing is in these files."""
        with self._lock, self._database as database:
            database.executemany("INSERT INTO file VALUES (?,?,?,?,?,?,?,?,?)", files)
            database.execute("UPDATE gap SET repaired_ns = ? WHERE id = ?", (now_ns, gap.id))

    def files(self, name: str | None = None, generation: int | None = None) -> list[ArchiveFile]:
        """Files of a kind and of a generation, in the order of their places."""
        asked = {"name": name, "generation": generation}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "1"
        sql = f"SELECT * FROM file WHERE {where} ORDER BY generation, first"  # noqa: S608  names of columns only
        with self._lock:
            return [ArchiveFile(*row) for row in self._database.execute(sql, tuple(given.values()))]

    def generations(self) -> list[Generation]:
        """Oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM generation ORDER BY number").fetchall()
        return [Generation._make((*row[:-1], msgspec.json.decode(row[-1], type=Begin))) for row in rows]

    def gaps(self, *, repaired: bool = False) -> list[Missing]:
        """What is missing, and what was."""
        sql = "SELECT * FROM gap WHERE repaired_ns = 0 OR ? ORDER BY generation, first"
        with self._lock:
            rows = self._database.execute(sql, (repaired,)).fetchall()
        return [Missing._make((*row[:6], msgspec.json.decode(row[6], type=Gap), row[7])) for row in rows]

    def sizes(self, prefix: str) -> tuple[int, int, int, int]:
        """Files and bytes, of all and of those whose path begins with `prefix`."""
        sql = (
            "SELECT count(*), coalesce(sum(bytes), 0), coalesce(sum(substr(path, 1, length(?1)) = ?1), 0), "
            "coalesce(sum(bytes * (substr(path, 1, length(?1)) = ?1)), 0) FROM file"
        )
        with self._lock:
            found = self._database.execute(sql, (prefix,)).fetchone()
        return int(found[0]), int(found[1]), int(found[2]), int(found[3])

    def lineage(self, at_ns: int) -> list[Part]:
        """What made the machine that lived at a time: parts of generations, the oldest first, each place once."""
        lived = [generation for generation in self.generations() if generation.started_ns <= at_ns]
        by_id = {generation.id: generation for generation in lived}
        parts: list[Part] = []
        found, last = (lived[-1] if lived else None), 2**62
        while found is not None:
            if found.place < last:
                parts.insert(0, Part(found, found.place + 1, last))
            last = min(last, found.place)
            found = by_id.get(found.parent)
        return parts

    def forget(self, files: Sequence[ArchiveFile]) -> None:
        """These files are no longer kept: what was in them cannot be asked any more, and is not a gap."""
        ranges: dict[int, tuple[int, int]] = {}
        for file in files:
            first, last = ranges.get(file.generation, (file.first, file.last))
            ranges[file.generation] = min(first, file.first), max(last, file.last)
        with self._lock, self._database as database:
            database.executemany("DELETE FROM file WHERE path = ?", [(file.path,) for file in files])
            for generation, (first, last) in ranges.items():
                database.execute(
                    "INSERT OR REPLACE INTO gap (generation, first, last, at_ns, why, told, repaired_ns) "
                    "VALUES (?,?,?,0,'no longer kept',?,-1)",
                    (generation, first, last, msgspec.json.encode(Gap(first, last, 0, "no longer kept", [], []))),
                )

    def forgotten(self) -> list[Missing]:
        """What is no longer kept."""
        return [gap for gap in self.gaps(repaired=True) if gap.repaired_ns < 0]

    def close(self) -> None:
        self._database.close()


def _add_gap(database: sqlite3.Connection, generation: int, at_ns: int, gap: Gap) -> None:
    database.execute(
        "INSERT OR IGNORE INTO gap (generation, first, last, at_ns, why, told) VALUES (?,?,?,?,?,?)",
        (generation, gap.first, gap.last, at_ns, gap.why, msgspec.json.encode(gap)),
    )
