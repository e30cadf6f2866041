"""`ims bench kafka`: a real broker on this machine, preloaded topics, and the service's own engine and worker processes.

The clock runs from the first poll of the first worker until the last event is applied: positions, ladders, terms and
calculations. Reference data is read before, as it is when the service starts.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from app.bench import measure, services
from app.bench.kafka_load import Load, load
from app.settings import Settings
from engine.ring import Ring
from engine.segment import SegmentMissingError
from engine.tables import Tables, Word
from feeds.outlet import Outlet, Spent

_PATIENCE_S: Final = 600.0
_LOOK_S: Final = 0.002
_TOLD_LINES: Final = 30
_STILL_S: Final = 45.0


class BenchError(RuntimeError):
    """A run that did not come to its end, or did not count right."""


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes, runs and, if it should be another, the broker."""
    parser.add_argument("--json-events", type=int, default=3_000_000, help="single-event JSON records (3 million)")
    parser.add_argument("--arrow-events", type=int, default=20_000_000, help="events in Arrow records (20 million)")
    parser.add_argument("--batch", type=int, default=1_000, help="events of an Arrow record (1000)")
    parser.add_argument(
        "--workers", type=int, default=max(2, measure.cores()), help="decode workers where several are used"
    )
    parser.add_argument("--runs", type=int, default=measure.LEAST_RUNS, help="runs of which the median is given (3)")
    parser.add_argument("--kafka", help="bootstrap servers to use instead of a broker of the bench's own")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Figures of each case, and as `events_per_s` the first one's: JSON, one worker."""
    with contextlib.ExitStack() as stack:
        bootstrap = args.kafka or stack.enter_context(services.kafka())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ims-bench-")))
        name = f"bench-{os.getpid()}"
        cases: dict[str, object] = {}
        if args.json_events:
            single = asyncio.run(load(bootstrap, f"{name}-json", "json", args.json_events, args.batch, folder))
            cases["json_1_worker"] = _case(bootstrap, single, 1, args.runs, folder)
            if args.workers > 1:
                cases[f"json_{args.workers}_workers"] = _case(bootstrap, single, args.workers, args.runs, folder)
        if args.arrow_events:
            arrow = asyncio.run(load(bootstrap, f"{name}-arrow", "arrow", args.arrow_events, args.batch, folder))
            cases["arrow_1_worker"] = _case(bootstrap, arrow, 1, args.runs, folder)
    figures: Any = next(iter(cases.values()))
    return {"events_per_s": figures["events_per_s"], "runs": args.runs, **cases, "rss_mb": _largest(cases)}


def _largest(cases: dict[str, Any]) -> float:
    return max(float(case["rss_mb"]) for case in cases.values())


def _case(bootstrap: str, load: Load, workers: int, runs: int, folder: Path) -> dict[str, float]:
    """Medians of `runs`, each with an engine and workers of its own."""
    medians = measure.medians(lambda: _once(bootstrap, load, workers, folder), runs)
    sizes = {"events": load.events, "bytes_per_event": load.bytes_per_event, "workers": workers}
    return medians | sizes | {f"{feed}_percent": percent for feed, percent in load.parts.items()}


def _once(bootstrap: str, load: Load, workers: int, folder: Path) -> dict[str, float]:
    settings = Settings(
        instance=f"bench-{os.getpid()}",
        port=services.free_port(),
        data=tempfile.mkdtemp(dir=folder),  # what a run leaves behind is not the next one's
        kafka=bootstrap,
        events_topic=load.events_topic,
        reference_topic=load.reference_topic,
        workers=workers,
    )
    with _said(settings), _service(settings) as processes:
        tables, outlets = _attached(settings, processes)
        _begun(outlets, processes)
        before = [_cpu_s(process) for process in processes]
        ended = _applied(tables, load.events, processes)
        engine_s, *workers_s = (_cpu_s(process) - cpu_s for process, cpu_s in zip(processes, before, strict=True))
        spent = _spent(outlets)
        figures = {
            "events_per_s": load.events / (ended - spent.pop("began_s")),
            "engine_cpu_s": engine_s,
            "workers_cpu_s": sum(workers_s),
            "rss_mb": _peak_mb(processes),
        }
        if tables.count(Word.EVENTS) != load.events or tables.count(Word.QUARANTINED) or tables.count(Word.REJECTED):
            raise BenchError(f"{tables.count(Word.EVENTS):,} events applied, not {load.events:,}")
        tables.close()
        return {name: round(value, 2) for name, value in (figures | spent).items()}


