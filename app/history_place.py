"""Where a service's history is, and by which keys."""

from pathlib import Path
from urllib.parse import quote

from app.settings import Settings


def history_of(settings: Settings) -> Path:
    """Folder of its files: numbers of securities, by their codes."""
    return settings.folder / "archive" / "history"


def limits_of(settings: Settings) -> Path:
    """Folder of those of limits."""
    return settings.folder / "archive" / "limits"


def limit_key(scope: str, owner: str, security: str) -> str:
    """What stands in place of a security's code in these; `scope`: client or au. No two limits have the same."""
    return "/".join(quote(part, safe="") for part in (scope, owner, security))
