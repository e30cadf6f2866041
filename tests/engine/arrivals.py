"""What may arrive at a machine, drawn by hypothesis: events with parts, corrections, steps of deals."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from app import world
from engine.events import CORRECTION, DEAL_STEP, EventArray, empty
from engine.model import NO_DATE, RATE_UNKNOWN, DealAction, Flag, Kind, Op

SECURITIES = len(world.markets()) + 2
"""One security in each market, and two more."""
DEALS = {
    b"BORROW-1": (Kind.SLAB_BORROW, Op.INCREASE),
    b"BORROW-2": (Kind.SLAB_BORROW, Op.INCREASE),
    b"BORROW-3": (Kind.SLAB_BORROW, Op.INCREASE),
    b"LOAN": (Kind.SLAB_LOAN, Op.INCREASE),
    b"PLEDGE": (Kind.REPO_PLEDGE_2, Op.INCREASE),
    b"SWAP": (Kind.SYNTHETIC, Op.DECREASE),
    b"BUY": (Kind.OPEN_ORDER, Op.INCREASE),
    b"SELL-WITH-A-CODE-THAT-IS": (Kind.OPEN_ORDER, Op.DECREASE),
}
"""Their rows; the three borrows share one."""
Row = dict[str, Any]

_quantities = st.one_of(st.integers(1, 1_000), st.integers(100_000, 10**12), st.integers(-1_000, 0))
_what = {
    "security": st.integers(1, SECURITIES),
    "book": st.integers(1, 2),
    "depot": st.integers(0, 1),
    "kind": st.sampled_from(list(Kind)),
    "op": st.one_of(st.just(Op.SET), st.sampled_from([Op.INCREASE, Op.BUY, Op.PRICE]), st.sampled_from(list(Op))),
    "quantity": _quantities,
    "settle": st.one_of(st.integers(0, 9), st.integers(-2, 14), st.sampled_from([None, 5_000])),
    "trade": st.integers(-1, 0),
    "flags": st.sampled_from([0, 0, Flag.CANCEL, Flag.START_OF_DAY, Flag.QUANTO]),
}
_identity = {"source": st.integers(1, 2), "seq": st.integers(1, 400)}
_part = st.fixed_dictionaries(_what)
event = st.fixed_dictionaries(
    _what | _identity | {"parts": st.one_of(st.just([]), st.just([]), st.lists(_part, max_size=3))}
)
move = st.fixed_dictionaries(
    _what
    | {
        "op": st.sampled_from(list(Op)[: Op.SET]),
        "quantity": st.integers(1, 10**6),
        "settle": st.integers(0, 9),
        "flags": st.sampled_from([0, Flag.CANCEL, Flag.QUANTO]),
    }
)
"""What can be applied, and corrected."""
correction = st.fixed_dictionaries(
    _what
    | {
        "source": st.integers(1, 2),
        "skips": st.integers(-2, 2),
        "which": st.integers(0, 1_000),
        "op": st.one_of(st.sampled_from(list(Op)[: Op.SET]), st.sampled_from(list(Op))),
        "flags": st.sampled_from([0, 0, Flag.CANCEL, Flag.QUANTO]),
    }
)
"""`which` of what can be corrected; the number is so many after the newest."""
step = st.fixed_dictionaries(
    {
        "source": st.integers(1, 2),
        "skips": st.integers(-1, 2),
        "code": st.sampled_from(sorted(DEALS)),
        "action": st.one_of(st.just(DealAction.OPEN), st.sampled_from(list(DealAction))),
        "quantity": st.one_of(st.integers(0, 300), st.just(100), st.just(10**6)),
        "settle": st.one_of(st.integers(0, 9), st.sampled_from([-1, None])),
        "due": st.one_of(st.integers(0, 4), st.integers(-1, 9), st.none()),
        "rate": st.sampled_from([RATE_UNKNOWN, 0, 100, 333, 10_007, -40]),
        "flags": st.sampled_from([0, 0, 0, Flag.QUANTO]),
        "trade": st.integers(-1, 0),
    }
)
execution = st.fixed_dictionaries({"trade": move, "fill": step})
"""A trade, and as its part what it takes off an order."""


def events_of(rows: list[Row], today: int) -> EventArray:
    """Events with their parts, dates counted from `today`."""
    flat = []
    for row in rows:
        flat.append(row)
        number = {name: row[name] for name in ("source", "seq")}
        flat += [part | number | {"flags": part["flags"] | Flag.PART} for part in row.get("parts", ())]
    batch = empty(len(flat))
    for i, row in enumerate(flat):
        _fill(batch[i], row, today)
    return batch


def corrections_of(rows: list[Row], today: int) -> Any:
    """Rows with `seq` and `corrects` instead of what they were drawn from."""
    made = np.zeros(len(rows), CORRECTION)
    for i, row in enumerate(rows):
        _fill(made[i]["event"], row, today)
        made[i]["corrects"] = row["corrects"]
    return made


def steps_of(rows: list[Row], today: int) -> Any:
    """Steps with `seq`, and executions: the trade, and the fill as its part."""
    flat = []
    for row in rows:
        if "fill" in row:
            number = {name: row[name] for name in ("source", "seq")}
            fill = row["fill"] | number | {"action": DealAction.RETURN, "flags": Flag.PART}
            flat += [row["trade"] | number | {"code": b""}, fill]
        else:
            flat.append(row)
    made = np.zeros(len(flat), DEAL_STEP)
    for i, row in enumerate(flat):
        if row["code"]:
            row = row | _row_of(row["code"])  # noqa: PLW2901
            made[i]["code"], made[i]["action"], made[i]["rate"] = row["code"], row["action"], row["rate"]
            made[i]["due_date"] = NO_DATE if row["due"] is None else today + row["due"]
        _fill(made[i]["event"], row, today)
    return made


def _row_of(code: bytes) -> Row:
    kind, op = DEALS[code]
    return {"security": 1 + kind % SECURITIES, "book": 1, "depot": 1, "kind": kind, "op": op}


def _fill(record: Any, row: Row, today: int) -> None:
    record["settle_date"] = NO_DATE if row["settle"] is None else today + row["settle"]
    record["trade_date"] = today + row["trade"]
    for name in ("source", "seq", "security", "book", "depot", "kind", "op", "quantity", "flags"):
        record[name] = row[name]
