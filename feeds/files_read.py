"""CSV and Parquet as columns of text, a portion of rows at a time, with the line of each row."""

import codecs
import csv
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from feeds.files_cells import shown
from feeds.files_columns import NUMBER_COLUMN, SOURCE_COLUMN, FileForm
from feeds.files_faults import FileFaultError, Findings

if TYPE_CHECKING:
    import _csv

PORTION: Final = 8_192
"""Rows."""
SUFFIXES: Final = (".csv", ".txt", ".tsv", ".parquet")
_DELIMITERS: Final = (",", ";", "\t", "|")
_NEAR: Final = 0.5
"""How much alike a name must be to be meant: `quantity` means `qty`."""
_TRAILER: Final = "#TRAILER"
_COUNT: Final = re.compile(r"#TRAILER[,;\t|: ]+([0-9]{1,12})", re.IGNORECASE)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(slots=True)
class Frame:
    """What a file is outside of its rows."""

    format: str
    header: tuple[str, ...]
    encoding: str = ""
    delimiter: str = ","
    trailer: int | None = None
    """The number of rows that the file says it has; known once it has been read."""
    skipped: int = 0
    """Rows that are not in any portion, because their cells cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows as columns of text, in the order of the header; `lines`: where each row begins."""

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]


def is_parquet(path: Path) -> bool:
    """By its first bytes; the name may say anything."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read(path: Path, form: FileForm, findings: Findings) -> tuple[Frame, Iterator[Portion]]:
    """The frame, and the rows as they are asked for. Raises `FileFaultError`, now or while the rows are read."""
    return _read_parquet(path, form) if is_parquet(path) else _read_csv(path, form, findings)


def check_header(names: Sequence[str], form: FileForm, line: int) -> tuple[str, ...]:
    """The columns as the form spells them. Raises `FileFaultError`."""
    known = {name.lower(): name for name in form.names}
    found = [name.strip().lower() for name in names]
    for at, name in enumerate(found):
        if not name:
            raise FileFaultError(line, f"column {at + 1} of the header has no name")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, _NEAR)
            hint = f"; is it {near[0]}?" if near else "."
            raise FileFaultError(
                line, f"there is no such column in files of {form.feed}{hint} Known are {', '.join(form.names)}",
                shown(names[at].strip()),
            )  # fmt: skip
        if name in found[:at]:
            raise FileFaultError(line, "the column comes twice", known[name])
    spelled = tuple(known[name] for name in found)
    for name in form.required(spelled):
        if name not in spelled:
            raise FileFaultError(line, f"the column is missing; the file has {', '.join(spelled)}", name)
    if form.numbered and (SOURCE_COLUMN in spelled) != (NUMBER_COLUMN in spelled):
        missing = NUMBER_COLUMN if SOURCE_COLUMN in spelled else SOURCE_COLUMN
        raise FileFaultError(line, "a file has both src and seq, or neither: then numbers are made", missing)
    return spelled


def _read_csv(path: Path, form: FileForm, findings: Findings) -> tuple[Frame, Iterator[Portion]]:
    with path.open("rb") as file:
        first = file.read(4)
    if not first:
        raise FileFaultError(0, "it is empty")
    encoding = next((name for mark, name in _MARKS if first.startswith(mark)), "utf-8")
    if b"\0" in first and encoding == "utf-8":
        raise FileFaultError(1, "this is neither text nor Parquet")
    try:
        with path.open(encoding=encoding, newline="") as text:
            line = text.readline(1 << 16).rstrip("\r\n")
    except UnicodeError as error:
        raise _encoding_fault(path, encoding) from error
    delimiter, cells = _split(line, {name.lower() for name in form.names})
    if not delimiter:
        raise FileFaultError(
            1, f"this is not a header; columns of {form.feed} are {', '.join(form.names)}", "", shown(line)
        )
    header = check_header(_without_padding(cells), form, 1)
    frame = Frame("CSV", header, encoding, delimiter)
    return frame, _portions(path, frame, len(cells), findings)


def _split(line: str, known: set[str]) -> tuple[str, list[str]]:
    """What stands between the cells of a header, and its cells: whatever makes the most known names; "" where nothing does."""
    best: tuple[int, str, list[str]] = (0, "", [])
    for mark in _DELIMITERS:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
        count = len(known & {cell.lower() for cell in cells})
        if count > best[0]:
            best = (count, mark, cells)
    return best[1], best[2]


def _without_padding(cells: list[str]) -> list[str]:
    """A spreadsheet ends every line with the commas of its widest one."""
    while len(cells) > 1 and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _portions(path: Path, frame: Frame, padded: int, findings: Findings) -> Iterator[Portion]:
    """Raises `FileFaultError` for what makes reading on pointless."""
    width, delimiter = len(frame.header), frame.delimiter
    try:
        with path.open(encoding=frame.encoding, newline="") as text:
            text.readline()
            line = 2
            while some := list(islice(text, PORTION)):
                block = "".join(some)
                if '"' in block:  # a cell may go on over lines: from here on one row after the other
                    yield from _quoted(chain(some, text), line, frame, padded, findings)
                    return
                if columns := _plain(block, len(some), width, delimiter):
                    yield Portion(range(line, line + len(some)), columns)
                else:
                    rows = ((number, each.rstrip("\r\n").split(delimiter)) for number, each in enumerate(some, line))
                    if (portion := _chosen(rows, frame, padded, findings)) is not None:
                        yield portion
                line += len(some)
    except UnicodeError as error:
        raise _encoding_fault(path, frame.encoding) from error


def _plain(block: str, count: int, width: int, delimiter: str) -> list[list[str]] | None:
    """The columns of lines without quotation marks that are all rows; None where one is something else."""
    clean = block.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    if clean.startswith("#") or "\n#" in clean or "\n\n" in clean:
        return None
    lines = clean.split("\n")
    if len(lines) != count or {line.count(delimiter) for line in lines} != {width - 1}:
        return None
    cells = clean.replace("\n", delimiter).split(delimiter)
    columns = [cells[at::width] for at in range(width)]
    return columns if width > 1 or all(cells) else None


def _quoted(text: Iterable[str], line: int, frame: Frame, padded: int, findings: Findings) -> Iterator[Portion]:
    """Rows with cells in quotation marks, which may hold anything."""
    reader = csv.reader(text, delimiter=frame.delimiter, strict=True)
    numbered = _numbered(reader, line)
    while some := list(islice(numbered, PORTION)):
        if (portion := _chosen(some, frame, padded, findings)) is not None:
            yield portion


def _numbered(reader: "_csv.Reader", line: int) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line in which it begins."""
    last = 0
    try:
        for row in reader:
            yield line + last, row
            last = reader.line_num
    except csv.Error as error:
        told = {
            "end of data": "a quotation mark is opened and never closed",
            "expected after": "a quotation mark inside of a cell",
        }
        detail = next((words for sign, words in told.items() if sign in str(error)), str(error))
        raise FileFaultError(line + last, f"the row cannot be read: {detail}") from error


