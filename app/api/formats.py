"""Rows of a list as JSON, CSV or an Arrow stream, as the header Accept asks: the same rows and names in each.

In CSV and Arrow a struct within a row is columns of its own (`decision.rule`), a list or object is its JSON. CSV has
nothing where a value is null, and an apostrophe before text that a spreadsheet would take for a formula. The cursor of the
next page is in the header Next-Cursor there.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cache
from itertools import starmap
from typing import Any, Final, Protocol

import msgspec
import pyarrow as pa
from msgspec import Struct, inspect
from tornado.httputil import HTTPServerRequest

from app.api.problems import Fault, ProblemError

_JSON: Final = msgspec.json.Encoder()
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class Form(StrEnum):
    """What a list may be sent as: its media type. The first is what is sent where anything will do."""

    JSON = "application/json"
    CSV = "text/csv"
    ARROW = "application/vnd.apache.arrow.stream"


class Answering(Protocol):
    """A resource that sends whole answers."""

    request: HTTPServerRequest

    def set_header(self, name: str, value: str) -> None: ...

    def answer(self, body: bytes, status: int = 200, media_type: str = "application/json") -> None: ...


class Page(Protocol):
    """Some rows (the struct's first field), and where the next ones begin."""

    @property
    def next_cursor(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the fields that lead to it."""

    name: str
    path: tuple[str, ...]
    type: pa.DataType

    def of(self, row: Any) -> Any:
        """Its value: a number, a text, a time, or None."""
        for field in self.path:
            row = getattr(row, field)
            if row is None:
                return None
        if isinstance(row, Enum):
            return row.value
        if isinstance(row, (dict, list, tuple, Struct)):
            return _JSON.encode(row).decode()
        return row


def form_of(accept: str) -> Form:
    """The form that a header Accept ("" for none) likes best. Raises a 406."""
    wanted = {form: max(starmap(_liking(form), _ranges(accept)), default=(0, 0.0)) for form in Form}
    best = max(Form, key=lambda form: wanted[form][1])
    if wanted[best][1] <= 0:
        fault = Fault(f"Expected one of {', '.join(Form)}", header="Accept")
        raise ProblemError(406, "not-acceptable", "there is no such form", (fault,))
    return best


async def send(handler: Answering, kind: type[Struct], make: Callable[[], Page]) -> None:
    """Answer with a page of rows of a type; it is made and written beside the loop that decides."""
    form = form_of(handler.request.headers.get("Accept", ""))

    def written() -> tuple[Page, bytes]:
        page = make()
        return page, body_of(form, page, kind)

    page, body = await asyncio.to_thread(written)
    handler.set_header("Vary", "Accept")
    if form != Form.JSON and page.next_cursor is not None:
        handler.set_header("Next-Cursor", page.next_cursor)
    media_type = f"{form}; charset=utf-8; header=present" if form == Form.CSV else str(form)
    handler.answer(body, media_type=media_type)


def body_of(form: Form, page: Page, kind: type[Struct]) -> bytes:
    """A page in a form; `kind`: of its rows."""
    if form == Form.JSON:
        return _JSON.encode(page)
    rows: Sequence[Any] = getattr(page, type(page).__struct_fields__[0])  # type: ignore[attr-defined]
    columns = columns_of(kind)
    values = [[column.of(row) for row in rows] for column in columns]
    return (_csv if form == Form.CSV else _arrow)(columns, values)


@cache
def columns_of(kind: type[Struct]) -> tuple[Column, ...]:
    """The columns of a row's type, in the order of its fields."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return tuple(_columns(described, (), ()))


def _columns(described: inspect.StructType, names: tuple[str, ...], path: tuple[str, ...]) -> list[Column]:
    found: list[Column] = []
    for field in described.fields:
        of, called, at = _bare(field.type), (*names, field.encode_name), (*path, field.name)
        if isinstance(of, inspect.StructType):
            found += _columns(of, called, at)
        else:
            found.append(Column(".".join(called), at, _arrow_type(of)))
    return found


def _bare(of: inspect.Type) -> inspect.Type:
    """The type without its description, and without null."""
    while True:
        if isinstance(of, inspect.Metadata):
            of = of.type
        elif isinstance(of, inspect.UnionType):
            rest = [each for each in of.types if not isinstance(each, inspect.NoneType)]
            if len(rest) != 1:
                return of
            of = rest[0]
        else:
            return of


def _arrow_type(of: inspect.Type) -> pa.DataType:
    match of:
        case inspect.BoolType():
            return pa.bool_()
        case inspect.IntType():
            return pa.int64()
        case inspect.FloatType():
            return pa.float64()
        case inspect.DateTimeType():
            return pa.timestamp("us", "UTC")
        case inspect.DateType():
            return pa.date32()
        case _:
            return pa.string()


def _arrow(columns: Sequence[Column], values: Sequence[list[Any]]) -> bytes:
    arrays = [pa.array(each, column.type) for column, each in zip(columns, values, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema([(column.name, column.type) for column in columns]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _csv(columns: Sequence[Column], values: Sequence[list[Any]]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    cells = [[_cell(value) for value in each] for each in values]
    writer.writerows(zip(*cells, strict=True))
    return sink.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """As JSON would write it, and nothing that a spreadsheet would run."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    return _JSON.encode(value).decode().strip('"')


def _ranges(accept: str) -> list[tuple[str, float]]:
    """The media ranges of a header with how much each is liked; those that cannot be read are left out."""
    found = []
    for part in (accept or "*/*").split(","):
        media, *parameters = (text.strip().lower() for text in part.split(";"))
        named = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        try:
            liked = float(named.get("q", "1"))
        except ValueError:
            continue
        found.append((media, liked))
    return found


def _liking(form: Form) -> Callable[[str, float], tuple[int, float]]:
    """How exactly a range names the form, and how much it is liked then."""
    exactness = {"*/*": 1, f"{form.split('/')[0]}/*": 2, str(form): 3}
    return lambda media, liked: (exactness[media], liked) if media in exactness else (0, 0.0)
