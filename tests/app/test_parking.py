"""A record that names something unknown waits, and is used in its turn once it is explained."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from app.keeping import Keeping
from app.parked_record import Concerns, concerns
from app.parked_turn import Limits
from app.parking import Parking, Places
from app.parking_store import FILE, ParkingStore
from app.quarantine_store import QuarantineStore
from engine.graph import build
from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from engine.symbols import Symbols
from engine.tables import Word
from feeds.decode import decode
from feeds.quarantine import Decoded, Origin, Reason, Unreadable
from tests.engine.machines import TODAY, machine, named, security_records

DAY = str(np.datetime64(TODAY, "D"))


@dataclass
class World:
    """An engine's parking, in this process."""

    machine: Machine
    folder: Path
    limits: Limits = field(default_factory=Limits)
    refused: list[Any] = field(default_factory=list)
    clock: Iterator[int] = field(default_factory=lambda: itertools.count(1_000))

    def __post_init__(self) -> None:
        self.graph = build(self.machine, None, lambda rejected, _: self.refused.extend(rejected))
        self.store = ParkingStore(self.folder / FILE)
        self.keeping = Keeping(self.machine, QuarantineStore(self.folder / "quarantine.db"))
        self.parking = self.keeping.parking = Parking(
            self.machine,
            self.store,
            decode=self.decode,
            use=lambda decoded: self.graph.emit(decoded.events) if len(decoded.events) else None,
            quarantine=self.keeping.set_aside,
            beside=self.keeping.beside,
            clock=lambda: next(self.clock),
            topics=("t", "u"),
            limits=self.limits,
        )

    def decode(self, topic: str, values: Sequence[bytes], encoding: bytes, places: Places) -> Decoded:
        partitions, offsets = np.array(places, np.int64).T
        origin = Origin(topic, 0, partitions.astype(np.uint16), offsets, next(self.clock))
        symbols = Symbols(self.machine.tables.array["symbols"])
        return decode(list(values), [(("enc", encoding),)] * len(values), symbols, origin)

    def arrive(self, *records: bytes, offset: int) -> None:
        """As the engine gets them from a worker: what is known is applied, then the rest is kept."""
        decoded = self.decode("t", records, b"json", [(0, offset + i) for i in range(len(records))])
        if len(decoded.events):
            self.graph.emit(decoded.events)
        self.keeping.keep(decoded.unreadable)

    def explain(self, securities: int) -> None:
        self.machine.register(Message.SECURITIES, security_records(securities))
        self.parking.registered()

    def held(self, security: int) -> int:
        rows = self.machine.tables.rows_of(security)
        return int(self.machine.tables.array["position"]["td"][rows].sum())

    def set_aside(self) -> list[str]:
        """Details of what is in the quarantine, when everything is written."""
        self.close()
        return [entry.detail for entry in QuarantineStore(self.folder / "quarantine.db").entries()]

    def close(self) -> None:
        self.keeping.close()


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with machine(instance) as made:
        yield (opened := World(made, tmp_path))
        opened.close()


def record(seq: int, op: Op = Op.BUY, quantity: int = 100, **more: str) -> bytes:
    dated = DAY if op <= Op.SETTLE_DELIVERY else None
    codes = {"src": "s1", "sec": "S9", "book": "B1", "depot": "D1", "kind": Kind.FIRM.name} | more
    dates = {"trade": dated, "settle": dated}
    return msgspec.json.encode(codes | dates | {"seq": seq, "ts": seq, "op": op.name, "qty": quantity})


def test_a_parked_record_is_used_when_its_security_becomes_known(world: World) -> None:
    world.arrive(record(1), record(2, sec="S8"), offset=5)
    assert (len(world.parking), world.machine.tables.count(Word.EVENTS)) == (1, 1)
    assert (world.machine.tables.count(Word.PARKED), world.machine.tables.count(Word.PARKED_SHARES)) == (1, 100)
    world.explain(9)
    assert len(world.parking) == 0
    assert world.held(9) == 100
    assert world.machine.tables.count(Word.PARKED_SHARES) == 0
    assert world.machine.tables.count(Word.MISSING) == 0


def test_parked_records_are_used_in_the_order_in_which_they_came(world: World) -> None:
    world.arrive(record(1, Op.SET, 70), record(2, Op.BUY, 5), offset=1)
    world.arrive(record(3, Op.SET, 40), record(4, Op.SELL, 1), offset=3)
    world.explain(9)
    assert world.held(9) == 39


