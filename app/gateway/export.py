"""CSV of everything a query selects: one consistent moment, streamed as fast as the reader takes it."""

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from app import tickets
from app.gateway import csv_text, writer
from app.gateway.pump import Pump
from engine.views import Query, QueryError, TornReadError

MAX_EXPORTS: Final = 4
"""At a time; the next are asked to come again."""
RETRY_AFTER_S: Final = 2


class Exports:
    """The threads that make files, and how many are being made."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, "export")
        self.running = 0


class InventoryCsv(RequestHandler):
    """`GET /export/inventory.csv?ticket=&columns=&text=&markets=&temperatures=&changed_today=&sort=column:asc,...`."""

    def initialize(self, pump: Pump, secret: str, exports: Exports) -> None:
        self._pump = pump
        self._secret = secret
        self._exports = exports

    async def get(self) -> None:
        """Answers 403 without a valid ticket, 400 with the field that is wrong, 503 while there is nothing to copy."""
        if not tickets.valid(self._secret, self.get_query_argument("ticket", ""), time.time()):
            self._refuse(403, "the ticket is missing, wrong or expired")
            return
        try:
            query = self._query(self._pump.columns)
        except QueryError as error:
            self._refuse(400, str(error))
            return
        if self._exports.running >= MAX_EXPORTS:
            self._refuse(503, "too many exports at a time")
            return
        self._exports.running += 1
        try:
            await self._export(query)
        finally:
            self._exports.running -= 1

    async def _export(self, query: Query) -> None:
        attachment, now_ns = self._pump.attachment, writer.now_ns()
        if attachment is None or attachment.columns is None:
            self._refuse(503, "there is no engine to ask")
            return
        try:
            snapshot = await attachment.run(self._exports.executor, attachment.inventory.snapshot, query, now_ns)
        except QueryError as error:
            self._refuse(400, str(error))
            return
        except TornReadError as error:
            self._refuse(503, str(error))
            return
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{file_name(now_ns)}"')
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.write(csv_text.headings(query.columns))
        loop = asyncio.get_running_loop()
        try:
            for start in csv_text.starts(snapshot):
                self.write(await loop.run_in_executor(self._exports.executor, csv_text.chunk, snapshot, start))
                await self.flush()
        except StreamClosedError:
            return  # the reader has gone

    def _query(self, everything: Collection[str]) -> Query:
        argument = self.get_query_argument
        flag = argument("changed_today", "0")
        if flag not in ("0", "1", "false", "true"):
            raise QueryError("changed_today", f"must be 0 or 1, not {flag!r}")
        return Query(
            columns=csv_text.with_floor(_names(argument("columns", ",".join(everything)))),
            text=argument("text", "", strip=False),
            markets=_names(argument("markets", "")),
            temperatures=_names(argument("temperatures", "")),
            changed_today=flag in ("1", "true"),
            sort=tuple(_sort_key(part) for part in _names(argument("sort", ""))),
        )

    def _refuse(self, status: int, detail: str) -> None:
        if status == 503:  # noqa: PLR2004
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.set_status(status)
        self.set_header("Content-Type", "application/problem+json")
        problem: dict[str, Any] = {"title": "export refused", "status": status, "detail": detail}
        self.finish(msgspec.json.encode(problem))


def file_name(now_ns: int) -> str:
    """Says the moment that the file shows, UTC: inventory-20261122T131500.123Z.csv."""
    moment = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return f"inventory-{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z.csv"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _sort_key(part: str) -> tuple[str, str]:
    name, _, direction = part.partition(":")
    return name, direction or "asc"
