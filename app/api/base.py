"""What every resource of the API has in common: token, limits of the body, and problem documents for all that fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import structlog
from tornado import web
from tornado.http1connection import HTTP1Connection

from app.alerts_desk import AlertsDesk
from app.analyst.client import Past, Told
from app.api import problems
from app.api.access import Access
from app.api.admission import KEY, MAX_BODY_BYTES, Posted, admitted, check_media_type, key_of
from app.api.decisions import Decisions
from app.api.metrics import Metrics
from app.api.order_decisions import OrderDecisions
from app.api.problems import ProblemError
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
    documents: Mapping[str, tuple[str, bytes]]
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
    alerts: AlertsDesk | None = None
    """Alerts of people; None where nothing is watched."""
    past: Past | None = None
    """What was; None where nothing is archived."""
    reporting_currency: str = "USD"
    """What values of all securities can be added up in."""
    told: Told | None = None
    """Numbers over time and what happened; None where nothing is archived."""


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
        connection = self.request.connection
        self.stream = connection.stream if isinstance(connection, HTTP1Connection) else None
        """Here and not in `prepare`, which a request for an unknown method, or with a path of no text, never comes to."""

    def set_default_headers(self) -> None:
        self.set_header("Server", "ims")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        headers = self.request.headers
        if self.guarded:
            self._admit(headers.get("Authorization", ""))
        self.context.waits.body(self.stream)
        length = headers.get("Content-Length", "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
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

    def _admit(self, authorization: str) -> None:
        access, throttle = self.context.access, self.context.throttle
        wanted = self.roles.get(self.request.method or "")
        try:
            self.identity = admitted(access, throttle, authorization, wanted, for_clients=self.for_clients)
        except ProblemError as refusal:
            self.refusal = refusal

    def checked_body(self) -> bytes:
        """The body, if this request may be served. Raises `ProblemError`."""
        self.context.waits.nothing(self.stream)
        if self.refusal:
            raise self.refusal
        if self.body:
            check_media_type(self.request.headers.get("Content-Type", ""), self.media_types)
        return bytes(self.body)

    def posted(self) -> Posted:
        """The whole request, if it may be served. Raises `ProblemError`."""
        body = self.checked_body()
        return Posted(self.identity, body, self.request.headers.get(KEY))

    def key(self, posted: Posted) -> Key:
        """The request's Idempotency-Key, which is needed. Raises `ProblemError`."""
        scope = self.context.access.scope(posted.identity)
        return key_of(scope, posted.key, f"POST {self.request.path}", posted.body)

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
