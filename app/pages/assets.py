"""The program's own scripts, styles and pictures, under an address that changes whenever any of them does."""

import hashlib
from functools import cache
from pathlib import Path

from tornado.web import StaticFileHandler

import assets

FOLDER = Path(assets.__file__).parent
SERVED = (".js", ".css", ".svg", ".txt")
_YEAR_S = 365 * 24 * 3600


@cache
def served() -> tuple[str, ...]:
    """Paths in the assets folder that are given out, in a fixed order."""
    return tuple(sorted(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.suffix in SERVED))


@cache
def digest() -> str:
    """Twelve characters that stand for the content of everything served."""
    content = hashlib.sha256()
    for name in served():
        content.update(name.encode() + b"\0" + (FOLDER / name).read_bytes())
    return content.hexdigest()[:12]


def address() -> str:
    """Where a page finds the assets of this version."""
    return f"/assets/{digest()}"


def modules(*beginnings: str) -> tuple[str, ...]:
    """The scripts of a page, which import one another: fetched ahead, they come at once instead of in turn."""
    return tuple(name for name in served() if name.endswith(".js") and name.startswith(beginnings))


class AssetsHandler(StaticFileHandler):
    """Serves `/assets/<digest>/path`, for good, and `/assets/path`, checked each time. Other files are not there."""

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        path = super().validate_absolute_path(root, absolute_path)
        if path is not None and not path.endswith(SERVED):
            self.send_error(404)
            return None
        return path

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002  the request knows the version too
        versioned = self.request.path.startswith(f"{address()}/")
        self.set_header("Cache-Control", f"public, max-age={_YEAR_S}, immutable" if versioned else "no-cache")
