"""Events for an engine while locates are asked for: a process that feeds its ring at a steady rate, as a worker would.

`python -m app.bench.locate_feed INSTANCE RATE SECURITIES SHARES [BORROWED]`: securities L1.. (US, hard to borrow) with a FIRM
position of SHARES each, so that a test knows every pool; with BORROWED, as many are borrowed, and held for the book's client.
Then RATE events a second that buy and sell the same quantities of all but L1. When the engine is restarted it begins anew.
Ends when its standard input does.
"""

import os
import sys
import threading
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.clock import wall
from engine.events import EVENT, EventArray, empty
from engine.model import Flag, Kind, Op, Temperature
from engine.records import BOOK, NAMED, SECURITY
from engine.ring import Message, Ring
from engine.segment import SegmentMissingError
from engine.tables import Tables

BOOKS: Final = 200
HOUSE: Final = "HOUSE"
HOUSE_BOOK, FIRM_BOOK, HOUSE_UNIT = "B1", f"B{BOOKS}", "UNIT1"
"""Where the positions are: the only book of its client, and with the firm's own of its unit. Each of the others, B2.., is of a
client, C2.."""
_STEP_S: Final = 0.01
_CYCLE: Final = 1 << 16


def main(instance: str, rate: int, securities: int, shares: int, borrowed: int = 0) -> None:
    """Feed one engine after the other until the parent is gone."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    while True:
        try:
            ring, tables = Ring.attach(f"{instance}.ring0"), Tables.attach(f"{instance}.tables")
        except SegmentMissingError:
            time.sleep(_STEP_S)
            continue
        if not ring.segment.owner_alive:  # a killed engine's: the next one will make its own
            time.sleep(_STEP_S)
            continue
        today = int(tables.array["today"][0])
        tables.close()
        _feed(ring, rate, (shares, borrowed), securities, today)


def _feed(ring: Ring, rate: int, held: tuple[int, int], securities: int, today: int) -> None:
    """Everything that exists, then the stream, for as long as this ring is the engine's. `held`: shares, and borrowed ones."""
    records: Any = _named(SECURITY, "L", securities)
    records["temperature"] = Temperature.HTB
    records["ticker"] = records["code"].astype("S16")
    opening = np.concatenate(
        [
            _opening(securities, kind, quantity)
            for kind, quantity in zip((Kind.FIRM, Kind.SLAB_BORROW, Kind.CLIENT_FREE), (*held, held[1]), strict=True)
            if quantity
        ]
    )
    books: Any = _named(BOOK, "B", BOOKS)
    books["client"] = np.char.replace(books["code"], b"B", b"C")
    books["entity"], books["aggregation_unit"] = "E1", "UNITS"
    books["client"][0], books["client"][-1] = HOUSE, ""
    books["aggregation_unit"][[0, -1]] = HOUSE_UNIT
    whole = _push(ring, Message.SECURITIES, records)
    whole = whole and _push(ring, Message.BOOKS, books)
    whole = whole and _push(ring, Message.DEPOTS, _named(NAMED, "D", 1))
    whole = whole and _push(ring, Message.SOURCES, _named(NAMED, "s", 1))
    whole = whole and _push(ring, Message.EVENTS, _stamped(opening, 1, today))
    if not whole:
        return
    ring.ready = True
    cycle, clock = _trades(securities), wall()
    seq, due, count = opening.size + 1, time.monotonic(), max(1, round(rate * _STEP_S))
    while True:
        ring.alive_ns = clock()
        at = (seq // 2 * 2) % (_CYCLE - count)
        if not _push(ring, Message.EVENTS, _stamped(cycle[at : at + count].copy(), seq, today)):
            return
        seq += count
        due += _STEP_S
        time.sleep(max(0.0, due - time.monotonic()))


def _opening(securities: int, kind: Kind, quantity: int) -> EventArray:
    """So many shares of everything, in the book of the house."""
    opening = empty(securities)
    opening["security"] = np.arange(1, securities + 1)
    opening["book"], opening["depot"], opening["kind"] = 1, 1, kind
    opening["op"], opening["quantity"], opening["flags"] = Op.SET, quantity, Flag.START_OF_DAY
    return opening


def _trades(securities: int) -> EventArray:
    """Pairs of a buy and a sell of the same row: positions come back to where they were."""
    rng = np.random.default_rng(1)
    cycle = empty(_CYCLE)
    cycle["security"] = np.repeat(rng.integers(2, securities + 1, _CYCLE // 2), 2)
    cycle["book"] = np.repeat(rng.integers(1, BOOKS + 1, _CYCLE // 2), 2)
    cycle["depot"], cycle["quantity"] = 1, np.repeat(rng.integers(1, 50, _CYCLE // 2) * 100, 2)
    cycle["kind"] = Kind.FIRM
    cycle["op"] = np.tile(np.array([Op.BUY, Op.SELL], np.uint8), _CYCLE // 2)
    return cycle


def _stamped(events: EventArray, first_seq: int, today: int) -> EventArray:
    events["source"] = 1
    events["seq"] = np.arange(first_seq, first_seq + events.size)
    events["trade_date"] = events["settle_date"] = today
    events["time_ns"] = events["received_ns"] = wall()()
    return events


def _named(dtype: Any, prefix: str, count: int) -> NDArray[Any]:
    records = np.zeros(count, dtype)
    records["code"] = np.char.add(prefix, np.arange(1, count + 1).astype(str)).astype("S")
    return records


def _push(ring: Ring, kind: Message, records: NDArray[Any]) -> bool:
    """Hand over, in parts that fit; False once the ring is nobody's."""
    part = max(1, (8 << 20) // records.itemsize)
    for at in range(0, records.size, part):
        while not ring.push(kind, records[at : at + part]):
            if ring.segment.stale:
                return False
            time.sleep(_STEP_S)
    if kind != Message.EVENTS or records.dtype != EVENT:
        while not ring.drained:
            if ring.segment.stale:
                return False
            time.sleep(_STEP_S / 10)
    return not ring.segment.stale


def _follow_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
