"""Requests for locates and for sell orders in batch files: carried out over the API as anybody's are, each row once.

The key of a row is made of its file and its line, or is the row's own `id`; so a loader that was killed asks everything again,
and gets the answers that were given. Rows keep their order. Every row is answered, in a file beside the report.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
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

TOGETHER: Final = 200
"""New requests that are sent in one list: decided in a few hundredths of a second."""
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

    @property
    def together(self) -> bool:
        return self.command == _NEW and not self.own


def carried_out(ask: Ask, report: FileReport, path: Path, seen: Callable[[int], None]) -> list[Answer]:
    """The answer to every row of a file's records at `path`; `seen`: how many there are so far. Raises OSError: come again."""
    answers: list[Answer] = []
    for together, rows in groupby(_rows(path), lambda row: row.together):
        waiting = list(rows)
        size = TOGETHER if together else 1
        for at in range(0, len(waiting), size):
            answers += _sent(ask, report, waiting[at : at + size])
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


def _sent(ask: Ask, report: FileReport, rows: Sequence[_Row]) -> list[Answer]:
    """New requests go in one list; where that is refused, each of them alone, so that a bad one costs no other its answer."""
    path, about = _PATHS[report.feed]
    key = f"file-{report.sha256[:16]}-{report.id}-{rows[0].line}"
    if len(rows) > 1:
        status, body = ask(path, msgspec.json.encode([row.fields for row in rows]), f"{key}+{len(rows)}")
        if status >= _REFUSED:
            return [answer for row in rows for answer in _sent(ask, report, [row])]
        return [_answer(row, status, told, about) for row, told in zip(rows, msgspec.json.decode(body), strict=True)]
    row = rows[0]
    fields = dict(row.fields)
    if row.command != _NEW:
        path = f"{path}/{quote(fields.pop(about), safe='')}/{row.command}"
    status, body = ask(path, msgspec.json.encode(fields), row.own or key)
    return [_answer(row, status, msgspec.json.decode(body), about)]


def _answer(row: _Row, status: int, told: dict[str, Any], about: str) -> Answer:
    if status >= _REFUSED:
        errors = "; ".join(
            f"{error.get('pointer', '').lstrip('/')}: {error['detail']}" for error in told.get("errors", ())
        )
        detail = ": ".join(part for part in (told.get("detail") or told.get("title", ""), errors) if part)
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
