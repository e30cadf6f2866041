"""Where compiled kernels are kept: under a fingerprint of the sources they were made from.

Numba asks of a kept kernel only whether the file of its own function has changed. What is inlined from another file, and
every constant of the model, is compiled into it too: after an update it would go on with old ones and show wrong numbers.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

VARIABLE: Final = "NUMBA_CACHE_DIR"
KEPT: Final = 3
"""Fingerprints whose kernels stay: someone may go back and forth between two versions."""
_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("engine", "feeds")
_IMPORTED: Final = re.compile(rb"^\s*(?:from|import) ((?:engine|feeds)(?:\.\w+)?)(?: import ([\w, ]+))?", re.MULTILINE)


def keep_kernels_by_source() -> None:
    """Tell numba, before it is imported, where to keep what it compiles; children inherit it. A setting of the user stays."""
    if VARIABLE in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME")
    caches = (Path(home) if home else Path.home() / ".cache") / "ims"
    if not _writable(caches):
        caches = Path(tempfile.gettempdir()) / f"ims-{os.getuid()}"
        caches.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = caches / "kernels" / fingerprint(sources())
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    _forget_old(folder.parent)
    os.environ[VARIABLE] = str(folder)


def are_kept() -> bool:
    """Whether all that a simulated day needs was compiled from these sources before."""
    mark = marker()
    return mark is None or mark.exists()


def marker() -> Path | None:
    """The file that says so; None where it is not known where kernels are kept."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) / f"complete-{fingerprint(sources())}" if folder else None


def fingerprint(sources: Iterable[Path]) -> str:
    """The same for the same names and contents."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def sources() -> set[Path]:
    """Modules with compiled functions, and all that they import of ours."""
    texts = {path: path.read_bytes() for package in _PACKAGES for path in (_ROOT / package).glob("*.py")}
    wanted = [path for path, text in texts.items() if b"import numba" in text]
    found: set[Path] = set()
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found.add(path)
        for module, names in _IMPORTED.findall(texts[path]):
            package, _, leaf = module.decode().partition(".")
            leaves = [leaf] if leaf else [name.strip() for name in names.decode().split(",")]
            wanted += [target for each in leaves if (target := _ROOT / package / f"{each}.py") in texts]
    return found


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _forget_old(folder: Path) -> None:
    """Another process may be at it too, which is no harm: what is gone is compiled again."""
    newest = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
