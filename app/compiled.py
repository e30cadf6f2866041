"""Where compiled kernels are kept: under a fingerprint of the sources they were made from.

Numba asks of a kept kernel only whether the file of its own function has changed. What is inlined from another file, and
every constant of the model, is compiled into it too: after an update it would go on with old ones and show wrong numbers.
A new fingerprint begins with the kernels of those modules whose sources, and all that they import, are what they were.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

log = structlog.get_logger()
VARIABLE: Final = "NUMBA_CACHE_DIR"
KEPT: Final = 8
"""Fingerprints whose kernels stay: someone may go back and forth between versions. Ten megabytes each, mostly shared."""
_MADE_OF: Final = "made-of.json"
_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("engine", "feeds")
_IMPORTED: Final = re.compile(
    rb"^\s*(?:from|import) ((?:engine|feeds)(?:\.\w+)?)(?: import (\([\w,\s]+\)|[\w, ]+))?", re.MULTILINE
)


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
    if not folder.is_dir():
        _begin(folder, modules())
    os.utime(folder)
    _forget_old(folder.parent)
    os.environ[VARIABLE] = str(folder)


def use_what_cannot_be_kept() -> None:
    """From now on a kernel that no file can take, or give, is compiled and used all the same: numba would end the process that
    meets a full disk in the middle of a day. Numba must be imported."""
    caches: Any = sys.modules["numba.core.caching"].FunctionCache
    for name in ("save_overload", "load_overload"):
        if (found := getattr(caches, name)).__module__ != __name__:
            setattr(caches, name, _or_nothing(found))


def _or_nothing(work: Callable[..., object]) -> Callable[..., object]:
    def worked(*what: object) -> object:
        try:
            return work(*what)
        except OSError as error:
            log.warning("a compiled kernel cannot be kept, or read", error=str(error))
            return None

    return worked


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
    return _digest({path: path.read_bytes() for path in sources})


def _digest(texts: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(texts):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(texts[path]).digest())
    return digest.hexdigest()[:16]


def sources() -> set[Path]:
    """Modules with compiled functions, and all that they import of ours."""
    return set().union(*_closures().values())


def modules() -> dict[str, str]:
    """Modules with compiled functions, as `package/module`, and the fingerprint of what each is made of."""
    texts = {path: path.read_bytes() for path in sources()}
    return {
        f"{path.parent.name}/{path.stem}": _digest({each: texts[each] for each in made_of})
        for path, made_of in _closures().items()
    }


def _closures() -> dict[Path, set[Path]]:
    """Modules with compiled functions, and what each of them is made of."""
    texts = {path: path.read_bytes() for package in _PACKAGES for path in (_ROOT / package).glob("*.py")}
    imported = {path: _imported(text, texts) for path, text in texts.items()}
    return {path: _reached(path, imported) for path, text in texts.items() if b"import numba" in text}


def _imported(text: bytes, texts: Mapping[Path, bytes]) -> list[Path]:
    found = []
    for module, names in _IMPORTED.findall(text):
        package, _, leaf = module.decode().partition(".")
        leaves = [leaf] if leaf else [name.split()[0] for name in names.decode().strip("()").split(",") if name.strip()]
        found += [target for each in leaves if (target := _ROOT / package / f"{each}.py") in texts]
    return found


def _reached(path: Path, imported: Mapping[Path, list[Path]]) -> set[Path]:
    found: set[Path] = set()
    wanted = [path]
    while wanted:
        path = wanted.pop()
        if path not in found:
            found.add(path)
            wanted += imported[path]
    return found


def _begin(folder: Path, made_of: Mapping[str, str]) -> None:
    """Whole at once, or not at all: another process may begin it, too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted, others = dict(made_of), _newest(folder.parent)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    (draft / _MADE_OF).write_text(json.dumps(made_of))
    for before in others:
        same = {name for name, digest in _made_of(before).items() if wanted.get(name) == digest}
        for name in same:
            package, _, module = name.partition("/")
            for kept in before.glob(f"{package}_*/{module}.*"):
                (draft / kept.parent.name).mkdir(exist_ok=True)
                with contextlib.suppress(OSError):  # it was thrown away meanwhile: it is compiled again
                    os.link(kept, draft / kept.parent.name / kept.name)
            del wanted[name]
    try:
        draft.rename(folder)
    except OSError:  # somebody else was first
        shutil.rmtree(draft, ignore_errors=True)


def _made_of(folder: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((folder / _MADE_OF).read_text())
    except (OSError, ValueError):
        return {}
    return known


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _forget_old(folder: Path) -> None:
    """Another process may be at it too, which is no harm: what is gone is compiled again."""
    for path in _newest(folder)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _newest(folder: Path) -> list[Path]:
    """What is kept, the newest first."""
    ages = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            ages[path] = path.stat().st_mtime
    return sorted(ages, key=ages.__getitem__, reverse=True)
