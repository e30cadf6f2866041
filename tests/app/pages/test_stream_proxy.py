"""The stream's websocket through the pages' port."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

from app.pages.stream import PATH, StreamProxy


class Engine(WebSocketHandler):
    """Says back what it hears, to those with a token; closes when it is told to."""

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002  tornado's signature
        return False  # it is the page server that knows its pages

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if "bearer.good" not in self.request.headers.get("Sec-WebSocket-Protocol", ""):
            self.set_status(401)
            self.finish("no token")
            return
        await super().get(*args, **kwargs)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "ims.v1" if "ims.v1" in subprotocols else None

    async def on_message(self, message: str | bytes) -> None:
        if message == "close":
            self.close(1008, "signed out")
        else:
            await self.write_message(message)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[str, HTTPServer]]:
    """The proxy's address, and the engine behind it."""
    (socket, port), (engine_socket, engine_port) = bind_unused_port(), bind_unused_port()
    engine = HTTPServer(Application([(PATH, Engine)]))
    engine.add_socket(engine_socket)
    proxy = HTTPServer(Application([(PATH, StreamProxy, {"base": f"ws://127.0.0.1:{engine_port}"})]))
    proxy.add_socket(socket)
    yield f"127.0.0.1:{port}", engine
    for server in (proxy, engine):
        server.stop()
        await server.close_all_connections()


async def connect(host: str, *, token: str = "good", origin: str | None = None) -> WebSocketClientConnection:
    headers = {"Origin": f"http://{origin or host}"}
    request = HTTPRequest(f"ws://{host}/api/v1/stream", headers=headers)
    return await websocket_connect(request, subprotocols=["ims.v1", f"bearer.{token}"])


async def test_messages_go_both_ways_and_the_end_says_why(ends: tuple[str, HTTPServer]) -> None:
    host, _ = ends
    socket = await connect(host)
    assert socket.selected_subprotocol == "ims.v1"
    await socket.write_message("hello")
    assert await socket.read_message() == "hello"
    await socket.write_message("close")
    assert await socket.read_message() is None
    assert (socket.close_code, socket.close_reason) == (1008, "signed out")


async def test_what_the_engine_refuses_is_refused_alike(ends: tuple[str, HTTPServer]) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await connect(ends[0], token="bad")
    assert refused.value.code == 401


async def test_pages_of_other_hosts_read_nothing(ends: tuple[str, HTTPServer]) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await connect(ends[0], origin="elsewhere.example")
    assert refused.value.code == 403


async def test_an_engine_that_is_away_is_told(ends: tuple[str, HTTPServer]) -> None:
    host, engine = ends
    engine.stop()
    await engine.close_all_connections()
    with pytest.raises(HTTPClientError) as refused:
        await connect(host)
    assert refused.value.code == 502
