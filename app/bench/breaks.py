"""`ims bench breaks`: what looking for everything that differs costs, whole and of what has changed."""

import argparse
import time
from collections.abc import Callable

from app.bench import kernel
from app.bench.measure import medians, own_peak_mb
from engine.break_scan import BreakScan
from engine.events import EventArray
from engine.ring import Message
from engine.state import Machine
from engine.tables import Word


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows (2,000,000)")
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--books", type=int, default=2_000, help="books (2,000)")
    parser.add_argument("--events", type=int, default=5_000, help="events between two looks (5,000)")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (5)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`whole_ms`: at every row; `changed_ms`: at the securities that some events were about; `nothing_ms`: where there were
    none. Processor time, of the thread that looks."""
    events = kernel.trades(2 * args.rows, args.rows, args.books, args.securities, "uniform")
    machine = kernel.made(args.books, args.securities, args.rows + 16 * args.securities)
    try:
        for at in range(0, events.size, 100_000):
            machine.apply(events[at : at + 100_000])
        books = machine.tables.array["book"][1 : args.books + 1].copy()
        books["aggregation_unit"] = b"AU1"  # without units every book would be a break
        machine.register(Message.BOOKS, books)
        scan = BreakScan(machine.tables)
        scan.turn()
        more = kernel.trades(args.events * args.runs, args.rows, args.books, args.securities, "uniform")
        more["seq"] += events.size
        parts = iter([more[at : at + args.events] for at in range(0, more.size, args.events)])
        figures = medians(lambda: _once(machine, scan, next(parts)), args.runs)
        return {
            "bench": "breaks",
            **figures,
            "found": sum(1 for _ in scan.found),
            "rows": machine.tables.count(Word.ROWS),
            "securities": args.securities,
            "rss_mb": own_peak_mb(),
        }
    finally:
        machine.close()


def _once(machine: Machine, scan: BreakScan, events: EventArray) -> dict[str, float]:
    whole = _took_ms(lambda: scan.turn(whole=True))
    nothing = _took_ms(scan.turn)
    machine.apply(events)
    looked = [0]

    def turn() -> None:
        looked[0] = scan.turn()

    return {"whole_ms": whole, "nothing_ms": nothing, "changed_ms": _took_ms(turn), "changed": looked[0]}


def _took_ms(step: Callable[[], object]) -> float:
    began = time.thread_time()
    step()
    return (time.thread_time() - began) * 1e3
