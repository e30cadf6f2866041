"""`ims bench recovery`: kill -9 of the engine at two million rows, at a random moment between two snapshots, until it is ready
and has answered a locate; and how long the writer stands still while a snapshot is taken."""

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from app import world
from app.bench import kernel, services
from app.bench.fault_load import Load
from app.bench.fault_service import PATIENCE_S, Service
from app.bench.fault_tables import FaultError
from app.bench.http_client import Connection
from app.bench.measure import medians
from app.settings import Settings
from app.snapshot_files import SnapshotFile
from app.snapshots import Snapshots, folder_of
from engine.model import Capacity
from engine.state import Machine
from engine.tables import Word
from feeds.registry import topics

OK: Final = 200
ACCEPTED: Final = 202
_BATCH: Final = 1_200
"""Events between two polls of the rings at 300,000 a second."""
_LOOK_S: Final = 0.01
_TOPICS: Final = ("recovery.events", "recovery.reference")


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows (2,000,000)")
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--rate", type=int, default=20_000, help="events per second meanwhile (20,000)")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (5)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`pause_ms`: the longest of all turns of copying; `serving_s`: kill -9 until ready and a locate answered; `restored_s`:
    until the new engine's memory is there; `since_snapshot_s`: how old the newest snapshot was."""
    with tempfile.TemporaryDirectory(prefix="ims-recovery-") as folder:
        figures = _paused(args, Path(folder))
        with services.kafka_server() as (bootstrap, _):
            served = asyncio.run(_served(args, bootstrap, Path(folder)))
    return {
        "bench": "recovery",
        **served,
        **figures,
        "rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
    }


def _paused(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Fills a machine, measures snapshots of it beside batches, and leaves one for the service to begin from."""
    pairs = max(1, args.rows - sum(round(share * args.securities) for share, _ in kernel.HELD.values()))
    events = kernel.trades(2 * pairs, pairs, 2_000, args.securities, "uniform")
    machine = kernel.made(2_000, args.securities, args.rows + args.securities)
    try:
        for at in range(0, events.size, 100_000):
            machine.apply(events[at : at + 100_000])
        taking = Snapshots(folder_of(folder), machine, topics(*_TOPICS), dict, 3_600.0)
        figures = medians(lambda: _once(machine, taking, events), args.runs)
        _leave(folder)
        return figures | {"rows": machine.tables.count(Word.ROWS), "snapshot_mb": taking.status().size_bytes >> 20}
    finally:
        machine.close()


def _once(machine: Machine, taking: Snapshots, events: Any) -> dict[str, float]:
    """Turns of copying and batches, one after the other: milliseconds, and the processor's own of the same."""
    batches: dict[bool, list[float]] = {False: [], True: []}
    turns, cpu, at = [], [], 0

    def batch(*, beside: bool) -> None:
        nonlocal at
        at = at + _BATCH if at + 2 * _BATCH <= events.size else 0
        part = events[at : at + _BATCH]
        part["seq"] += events.size
        began = time.perf_counter()
        machine.apply(part)
        batches[beside].append((time.perf_counter() - began) * 1e3)

    for _ in range(200):
        batch(beside=False)
    began, began_cpu = time.perf_counter(), time.thread_time()
    taking.begin(time.time_ns())
    turns.append((time.perf_counter() - began) * 1e3)
    cpu.append((time.thread_time() - began_cpu) * 1e3)
    more = True
    while more:
        batch(beside=True)
        began, began_cpu = time.perf_counter(), time.thread_time()
        more = taking.turn()
        turns.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.thread_time() - began_cpu) * 1e3)
    taking.wait()
    return {
        "pause_ms": round(max(turns), 2),
        "pause_cpu_ms": round(max(cpu), 2),
        "begin_cpu_ms": round(cpu[0], 2),
        "batch_p50_ms": round(float(np.median(batches[False])), 2),
        "batch_beside_p50_ms": round(float(np.median(batches[True])), 2),
        "batch_beside_max_ms": round(max(batches[True]), 2),
    }


def _leave(folder: Path) -> None:
    """The newest snapshot again, as one of today."""
    contents = next(folder_of(folder).good())
    now = dt.datetime.now(dt.UTC)
    today = world.calendar(world.markets(), now, folder / "calendars").today
    header = msgspec.structs.replace(contents.header, today=today.tolist(), taken_ns=contents.header.taken_ns + 1)
    file = SnapshotFile(folder_of(folder).path, header)
    for name, arrays in contents.parts.items():
        for array in arrays:
            file.add(name, today if name == "today" else array)
    file.finish()


async def _served(args: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, float]:
    rows = args.rows + 200_000
    settings = Settings(
        instance=f"recovery-{os.getpid()}",
        port=services.free_port(),
        data=str(folder),
        kafka=bootstrap,
        events_topic=_TOPICS[0],
        reference_topic=_TOPICS[1],
        capacity=Capacity(rows=rows, securities=args.securities + 5_000, books=4_000),
        archive=False,
        quiet=True,
    )
    service = Service(settings, {})
    load = Load(bootstrap, args.rate, 1, 1_000, _TOPICS)
    try:
        await service.supervisor.start()
        await _answered(service)
        await load.begun()
        return await _medians(service, args.runs, random.Random(args.seed))  # noqa: S311  the moments, not a secret
    finally:
        load.stop()
        await service.supervisor.stop()


async def _medians(service: Service, runs: int, moments: random.Random) -> dict[str, float]:
    took = [await _killed(service, moments.random()) for _ in range(runs)]
    median = {name: round(statistics.median(one[name] for one in took), 2) for name in took[0]}
    return median | {"serving_most_s": round(max(one["serving_s"] for one in took), 2)}


async def _killed(service: Service, moment: float) -> dict[str, float]:
    """What it took, in seconds from kill -9 on. `moment`: where between two snapshots, 0 to 1."""
    before = service.snapshots()[0]
    while service.snapshots()[0] == before:  # noqa: ASYNC110  another's process has no event
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(moment * service.settings.snapshot_s)
    newest = int(service.snapshots()[0].stem)
    began, began_ns = time.monotonic(), time.time_ns()
    service.kill_engine()
    while not service.restored():  # noqa: ASYNC110  another's process has no event
        await asyncio.sleep(_LOOK_S)
    restored = time.monotonic()
    await _answered(service)
    served = time.monotonic()
    tables = service.tables()
    return {
        "serving_s": served - began,
        "restored_s": restored - began,
        "since_snapshot_s": (began_ns - newest) / 1e9,
        "rows_then": tables.count(Word.ROWS) if tables is not None else 0,
    }


async def _answered(service: Service) -> None:
    """Returns when the service is ready and has decided a locate. Raises `FaultError`."""
    deadline = time.monotonic() + PATIENCE_S
    body = json.dumps({"client": "C1", "security": "1", "quantity": 1, "requested_by": "bench"}).encode()
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = await Connection.open("127.0.0.1", service.settings.api_port, service.settings.api_token)
            with contextlib.closing(connection):
                ready, _ = await connection.request("GET", "/health/ready")
                if ready == OK:
                    status, answer = await connection.request("POST", "/api/v1/locates", body)
                    if status not in (OK, ACCEPTED):
                        raise FaultError(f"a locate was answered with {status}: {answer!r}")
                    return
        await asyncio.sleep(_LOOK_S)
    raise FaultError(f"does not serve after {PATIENCE_S:.0f} s")
