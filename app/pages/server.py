"""The page server: pages made by Panel, the assets, and the way through to the API."""

import os
import time
from typing import TYPE_CHECKING

import structlog
from tornado.httpclient import AsyncHTTPClient
from tornado.web import RedirectHandler, RequestHandler

from app import tickets
from app.pages import assets
from app.pages.proxy import ApiProxy
from app.pages.security import WILDCARDS, headers_transform, websocket_origins
from app.settings import Settings
from engine.views import Reader

if TYPE_CHECKING:
    from panel.io.server import Server
    from panel.template import Template

log = structlog.get_logger()
API_CLIENTS = 256
FORWARDED = r"/(?:api|health)/.*|/metrics"


class TicketHandler(RequestHandler):
    """A fresh ticket for a page that has been open for longer than its own is good. Only this origin can read it."""

    def initialize(self, secret: str) -> None:
        """`secret`: what the gateway checks tickets with."""
        self.secret = secret

    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.write({"ticket": tickets.issue(self.secret, time.time())})


def make(settings: Settings) -> "Server":
    """A server that listens on the settings' port, not started. Imports Panel, which takes a second."""
    _prepare_bokeh(settings.secret)
    from panel.io.server import get_server  # noqa: PLC0415  after its settings, and only in this process

    from layouts.lookup import Lookup  # noqa: PLC0415  it imports Panel's world

    lookup = Lookup(Reader(f"{settings.instance}.tables"))

    def inventory() -> "Template":
        from panel import state  # noqa: PLC0415  see above

        from layouts.inventory import PageContext, page  # noqa: PLC0415  see above

        return page(
            PageContext(
                template=(assets.FOLDER / "pages" / "inventory.html").read_text(),
                assets=assets.address(),
                modules=assets.grid_modules(),
                gateway_port=settings.gateway_port,
                ticket=tickets.issue(settings.secret, time.time()),
                lookup=lookup,
                theme=_argument(state.session_args, "theme"),
            )
        )

    server = get_server(
        {"/inventory": inventory},
        title={"/inventory": "IMS · Inventory"},
        port=settings.port,
        address=settings.host,
        websocket_origin=websocket_origins(settings.host, settings.port),
        extra_patterns=_routes(settings),
        redirect_root=False,
        start=False,
        show=False,
    )
    server._tornado.add_transform(headers_transform(settings.gateway_port))  # noqa: SLF001  Bokeh has no door for it
    return server


def _routes(settings: Settings) -> list[tuple[object, ...]]:
    client = AsyncHTTPClient(force_instance=True, max_clients=API_CLIENTS)
    api_host = "127.0.0.1" if settings.host in WILDCARDS else settings.host
    return [
        (r"/", RedirectHandler, {"url": "/inventory", "permanent": False}),
        (r"/ticket", TicketHandler, {"secret": settings.secret}),
        (rf"/assets/(?:{assets.digest()}/)?(.*)", assets.AssetsHandler, {"path": str(assets.FOLDER)}),
        (FORWARDED, ApiProxy, {"base": f"http://{api_host}:{settings.api_port}", "client": client}),
    ]


def _prepare_bokeh(secret: str) -> None:
    """Bokeh reads these once, when it is imported: everything from this server, and sessions that only it can make."""
    os.environ["BOKEH_RESOURCES"] = "server"
    os.environ["BOKEH_SIGN_SESSIONS"] = "yes"
    os.environ["BOKEH_SECRET_KEY"] = secret


def _argument(arguments: dict[str, list[bytes]], name: str) -> str:
    values = arguments.get(name) or [b""]
    return values[0].decode(errors="replace")
