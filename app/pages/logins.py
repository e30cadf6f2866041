"""Who looks at the pages: a signed cookie after the right password, or `local` where there are no users."""

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import msgspec
from tornado.httputil import HTTPServerRequest
from tornado.web import create_signed_value, decode_signed_value

from app.identity import LOCAL, LOCAL_USER, Identity
from app.pages.ended import EndedLogins
from app.users_store import User, Users

VALID_S: Final = 12 * 3600
"""How long a login is good for: a trading day."""
TOKEN_S: Final = 600
"""How long a page's token for the API is good for; the page fetches the next one by itself."""
_DAY_S: Final = 86_400


class _Cookie(msgspec.Struct, frozen=True):
    """What the cookie says. `mark` is gone with the password that it was made with."""

    user: str
    session: str
    expires_s: int
    mark: str


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who may look. `open_mode`: in words why nobody had to say who he is, "" for a login by password."""

    identity: Identity
    session: str
    expires_s: float
    open_mode: str = ""

    def token_s(self, now_s: float) -> float:
        """How long a token made now may be good for: never longer than the login."""
        return max(1.0, min(TOKEN_S, self.expires_s - now_s))


class Logins:
    """Tells from a request who makes it. `names`: host names with ports under which this server may be asked in open mode."""

    def __init__(
        self,
        users: Users,
        ended: EndedLogins,
        secret: str,
        host: str,
        port: int,
        names: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        self._users, self._ended = users, ended
        self._key = hmac.new(secret.encode(), b"page login", hashlib.sha256).hexdigest()
        self._clock = clock
        self._names = frozenset(names)
        # cookies know no ports: two services of one machine must not sign each other's people out
        self.cookie = f"ims-login-{port}"
        at_home = _is_loopback(host)
        self._local = LOCAL if at_home else Identity(LOCAL_USER)
        self._why = (
            "There are no users yet: everybody on this machine is local, with every role"
            if at_home
            else "There are no users yet: everybody is local and may only look. Add people with ims users add"
        )

    def who(self, request: HTTPServerRequest) -> Login | None:
        """None: nobody we know. Raises `UsersError` where the users cannot be read."""
        if not self._users.exist():
            # a name of somebody else's that leads here (DNS rebinding) must not speak for this machine
            known = request.host.lower() in self._names
            return Login(self._local, "", self._clock() + VALID_S, self._why) if known else None
        sent = request.cookies.get(self.cookie)
        return None if sent is None else self.read(sent.value)

    def issue(self, name: str) -> str:
        """The cookie's value for somebody whose password was right. Raises KeyError for one who has just been removed."""
        user = self._find(name)
        if user is None:
            raise KeyError(name)
        said = _Cookie(name, secrets.token_urlsafe(12), int(self._clock()) + VALID_S, self._mark(user))
        return create_signed_value(self._key, self.cookie, msgspec.json.encode(said), clock=self._clock).decode()

    def read(self, value: str) -> Login | None:
        """Whose cookie it is, unless it is forged, too old, ended, or of one whose password is another by now."""
        text = decode_signed_value(self._key, self.cookie, value, max_age_days=VALID_S / _DAY_S, clock=self._clock)
        if text is None:
            return None
        try:
            said = msgspec.json.decode(text, type=_Cookie)
        except msgspec.DecodeError:
            return None
        user = self._find(said.user)
        if user is None or said.expires_s <= self._clock() or said.session in self._ended:
            return None
        if not hmac.compare_digest(said.mark, self._mark(user)):
            return None
        return Login(user.identity(), said.session, said.expires_s)

    def end(self, login: Login) -> None:
        """Sign out: the cookie is worth nothing from now on, wherever a copy of it is. Raises OSError."""
        self._ended.add(login.session, login.expires_s)

    def _find(self, name: str) -> User | None:
        return next((user for user in self._users.all() if user.name == name), None)

    def _mark(self, user: User) -> str:
        return hmac.new(self._key.encode(), msgspec.json.encode(user.password), hashlib.sha256).hexdigest()[:16]


class Attempts:
    """At most `limit` tries per key within `window_s`; forgets the oldest keys beyond `keys`."""

    def __init__(self, limit: int, window_s: float, clock: Callable[[], float], keys: int = 10_000) -> None:
        self._limit, self._window_s, self._clock, self._most = limit, window_s, clock, keys
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until the next try may be made; 0: now."""
        tries = self._recent(key)
        return 0.0 if len(tries) < self._limit else tries[0] + self._window_s - self._clock()

    def tried(self, key: str) -> None:
        """Counted before its outcome is known: many at once are many."""
        tries = self._recent(key)
        tries.append(self._clock())
        self._tries[key] = tries
        self._tries.move_to_end(key)
        while len(self._tries) > self._most:
            self._tries.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """The tries before a right one are forgiven."""
        self._tries.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        tries = self._tries.get(key, deque())
        while tries and tries[0] + self._window_s <= self._clock():
            tries.popleft()
        return tries


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
