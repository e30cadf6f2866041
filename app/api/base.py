"""What every resource of the API has in common: token, limits of the body, and problem documents for all that fails."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import structlog
from tornado import web
from tornado.http1connection import HTTP1Connection

from app.analyst.client import Past
from app.api import problems
from app.api.access import Access, AccessError
from app.api.decisions import Decisions
from app.api.metrics import Metrics
from app.api.order_decisions import OrderDecisions
from app.api.problems import Fault, ProblemError
from app.api.recording import Key
from app.api.securities import Securities
from app.api.server import Waits
from app.api.throttle import Throttle
from app.breaks.engine_side import EngineSide
from app.files_store import FilesStore
from app.health import HealthDesk
from app.identity import Identity, Role
from app.journal import JournalError
from app.journal_lists import JournalLists
from app.master_desk import MasterDesk
from app.rules_desk import RulesDesk
from app.stream_limits import Limits
from app.streams import Streams
from app.views_store import ViewStore
from app.webhooks import Webhooks

log = structlog.get_logger()
MAX_BODY_BYTES: Final = 1 << 20
_KEY: Final = "Idempotency-Key"
_MAX_KEY: Final = 128
DRAIN_BYTES: Final = 64 << 20
"""A body up to this size is read to its end and dropped, so that its sender gets to see the 413."""


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers work with."""

    access: Access
    decisions: Decisions
    orders: OrderDecisions
    lists: JournalLists
    limits: Limits
    securities: Securities
    rules: RulesDesk
    metrics: Metrics
    readiness: Callable[[], list[str]]
    """What keeps the service from being ready, in words."""
    documents: dict[str, tuple[str, bytes]]
    """Path -> media type and body of what is only shown."""
    waits: Waits
    """Who is being waited for."""
    throttle: Throttle
    """How often each token may ask."""
    health: HealthDesk | None = None
    """Feeds, what waits and what was set aside; None where nobody watches them."""
    files: FilesStore | None = None
    """Batch files and how they fared; None where none are loaded."""
    streams: Streams | None = None
    """What can be followed; None where nothing can."""
    webhooks: Webhooks | None = None
    """Who is told of decisions; None where nobody is."""
    master: MasterDesk | None = None
    """People at the security master; None where there is none."""
    breaks: EngineSide | None = None
    """What does not agree; None where nobody looks for it."""
    views: ViewStore | None = None
    """Views that people have saved; None where none are kept."""
    past: Past | None = None
    """What was; None where nothing is archived."""


