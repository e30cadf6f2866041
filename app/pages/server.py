"""The page server: pages made by Panel, the assets, and the way through to the API."""

import importlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from tornado.httpclient import AsyncHTTPClient
from tornado.web import HTTPError, RedirectHandler

from app import tickets
from app.pages import assets
from app.pages.ended import FILE as ENDED
from app.pages.ended import EndedLogins
from app.pages.frame import OF_CLIENTS, PAGES, frame, page_template
from app.pages.login import HOME, Desk, LoginHandler, LogoutHandler, TicketHandler, TokenHandler
from app.pages.logins import Login, Logins
from app.pages.markets import Hours, MarketsHandler
from app.pages.proxy import ApiProxy
from app.pages.pulse import PulseHandler
from app.pages.security import WILDCARDS, headers_transform, websocket_origins
from app.pages.stream import PATH, StreamProxy
from app.settings import Settings
from app.users_store import FILE, Users
from engine.views import Reader
from feeds.topic_names import topics

if TYPE_CHECKING:
    from panel.io.server import Server
    from panel.template import Template

    from layouts.document import Document

log = structlog.get_logger()
API_CLIENTS = 256
SHARED = ("frame/", "grid/dom.js", "grid/formats.js", "grid/pages.js", "grid/status.js", "page/")
"""What pages of text and tables take from scripts that are not their own."""
SCRIPTED = {
    "/overview": "overview",
    "/locates": "locates",
    "/limits": "limits",
    "/breaks": "breaks",
    "/rules": "rules",
    "/history": "history",
    "/feeds": "health",
}
"""Address of each of them, and the name of its folder in the assets, `NAME_page`."""
BORROWED = {"overview": ("health_page/words.js", "locates_page/words.js"), "history": ("charts/",)}
"""Scripts that some pages take from others, and from what draws charts."""
GRIDS = {"/inventory": "inventory", "/positions": "positions"}
"""Address of each page of a table, and the table."""
GRID_STYLES = ("page/alerts.css", "frame/frame.css", "grid/grid.css", "grid/tools.css")
SCRIPTED_STYLES = ("frame/frame.css", "page/page.css", "page/alerts.css")
FORWARDED = r"/(?:api|health)/.*|/metrics"


def import_pages(settings: Settings) -> None:
    """Everything that `make` and its pages import: more than a second, of which a process that waits has enough."""
    _prepare_bokeh(settings.secret)
    for module in ("panel.io.server", "app.pages.door", "layouts.grid_page", "layouts.scripted"):
        importlib.import_module(module)


def make(settings: Settings) -> "Server":
    """A server that listens on the settings' port, not started. Imports Panel, which takes a second."""
    _prepare_bokeh(settings.secret)
    from panel.io.server import get_server  # noqa: PLC0415  after its settings, and only in this process

    from app.pages.door import Door, guard, visitor  # noqa: PLC0415  it imports Bokeh's world
    from layouts.lookup import Lookup  # noqa: PLC0415  the same

    guard()
    reader = Reader(f"{settings.instance}.tables")
    named = topics(settings.events_topic, settings.reference_topic)
    lookup = Lookup(Reader(f"{settings.instance}.tables"), settings.reporting_currency, named)
    desk = _desk(settings)

    def document(path: str, login: Login, name: str, part: str, **own: Any) -> "Document":
        from panel import state  # noqa: PLC0415  see above

        from layouts.document import Document  # noqa: PLC0415  see above

        around = frame(path, login)
        return Document(
            template=page_template(part),
            name=name,
            assets=assets.address(),
            asked_theme=_argument(state.session_args, "theme"),
            navigation=around.navigation,
            account=around.account,
            **own,
        )

    def grid(table: str, path: str) -> Callable[[], "Template"]:
        def made() -> "Template":
            from layouts.grid_page import page  # noqa: PLC0415  see above

            login = visitor()
            clients = login.identity.clients
            if clients is not None and path not in OF_CLIENTS:
                raise HTTPError(403)  # its rows are everybody's
            own = document(
                path,
                login,
                table,
                "grid",
                styles=GRID_STYLES,
                main="grid/main.js",
                modules=assets.modules("grid/", "frame/", "page/gateway.js", "page/rest.js"),
            )
            now_s = time.time()
            ticket = tickets.issue(settings.secret, now_s, clients, login.token_s(now_s))
            return page(own, settings.gateway_port, ticket, lookup if clients is None else None)

        return made

    def scripted(name: str, path: str) -> Callable[[], "Template"]:
        def made() -> "Template":
            from layouts.scripted import page  # noqa: PLC0415  see above

            login = visitor()
            own = document(
                path,
                login,
                name,
                name,
                styles=(*SCRIPTED_STYLES, f"{name}_page/{name}.css"),
                main=f"{name}_page/main.js",
                modules=assets.modules(f"{name}_page/", *SHARED, *BORROWED.get(name, ())),
            )
            return page(own, desk.session(login))

        return made

    pages: dict[str, Any] = {path: grid(table, path) for path, table in GRIDS.items()}
    pages |= {path: scripted(name, path) for path, name in SCRIPTED.items()}
    server = get_server(
        pages,
        title={path: f"IMS · {title}" for path, title in PAGES},
        port=settings.port,
        address=settings.host,
        websocket_origin=websocket_origins(settings.host, settings.port),
        extra_patterns=_routes(settings, desk, reader),
        auth_provider=Door(desk.logins),
        # a page's token is readable by its scripts: the cookie must not be in it
        exclude_cookies=[desk.logins.cookie],
        exclude_headers=["Cookie"],
        redirect_root=False,
        start=False,
        show=False,
    )
    tornado = server._tornado  # noqa: SLF001  Bokeh has no door for what follows
    tornado.add_transform(headers_transform(settings.gateway_port))
    tornado.settings["xsrf_cookie_name"] = f"ims-form-{settings.port}"
    tornado.settings["xsrf_cookie_kwargs"] = {"httponly": True, "samesite": "Strict"}
    return server


def _desk(settings: Settings) -> Desk:
    users = Users(settings.folder / FILE)
    names = websocket_origins(settings.host, settings.port)
    ended = EndedLogins(settings.folder / ENDED, time.time)
    logins = Logins(users, ended, settings.secret, settings.host, settings.port, names, time.time)
    return Desk(users, logins, settings.secret)


def _routes(settings: Settings, desk: Desk, reader: Reader) -> list[tuple[object, ...]]:
    client = AsyncHTTPClient(force_instance=True, max_clients=API_CLIENTS)
    api_host = "127.0.0.1" if settings.host in WILDCARDS else settings.host
    return [
        (r"/", RedirectHandler, {"url": HOME, "permanent": False}),
        (r"/login", LoginHandler, {"desk": desk}),
        (r"/logout", LogoutHandler, {"desk": desk}),
        (r"/token", TokenHandler, {"desk": desk}),
        (r"/ticket", TicketHandler, {"desk": desk, "gateway_port": settings.gateway_port}),
        (r"/pulse", PulseHandler, {"desk": desk, "reader": reader}),
        (r"/markets", MarketsHandler, {"desk": desk, "hours": Hours(settings.folder / "calendars", time.time)}),
        (rf"/assets/(?:{assets.digest()}/)?(.*)", assets.AssetsHandler, {"path": str(assets.FOLDER)}),
        (PATH, StreamProxy, {"base": f"ws://{api_host}:{settings.api_port}"}),
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
