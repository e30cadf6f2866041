"""`ims bench sessions`: so many people on one page process and one gateway, each with a page and a grid of his own.

Every session opens the page as a browser does and keeps it, then looks at a window of its own, as a grid does. What is
measured: opening a page beside those that are open, event to frame, and what pages and gateway spend for it. Then all tabs
are closed, and opened and closed again a few times: `pages_kept_mb` is what the page process keeps of that.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

from app import process_table, tickets
from app.bench import grid, measure, running
from app.bench.page_sessions import PageSession
from app.settings import Settings

_FORGOTTEN_S: Final = 90.0
"""After which Bokeh has discarded a session that nobody is connected to: it looks every 17 s, and waits 15."""
_MB: Final = 1024 * 1024


def add(parser: argparse.ArgumentParser) -> None:
    """The load."""
    parser.add_argument("--sessions", type=int, default=100, help="people, each with a page and a grid (100)")
    parser.add_argument("--rows", type=int, default=50, help="rows of each grid's window (50)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the simulated universe (12,000)")
    parser.add_argument("--rate", type=int, default=20_000, help="events per second of the simulator (20,000)")
    parser.add_argument("--frame-ms", type=int, default=250, help="least time between two frames of a grid (250)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run (10)")
    parser.add_argument("--rounds", type=int, default=3, help="times that all pages are closed and opened again (3)")
    parser.add_argument("--forgotten-s", type=float, default=_FORGOTTEN_S, help="rest before memory is looked at (90)")
    parser.add_argument("--runs", type=int, default=measure.LEAST_RUNS, help="runs of which the median counts (3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`open_p50_ms`, `open_p99_ms`: a page beside the others; `p50_ms`, `p99_ms`: event to frame; percents of one core."""
    options = ("--securities", str(args.securities), "--rate", str(args.rate))
    os.environ["IMS_FRAME_MS"] = str(args.frame_ms)
    with measure.PeakMemory() as peak, running.service(*options) as service:
        service.wait_ready()
        told = {each.name: each.pid for each in process_table.read(service.data)}
        pages, gateway = psutil.Process(told["pages"]), psutil.Process(told["gateway"])
        empty_mb = _own_mb(pages)
        with _people(service.page, args.sessions, 1) as (opened_ms, _held):
            figures = measure.percentiles(opened_ms)
            named = {f"open_{name}": value for name, value in figures.items()}
            full_mb = _own_mb(pages)
            named |= measure.medians(lambda: _grids(service, args, pages, gateway), args.runs)
        time.sleep(args.forgotten_s)
        first_mb = _own_mb(pages)
        with _people(service.page, args.sessions, args.rounds):
            pass
        time.sleep(args.forgotten_s)
        kept_mb = _own_mb(pages) - first_mb
    return {
        **named,
        "pages_mb_per_session": (full_mb - empty_mb) / args.sessions,
        "pages_kept_mb": kept_mb,
        "rounds": args.rounds,
        "sessions": args.sessions,
        "rss_mb": peak.mb,
    }


def _grids(
    service: running.Service, args: argparse.Namespace, pages: psutil.Process, gateway: psutil.Process
) -> dict[str, float]:
    settings = Settings.load({"data": str(service.data), "port": service.port})
    load = grid.Load(
        instance="",
        port=settings.gateway_port,
        ticket=tickets.issue(settings.secret, time.time(), valid_s=measure.LONGEST_S),
        securities=args.securities,
        sessions=args.sessions,
        rows=args.rows,
        batches_per_s=0.0,
        seconds=args.seconds,
        shared=False,
    )
    with grid.child(grid.clients, load) as looking:
        looking.recv()  # every session has its first window
        before, began = (_cpu_s(pages), _cpu_s(gateway)), time.perf_counter()
        looking.send(None)
        latencies_ms, frames, _received = looking.recv()
        spent_s = time.perf_counter() - began
        used = _cpu_s(pages) - before[0], _cpu_s(gateway) - before[1]
    return measure.percentiles(latencies_ms) | {
        "frames_per_s_and_grid": frames / spent_s / args.sessions,
        "gateway_core_percent_per_grid": 100 * used[1] / spent_s / args.sessions,
        "pages_core_percent_per_session": 100 * used[0] / spent_s / args.sessions,
    }


@contextmanager
def _people(address: str, sessions: int, rounds: int) -> Iterator[tuple[list[float], "subprocess.Popen[str]"]]:
    """So many pages, open in a process of their own; all closed, and opened again, before the last of `rounds`."""
    plan = json.dumps({"address": address, "sessions": sessions, "rounds": rounds})
    command = [sys.executable, "-m", "app.bench.sessions", plan]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told = process.stdout.readline()
        if not told:
            raise RuntimeError("the sessions could not be opened")
        yield json.loads(told), process
        process.stdin.close()


async def _open(address: str, sessions: int, rounds: int) -> None:
    for left in reversed(range(rounds)):
        held = [await PageSession.open(address) for _ in range(sessions)]
        if left == 0:
            print(json.dumps([session.opened_ms for session in held]), flush=True)  # noqa: T201  to who started us
            await asyncio.to_thread(sys.stdin.read)
        for session in held:
            session.close()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _own_mb(process: psutil.Process) -> float:
    """Memory that nobody shares with it, in megabytes."""
    return float(process.memory_full_info().uss) / _MB


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    asyncio.run(_open(given["address"], given["sessions"], given["rounds"]))
