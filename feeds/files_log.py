"""The log of accepted file records: one file on disk per accepted batch file, in the order of acceptance.

A position counts records over the whole log, like the offset of a partition. A part is written beside the log, brought to disk
and then given its name, in one step: whoever reads sees all of a file or nothing of it.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

FOLDER: Final = "files/log"
"""In the data folder."""
_SCHEMA: Final = pa.schema([("feed", pa.uint8()), ("line", pa.int64()), ("value", pa.binary())])
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
_SUFFIX: Final = ".arrow"
_NAME_PARTS: Final = 2


class NotWrittenError(OSError):
    """The disk did not take what was to be written: nothing is wrong with what it was made of, and it can be tried again."""


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises `NotWrittenError` for whatever the disk says."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise NotWrittenError(f"{path} cannot be written: {error}") from error


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """The records of one batch file: positions `first` to `end` - 1."""

    first: int
    count: int
    path: Path

    @property
    def end(self) -> int:
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Records:
    """Some records of one feed, one after the other in the log, each with the line it came from."""

    feed: int
    first: int
    lines: Sequence[int]
    values: Sequence[bytes]

    @property
    def end(self) -> int:
        return self.first + len(self.values)


class PartWriter:
    """Writes a part beside the log. Raises `NotWrittenError` where the disk does not do its share; `discard` then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._out = pa.ipc.new_file(self._file, _SCHEMA, options=_OPTIONS)

    def add(self, feed: int, lines: Sequence[int], values: Sequence[bytes]) -> None:
        """Records of one feed."""
        if not values:
            return
        columns = [
            pa.array([feed] * len(values), pa.uint8()), pa.array(lines, pa.int64()), pa.array(values, pa.binary())
        ]  # fmt: skip
        with _writing(self.path):
            self._out.write_batch(pa.record_batch(columns, schema=_SCHEMA))
        self.count += len(values)

    def close(self) -> None:
        """All of it is on the disk afterwards."""
        with _writing(self.path):
            self._out.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        """As if it had never been."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._out.close()
        with contextlib.suppress(OSError):  # what is still in memory may find no room: it is not wanted
            self._file.close()
        self.path.unlink(missing_ok=True)


class FileLog:
    """The log in a folder. One process accepts, any number read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def parts(self) -> list[Part]:
        """All parts, oldest first."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                numbers = entry.name.removesuffix(_SUFFIX).split("-")
                if entry.name.endswith(_SUFFIX) and len(numbers) == _NAME_PARTS and all(map(str.isdigit, numbers)):
                    found.append(Part(int(numbers[0]), int(numbers[1]), Path(entry.path)))
        return sorted(found)

    @property
    def end(self) -> int:
        """The position of the next record that is accepted, as far as the parts that are kept tell it."""
        parts = self.parts()
        return parts[-1].end if parts else 0

    def accept(self, written: Path, first: int, count: int) -> Part:
        """Give a written part its place. The same again changes nothing. Raises `NotWrittenError`."""
        path = self.folder / f"{first:015d}-{count:010d}{_SUFFIX}"
        with _writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if written.exists() or not path.exists():
                written.rename(path)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return Part(first, count, path)

    def records(self, position: int) -> Iterator[Records]:
        """Everything from `position` to the end of what is accepted now. Raises OSError or pyarrow's errors for a part that
        cannot be read.
        """
        for part in self.parts():
            if part.end > position:
                yield from records_of(part, position)


def records_of(part: Part, position: int = 0) -> Iterator[Records]:
    """The records of a part from `position` on. Raises as `FileLog.records`."""
    with pa.memory_map(str(part.path)) as source, pa.ipc.open_file(source) as file:
        first = part.first
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            skipped = min(batch.num_rows, max(0, position - first))
            if skipped < batch.num_rows:
                kept = batch.slice(skipped)
                lines, values = kept.column("line").to_pylist(), kept.column("value").to_pylist()
                yield Records(kept.column("feed")[0].as_py(), first + skipped, lines, values)
            first += batch.num_rows
