"""Everything that can be wrong with a batch file is found here, before any of it counts.

Whatever goes wrong while a file is read is a fault of that file, whatever it is, and says where; what the disk does not take of
ours, and an engine that is gone, is nobody's fault: it is raised, and the file is checked again later.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog

from app import files_sums
from app.files_books import codes, traded
from app.files_places import Places
from app.files_store import FileReport, FilesStore
from app.files_trial import Trial
from app.master_rules import vocabulary
from engine.model import Namespace
from engine.segment import SegmentMissingError
from engine.symbols import Symbols
from engine.tables import Tables
from feeds import files_availability, files_forms, reference
from feeds.files_cells import shown
from feeds.files_check import Check, Checked
from feeds.files_faults import Findings
from feeds.files_feed import TOPIC_INDEX, origin_of
from feeds.files_log import FileLog, NotWrittenError, PartWriter
from feeds.files_read import SUFFIXES
from feeds.files_rows import Made
from feeds.quarantine import Decoded
from feeds.registry import AVAILABILITY, REFERENCE, Feed

log = structlog.get_logger()
MAX_BYTES: Final = 4 << 30
_LOOK_S: Final = 0.02
_NOT_ITS_FAULT: Final = (NotWrittenError, sa.exc.SQLAlchemyError, SegmentMissingError)


class Examiner:
    """`tables` gives the living engine's tables; `saved`: called with the report as the check goes on."""

    def __init__(
        self,
        places: Places,
        tables: Callable[[], Tables],
        log_of_files: FileLog,
        store: FilesStore,
        saved: Callable[[FileReport], None],
    ) -> None:
        self._places, self._tables, self._log, self._store, self._saved = places, tables, log_of_files, store, saved

    def examine(self, report: FileReport, path: Path, feed: Feed, findings: Findings, part: PartWriter) -> Checked:
        """Whatever is wrong is among the findings. Raises what is not the file's fault (`_NOT_ITS_FAULT`)."""
        if report.misnamed:
            findings.fault(0, report.misnamed)
            return Checked(findings)
        report.rows = 0
        try:
            return self._examined(report, path, feed, findings, part)
        except _NOT_ITS_FAULT:
            raise
        except OSError as error:
            findings.fault(0, f"it cannot be read: {error.strerror or error}")
        except Exception as error:  # whatever it is: one file does not stop the others
            log.exception("a file cannot be checked", file=report.id, feed=report.feed, name=report.name)
            after = f" after row {report.rows:,}" if report.rows else ""
            findings.fault(0, f"it cannot be checked{after}: {type(error).__name__}: {shown(str(error))}")
        return Checked(findings)

    def _examined(self, report: FileReport, path: Path, feed: Feed, findings: Findings, part: PartWriter) -> Checked:
        tables = self._tables()
        status = path.stat()
        report.size_bytes, report.sha256 = status.st_size, files_sums.digest(path, "sha256")
        made = Made(files_forms.source(feed), self._store.next_number(feed.name), time.time_ns())
        if not self._vouched(report, path, findings):
            return Checked(findings)
        self._begin(part, feed, made, tables)
        if feed.index == AVAILABILITY:
            former = self._former(report)
            checked = files_availability.check(path, former, tables.markets, made, findings, part.add)
        else:
            checked = self._rows_checked(report, path, feed, findings, part, made)
        if path.stat().st_mtime_ns != status.st_mtime_ns or path.stat().st_size != status.st_size:
            findings.fault(0, "it was written to while it was read")
        if checked.numbers_used:
            report.source, report.first_number = made.source, made.first_seq
        report.books = codes(tables, checked.reset)
        for book in traded(tables, checked.reset) if not findings.fault_count else ():
            findings.doubt(0, "the book has trades of today, which this start of day would undo", "book", book)
        return checked

    def _rows_checked(
        self, report: FileReport, path: Path, feed: Feed, findings: Findings, part: PartWriter, made: Made
    ) -> Checked:
        tables = self._tables()
        symbols, markets, index = Symbols(tables.array["symbols"]), tables.markets, feed.index
        trial = Trial(vocabulary(markets))

        def decode(first: int, records: Sequence[bytes]) -> Decoded:
            return feed.decode(records, symbols, markets, origin_of(feed.topic, index, first, len(records), 0), trial)

        def keep(lines: Sequence[int], records: Sequence[bytes]) -> None:
            part.add(index, lines, records)

        def seen(rows: int) -> None:
            report.rows = rows
            self._saved(report)

        check = Check(files_forms.form(feed), made, decode, keep, seen, files_forms.key(feed), trial.noted)
        return check.run(path, findings, vouched=bool(report.checksum))

    def _vouched(self, report: FileReport, path: Path, findings: Findings) -> bool:
        """Whether there is any sense in reading on. Notes which checksums hold."""
        if path.suffix.lower() not in SUFFIXES:
            findings.fault(0, f"files end with {', '.join(SUFFIXES)}")
        if report.size_bytes > MAX_BYTES:
            findings.fault(0, f"it has {report.size_bytes:,} bytes, at most {MAX_BYTES:,} are read")
        for kind, beside in files_sums.beside(path).items():
            told = files_sums.read(beside)
            found = report.sha256 if kind == "sha256" else files_sums.digest(path, kind)
            if told.fault:
                findings.fault(0, told.fault)
            elif found == told.digest:
                report.checksum = kind
            else:
                findings.fault(0, f"its {kind} is {found}, the file beside it says {told.digest}")
        return not findings.fault_count

    def _begin(self, part: PartWriter, feed: Feed, made: Made, tables: Tables) -> None:
        """The source of made numbers, first in every part that has them; the engine must know it before rows are tried."""
        form = files_forms.form(feed)
        if not form.numbered:
            return
        record = reference.encode(reference.Source(made.source, f"rows of files of {feed.name}"))
        part.add(REFERENCE, [0], [record])
        symbols = Symbols(tables.array["symbols"])
        if not symbols.find_one(Namespace.SOURCE, made.source):
            alone = PartWriter(self._places.source(made.source))
            alone.add(REFERENCE, [0], [record])
            alone.close()
            end = self.end()
            self._log.accept(alone.path, end, 1)
            self.wait_applied(end + 1)

    def _former(self, report: FileReport) -> Path | None:
        newest = self._store.report(self._store.newest(report.feed))
        return self._places.kept(newest) if newest is not None else None

    def end(self) -> int:
        """The position of the next record: behind everything that was accepted or used, whatever was lost of the folder."""
        return max(self._store.end(), self._log.end, self.applied())

    def applied(self) -> int:
        """How far the engine has used the log."""
        return int(self._tables().array["applied"][TOPIC_INDEX, 0])

    def wait_applied(self, end: int, report: FileReport | None = None) -> None:
        """Raises `SegmentMissingError` when the engine goes; the file is followed when there is one again."""
        while (applied := self.applied()) < end:
            if report is not None:
                report.applied = max(0, applied - report.position)
                self._saved(report)
            time.sleep(_LOOK_S)
