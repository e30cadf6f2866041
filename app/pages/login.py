"""The addresses /login, /logout, /token and /ticket: how a browser says who is there, and what it gets for it."""

import math
import time
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from app import tickets
from app.identity import issue_token
from app.pages import assets
from app.pages.frame import render
from app.pages.logins import Attempts, Login, Logins
from app.users_store import Users, UsersError

log = structlog.get_logger()
HOME: Final = "/overview"
OF_EVERYBODY: Final = "/inventory"
"""Not for who is kept to some clients; such a person is led to the other one."""
HOME_OF_CLIENTS: Final = "/locates"
WINDOW_S: Final = 300.0
PER_PERSON: Final = 5
"""Wrong passwords of one name from one address within the window."""
PER_ADDRESS: Final = 30


class Desk:
    """What the handlers share."""

    def __init__(self, users: Users, logins: Logins, secret: str) -> None:
        self.users = users
        self.logins = logins
        self.secret = secret
        self.per_person = Attempts(PER_PERSON, WINDOW_S, time.monotonic)
        self.per_address = Attempts(PER_ADDRESS, WINDOW_S, time.monotonic)

    def session(self, login: Login) -> dict[str, Any]:
        """What a page of this person works with: a token for the API and what the person may do."""
        now_s = time.time()
        valid_s = login.token_s(now_s)
        identity = login.identity
        return {
            "token": issue_token(self.secret, identity, valid_s, now_s),
            "valid_s": int(valid_s),
            "user": identity.user,
            "roles": sorted(role.value for role in identity.roles),
            "open": bool(login.open_mode),
        }


def same_origin(request: HTTPServerRequest) -> bool:
    """Whether a page of ours sent it. A program that is no browser says nothing of it, and carries no cookie by accident."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def safe_next(text: str) -> str:
    """Where to go after the login: an address of ours, or the first page."""
    parts = urlsplit(text)
    strange = parts.scheme or parts.netloc or not text.startswith("/") or text.startswith(("//", "/\\", "/log"))
    return HOME if strange or not text.isprintable() else text


class Guarded(RequestHandler):
    """Answers who has a login."""

    def initialize(self, desk: Desk, **_own: Any) -> None:
        """`desk`: shared by all."""
        self.desk = desk

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")

    def who(self) -> Login | None:
        return self.desk.logins.who(self.request)

    def who_or_refuse(self) -> Login:
        """Raises 401 for nobody, 503 where users cannot be read."""
        try:
            login = self.who()
        except UsersError as error:
            raise HTTPError(503, str(error)) from error
        if login is None:
            raise HTTPError(401)
        return login


class LoginHandler(Guarded):
    """/login."""

    def get(self) -> None:
        """The form; who is there already goes on."""
        wanted = safe_next(self.get_argument("next", HOME))
        try:
            login = self.who()
        except UsersError as error:
            self._unreadable(error, wanted)
            return
        if login:
            self.redirect(wanted)
        elif not self.desk.users.exist():
            self._form(403, "There are no users yet: open the page under this machine's own name", wanted)
        else:
            self._form(200, "", wanted)

    async def post(self) -> None:
        """Check the password; a right one brings the cookie and goes where it was wanted."""
        name, wanted = self.get_body_argument("user", "")[:64], safe_next(self.get_body_argument("next", HOME))
        try:
            if not same_origin(self.request):
                raise HTTPError(403)
            self.check_xsrf_cookie()
        except HTTPError:
            self._form(403, "The form was too old, or not ours: try again", wanted, name)
            return
        address = str(self.request.remote_ip)
        person = f"{address} {name}"
        wait_s = max(self.desk.per_person.wait_s(person), self.desk.per_address.wait_s(address))
        if wait_s > 0:
            self.set_header("Retry-After", str(math.ceil(wait_s)))
            self._form(429, f"Too many attempts: try again in {math.ceil(wait_s / 60)} min", wanted, name)
            return
        self.desk.per_person.tried(person)
        self.desk.per_address.tried(address)
        try:
            identity = await self.desk.users.login(name, self.get_body_argument("password", "", strip=False))
        except UsersError as error:
            self._unreadable(error, wanted)
            return
        if identity is None:
            log.warning("login refused", user=name, address=address)
            self._form(401, "User or password is wrong", wanted, name)
            return
        self.desk.per_person.succeeded(person)
        self.set_cookie(
            self.desk.logins.cookie,
            self.desk.logins.issue(identity.user),
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )
        log.info("login", user=identity.user, address=address)
        self.redirect(wanted, status=303)

    def _unreadable(self, error: UsersError, wanted: str) -> None:
        log.error("users cannot be read", reason=str(error))
        self._form(503, "The users cannot be read: the service's log says why", wanted)

    def _form(self, status: int, problem: str, wanted: str, user: str = "") -> None:
        self.set_status(status)
        self.write(
            render(
                "login.html",
                assets=assets.address(),
                problem=problem,
                user=user,
                next=wanted,
                xsrf=self.xsrf_token.decode(),
            )
        )


class LogoutHandler(Guarded):
    """/logout."""

    def post(self) -> None:
        """The cookie is worth nothing from now on; the open pages of this login notice within seconds."""
        if not same_origin(self.request):
            raise HTTPError(403)
        login = self.who()
        if login:
            self.desk.logins.end(login)
            log.info("logout", user=login.identity.user)
        self.clear_cookie(self.desk.logins.cookie)
        self.redirect("/login", status=303)


class TokenHandler(Guarded):
    """/token: the next token of a page that is open for longer. Only this origin can read it."""

    def get(self) -> None:
        if not same_origin(self.request):
            raise HTTPError(403)
        self.write(self.desk.session(self.who_or_refuse()))


class TicketHandler(Guarded):
    """/ticket: a fresh ticket for the gateway, and where that is: for the search, and for a grid that has been open for longer
    than its own is good."""

    def initialize(self, desk: Desk, **own: Any) -> None:
        super().initialize(desk)
        self._gateway_port: int = own["gateway_port"]

    def get(self) -> None:
        login, now_s = self.who_or_refuse(), time.time()
        clients = login.identity.clients
        ticket = tickets.issue(self.desk.secret, now_s, clients, login.token_s(now_s))
        self.write({"ticket": ticket, "gateway_port": self._gateway_port, "kept": clients is not None})
