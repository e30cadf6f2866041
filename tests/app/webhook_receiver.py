"""A receiver of webhooks on a free port, which answers as it is told."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port


class Receiver:
    """What has come, in order; `answers`: the statuses of the next messages, 200 after them."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of all messages that were taken."""
        return [event for _, body in self.messages for event in msgspec.json.decode(body)["events"]]

    def sequences(self) -> list[int]:
        return [event["sequence"] for event in self.events]


def genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver checks it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(f"v1,{expected}", headers["Webhook-Signature"])


@asynccontextmanager
async def receiving(refused: Callable[[int], None] = lambda _status: None) -> AsyncIterator[Receiver]:
    """`refused` is called with the status of every message that is not taken."""
    socket, port = bind_unused_port()
    receiver = Receiver(port)

    class Hook(web.RequestHandler):
        def post(self) -> None:
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == 200:
                receiver.messages.append((dict(self.request.headers.get_all()), self.request.body))
            else:
                refused(status)
            if 300 <= status < 400:
                self.set_header("Location", f"{receiver.origin}/hook")
            self.set_status(status)

    server = HTTPServer(web.Application([("/hook", Hook)], log_function=lambda _handler: None))
    server.add_sockets([socket])
    try:
        yield receiver
    finally:
        server.stop()
        await server.close_all_connections()
