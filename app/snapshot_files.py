"""Snapshots on disk: one file each, whole or not there, every part of it with a checksum of its own.

A file is a beginning (`_MAGIC`, header), parts (name, type, shape, checksum; then the array, on a multiple of eight bytes) and
an end that counts them. It is written under another name, brought to the disk, and only then gets its own.
"""

import contextlib
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

log = structlog.get_logger()
_MAGIC: Final = b"IMSSNAP1"
_SUFFIX: Final = ".snapshot"
_DRAFT: Final = ".draft"
_DAMAGED: Final = ".damaged"
_HEAD: Final = struct.Struct("<II")
"""Size and checksum of the JSON that follows."""
_END: Final = "end"
_ALIGN: Final = 8
_CLOSED: Final = -1
NEWEST: Final = 3
"""How many are kept whatever their age; of the older ones the newest of every hour."""
_HOUR_NS: Final = 3_600 * 10**9
_KEEP_NS: Final = 24 * _HOUR_NS


class DamagedSnapshotError(ValueError):
    """A file that is cut off, changed, or none of these."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself. `layout`: a digest of every record's form; `log`: messages applied by then."""

    taken_ns: int
    layout: str
    generation: str
    log: int
    rows: int
    markets: list[str]
    today: list[int]
    base_date: int
    topics: list[str]
    capacity: dict[str, int]


class Contents:
    """A snapshot that was read: the arrays are views of the file, read-only. `parts[name]` in the order of writing."""

    def __init__(self, path: Path, header: Header, parts: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        self.path = path
        self.header = header
        self.parts = parts


class SnapshotFile:
    """A file that is being written. `add` parts, then `finish`; `drop` leaves nothing behind."""

    def __init__(self, folder: Path, header: Header) -> None:
        self.path = folder / f"{header.taken_ns}{_SUFFIX}"
        self._draft = self.path.with_suffix(_DRAFT)
        self._count = 0
        self.size = 0
        self._file = os.open(self._draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            self._write(_MAGIC)
            self._json(msgspec.to_builtins(header))
        except BaseException:
            self.drop()
            raise

    def add(self, name: str, array: NDArray[Any]) -> None:
        """Write a part, and see that it reaches the disk now: what piles up would make others wait all at once."""
        raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1).data
        dtype = array.dtype.str if array.dtype.names is None else np.lib.format.dtype_to_descr(array.dtype)
        self._json({"name": name, "dtype": dtype, "shape": array.shape, "bytes": raw.nbytes, "crc": zlib.crc32(raw)})
        self._write(raw)
        self._write(bytes(-raw.nbytes % _ALIGN))
        self._count += 1
        if raw.nbytes >= 1 << 20:
            os.fdatasync(self._file)

    def finish(self) -> None:
        """Bring it to the disk, then under its name."""
        self._json({"name": _END, "parts": self._count})
        os.fsync(self._file)
        self._close()
        self._draft.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self._close()
        self._draft.unlink(missing_ok=True)

    def _close(self) -> None:
        """Once: afterwards the number may be that of a connection or of another file of the process."""
        number, self._file = self._file, _CLOSED
        if number != _CLOSED:
            os.close(number)

    def _json(self, value: object) -> None:
        text = json.dumps(value).encode()
        text += b" " * (-(len(text) + _HEAD.size) % _ALIGN)
        self._write(_HEAD.pack(len(text), zlib.crc32(text)) + text)

    def _write(self, raw: Any) -> None:
        left = memoryview(raw)
        while left:
            written = os.write(self._file, left)
            left = left[written:]
            self.size += written


class _Reading:
    """A file's bytes, and how far they have been understood."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise DamagedSnapshotError("it is empty") from error
        self._at = 0

    def take(self, size: int) -> memoryview:
        if self._at + size > len(self._memory):
            raise DamagedSnapshotError(f"it ends at {len(self._memory):,} bytes, in the middle of a part")
        taken = memoryview(self._memory)[self._at : self._at + size]
        self._at += size
        return taken

    def json(self) -> Any:
        size, crc = _HEAD.unpack(self.take(_HEAD.size))
        text = self.take(size)
        if zlib.crc32(text) != crc:
            raise DamagedSnapshotError(f"its heading at byte {self._at - size:,} was changed")
        return json.loads(bytes(text))

    def array(self, heading: dict[str, Any]) -> NDArray[Any]:
        raw = self.take(heading["bytes"])
        if zlib.crc32(raw) != heading["crc"]:
            raise DamagedSnapshotError(f"part {heading['name']} before byte {self._at:,} was changed")
        self.take(-heading["bytes"] % _ALIGN)
        return np.frombuffer(raw, _dtype(heading["dtype"])).reshape(heading["shape"])


def read(path: Path) -> Contents:
    """All of a file, checked. Raises `DamagedSnapshotError`."""
    reading = _Reading(path)
    if bytes(reading.take(len(_MAGIC))) != _MAGIC:
        raise DamagedSnapshotError("it does not begin as a snapshot does")
    header = msgspec.convert(reading.json(), Header)
    parts: dict[str, list[NDArray[Any]]] = {}
    count = 0
    while (heading := reading.json())["name"] != _END:
        parts.setdefault(heading["name"], []).append(reading.array(heading))
        count += 1
    if heading["parts"] != count:
        raise DamagedSnapshotError(f"it has {count:,} parts, not {heading['parts']:,}")
    return Contents(path, header, parts)


def _dtype(descr: Any) -> np.dtype[Any]:
    if isinstance(descr, str):
        return np.dtype(descr)
    return np.dtype([(name, kind, *(tuple(shape) for shape in shapes)) for name, kind, *shapes in descr])


class SnapshotFolder:
    """The snapshots of one service, newest first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder, and remove what a killed writer had begun."""
        self.path.mkdir(parents=True, exist_ok=True)
        for draft in self.path.glob(f"*{_DRAFT}"):
            draft.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        found = (path for path in self.path.glob(f"*{_SUFFIX}") if path.stem.isdigit())
        return sorted(found, key=_taken, reverse=True)

    def before(self, time_ns: int) -> list[Path]:
        """Those taken at or before a moment."""
        return [path for path in self.files() if _taken(path) <= time_ns]

    def good(self) -> Iterator[Contents]:
        """Those that can be read. One that cannot is said loudly, and put out of the way."""
        for path in self.files():
            try:
                yield read(path)
            except (DamagedSnapshotError, msgspec.ValidationError, json.JSONDecodeError, OSError) as error:
                log.critical("a snapshot is damaged; the one before it is used", file=str(path), why=str(error))
                with contextlib.suppress(OSError):
                    path.rename(path.with_suffix(_DAMAGED))

    def damaged(self) -> int:
        return len(list(self.path.glob(f"*{_DAMAGED}")))

    def thin_out(self, now_ns: int) -> None:
        """Remove what need not be kept: see `NEWEST`; damaged ones go with the day."""
        hours: set[int] = set()
        for number, path in enumerate(self.files()):
            hour = _taken(path) // _HOUR_NS
            old = now_ns - _taken(path) > _KEEP_NS
            if number >= NEWEST and (old or hour in hours):
                path.unlink(missing_ok=True)
            hours.add(hour)
        for path in self.path.glob(f"*{_DAMAGED}"):
            if path.stem.isdigit() and now_ns - _taken(path) > _KEEP_NS:
                path.unlink(missing_ok=True)


def _taken(path: Path) -> int:
    return int(path.stem)
