"""The resources of batch files: what came, how each fared, what their forms are, and taking a doubt on oneself."""

import asyncio
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import RequestHandler

from app import files_report
from app.api.base import Base
from app.api.parameters import Parameters, number
from app.api.problems import ProblemError
from app.api.requests import typed
from app.files_store import FileReport, FilesStore, FileState, Waiting
from app.identity import Role

HANDLERS: Final = frozenset({Role.OPS, Role.ADMIN})
"""Who may load a file in spite of its doubts."""
MAX_PAGE: Final = 1_000
_LAST: Final = 2**62
_JSON: Final = msgspec.json.Encoder()


class FileLine(Struct, frozen=True):
    """A file in a list; all of it is at /api/v1/files/{id}."""

    id: int
    feed: str
    name: str
    state: FileState
    why: str
    rows: int
    records: int
    applied: int
    faults: int
    remarks: int
    unknown: int
    set_aside: int
    taken_at: str
    loaded_at: str
    can_be_forced: bool


class FilePage(Struct, frozen=True):
    """Files, newest first; those that wait in the drop folder; `next_cursor` while there are older ones."""

    files: list[FileLine]
    waiting: list[Waiting]
    next_cursor: str | None = None


class ForceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Load it in spite of its doubts. `comment`: why, for the report."""

    comment: str


class FileColumn(Struct, frozen=True):
    """A column of the files of a feed. `type`: the row must have this in the column `type`; "" where there is one sort only."""

    type: str
    name: str
    needed: bool
    expected: str
    meaning: str = ""
    default: str = ""


class FileFormAnswer(Struct, frozen=True):
    """What the files of a feed look like. `folder`: where to put them, below the data folder."""

    feed: str
    title: str
    folder: str
    columns: list[FileColumn]
    text: str
    """The same for a person, in Markdown."""


TYPES: Final = (FileReport, FilePage, FileFormAnswer, ForceRequest)


class FilesBase(Base):
    """What is asked of the files' store, beside the loop that decides."""

    @property
    def store(self) -> FilesStore:
        """Raises `ProblemError` where there is none."""
        if self.context.files is None:
            raise ProblemError(503, "unavailable", "files are not loaded here")
        return self.context.files

    async def report(self, text: str) -> FileReport:
        """Raises a 404."""
        found = await asyncio.to_thread(self.store.report, int(text)) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004
        if found is None:
            raise ProblemError(404, "not-found", f"no file {text}")
        return found

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, SQLAlchemyError):
            problem = ProblemError(503, "unavailable", f"the disk does not do its part: {error}")
            kwargs["exc_info"] = (type(problem), problem, None)
            status_code = 503
        super().write_error(status_code, **kwargs)


class Files(FilesBase):
    """/api/v1/files."""

    async def get(self) -> None:
        """List, newest first; how far one is that is being checked or loaded is in its counts."""
        self.checked_body()
        parameters = Parameters(self, ("feed", "state", "limit", "cursor"))
        feed, state = parameters.read("feed", str), parameters.read("state", FileState)
        limit = parameters.read("limit", lambda text: number(text, 1, MAX_PAGE)) or 100
        before = parameters.read("cursor", lambda text: number(text, 1, _LAST))
        parameters.check()
        found = await asyncio.to_thread(self.store.reports, limit + 1, before, feed, state)
        waiting = await asyncio.to_thread(self.store.waiting)
        cursor = str(found[limit - 1].id) if len(found) > limit else None
        self.answer(_JSON.encode(FilePage([line(report) for report in found[:limit]], waiting, cursor)))


class File(FilesBase):
    """/api/v1/files/{id}."""

    async def get(self, text: str) -> None:
        """The whole report."""
        self.checked_body()
        self.answer(_JSON.encode(await self.report(text)))


class FileText(FilesBase):
    """/api/v1/files/{id}/text."""

    async def get(self, text: str) -> None:
        """The report for a person."""
        self.checked_body()
        report = await self.report(text)
        self.answer(files_report.text(report).encode(), media_type="text/plain; charset=utf-8")


class FileAnswers(FilesBase):
    """/api/v1/files/{id}/answers."""

    async def get(self, text: str) -> None:
        """What was answered to each row of a file of requests."""
        self.checked_body()
        report = await self.report(text)
        body = await asyncio.to_thread(self.store.answers, report)
        if body is None:
            told = f"no answers are kept of file {text}: it is {report.state.value}, of {report.feed}"
            raise ProblemError(404, "not-found", told)
        self.answer(body, media_type="text/csv; charset=utf-8")


class Force(FilesBase):
    """/api/v1/files/{id}/force."""

    roles: ClassVar = {"POST": HANDLERS}

    async def post(self, text: str) -> None:
        """Ask that it be loaded; 202, and the report says what came of it."""
        request = typed(self.checked_body(), ForceRequest)
        report = await self.report(text)
        if not (report.can_be_forced or report.state == FileState.DUPLICATE):
            raise ProblemError(
                409,
                "conflict",
                f"file {text} is {report.state.value}, for more than a doubt: mend it and drop it again",
            )
        if not request.comment.strip():
            raise ProblemError(422, "invalid", "the comment must say why")
        if not await asyncio.to_thread(self.store.force, report.id, self.identity.user, request.comment):
            raise ProblemError(409, "conflict", f"file {text} is {report.state.value}, or is being forced already")
        self.answer(_JSON.encode(line(report)), 202)


class FileForm(FilesBase):
    """/api/v1/files/forms/{feed}."""

    async def get(self, name: str) -> None:
        """The columns of a feed's files."""
        self.checked_body()
        found = await asyncio.to_thread(form_answer, name)
        if found is None:
            raise ProblemError(404, "not-found", f"no files of a feed {name}")
        self.answer(_JSON.encode(found))


def form_answer(name: str) -> FileFormAnswer | None:
    """What the files of a feed look like; None where there is no such feed, or it comes without files."""
    from feeds import files_forms  # noqa: PLC0415  the decoders of all feeds

    feed = next((feed for feed in files_forms.feeds() if feed.name == name), None)
    if feed is None:
        return None
    columns = [
        FileColumn(tag, each.name, each.required, each.expected, each.meaning, each.default)
        for tag, sort in files_forms.form(feed).sorts.items()
        for each in sort
    ]
    return FileFormAnswer(feed.name, feed.title, f"drop/{feed.name}", columns, files_forms.described(feed))


def line(report: FileReport) -> FileLine:
    """A report in a list."""
    return FileLine(
        report.id,
        report.feed,
        report.name,
        report.state,
        report.why,
        report.rows,
        report.records,
        report.applied,
        report.fault_count,
        report.remark_count,
        report.unknown,
        report.set_aside_count,
        report.taken_at,
        report.loaded_at,
        report.can_be_forced,
    )


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/files", Files),
    (r"/api/v1/files/forms/([^/]+)", FileForm),
    (r"/api/v1/files/([^/]+)", File),
    (r"/api/v1/files/([^/]+)/text", FileText),
    (r"/api/v1/files/([^/]+)/answers", FileAnswers),
    (r"/api/v1/files/([^/]+)/force", Force),
)
"""Path and handler, in the order in which they are tried."""
