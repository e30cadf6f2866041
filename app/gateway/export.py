"""Files of everything a query selects: one moment, made beside the gateway and streamed as the reader takes it."""

import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from app import tickets
from app.export.job import MEDIA_TYPES, Begun, Form, Job, Refused, Told
from app.gateway import writer
from app.gateway.exporters import MAX_EXPORTS, Exporters, MakerDiedError, Progress
from app.gateway.messages import Filter
from app.gateway.origins import host_of
from app.gateway.pump import Pump
from engine.views import POSITIONS, TABLES, Query, QueryError

RETRY_AFTER_S: Final = 2
_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_EXPOSED: Final = "Content-Disposition, X-Rows, X-As-Of, X-Export-Id"


class Files(RequestHandler):
    """What both handlers share: who asks, and what a page of this host may read of the answer."""

    def initialize(self, pump: Pump, secret: str, exporters: Exporters) -> None:
        self._pump = pump
        self._secret = secret
        self._exporters = exporters

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        origin = self.request.headers.get("Origin")
        if origin is not None and host_of(origin) == host_of(f"//{self.request.host}"):
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Expose-Headers", _EXPOSED)
            self.set_header("Vary", "Origin")

    def ticket(self) -> tickets.Ticket | None:
        """Whose things may be seen; answers 403 without a valid ticket."""
        ticket = tickets.read(self._secret, self.get_query_argument("ticket", ""), writer.now_ns() / 1e9)
        if ticket is None:
            self.refuse(403, "the ticket is missing, wrong or expired")
        return ticket

    def refuse(self, status: int, detail: str) -> None:
        """A problem document."""
        if status == 503:  # noqa: PLR2004
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.set_status(status)
        self.set_header("Content-Type", "application/problem+json")
        problem: dict[str, Any] = {"title": "export refused", "status": status, "detail": detail}
        self.finish(msgspec.json.encode(problem))


class ExportFile(Files):
    """`GET /export/TABLE.FORM?ticket=&columns=&filter=&sort=column:asc,...&groups=&pivot=&leaves=&id=`."""

    async def get(self, table: str, form: str) -> None:
        """Answers 403 without a valid ticket, 400 with the field that is wrong, 503 while there is nothing to copy."""
        if (ticket := self.ticket()) is None:
            return
        try:
            job = self._job(table, Form(form), ticket.clients)
            self._check(
                msgspec.structs.replace(job, columns=job.columns or tuple(self._pump.columns(table)) or ("",)).query()
            )
        except QueryError as error:
            self.refuse(403 if ticket.clients is not None and table != POSITIONS else 400, str(error))
            return
        if self._exporters.under_way >= MAX_EXPORTS:
            self.refuse(503, "too many exports at a time")
            return
        if self._pump.attachment is None or not self._pump.columns(table):
            self.refuse(503, "there is no engine to ask")
            return
        try:
            progress = self._exporters.begin(self._id(), ticket.clients)
        except KeyError:
            self.refuse(400, "id: there is an export of this name")
            return
        except QueryError as error:
            self.refuse(400, str(error))
            return
        self._exporters.under_way += 1
        try:
            await self._send(job, progress)
        finally:
            self._exporters.under_way -= 1

    async def _send(self, job: Job, progress: Progress) -> None:
        """Nothing is answered before the first word of the file: until then it may turn out that there is none."""
        making = self._exporters.make(job, progress)
        try:
            await self._stream(job, progress, making)
        except StreamClosedError:
            return  # the reader has gone
        except MakerDiedError as error:
            if not self._headers_written:
                self.refuse(503, str(error))
            elif self.request.connection is not None:
                self.detach().close()  # a file that is not whole must not look so
        finally:
            await making.aclose()

    async def _stream(self, job: Job, progress: Progress, making: AsyncGenerator[tuple[Told, bytes], None]) -> None:
        async for told, data in making:
            match told:
                case Refused():
                    self.refuse(told.status, told.detail)
                    return
                case Begun():
                    self._describe(job, progress, told)
            if data:
                self.write(data)
                await self.flush()

    def _describe(self, job: Job, progress: Progress, begun: Begun) -> None:
        self.set_header("Content-Type", MEDIA_TYPES[job.form])
        name = file_name(job.table, job.form, job.now_ns)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("X-Rows", str(begun.rows))
        self.set_header("X-Export-Id", progress.id)
        if begun.as_of_ns:
            self.set_header(
                "X-As-Of", datetime.fromtimestamp(begun.as_of_ns / 1e9, UTC).isoformat(timespec="milliseconds")
            )

    def _job(self, table: str, form: Form, clients: frozenset[str] | None) -> Job:
        argument = self.get_query_argument
        if table not in TABLES:
            raise QueryError("table", f"unknown {table!r}; known: {', '.join(TABLES)}")
        if clients is not None and table != POSITIONS:
            raise QueryError("table", f"{table} is not for who is kept to clients")
        leaves = _flag("leaves", argument("leaves", "0"))
        return Job(
            tables=self._pump.tables_name,
            form=form,
            table=table,
            columns=_names(argument("columns", "")),
            filter=self._filter(),
            sort=tuple(_sort_key(part) for part in _names(argument("sort", ""))),
            groups=_names(argument("groups", "")),
            pivot=argument("pivot", ""),
            leaves=leaves,
            clients=clients,
            now_ns=writer.now_ns(),
        )

    def _filter(self) -> Filter:
        argument = self.get_query_argument
        if whole := argument("filter", ""):
            try:
                return msgspec.json.decode(whole, type=Filter)
            except msgspec.DecodeError as error:
                raise QueryError("filter", str(error)) from None
        return Filter(
            text=argument("text", "", strip=False),
            markets=_names(argument("markets", "")),
            temperatures=_names(argument("temperatures", "")),
            changed_today=_flag("changed_today", argument("changed_today", "0")),
        )

    def _check(self, query: Query) -> None:
        """Raises `QueryError` for what there is not, as far as it is known which columns there are."""
        attachment = self._pump.attachment
        if attachment is not None and attachment.columns is not None:
            query.check(attachment.tables.markets, attachment.columns_of(query.table))

    def _id(self) -> str:
        wanted = self.get_query_argument("id", "")
        if wanted and not _ID.fullmatch(wanted):
            raise QueryError("id", "8 to 64 letters, digits and dashes")
        return wanted


class ExportProgress(Files):
    """`GET /export/progress?ticket=&id=`: how far a file is."""

    def get(self) -> None:
        """Answers 404 for an export that nobody asked for, or that was asked for with a ticket of another sort."""
        if (ticket := self.ticket()) is None:
            return
        progress = self._exporters.progress.get(self.get_query_argument("id", ""))
        if progress is None or progress.clients != ticket.clients:
            self.refuse(404, "there is no such export")
            return
        as_of = datetime.fromtimestamp(progress.as_of_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        self.finish(
            {
                "id": progress.id,
                "state": progress.state,
                "rows": progress.rows,
                "written": progress.written,
                "as_of": as_of if progress.as_of_ns else None,
                "detail": progress.detail,
            }
        )


def file_name(table: str, form: Form, now_ns: int) -> str:
    """Says the moment that the file shows, UTC: inventory-20261122T131500.123Z.csv."""
    moment = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return f"{table}-{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z.{form}"


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1", "false", "true"):
        raise QueryError(name, f"must be 0 or 1, not {text!r}")
    return text in ("1", "true")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _sort_key(part: str) -> tuple[str, str]:
    name, _, direction = part.partition(":")
    return name, direction or "asc"
