"""`ims bench kernel`: batches of events into positions, sums and all calculations, on one core; checked with numpy."""

import argparse
import os
import time
from enum import StrEnum
from typing import Any, Final

import numpy as np

from app import world
from app.bench.measure import medians, own_peak_mb
from app.intake import BATCH_EVENTS
from engine import kernel
from engine.events import EventArray, empty
from engine.model import DAYS, LATER, NO_DATE, Capacity, Kind, Op
from engine.recognise import recognise
from engine.records import BOOK, CURRENCY, NAMED, SECURITY
from engine.ring import Message
from engine.state import Calendar, Machine
from engine.tables import Word

_TODAY: Final = 20_000
_SOURCE: Final = 1
_FILL_BOOK: Final = 1
"""The book whose rows are there so that all sums hold something and all calculations have something to do."""
HELD: Final[dict[Kind, tuple[float, tuple[Op, ...]]]] = {
    Kind.CLIENT_SEGREGATED: (0.6, (Op.SET,)),
    Kind.CLIENT_FREE: (0.9, (Op.SET, Op.SET_HYPOTHECATABLE, Op.SET_RESERVED)),
    Kind.FIRM: (1.0, (Op.SET, Op.SET_CA_PENDING)),
    Kind.SYNTHETIC: (0.24, (Op.SET,)),
    Kind.REPO_RECEIVED: (0.08, (Op.SET,)),
    Kind.SLAB_BORROW: (0.47, (Op.SET, Op.SET_RATE)),
    Kind.SLAB_LOAN: (0.31, (Op.SET,)),
    Kind.PAY_TO_HOLD: (0.1, (Op.SET,)),
    Kind.EXTERNAL_EXCLUSIVE: (0.11, (Op.SET,)),
    Kind.EXTERNAL_FIRM: (0.25, (Op.SET,)),
    Kind.EXTERNAL_INDICATIVE: (0.55, (Op.SET,)),
    Kind.REPO_PLEDGE_2: (0.15, (Op.SET,)),
    Kind.OPEN_ORDER: (0.34, (Op.SET,)),
}
"""In which share of securities the simulated day has rows of a kind, and what is said of them."""


class Fill(StrEnum):
    """What there is besides the rows that are traded."""

    SIMULATED = "simulated"
    """What the simulated start of day has."""
    ALL = "all"
    """Every kind in every security: the most there can be."""


