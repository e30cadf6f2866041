"""`ims bench history`: what writing down every number once a minute costs, and how long drawing one security takes."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from app import world
from app.bench.measure import own_peak_mb
from app.history_recorder import HistoryRecorder
from app.history_series import series
from app.history_upkeep import upkeep
from engine.model import DAYS, Capacity
from engine.records import SECURITY
from engine.ring import Message
from engine.rule_model import Scope
from engine.state import Calendar, Machine
from engine.tables import Word
from feeds.history_files import HOUR_NS

_BEGIN_NS: Final = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
_MINUTE_NS: Final = 60 * 10**9
_DAY_MINUTES: Final = 1_440
_TODAY: Final = 20_000
_LOT: Final = 100


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--minutes", type=int, default=120, help="samples, a minute apart (120)")
    parser.add_argument("--part", type=float, default=0.9, help="of the securities that change in a minute (0.9)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Samples made-up numbers, puts files together as they come, and asks for one security from the beginning on."""
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as data, _machine(args.securities) as machine:
        folder, now_ns = Path(data), [_BEGIN_NS]
        recorder = HistoryRecorder(_name(), folder, 60, lambda: now_ns[0])
        numbers = _Numbers(machine, args.part)
        rows, sampling_s, together_s = 0, 0.0, 0.0
        for _ in range(args.minutes):
            began_s = time.process_time()
            sample = recorder.sample()
            sampled_s = time.process_time()
            now_ns[0] += _MINUTE_NS
            upkeep(folder, now_ns[0], days=30, most_gb=1e3)
            together_s += time.process_time() - sampled_s
            sampling_s += sampled_s - began_s
            rows += sample.rows if sample is not None else 0
            numbers.change()
        recorder.close()
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        began_s = time.process_time()
        found = series(folder, f"S{args.securities // 2}", _BEGIN_NS, now_ns[0], [numbers.name])
        asked_s = time.process_time() - began_s
        files = len(list(folder.rglob("*.parquet")))
    minutes = args.minutes
    return {
        "bench": "history",
        "sample_cpu_ms": round(sampling_s / minutes * 1e3, 1),
        "together_cpu_ms": round(together_s / minutes * 1e3, 1),
        "core_percent": round((sampling_s + together_s) / minutes / 60 * 100, 2),
        "rows_per_sample": rows // minutes,
        "bytes_per_row": round(size / max(1, rows), 2),
        "day_gb": round(size / minutes * _DAY_MINUTES / 1e9, 2),
        "line_cpu_ms": round(asked_s * 1e3, 1),
        "line_points": sum(line.at_ns.size for line in found.lines),
        "files": files,
        "minutes": minutes,
        "securities": args.securities,
        "rss_mb": own_peak_mb(),
    }


class _Numbers:
    """Numbers that move as trades move them: by lots, from some day on, most calculations of a security alike."""

    def __init__(self, machine: Machine, part: float) -> None:
        infos = machine.compiled.catalogue.calculations
        self._which = np.array([i for i, info in enumerate(infos) if info.scope == Scope.SECURITY])
        self.name = infos[int(self._which[0])].name
        self._values = machine.tables.array["values"]
        self._count = machine.tables.count(Word.SECURITIES)
        self._random, self._part = np.random.default_rng(1), part
        shape = (self._count, self._which.size, 1)
        begin = self._random.integers(1_000, 100_000, shape) * _LOT
        steps = self._random.integers(0, 3, (self._count, self._which.size, DAYS)) * _LOT
        self._values[1 : self._count + 1, self._which] = begin + steps

    def change(self) -> None:
        """A minute passes."""
        ids = np.flatnonzero(self._random.random(self._count) < self._part) + 1
        step = self._random.integers(-50, 50, (ids.size, 1, 1)) * _LOT
        moved = self._random.random((ids.size, self._which.size, 1)) < 0.7  # noqa: PLR2004  most, not all
        days = np.arange(DAYS) >= self._random.integers(0, 3, (ids.size, 1))
        self._values[np.ix_(ids, self._which)] += step * moved * days[:, None, :]


@contextmanager
def _machine(securities: int) -> Iterator[Machine]:
    markets = world.markets()
    days = np.tile(np.arange(400, dtype=np.int32), (len(markets), 1))
    calendar = Calendar(_TODAY - 100, days, np.full(len(markets), _TODAY, np.int32))
    capacity = Capacity(
        securities=securities, books=16, depots=8, sources=4, rows=512, deals=64, counterparties=8, units=8
    )
    machine = Machine(f"{_name()}.tables", capacity, world.rule_book(), markets, calendar, "bench")
    try:
        records = np.zeros(securities, SECURITY)
        records["code"] = np.char.add("S", np.arange(securities).astype(str)).astype("S")
        records["market"] = np.arange(securities) % len(markets)
        machine.register(Message.SECURITIES, records)
        machine.tables.state[Word.READY] = 1
        yield machine
    finally:
        machine.close()


def _name() -> str:
    return f"bench-history-{os.getpid()}"
