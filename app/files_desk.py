"""Takes batch files out of the drop folder, one after the other: whole, once, and with a report; or not at all.

    dropped -> waiting (not whole yet) -> checking -> refused | duplicate | loading (in the log: it will be used) -> loaded

Requests for locates and orders are not put into the log: whoever decides on them is asked, and the file is loaded when every
row has its answer.

Every step is on disk before the next begins. A file that was being checked when the process died is checked again; one that
was accepted is in the log, and only its end is waited for.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog

from app import files_aside, files_commands, files_report, files_sums
from app.files_examiner import Examiner
from app.files_folder import DROP, PATIENCE_S, QUIET_S, Dropped, dropped, misnamed, missing, move, spelled, strays
from app.files_places import Places
from app.files_store import FileReport, FilesStore, FileState, Waiting, now
from engine.segment import SegmentMissingError
from engine.tables import Tables
from feeds import files_forms
from feeds.files_check import Checked
from feeds.files_faults import KEPT, Fault, Findings
from feeds.files_log import FileLog, PartWriter
from feeds.registry import Feed, Reader, feed_named

log = structlog.get_logger()
KEPT_S: Final = 7 * 86_400
"""How long the records of a file stay in the log, for an engine that begins without a snapshot."""
_SAVE_S: Final = 0.25
_LATELY_S: Final = 60.0
_AGAIN_S: Final = 1.0
_MOST_BEGUN: Final = 2
"""So often a check is begun that no process lives through: then it is the file."""
_FIRST: Final = ("reference", "fx", "corporate_actions", "positions")
"""Feeds whose files come before those of the others where several are there: what the others name, or build on."""


class FilesDesk:
    """`data`: the data folder. `tables` gives the living engine's tables; raises `SegmentMissingError` while there are none.
    `ask`: the API."""

    def __init__(
        self,
        data: Path,
        tables: Callable[[], Tables],
        ask: files_commands.Ask,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = data
        self._tables = tables
        self._ask = ask
        self._clock = clock
        self.log = FileLog(data / "files" / "log")
        self.store = FilesStore(data / "files" / "files.db")
        self._places = Places(data)
        self._examiner = Examiner(self._places, tables, self.log, self.store, self._save_now_and_then)
        self._not_taken: dict[Path, tuple[float, str]] = {}
        """Files that cannot be taken out of the folder: until when they are left alone, and why."""
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
            elif (path := self._places.kept(report)) is not None:
                log.info("file is checked again", file=report.id, name=report.name)
                self._check(report, path)
            else:
                self._stop(report, FileState.REFUSED, "the loader ended before the file was taken: it is taken anew")

    def _accepted(self, report: FileReport) -> bool:
        """Whether its records are in the log, now at the latest; of requests, whether they are kept."""
        written = self._places.part(report)
        if _wants_answers(report):
            return written.exists()
        if written.exists():
            self.log.accept(written, report.position, report.records)
        return any(part.first == report.position for part in self.log.parts())

    def turn(self) -> bool:
        """One file, or one that somebody forces; whether there was any. Raises `SegmentMissingError` without an engine."""
        self._tables()
        for report, by, comment in self.store.forced():
            self._force(report, by, comment)
        self._look_back()
        for file in self._look():
            self._take(file)
            return True
        return False

    def _force(self, report: FileReport, by: str, comment: str) -> None:
        """Check a refused file once more. From `take_up` on it is one that is being checked, so that nothing loses the wish."""
        path = self._places.kept(report)
        if path is None:
            report.why = f"{report.why}; it could not be forced: it is no longer kept"
            self.store.take_up(report)
            log.warning("file cannot be forced: it is no longer kept", file=report.id, by=by)
            return
        report.forced_by, report.comment, report.state, report.begun = by, comment, FileState.CHECKING, 0
        self.store.take_up(report)
        log.info("file is forced", file=report.id, name=report.name, by=by, comment=comment)
        self._check(report, path)

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
                waiting.append(self._waits(file.feed, spelled(file.path.name), why))
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
        until_s, why = self._not_taken.get(file.path, (0.0, ""))
        if self._clock() < until_s:
            return why
        if quiet_s < QUIET_S:
            return "it is still being written"
        if quiet_s >= PATIENCE_S:
            return ""
        try:
            why = missing(file.path, file.sums)
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        return f"{why}; it is taken as it is after {PATIENCE_S:.0f} s without a change" if why else ""

    def _take(self, file: Dropped) -> None:
        name = file.path.name
        report = FileReport(
            feed=file.feed,
            name=spelled(name),
            misnamed=misnamed(name),
            dropped_at=_time_of(file.seen[2]),
            taken_at=now(),
        )
        self.store.add(report)
        path = self._places.work(report)
        try:
            move(file.path, path, file.sums)
        except OSError as error:  # it may not be ours to move, or gone: the others have their turn
            self.store.forget(report)
            why = f"it cannot be taken: {error.strerror or error}"
            self._not_taken[file.path] = (self._clock() + PATIENCE_S, why)
            log.warning("file cannot be taken", feed=file.feed, name=report.name, why=why)
            return
        self._not_taken.pop(file.path, None)
        log.info("file taken", file=report.id, feed=report.feed, name=report.name, size=file.seen[1])
        self._check(report, path)

    def _check(self, report: FileReport, path: Path) -> None:
        """To its end: refused, duplicate or loaded. Raises what is not the file's fault: then it is checked again later."""
        if report.begun >= _MOST_BEGUN:
            why = f"its check was begun {report.begun} times, and the loader ended each time: it is not begun again"
            report.faults, report.fault_count, report.can_be_forced = (Fault(0, why),), 1, False
            return self._stop(report, FileState.REFUSED, why)
        report.begun += 1
        self.store.save(report)
        try:
            accepted = self._judged(report, path)
        except (OSError, sa.exc.SQLAlchemyError, SegmentMissingError, SystemExit):
            self._not_begun(report.id)
            raise
        return self._follow(report) if accepted else None

    def _not_begun(self, number: int) -> None:
        """The check of a file ended for a reason that is not in the file."""
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # on a full disk it counts: it cannot be written
            report = self.store.report(number)
            if report is not None and report.state == FileState.CHECKING:
                report.begun -= 1
                self.store.save(report)

    def _judged(self, report: FileReport, path: Path) -> bool:
        """Whether it was accepted; if not, it has come to its end."""
        began = self._clock()
        feed = feed_named(report.feed)
        findings = Findings(forced=bool(report.forced_by))
        part = PartWriter(self._places.part(report))
        try:
            checked = self._examiner.examine(report, path, feed, findings, part)
            certain = findings.fault_count > findings.doubtful
            same = 0 if certain or report.forced_by else self._same(feed, checked.digest)
            if not (findings.fault_count or same):
                part.close()
        except Exception:
            part.discard()
            raise
        report.check_ms, report.checked_at = int((self._clock() - began) * 1e3), now()
        self._describe(report, checked)
        if findings.fault_count or same:
            part.discard()
            report.same_as = same
            self._stop(report, FileState.DUPLICATE if same else FileState.REFUSED, _why(findings, same))
            return False
        report.records = part.count
        if not _wants_answers(report):
            report.position = self._examiner.end()
        self.store.accept(report, checked.digest, checked.numbers_used)
        if not _wants_answers(report):
            self.log.accept(part.path, report.position, report.records)
        log.info("file accepted", file=report.id, rows=report.rows, records=report.records, check_ms=report.check_ms)
        return True

    def _same(self, feed: Feed, content: str) -> int:
        """The file that makes this one a duplicate; 0 for none."""
        earlier = self.store.loaded(feed.name, content)
        if feed.name in files_forms.STATES and earlier and earlier != self.store.newest(feed.name):
            return 0  # something else was said in between: this says how things are again
        return earlier

    def _follow(self, report: FileReport) -> None:
        """Wait until the engine has used the records of an accepted file, or answered them."""
        if _wants_answers(report):
            return self._carry_out(report)
        began = self._clock()
        end = report.position + report.records
        self._examiner.wait_applied(end, report)
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
        return None

    def _carry_out(self, report: FileReport) -> None:
        began, part = self._clock(), self._places.part(report)

        def seen(answered: int) -> None:
            report.applied = answered
            self._save_now_and_then(report)

        answers = files_commands.carried_out(self._ask, report, part, seen)
        refused = files_commands.refused(answers)
        report.set_aside, report.set_aside_count = tuple(refused[:KEPT]), len(refused)
        report.load_ms, report.loaded_at = int((self._clock() - began) * 1e3), now()
        target = self._places.archived(report)
        target.parent.mkdir(parents=True, exist_ok=True)
        answered = target.with_name(f"{target.name}.answers.csv")
        answered.write_bytes(files_commands.table(answers))
        report.answers = self._places.below(answered)
        self._archive(report, FileState.LOADED)
        part.unlink(missing_ok=True)
        log.info("file carried out", file=report.id, requests=len(answers), refused=len(refused))

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

    def _stop(self, report: FileReport, state: FileState, why: str) -> None:
        report.why = why
        self._archive(report, state)
        log.warning("file not loaded", file=report.id, feed=report.feed, name=report.name, state=state.value, why=why)

    def _archive(self, report: FileReport, state: FileState) -> None:
        """The file and its report into the archive, then the state: whoever sees the state finds both."""
        target = self._places.archived(report)
        report.state, report.archived = state, self._places.below(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        work = self._places.work(report)
        if work.exists():
            move(work, target, files_sums.beside(work))
        files_report.write(report, target)
        self.store.save(report)

    def _describe(self, report: FileReport, checked: Checked) -> None:
        findings, frame = checked.findings, checked.frame
        if frame is not None:
            report.format, report.encoding, report.delimiter = frame.format, frame.encoding, frame.delimiter
            report.columns = frame.header
        report.rows, report.events = max(report.rows, checked.rows), checked.events
        report.unknown, report.unknown_codes = checked.unknown, checked.unknown_codes
        report.faults, report.fault_count = tuple(findings.faults), findings.fault_count
        report.remarks, report.remark_count = tuple(findings.remarks), findings.remark_count
        report.can_be_forced = findings.can_be_forced
        report.why, report.same_as, report.records = "", 0, 0

    def _save_now_and_then(self, report: FileReport) -> None:
        if self._clock() - self._saved_s >= _SAVE_S:
            self._saved_s = self._clock()
            self.store.save(report)

    def tidy(self, now_s: float) -> int:
        """Remove old records from the log; returns how many parts. What was said of a state last, and reference, stays."""
        kept = self.store.lasting(files_forms.STATES)
        applied = self._examiner.applied()
        old = [part for part in self.log.parts() if part.end <= applied and part.first not in kept]
        gone = [part for part in old if part.path.stat().st_mtime < now_s - KEPT_S]
        for part in gone:
            part.path.unlink()
        return len(gone)

    def close(self) -> None:
        self.store.close()


def _wants_answers(report: FileReport) -> bool:
    return feed_named(report.feed).reader == Reader.ENGINE


def _why(findings: Findings, same: int) -> str:
    if same:
        return f"the same content was loaded as file {same}: nothing of it counts again"
    first: Fault = findings.faults[0]
    more = f", and {findings.fault_count - 1:,} more" if findings.fault_count > 1 else ""
    return f"{first}{more}"


def _time_of(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).isoformat(timespec="milliseconds")
