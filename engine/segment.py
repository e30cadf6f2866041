"""Named arrays in one block of shared memory, owned by one process and attached by any number of readers.

The block is a file in the memory file system, 0600. Its owner holds an exclusive lock on it for as long as it lives, so
"is the owner dead?" is asked of the kernel and cannot be fooled by a reused process id; `multiprocessing.shared_memory`
has no such question, and its resource tracker unlinks what a reader attached. A restarted owner makes a new file under the
same name; `stale` tells a reader that the name now leads elsewhere.
"""

import fcntl
import json
import mmap
import os
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

_MAGIC: Final = b"IMSSEG01"
_ALIGN: Final = 4096
_PREFIX: Final = "ims."


def folder() -> Path:
    """Where blocks live: the memory file system where there is one."""
    shm = Path("/dev/shm")  # noqa: S108  the memory file system, not a place for temporary files
    return shm if shm.is_dir() else Path(tempfile.gettempdir())


@dataclass(frozen=True, slots=True)
class Field:
    """One array of a block."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, dtype: DTypeLike, *shape: int) -> Self:
        return cls(np.dtype(dtype), shape)

    @property
    def bytes(self) -> int:
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=np.int64))


class SegmentInUseError(RuntimeError):
    """A living process owns the block of that name."""


class SegmentMissingError(RuntimeError):
    """No block of that name, or one that its owner has not finished."""


class Segment:
    """A block of named arrays. `arrays[name]` has the dtype and shape it was created with; `meta` is its owner's JSON."""

    def __init__(self, path: Path, file: int, memory: mmap.mmap, *, owner: bool) -> None:
        self.path = path
        self._file = file
        # a reader that waits for its writer drops many unclosed; an owner keeps its lock even when its name is dropped
        self._release = weakref.finalize(Segment if owner else self, os.close, file)
        self._memory = memory
        self._owner = owner
        size = int.from_bytes(memory[8:16], "little")
        header = json.loads(bytes(memory[16 : 16 + size]))
        self.meta: dict[str, Any] = header["meta"]
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.frombuffer(memory, _dtype(entry["dtype"]), int(np.prod(entry["shape"])), entry["offset"]).reshape(
                entry["shape"]
            )
            for name, entry in header["arrays"].items()
        }

    @classmethod
    def create(cls, name: str, fields: Mapping[str, Field], meta: Mapping[str, Any]) -> Self:
        """A zeroed block under `name`. A dead owner's is replaced; a living owner's raises `SegmentInUseError`."""
        path = folder() / f"{_PREFIX}{name}"
        if path.exists() and not _unlink_if_dead(path):
            raise SegmentInUseError(f"shared memory {path.name} belongs to a running process")
        header, total = _header(fields, meta)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        file = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, total)
        memory = mmap.mmap(file, total)
        memory[16 : 16 + len(header)] = header
        memory[8:16] = len(header).to_bytes(8, "little")
        memory[0:8] = _MAGIC
        draft.rename(path)
        return cls(path, file, memory, owner=True)

    @classmethod
    def attach(cls, name: str, *, writable: bool = False) -> Self:
        """An existing block; the arrays are read-only unless `writable`. Raises `SegmentMissingError`."""
        path = folder() / f"{_PREFIX}{name}"
        try:
            file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        except FileNotFoundError:
            raise SegmentMissingError(f"no shared memory {path.name}") from None
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        memory = mmap.mmap(file, 0, access=access)
        if memory[0:8] != _MAGIC:
            raise SegmentMissingError(f"shared memory {path.name} is not of this version")
        return cls(path, file, memory, owner=False)

    @property
    def stale(self) -> bool:
        """Whether the name no longer leads to this block: its owner went, or was replaced."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return True
        mine = os.fstat(self._file)
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)

    @property
    def owner_alive(self) -> bool:
        """Whether a process still holds the owner's lock."""
        return self._owner or not _lockable(self._file)

    def close(self) -> None:
        """Give the block back; the owner's name goes with it. Arrays must not be used afterwards."""
        if self._owner and not self.stale:
            self.path.unlink()
        self.arrays.clear()
        self._release()


def remove_dead(*, but: str = "\0") -> list[str]:
    """Remove every block whose owner is dead, and the drafts of killed starts; not those that have `but` in their name.

    Returns the names removed.
    """
    chosen = (path for path in sorted(folder().glob(f"{_PREFIX}*")) if but not in path.name)
    return [path.name for path in chosen if _unlink_if_dead(path)]


def names(prefix: str) -> list[str]:
    """Names of the blocks there are, finished or not, that begin so."""
    return [path.name.removeprefix(_PREFIX) for path in folder().glob(f"{_PREFIX}{prefix}*")]


def remove_if_dead(name: str) -> bool:
    """Remove a block; False where its owner lives."""
    return _unlink_if_dead(folder() / f"{_PREFIX}{name}")


def _header(fields: Mapping[str, Field], meta: Mapping[str, Any]) -> tuple[bytes, int]:
    """The JSON directory and the size of the whole; every array starts on a page of its own."""

    def directory(base: int) -> tuple[bytes, int]:
        entries, offset = {}, base
        for name, field in fields.items():
            entries[name] = {"dtype": _descr(field.dtype), "shape": field.shape, "offset": offset}
            offset += -(-field.bytes // _ALIGN) * _ALIGN
        return json.dumps({"meta": dict(meta), "arrays": entries}).encode(), offset

    # offsets have as many digits as they need, so a generous base settles the size of the directory
    base = -(-(16 + len(directory(10**12)[0])) // _ALIGN) * _ALIGN
    return directory(base)


def _descr(dtype: np.dtype[Any]) -> Any:
    return dtype.str if dtype.names is None else np.lib.format.dtype_to_descr(dtype)


def _dtype(descr: Any) -> np.dtype[Any]:
    if isinstance(descr, str):
        return np.dtype(descr)
    return np.dtype([(name, kind, *(tuple(s) for s in shape)) for name, kind, *shape in descr])


def _lockable(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _unlink_if_dead(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        if not _lockable(file):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(file)
