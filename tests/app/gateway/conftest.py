"""A gateway over tables that the test writes itself, and a browser made of a websocket and a decoder."""

import asyncio
import itertools
import json
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from app import tickets
from app.bench.synthetic import synthetic_tables
from app.gateway.server import Gateway, serving
from app.settings import Settings
from engine.tables import Tables, Word
from engine.views import POSITION_COLUMNS

COLUMNS = {"name": "text", "market": "text", "price": "number", "remaining": "number", "id": "number"}
VIEW: dict[str, Any] = {"t": "view", "v": 1, "table": "inventory", "columns": list(COLUMNS), "first": 0, "count": 10}
HEADER = struct.Struct("<BBHIIIddII")


@dataclass
class Frame:
    """A decoded frame: the header by name, and either columns by number or changed cells."""

    kind: int
    v: int
    first: int
    count: int
    total: int
    as_of_ms: float
    sent_ms: float
    membership: int
    n: int
    ids: list[int] = field(default_factory=list)
    columns: list[list[Any]] = field(default_factory=list)
    changed: dict[tuple[int, int], float] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    level: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def padded(size: int) -> int:
    return -(-size // 8) * 8


def decode(data: bytes, kinds: list[str]) -> Frame:
    """The client's side of app/gateway/frames.py, as a browser would do it."""
    kind, zero, *rest = HEADER.unpack_from(data)
    assert zero == 0
    frame, at = Frame(kind, *rest), HEADER.size
    if kind == 2:
        values = np.frombuffer(data, "<f8", frame.n, at)
        at += 8 * frame.n
        rows = np.frombuffer(data, "<u2", frame.n, at)
        cells = np.frombuffer(data, "u1", frame.n, at + padded(2 * frame.n))
        assert len(data) == at + padded(2 * frame.n) + frame.n
        frame.changed = {(int(r), int(c)): float(v) for r, c, v in zip(rows, cells, values, strict=True)}
        return frame
    if kind == 4:
        frame.columns = [[value] for value in np.frombuffer(data, "<f8", frame.n, at).tolist()]
        assert len(data) == at + 8 * frame.n
        return frame

    def taken(dtype: str) -> list[Any]:
        nonlocal at
        part = np.frombuffer(data, dtype, frame.count, at)
        at += padded(part.nbytes)
        return list(part.tolist())

    def texts() -> list[str]:
        nonlocal at
        offsets = np.frombuffer(data, "<u4", frame.count + 1, at).tolist()
        at += padded(4 * (frame.count + 1))
        found = [data[at + a : at + b].decode() for a, b in itertools.pairwise(offsets)]
        at += padded(offsets[-1])
        return found

    frame.ids = taken("<i4")
    if kind == 3:
        frame.rows, frame.level, frame.state, frame.labels = taken("<u4"), taken("u1"), taken("u1"), texts()
    frame.columns = [taken("<f8") if column == "number" else texts() for column in kinds]
    assert len(data) == at
    return frame


class Browser:
    """One grid: a socket and what it was told."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.kinds = list(COLUMNS.values())
        self.shape: list[str] = []

    async def say(self, message: dict[str, Any] | str | bytes) -> None:
        text = json.dumps(message) if isinstance(message, dict) else message
        await self.connection.write_message(text, binary=isinstance(text, bytes))

    async def look(self, **changes: Any) -> None:
        message = VIEW | changes
        texts = {column.name for column in POSITION_COLUMNS if column.is_text}
        kinds = COLUMNS if message["table"] == "inventory" else dict.fromkeys(texts, "text")
        self.kinds = [kinds.get(name, "number") for name in message["columns"]]
        await self.say(message)

    async def hear(self) -> dict[str, Any] | Frame:
        message = await self.connection.read_message()
        if message is None:
            raise ConnectionError("the gateway closed the socket")
        if not isinstance(message, str):
            return decode(message, self.kinds)
        told: dict[str, Any] = json.loads(message)
        if told["t"] == "shape":
            self.shape = [column["id"] for column in told["columns"]]
            self.kinds = [column["kind"] for column in told["columns"]]
        return told

    async def text(self, kind: str) -> dict[str, Any]:
        """The next text message of a kind."""
        while True:
            heard = await self.hear()
            if isinstance(heard, dict) and heard["t"] == kind:
                return heard

    async def frame(self, kind: int | None = None, where: Callable[[Frame], bool] = lambda _: True) -> Frame:
        """The next frame, of a kind if given, that is as `where` says."""
        while True:
            heard = await self.hear()
            if isinstance(heard, Frame) and kind in (None, heard.kind) and where(heard):
                return heard


Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits, with the event loop running, until a condition holds."""

    async def wait(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  the condition is somebody else's variable
            await asyncio.sleep(0)

    return wait


Open = Callable[..., Awaitable[Browser]]


@pytest.fixture
def gateway_settings(instance: str, tmp_path: Path) -> Settings:
    return Settings(instance=instance, data=str(tmp_path), frame_ms=20)


@pytest.fixture
def tables(instance: str) -> Iterator[Tables]:
    """200 securities whose `remaining` is their id times ten."""
    owned = synthetic_tables(f"{instance}.tables", 200)
    with owned.writing():
        owned.array["values"][1:, owned.catalogue.calculation("remaining")] = 10 * np.arange(1, 201)[:, None]
    yield owned
    if owned.array:
        owned.close()


@pytest.fixture
async def gateway(gateway_settings: Settings) -> AsyncIterator[Gateway]:
    async with serving(gateway_settings, port=0) as running:
        yield running


@pytest.fixture
def ticket(gateway_settings: Settings) -> str:
    return tickets.issue(gateway_settings.secret, time.time())


@pytest.fixture
async def browse(gateway: Gateway, ticket: str) -> AsyncIterator[Open]:
    """Opens a browser's socket; all are closed at the end."""
    opened: list[Browser] = []

    async def connect(origin: str | None = "http://127.0.0.1:5006", with_ticket: str = ticket) -> Browser:
        url = f"http://127.0.0.1:{gateway.port}/ws/grid?ticket={with_ticket}".replace("http", "ws", 1)
        request = HTTPRequest(url, headers={"Origin": origin} if origin else {})
        opened.append(Browser(await websocket_connect(request)))
        return opened[-1]

    yield connect
    for browser in opened:
        browser.connection.close()


@pytest.fixture
def put() -> Callable[..., None]:
    """Writes one security's `remaining` as the engine would: under the epoch, with the event's time."""

    def write(tables: Tables, security: int, remaining: int, time_ns: int | None = None) -> None:
        with tables.writing():
            tables.array["values"][security, tables.catalogue.calculation("remaining")] = remaining
            tables.state[Word.LAST_EVENT_NS] = tables.array["updated_ns"][security] = time_ns or time.time_ns()

    return write
