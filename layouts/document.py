"""The document that every page is: its head, the frame around it, and what the page is about in the middle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import panel as pn

THEMES = ("dark", "light")


@dataclass(frozen=True, slots=True)
class Document:
    """What the page server knows of the page that it is asked for."""

    template: str
    """Text of the Jinja template, with the page's own part in it."""
    name: str
    """Of the page's folder of scripts, without `_page`, or of its table."""
    assets: str
    """Address of the assets folder, without a slash at its end."""
    styles: tuple[str, ...]
    """Style sheets in the assets folder, in their order, beside the theme."""
    main: str
    """The script, in the assets folder, that the page begins with."""
    modules: tuple[str, ...]
    """Scripts, in the assets folder, that a browser may fetch ahead."""
    asked_theme: str
    """As the address asks for it; anything but a known name lets the browser decide."""
    navigation: str
    account: str
    """HTML of the frame that all pages share."""

    @property
    def theme(self) -> str:
        """Empty where the browser decides."""
        return self.asked_theme if self.asked_theme in THEMES else ""

    def made(self, panels: Mapping[str, Any], config: Mapping[str, object]) -> pn.Template:
        """One session's page. Call it inside the session. `panels`: its models by the names in the template; `config`: what its
        scripts are told."""
        template = pn.Template(self.template)
        for name, model in panels.items():
            template.add_panel(name, model)
        for name in ("name", "assets", "styles", "main", "modules", "theme", "navigation", "account"):
            template.add_variable(name, getattr(self, name))
        template.add_variable("config", json.dumps(config).replace("<", "\\u003c"))
        return template
