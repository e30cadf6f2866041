"""Bokeh's doors, watched: no page, no session and no message on its websocket without somebody we know.

Import it only after Bokeh's settings have been made: it imports Bokeh. Panel's `authorize_callback` looks at the first GET
only; here the websocket is asked at its handshake, at each message, and every few seconds while it is silent.
"""

from typing import Any, Final

import structlog
from bokeh.server.auth_provider import AuthProvider
from bokeh.server.urls import per_app_patterns
from panel import state
from panel.io.server import DocHandler, WSHandler
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler

from app.pages.login import HOME_OF_CLIENTS, OF_EVERYBODY
from app.pages.logins import Login, Logins
from app.users_store import UsersError

log = structlog.get_logger()
CHECK_MS: Final = 5_000
SIGNED_OUT: Final = 1008
"""The websocket's close code for a breach of policy."""


class Door(AuthProvider):
    """Tells Bokeh who makes a request, and leaves the login with the request for the page that it opens."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        super().__init__()

    @property
    def get_user(self) -> Any:  # Bokeh says that it hands over a request; it is the handler
        return self._name

    def _name(self, handler: RequestHandler) -> str | None:
        request: HTTPServerRequest = handler.request
        try:
            login = self._logins.who(request)
        except UsersError as error:
            log.error("users cannot be read", reason=str(error))  # noqa: TRY400  the reason says all
            login = None
        request.login = login  # type: ignore[attr-defined]
        return login.identity.user if login else None

    @property
    def login_url(self) -> str:
        return "/login"


def visitor() -> Login:
    """Whose page is being made. Raises 403 where a session is begun without anybody."""
    session: Any = state.curdoc.session_context if state.curdoc else None
    login = getattr(session.request, "login", None) if session else None
    if not isinstance(login, Login):
        raise HTTPError(403)
    return login


class WatchedPage(DocHandler):
    """A page of Bokeh's; who is kept to clients is led past the inventory, which is everybody's."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        known = self.get_current_user()  # type: ignore[no-untyped-call]
        login = getattr(self.request, "login", None)
        kept = known and isinstance(login, Login) and login.identity.clients is not None
        if kept and self.request.path.rstrip("/") == OF_EVERYBODY:
            self.redirect(HOME_OF_CLIENTS)
            return
        page = super().get(*args, **kwargs)
        if page is not None:  # who is not known has been led to the login
            await page


class WatchedSocket(WSHandler):
    """The websocket of a page's session, open for as long as its login is good."""

    _watch: PeriodicCallback | None = None

    def open(self, *args: Any, **kwargs: Any) -> None:
        super().open(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._watch = PeriodicCallback(self._look, CHECK_MS)
        self._watch.start()

    async def on_message(self, fragment: str | bytes) -> None:
        if self._still_known():
            await super().on_message(fragment)

    def on_close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        super().on_close()

    def _look(self) -> None:
        self._still_known()

    def _still_known(self) -> bool:
        known = self.get_current_user() is not None  # type: ignore[no-untyped-call]
        if not known:
            self.close(SIGNED_OUT, "signed out")
        return known


def guard() -> None:
    """Serve pages and their watched websockets, and none of Bokeh's other doors. Before the server is made."""
    per_app_patterns[:] = [(r"/ws", WatchedSocket), (r"/?", WatchedPage)]
