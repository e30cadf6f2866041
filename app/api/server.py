"""Tornado's HTTP server with its timers taken out: one sweep a tick closes who is late.

A timer for each header and each body costs a third of what the server spends on a small request.
"""

import time
from collections.abc import Callable
from socket import socket
from typing import Any, Final, Protocol

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

IDLE_S: Final = 300.0
"""How long a connection may stay open without a request."""
BODY_S: Final = 30.0
"""How long a body may take."""


class Connection(Protocol):
    """What may be waited for."""

    def closed(self) -> bool: ...
    def close(self) -> None: ...


class Begun(IOStream):
    """A connection of which something has been read already."""

    def __init__(self, connection: socket, begun: bytes) -> None:
        self._begun = memoryview(begun)
        super().__init__(connection)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """First what was read before."""
        if not self._begun:
            return super().read_from_fd(buf)
        count = min(len(buf), len(self._begun))
        buf[:count], self._begun = self._begun[:count], self._begun[count:]
        return count


class Waits:
    """Until when each connection is waited for, in seconds of `time.monotonic`."""

    def __init__(self) -> None:
        self._until: dict[Connection, float] = {}

    def request(self, stream: Connection | None) -> None:
        """It may send its next request."""
        if stream is not None:
            self._until[stream] = time.monotonic() + IDLE_S

    def body(self, stream: Connection | None) -> None:
        """It has sent a header and must send the body."""
        if stream is not None:
            self._until[stream] = time.monotonic() + BODY_S

    def nothing(self, stream: Connection | None) -> None:
        """It waits for us."""
        if stream is not None:
            self._until.pop(stream, None)

    def sweep(self) -> None:
        """Close who is late, and forget who has gone."""
        now = time.monotonic()
        for stream in [stream for stream, until in self._until.items() if stream.closed() or until < now]:
            del self._until[stream]
            stream.close()


class Server(HTTPServer):
    """Tells `waits` of every connection; `max_body_size` in bytes."""

    greet: Callable[[socket, Any], None] | None = None
    """Who gets new connections first, if somebody does; see `app.api.front`."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        """Called by tornado with what the constructor was given."""
        self._waits: Waits = options.pop("waits")
        super().initialize(*arguments, **options)
        self.conn_params.header_timeout = None

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """A new connection, of which nothing has been read."""
        stream.set_nodelay(True)
        if self.greet is not None:
            self.greet(stream.socket, address)
        else:
            self._serve(stream, address)

    def take(self, connection: socket, address: Any, begun: bytes) -> None:
        """A connection that somebody else has begun to read."""
        self._serve(Begun(connection, begun), address)

    def _serve(self, stream: IOStream, address: Any) -> None:
        self._waits.request(stream)
        super().handle_stream(stream, address)
