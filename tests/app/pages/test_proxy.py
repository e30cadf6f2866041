"""The way through to the API says that the engine is away, whenever it goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from app.pages import proxy
from app.pages.proxy import ApiProxy

Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _dies_before_it_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _dies_while_it_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[")
    await writer.drain()
    writer.close()


async def _never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.fixture(params=[_dies_before_it_answers, _dies_while_it_answers, _never_answers])
async def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Of the proxy before an engine that goes its way."""
    monkeypatch.setattr(proxy, "ANSWER_S", 0.2)
    way: Way = request.param
    engine = await asyncio.start_server(way, "127.0.0.1")
    client = AsyncHTTPClient(force_instance=True)
    base = f"http://127.0.0.1:{engine.sockets[0].getsockname()[1]}"
    server = HTTPServer(Application([(r"/api/.*", ApiProxy, {"base": base, "client": client})]))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}/api/v1/locates"
    server.stop()
    client.close()
    engine.close()


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"{}")])
async def test_an_engine_that_goes_while_it_is_asked_is_a_502_that_says_so(
    address: str, method: str, body: bytes | None
) -> None:
    answer = await AsyncHTTPClient().fetch(address, method=method, body=body, raise_error=False)
    assert (answer.code, answer.headers["Content-Type"]) == (502, "application/problem+json")
    document = msgspec.json.decode(answer.body)
    assert (document["status"], bool(document["detail"]), answer.headers["Retry-After"]) == (502, True, "1")
