"""Where a service's history is."""

from pathlib import Path

from app.settings import Settings


def history_of(settings: Settings) -> Path:
    """Folder of its files."""
    return settings.folder / "archive" / "history"