def test_a_record_waits_for_all_that_it_names(world: World) -> None:
    world.arrive(record(1, book="B9"), record(2, sec="S8", book="B9"), offset=1)
    world.explain(9)
    assert len(world.parking) == 2
    world.machine.register(Message.BOOKS, named(BOOK, "B", 9))
    world.parking.registered()
    assert len(world.parking) == 0
    assert (world.held(9), world.held(8)) == (100, 100)


def test_a_record_that_comes_when_its_code_is_known_by_now_is_used_at_once(world: World) -> None:
    late = Unreadable("t", 0, 7, "unknown_security", "no security 'S8'", record(1, sec="S8"))
    world.keeping.keep([late])
    assert len(world.parking) == 0
    assert world.held(8) == 100


def test_a_record_read_twice_is_parked_once_and_counted_once(world: World) -> None:
    for _ in range(2):  # a worker that was killed reads its last poll again
        world.arrive(record(1), b"{", offset=5)
    assert len(world.parking) == 1
    assert world.machine.tables.count(Word.QUARANTINED) == 1


def test_rows_of_an_arrow_record_do_not_wait_for_each_other(world: World) -> None:
    raw = arrow((1, "S9", 10), (2, "S10", 20))
    decoded = world.decode("t", [raw], b"arrow", [(0, 3)])
    world.keeping.keep(decoded.unreadable)
    assert (world.machine.tables.count(Word.PARKED), world.machine.tables.count(Word.PARKED_SHARES)) == (2, 30)
    world.explain(9)
    assert (world.held(9), world.machine.tables.count(Word.PARKED)) == (10, 1)
    world.explain(10)
    assert (world.held(10), len(world.parking)) == (20, 0)


def test_the_tables_say_how_many_shares_of_a_security_wait(world: World) -> None:
    world.arrive(record(1, sec="S8", book="B9"), record(2, Op.SELL, 30, sec="S8", book="B9"), offset=1)
    world.parking.tick()
    assert world.machine.tables.array["parked"][8] == 130
    world.machine.register(Message.BOOKS, named(BOOK, "B", 9))
    world.parking.registered()
    world.parking.tick()
    assert world.machine.tables.array["parked"][8] == 0


def test_a_name_that_none_can_be_as_long_as_is_told_by_its_beginning() -> None:
    raw = msgspec.json.encode({"src": "A", "sec": "X" * 1_000_000, "book": "Y" * 24, "op": "BUY", "qty": 5})
    told = concerns(Unreadable("t", 0, 1, Reason.UNKNOWN_SECURITY, "", raw))
    assert {code for _, code in told.wants} == {"A", "X" * 24 + "…", "Y" * 24}
    assert (told.shares, told.books) == ((("X" * 24 + "…", 5),), ("Y" * 24,))


@pytest.mark.parametrize("seq", [b"0", b"-1", b"9223372036854775808", b"1e3", b"99999999999999999999999999", b'"7"'])
def test_a_number_that_none_can_be_is_none_that_something_is_known_by(seq: bytes) -> None:
    raw = b'{"src":"A","sec":"X","op":"BUY","qty":5,"seq":' + seq + b"}"
    told = concerns(Unreadable("t", 0, 1, Reason.UNKNOWN_SECURITY, "", raw))
    assert told.numbers == ()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=Concerns) == told


def test_what_is_over_the_limit_goes_to_the_quarantine_the_oldest_first(instance: str, tmp_path: Path) -> None:
    with machine(instance) as made:
        world = World(made, tmp_path, Limits(records=2))
        world.arrive(*(record(n) for n in range(1, 5)), offset=10)
        assert [parked.entry.offset for parked in world.parking.records()] == [12, 13]
        assert made.tables.count(Word.QUARANTINED) == 2
        assert all("no room" in detail for detail in world.set_aside())


def test_a_later_start_of_day_of_its_book_overtakes_a_parked_record(world: World) -> None:
    world.arrive(record(1, Op.SET, 70), record(2, Op.SET, 70, book="B2"), offset=1)
    world.arrive(record(3, Op.RESET_BOOK, 0, sec="", depot=""), offset=3)
    world.arrive(record(4, Op.SET, 50), offset=4)
    world.explain(9)
    rows = world.machine.tables.array["position"][: world.machine.tables.count(Word.ROWS)]
    assert sorted(rows["td"].tolist()) == [50, 70]
    assert ["start of day of book B1" in detail for detail in world.set_aside()] == [True]


