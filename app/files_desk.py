"""Takes batch files out of the drop folder, one after the other: whole, once, and with a report; or not at all.

    dropped -> waiting (not whole yet) -> checking -> refused | duplicate | loading (in the log: it will be used) -> loaded

Every step is on disk before the next begins. A file that was being checked when the process died is checked again; one that
was accepted is in the log, and only its end is waited for.
"""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from app import files_aside, files_report
from app.files_books import codes, traded
from app.files_folder import (
    ARCHIVE,
    DROP,
    PATIENCE_S,
    QUIET_S,
    WORK,
    Dropped,
    checksums,
    digest,
    dropped,
    missing,
    move,
    strays,
)
from app.files_store import FileReport, FilesStore, FileState, Waiting, now
from engine.model import Namespace
from engine.symbols import Symbols
from engine.tables import Tables
from feeds import files_availability, files_forms, reference
from feeds.files_check import Check, Checked
from feeds.files_faults import Fault, Findings
from feeds.files_feed import TOPIC_INDEX, origin_of
from feeds.files_log import FileLog, PartWriter
from feeds.files_read import SUFFIXES
from feeds.files_rows import Made
from feeds.master_door import Answer, Taken
from feeds.quarantine import Decoded
from feeds.registry import AVAILABILITY, REFERENCE, Feed, feed_named

log = structlog.get_logger()
MAX_BYTES: Final = 4 << 30
KEPT_S: Final = 7 * 86_400
"""How long the records of a file stay in the log, for an engine that begins without a snapshot."""
_SAVE_S: Final = 0.25
_LOOK_S: Final = 0.02
_LATELY_S: Final = 60.0
_AGAIN_S: Final = 1.0
_FIRST: Final = ("reference", "fx", "corporate_actions", "positions")
"""Feeds whose files come before those of the others where several are there: what the others name, or build on."""


class _Trial:
    """In place of the security master while a file is only being checked: nothing is written down."""

    def take(self, records: Sequence[Taken]) -> Answer:
        del records
        return Answer()

    def used(self, feed: int, partition: int) -> int:
        """Nothing."""
        del feed, partition
        return 0


