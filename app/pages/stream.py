"""The stream's websocket through the pages' port, message by message: who reads slowly here is slow there."""

import asyncio
from typing import Final

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler, websocket_connect

PATH: Final = r"/api/v1/stream"
CONNECT_S: Final = 10.0
MAX_MESSAGE_BYTES: Final = 16 << 20
_CODES: Final = range(1000, 5000)
_RESERVED: Final = frozenset((1004, 1005, 1006, 1015))
"""Codes that a socket is never closed with: they say that nothing was said."""


class StreamProxy(WebSocketHandler):
    """A browser at one end, the engine's stream at the other. What the engine refuses is refused here alike."""

    def initialize(self, base: str) -> None:
        """`base`: scheme, host and port of the API's websockets."""
        self._base = base
        self._engine: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")

    async def get(self, *args: str, **kwargs: str) -> None:
        """The engine is asked first; then pages of other hosts are refused."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [each.strip() for each in offered.split(",") if each.strip()]
        headers = {name: text for name, text in self.request.headers.items() if name == "Authorization"}
        request = HTTPRequest(self._base + str(self.request.uri), headers=headers, connect_timeout=CONNECT_S)
        if "websocket" not in self.request.headers.get("Upgrade", "").lower():
            self.set_status(426)
            self.finish("this is a websocket")
            return
        try:
            self._engine = await websocket_connect(
                request, subprotocols=protocols or None, max_message_size=MAX_MESSAGE_BYTES
            )
        except HTTPClientError as error:
            self.set_status(error.code if error.code in range(400, 600) and error.code != 599 else 502)  # noqa: PLR2004
            self.finish(error.message)
            return
        except (OSError, TimeoutError, WebSocketClosedError):
            self.set_status(502)
            self.finish("the engine does not answer")
            return
        await super().get(*args, **kwargs)
        if self.ws_connection is None:
            self._engine.close()

    def check_origin(self, origin: str) -> bool:
        """Pages of this server only."""
        try:
            return super().check_origin(origin)
        except ValueError:  # no address at all
            return False

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """What the engine has chosen."""
        chosen = self._engine.selected_subprotocol if self._engine else None
        return chosen if chosen in subprotocols else None

    def open(self, *_args: str, **_kwargs: str) -> None:
        """Connected at both ends."""
        self.set_nodelay(True)
        self._reading = asyncio.create_task(self._read())

    async def on_message(self, message: str | bytes) -> None:
        """One at a time: tornado waits for the one before."""
        if self._engine is not None:
            try:
                await self._engine.write_message(message)
            except WebSocketClosedError:
                self.close(1011, "the engine is away")

    def on_close(self) -> None:
        """The engine is told that nobody reads any more."""
        if self._reading is not None:
            self._reading.cancel()
        if self._engine is not None:
            self._engine.close()

    async def _read(self) -> None:
        assert self._engine is not None
        try:
            while (message := await self._engine.read_message()) is not None:
                await self.write_message(message)
        except WebSocketClosedError:
            return  # `on_close` follows
        code = self._engine.close_code
        known = code in _CODES and code not in _RESERVED
        self.close(code if known else 1011, self._engine.close_reason if known else "the engine is away")