def test_a_start_of_day_of_another_topic_overtakes_only_what_came_before_it(world: World) -> None:
    world.arrive(record(1, Op.SET, 70), offset=1)
    resets = world.decode("t", [record(2, Op.RESET_BOOK, 0, sec="", depot="")], b"json", [(0, 900)]).events
    resets["topic"] = 1
    world.graph.emit(resets)
    world.arrive(record(3, Op.BUY, 5), offset=2)
    world.explain(9)
    assert world.held(9) == 5


def test_what_waits_survives_with_a_snapshot_and_what_came_after_it_is_read_again(world: World) -> None:
    world.arrive(record(1), b"{", offset=1)
    kept = world.keeping.state()
    world.arrive(record(2), offset=3)
    world.keeping.restore(kept)
    assert [parked.entry.offset for parked in world.parking.records()] == [1]
    world.machine.tables.state[Word.QUARANTINED] = 1  # its words are in the snapshot, too
    world.arrive(b"{", record(2), offset=2)
    world.arrive(record(2), offset=3)
    world.explain(9)
    assert world.held(9) == 200
    assert world.machine.tables.count(Word.QUARANTINED) == 1


def test_without_a_snapshot_what_is_on_disk_is_taken_up(world: World, instance: str) -> None:
    world.arrive(record(1), record(2), offset=1)
    world.close()
    with machine(f"{instance}-other") as made:
        other = World(made, world.folder)
        other.parking.load()
        assert [parked.entry.offset for parked in other.parking.records()] == [1, 2]
        other.arrive(record(1), offset=1)
        other.explain(9)
        assert other.held(9) == 200
        other.close()
        assert ParkingStore(world.folder / FILE).count() == 0


def test_what_somebody_gave_up_does_not_come_back(world: World) -> None:
    world.arrive(record(1), record(2), offset=1)
    kept = world.keeping.state()
    first = world.parking.records()[0]
    assert [entry.offset for entry in world.parking.discard([first.id, 999], "ann", "a test")] == [1]
    world.arrive(record(1), offset=1)
    world.keeping.restore(kept)
    assert [parked.entry.offset for parked in world.parking.records()] == [2]
    world.close()
    (gone,) = ParkingStore(world.folder / FILE).discarded()
    assert (gone.who, gone.comment, gone.entry.raw) == ("ann", "a test", record(1))


def test_a_retry_uses_what_can_be_used_and_leaves_the_rest(world: World) -> None:
    world.arrive(record(1), record(2, sec="S10"), offset=1)
    world.machine.register(Message.SECURITIES, security_records(9))
    assert world.parking.retry() == (1, 1)
    assert world.held(9) == 100


def test_a_record_that_is_explained_but_cannot_be_used_goes_to_the_quarantine(world: World) -> None:
    bad = Unreadable("t", 0, 7, "unknown_security", "no security 'S8'", record(1, sec="S8").replace(b"100", b'"x"'))
    world.keeping.keep([bad])
    assert len(world.parking) == 0
    assert world.machine.tables.count(Word.QUARANTINED) == 1


def test_ten_thousand_records_are_used_in_one_turn(world: World) -> None:
    world.arrive(*(record(n, quantity=1) for n in range(1, 10_001)), offset=0)
    world.explain(9)
    assert (world.held(9), len(world.parking)) == (10_000, 0)


def arrow(*rows: tuple[int, str, int]) -> bytes:
    """An Arrow record that buys: number, security and quantity of each row."""
    seqs, securities, quantities = zip(*rows, strict=True)
    count = len(rows)
    day = pa.array([TODAY] * count, pa.int32()).cast(pa.date32())
    columns = {
        "src": pa.array(["s1"] * count),
        "sec": pa.array(securities),
        "book": pa.array(["B1"] * count),
        "depot": pa.array(["D1"] * count),
        "op": pa.array([Op.BUY] * count, pa.uint8()),
        "kind": pa.array([Kind.FIRM] * count, pa.uint8()),
        "seq": pa.array(seqs, pa.int64()),
        "ts": pa.array(seqs, pa.int64()),
        "qty": pa.array(quantities, pa.int64()),
        "trade": day,
        "settle": day,
        "flags": pa.array([0] * count, pa.uint8()),
    }
    batch = pa.record_batch(columns)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(out.getvalue())
