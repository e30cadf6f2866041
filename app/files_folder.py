"""The drop folder: which files are there, which of them are whole, and what vouches for that."""

import contextlib
import hashlib
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from feeds.files_read import SUFFIXES

DROP: Final = "drop"
WORK: Final = "files/work"
ARCHIVE: Final = "archive/files"
"""In the data folder."""
PATIENCE_S: Final = 30.0
"""How long a file that has stopped growing may lack its end, or its checksum."""
QUIET_S: Final = 0.5
"""How long a file must have stood still to be looked into."""
_PARTS: Final = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock")
_CHECKSUMS: Final = (".sha256", ".md5")
_TAIL_BYTES: Final = 4_096
_TRAILER: Final = re.compile(
    rb"[\r\n]\s*\"?#(TRAILER\"?[,;\t|: ]+\"?[0-9]+\"?[,;\t| ]*|EOF\|[0-9]+\|?)\s*$", re.IGNORECASE
)
_BLOCK: Final = 1 << 20
_MOST_STRAYS: Final = 100


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file in the folder of a feed. `seen`: node, size and time of change."""

    feed: str
    path: Path
    seen: tuple[int, int, int]


def dropped(data: Path, feeds: Sequence[str]) -> Iterator[Dropped]:
    """The files of each feed, oldest first; hidden ones, checksums and what a transfer has not yet given its name are none.

    Nor are links: whoever may only write here would have any file that we may read shown by its report.
    """
    for feed in feeds:
        found = []
        folder = data / DROP / feed
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                name = path.name.lower()
                if name.startswith((".", "~")) or name.endswith((*_PARTS, *_CHECKSUMS)):
                    continue
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found.append(Dropped(feed, path, (status.st_ino, status.st_size, status.st_mtime_ns)))
        yield from sorted(found, key=lambda each: (each.seen[2], each.path.name))


def strays(data: Path, feeds: Sequence[str]) -> list[tuple[str, str, str]]:
    """Folder and name of files that nobody takes, and why: beside the feeds' folders (folder ""), or in one of no feed."""
    return list(islice(_strays(data / DROP, feeds), _MOST_STRAYS))


def _strays(drop: Path, feeds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    with contextlib.suppress(OSError):
        for path in sorted(drop.iterdir()):
            if path.name in feeds or path.name.startswith("."):
                continue
            if path.is_dir() and not path.is_symlink():
                why = f"there is no feed {path.name!r}: nobody takes it from there"
                with contextlib.suppress(OSError):  # what may not be looked into hides no other
                    yield from ((path.name, each.name, why) for each in sorted(path.iterdir()) if each.is_file())
            else:
                yield "", path.name, "it is in no feed's folder: nobody takes it from there"


def missing(path: Path) -> str:
    """Why a file that stands still may not be whole yet; "" where it is."""
    sums = checksums(path)
    if sums:
        return (
            "" if all(digest(path, kind) == told for kind, told in sums.items()) else "it is not what its checksum says"
        )
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = b"\n" + file.read()
    if parquet:
        return "" if tail.endswith(b"PAR1") else "the end of the Parquet file is missing"
    if path.suffix.lower() not in SUFFIXES:
        return ""  # nothing to wait for: it is refused
    plain = tail.replace(b"\0", b"")  # also of texts with two bytes a letter
    return "" if _TRAILER.search(plain) else "it has no last line #TRAILER,count, and no checksum beside it"


def checksums(path: Path) -> dict[str, str]:
    """Kind -> hexadecimal digest, as the files beside it say."""
    found = {}
    for suffix in _CHECKSUMS:
        beside = path.with_name(path.name + suffix)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            words = beside.read_text("ascii").split()
            found[suffix.removeprefix(".")] = words[0].lower().lstrip("\\*") if words else ""
    return found


def digest(path: Path, kind: str) -> str:
    """Of the bytes, hexadecimal."""
    made = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            made.update(block)
    return made.hexdigest()


def move(path: Path, target: Path) -> None:
    """Also from another disk; the checksums go along."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (*_CHECKSUMS, ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.move(source, target.with_name(target.name + suffix))