def _chosen(rows: Iterable[tuple[int, list[str]]], frame: Frame, padded: int, findings: Findings) -> Portion | None:
    """Those that are rows; the others are what `_other_row` says."""
    width = len(frame.header)
    kept: list[list[str]] = []
    lines: list[int] = []
    for line, row in rows:
        if len(row) == width and not row[0].startswith("#") and frame.trailer is None and any(row):
            kept.append(row)
            lines.append(line)
        else:
            _other_row(row, line, width, padded, frame, findings, kept, lines)
    return Portion(lines, list(zip(*kept, strict=True))) if kept else None


def _other_row(
    row: list[str],
    line: int,
    width: int,
    padded: int,
    frame: Frame,
    findings: Findings,
    rows: list[list[str]],
    lines: list[int],
) -> None:
    """Empty, the trailer, or wrong; or as wide as a padded header."""
    if not any(cell.strip() for cell in row):
        return
    if row[0].strip().upper().startswith(_TRAILER):
        found = _COUNT.fullmatch(",".join(_without_padding([cell.strip() for cell in row])))
        if found is None:
            raise FileFaultError(line, "the trailer is not #TRAILER,count", "", shown(frame.delimiter.join(row)))
        if frame.trailer is not None:
            raise FileFaultError(line, "there is a second trailer", "", shown(frame.delimiter.join(row)))
        frame.trailer = int(found[1])
    elif frame.trailer is not None:
        raise FileFaultError(line, "rows come after the trailer", "", shown(frame.delimiter.join(row)))
    elif len(row) == padded and not any(cell.strip() for cell in row[width:]):
        rows.append(row[:width])
        lines.append(line)
    elif len(row) == width:
        rows.append(row)
        lines.append(line)
    else:
        frame.skipped += 1
        told = f"the row has {len(row):,} cells, the header {width:,}"
        findings.fault(line, told, "", shown(frame.delimiter.join(row)))


