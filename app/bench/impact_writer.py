"""A writer of its own for the bench of impacts: live rows, and a steady rate of events.

`python -m app.bench.impact_writer SECURITIES ROWS BOOKS RATE`: says the name of its tables as a line of JSON when all rows are
there; then applies RATE events a second in steps of 10 ms. For every line on its standard input it says how long its batches
have taken since the last one, in milliseconds, and how far it fell behind. Ends when its standard input does.
"""

import itertools
import json
import sys
import threading
import time
from typing import Any, Final

import numpy as np

from app.bench import kernel
from engine.events import EventArray, empty
from engine.model import NO_DATE, Kind, Op
from engine.state import Machine
from engine.tables import Word

STEP_S: Final = 0.01
_FILL: Final = 50_000
_FEED: Final = 1 << 20
"""Events that are made; they come again and again under new numbers."""
_AFTER_FILL: Final = 10_000_000
"""Beyond every sequence number that `kernel.made` uses."""
_OF_EVERY_KIND: Final = len(kernel.HELD)
"""Rows that `kernel.made` gives to each security."""


def main(securities: int, rows: int, books: int, rate: int) -> None:
    """Write until the parent is gone."""
    pairs = max(1, rows - _OF_EVERY_KIND * securities)
    machine = kernel.made(books, securities, rows + _FILL, kernel.Fill.ALL)
    try:
        events = kernel.trades(max(_FEED, 2 * pairs), pairs, books, securities, "zipf")
        _apply(machine, events)
        _apply(machine, _others(securities, rows - machine.tables.count(Word.ROWS)))
        _say({"tables": machine.tables.segment.path.name, "rows": machine.tables.count(Word.ROWS)})
        asked, gone = threading.Event(), threading.Event()
        threading.Thread(target=_listen, args=(asked, gone), daemon=True).start()
        _write(machine, events, rate, asked, gone)
    finally:
        machine.close()


def _apply(machine: Machine, events: EventArray) -> None:
    for at in range(0, events.size, _FILL):
        machine.apply(events[at : at + _FILL])


def _others(securities: int, count: int) -> EventArray:
    """That many rows more, of clients: popular pairs were drawn more than once."""
    batch, place = empty(max(0, count)), np.arange(max(0, count))
    batch["security"], batch["book"] = place % securities + 1, place // securities + 2
    batch["depot"], batch["kind"], batch["op"], batch["quantity"] = 1, Kind.CLIENT_FREE, Op.SET, 1_000
    batch["source"], batch["seq"], batch["settle_date"] = 2, _AFTER_FILL + place, NO_DATE
    return batch


def _listen(asked: threading.Event, gone: threading.Event) -> None:
    for _ in sys.stdin:
        asked.set()
    gone.set()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _write(machine: Machine, events: EventArray, rate: int, asked: threading.Event, gone: threading.Event) -> None:
    """Keep to the timetable; a batch that could not begin in time makes the next ones late, not smaller."""
    size, late_ms = int(rate * STEP_S), 0.0
    batches_ms: list[float] = []
    due = time.perf_counter()
    for at in itertools.cycle(range(0, events.size - size, size)):
        if at == 0:
            events["seq"] += events.size
        if gone.is_set():
            return
        if asked.is_set():
            asked.clear()
            _say({"batches_ms": batches_ms, "late_ms": late_ms})
            batches_ms, late_ms, due = [], 0.0, time.perf_counter()
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        machine.apply(events[at : at + size])
        ended = time.perf_counter()
        batches_ms.append((ended - began) * 1e3)
        late_ms = max(late_ms, (began - due) * 1e3)
        due += STEP_S


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
