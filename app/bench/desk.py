"""What the benches of locates and of orders share: an engine of its own, events at a steady rate, and clients over REST.

The clients keep to a timetable, whatever the answers do: each latency is counted from the moment the request was due, so a
stall counts for everything that had to wait. Afterwards one client asks with lists of a thousand lines (`list_of_1000_ms`),
and then all of them as fast as they can (`most_...`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import psutil

from app.bench import services
from app.bench.measure import PeakMemory, medians
from app.settings import Settings
from engine.model import Capacity
from engine.segment import folder
from engine.tables import Tables, Word

STORES: Final = ("sqlite", "postgresql")
_SHARES: Final = 10**12
_WARM_S: Final = 3.0
_START_S: Final = 60.0
_LONG_LIST: Final = 1_000
_LONG_LISTS_PER_S: Final = 2


def add(parser: argparse.ArgumentParser, *, requests: int, runs: int = 3) -> None:
    """The sizes."""
    parser.add_argument("--requests", type=int, default=requests, help=f"requests per second ({requests:,})")
    parser.add_argument("--lines", type=int, default=1, help="lines of each request (1)")
    parser.add_argument("--clients", type=int, default=32, help="connections, kept alive (32)")
    parser.add_argument("--events", type=int, default=300_000, help="events per second meanwhile (300,000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run (10)")
    parser.add_argument("--securities", type=int, default=10_000, help="securities (10,000)")
    parser.add_argument("--runs", type=int, default=runs, help=f"runs of which the median counts ({runs})")
    parser.add_argument("--store", choices=STORES, default=STORES[0], help="the journal; PostgreSQL is one of its own")
    parser.add_argument("--database", help="SQLAlchemy URL of the journal, instead")


def run(args: argparse.Namespace, what: str) -> dict[str, object]:
    """Median figures of `runs`. `what`: locates or orders; every one is on disk before it is answered."""
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as data, _service(args, data) as (settings, engine):
        tables = Tables.attach(f"{settings.instance}.tables")
        try:
            _measure(settings, args, what, tables, engine, _WARM_S)
            with PeakMemory() as peak:
                figures = medians(lambda: _measure(settings, args, what, tables, engine, args.seconds), args.runs)
                figures |= medians(lambda: _long_lists(settings, args, what), args.runs)
                figures |= medians(lambda: _saturate(settings, args, what), args.runs)
        finally:
            tables.close()
    store = args.database.partition(":")[0].partition("+")[0] if args.database else args.store
    return {
        **figures,
        "lines": args.lines,
        "clients": args.clients,
        "securities": args.securities,
        "journal": f"{store}, on disk before the answer",
        "rss_mb": peak.mb,
    }


def _measure(
    settings: Settings, args: argparse.Namespace, what: str, tables: Tables, engine: psutil.Process, seconds: float
) -> dict[str, float]:
    """`engine_cores`: what the engine used of cores while it decided and applied events."""
    before, used_s, began = tables.count(Word.EVENTS), _used_s(engine), time.monotonic()
    figures = _clients(settings, args, what, seconds, args.requests)
    spent_s = time.monotonic() - began
    figures["engine_cores"] = (_used_s(engine) - used_s) / spent_s
    decided = {f"{what}_per_s": figures["requests_per_s"] * args.lines}
    return figures | decided | {"events_per_s": (tables.count(Word.EVENTS) - before) / spent_s}


def _used_s(process: psutil.Process) -> float:
    """Seconds of a core."""
    used = process.cpu_times()
    return used.user + used.system


def _long_lists(settings: Settings, args: argparse.Namespace, what: str) -> dict[str, float]:
    one = argparse.Namespace(**vars(args) | {"lines": _LONG_LIST, "clients": 1})
    figures = _clients(settings, one, what, args.seconds / 2, _LONG_LISTS_PER_S)
    return {"list_of_1000_ms": figures["p50_ms"], "list_of_1000_worst_ms": figures["worst_ms"]}


def _saturate(settings: Settings, args: argparse.Namespace, what: str) -> dict[str, float]:
    figures = _clients(settings, args, what, args.seconds / 2, 0)
    return {f"most_{what}_per_s": figures["requests_per_s"] * args.lines, "most_p99_ms": figures["p99_ms"]}


def _clients(settings: Settings, args: argparse.Namespace, what: str, seconds: float, rate: int) -> dict[str, float]:
    """The clients in a process of their own. Raises `RuntimeError` if an answer was no success."""
    plan = {
        "port": settings.api_port,
        "token": settings.api_token,
        "what": what,
        "lines": args.lines,
        "clients": args.clients,
        "seconds": seconds,
        "rate": rate,
        "securities": args.securities,
    }
    done = subprocess.run(
        [sys.executable, "-m", "app.bench.desk_clients", json.dumps(plan)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the clients failed: {done.stderr[-2_000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _database(args: argparse.Namespace) -> Iterator[str | None]:
    """URL of the journal; None: SQLite in the data folder."""
    if args.database or args.store == "sqlite":
        yield args.database
    else:
        with services.postgres() as url:
            yield url


@contextmanager
def _service(args: argparse.Namespace, data: str) -> Iterator[tuple[Settings, psutil.Process]]:
    """An engine process and its feed, ready, on free ports."""
    with _database(args) as database:
        settings = Settings(
            instance=f"bench-desk-{os.getpid()}",
            port=services.free_port(),
            data=data,
            database=database,
            capacity=Capacity(securities=args.securities, books=256, depots=8, sources=4, rows=210 * args.securities),
        )
        with _running(settings, args) as (log, engine):
            _wait_ready(settings.instance, log)
            yield settings, engine


@contextmanager
def _running(settings: Settings, args: argparse.Namespace) -> Iterator[tuple[Path, psutil.Process]]:
    """The log of an engine that serves and of its feed, and the engine. Raises `RuntimeError` with the log's end instead."""
    log = settings.folder / "engine.log"
    with log.open("wb") as errors:
        engine = _start([sys.executable, "-m", "app.child", "engine"], settings, errors)
        command = [sys.executable, "-m", "app.bench.locate_feed", settings.instance]
        sizes = [args.events, args.securities, _SHARES, _SHARES]
        feed = _start([*command, *map(str, sizes)], settings, errors)
        try:
            assert engine.stdout is not None
            if engine.stdout.readline().strip() != b"READY":
                raise RuntimeError(f"the engine did not start: {log.read_text()[-2_000:]}")
            yield log, psutil.Process(engine.pid)
        finally:
            for process in (feed, engine):
                process.terminate()
            for process in (feed, engine):
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for left in folder().glob(f"ims.{settings.instance}.*"):
                left.unlink(missing_ok=True)


def _start(command: list[str], settings: Settings, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)


def _wait_ready(instance: str, log: Path) -> None:
    """Until it has all positions. Raises `RuntimeError` with the end of its log."""
    tables = Tables.attach(f"{instance}.tables")
    deadline = time.monotonic() + _START_S
    while not tables.count(Word.READY):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the feed did not finish: {log.read_text()[-2_000:]}")
        time.sleep(0.05)
    tables.close()
