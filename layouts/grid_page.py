"""A page of one table, live, and the drill-down of a security: Inventory (a row a security), Positions (a row a position)."""

import panel as pn

from layouts.components.live_grid import LiveGrid
from layouts.document import Document
from layouts.drilldown import DrillDown
from layouts.lookup import Lookup


def page(document: Document, gateway_port: int, ticket: str, lookup: Lookup | None) -> pn.Template:
    """One session's page. Call it inside the session.

    `lookup`: None where rows do not open, for the drill-down shows what is everybody's.
    """
    link = LiveGrid(theme=document.theme or "dark")
    detail = DrillDown(link, lookup).view if lookup else pn.Column()
    config = {"table": document.name, "gateway_port": gateway_port, "ticket": ticket, "opens": lookup is not None}
    return document.made({"link": link, "detail": detail}, config)
