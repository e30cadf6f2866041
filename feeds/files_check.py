"""A batch file checked whole: every line is read, made a record and decoded as the wire would be, before any of it counts."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from engine.model import Op
from engine.ring import Message
from feeds.files_cells import shown
from feeds.files_columns import NUMBER_COLUMN, SOURCE_COLUMN, FileForm
from feeds.files_faults import Fault, FileFaultError, Findings
from feeds.files_read import Frame, Portion, read
from feeds.files_rows import Made, Rows
from feeds.quarantine import Decoded, Unreadable

log = structlog.get_logger()
_PATH: Final = re.compile(r" - at `\$\.?([A-Za-z0-9_]+)?[^`]*`")
_NAMED: Final = re.compile(r"(?:field|column) `?([A-Za-z0-9_]+)`?")
_UNKNOWN_KEPT: Final = 100
_REPEATS_KEPT: Final = 1_000


@dataclass(slots=True)
class Checked:
    """What is known of a file. It may be loaded where `findings` has no fault."""

    findings: Findings
    frame: Frame | None = None
    rows: int = 0
    records: int = 0
    numbers_used: int = 0
    """How many numbers of the made source its records have."""
    digest: str = ""
    events: int = 0
    """What the records decode to."""
    unknown: int = 0
    """Records that name something that is not known yet: they will wait for it."""
    unknown_codes: dict[str, int] = field(default_factory=dict)
    """What is said of them -> how many; the first hundred."""
    reset: set[int] = field(default_factory=set)
    """Ids of books whose start of day it is."""


class Check:
    """One file. `decode`: number of the first record, records -> what they hold; `keep`: takes the records with their lines;
    `noted`: where `decode` notes what somebody should know, by the record's number."""

    def __init__(
        self,
        form: FileForm,
        made: Made,
        decode: Callable[[int, Sequence[bytes]], Decoded],
        keep: Callable[[Sequence[int], Sequence[bytes]], None],
        seen: Callable[[int], None],
        key: Sequence[str] = (),
        noted: list[tuple[int, Fault]] | None = None,
    ) -> None:
        self._form = form
        self._made = made
        self._decode = decode
        self._keep = keep
        self._seen = seen
        self._key = tuple(key)
        self._noted = [] if noted is None else noted

    def run(self, path: Path, findings: Findings, *, vouched: bool) -> Checked:
        """`vouched`: a checksum beside the file says that it is whole. Raises OSError where it cannot be read."""
        checked = Checked(findings)
        try:
            checked.frame, portions = read(path, self._form, findings)
            frame = checked.frame
            rows = Rows(self._form, frame.header, frame.delimiter, self._made, findings)
            repeats = _Repeats(self._form, frame.header, self._key)
            for portion in portions:
                self._portion(portion, rows, checked)
                repeats.add(portion)
                self._seen(rows.count)
            checked.rows, checked.digest, checked.numbers_used = rows.count, rows.digest, rows.numbers_used
            if not findings.fault_count:
                repeats.tell(findings, made=rows.numbers_made)
            _check_count(frame, checked, vouched=vouched)
        except FileFaultError as error:
            fault = error.fault
            findings.fault(fault.line, fault.detail, fault.column, fault.value)
        return checked

    def _portion(self, portion: Portion, rows: Rows, checked: Checked) -> None:
        with _placed(portion.lines):
            lines, records = rows.records(portion)
            if not records:
                return
            decoded = self._decode(checked.records, records)
        for at, told in self._noted:
            checked.findings.remark(lines[at - checked.records], told.detail, told.column, shown(told.value))
        self._noted.clear()
        for entry in decoded.unreadable:
            line = lines[entry.offset - checked.records]
            if entry.unknown:
                checked.unknown += entry.events
                if entry.detail in checked.unknown_codes or len(checked.unknown_codes) < _UNKNOWN_KEPT:
                    checked.unknown_codes[entry.detail] = checked.unknown_codes.get(entry.detail, 0) + 1
            else:
                checked.findings.fault(line, *_told(entry, self._form))
        checked.records += len(records)
        checked.events += decoded.size
        checked.reset |= _reset(decoded)
        if not checked.findings.fault_count:
            self._keep(lines, records)


@contextmanager
def _placed(lines: Sequence[int]) -> Iterator[None]:
    """Whatever cannot be done with rows is a fault of these lines."""
    try:
        yield
    except FileFaultError:
        raise
    except Exception as error:
        log.exception("rows of a file cannot be used", first=lines[0], last=lines[-1])
        detail = f"the rows from here to line {lines[-1]:,} cannot be used: {type(error).__name__}: {shown(str(error))}"
        raise FileFaultError(lines[0], detail) from error


