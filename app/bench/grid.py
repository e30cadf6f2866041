"""Grids: many sessions on one gateway while every row changes; and how long membership of large views takes.

The writer puts the moment of each batch into `updated_ms` of every row, just before readers may see it. A client takes
that cell out of each frame it receives: the difference is the time from write to frame, on the same clock.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np
import psutil

from app import tickets
from app.bench import measure, services
from app.bench.synthetic import synthetic_positions, synthetic_tables
from app.settings import Settings
from engine.model import Temperature
from engine.tables import Tables, Word
from engine.views import Inventory, Query

_LAST: Final = "updated_ms", "at_least"
"""Columns that every client asks for besides those that a page shows."""
_HEADER_BYTES: Final = 40
_MILLION: Final = 1_000_000
_SETTLE_S: Final = 60.0
"""How long every session may take to see its first window."""
_LOOK_S: Final = 0.05
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Load:
    """What clients and writer do."""

    instance: str
    port: int
    ticket: str
    securities: int
    sessions: int
    rows: int
    batches_per_s: float
    seconds: float
    shared: bool
    """Whether all sessions look at the same window, or each at one of its own in one of eight views."""
    positions: int = 0
    """Rows of the position table, which nobody looks at."""


def add(parser: argparse.ArgumentParser) -> None:
    """The size of the load; the defaults are those of the design."""
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--rows", type=int, default=50, help="rows of each window")
    parser.add_argument("--securities", type=int, default=50_000)
    parser.add_argument("--batches", type=float, default=10, help="batches per second, each changing every row")
    parser.add_argument("--frame-ms", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=measure.LEAST_RUNS)
    parser.add_argument("--million", type=int, default=_MILLION, help="rows of the large view")


def run(args: argparse.Namespace) -> dict[str, object]:
    """Figures of sessions with windows of their own; `shared_` where all look at the same; times of memberships."""
    with measure.PeakMemory() as peak:
        own = measure.medians(lambda: _sessions(args, shared=False), args.runs)
        shared = measure.medians(lambda: _sessions(args, shared=True), args.runs)
    figures: dict[str, object] = dict(own)
    figures |= {f"shared_{name}": value for name, value in shared.items() if name != "runs"}
    figures |= _memberships(args.securities, args.runs, "")
    figures |= _memberships(args.million, args.runs, "large_")
    return figures | {"sessions": args.sessions, "cores": measure.cores(), "rss_mb": peak.mb}


# sessions


def _sessions(args: argparse.Namespace, *, shared: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        instance = f"bench-grid-{os.getpid()}"
        settings = Settings(instance=instance, data=folder, frame_ms=args.frame_ms, port=services.free_port())
        load = Load(
            instance=instance,
            port=settings.gateway_port,
            ticket=tickets.issue(settings.secret, time.time(), valid_s=measure.LONGEST_S),
            securities=args.securities,
            sessions=args.sessions,
            rows=args.rows,
            batches_per_s=args.batches,
            seconds=args.seconds,
            shared=shared,
        )
        with child(write, load) as writer, gateway(settings) as process, child(clients, load) as sessions:
            sessions.recv()  # every session has its first window
            before, started = _cpu_s(process), time.perf_counter()
            sessions.send(None)
            latencies_ms, frames, received = sessions.recv()
            used, took = _cpu_s(process) - before, time.perf_counter() - started
            writer.send(None)
        return measure.percentiles(latencies_ms) | {
            "gateway_core_percent": 100 * used / took,
            "frames_per_s": frames / took,
            "megabytes_per_s": received / took / 1e6,
        }


@contextmanager
def child(work: Callable[[Load, Connection], None], load: Load) -> Iterator[Connection]:
    """A process that does `work`; the connection leads to it. Waits for its first word."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=work, args=(load, theirs), daemon=True)
    process.start()
    try:
        ours.recv()
        yield ours
    finally:
        process.terminate()
        process.join()


@contextmanager
def gateway(settings: Settings) -> Iterator[psutil.Process]:
    """A gateway's process, which serves."""
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    command = [sys.executable, "-m", "app.child", "gateway"]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        try:
            if child.stdout is None or child.stdout.readline().strip() != "READY":
                raise RuntimeError("the gateway did not start")
            yield psutil.Process(child.pid)
        finally:
            child.terminate()


def write(load: Load, parent: Connection) -> None:
    """Own the tables and change every row so many times a second."""
    tables = synthetic_tables(f"{load.instance}.tables", load.securities, rows=max(1_000, load.positions + 1))
    if load.positions:
        synthetic_positions(tables, load.positions, books=200, depots=40)
    parent.send("ready")
    period_s, due_s = 1 / load.batches_per_s, time.monotonic()
    while not parent.poll(max(0.0, due_s - time.monotonic())):
        due_s += period_s
        _batch(tables)
    tables.close()


def _batch(tables: Tables) -> None:
    array, state = tables.array, tables.state
    with tables.writing():
        array["values"] += 1
        array["terms"][:, 0] += 1
        array["price"] += 10_000
        state[Word.EVENTS] += len(array["price"]) - 1
        state[Word.BATCHES] += 1
        now_ns = time.time_ns()
        array["updated_ns"][:] = now_ns
        state[Word.LAST_EVENT_NS] = state[Word.HEARTBEAT_NS] = now_ns


