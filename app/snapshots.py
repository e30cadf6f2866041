"""Snapshots of the running machine: when one is taken, who writes it, and how a machine begins from one.

The machine is copied by the writer, a few milliseconds at a time between batches; a thread of its own writes the file. Whatever
goes wrong with a file is said loudly and stops nothing: the snapshot before it is still there, and Kafka has the rest.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from app.snapshot_files import Contents, Header, SnapshotFile, SnapshotFolder
from engine import snapshot_pack
from engine.ring import Ring
from engine.rule_model import Document, RulesError
from engine.snapshot import Part, Snapshot, layout_digest
from engine.snapshot_restore import SnapshotError, restore
from engine.state import Machine
from engine.tables import Word

log = structlog.get_logger()
TURN_S: Final = 0.002
"""How long the writer copies after a batch."""
_WAITING_BYTES: Final = 64 << 20
"""Copied and not yet on the disk: with more of it, copying waits."""
_AGAIN_NS: Final = 1_000_000_000
"""Until another try, where one was spoilt."""
Extra = Callable[[], Mapping[str, NDArray[Any]]]
"""What else belongs to the moment: small arrays by name."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of snapshots. Times of the last whole one; `problem` is empty where the last try succeeded."""

    taken_ns: int = 0
    size_bytes: int = 0
    pause_ms: float = 0.0
    """The longest the writer copied at a time; what a batch puts aside comes to its own time."""
    took_s: float = 0.0
    kept: int = 0
    skipped: int = 0
    """Damaged files at start."""
    problem: str = ""


class _Writing(threading.Thread):
    """One file, written beside the writer. `parts` until None; `failed` says why it will not come to be."""

    def __init__(self, folder: SnapshotFolder, header: Header) -> None:
        super().__init__(name="snapshot", daemon=True)
        self.failed = ""
        self.size = 0
        self.dropped = threading.Event()
        self.parts: queue.SimpleQueue[Part | None] = queue.SimpleQueue()
        self._folder, self._header = folder, header
        self._given = self._written = 0  # each is counted by one thread alone
        self.start()

    @property
    def waiting(self) -> int:
        """Bytes that were given and are not yet on the disk."""
        return self._given - self._written

    def put(self, part: Part | None) -> None:
        self._given += 0 if part is None else part.array.nbytes
        self.parts.put(part)

    def run(self) -> None:
        try:
            self._write()
        except OSError as error:
            self.failed = str(error)

    def _write(self) -> None:
        file = SnapshotFile(self._folder.path, self._header)
        try:
            while (part := self.parts.get()) is not None and not self.dropped.is_set():
                file.add(*part)
                self._written += part.array.nbytes
            if not self.dropped.is_set():
                file.finish()
                self.size = file.size
                self._folder.thin_out(self._header.taken_ns)
        finally:
            file.drop()


class Snapshots:
    """Call `tick` now and then, and `turn` between two batches."""

    def __init__(
        self, folder: SnapshotFolder, machine: Machine, topics: Sequence[str], extra: Extra, every_s: float
    ) -> None:
        self._folder, self._machine, self._topics, self._extra = folder, machine, list(topics), extra
        self._every_ns = int(every_s * 1e9)
        self._next_ns: int | None = None
        self._taking: Snapshot | None = None
        self._writing: _Writing | None = None
        self._header: Header | None = None
        self._pause_s = 0.0
        self._began_s = 0.0
        folder.prepare()
        snapshot_pack.warm()
        self._newest_ns = max((int(path.stem) for path in folder.files()), default=0)
        self._status = Status(kept=len(folder.files()), skipped=folder.damaged())

    def status(self) -> Status:
        """How snapshots fare."""
        return self._status

    def tick(self, now_ns: int) -> None:
        """Begin one where it is time, and see what became of the last one."""
        self._look()
        if self._next_ns is None:
            self._next_ns = now_ns + self._every_ns
        # a clock that was set back must not make the next one wait until it has come back
        self._next_ns = min(self._next_ns, now_ns + self._every_ns)
        if now_ns >= self._next_ns and self._writing is None:
            self.begin(now_ns)

    def turn(self, budget_s: float = TURN_S) -> bool:
        """Copy for a moment; whether there is more to copy."""
        taking, writing = self._taking, self._writing
        if taking is None or writing is None:
            return False
        if writing.failed:
            taking.drop(writing.failed)
        elif writing.waiting < _WAITING_BYTES:
            began = time.perf_counter()
            while taking.slice() and time.perf_counter() - began < budget_s:
                pass
            self._pause_s = max(self._pause_s, time.perf_counter() - began)
        for part in taking.take():
            writing.put(part)
        if taking.spoilt:
            writing.dropped.set()
        if taking.spoilt or taking.done:
            writing.put(None)
            self._taking = None
        return self._taking is not None

    def finish(self, now_ns: int) -> None:
        """The last one, at once: nothing is applied any more."""
        if self._taking is not None:
            self._taking.drop("the engine stops")
            self.turn()
        if self._writing is not None:
            self.wait()
        self.begin(now_ns)
        while self.turn(1.0):
            pass
        self.wait()

    def wait(self) -> None:
        """Until the file of what has been copied is on the disk, or given up."""
        if self._writing is not None:
            self._writing.join()
            self._look()

    def begin(self, now_ns: int) -> None:
        """Take one from now on; none may be under way."""
        self._next_ns = now_ns + self._every_ns
        # names follow each other, whatever the clock says
        taken_ns = self._newest_ns = max(now_ns, self._newest_ns + 1)
        began = self._began_s = time.perf_counter()
        self._header = _header(self._machine, self._topics, taken_ns)
        rules = np.frombuffer(msgspec.json.encode(self._machine.book.documents), np.uint8)
        self._taking = Snapshot(self._machine, {"rules": rules, **self._extra()})
        self._pause_s = time.perf_counter() - began
        self._writing = _Writing(self._folder, self._header)

    def _look(self) -> None:
        """What became of the file that was being written."""
        writing, header = self._writing, self._header
        if writing is None or header is None or (writing.is_alive() and not writing.failed):
            return
        if writing.failed and self._taking is not None:
            self.turn()
        self._writing = None
        kept = len(self._folder.files())
        if writing.size:
            took_s, pause_ms = time.perf_counter() - self._began_s, self._pause_s * 1e3
            self._status = Status(
                taken_ns=header.taken_ns,
                size_bytes=writing.size,
                pause_ms=round(pause_ms, 2),
                took_s=round(took_s, 2),
                kept=kept,
                skipped=self._status.skipped,
            )
            self._machine.tables.state[Word.SNAPSHOT_NS] = header.taken_ns
            log.info(
                "snapshot taken",
                rows=header.rows,
                mb=writing.size >> 20,
                took_s=round(took_s, 2),
                pause_ms=round(pause_ms, 1),
            )
            return
        why = writing.failed or "spoilt by the roll of a day"
        self._status = msgspec.structs.replace(self._status, kept=kept, problem=why)
        log.error("no snapshot could be taken", why=why)
        if not writing.failed:
            self._next_ns = min(self._next_ns or 0, header.taken_ns + _AGAIN_NS)


