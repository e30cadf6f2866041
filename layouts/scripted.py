"""A page that is text and tables: Rules, Health, Locates, Limits.

It needs no Bokeh models. Its own scripts (assets/NAME_page) talk to the REST API with a token of the page's user: there, and
only there, is decided who may do what, and a refusal has one form for people and for programs.
"""

import json
from dataclasses import dataclass
from typing import Any

import panel as pn

from layouts.components.session_link import SessionLink

THEMES = ("dark", "light")


@dataclass(frozen=True, slots=True)
class ScriptedContext:
    """What the page server knows of the page that it is asked for."""

    template: str
    """Text of the Jinja template that these pages share."""
    body: str
    """HTML of the page's own controls and main part."""
    name: str
    """Of the page's folder of scripts, without `_page`."""
    assets: str
    """Address of the assets folder, without a slash at its end."""
    modules: tuple[str, ...]
    """Scripts, in the assets folder, that a browser may fetch ahead."""
    session: dict[str, Any]
    """Token for the API, how long it is good for, and whose it is."""
    theme: str
    """As the address asks for it; anything but a known name lets the browser decide."""
    navigation: str
    account: str


def page(context: ScriptedContext) -> pn.Template:
    """One session's page. Call it inside the session."""
    template = pn.Template(context.template)
    template.add_panel("link", SessionLink())
    variables = {
        "name": context.name,
        "body": context.body,
        "assets": context.assets,
        "config": json.dumps({"session": context.session}).replace("<", "\\u003c"),
        "modules": context.modules,
        "theme": context.theme if context.theme in THEMES else "",
        "navigation": context.navigation,
        "account": context.account,
    }
    for name, value in variables.items():
        template.add_variable(name, value)
    return template