def _told(entry: Unreadable, form: FileForm) -> tuple[str, str, str]:
    """Why a record cannot be used, the column and its value, as far as the reason names one."""
    path = _PATH.search(entry.detail) or _NAMED.search(entry.detail)
    column = path[1] if path and path[1] in form.names else ""
    detail = _PATH.sub("", entry.detail)
    if not column:
        first = re.match(r"(?:no )?([a-z_]+) ", entry.detail)
        column = first[1] if first and first[1] in form.names else ""
    try:
        fields: Any = msgspec.json.decode(entry.raw)
        value = shown(str(fields.get(column, ""))) if column else ""
    except (msgspec.DecodeError, AttributeError):
        value = ""
    known = next((each for sort in form.sorts.values() for each in sort if each.name == column), None)
    if known is not None and path:
        detail = f"{detail}; expected {known.expected}"
    return detail, column, value


def _reset(decoded: Decoded) -> set[int]:
    """The books that begin anew."""
    parts: list[NDArray[np.void]] = [decoded.events]
    parts += [records for kind, records in decoded.messages if kind == Message.EVENTS]
    found: set[int] = set()
    for events in parts:
        if events.size:
            found.update(np.unique(events["book"][events["op"] == Op.RESET_BOOK]).tolist())
    return found


def _check_count(frame: Frame, checked: Checked, *, vouched: bool) -> None:
    """The frame's own count of rows."""
    findings = checked.findings
    rows = checked.rows + frame.skipped
    if frame.trailer is not None and frame.trailer != rows:
        findings.fault(
            0, f"the trailer counts {frame.trailer:,} rows, the file has {rows:,}", "", f"#TRAILER,{frame.trailer}"
        )
    elif frame.trailer is None and frame.format == "CSV" and not vouched:
        findings.doubt(
            0, "it has no last line #TRAILER,count and no checksum beside it (.sha256, .md5): it may be cut off"
        )
    if not checked.rows and not findings.fault_count:
        findings.remark(0, "it has no rows")


class _Repeats:
    """Finds rows that come twice, by 64-bit hashes: of what names a row, and of all of it."""

    def __init__(self, form: FileForm, header: Sequence[str], key: Sequence[str]) -> None:
        self._asks = form.asks
        own = [SOURCE_COLUMN, NUMBER_COLUMN] if form.numbered and NUMBER_COLUMN in header else list(key)
        self._named = [name for name in own if name in header]
        self._places = [header.index(name) for name in self._named]
        self._keys: list[NDArray[np.int64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._lines: list[NDArray[np.int64]] = []

    def add(self, portion: Portion) -> None:
        count = len(portion.lines)
        whole = zip(*portion.columns, strict=True)
        self._rows.append(np.fromiter(map(hash, whole), np.int64, count))
        if self._places:
            named = list(zip(*(portion.columns[at] for at in self._places), strict=True))
            keys = np.fromiter(map(hash, named), np.int64, count)
            nameless = [not any(map(str.strip, cells)) for cells in named]
            self._keys.append(np.where(nameless, self._rows[-1], keys))
        self._lines.append(np.fromiter(portion.lines, np.int64, count))

    def tell(self, findings: Findings, *, made: bool) -> None:
        """`made`: the loader numbers the rows, so two that are alike cannot be told from one that came twice."""
        if not self._lines:
            return
        lines, rows = np.concatenate(self._lines), np.concatenate(self._rows)
        keys = np.concatenate(self._keys) if self._keys else rows
        for earlier, later in _pairs(keys)[:_REPEATS_KEPT]:
            line, first = int(lines[later]), int(lines[earlier])
            if rows[earlier] != rows[later]:
                findings.fault(line, f"the same {' and '.join(self._named)} as in line {first:,}, with other values")
            elif made or (self._asks and keys[later] == rows[later]):
                told = f"repeats line {first:,}: nobody can say whether it came twice or is meant twice; give the rows "
                findings.doubt(line, told + ("an id each" if self._asks else "a source and numbers (src, seq)"))
            else:
                findings.remark(line, f"repeats line {first:,} and counts once")


def _pairs(keys: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Positions (first, later) of equal keys, in the order of the later."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]]) + 1
    if not same.size:
        return []
    starts = np.flatnonzero(np.concatenate(([True], keys[order[1:]] != keys[order[:-1]])))
    firsts = order[starts[np.searchsorted(starts, same, side="right") - 1]]
    return sorted(zip(firsts.tolist(), order[same].tolist(), strict=True), key=lambda pair: pair[1])
