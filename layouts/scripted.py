"""A page that is text and tables: Overview, Locates, Limits, Breaks, Rules, History, Health.

It needs no Bokeh models. Its own scripts (assets/NAME_page) talk to the REST API with a token of the page's user: there, and
only there, is decided who may do what, and a refusal has one form for people and for programs.
"""

from typing import Any

import panel as pn

from layouts.components.session_link import SessionLink
from layouts.document import Document


def page(document: Document, session: dict[str, Any]) -> pn.Template:
    """One session's page. Call it inside the session.

    `session`: token for the API, how long it is good for, and whose it is.
    """
    return document.made({"link": SessionLink()}, {"session": session})