def clients(load: Load, parent: Connection) -> None:
    """All sessions; told to begin, they tell latencies, frames and bytes when their time is over."""
    asyncio.run(_all_clients(load, parent))


async def _all_clients(load: Load, parent: Connection) -> None:
    parent.send("ready")
    clients = [Client(load, number) for number in range(load.sessions)]
    await asyncio.gather(*(client.open() for client in clients))
    readers = [asyncio.create_task(client.read()) for client in clients]
    await asyncio.wait_for(asyncio.gather(*(client.seen.wait() for client in clients)), _SETTLE_S)
    parent.send("open")
    await asyncio.to_thread(parent.recv)
    for client in clients:
        client.latencies_ms, client.frames, client.received = [], 0, 0
    await asyncio.sleep(load.seconds)
    async with asyncio.timeout(_SETTLE_S):
        while not any(client.latencies_ms for client in clients):  # noqa: ASYNC110  a short run on a busy machine
            await asyncio.sleep(_LOOK_S)
    latencies_ms = [latency for client in clients for latency in client.latencies_ms]
    parent.send((latencies_ms, sum(client.frames for client in clients), sum(client.received for client in clients)))
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)


class Client:
    """One grid without its pixels."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.latencies_ms: list[float] = []
        self.frames = 0
        self.received = 0
        self.seen = asyncio.Event()

    async def open(self) -> None:
        from tornado.websocket import websocket_connect  # noqa: PLC0415  only this child speaks

        self.connection = await websocket_connect(f"ws://127.0.0.1:{self.load.port}/ws/grid?ticket={self.load.ticket}")
        hello = await self._hello()
        columns = [column["id"] for column in hello["columns"] if column.get("shown") and column["id"] not in _LAST]
        columns += _LAST
        self._updated = columns.index("updated_ms")
        own = 0 if self.load.shared else self.number
        view: dict[str, Any] = {"t": "view", "v": 1, "columns": columns, "first": own * 10, "count": self.load.rows}
        view["sort"] = [[columns[own % 8], "asc" if own % 2 else "desc"]]
        await self.connection.write_message(json.dumps(view))

    async def _hello(self) -> dict[str, Any]:
        while (message := await self.connection.read_message()) is not None:
            if isinstance(message, str) and (said := json.loads(message))["t"] == "hello":
                return dict(said)
        raise ConnectionError("the gateway closed the socket")

    async def read(self) -> None:
        """Note the age of the newest row change in every frame of changed cells."""
        while (message := await self.connection.read_message()) is not None:
            if isinstance(message, str):
                continue
            now_ms = time.time() * 1e3
            self.seen.set()
            self.frames += 1
            self.received += len(message)
            if message[0] == 2:  # noqa: PLR2004  changed cells
                count = int.from_bytes(message[36:40], "little")
                columns_at = _HEADER_BYTES + 8 * count + -(-2 * count // 8) * 8
                cell = message.find(self._updated.to_bytes(1, "little"), columns_at)
                if cell >= 0:
                    updated_ms = np.frombuffer(message, "<f8", 1, _HEADER_BYTES + 8 * (cell - columns_at))[0]
                    self.latencies_ms.append(now_ms - float(updated_ms))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# memberships


def _queries(inventory: Inventory) -> dict[str, dict[str, Any]]:
    """By name of the figure. Numbers are those of locates: what is left of the pool, and the first that moves."""
    columns = inventory.columns()
    left, markets = columns.left.name, tuple(market.code for market in inventory.tables.markets[:2])
    moving = next(column.name for column in columns.all if column.floor)
    return {
        "sort_number_ms": {"sort": ((left, "asc"),)},
        "sort_text_ms": {"sort": (("name", "asc"),)},
        "sort_three_keys_ms": {"sort": (("market", "asc"), ("temperature", "desc"), (left, "asc"))},
        "search_common_ms": {"text": "an"},
        "search_rare_ms": {"text": "falcon 4711"},
        "filters_ms": {
            "markets": markets,
            "temperatures": (Temperature.HTB.name,),
            "changed_today": True,
            "sort": ((moving, "desc"),),
        },
    }


def _memberships(securities: int, runs: int, prefix: str) -> dict[str, object]:
    """Times of renewals on `securities` rows, reference data already at hand; and of one snapshot of everything."""
    tables = synthetic_tables(f"bench-views-{os.getpid()}", securities)
    try:
        inventory = Inventory(tables)
        times = {name: _best(inventory, Query(("name",), **parts), runs) for name, parts in _queries(inventory).items()}
        columns = inventory.columns()
        shown = tuple(column.name for column in columns.all if column.shown)
        everything = Query(shown, sort=((columns.left.name, "asc"),))
        times["snapshot_ms"] = _time(lambda: inventory.lines(everything, time.time_ns()))
    finally:
        tables.close()
    figures: dict[str, object] = {f"{prefix}{name}": round(value, 2) for name, value in times.items()}
    return figures | {f"{prefix}rows": securities}


def _best(inventory: Inventory, query: Query, runs: int) -> float:
    """The median in milliseconds, after a first time that builds ranks and search text."""
    inventory.membership(query, time.time_ns())

    def again() -> dict[str, float]:
        inventory.reference().forget_searches()
        return {"ms": _time(lambda: inventory.membership(query, time.time_ns()))}

    return measure.medians(again, runs)["ms"]


def _time(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3
