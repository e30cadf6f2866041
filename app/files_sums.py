"""Checksum files beside a batch file: which they are, and what they say; nothing of what else is in them is ever told."""

import codecs
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIGITS: Final = {"sha256": 64, "md5": 32}
"""Kind -> hexadecimal digits; the kind is the suffix."""
_MOST_BYTES: Final = 65_536
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sum:
    """What a checksum file says: the digest, hexadecimal and small; or `fault`, a sentence about what is wrong with it."""

    kind: str
    digest: str = ""
    fault: str = ""


def kind_of(path: Path) -> str:
    """The kind of a checksum file, by its name; "" where it is none."""
    kind = path.suffix.lower().removeprefix(".")
    return kind if kind in _DIGITS else ""


def named(path: Path, kind: str) -> Path:
    """Where the checksum file of a file that was taken lies."""
    return path.with_name(f"{path.name}.{kind}")


def beside(path: Path) -> dict[str, Path]:
    """Kind -> checksum file of a file that was taken."""
    return {kind: place for kind in _DIGITS if os.path.lexists(place := named(path, kind))}


def read(path: Path) -> Sum:
    """As `sha256sum`, `md5sum`, BSD's and PowerShell's commands write it; all that matters is the one digest in it."""
    kind = kind_of(path)
    try:
        raw = _bytes(path)
    except OSError as error:
        return Sum(kind, fault=f"the {kind} file beside it cannot be read: {error.strerror}")
    if raw is None:
        return Sum(kind, fault=f"the {kind} file beside it is no plain file of at most {_MOST_BYTES:,} bytes")
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return Sum(kind, fault=f"the {kind} file beside it is no text")
    digests = set(re.findall(rf"(?<![0-9a-z])[0-9a-f]{{{_DIGITS[kind]}}}(?![0-9a-z])", text.lower()))
    if len(digests) != 1:
        several = "more than one" if digests else "no"
        return Sum(kind, fault=f"the {kind} file beside it has {several} {kind} of {_DIGITS[kind]} hexadecimal digits")
    return Sum(kind, digests.pop())


def _bytes(path: Path) -> bytes | None:
    """Of a plain, small file; None for all else: a pipe would be waited for, a link leads to what only we may read."""
    if not _plain(path.lstat()):
        return None
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may have become something else meanwhile
    with os.fdopen(number, "rb") as file:
        return file.read(_MOST_BYTES) if _plain(os.fstat(number)) else None


def _plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES


def digest(path: Path, kind: str) -> str:
    """Of the bytes, hexadecimal."""
    made = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            made.update(block)
    return made.hexdigest()
