"""The least HTTP/1.1 client that keeps a connection alive: what a bench spends here it does not measure."""

import asyncio
from secrets import token_hex
from typing import Self


class GoneError(ConnectionError):
    """The server closed the connection, perhaps before it answered."""


class Connection:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head

    @classmethod
    async def open(cls, host: str, port: int, token: str) -> Self:
        """Raises OSError while nobody listens."""
        reader, writer = await asyncio.open_connection(host, port, limit=16 << 20)
        head = (
            f" HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        )
        return cls(reader, writer, head)

    async def request(self, method: str, path: str, body: bytes = b"", key: str = "") -> tuple[int, bytes]:
        """Status and body of the answer; a POST without a key gets a new one. Raises `GoneError`."""
        named = f"Idempotency-Key: {key or token_hex(8)}\r\n" if method == "POST" else ""
        head = f"{method} {path}{self._head}{named}Content-Length: {len(body)}\r\n\r\n"
        try:
            self._writer.write(head.encode() + body)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            at = answer.lower().index(b"content-length:") + 15
            length = int(answer[at : answer.index(b"\r\n", at)])
            return int(answer[9:12]), await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise GoneError(str(error)) from error

    def close(self) -> None:
        self._writer.close()
