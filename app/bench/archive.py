"""`ims bench archive`: what writing everything down costs, and how long it takes to know what was."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from app import world
from app.archive_answer import iso
from app.archive_asof import asof
from app.archive_manifest import Manifest
from app.archive_place import folder_of, ring_prefix
from app.archive_upkeep import merge_some
from app.archive_writer import RingDrain
from app.bench.kernel import trades
from app.bench.measure import own_peak_mb
from app.intake import BATCH_EVENTS
from app.settings import Settings
from engine.events import EventArray
from engine.model import NO_DATE, Capacity, Op
from engine.records import BOOK, NAMED, SECURITY
from engine.ring import Message, Ring
from engine.state import Calendar, Machine
from feeds.archive_recorder import Recorder

_DAY_EVENTS: Final = 100_000_000
_DAY_NS: Final = 86_400 * 10**9
_RATE: Final = 300_000
_TODAY: Final = 20_000
_BEGIN_NS: Final = _TODAY * _DAY_NS + 7 * 3_600 * 10**9
_FEW: Final = 10
"""A tenth of the events: what the second measurement is compared with."""
_RING_BYTES: Final = 256 << 20


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--events", type=int, default=10_000_000, help="events, half of them prices (10,000,000)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities (12,000)")
    parser.add_argument("--books", type=int, default=2_000, help="books (2,000)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="pairs of book and security (1,000,000)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Writes so many events of a day of 100 million, and asks what a usual and the busiest security were at the end of it."""
    pa.set_cpu_count(1)
    events = _events(args)
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(instance=f"bench-archive-{os.getpid()}", data=data)
        with _writing(settings, args) as of:
            figures = of.write(events) | of.merge()
        folder = folder_of(settings)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        activity = np.bincount(events["security"], minlength=args.securities + 1)[1:]
        ordered = np.argsort(activity)
        at_ns = _BEGIN_NS + args.events * (_DAY_NS // _DAY_EVENTS)
        early_ns = _BEGIN_NS + args.events // _FEW * (_DAY_NS // _DAY_EVENTS)
        asof(folder, early_ns, "1")  # what is compiled is compiled
        for name, security in (("usual", ordered[ordered.size // 2] + 1), ("busiest", ordered[-1] + 1)):
            figures |= _asked(folder, name, str(security), early_ns, at_ns, args.events)
        figures["command_s"] = _command(data, at_ns, str(ordered[ordered.size // 2] + 1))
        figures["files"] = len(list(folder.rglob("*.parquet")))
    return {
        "bench": "archive",
        **figures,
        "bytes_per_event": round(size / args.events, 1),
        "events": args.events,
        "securities": args.securities,
        "rss_mb": own_peak_mb(),
    }


class _Writing:
    """A machine, its archive, and what both cost."""

    def __init__(self, machine: Machine, drain: RingDrain, manifest: Manifest, folder: Path, clock: "_Clock") -> None:
        self._machine, self._drain, self._manifest = machine, drain, manifest
        self._folder, self._clock = folder, clock

    def write(self, events: EventArray) -> dict[str, object]:
        """`engine_ns_per_event`: what telling costs the machine; `write_*`: what the archive's process takes."""
        told_s = applied_s = written_s = 0.0
        recorder = self._machine.log
        assert recorder is not None, "the archive is told"

        def timed(kind: Message, payload: EventArray, outcome: object) -> None:
            nonlocal told_s
            began = time.perf_counter()
            recorder(kind, payload, outcome)  # type: ignore[arg-type]
            told_s += time.perf_counter() - began

        self._machine.log = timed
        for at in range(0, events.size, BATCH_EVENTS):
            part = events[at : at + BATCH_EVENTS]
            self._clock.now_ns = _BEGIN_NS + (at + part.size) * (_DAY_NS // _DAY_EVENTS)
            began = time.perf_counter()
            self._machine.apply(part)
            applied_s += time.perf_counter() - began
            cpu = time.process_time()
            self._drain.step()
            written_s += time.process_time() - cpu
        cpu = time.process_time()
        while self._drain.step(at_once=True):
            pass
        written_s += time.process_time() - cpu
        self._machine.log = recorder
        return {
            "write_events_per_s": events.size / written_s,
            "write_core_share_at_300k": round(written_s / events.size * _RATE, 3),
            "engine_ns_per_event": told_s / events.size * 1e9,
            "apply_ns_per_event": (applied_s - told_s) / events.size * 1e9,
        }

    def merge(self) -> dict[str, object]:
        """What putting the files of an hour together takes on top, once for each event."""
        cpu = time.process_time()
        while merge_some(self._folder, self._manifest, 2**62):
            pass
        return {"merge_cpu_s": time.process_time() - cpu}


class _Clock:
    """Tells the time of the bench's day."""

    def __init__(self) -> None:
        self.now_ns = _BEGIN_NS

    def __call__(self) -> int:
        return self.now_ns


@contextmanager
def _writing(settings: Settings, args: argparse.Namespace) -> Iterator[_Writing]:
    markets = world.markets()
    days = np.tile(np.arange(400, dtype=np.int32), (len(markets), 1))
    calendar = Calendar(_TODAY - 100, days, np.full(len(markets), _TODAY, np.int32))
    capacity = Capacity(
        securities=args.securities, books=args.books, depots=8, sources=4, rows=min(args.rows, args.events) + 1
    )
    folder, clock = folder_of(settings), _Clock()
    machine = Machine(f"{settings.instance}.tables", capacity, world.rule_book(), markets, calendar, "bench")
    name = f"{ring_prefix(settings.instance)}1"
    ring = Ring.create(name, _RING_BYTES, {"generation": "bench", "started_ns": _BEGIN_NS})
    manifest = Manifest(folder, write=True)
    recorder = Recorder(machine, ring, clock=clock)
    drain = RingDrain(name, settings.instance, folder, manifest)
    try:
        for kind, dtype, count in (
            (Message.SECURITIES, SECURITY, args.securities),
            (Message.BOOKS, BOOK, args.books),
            (Message.DEPOTS, NAMED, 1),
            (Message.SOURCES, NAMED, 1),
        ):
            records = np.zeros(count, dtype)
            records["code"] = np.arange(1, count + 1).astype("S")
            machine.register(kind, records)
        yield _Writing(machine, drain, manifest, folder, clock)
    finally:
        drain.close()
        manifest.close()
        recorder.close(machine)
        machine.close()


def _events(args: argparse.Namespace) -> EventArray:
    """Trades, every second of them made a price."""
    events = trades(args.events, args.rows, args.books, args.securities, "zipf")
    prices = events[::2]
    prices["op"], prices["book"], prices["kind"] = Op.PRICE, 0, 0
    prices["settle_date"] = prices["trade_date"] = NO_DATE
    events["time_ns"] = _BEGIN_NS + np.arange(events.size) * (_DAY_NS // _DAY_EVENTS)
    events["received_ns"] = events["time_ns"] + 1_000_000
    events["offset"], events["partition"] = np.arange(events.size) // 8, np.arange(events.size) % 8
    return events


def _asked(folder: Path, name: str, security: str, early_ns: int, at_ns: int, events: int) -> dict[str, object]:
    """Seconds for a tenth of the events and for all; and what these two say of a whole day of 100 million."""
    early_s, _ = _took(folder, early_ns, security)
    late_s, count = _took(folder, at_ns, security)
    slope = max(0.0, late_s - early_s) / (events - events // _FEW)
    return {
        f"asof_{name}_s": late_s,
        f"asof_{name}_tenth_s": early_s,
        f"asof_{name}_day_s": late_s + slope * (_DAY_EVENTS - events),
        f"{name}_events": count,
    }


def _took(folder: Path, at_ns: int, security: str) -> tuple[float, int]:
    """The best of three: what a machine that has nothing else to do takes."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        found = asof(folder, at_ns, security)
        taken.append(time.perf_counter() - began)
    return min(taken), found.events


def _command(data: str, at_ns: int, security: str) -> float:
    """The command from its start to its end, with all that Python loads."""
    began = time.perf_counter()
    command = (sys.executable, "-m", "app.cli", "asof", iso(at_ns), "--security", security, "--data", data, "--json")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
