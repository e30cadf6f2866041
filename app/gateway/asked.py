"""What pages ask the gateway for, beside their grids: with a ticket, from pages of this very host."""

import time
from typing import Any, Final

import msgspec
from tornado.web import HTTPError, RequestHandler

from app import tickets
from app.gateway.origins import host_of
from app.gateway.pump import Pump

RETRY_AFTER_S: Final = 1
_encoder: Final = msgspec.json.Encoder()


class Refused(Exception):  # noqa: N818  an answer, not a fault
    """Answer with a problem document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Asked(RequestHandler):
    """A question with a ticket; `answer` is the resource's own."""

    def initialize(self, pump: Pump, secret: str, **shared: Any) -> None:
        """`shared`: what the resource works with."""
        self.pump = pump
        self.shared = shared
        self._secret = secret

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Vary", "Origin")

    async def get(self) -> None:
        """Answers 403 without a valid ticket, 400 with what is wrong, 503 while there is no engine to look at."""
        origin = self.request.headers.get("Origin")
        if origin is not None and host_of(origin) == host_of(f"//{self.request.host}"):
            self.set_header("Access-Control-Allow-Origin", origin)
        try:
            if not tickets.valid(self._secret, self.get_query_argument("ticket", ""), time.time()):
                raise Refused(403, "the ticket is missing, wrong or expired")
            body = _encoder.encode(await self.answer())
        except Refused as refused:
            self._refuse(refused.status, str(refused))
            return
        self.set_header("Content-Type", "application/json")
        self.finish(body)

    async def answer(self) -> Any:
        """The body. Raises `Refused`."""
        raise NotImplementedError

    def number(self, name: str, plain: int, most: int) -> int:
        """A parameter between 1 and `most`. Raises `Refused`."""
        text = self.get_query_argument(name, str(plain))
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))  # others int() may not take
        if not digits or not 1 <= int(text) <= most:
            raise Refused(400, f"{name}: must be between 1 and {most:,}, not {text!r}")
        return int(text)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        detail = error.log_message if isinstance(error, HTTPError) and error.log_message else self._reason
        self._refuse(status_code, detail)

    def _refuse(self, status: int, detail: str) -> None:
        if status == 503:  # noqa: PLR2004
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.set_status(status)
        self.set_header("Content-Type", "application/problem+json")
        self.finish(_encoder.encode({"title": "refused", "status": status, "detail": detail}))
