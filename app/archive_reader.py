"""What the machine was told up to a moment, read from the archive: each place once, of some securities or of all."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.archive_manifest import ArchiveFile, Manifest, Missing, Part
from app.archive_names import NothingError
from engine.ring import Message
from feeds import archive_files, archive_records
from feeds.archive_records import EVENT_COLUMNS, Told

_OF_EVENTS: Final = frozenset({"events", "prices", "effects"})


class Past:
    """What made the machine that lived at `at_ns`, after place `after` of `parts`' first (0: from its beginning)."""

    def __init__(self, folder: Path, manifest: Manifest, at_ns: int) -> None:
        """Raises `NothingError`."""
        self.at_ns = at_ns
        self.parts: Sequence[Part] = manifest.lineage(at_ns)
        self._folder, self._manifest = folder, manifest
        self._read_last: dict[str, tuple[str, pa.Table]] = {}
        if not self.parts:
            raise NothingError("no engine had started yet by then, or what it did is no longer kept")

    def begin_after(self, generation: str, place: int) -> bool:
        """Leave out what a snapshot has: everything up to this place of a generation. False where that is not of this past."""
        for number, part in enumerate(self.parts):
            if part.generation.id == generation and part.first <= place + 1 and place <= part.last:
                self.parts = [part._replace(first=place + 1), *self.parts[number + 1 :]]
                return True
        return False

    def files(self, name: str) -> Iterator[tuple[Part, ArchiveFile]]:
        """Files of a kind in which something of this past is."""
        for part in self.parts:
            for file in self._manifest.files(name, part.generation.number):
                if file.last >= part.first and file.first <= part.last and file.first_ns <= self.at_ns:
                    yield part, file

    def table(
        self, name: str, *, securities: Sequence[str] | None = None, columns: Sequence[str] = EVENT_COLUMNS
    ) -> list[pa.Table]:
        """What there is of a kind of files; of events these columns. Raises `DamagedError`."""
        wanted = columns if name in _OF_EVENTS else None
        chosen = securities if name in archive_files.KEYED else None
        tables = []
        for part, file in self.files(name):
            table = archive_files.read(self._folder / file.path, file.bytes, securities=chosen, columns=wanted)
            if file.first < part.first or file.last > part.last or file.last_ns > self.at_ns:
                within = pc.and_(
                    pc.and_(pc.greater_equal(table["place"], part.first), pc.less_equal(table["place"], part.last)),
                    pc.less_equal(table["at"].cast(pa.int64()), self.at_ns),
                )
                table = table.filter(within)
            tables.append(table)
        return tables

    def within(self, name: str, first: int, last: int) -> list[pa.Table]:
        """What there is of a kind of files between two places of this past. Raises `DamagedError`."""
        tables = []
        for part, file in self.files(name):
            low, high = max(first, part.first), min(last, part.last)
            if file.last < low or file.first > high:
                continue
            if name not in self._read_last or self._read_last[name][0] != file.path:
                self._read_last[name] = file.path, archive_files.read(self._folder / file.path, file.bytes)
            table = self._read_last[name][1]
            inside = pc.and_(pc.greater_equal(table["place"], low), pc.less_equal(table["place"], high))
            tables.append(table.filter(pc.and_(inside, pc.less_equal(table["at"].cast(pa.int64()), self.at_ns))))
        return tables

    def told(
        self,
        kind: Message,
        name: str | None = None,
        *,
        securities: Sequence[str] | None = None,
        columns: Sequence[str] = EVENT_COLUMNS,
    ) -> Told:
        """Records of a kind (`name`: of another kind of file), in the order in which the machine was told."""
        tables = self.table(name or kind.name.lower(), securities=securities, columns=columns)
        return archive_records.joined([archive_records.told(kind, table) for table in tables], kind).ordered()

    def texts(self, kind: Message) -> list[tuple[int, int, str]]:
        """Messages that are text: (place, time, text), in order."""
        return sorted(entry for table in self.table(kind.name.lower()) for entry in archive_records.texts(table))

    def newest(self) -> tuple[int, int]:
        """The last place, and its time, that is of this past; (0, 0) where nothing is."""
        found = (0, 0)
        for name in {file.name for part in self.parts for file in self._manifest.files(None, part.generation.number)}:
            for part, file in self.files(name):
                if file.last_ns <= self.at_ns and file.last <= part.last:
                    found = max(found, (file.last, file.last_ns))
                    continue
                table = archive_files.read(self._folder / file.path, file.bytes, columns=["place", "at"])
                place = np.asarray(table["place"].to_numpy())
                at_ns = np.asarray(table["at"].cast(pa.int64()).to_numpy())
                inside = (at_ns <= self.at_ns) & (place <= part.last)
                if inside.any():
                    found = max(found, (int(place[inside].max()), int(at_ns[inside].max())))
        return found

    def gaps(self) -> list[Missing]:
        """What is missing of this past."""
        return self._of_this(self._manifest.gaps())

    def forgotten(self) -> list[Missing]:
        """What of this past is no longer kept."""
        return self._of_this(self._manifest.forgotten())

    def _of_this(self, gaps: Sequence[Missing]) -> list[Missing]:
        return [
            gap
            for gap in gaps
            for part in self.parts
            if gap.generation == part.generation.number
            and gap.last >= part.first
            and gap.first <= part.last
            and gap.at_ns <= self.at_ns
        ]
