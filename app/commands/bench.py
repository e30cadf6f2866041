"""`ims bench NAME`: measure this machine. A bench's module is imported only when it is asked for."""

import argparse
import contextlib
import fcntl
import importlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from app.bench import measure

BENCHES: Final = {
    "kernel": "apply batches of events to positions and terms, on one core",
    "recalc": "publish other rules, and roll the business day, over two million rows",
    "impact": "what other rules would change on two million live rows, beside a busy writer",
    "breaks": "look for all that does not agree, over two million rows",
    "kafka": "from a real broker to applied positions",
    "latency": "from the moment of produce to the cell in a browser",
    "locates": "locates over REST while events are applied",
    "orders": "sell orders over REST while events are applied",
    "recovery": "kill -9 at two million rows to serving again; the writer's pause while a snapshot is taken",
    "faults": "killed, cut off, damaged, set wrong under load: afterwards whole tables are what they would have been",
    "archive": "write down ten million events, and ask what was",
    "history": "write down every number once a minute, and draw one security",
    "start": "from `ims run` to first data on the page",
    "export": "renewals of two million rows, files of a million lines, and frames beside them",
    "pages": "every page to its first data, and back after its process was killed",
    "sessions": "a hundred people with a page and a grid each",
    "soak": "eight hours of somebody's day, without the pauses: memory of server and browser",
    "grid": "a hundred grids that look at a table of which every row changes",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The names; what follows one belongs to that bench's own parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, BENCHES))
    parser.epilog = "\n".join(f"  {name:{width}}  {summary}" for name, summary in BENCHES.items())
    parser.add_argument("name", metavar="NAME", choices=BENCHES, help="one of those below")
    parser.add_argument("options", metavar="...", nargs=argparse.REMAINDER, help="see: ims bench NAME --help")


def run(args: argparse.Namespace) -> int:
    """Run one bench and print its figures: a table, or one JSON object."""
    name: str = args.name
    module = importlib.import_module(f"app.bench.{name}")
    parser = argparse.ArgumentParser(prog=f"ims bench {name}", description=BENCHES[name])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    module.add(parser)
    own = parser.parse_args(args.options)
    with _alone():
        figures: Mapping[str, object] = module.run(own)
    # what the bench says of itself comes first, and stands
    report = {"bench": name} | dict(figures)
    for key, value in ({"rss_mb": measure.own_peak_mb()} | measure.machine()).items():
        report.setdefault(key, value)
    sys.stdout.write(json.dumps(report) + "\n" if own.json else table(report))
    return 0


def table(report: Mapping[str, object]) -> str:
    """One line per figure, names left, values right after them."""
    width = max(map(len, report))
    return "".join(f"{name:{width}}  {_shown(value)}\n" for name, value in report.items())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"  # noqa: PLR2004
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two benches at once would measure each other: the second one of a machine waits."""
    with (Path(tempfile.gettempdir()) / "ims-bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("ims bench: waiting for another bench on this machine to end", file=sys.stderr)  # noqa: T201
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
