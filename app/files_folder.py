"""The drop folder: which files are there, which of them are whole, and what they are called."""

import contextlib
import re
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from app import files_sums
from app.files_sums import Sum
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
_TAIL_BYTES: Final = 4_096
_TRAILER: Final = re.compile(
    rb"[\r\n]\s*\"?#(TRAILER\"?[,;\t|: ]+\"?[0-9]+\"?[,;\t| ]*|EOF\|[0-9]+\|?)\s*$", re.IGNORECASE
)
_MOST_STRAYS: Final = 100
NAME_BYTES: Final = 200
"""Of a file's name: with what the archive puts before and behind it, any disk takes it."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file in the folder of a feed. `seen`: node, size and time of change; `sums`: the checksum files beside it, by kind."""

    feed: str
    path: Path
    seen: tuple[int, int, int]
    sums: dict[str, Path]


def dropped(data: Path, feeds: Sequence[str]) -> Iterator[Dropped]:
    """The files of each feed, oldest first; hidden ones, checksums and what a transfer has not yet given its name are none.

    Nor are links: whoever may only write here would have any file that we may read shown by its report.
    """
    for feed in feeds:
        found: list[tuple[Path, tuple[int, int, int]]] = []
        sums: list[Path] = []
        folder = data / DROP / feed
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                name = path.name.lower()
                if name.startswith((".", "~")) or name.endswith(_PARTS):
                    continue
                if files_sums.kind_of(path):
                    sums.append(path)
                    continue
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found.append((path, (status.st_ino, status.st_size, status.st_mtime_ns)))
        beside = _beside([path.name for path, _ in found], sums)
        for path, seen in sorted(found, key=lambda each: (each[1][2], each[0].name)):
            yield Dropped(feed, path, seen, beside[path.name])


def _beside(names: Sequence[str], sums: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """The checksum files of each name: of the very name, or of one that differs by capitals where no file has the very one."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    by_letters = {name.lower(): name for name in reversed(names)}
    very = set(names)
    for path in sorted(sums, key=lambda each: (each.suffix != each.suffix.lower(), each.name)):
        owner = path.stem if path.stem in very else by_letters.get(path.stem.lower(), "")
        found[owner].setdefault(files_sums.kind_of(path), path)
    return found


def strays(data: Path, feeds: Sequence[str]) -> list[tuple[str, str, str]]:
    """Folder and name of files that nobody takes, and why: beside the feeds' folders (folder ""), or in one of no feed."""
    return list(islice(_strays(data / DROP, feeds), _MOST_STRAYS))


def _strays(drop: Path, feeds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    with contextlib.suppress(OSError):
        for path in sorted(drop.iterdir()):
            if path.name in feeds or path.name.startswith("."):
                continue
            folder = spelled(path.name)
            if path.is_dir() and not path.is_symlink():
                why = f"there is no feed '{folder}': nobody takes it from there"
                with contextlib.suppress(OSError):  # what may not be looked into hides no other
                    inside = (each for each in sorted(path.iterdir()) if each.is_file())
                    yield from ((folder, spelled(each.name), why) for each in inside)
            else:
                yield "", folder, "it is in no feed's folder: nobody takes it from there"


def spelled(name: str) -> str:
    """A name as it is told and stored: what cannot be seen, or is no UTF-8, is escaped; no two names become one."""
    return "".join(letter if letter.isprintable() and letter != "\\" else _escaped(ord(letter)) for letter in name)


def _escaped(point: int) -> str:
    if 0xDC80 <= point <= 0xDCFF:  # noqa: PLR2004  how Python holds a byte of a name that is not UTF-8
        return f"\\x{point - 0xDC00:02x}"
    return f"\\u{point:04x}"


def misnamed(name: str) -> str:
    """Why a file of this name is not taken; "" where it is."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8: give it another one"
    return f"its name has {size} bytes, at most {NAME_BYTES} are taken" if size > NAME_BYTES else ""


def missing(path: Path, sums: dict[str, Path]) -> str:
    """Why a file that stands still may not be whole yet; "" where it is. `sums`: the checksum files beside it, by kind."""
    if sums:
        return next((why for each in map(files_sums.read, sums.values()) if (why := _not_so(path, each))), "")
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


def _not_so(path: Path, told: Sum) -> str:
    if told.fault:
        return told.fault
    return "" if files_sums.digest(path, told.kind) == told.digest else "it is not what its checksum says"


def move(path: Path, target: Path, sums: dict[str, Path]) -> None:
    """Also from another disk; the checksums go along, under names that `files_sums.beside` knows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    moved: list[tuple[Path, Path]] = []
    try:
        for kind, beside in sums.items():
            with contextlib.suppress(FileNotFoundError):
                _move(beside, named := files_sums.named(target, kind))
                moved.append((named, beside))
        _move(path, target)
    except OSError:
        for named, beside in moved:  # the file stays, and what vouches for it with it
            with contextlib.suppress(OSError):
                _move(named, beside)
        raise


def _move(path: Path, target: Path) -> None:
    if stat.S_ISREG(path.lstat().st_mode):
        shutil.move(path, target)
        return
    try:
        path.rename(target)  # a link, a pipe: as it is, for nothing of it is read
    except OSError:
        path.unlink()  # of another disk
