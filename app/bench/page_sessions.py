"""Sessions on the page server without a browser: what a browser asks of it, and in the same order."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any, Final, Self

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

_TOKEN: Final = re.compile(r'"token":"([^"]+)"')
_FRAGMENTS: Final = 3
"""Header, metadata and content: a message of Bokeh's protocol without buffers."""
_OPEN_S: Final = 60.0


@dataclass(slots=True)
class PageSession:
    """A page that somebody has open. `opened_ms`: from asking for it to its whole document."""

    connection: WebSocketClientConnection
    opened_ms: float

    @classmethod
    async def open(cls, address: str) -> Self:
        """Raises `ConnectionError` where the server ends it, and what tornado raises where it refuses."""
        began = time.perf_counter()
        client = AsyncHTTPClient(force_instance=True)
        try:
            page = (await client.fetch(address, request_timeout=_OPEN_S)).body.decode()
        finally:
            client.close()
        found = _TOKEN.search(page)
        if found is None:
            raise ConnectionError(f"{address} has no session")
        socket = address.partition("?")[0].replace("http", "ws", 1) + "/ws"
        connection = await websocket_connect(socket, subprotocols=["bokeh", found[1]], connect_timeout=_OPEN_S)
        session = cls(connection, 0.0)
        await session._message()  # its first word, that it is there
        await session._pull()
        session.opened_ms = (time.perf_counter() - began) * 1e3
        return session

    async def _pull(self) -> None:
        header = {"msgid": "1", "msgtype": "PULL-DOC-REQ"}
        for part in (header, {}, {}):
            await self.connection.write_message(json.dumps(part))
        while (await self._message())["msgtype"] != "PULL-DOC-REPLY":
            continue

    async def _message(self) -> dict[str, Any]:
        """The header of the next message, the rest of which is read too. Raises `ConnectionError`."""
        parts = [await self._part() for _ in range(_FRAGMENTS)]
        header: dict[str, Any] = json.loads(parts[0])
        for _ in range(2 * int(header.get("num_buffers", 0))):
            await self._part()
        return header

    async def _part(self) -> str | bytes:
        part = await self.connection.read_message()
        if part is None:
            raise ConnectionError("the page server closed the session")
        return part

    def close(self) -> None:
        """As a browser whose tab is closed."""
        self.connection.close()