def _encoding_fault(path: Path, encoding: str) -> FileFaultError:
    """The first line that is not text of this encoding, and the cell in it."""
    if encoding not in {"utf-8", "utf-8-sig"}:
        return FileFaultError(0, f"it begins as {encoding} and is not: save it as UTF-8")
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                around = raw[max(0, error.start - 20) : error.start + 20].decode("latin-1").strip()
                byte = raw[error.start]
                return FileFaultError(
                    number,
                    f"byte {error.start + 1} of the line, 0x{byte:02X}, is not UTF-8 (in Latin-1 it would be "
                    f"{chr(byte)!r}): save the file as UTF-8",
                    "",
                    shown(around),
                )
    return FileFaultError(0, "it is not UTF-8: save it as UTF-8")


def _read_parquet(path: Path, form: FileForm) -> tuple[Frame, Iterator[Portion]]:
    import pyarrow as pa  # noqa: PLC0415  not needed for CSV
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileFaultError(0, f"it cannot be read as Parquet: {error}") from error
    header = check_header(file.schema_arrow.names, form, 0)
    return Frame("Parquet", header), _batches(file, header)


def _batches(file: Any, header: Sequence[str]) -> Iterator[Portion]:
    import pyarrow as pa  # noqa: PLC0415

    first = 1
    try:
        for batch in file.iter_batches(batch_size=PORTION, use_threads=False):
            columns = [_column(column, name, first) for column, name in zip(batch.columns, header, strict=True)]
            yield Portion(range(first, first + batch.num_rows), columns)
            first += batch.num_rows
    except FileFaultError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileFaultError(first, f"the rows from here on cannot be read: {error}") from error


def _column(column: Any, name: str, first: int) -> list[str]:
    """Raises `FileFaultError` with the row of the first value that is no text, whatever it is."""
    try:
        return _as_text(column)
    except Exception as error:
        at = next((at for at in range(len(column)) if not _is_told(column.slice(at, 1))), 0)
        detail = f"a value of type {column.type} cannot be told as text: {type(error).__name__}"
        raise FileFaultError(first + at, detail, name) from error


def _is_told(column: Any) -> bool:
    try:
        _as_text(column)
    except Exception:  # noqa: BLE001  only whether
        return False
    return True


def _as_text(column: Any) -> list[str]:
    """A column as a CSV would have it; null is the empty cell."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    plain = (
        pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_boolean(kind) or pa.types.is_dictionary(kind)
    )
    if plain:
        column = column.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        plain, column = True, column.cast(pa.binary()).cast(pa.string())  # how some write text; raises where it is none
    if plain or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ["" if text is None else text for text in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            return [value.isoformat() if value is not None else "" for value in column.to_pylist()]
        return [
            str(ns) if ns is not None else ""
            for ns in column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).to_pylist()
        ]
    return ["" if value is None else _one(value) for value in column.to_pylist()]


def _one(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
