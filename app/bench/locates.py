"""`ims bench locates`: an engine of its own, events at a steady rate, and clients that ask for locates over REST.

The clients keep to a timetable, whatever the answers do: each latency is counted from the moment the request was due, so a
stall counts for everything that had to wait. Afterwards all clients ask as fast as they can (`most_requests_per_s`).
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

from app.bench import services
from app.bench.measure import PeakMemory, medians
from app.settings import Settings
from engine.model import Capacity
from engine.segment import folder
from engine.tables import Tables, Word

_SHARES: Final = 10**12
_WARM_S: Final = 3.0
_START_S: Final = 60.0


def add(parser: argparse.ArgumentParser) -> None:
    """The sizes."""
    parser.add_argument("--requests", type=int, default=1_100, help="requests per second (1,100)")
    parser.add_argument("--clients", type=int, default=32, help="connections, kept alive (32)")
    parser.add_argument("--events", type=int, default=300_000, help="events per second meanwhile (300,000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run (10)")
    parser.add_argument("--securities", type=int, default=10_000, help="securities (10,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")
    parser.add_argument("--database", help="SQLAlchemy URL of the journal (SQLite in a temporary folder)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Median figures of `runs`; every locate is on disk before it is answered."""
    with tempfile.TemporaryDirectory(prefix="ims-bench-") as data, _service(args, data) as settings:
        tables = Tables.attach(f"{settings.instance}.tables")
        try:
            _measure(settings, args, tables, _WARM_S)
            with PeakMemory() as peak:
                figures = medians(lambda: _measure(settings, args, tables, args.seconds), args.runs)
                figures |= medians(lambda: _saturate(settings, args), args.runs)
            located = tables.count(Word.LOCATES_LIVE)
        finally:
            tables.close()
    store = "sqlite" if args.database is None else args.database.partition(":")[0].partition("+")[0]
    return {
        **figures,
        "clients": args.clients,
        "securities": args.securities,
        "journal": f"{store}, on disk before the answer",
        "locates": located,
        "rss_mb": peak.mb,
    }


def _measure(settings: Settings, args: argparse.Namespace, tables: Tables, seconds: float) -> dict[str, float]:
    before, began = tables.count(Word.EVENTS), time.monotonic()
    figures = _clients(settings, args, seconds, args.requests)
    spent_s = time.monotonic() - began
    return figures | {"events_per_s": (tables.count(Word.EVENTS) - before) / spent_s}


def _saturate(settings: Settings, args: argparse.Namespace) -> dict[str, float]:
    figures = _clients(settings, args, args.seconds / 2, 0)
    return {"most_requests_per_s": figures["requests_per_s"], "most_p99_ms": figures["p99_ms"]}


def _clients(settings: Settings, args: argparse.Namespace, seconds: float, rate: int) -> dict[str, float]:
    """The clients in a process of their own. Raises `RuntimeError` if an answer was no success."""
    what = {
        "port": settings.api_port,
        "token": settings.api_token,
        "clients": args.clients,
        "seconds": seconds,
        "rate": rate,
        "securities": args.securities,
    }
    done = subprocess.run(
        [sys.executable, "-m", "app.bench.locate_clients", json.dumps(what)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the clients failed: {done.stderr[-2_000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _service(args: argparse.Namespace, data: str) -> Iterator[Settings]:
    """An engine process and its feed, ready, on free ports."""
    instance = f"bench-locates-{os.getpid()}"
    settings = Settings(
        instance=instance,
        port=services.free_port(),
        data=data,
        database=args.database,
        capacity=Capacity(securities=args.securities, books=256, depots=8, sources=4, rows=210 * args.securities),
    )
    log = Path(data, "engine.log")
    with log.open("wb") as errors:
        engine = _start([sys.executable, "-m", "app.child", "engine"], settings, errors)
        command = [sys.executable, "-m", "app.bench.locate_feed", instance]
        feed = _start([*command, str(args.events), str(args.securities), str(_SHARES)], settings, errors)
        try:
            _wait_ready(engine, instance, log)
            yield settings
        finally:
            for process in (feed, engine):
                process.terminate()
            for process in (feed, engine):
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for left in folder().glob(f"ims.{instance}.*"):
                left.unlink(missing_ok=True)


def _start(command: list[str], settings: Settings, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)


def _wait_ready(engine: subprocess.Popen[bytes], instance: str, log: Path) -> None:
    """Until it serves and has all positions. Raises `RuntimeError` with the end of its log."""
    assert engine.stdout is not None
    if engine.stdout.readline().strip() != b"READY":
        raise RuntimeError(f"the engine did not start: {log.read_text()[-2_000:]}")
    tables = Tables.attach(f"{instance}.tables")
    deadline = time.monotonic() + _START_S
    while not tables.count(Word.READY):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the feed did not finish: {log.read_text()[-2_000:]}")
        time.sleep(0.05)
    tables.close()
