"""Large tables: what a renewal of two million rows costs, files of a million lines, and frames of grids beside them.

Work is told in time of the processor (`_cpu_ms`, `_cpu_s`), which other work on the machine does not change; files also by the
clock.
Frames beside: sessions on a table of which every row changes, first alone, then while files are made one after the other.
"""

import argparse
import os
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np

from app import tickets
from app.bench import grid, measure, services
from app.bench.synthetic import synthetic_positions, synthetic_tables
from app.export.job import Form, Job
from app.export.maker import made
from app.gateway.messages import Filter, Where
from app.settings import Settings
from engine.tables import Tables
from engine.views import POSITION_COLUMNS, POSITIONS, Condition, Inventory, Opening, Query, Wanted, warm

_MILLION: Final = 1_000_000
_SHOWN: Final = tuple(column.name for column in POSITION_COLUMNS if column.shown)
_SUMS: Final = frozenset(column.name for column in POSITION_COLUMNS if column.shown and column.summed)
_BOOKS: Final = 200


def add(parser: argparse.ArgumentParser) -> None:
    """The size of tables and load."""
    parser.add_argument("--rows", type=int, default=2 * _MILLION, help="rows of the position table")
    parser.add_argument("--lines", type=int, default=_MILLION, help="lines of a file")
    parser.add_argument("--securities", type=int, default=50_000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--runs", type=int, default=measure.LEAST_RUNS)


def run(args: argparse.Namespace) -> dict[str, object]:
    """Figures of renewals, of files, and of frames beside files."""
    with measure.PeakMemory() as peak:
        with _positions(f"bench-export-{os.getpid()}", args.securities, args.rows) as tables:
            figures: dict[str, object] = {**_renewals(tables, args.runs), **_files(tables, args.lines)}
        figures |= _beside(args)
    return figures | {"rows": args.rows, "lines": args.lines, "cores": measure.cores(), "rss_mb": peak.mb}


@contextmanager
def _positions(name: str, securities: int, rows: int) -> Iterator[Tables]:
    tables = synthetic_tables(name, securities, rows=rows + 1)
    synthetic_positions(tables, rows, books=_BOOKS, depots=40)
    try:
        yield tables
    finally:
        tables.close()


# renewals


def _queries(market: str) -> dict[str, tuple[Query, Wanted]]:
    def query(**parts: Any) -> Query:
        return Query(_SHOWN, table=POSITIONS, **parts)

    sums = Wanted(_SUMS, frozenset({Opening()}))
    one_open = Wanted(_SUMS, frozenset({Opening(toggled=frozenset({(market,), (market, "FIRM")}))}))
    return {
        "all": (query(), Wanted()),
        "totals": (query(), Wanted(_SUMS, totals=True)),
        "filter_text": (query(where=(Condition("client", "in", ("FUND1", "FUND2")),)), Wanted()),
        "filter_number": (query(where=(Condition("td", ">", 5_000_000),)), Wanted()),
        "sort_number": (query(sort=(("td", "desc"),)), Wanted()),
        "sort_text": (query(sort=(("name", "asc"),)), Wanted()),
        "sort_three": (query(sort=(("market", "asc"), ("book", "asc"), ("sd0", "desc"))), Wanted()),
        "group_market": (query(groups=("market",)), sums),
        "group_market_kind_open": (query(groups=("market", "kind"), sort=(("td", "desc"),)), one_open),
        "group_security": (query(groups=("security",), sort=(("value", "desc"),)), sums),
        "pivot": (Query(("td", "value"), table=POSITIONS, groups=("market", "client"), pivot="kind"), sums),
    }


def _renewals(tables: Tables, runs: int) -> dict[str, float]:
    """Each a first time, when ranks and groups are made, and again, as renewals are. Milliseconds of processor."""
    warm()
    inventory = Inventory(tables)
    figures: dict[str, float] = {}
    for name, (query, wanted) in _queries(tables.markets[0].code).items():
        before = inventory.membership(query, 0, wanted)
        again = measure.medians(
            lambda query=query, wanted=wanted, before=before: {  # type: ignore[misc]
                "ms": _cpu_ms(lambda: inventory.membership(query, 0, wanted, before))
            },
            runs,
        )
        figures[f"{name}_cpu_ms"] = round(again["ms"], 1)
    sight = inventory.sight(POSITIONS)
    ids = np.random.default_rng(1).choice(sight.everybody, 60)
    window = sight.window([sight.by_name[name] for name in _SHOWN], ids)
    window.read()
    times = measure.medians(lambda: {"ms": _cpu_ms(lambda: [window.read() for _ in range(100)]) / 100}, runs)
    return figures | {"window_of_60_cpu_ms": round(times["ms"], 3)}


def _cpu_ms(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


# files


def _files(tables: Tables, lines: int) -> dict[str, float]:
    """What it takes to make a file of so many lines with the columns that a page shows, from the table to the last byte."""
    figures: dict[str, float] = {}
    name = tables.segment.path.name.removeprefix("ims.")
    for form in Form:
        job = Job(
            tables=name,
            form=form,
            table=POSITIONS,
            columns=_SHOWN,
            filter=Filter(where=(Where("id", "<=", lines),)),
            now_ns=time.time_ns(),
        )
        cpu, wall, size = time.process_time(), time.perf_counter(), 0
        for _, data in made(job):
            size += len(data)
        figures[f"{form}_cpu_s"] = round(time.process_time() - cpu, 2)
        figures[f"{form}_s"] = round(time.perf_counter() - wall, 2)
        figures[f"{form}_mb"] = round(size / 1e6, 1)
    return figures


# beside frames


def _beside(args: argparse.Namespace) -> dict[str, float]:
    """Frames of sessions that look at the inventory, alone and while files of the position table are fetched."""
    figures: dict[str, float] = {}
    for name, forms in (("alone", ()), ("beside", tuple(Form))):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                instance=f"bench-beside-{os.getpid()}", data=folder, frame_ms=50, port=services.free_port()
            )
            ticket = tickets.issue(settings.secret, time.time(), valid_s=measure.LONGEST_S)
            load = grid.Load(
                instance=settings.instance,
                port=settings.gateway_port,
                ticket=ticket,
                securities=args.securities,
                sessions=args.sessions,
                rows=50,
                batches_per_s=10,
                seconds=args.seconds,
                shared=False,
                positions=args.lines,
            )
            with grid.child(grid.write, load), grid.gateway(settings), grid.child(grid.clients, load) as clients:
                clients.recv()
                stop = threading.Event()
                fetching = threading.Thread(target=_fetch, args=(load, forms, stop))
                clients.send(None)
                fetching.start()
                latencies_ms, _, _ = clients.recv()
                stop.set()
                fetching.join()
            percentiles = measure.percentiles(latencies_ms)
            figures |= {f"{name}_frame_{key}": round(value, 1) for key, value in percentiles.items()}
    return figures


def _fetch(load: grid.Load, forms: tuple[Form, ...], stop: threading.Event) -> None:
    """Files one after the other, until it is enough; every byte is read, and thrown away."""
    while forms and not stop.is_set():
        for form in forms:
            query = urlencode({"ticket": load.ticket, "columns": ",".join(_SHOWN)})
            with urllib.request.urlopen(f"http://127.0.0.1:{load.port}/export/positions.{form}?{query}") as answer:
                while answer.read(1 << 20) and not stop.is_set():
                    pass
