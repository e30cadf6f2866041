"""Clients of a service that may be killed under them: they ask again until there is an answer, and keep it."""

import asyncio
import contextlib
from typing import Any

import msgspec

from app.bench.http_client import Connection, GoneError
from app.settings import Settings


class Hammer:
    """`answers`: what was said to every key that was used, by key: path, body, status, answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.answers: dict[str, tuple[str, bytes, int, bytes]] = {}
        self.stopping = False
        self.broken = 0

    async def connect(self) -> Connection:
        while True:
            try:
                return await Connection.open("127.0.0.1", self.settings.api_port, self.settings.api_token)
            except OSError:
                await asyncio.sleep(0.02)

    async def ask(
        self, connection: Connection, path: str, asked: Any, key: str = ""
    ) -> tuple[Connection, int, dict[str, Any]]:
        """Until there is an answer; the same again after a lost connection."""
        body = msgspec.json.encode(asked)
        while True:
            try:
                status, answer = await connection.request("POST", path, body, key)
            except GoneError:
                self.broken += 1
                connection = await self.connect()
                continue
            if status != 503:
                if key:
                    self.answers[key] = path, body, status, answer
                return connection, status, msgspec.json.decode(answer)
            await asyncio.sleep(0.02)

    async def get(self, path: str) -> Any:
        """Until there is an answer."""
        while True:
            connection = await self.connect()
            try:
                return await self.read(connection, path)
            except GoneError:
                continue
            finally:
                connection.close()

    async def read(self, connection: Connection, path: str) -> Any:
        """Raises `GoneError`; the connection stays open."""
        status, body = await connection.request("GET", path)
        assert status == 200, body
        return msgspec.json.decode(body)

    def said(self, what: str) -> list[dict[str, Any]]:
        """Everything that was answered to requests for locates, or orders."""
        return [
            msgspec.json.decode(answer) for path, _, _, answer in self.answers.values() if path == f"/api/v1/{what}"
        ]

    async def until_ready(self) -> None:
        while True:
            connection = await self.connect()
            with contextlib.suppress(GoneError):
                if (await connection.request("GET", "/health/ready"))[0] == 200:
                    connection.close()
                    return
            connection.close()
            await asyncio.sleep(0.02)

    async def every(self, what: str) -> list[dict[str, Any]]:
        """All locates, or all orders."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"/api/v1/{what}?limit=1000{cursor}")
            found += page[what]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def check_answers(self, keys: list[str]) -> None:
        """The same key again gets the same answer."""
        connection = await self.connect()
        for key in keys:
            path, body, status, answer = self.answers[key]
            assert await connection.request("POST", path, body, key) == (status, answer)
        connection.close()
