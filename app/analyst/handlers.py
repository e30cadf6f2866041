"""What every resource of the analyst has in common: the token, the limit of a body, and problem documents for what fails."""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from tornado.web import HTTPError, RequestHandler

from app.analyst.attachment import Attachment, NoEngineError
from app.analyst.jobs import BusyError, GoneError, Jobs
from app.identity import IdentityError, read_token
from app.settings import Settings

log = structlog.get_logger()
RETRY_AFTER_S: Final = 2
MEDIA_TYPE: Final = "application/problem+json"


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """Answer with a problem document (RFC 9457); `more` goes into it."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.more = more


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers work with."""

    settings: Settings
    jobs: Jobs
    """What may take seconds, one at a time."""
    reads: Jobs
    """What takes a fraction of one, beside these."""
    engine: Attachment


class Live(RequestHandler):
    """The process answers."""

    def get(self) -> None:
        self.finish({"state": "live"})


class Ready(RequestHandler):
    """There is an engine to read from: 200, or 503."""

    def initialize(self, context: Context) -> None:
        """Called by tornado for every request."""
        self._context = context

    def get(self) -> None:
        present = self._context.engine.present()
        self.set_status(200 if present else 503)
        self.finish({"state": "live" if present else "down", "jobs": self._context.jobs.asked})


class Guarded(RequestHandler):
    """Only for whoever knows the service's secret, or its API token."""

    context: Context

    def initialize(self, context: Context) -> None:
        """Called by tornado for every request."""
        self.context = context
        self.gone = False

    def set_default_headers(self) -> None:
        self.set_header("Server", "ims")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal(401, "send the header Authorization: Bearer TOKEN")
        settings = self.context.settings
        if hmac.compare_digest(token.strip().encode(), settings.api_token.encode()):
            return
        try:
            read_token(settings.secret, token.strip(), time.time())
        except IdentityError as error:
            raise Refusal(401, str(error)) from error

    def on_connection_close(self) -> None:
        self.gone = True

    async def answer(self, job: Callable[[], bytes], turns: Jobs | None = None) -> None:
        """What `job` makes in the thread of `turns` (that of the heavy jobs). Raises `Refusal`."""
        await self.answered((turns or self.context.jobs).run(job, lambda: not self.gone))

    async def answered(self, making: Awaitable[bytes]) -> None:
        """The JSON that is being made. Raises `Refusal`."""
        try:
            body = await making
        except BusyError as error:
            raise Refusal(429, str(error)) from error
        except NoEngineError as error:
            raise Refusal(503, str(error)) from error
        except GoneError:
            self.set_status(503)  # nobody reads it
            return
        self.set_header("Content-Type", "application/json")
        self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        more: dict[str, Any] = {}
        detail = ""
        if isinstance(error, Refusal):
            status_code, detail, more = error.status, str(error), error.more
        elif isinstance(error, HTTPError):
            detail = error.log_message or ""
        if status_code in (429, 503):
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        if status_code == 401:  # noqa: PLR2004
            self.set_header("WWW-Authenticate", 'Bearer realm="ims"')
        self.set_status(status_code)
        self.set_header("Content-Type", MEDIA_TYPE)
        title = "refused" if status_code < 500 else "not available"  # noqa: PLR2004
        self.finish(msgspec.json.encode({"title": title, "status": status_code, "detail": detail} | more))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, (Refusal, HTTPError)):
            log.error("a request failed", path=self.request.path, exc_info=(typ, value, tb))
