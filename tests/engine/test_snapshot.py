"""A snapshot is the machine at one moment, whatever the machine did while it was copied."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import snapshot as taking
from engine.events import CORRECTION, DEAL_STEP, EventArray, empty
from engine.model import HEAD_FACTS, HEAD_UPDATED, NO_DATE, Capacity, DealAction, Flag, Kind, Op
from engine.recognise import LATE_START_OF_DAY
from engine.records import BOOK, NAMED, UNIT
from engine.ring import BOOK_UNIT, MOVE, Message
from engine.snapshot import Snapshot
from engine.snapshot_restore import SnapshotError, restore
from engine.state import Machine
from engine.tables import Word
from tests.engine.machines import TODAY, events, machine, named, security_records

BIG = Capacity(securities=200, books=40, depots=8, sources=8, rows=6_000, deals=500)
SECURITIES = 60


class Feed:
    """Random events of three sources, of every kind that changes a row."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.seq = np.zeros(4, np.int64)
        self.deals: list[tuple[int, int]] = []

    def events(self, count: int) -> EventArray:
        random, batch = self.random, empty(count)
        batch["source"] = random.integers(1, 4, count)
        for source in range(1, 4):
            mine = batch["source"] == source
            batch["seq"][mine] = self.seq[source] + np.cumsum(random.integers(1, 3, int(mine.sum())))
            self.seq[source] = max(self.seq[source], batch["seq"][mine].max(initial=0))
        batch["security"] = random.integers(1, SECURITIES + 1, count)
        batch["book"], batch["depot"] = random.integers(1, 5, count), random.integers(1, 4, count)
        batch["kind"] = random.choice([Kind.FIRM, Kind.CLIENT_FREE, Kind.SLAB_BORROW, Kind.EXTERNAL_FIRM], count)
        ops = [
            Op.BUY,
            Op.SELL,
            Op.SHORT_SELL,
            Op.SETTLE_RECEIPT,
            Op.SET,
            Op.PRICE,
            Op.CLOSE,
            Op.SET_RESERVED,
            Op.SET_TD,
        ]
        batch["op"] = random.choice([*ops, Op.BUY, Op.SELL], count)
        batch["quantity"] = random.integers(1, 1_000, count)
        batch["time_ns"] = self.seq[1] + np.arange(count)
        batch["trade_date"] = TODAY
        batch["settle_date"] = TODAY + random.integers(0, 12, count)
        if random.random() < 0.3:
            batch["op"][count // 2], batch["security"][count // 2] = Op.RESET_BOOK, 0
        if random.random() < 0.2:
            batch["seq"][count - 1] += 70_000  # a gap over several pieces
            self.seq[batch["source"][count - 1]] = max(self.seq[batch["source"][count - 1]], batch["seq"][count - 1])
        return batch

    def corrections(self, known: EventArray, count: int) -> Any:
        wrong = np.zeros(count, CORRECTION)
        wrong["event"] = self.random.choice(known, count)
        wrong["corrects"] = wrong["event"]["seq"]
        wrong["event"]["quantity"] += 7
        for record in wrong:
            self.seq[record["event"]["source"]] += 1
            record["event"]["seq"] = self.seq[record["event"]["source"]]
        return wrong

    def steps(self, count: int) -> Any:
        steps = np.zeros(count, DEAL_STEP)
        for step in steps:
            event = self.events(1)[0]
            event["source"] = 1
            self.seq[1] += 1
            event["seq"], event["op"] = self.seq[1], Op.INCREASE
            event["kind"], event["flags"] = Kind.SLAB_BORROW, 0
            step["event"], step["rate"], step["due_date"], step["end_date"] = event, 500, TODAY + 9, NO_DATE
            step["code"] = f"L{self.seq[1]}".encode() if self.random.random() < 0.6 else f"L{self.seq[1] - 1}".encode()
            step["action"] = DealAction.OPEN if self.random.random() < 0.7 else DealAction.RETURN
        return steps


def do(to: Machine, feed: Feed, log: list[tuple[str, Any]]) -> None:
    """One random change, remembered so that it can be done again."""
    chosen = feed.random.random()
    if chosen < 0.75:
        log.append(("apply", feed.events(int(feed.random.integers(1, 40)))))
    elif chosen < 0.85:
        known = [what for name, what in log if name == "apply"]
        log.append(("correct", feed.corrections(known[-1], 2)) if known else ("apply", feed.events(3)))
    elif chosen < 0.93:
        log.append(("step", feed.steps(3)))
    elif chosen < 0.95:
        move = np.zeros(1, MOVE)
        move["source"], move["target"] = (f"S{n}".encode() for n in feed.random.integers(1, SECURITIES + 1, 2))
        move["time_ns"] = len(log) + 1
        log.append(("move", move))
    else:
        records = security_records(SECURITIES)[:3]
        records["fee"] = feed.random.integers(0, 900)
        log.append(("register", records))
    again(to, log[-1:])


def again(to: Machine, log: list[tuple[str, Any]]) -> None:
    for name, what in log:
        if name == "register":
            to.register(Message.SECURITIES, what)
        else:
            getattr(to, name)(what)


def state_of(of: Machine) -> dict[str, NDArray[Any]]:
    """Everything that must be as it was, in a form that does not depend on how it came about."""
    array, state = of.tables.array, of.tables.state
    rows, count = int(state[Word.ROWS]), int(state[Word.SECURITIES]) + 1
    position = array["position"][:rows]
    later = [(int(position["key"][row]), *node) for row in range(rows) for node in _dates(of, row)]
    deals = array["deal"][1 : int(state[Word.DEALS]) + 1]
    words = [Word.EVENTS, Word.DUPLICATES, Word.MISSING, Word.REJECTED, Word.LOG, Word.CORRECTED, Word.LAST_EVENT_NS]
    facts = array["head"][:count]
    return {
        "position": position[np.argsort(position["key"])][
            [name for name in position.dtype.names or () if "next" not in name]
        ],
        "later": np.array(sorted(later)),
        "terms": array["terms"][:count],
        "values": array["values"][:count],
        "facts": np.concatenate([facts[:, HEAD_FACTS:], facts[:, HEAD_UPDATED : HEAD_UPDATED + 1]], axis=1),
        "deals": np.sort(deals[deals["state"] != 0]["code"]),
        "open": np.sort(deals[deals["state"] != 0]["quantity"]),
        "words": state[words],
        "newest": array["newest"],
        "missing": array["missing"],
        "security": array["security"][:count],
        "seen": of.private()["seen"],
        "today": array["today"],
        "applied": array["applied"],
    }


def _dates(of: Machine, row: int) -> Iterator[tuple[int, int, int]]:
    node = int(of.tables.array["later_head"][row])
    while node:
        found = of.tables.array["later"][node - 1]
        if found["receipt"] or found["deliver"]:
            yield int(found["date"]), int(found["receipt"]), int(found["deliver"])
        node = int(found["next"])


def same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def parts_of(snapshot: Snapshot) -> dict[str, list[NDArray[Any]]]:
    while snapshot.slice():
        pass
    parts: dict[str, list[NDArray[Any]]] = {}
    for part in snapshot.take():
        parts.setdefault(part.name, []).append(part.array)
    return parts


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small machine takes as many as a large one."""
    monkeypatch.setattr(taking, "_ROWS", 16)
    monkeypatch.setattr(taking, "_SLOTS", 512)
    monkeypatch.setattr(taking, "BLOCK_WORDS", 1 << 14)


@pytest.mark.parametrize("seed", range(6))
def test_a_restored_machine_is_the_machine_at_that_moment_and_goes_on_alike(instance: str, seed: int) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        feed = Feed(seed)
        log: list[tuple[str, Any]] = []
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        for _ in range(30):
            do(running, feed, log)
        running.tables.array["applied"][0, :3] = 7, 8, 9
        before = {name: array.copy() for name, array in state_of(running).items()}
        ledger = running.private()["ledger"].copy()
        since = len(log)
        snapshot = Snapshot(running, {})
        while True:
            do(running, feed, log)
            if not all(snapshot.slice() for _ in range(int(feed.random.integers(1, 60)))):
                break
        assert running.preserve is None
        restore(restored, parts_of(snapshot))
        same(before, state_of(restored))
        np.testing.assert_array_equal(ledger, restored.private()["ledger"])
        assert restored.inventory.security_id("S7") == running.inventory.security_id("S7")

        again(restored, log[since:])
        for _ in range(10):
            do(running, feed, log)
            again(restored, log[-1:])
        same(state_of(running), state_of(restored))


def test_events_that_come_again_after_the_restart_are_recognised(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        feed = Feed(1)
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        batches = [feed.events(50) for _ in range(5)]
        for batch in batches:
            running.apply(batch)
        restore(restored, parts_of(Snapshot(running, {})))
        before = {name: array.copy() for name, array in state_of(restored).items() if name != "words"}
        for batch in batches:
            assert not restored.apply(batch).changed.size
        same(before, state_of(restored))
        assert restored.tables.count(Word.EVENTS) == running.tables.count(Word.EVENTS)


def test_yesterdays_snapshot_rolls_to_today(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        feed = Feed(2)
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        running.apply(feed.events(200))
        snapshot = Snapshot(running, {})
        parts = parts_of(snapshot)
        tomorrow = (running.tables.array["today"] + 1).astype(np.int32)
        running.roll(tomorrow)
        restored.roll(tomorrow)
        restore(restored, parts)
        assert (restored.tables.array["today"] == tomorrow - 1).all()
        restored.roll(tomorrow)
        one, other = state_of(running), state_of(restored)
        one.pop("words"), other.pop("words")
        same(one, other)


def test_a_roll_spoils_the_snapshot_that_is_being_taken(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running:
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        running.apply(Feed(3).events(200))
        snapshot = Snapshot(running, {})
        snapshot.slice()
        running.roll((running.tables.array["today"] + 1).astype(np.int32))
        assert snapshot.spoilt
        assert running.preserve is None
        assert not snapshot.slice()


def test_a_machine_without_room_is_told_so(instance: str) -> None:
    small = Capacity(securities=200, books=40, depots=8, sources=8, rows=20, deals=500)
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", small, 0) as restored:
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        running.apply(Feed(4).events(200))
        with pytest.raises(SnapshotError, match="rows"):
            restore(restored, parts_of(Snapshot(running, {})))


def test_reference_data_that_comes_meanwhile_is_not_in_it(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        snapshot = Snapshot(running, {})
        running.register(Message.SECURITIES, security_records(SECURITIES + 1))
        running.register(Message.BOOKS, named(BOOK, "B", 9))
        restore(restored, parts_of(snapshot))
        assert restored.tables.count(Word.SECURITIES) == SECURITIES
        assert restored.inventory.security_id(f"S{SECURITIES + 1}") == 0
        assert restored.inventory.security_id(f"S{SECURITIES}") == SECURITIES


def test_parts_of_an_event_are_kept_with_it(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        running.register(Message.SOURCES, named(NAMED, "s", 3))
        batch = Feed(5).events(2)
        batch["op"], batch["source"], batch["seq"] = Op.SET, 1, 5
        batch["flags"][1], batch["security"] = Flag.PART, (3, 4)
        running.apply(batch)
        before = {name: array.copy() for name, array in state_of(running).items()}
        snapshot = Snapshot(running, {})
        batch["seq"], batch["quantity"] = 6, 1
        running.apply(batch)
        restore(restored, parts_of(snapshot))
        same(before, state_of(restored))


def test_a_merge_before_the_snapshot_can_be_taken_back_after_it(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        feed = Feed(5)
        running.apply(feed.events(900))
        running.step(feed.steps(40))
        before = state_of(running)
        move = np.zeros(1, MOVE)
        move["source"], move["target"], move["time_ns"] = b"S3", b"S4", 7
        running.move(move)
        restore(restored, parts_of(Snapshot(running, {})))
        move["time_ns"] = -7
        move["source"], move["target"] = b"S4", b"S3"
        for each in (running, restored):
            each.move(move)
        after = state_of(restored)
        same(state_of(running), after)
        held = before["position"][before["position"]["td"] != 0]
        np.testing.assert_array_equal(held, after["position"][after["position"]["td"] != 0])


def test_units_of_books_that_waited_wait_on_and_starts_of_day_are_remembered(instance: str) -> None:
    with machine(instance, BIG, SECURITIES) as running, machine(f"{instance}b", BIG, 0) as restored:
        running.register(Message.BOOK_UNITS, np.array([(b"B1", b"U1", 0)], BOOK_UNIT))
        started = {"topic": 9, "flags": Flag.START_OF_DAY, "source": 2}
        running.apply(events({"op": Op.RESET_BOOK, "security": 0, "time_ns": 100} | started))
        running.apply(events({"op": Op.BUY, "topic": 4, "quantity": 5, "time_ns": 200}))
        restore(restored, parts_of(Snapshot(running, {})))
        assert not restored.tables.array["book_unit"].any()
        restored.register(Message.UNITS, named(UNIT, "U", 1))
        assert restored.tables.array["book_unit"][1, 0] == 1
        restored.apply(events({"op": Op.BUY, "topic": 4, "quantity": 9, "time_ns": 99}, first_seq=2))
        assert restored.tables.array["position"]["td"][: restored.tables.count(Word.ROWS)].tolist() == [5]
        late = events({"op": Op.RESET_BOOK, "security": 0, "time_ns": 150} | started, first_seq=2)
        assert restored.apply(late).outcomes.tolist() == [LATE_START_OF_DAY]
