"""`ims bench impact`: rules that are not in force over two million live rows, and what that costs the writer."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

import psutil

from app import world
from app.bench.measure import medians, percentiles
from app.bench.services import dies_with_us
from app.processes.analyst import NICE
from engine.impact import Impact, impact
from engine.rule_model import RuleBook
from engine.tables import Tables

_PREFIX: Final = "ims."
_CONDITION: Final = "temperature <> 'HTB' AND depot <> 'X'"
_MB: Final = 1 << 20


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows (2,000,000)")
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--books", type=int, default=2_000, help="books (2,000)")
    parser.add_argument("--events", type=int, default=300_000, help="events per second meanwhile (300,000)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each phase of a run (8)")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`impact_ms`: one impact beside the writer; batches of the writer alone (`alone_`) and beside impacts (`beside_`)."""
    draft = narrowed(world.rule_book())
    with _writer(args) as writer, ThreadPoolExecutor(1, initializer=os.nice, initargs=(NICE,)) as thread:
        opening = _hear(writer)
        tables = Tables.attach(opening["tables"].removeprefix(_PREFIX))
        try:
            last = thread.submit(impact, tables, draft).result()  # compiles, and touches all memory once
            figures = medians(lambda: _once(writer, thread, tables, draft, args.seconds), args.runs)
        finally:
            tables.close()
    return {
        **figures,
        "rows": opening["rows"],
        "securities": args.securities,
        "securities_changed": last.securities_changed,
        "classes": last.classes,
        "private_mb": _private_mb(),
    }


def _private_mb() -> float:
    """What this process holds beside the tables that it shares with the writer, and beside programs on disk."""
    memory = psutil.Process().memory_info()
    return round((memory.rss - getattr(memory, "shared", 0)) / _MB, 1)


def narrowed(book: RuleBook) -> RuleBook:
    """The book with one more rule, which tells rows apart that nothing told apart before, and weighs all of them anew."""
    first = book.rules[0]
    rule = dataclasses.replace(
        first, id=f"{first.id}.bench", condition=_CONDITION, priority=first.priority + 1, weight=first.weight // 2
    )
    return dataclasses.replace(book, rules=(*book.rules, rule))


def _once(
    writer: "subprocess.Popen[str]", thread: ThreadPoolExecutor, tables: Tables, draft: RuleBook, seconds: float
) -> dict[str, float]:
    """The writer alone, then beside one impact after the other."""
    _ask(writer)
    time.sleep(seconds)
    alone = _ask(writer)
    took_ms, results = [], []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        results.append(thread.submit(impact, tables, draft).result())
        took_ms.append((time.perf_counter() - began) * 1e3)
    beside = _ask(writer)
    return {"impact_ms": median(took_ms), "impact_most_ms": max(took_ms), **_costs(alone, beside), **_reads(results)}


def _costs(alone: dict[str, Any], beside: dict[str, Any]) -> dict[str, float]:
    """How long the writer's batches took in both phases, and how the second compares with the first."""
    before, after = percentiles(alone["batches_ms"]), percentiles(beside["batches_ms"])
    return (
        {f"alone_{name}": value for name, value in before.items()}
        | {f"beside_{name}": value for name, value in after.items()}
        | {"p50_ratio": after["p50_ms"] / before["p50_ms"], "p99_ratio": after["p99_ms"] / before["p99_ms"]}
        | {"alone_late_ms": alone["late_ms"], "beside_late_ms": beside["late_ms"]}
    )


def _reads(results: list[Impact]) -> dict[str, float]:
    return {
        "rows_read": median(result.rows_read for result in results),
        "read_again": median(result.read_again for result in results),
    }


@contextmanager
def _writer(args: argparse.Namespace) -> Iterator["subprocess.Popen[str]"]:
    """The writer's process."""
    sizes = [str(size) for size in (args.securities, args.rows, args.books, args.events)]
    command = [*dies_with_us(), sys.executable, "-m", "app.bench.impact_writer", *sizes]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def _hear(writer: "subprocess.Popen[str]") -> dict[str, Any]:
    """The writer's next line. Raises `RuntimeError` when it has ended."""
    assert writer.stdout is not None, "a pipe"
    line = writer.stdout.readline()
    if not line:
        raise RuntimeError("the writer ended; its messages are above")
    said: dict[str, Any] = json.loads(line)
    return said


def _ask(writer: "subprocess.Popen[str]") -> dict[str, Any]:
    assert writer.stdin is not None, "a pipe"
    writer.stdin.write("\n")
    writer.stdin.flush()
    return _hear(writer)
