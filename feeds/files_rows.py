"""Rows of a batch file -> records as they are on the wire, and what identifies the content of the file.

The content of a file is its records without what the loader makes: so it is the same whatever its line ends, its byte order
mark, the order of nothing but columns, or CSV and Parquet.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import msgspec
import numpy as np
import structlog

from feeds.files_cells import LONGEST_NUMBER, READERS, CellError, shown
from feeds.files_columns import MADE, NUMBER_COLUMN, SOURCE_COLUMN, TIME_COLUMN, Column, FileForm
from feeds.files_faults import Findings
from feeds.files_read import Portion

log = structlog.get_logger()
_REMEMBERED: Final = 100_000
"""Different cells of a column that are not read anew."""
_BOOK: Final = "book"
_NUMBERS: Final = frozenset({"whole number", "time"})
_UNFIT: Final = "\0"
"""What the memory has for a cell that cannot be used; no JSON contains it."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the loader gives rows that have no number or no time of their own."""

    source: str
    first_seq: int
    time_ns: int


class _Cells:
    """Cell -> `,"name":json`; remembers, because most cells of a column come again."""

    def __init__(self, column: Column, delimiter: str) -> None:
        self._known: dict[str, str] = {}
        self.column = column
        self.hints: dict[str, str] = {}
        self._read = READERS[column.type]
        self._delimiter = delimiter

    def fragments(self, cells: Sequence[str]) -> list[str]:
        """One per cell."""
        if cells and cells.count(cells[0]) == len(cells):
            return [self._known.get(cells[0]) or self._new(cells[0])] * len(cells)
        if self.column.type in _NUMBERS and _all_digits(cells):
            return list(map(f',"{self.column.name}":'.__add__, cells))
        fragments = list(map(self._known.get, cells))
        return [self._new(cell) if made is None else made for made, cell in zip(fragments, cells, strict=True)]

    def _new(self, cell: str) -> str:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        made = self._known[cell] = self._fragment(cell.strip())
        return made

    def _fragment(self, text: str) -> str:
        column = self.column
        if not text:
            if column.required:
                self.hints[text] = "it is empty"
                return _UNFIT
            return f',"{column.name}":{column.empty}' if column.empty else ""
        try:
            json = self._read(text, self._delimiter)
        except CellError as error:
            self.hints[text] = str(error)
            return _UNFIT
        except Exception as error:  # whatever there may be in a cell, the fault is told with its place
            log.exception("a cell cannot be read", column=column.name, cell=shown(text))
            self.hints[text] = f"it cannot be read: {type(error).__name__}"
            return _UNFIT
        if column.values and text not in column.values:
            self.hints[text] = ""
            return _UNFIT
        return f',"{column.name}":{json}'


def _all_digits(cells: Sequence[str]) -> bool:
    """Whether each is a number as JSON has it, without a sign: then there is no need to look at one after the other."""
    text = ",".join(cells)
    if len(text) > LONGEST_NUMBER and max(map(len, cells)) > LONGEST_NUMBER:
        return False
    return text.isascii() and all(cells) and text.replace(",", "").isdigit() and ",0" not in text and text[0] != "0"


class Rows:
    """Makes the records of one file. `header`: its columns, in their order."""

    def __init__(self, form: FileForm, header: tuple[str, ...], delimiter: str, made: Made, findings: Findings) -> None:
        self._form = form
        self._header = header
        self._made = made
        self._findings = findings
        self._digest = hashlib.blake2b(form.feed.encode(), digest_size=20)
        self._sorts = {tag: _Sort(columns, header, delimiter, form.tag, tag) for tag, columns in form.sorts.items()}
        self._begun: set[str] = set()
        self._begins = bool(form.default and form.begins and form.tag not in header)
        self.count = 0
        """Rows so far."""
        self.numbers_made = form.numbered and NUMBER_COLUMN not in header
        self.numbers_used = 0
        """How many numbers of the made source the records have."""

    @property
    def digest(self) -> str:
        """Of the content so far."""
        return self._digest.hexdigest()

    def records(self, portion: Portion) -> tuple[Sequence[int], list[bytes]]:
        """The lines and the records they become, in order: one per row, and one before the first row of each book that begins.

        Where anything is wrong with a row it is among the findings, and nothing is returned.
        """
        rows = len(portion.lines)
        self.count += rows
        begins = self._new_books(portion) if self._begins else []
        first = self._made.first_seq + self.numbers_used
        numbers = _numbers(first, rows, [at for at, _ in begins])
        faults = self._findings.fault_count
        if not self._form.tag or self._form.tag not in self._header:
            sort = self._sorts[self._form.default]
            content, records = sort.records(portion.lines, portion.columns, numbers, self._made, self._findings)
        else:
            content, records = self._by_sort(portion, numbers)
        if self._findings.fault_count > faults:
            return [], []
        self._digest.update("\n".join([*content, ""]).encode())
        self.numbers_used += len(begins) + (rows if self.numbers_made else 0)
        encoded = [record.encode() for record in records]
        return (portion.lines, encoded) if not begins else self._with_begins(portion, encoded, begins, first)

    def _by_sort(self, portion: Portion, numbers: Sequence[int]) -> tuple[list[str], list[str]]:
        """Rows of each sort together, and back into their order."""
        tags = [cell.strip() for cell in portion.columns[self._header.index(self._form.tag)]]
        for at, tag in enumerate(tags):
            if tag not in self._sorts:
                expected = f"expected one of {', '.join(self._sorts)}"
                self._findings.fault(portion.lines[at], expected, self._form.tag, shown(tag))
        content, records = [""] * len(tags), [""] * len(tags)
        for tag, sort in self._sorts.items():
            chosen = [at for at, each in enumerate(tags) if each == tag]
            if not chosen:
                continue
            columns = [[cells[at] for at in chosen] for cells in portion.columns]
            lines = [portion.lines[at] for at in chosen]
            made = sort.records(lines, columns, [numbers[at] for at in chosen], self._made, self._findings)
            for at, told, record in zip(chosen, *made, strict=False):
                content[at], records[at] = told, record
        return content, records

    def _new_books(self, portion: Portion) -> list[tuple[int, str]]:
        """Where rows of a book come for the first time in this file, and its code."""
        if _BOOK not in self._header:
            return []
        cells = portion.columns[self._header.index(_BOOK)]
        found = []
        for cell in dict.fromkeys(cells):
            book = cell.strip()
            if book and book not in self._begun:
                self._begun.add(book)
                found.append((cells.index(cell), book))
        return sorted(found)

    def _with_begins(
        self, portion: Portion, records: list[bytes], begins: list[tuple[int, str]], first: int
    ) -> tuple[list[int], list[bytes]]:
        """The records with, before the first of each book, the one that empties it."""
        lines: list[int] = []
        made: list[bytes] = []
        done = 0
        for count, (at, book) in enumerate(begins):
            lines += [*portion.lines[done:at], portion.lines[at]]
            made += records[done:at]
            number = first + count + (at if self.numbers_made else 0)
            fields = {
                SOURCE_COLUMN: self._made.source,
                NUMBER_COLUMN: number,
                TIME_COLUMN: self._made.time_ns,
                _BOOK: book,
            }
            made.append(msgspec.json.encode({self._form.tag: self._form.begins} | fields))
            done = at
        return [*lines, *portion.lines[done:]], made + records[done:]