def _header(machine: Machine, topics: Sequence[str], taken_ns: int) -> Header:
    tables = machine.tables
    return Header(
        taken_ns=taken_ns,
        layout=layout_digest(),
        generation=tables.generation,
        log=tables.count(Word.LOG),
        rows=tables.count(Word.ROWS),
        markets=[market.code for market in tables.markets],
        today=tables.array["today"].tolist(),
        base_date=tables.base_date,
        topics=list(topics),
        capacity=msgspec.to_builtins(machine.capacity),
    )


def refused(header: Header, markets: Sequence[str], topics: Sequence[str] | None) -> str:
    """Why a snapshot cannot be used here; empty where it can. `topics` None: of any."""
    if header.layout != layout_digest():
        return "it is of another version of the program"
    if header.markets != list(markets):
        return f"it is of other markets: {', '.join(header.markets)}"
    if topics is not None and header.topics != list(topics):
        return f"it is of other topics: {', '.join(header.topics)}"
    return ""


Make = Callable[[tuple[Document, ...] | None], Machine]
"""An empty machine under these rules; None: those that there are without a snapshot. Raises `RulesError`."""


def begin(
    make: Make, folder: SnapshotFolder, markets: Sequence[str], topics: Sequence[str]
) -> tuple[Machine, Contents | None]:
    """A machine that goes on from the newest good snapshot, which is given, too; an empty one where there is none."""
    had_some = bool(folder.files())
    for contents in folder.good():
        why = refused(contents.header, markets, topics)
        if not why:
            began = time.perf_counter()
            machine = _made(make, contents)
            made_s = time.perf_counter() - began
            try:
                restore(machine, contents.parts)
            except (SnapshotError, KeyError) as error:
                machine.close()
                why = str(error)
            else:
                took_s = round(time.perf_counter() - began - made_s, 2)
                log.info(
                    "restored from a snapshot",
                    file=contents.path.name,
                    rows=contents.header.rows,
                    made_s=round(made_s, 2),
                    took_s=took_s,
                )
                machine.tables.state[Word.SNAPSHOT_NS] = contents.header.taken_ns
                return machine, contents
        log.critical("a snapshot cannot be used", file=str(contents.path), why=why)
    if had_some:
        log.critical("no snapshot can be used: Kafka is read again, from its beginning", folder=str(folder.path))
    return make(None), None


def _made(make: Make, contents: Contents) -> Machine:
    """Under the rules in force at that moment: most likely they still are, and need not be published again."""
    try:
        return make(tuple(msgspec.json.decode(contents.parts["rules"][0].tobytes(), type=list[Document])))
    except (KeyError, msgspec.DecodeError, RulesError) as error:
        log.warning("the rules of a snapshot cannot be read", why=str(error))
        return make(None)


def go_on(rings: Sequence[Ring], applied: NDArray[np.int64]) -> None:
    """Where the workers go on, each with its share of the partitions. Before they come."""
    for number, ring in enumerate(rings):
        ring.progress[:, number :: len(rings)] = applied[:, number :: len(rings)]


def folder_of(data: Path) -> SnapshotFolder:
    """The snapshots of a data folder."""
    return SnapshotFolder(data / "snapshots")