class Base(web.RequestHandler):
    """Reads the body itself, up to the limit; a refusal is answered once the body has come."""

    _stream_request_body = True  # as tornado.web.stream_request_body sets it: `prepare` runs before the body comes
    guarded = True
    media_types: ClassVar[tuple[str, ...]] = ("application/json",)
    """What a body may be."""
    roles: ClassVar[Mapping[str, frozenset[Role]]] = {}
    """Per method, who may; whoever has a token, where nothing is said."""
    for_clients = False
    """Whether a token that shows some clients only may ask; the resource then shows nothing of the others."""
    context: Context
    identity: Identity
    """Who asks; of guarded resources only."""

    def initialize(self, context: Context) -> None:
        """Called by tornado for every request."""
        self.context = context
        self.body = bytearray()
        self.refusal: ProblemError | None = None

    def set_default_headers(self) -> None:
        self.set_header("Server", "ims")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        headers = self.request.headers
        if self.guarded:
            self.refusal = self._unauthorized(headers.get("Authorization", ""))
        self.stream = self.request.connection.stream if isinstance(self.request.connection, HTTP1Connection) else None
        self.context.waits.body(self.stream)
        length = headers.get("Content-Length", "0")
        size = int(length) if length.isdigit() else 0
        if size > MAX_BODY_BYTES:
            self._too_large()
            if size > DRAIN_BYTES or headers.get("Expect") == "100-continue":
                if isinstance(self.request.connection, HTTP1Connection):
                    self.request.connection.set_max_body_size(size)
                raise self.refusal or ProblemError(413, "too-large")

    def data_received(self, chunk: bytes) -> None:
        if len(self.body) + len(chunk) > MAX_BODY_BYTES:
            self._too_large()
        if self.refusal is None:
            self.body += chunk

    def _too_large(self) -> None:
        self.body.clear()
        self.refusal = self.refusal or ProblemError(413, "too-large", f"at most {MAX_BODY_BYTES:,} bytes")

    def _unauthorized(self, given: str) -> ProblemError | None:
        try:
            self.identity = self.context.access.identity(given)
        except AccessError as error:
            challenge = {"WWW-Authenticate": 'Bearer realm="ims"'}
            return ProblemError(401, "unauthorized", str(error), headers=challenge)
        if wait_s := self.context.throttle.wait_s(self.context.access.scope(self.identity)):
            return ProblemError(
                429, "too-many", "this token asks more often than it may", headers={"Retry-After": str(wait_s)}
            )
        if self.identity.clients is not None and not self.for_clients:
            return ProblemError(403, "forbidden", "this is not shown to a token for some clients only")
        roles = self.roles.get(self.request.method or "")
        if roles is None or self.identity.may(roles):
            return None
        return ProblemError(403, "forbidden", f"this takes the role {' or '.join(sorted(roles))}")

    def checked_body(self) -> bytes:
        """The body, if this request may be served. Raises `ProblemError`."""
        self.context.waits.nothing(self.stream)
        if self.refusal:
            raise self.refusal
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.body and kind not in self.media_types:
            expected = " or ".join(self.media_types)
            raise ProblemError(415, "media-type", f"expected {expected}, got {kind or 'no Content-Type'}")
        return bytes(self.body)

    def idempotency_key(self, body: bytes) -> Key:
        """The header's key with the fingerprint of what came with it.

        Raises a `ProblemError`: 400 where there is none, 422 for one that cannot be used.
        """
        text = self.request.headers.get(_KEY)
        if text is None:
            fault = Fault("Missing: a new key for every new request, the same when it is sent again", header=_KEY)
            raise ProblemError(400, "key-missing", "send an Idempotency-Key", (fault,))
        if not 0 < len(text) <= _MAX_KEY or not all("!" <= letter <= "~" for letter in text):
            fault = Fault(f"Expected 1 to {_MAX_KEY} visible ASCII characters", header=_KEY)
            raise ProblemError(422, "invalid", "the Idempotency-Key cannot be used", (fault,))
        asked = f"{self.request.method} {self.request.path}\n".encode()
        return Key(self.context.access.scope(self.identity), text, hashlib.sha256(asked + body).hexdigest())

    def answer(self, body: bytes, status: int = 200, media_type: str = "application/json") -> None:
        self.set_status(status)
        self.set_header("Content-Type", media_type)
        self.finish(body)

    def compute_etag(self) -> str | None:
        """None: nothing is stored, so nothing is compared; its hash would cost the loop a millisecond a megabyte."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if not isinstance(error, ProblemError):
            error = self._as_problem(status_code, error)
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.answer(error.document(self.request.path), error.status, problems.MEDIA_TYPE)

    def _as_problem(self, status: int, error: BaseException | None) -> ProblemError:
        if isinstance(error, JournalError):
            return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})
        if status == 405:  # noqa: PLR2004
            known = [name for name in ("GET", "POST") if name.lower() in vars(type(self))]
            return ProblemError(405, "method", headers={"Allow": ", ".join(known)})
        if status == 404:  # noqa: PLR2004
            return ProblemError(404, "not-found", f"there is nothing at {self.request.path}")
        return ProblemError(min(500, status), "internal" if status >= 500 else "invalid")  # noqa: PLR2004

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, (ProblemError, JournalError, web.HTTPError)):
            log.error("a request failed", path=self.request.path, exc_info=(typ, value, tb))

    def on_finish(self) -> None:
        self.context.waits.request(self.stream)
        self.context.metrics.answered(self.get_status())
