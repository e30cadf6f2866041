"""A page of one table, live, and the drill-down of a security: Inventory (a row a security), Positions (a row a position)."""

import json
from dataclasses import dataclass
from typing import Any

import panel as pn

from layouts.components.live_grid import LiveGrid
from layouts.drilldown import DrillDown
from layouts.lookup import Lookup

THEMES = ("dark", "light")


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the page server knows of the page that it is asked for."""

    template: str
    """Text of the page's Jinja template."""
    table: str
    """Of the gateway: inventory or positions."""
    assets: str
    """Address of the assets folder, without a slash at its end."""
    modules: tuple[str, ...]
    """Scripts of the grid, in the assets folder, that a browser may fetch ahead."""
    gateway_port: int
    ticket: str
    lookup: Lookup | None
    """None: rows do not open, for the drill-down shows what is everybody's."""
    theme: str
    """As the address asks for it; anything but a known name lets the browser decide."""
    navigation: str = ""
    account: str = ""
    """HTML of the frame that all pages share."""


def page(context: PageContext) -> pn.Template:
    """One session's page. Call it inside the session."""
    theme = context.theme if context.theme in THEMES else ""
    link = LiveGrid(theme=theme or "dark")
    template = pn.Template(context.template)
    template.add_panel("link", link)
    template.add_panel("detail", DrillDown(link, context.lookup).view if context.lookup else pn.Column())
    for name, value in _variables(context, theme).items():
        template.add_variable(name, value)
    return template


def _variables(context: PageContext, theme: str) -> dict[str, Any]:
    config = {"table": context.table, "gateway_port": context.gateway_port, "ticket": context.ticket}
    config["opens"] = context.lookup is not None
    return {
        "assets": context.assets,
        "config": json.dumps(config).replace("<", "\\u003c"),
        "modules": context.modules,
        "theme": theme,
        "navigation": context.navigation,
        "account": context.account,
    }