@contextlib.contextmanager
def _said(settings: Settings) -> Iterator[None]:
    """A run that fails is told with the last that its processes said."""
    try:
        yield
    except BenchError as error:
        lines = (settings.folder / "bench.log").read_text(errors="replace").splitlines()
        raise BenchError("\n".join([str(error), *lines[-_TOLD_LINES:]])) from error


@contextlib.contextmanager
def _service(settings: Settings) -> Iterator[list[psutil.Process]]:
    """The engine and its workers, without pages; the first process is the engine."""
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    names = ["engine", *["worker"] * settings.workers]
    started: list[subprocess.Popen[bytes]] = []
    with (settings.folder / "bench.log").open("ab") as log:
        try:
            for number, name in enumerate(names):
                command = [sys.executable, "-m", "app.child", name]
                own = environment | {"IMS_WORKER": str(number - 1)}
                started.append(
                    subprocess.Popen(command, env=own, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
                )
            yield [psutil.Process(process.pid) for process in started]
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                process.kill()
                process.wait()


def _attached(settings: Settings, processes: list[psutil.Process]) -> tuple[Tables, list[Outlet]]:
    """Waits until the engine has made its tables and rings."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(SegmentMissingError):
            tables = Tables.attach(f"{settings.instance}.tables")
            return tables, [Outlet(Ring.attach(f"{settings.instance}.ring{n}")) for n in range(settings.workers)]
        _check(processes, deadline)
        time.sleep(_LOOK_S)


def _applied(tables: Tables, events: int, processes: list[psutil.Process]) -> float:
    """Waits until so many events are applied; returns the moment, in seconds since 1970."""
    deadline, still_s = time.monotonic() + _PATIENCE_S, time.monotonic() + _STILL_S
    before = -1
    while (applied := tables.count(Word.EVENTS)) < events:
        if applied > before:
            before, still_s = applied, time.monotonic() + _STILL_S
        if time.monotonic() > still_s:
            kept = tables.count(Word.QUARANTINED), tables.count(Word.REJECTED), tables.count(Word.PARKED)
            raise BenchError(f"stands at {applied:,} of {events:,}; quarantined, refused, parked: {kept}")
        _check(processes, deadline)
        time.sleep(_LOOK_S)
    return time.time()


def _check(processes: list[psutil.Process], deadline: float) -> None:
    # a child that ended stays a zombie until it is waited for
    if time.monotonic() > deadline or any(process.status() == psutil.STATUS_ZOMBIE for process in processes):
        raise BenchError("the service ended, or did not come to its end in time")


def _begun(outlets: list[Outlet], processes: list[psutil.Process]) -> None:
    """Waits until a worker polls."""
    deadline = time.monotonic() + _PATIENCE_S
    while not any(outlet.spent[Spent.BEGAN] for outlet in outlets):
        _check(processes, deadline)
        time.sleep(_LOOK_S)


def _spent(outlets: list[Outlet]) -> dict[str, float]:
    """Where the workers' time went, summed over them, and when the first began, in seconds."""
    total = {
        f"{what.name.lower()}_s": float(sum(outlet.spent[what] for outlet in outlets)) / 1e9
        for what in (Spent.FETCH, Spent.DECODE, Spent.PUSH)
    }
    began = [int(outlet.spent[Spent.BEGAN]) for outlet in outlets]
    return total | {"began_s": min(moment for moment in began if moment) / 1e9}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak_mb(processes: list[psutil.Process]) -> float:
    """Peak resident memory of all, with the engine's shared memory counted once."""
    total = 0
    for number, process in enumerate(processes):
        status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        total += int(status["VmHWM"].split()[0]) - (int(status["RssShmem"].split()[0]) if number else 0)
    return total / 1024
