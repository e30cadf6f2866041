"""Colours of charts, the same as those of assets/theme/ims.css: canvases cannot read style sheets."""

from dataclasses import dataclass
from typing import Final

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Palette:
    """One theme."""

    surface: str
    text: str
    muted: str
    line: str
    accent: str
    plus: str
    minus: str
    other: str


PALETTES: Final = {
    "dark": Palette("#12161d", "#dfe5ec", "#97a3b2", "#232b36", "#4da3ff", "#2fae7a", "#e0665f", "#f2b84b"),
    "light": Palette("#f7f8fa", "#16202c", "#4d5a69", "#d5dbe3", "#0a5fc2", "#0b7a43", "#c0221c", "#8a5a00"),
}
