"""Positions of one security become positions of another, and go home as they came."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import DEAL_STEP
from engine.model import NO_DATE, Kind, Namespace, Op
from engine.ring import MOVE, NAME, Message
from engine.state import Machine
from engine.symbols import Symbols
from tests.engine.machines import TODAY, events, machine

PLACES = [
    (book, depot, kind)
    for book in (1, 2)
    for depot in (1, 2)
    for kind in (Kind.FIRM, Kind.CLIENT_FREE, Kind.SLAB_BORROW)
]
OPS = (Op.BUY, Op.SELL, Op.SHORT_SELL, Op.SET, Op.SET_HYPOTHECATABLE, Op.SET_RATE, Op.SET_CA_PENDING)


def _move(source: str, target: str, book: str = "", depot: str = "", time_ns: int = 1) -> Any:
    return np.array([(source.encode(), target.encode(), book.encode(), depot.encode(), time_ns)], MOVE)


def _row(security: int, place: tuple[int, int, int], op: Op, quantity: int, later: int) -> dict[str, Any]:
    book, depot, kind = place
    row = {"security": security, "book": book, "depot": depot, "kind": kind, "op": op, "quantity": quantity}
    return row | {"settle_date": TODAY + later if op <= Op.SETTLE_DELIVERY else NO_DATE}


def _positions(made: Machine, security: int) -> dict[int, list[int]]:
    """What the rows of a security hold, by book, depot and kind; empty ones are left out."""
    words = made.tables.array["position"].view("<i8").reshape(-1, 24)
    rows = made.tables.rows_of(security)
    return {int(words[row, 0]) & 0xFFFFFFFFFF: words[row, 2:].tolist() for row in rows if words[row, 2:].any()}


def _later(made: Machine, security: int) -> dict[tuple[int, int], tuple[int, int]]:
    """What settles later, by row and date."""
    array, found = made.tables.array, {}
    for row in made.tables.rows_of(security):
        at = int(array["later_head"][row])
        while at:
            node = array["later"][at - 1]
            if node["receipt"] or node["deliver"]:
                key = int(array["position"]["key"][row]) & 0xFFFFFFFFFF
                found[key, int(node["date"])] = (int(node["receipt"]), int(node["deliver"]))
            at = int(node["next"])
    return found


def _seen(made: Machine, *ids: int) -> Any:
    """All that anybody sees of securities."""
    array = made.tables.array
    return [
        (_positions(made, i), _later(made, i), array["values"][i].tolist(), array["terms"][i, :, :5].tolist())
        for i in ids
    ]


rows_of = st.lists(
    st.tuples(
        st.sampled_from([2, 4]),
        st.sampled_from(PLACES),
        st.sampled_from(OPS),
        st.integers(1, 10**6),
        st.integers(0, 20),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(rows=rows_of)
def test_a_merge_adds_up_and_its_split_is_as_before(rows: list[Any]) -> None:
    with machine("ims.test.moves") as made:
        if rows:
            made.apply(events(*[_row(*row) for row in rows]))
        before, other, one = _seen(made, 2, 4), _positions(made, 4), _positions(made, 2)
        made.move(_move("S2", "S4"))
        merged = _positions(made, 4)
        assert _positions(made, 2) == {}
        assert not made.tables.array["values"][2].any()
        for key in {*other, *one}:
            sums = np.array(other.get(key, [0] * 22)) + np.array(one.get(key, [0] * 22))
            if key & 0xFF > Kind.SYNTHETIC:
                sums[3] = merged[key][3] if key in merged else 0  # what a contract costs is no quantity
            assert merged.get(key, [0] * 22) == sums.tolist()
        fresh = _recomputed(made, 4)
        assert _seen(made, 4)[0][2:] == fresh
        again = _seen(made, 2, 4)
        assert made.move(_move("S2", "S4")).rows.size == 0
        assert _seen(made, 2, 4) == again
        made.move(_move("S4", "S2", time_ns=-2))
        assert _seen(made, 2, 4) == before


def _recomputed(made: Machine, security: int) -> tuple[Any, Any]:
    """Sums and values after all is made anew."""
    made.publish(made.book)
    array = made.tables.array
    return array["values"][security].tolist(), array["terms"][security, :, :5].tolist()


def test_a_row_that_has_changed_since_stays_and_the_others_go_home() -> None:
    with machine("ims.test.moves") as made:
        made.apply(events(_row(2, PLACES[0], Op.SET, 100, 0), _row(2, PLACES[1], Op.SET, 50, 0)))
        made.move(_move("S2", "S4"))
        made.apply(events(_row(4, PLACES[0], Op.BUY, 7, 1), first_seq=3))
        told = made.move(_move("S4", "S2", time_ns=-2)).rows
        assert sorted(told["left"].tolist()) == [0, 1]
        assert sorted(row[0] for row in _positions(made, 2).values()) == [50]
        assert sorted(row[0] for row in _positions(made, 4).values()) == [107]


def test_positions_of_a_book_are_moved_once() -> None:
    with machine("ims.test.moves") as made:
        made.apply(events(_row(2, PLACES[0], Op.SET, 100, 0), _row(2, PLACES[-1], Op.SET, 50, 0)))
        made.move(_move("S2", "S4", book="B1", time_ns=9))
        assert sorted(row[0] for row in _positions(made, 2).values()) == [50]
        made.apply(events(_row(2, PLACES[0], Op.SET, 30, 0), first_seq=3))
        made.move(_move("S2", "S4", book="B1", time_ns=9))
        assert sorted(row[0] for row in _positions(made, 2).values()) == [30, 50]


def test_what_is_not_remembered_is_not_taken_back() -> None:
    with machine("ims.test.moves") as made:
        made.apply(events(_row(4, PLACES[0], Op.SET, 100, 0)))
        made.move(_move("S4", "S2", time_ns=-2))
        assert sorted(row[0] for row in _positions(made, 4).values()) == [100]


def test_a_snapshot_knows_what_can_be_taken_back() -> None:
    with machine("ims.test.moves") as made:
        made.apply(events(_row(2, PLACES[0], Op.SET, 100, 0), _row(4, PLACES[0], Op.BUY, 5, 30)))
        before = _seen(made, 2, 4)
        made.move(_move("S2", "S4"))
        kept = made.moves.state()
        made.moves.forget()
        made.moves.restore(kept)
        made.move(_move("S4", "S2", time_ns=-2))
        assert _seen(made, 2, 4) == before


def test_deals_go_with_their_positions_and_come_home() -> None:
    with machine("ims.test.moves") as made:
        steps = np.zeros(3, DEAL_STEP)
        for i, (security, op) in enumerate(((2, Op.INCREASE), (2, Op.DECREASE), (4, Op.INCREASE))):
            kind = Kind.SLAB_BORROW if op == Op.INCREASE else Kind.SLAB_LOAN
            row = {"security": security, "kind": kind, "op": op, "quantity": 10 + i, "settle_date": TODAY}
            steps["event"][i : i + 1] = events(row, first_seq=i + 1)
            steps["code"][i] = f"D{i}".encode()
        assert made.step(steps).rejected.size == 0
        before = [_deals(made, i) for i in (2, 4)]
        assert sorted(map(len, before)) == [1, 2]
        made.move(_move("S2", "S4"))
        assert _deals(made, 2) == []
        assert set(_deals(made, 4)) == {*before[0], *before[1]}
        made.move(_move("S4", "S2", time_ns=-2))
        assert [sorted(_deals(made, i)) for i in (2, 4)] == [sorted(of) for of in before]


def _deals(made: Machine, security: int) -> list[int]:
    array, found = made.tables.array, []
    at = int(array["first_deal"][security])
    while at:
        assert array["deal"]["security"][at] == security
        found.append(at)
        at = int(array["deal"]["next_in_security"][at])
    return found


def test_names_lead_where_they_are_told_to_and_a_record_keeps_its_own_id() -> None:
    with machine("ims.test.moves") as made:
        symbols = Symbols(made.tables.array["symbols"])
        made.register(Message.NAMES, np.array([(b"S2", b"S4"), (b"X", b"S2"), (b"Y", b"S9")], NAME))
        assert [symbols.find_one(Namespace.SECURITY, text) for text in ("S2", "X", "Y")] == [4, 2, 0]
        made.register(Message.NAMES, np.array([(b"X", b"")], NAME))
        assert symbols.find_one(Namespace.SECURITY, "X") == 0
        record = made.tables.array["security"][2:3].copy()
        record["name"] = b"two"
        made.register(Message.SECURITIES, record)
        assert made.tables.array["security"]["name"][[2, 4]].tolist() == [b"two", b""]
        assert symbols.find_one(Namespace.SECURITY, "S2") == 2
