"""WS /api/v1/stream: who may open it, and the session behind it."""

import asyncio
import socket
from typing import Any, Final

import structlog
from tornado.http1connection import HTTP1Connection
from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol13

from app.api import problems
from app.api.access import AccessError
from app.api.base import Context
from app.api.problems import ProblemError
from app.gateway.origins import host_of
from app.identity import Identity
from app.stream_messages import StreamError, read
from app.stream_session import CutOffError, Session
from app.streams import MOST_READERS, READERS

log = structlog.get_logger()
PROTOCOL: Final = "ims.v1"
_BEARER: Final = "bearer."
PING_S: Final = 20
SEND_BUFFER_BYTES: Final = 256 << 10
"""Kept small: what the kernel holds for a slow reader is old before it arrives."""
MAX_MESSAGE_BYTES: Final = 256 << 10
_POLICY: Final = 1008
_GOING_AWAY: Final = 1001


class Stream(WebSocketHandler):
    """A token in `Authorization`, or, for browsers, among the subprotocols: `ims.v1, bearer.TOKEN`."""

    def initialize(self, context: Context) -> None:
        """Called by tornado for every request."""
        self.context = context
        self._task: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        self.set_header("Server", "ims")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    @property
    def ping_interval(self) -> float | None:
        """Who does not answer one is gone."""
        return PING_S

    @property
    def max_message_size(self) -> int:
        return MAX_MESSAGE_BYTES

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """401 without a good token, 403 from a foreign page or without a role, 503 where there are too many readers."""
        if isinstance(self.request.connection, HTTP1Connection):
            self.context.waits.nothing(self.request.connection.stream)
        streams = self.context.streams
        if streams is None or streams.readers >= MOST_READERS:
            raise ProblemError(503, "unavailable", "too many readers", headers={"Retry-After": "5"})
        try:
            self.identity = self._identity()
        except AccessError as error:
            challenge = {"WWW-Authenticate": 'Bearer realm="ims"'}
            raise ProblemError(401, "unauthorized", str(error), headers=challenge) from error
        if not self.identity.may(READERS):
            raise ProblemError(403, "forbidden", "this takes a role")
        origin = self.request.headers.get("Origin")
        if origin is not None and not self.check_origin(origin):
            raise ProblemError(403, "forbidden", f"pages of {origin} may not read here")
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise ProblemError(426, "invalid", "this is a websocket", headers={"Upgrade": "websocket"})
        await super().get(*args, **kwargs)

    def check_origin(self, origin: str) -> bool:
        """Only pages of this very host, whatever their port, may open a socket with their reader's token."""
        return host_of(origin) is not None and host_of(origin) == host_of(f"//{self.request.host}")

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return PROTOCOL if PROTOCOL in subprotocols else None

    def open(self, *_args: str, **_kwargs: str) -> None:
        """Connected."""
        streams = self.context.streams
        assert streams is not None, "`get` has looked"
        self.set_nodelay(True)
        connection = self.ws_connection
        if isinstance(connection, WebSocketProtocol13) and connection.stream is not None:
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        streams.readers += 1
        self._session = Session(
            self._send, lambda asked: streams.follow(self.identity, asked), self._renew, lambda: streams.stale
        )
        self._task = asyncio.create_task(self._run())

    def on_message(self, message: str | bytes) -> None:
        """A bad message is answered with what is wrong with it, and changes nothing."""
        try:
            try:
                self._session.hear(read(message))
            except StreamError as error:
                self._session.hear(error)
        except CutOffError as error:
            self.close(error.code, error.reason)

    def on_close(self) -> None:
        """Disconnected."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            if self.context.streams is not None:
                self.context.streams.readers -= 1

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if not isinstance(error, ProblemError):
            kind = "method" if status_code == 405 else "internal" if status_code >= 500 else "invalid"  # noqa: PLR2004
            error = ProblemError(status_code, kind, headers={"Allow": "GET"} if kind == "method" else None)
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.set_status(error.status)
        self.set_header("Content-Type", problems.MEDIA_TYPE)
        self.finish(error.document(self.request.path))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if not isinstance(value, ProblemError):
            log.error("a reader of the stream failed", exc_info=(typ, value, tb))

    # parts

    def _identity(self) -> Identity:
        header = self.request.headers.get("Authorization", "")
        if not header:
            offered = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
            tokens = [each.strip()[len(_BEARER) :] for each in offered if each.strip().startswith(_BEARER)]
            header = f"Bearer {tokens[0]}" if tokens else ""
        return self.context.access.identity(header)

    def _renew(self) -> None:
        try:
            now = self._identity()
        except AccessError as error:
            raise CutOffError(_POLICY, "the token is good no more") from error
        if now != self.identity:
            raise CutOffError(_POLICY, "the token's holder may something else now: connect again")

    async def _run(self) -> None:
        try:
            await self._session.run()
        except CutOffError as error:
            log.info("a reader of the stream is cut off", user=self.identity.user, reason=error.reason)
            self.close(error.code, error.reason)
        except WebSocketClosedError:
            return  # `on_close` follows
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a reader of the stream failed")
            self.close(1011, "an error of the program; it has been logged")

    async def _send(self, message: bytes) -> None:
        await self.write_message(message.decode())


RESOURCES: Final[tuple[tuple[str, type[WebSocketHandler]], ...]] = ((r"/api/v1/stream", Stream),)