def _numbers(first: int, rows: int, before: Sequence[int]) -> Sequence[int]:
    """Numbers for rows, leaving one out before each row of `before`."""
    if not before:
        return range(first, first + rows)
    left_out = np.zeros(rows, np.int64)
    np.add.at(left_out, list(before), 1)
    numbers: list[int] = (first + np.arange(rows) + np.cumsum(left_out)).tolist()
    return numbers


class _Sort:
    """One sort of row of a file."""

    def __init__(
        self, columns: tuple[Column, ...], header: tuple[str, ...], delimiter: str, field: str, tag: str
    ) -> None:
        self._cells = [_Cells(column, delimiter) for column in columns]
        self._place = {name: at for at, name in enumerate(header)}
        names = {column.name for column in columns}
        self._foreign = [(at, name) for at, name in enumerate(header) if name not in names and name != field]
        self._tag, self._field = tag, field

    def records(
        self,
        lines: Sequence[int],
        columns: Sequence[Sequence[str]],
        numbers: Sequence[int],
        made: Made,
        findings: Findings,
    ) -> tuple[list[str], list[str]]:
        """What is the rows' own, and the whole records; both empty where a cell cannot be used."""
        faults = findings.fault_count
        self._check_foreign(lines, columns, findings)
        own: list[Sequence[str]] = []
        whole: list[Sequence[str]] = []
        rows = len(lines)
        for cells in self._cells:
            name = cells.column.name
            if (at := self._place.get(name)) is None:
                fragments: Sequence[str] = self._absent(cells.column, numbers, made)
                if name not in MADE:
                    own.append(fragments)
            else:
                fragments = cells.fragments(columns[at])
                if cells.hints:
                    self._tell(cells, lines, columns[at], fragments, findings)
                if name in MADE and "" in fragments:
                    self._check_made(cells.column, lines, fragments, findings)
                own.append(fragments)
            whole.append(fragments)
        if findings.fault_count > faults:
            return [], []
        begin = f'{{"{self._field}":"{self._tag}"' if self._tag else "{"
        cut = 0 if self._tag else 1
        records = [begin + "".join(row)[cut:] + "}" for row in zip(*whole, strict=True)]
        if len(own) == len(whole):
            return records, records
        assert rows == len(records), "a record per row"
        return [begin + "".join(row) for row in zip(*own, strict=True)], records

    def _absent(self, column: Column, numbers: Sequence[int], made: Made) -> list[str]:
        """The fragments of a column that the file does not have."""
        name = column.name
        if name == NUMBER_COLUMN:
            return [f',"{name}":{number}' for number in numbers]
        json = column.empty
        if name == SOURCE_COLUMN:
            json = msgspec.json.encode(made.source).decode()
        elif name == TIME_COLUMN:
            json = str(made.time_ns)
        return list(repeat(f',"{name}":{json}' if json else "", len(numbers)))

    def _tell(
        self, cells: _Cells, lines: Sequence[int], column: Sequence[str], fragments: Sequence[str], findings: Findings
    ) -> None:
        """Every cell of the column that cannot be used."""
        for at, fragment in enumerate(fragments):
            if fragment == _UNFIT:
                text = column[at].strip()
                hint = cells.hints[text]
                detail = f"expected {cells.column.expected}" + (f"; {hint}" if hint else "")
                findings.fault(lines[at], detail, cells.column.name, shown(text))

    def _check_made(self, column: Column, lines: Sequence[int], fragments: Sequence[str], findings: Findings) -> None:
        """A column that the file has is the file's own: no row may leave it to the loader."""
        for at, fragment in enumerate(fragments):
            if not fragment:
                findings.fault(
                    lines[at], f"expected {column.expected.removesuffix(', or nothing')}; it is empty", column.name
                )

    def _check_foreign(self, lines: Sequence[int], columns: Sequence[Sequence[str]], findings: Findings) -> None:
        """Cells of columns that rows of this sort do not have."""
        for place, name in self._foreign:
            if any(columns[place]):
                for at, cell in enumerate(columns[place]):
                    if text := cell.strip():
                        findings.fault(lines[at], f"a {self._tag} has no such column", name, shown(text))