def add(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--events", type=int, default=10_000_000, help="events (10,000,000)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="pairs of book and security (2,000,000)")
    parser.add_argument("--books", type=int, default=2_000, help="books (2,000)")
    parser.add_argument("--securities", type=int, default=50_000, help="securities (50,000)")
    parser.add_argument("--batch", type=int, default=BATCH_EVENTS, help=f"events of a batch ({BATCH_EVENTS:,})")
    parser.add_argument(
        "--popularity", choices=["zipf", "uniform"], default="zipf", help="which rows are traded (zipf)"
    )
    parser.add_argument(
        "--fill", choices=list(Fill), default=Fill.SIMULATED, help="what securities hold besides (simulated)"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts (3)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """`events_per_s`: kernel with sums and dirty marks, warm; `step_events_per_s`: with all calculations and all else."""
    events = trades(args.events, args.rows, args.books, args.securities, args.popularity)
    room = min(args.rows, args.events) + len(HELD) * args.securities
    machine = made(args.books, args.securities, room, Fill(args.fill))
    try:
        _prepare(machine, events, args.batch)

        def once() -> dict[str, float]:
            return _kernel(machine, events, args.batch) | _step(machine, events, args.batch)

        figures = medians(once, args.runs)
        _check(machine, events, passes=1 + 2 * args.runs)
        return {
            "bench": "kernel",
            **figures,
            "events": args.events,
            "rows": machine.tables.count(Word.ROWS),
            "calculations": len(machine.compiled.catalogue.calculations),
            "popularity": args.popularity,
            "fill": str(args.fill),
            "batch_events": args.batch,
            "rss_mb": own_peak_mb(),
        }
    finally:
        machine.close()


def trades(count: int, pairs: int, books: int, securities: int, popularity: str) -> EventArray:
    """Buys, sells and short sells of firm rows: at most so many (security, book) pairs."""
    rng = np.random.default_rng(1)
    pairs = min(pairs, count)
    if popularity == "uniform":
        security, pair = rng.integers(1, securities + 1, pairs), rng.integers(0, pairs, count)
    else:
        # a security's share of the events falls as 1 / its rank, and so does a pair's within it
        weight = 1 / np.arange(1, securities + 1)
        security = rng.choice(securities, pairs, p=weight / weight.sum()) + 1
        pair = rng.integers(0, pairs, count)
    batch = empty(count)
    batch["security"], batch["book"] = security[pair], rng.integers(_FILL_BOOK + 1, books + 1, pairs)[pair]
    batch["kind"], batch["op"] = Kind.FIRM, rng.integers(Op.BUY, Op.SHORT_SELL + 1, count)
    batch["quantity"] = rng.integers(1, 1_000, count) * 100
    batch["trade_date"], batch["settle_date"] = _TODAY, _TODAY + rng.integers(0, LATER, count)
    # what settles after SD4 is rare: one in a hundred
    batch["settle_date"][::100] = _TODAY + LATER + rng.integers(0, 3, batch["settle_date"][::100].size)
    batch["seq"], batch["source"], batch["time_ns"] = np.arange(1, count + 1), _SOURCE, np.arange(count)
    return batch


def made(books: int, securities: int, rows: int, fill: Fill = Fill.SIMULATED) -> Machine:
    """A machine with that many of everything, holding what `fill` says, and a price of every security."""
    markets = world.markets()
    days = np.tile(np.arange(400, dtype=np.int32), (len(markets), 1))
    calendar = Calendar(_TODAY - 100, days, np.full(len(markets), _TODAY, np.int32))
    capacity = Capacity(securities=securities, books=books, depots=8, sources=4, rows=rows)
    machine = Machine(f"bench-{os.getpid()}.tables", capacity, world.rule_book(), markets, calendar, "bench")
    for kind, dtype, count in (
        (Message.CURRENCIES, CURRENCY, 1),
        (Message.SECURITIES, SECURITY, securities),
        (Message.BOOKS, BOOK, books),
        (Message.DEPOTS, NAMED, 1),
        (Message.SOURCES, NAMED, _SOURCE + 1),
    ):
        records: Any = np.zeros(count, dtype)
        records["code"] = np.arange(1, count + 1).astype("S")
        if kind == Message.CURRENCIES:
            records["day_count"], records["fx"] = 360, 1_083_000_000
        if kind == Message.SECURITIES:
            records["market"], records["currency"] = np.arange(count) % len(markets), b"1"
            records["fee"], records["event_date"] = 4_200, _TODAY + np.arange(count) % 40
        machine.register(kind, records)
    _fill(machine, securities, fill)
    return machine


def _fill(machine: Machine, securities: int, fill: Fill) -> None:
    """Rows of every kind, in as many securities as the simulated start of day has them in, or in all."""
    rng = np.random.default_rng(2)
    parts = []
    for kind, (share, ops) in HELD.items():
        chosen = np.flatnonzero(rng.random(securities) < (1 if fill == Fill.ALL else share)) + 1
        batch = empty(chosen.size * len(ops))
        batch["security"], batch["kind"] = np.repeat(chosen, len(ops)), kind
        batch["op"] = np.tile([int(op) for op in ops], chosen.size)
        batch["quantity"] = rng.integers(1, 50_000, batch.size)
        parts.append(batch)
    prices = empty(securities)
    prices["security"], prices["op"], prices["quantity"] = np.arange(1, securities + 1), Op.PRICE, 87_650_000
    events = np.concatenate([*parts, prices])
    events["book"], events["depot"], events["source"] = _FILL_BOOK, 1, _SOURCE + 1
    events["trade_date"], events["settle_date"] = _TODAY, NO_DATE
    events["seq"] = np.arange(1, events.size + 1)
    for at in range(0, events.size, BATCH_EVENTS):
        machine.apply(events[at : at + BATCH_EVENTS])


def _prepare(machine: Machine, events: EventArray, batch: int) -> None:
    """The cold pass: compiles, makes the rows."""
    for at in range(0, events.size, batch):
        machine.apply(events[at : at + batch])


def _kernel(machine: Machine, events: EventArray, batch: int) -> dict[str, float]:
    """Rows, dedup, ladder, intraday, terms and dirty marks."""
    events["seq"] += events.size
    book, state = machine._book, machine.tables.state  # noqa: SLF001  the bench measures the inside
    outcome = np.zeros(batch, np.uint8)
    spent_s = []
    for at in range(0, events.size, batch):
        part = events[at : at + batch]
        state[Word.BATCHES] += 1
        began = time.perf_counter()
        recognise(part, outcome[: part.size], machine.memory)
        kernel.apply(part, outcome[: part.size], int(state[Word.ROWS]), int(state[Word.BATCHES]), 0, book)
        spent_s.append(time.perf_counter() - began)
    return {"events_per_s": events.size / sum(spent_s), "batch_p50_ms": float(np.median(spent_s)) * 1e3}


def _step(machine: Machine, events: EventArray, batch: int) -> dict[str, float]:
    """The kernel, the calculations of every security that changed, the memory of recent events, the counters."""
    events["seq"] += events.size
    began = time.perf_counter()
    for at in range(0, events.size, batch):
        machine.apply(events[at : at + batch])
    return {"step_events_per_s": events.size / (time.perf_counter() - began)}


def _check(machine: Machine, events: EventArray, passes: int) -> None:
    """Positions and sums against numpy. Raises `AssertionError`."""
    rows = machine.tables.array["position"][: machine.tables.count(Word.ROWS)]
    own = (rows["key"] >> 24 & 0xFFFF) != _FILL_BOOK
    filled = rows[~own & (rows["key"] & 0xFF == Kind.FIRM)]
    pair = events["security"].astype(np.int64) << 16 | events["book"]
    keys, at = np.unique(pair, return_inverse=True)
    signed = np.where(events["op"] == Op.BUY, 1, -1) * events["quantity"]
    td = np.zeros(keys.size, np.int64)
    np.add.at(td, at, signed)
    rows = rows[own]
    found = rows[np.argsort(rows["key"] >> 24)]
    assert np.array_equal(found["key"] >> 24, keys.astype(np.uint64)), "rows differ"
    assert np.array_equal(found["td"], td * passes), "quantities differ"
    day = np.minimum(events["settle_date"] - _TODAY, LATER)
    long = np.zeros((machine.tables.count(Word.SECURITIES) + 1, DAYS), np.int64)
    for n in range(DAYS):
        projected = np.zeros(keys.size, np.int64)
        np.add.at(projected, at[day <= n], signed[day <= n])
        np.add.at(long[:, n], keys >> 16, np.maximum(0, projected * passes))
        np.add.at(long[:, n], (filled["key"] >> 40).astype(np.int64), filled["sd"])
    assert np.array_equal(machine.tables.array["terms"][: len(long), _all_of_firm(machine)], long), "sums differ"


def _all_of_firm(machine: Machine) -> int:
    """The sum of the long parts of firm rows, whatever the rules call it."""
    terms = machine.compiled.catalogue.terms
    return next(t.component for t in terms if t.measure == "long" and t.rows == "position_type = 'FIRM'")