class FilesDesk:
    """`data`: the data folder. `tables` gives the living engine's tables; raises `SegmentMissingError` while there are none."""

    def __init__(self, data: Path, tables: Callable[[], Tables], clock: Callable[[], float] = time.monotonic) -> None:
        self._data = data
        self._tables = tables
        self._clock = clock
        self.log = FileLog(data / "files" / "log")
        self.store = FilesStore(data / "files" / "files.db")
        self._quiet: dict[Path, tuple[tuple[int, int, int], float]] = {}
        self._waiting: list[Waiting] = []
        self._saved_s = self._looked_s = 0.0
        self._lately: list[tuple[float, FileReport]] = []
        feeds = sorted(
            files_forms.feeds(), key=lambda feed: _FIRST.index(feed.name) if feed.name in _FIRST else len(_FIRST)
        )
        self._feeds = [feed.name for feed in feeds]
        for name in self._feeds:
            (data / DROP / name).mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Bring to its end what was begun before this process started."""
        for report in self.store.unfinished():
            if report.state == FileState.LOADING and self._accepted(report):
                self._follow(report)
            elif (path := self._kept(report)) is not None:
                log.info("file is checked again", file=report.id, name=report.name)
                self._check(report, path)
            else:
                self._stop(report, FileState.REFUSED, "the loader ended before the file was taken: it is taken anew")

    def _accepted(self, report: FileReport) -> bool:
        """Whether its records are in the log, now at the latest."""
        written = self._part_path(report)
        if written.exists():
            self.log.accept(written, report.position, report.records)
        return any(part.first == report.position for part in self.log.parts())

    def turn(self) -> bool:
        """One file, or one that somebody forces; whether there was any. Raises `SegmentMissingError` without an engine."""
        self._tables()
        for report, by, comment in self.store.forced():
            if (path := self._kept(report)) is not None:
                report.forced_by, report.comment, report.state = by, comment, FileState.CHECKING
                log.info("file is forced", file=report.id, name=report.name, by=by, comment=comment)
                self._check(report, path)
        self._look_back()
        for file in self._look():
            self._take(file)
            return True
        return False

    def _look(self) -> list[Dropped]:
        """Files that are ready; the others are told to be waiting, and why."""
        ready: list[Dropped] = []
        waiting: list[Waiting] = []
        quiet: dict[Path, tuple[tuple[int, int, int], float]] = {}
        moment = self._clock()
        for file in dropped(self._data, self._feeds):
            seen, since = self._quiet.get(file.path, (file.seen, moment))
            since = since if seen == file.seen else moment
            quiet[file.path] = (file.seen, since)
            why = self._why_not(file, moment - since)
            if why:
                waiting.append(self._waits(file.feed, file.path.name, why))
            else:
                ready.append(file)
        waiting += [self._waits(*stray) for stray in strays(self._data, self._feeds)]
        self._quiet = quiet
        if waiting != self._waiting:
            self._waiting = waiting
            self.store.wait(waiting)
        return ready

    def _waits(self, feed: str, name: str, why: str) -> Waiting:
        known = next((each.since for each in self._waiting if (each.feed, each.name) == (feed, name)), "")
        return Waiting(feed, name, known or now(), why)

    def _why_not(self, file: Dropped, quiet_s: float) -> str:
        """What is waited for; "" where the file is to be taken, whole or not."""
        if quiet_s < QUIET_S:
            return "it is still being written"
        if quiet_s >= PATIENCE_S:
            return ""
        try:
            why = missing(file.path)
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        return f"{why}; it is taken as it is after {PATIENCE_S:.0f} s without a change" if why else ""

    def _take(self, file: Dropped) -> None:
        report = FileReport(feed=file.feed, name=file.path.name, dropped_at=_time_of(file.seen[2]), taken_at=now())
        self.store.add(report)
        path = self._data / WORK / _kept_name(report)
        move(file.path, path)
        log.info("file taken", file=report.id, feed=report.feed, name=report.name, size=file.seen[1])
        self._check(report, path)

    def _check(self, report: FileReport, path: Path) -> None:
        """To its end: refused, duplicate or loaded."""
        began = self._clock()
        feed = feed_named(report.feed)
        findings = Findings(forced=bool(report.forced_by))
        part = PartWriter(self._part_path(report))
        try:
            checked = self._checked(report, path, feed, findings, part)
        except OSError as error:
            findings.fault(0, f"it cannot be read: {error}")
            checked = Checked(findings)
        report.check_ms, report.checked_at = int((self._clock() - began) * 1e3), now()
        self._describe(report, checked)
        certain = findings.fault_count > findings.doubtful
        same = 0 if certain or report.forced_by else self._same(feed, checked.digest)
        if findings.fault_count or same:
            part.discard()
            report.same_as = same
            state = FileState.DUPLICATE if same else FileState.REFUSED
            return self._stop(report, state, _why(findings, same))
        part.close()
        report.position, report.records = self._end(), part.count
        self.store.accept(report, checked.digest, checked.numbers_used)
        self.log.accept(part.path, report.position, report.records)
        log.info("file accepted", file=report.id, rows=report.rows, records=report.records, check_ms=report.check_ms)
        return self._follow(report)

    def _checked(self, report: FileReport, path: Path, feed: Feed, findings: Findings, part: PartWriter) -> Checked:
        """Everything that can be wrong with a file."""
        tables = self._tables()
        status = path.stat()
        report.size_bytes, report.sha256 = status.st_size, digest(path, "sha256")
        made = Made(files_forms.source(feed), self.store.next_number(feed.name), time.time_ns())
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
        symbols, markets, index, trial = Symbols(tables.array["symbols"]), tables.markets, feed.index, _Trial()

        def decode(first: int, records: Sequence[bytes]) -> Decoded:
            return feed.decode(records, symbols, markets, origin_of(feed.topic, index, first, len(records), 0), trial)

        def keep(lines: Sequence[int], records: Sequence[bytes]) -> None:
            part.add(index, lines, records)

        def seen(rows: int) -> None:
            report.rows = rows
            self._save_now_and_then(report)

        check = Check(files_forms.form(feed), made, decode, keep, seen, files_forms.key(feed))
        return check.run(path, findings, vouched=bool(report.checksum))

    def _vouched(self, report: FileReport, path: Path, findings: Findings) -> bool:
        """Whether there is any sense in reading on. Notes which checksums hold."""
        if path.suffix.lower() not in SUFFIXES:
            findings.fault(0, f"files end with {', '.join(SUFFIXES)}")
        if report.size_bytes > MAX_BYTES:
            findings.fault(0, f"it has {report.size_bytes:,} bytes, at most {MAX_BYTES:,} are read")
        for kind, told in checksums(path).items():
            found = report.sha256 if kind == "sha256" else digest(path, kind)
            if found == told:
                report.checksum = kind
            else:
                findings.fault(0, f"its {kind} is {found}, the file beside it says {told or 'nothing'}")
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
            alone = PartWriter(self._data / WORK / f"{made.source}.source")
            alone.add(REFERENCE, [0], [record])
            alone.close()
            end = self._end()
            self.log.accept(alone.path, end, 1)
            self._wait_applied(end + 1)

    def _end(self) -> int:
        """The position of the next record: behind everything that was accepted or used, whatever was lost of the folder."""
        applied = int(self._tables().array["applied"][TOPIC_INDEX, 0])
        return max(self.store.end(), self.log.end, applied)

    def _same(self, feed: Feed, content: str) -> int:
        """The file that makes this one a duplicate; 0 for none."""
        earlier = self.store.loaded(feed.name, content)
        if feed.name in files_forms.STATES and earlier and earlier != self.store.newest(feed.name):
            return 0  # something else was said in between: this says how things are again
        return earlier

    def _former(self, report: FileReport) -> Path | None:
        newest = self.store.report(self.store.newest(report.feed))
        return self._kept(newest) if newest is not None else None

    def _follow(self, report: FileReport) -> None:
        """Wait until the engine has used the records of an accepted file."""
        began = self._clock()
        end = report.position + report.records
        self._wait_applied(end, report)
        report.applied, report.load_ms = report.records, int((self._clock() - began) * 1e3)
        report.loaded_at = now()
        self._look_aside(report)
        self._archive(report, FileState.LOADED)
        self._lately.append((self._clock() + _LATELY_S, report))
        log.info(
            "file loaded",
            file=report.id,
            records=report.records,
            load_ms=report.load_ms,
            set_aside=report.set_aside_count,
        )

    def _look_aside(self, report: FileReport) -> bool:
        """Note what the engine has set aside of a file; whether that is news."""
        found = files_aside.set_aside(self._data, self.log, report)
        news = found != (report.set_aside, report.set_aside_count)
        report.set_aside, report.set_aside_count = found
        return news

    def _look_back(self) -> None:
        """The engine writes down what it sets aside a moment later: reports of the last minute are brought up to date."""
        moment = self._clock()
        if self._lately and moment - self._looked_s >= _AGAIN_S:
            self._looked_s = moment
            for _, report in self._lately:
                if self._look_aside(report):
                    self._archive(report, FileState.LOADED)
            self._lately = [(until, report) for until, report in self._lately if until > moment]

    def _wait_applied(self, end: int, report: FileReport | None = None) -> None:
        """Raises `SegmentMissingError` when the engine goes; the file is followed when there is one again."""
        while (applied := int(self._tables().array["applied"][TOPIC_INDEX, 0])) < end:
            if report is not None:
                report.applied = max(0, applied - report.position)
                self._save_now_and_then(report)
            time.sleep(_LOOK_S)

    def _stop(self, report: FileReport, state: FileState, why: str) -> None:
        report.why = why
        self._archive(report, state)
        log.warning("file not loaded", file=report.id, feed=report.feed, name=report.name, state=state.value, why=why)

    def _archive(self, report: FileReport, state: FileState) -> None:
        """The file and its report into the archive, then the state: whoever sees the state finds both."""
        target = self._archived(report)
        report.state, report.archived = state, str(target.relative_to(self._data))
        target.parent.mkdir(parents=True, exist_ok=True)
        work = self._data / WORK / _kept_name(report)
        if work.exists():
            move(work, target)
        files_report.write(report, target)
        self.store.save(report)

    def _describe(self, report: FileReport, checked: Checked) -> None:
        findings, frame = checked.findings, checked.frame
        if frame is not None:
            report.format, report.encoding, report.delimiter = frame.format, frame.encoding, frame.delimiter
            report.columns = frame.header
        report.rows, report.events = checked.rows, checked.events
        report.unknown, report.unknown_codes = checked.unknown, checked.unknown_codes
        report.faults, report.fault_count = tuple(findings.faults), findings.fault_count
        report.remarks, report.remark_count = tuple(findings.remarks), findings.remark_count
        report.can_be_forced = findings.can_be_forced
        report.why, report.same_as, report.records = "", 0, 0

    def _kept(self, report: FileReport) -> Path | None:
        """Where the file is now."""
        paths = (self._data / WORK / _kept_name(report), self._archived(report))
        return next((path for path in paths if path.exists()), None)

    def _archived(self, report: FileReport) -> Path:
        return self._data / ARCHIVE / report.taken_at[:10] / _kept_name(report)

    def _part_path(self, report: FileReport) -> Path:
        return self._data / WORK / f"{report.id}.part"

    def _save_now_and_then(self, report: FileReport) -> None:
        if self._clock() - self._saved_s >= _SAVE_S:
            self._saved_s = self._clock()
            self.store.save(report)

    def tidy(self, now_s: float) -> int:
        """Remove old records from the log; returns how many parts. What was said of a state last, and reference, stays."""
        kept = self.store.lasting(files_forms.STATES)
        applied = int(self._tables().array["applied"][TOPIC_INDEX, 0])
        old = [part for part in self.log.parts() if part.end <= applied and part.first not in kept]
        gone = [part for part in old if part.path.stat().st_mtime < now_s - KEPT_S]
        for part in gone:
            part.path.unlink()
        return len(gone)

    def close(self) -> None:
        self.store.close()


def _kept_name(report: FileReport) -> str:
    return f"{report.id:06d}-{report.feed}-{report.name}"


def _why(findings: Findings, same: int) -> str:
    if same:
        return f"the same content was loaded as file {same}: nothing of it counts again"
    first: Fault = findings.faults[0]
    more = f", and {findings.fault_count - 1:,} more" if findings.fault_count > 1 else ""
    return f"{first}{more}"


def _time_of(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).isoformat(timespec="milliseconds")
