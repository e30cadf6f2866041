"""A machine whose changes are archived, without processes: what is told is written when a test says so."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app import world
from app.archive_manifest import Manifest
from app.archive_writer import RingDrain
from app.snapshot_files import SnapshotFolder
from app.snapshots import Snapshots
from engine.explain_rows import SecurityCopy, copy_of
from engine.records import BOOK, NAMED
from engine.ring import Message, Ring
from engine.state import Calendar, Machine
from engine.tables import Word
from feeds.archive_recorder import Recorder
from tests.engine.machines import MARKETS, SMALL, TODAY, named, security_records


class Archived:
    """`now_ns` is the clock; every change gets a time of its own."""

    def __init__(
        self, machine: Machine, folder: Path, instance: str, ring_bytes: int, parent: str, now_ns: int
    ) -> None:
        self.machine, self.folder = machine, folder
        self.now_ns = now_ns
        self.instance, self.name = instance, f"{instance}.archive.1"
        meta = {"generation": machine.tables.generation, "started_ns": self.now_ns}
        self.ring = Ring.create(self.name, ring_bytes, meta)
        self.recorder = Recorder(machine, self.ring, parent=parent, clock=self._tick)
        self.manifest = Manifest(folder, write=True)
        self.drain = RingDrain(self.name, instance, folder, self.manifest)

    def _tick(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def snapshot(self) -> None:
        """One of now, on disk."""
        folder = SnapshotFolder(self.snapshots)
        folder.prepare()
        Snapshots(folder, self.machine, ("t",), dict, 1e9).finish(self.now_ns)

    def restart_archive(self) -> None:
        """As after a kill: what was read and not written is read again."""
        self.drain.close()
        self.drain = RingDrain(self.name, self.instance, self.folder, self.manifest)

    def close(self) -> None:
        self.drain.close()
        self.manifest.close()
        self.recorder.close(self.machine)


@contextmanager
def archived(
    folder: Path,
    instance: str,
    *,
    ring_bytes: int = 1 << 20,
    parent: str = "",
    place: int = 0,
    now_ns: int = 1_700_000_000_000_000_000,
) -> Iterator[Archived]:
    """As `tests.engine.machines.machine`, told to an archive from the beginning; or, with a `parent`, as if restored from it
    at that place of its log."""
    days = np.tile(np.arange(400, dtype=np.int32), (len(MARKETS), 1))
    calendar = Calendar(TODAY - 100, days, np.full(len(MARKETS), TODAY, np.int32))
    machine = Machine(f"{instance}.tables", SMALL, world.rule_book(), MARKETS, calendar, instance)
    try:
        if parent:
            _know(machine)
            machine.tables.state[Word.LOG] = place
        made = Archived(machine, folder, instance, ring_bytes, parent, now_ns)
        try:
            if not parent:
                _know(machine)
            yield made
        finally:
            made.close()
    finally:
        machine.close()


def _know(machine: Machine) -> None:
    machine.register(Message.SECURITIES, security_records(3))
    machine.register(Message.BOOKS, named(BOOK, "B", 4))
    machine.register(Message.DEPOTS, named(NAMED, "D", 3))
    machine.register(Message.SOURCES, named(NAMED, "s", 2))


def until(holds: Callable[[], bool], patience_s: float = 180.0) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def seen(copy: SecurityCopy) -> dict[str, Any]:
    """Everything of a security that is not a number of the machine's own."""
    rows = copy.rows
    names = [name for name in rows.record.dtype.names or () if name not in ("key", "next_in_security", "next_in_book")]
    keys = list(zip(rows.book, rows.depot, rows.kind, strict=True))
    values = [tuple(np.asarray(rows.record[name][i]).tolist().__repr__() for name in names) for i in range(len(rows))]
    return {
        "code": copy.record["code"],
        "record": copy.record.tolist(),
        "days": copy.days,
        "terms": copy.terms.tolist(),
        "values": copy.values.tolist(),
        "facts": copy.facts.tolist(),
        "clocks": copy.clocks.tolist(),
        "rows": dict(zip(keys, values, strict=True)),
        "updated_ns": copy.updated_ns,
    }


def now(machine: Machine, security: int) -> dict[str, Any]:
    return seen(copy_of(machine.tables, security))
