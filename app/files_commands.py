"""Requests for locates and for sell orders in batch files: carried out over the API as anybody's are, each row once.

The key of a row is made of its file and its line, or is the row's own `id`; so a loader that was killed asks everything again,
and gets the answers that were given. Rows keep their order. Every row is answered, in a file beside the report.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from app.api.posting import LOCATES, ORDERS
from app.export.cells import defused
from app.files_store import FileReport
from feeds.files_faults import Fault
from feeds.files_log import Part, records_of

_NEW: Final = "new"
_PATHS: Final = {"locates": (LOCATES.path, "locate"), "order_requests": (ORDERS.path, "order")}
"""By feed: where its commands are sent, and which of their fields says what they are about."""
_REFUSED: Final = 400
_COLUMNS: Final = ("line", "command", "status", "id", "state", "approved", "reason", "detail")


class Answer(Struct, frozen=True):
    """What became of a row. `status`: of HTTP; `detail`: why nothing came of it, where nothing did."""

    line: int
    command: str
    status: int
    id: str = ""
    state: str = ""
    approved: int | None = None
    reason: str = ""
    detail: str = ""


class Ask(Protocol):
    """Sends a body to a path of the API under a key: status and body of the final answer. Raises OSError: come again."""

    def __call__(self, path: str, body: bytes, key: str) -> tuple[int, bytes]: ...


class _Row(Struct, frozen=True):
    line: int
    command: str
    own: str
    """The row's own id; "" where it has none."""
    fields: dict[str, Any]


def carried_out(ask: Ask, report: FileReport, path: Path, seen: Callable[[int], None]) -> list[Answer]:
    """The answer to every row of a file's records at `path`; `seen`: how many there are so far. Raises OSError: come again."""
    answers: list[Answer] = []
    for row in _rows(path):
        answers.append(_sent(ask, report, row))
        seen(len(answers))
    return answers


def refused(answers: Sequence[Answer]) -> list[Fault]:
    """Rows of which nothing came, and why."""
    return [Fault(answer.line, answer.detail) for answer in answers if answer.status >= _REFUSED]


def table(answers: Sequence[Answer]) -> bytes:
    """The answers as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for answer in answers:
        cells = [getattr(answer, name) for name in _COLUMNS]
        writer.writerow([defused(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue().encode()


def _rows(path: Path) -> Iterator[_Row]:
    for records in records_of(Part(0, 0, path)):
        for line, value in zip(records.lines, records.values, strict=True):
            fields = msgspec.json.decode(value)
            yield _Row(line, fields.pop("command", _NEW), fields.pop("id", ""), fields)


def _sent(ask: Ask, report: FileReport, row: _Row) -> Answer:
    # not in lists: one that was refused, and is not when it is sent again, would do twice what its rows did alone meanwhile
    path, about = _PATHS[report.feed]
    key = row.own or f"file-{report.sha256[:16]}-{report.id}-{row.line}"
    fields = dict(row.fields)
    if row.command != _NEW:
        path = f"{path}/{quote(fields.pop(about), safe='')}/{row.command}"
    status, body = ask(path, msgspec.json.encode(fields), key)
    return _answer(row, status, msgspec.json.decode(body) if body else {}, about)


def _answer(row: _Row, status: int, told: dict[str, Any], about: str) -> Answer:
    if status >= _REFUSED:
        errors = "; ".join(
            f"{error.get('pointer', '').lstrip('/')}: {error['detail']}" for error in told.get("errors", ())
        )
        told_first = told.get("detail") or told.get("title", "no answer")
        detail = ": ".join(part for part in (told_first, errors) if part)
        return Answer(row.line, row.command, status, row.fields.get(about, ""), detail=detail)
    return Answer(
        row.line,
        row.command,
        status,
        told.get("id") or told.get("order", ""),
        told["state"],
        told.get("approved"),
        told.get("reason") or "",
    )
