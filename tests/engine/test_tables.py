"""Shared memory: one writer, many readers, nothing torn and nothing left behind."""

import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engine import segment
from engine.model import Kind, Op
from engine.registry import CapacityError
from engine.ring import Message, Ring
from engine.segment import Field, Segment, SegmentInUseError, SegmentMissingError, remove_dead
from engine.tables import Reader, TornReadError, Word
from tests.engine.machines import SMALL, events, machine, security_records

_HOLD = """
import sys
from engine.segment import Field, Segment
Segment.create(sys.argv[1], {"a": Field.of("<i8", 8)}, {})
print("MADE", flush=True)
sys.stdin.read()
"""


def _owner(name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, name], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "MADE\n"
    return process


def _path(name: str) -> Path:
    return segment.folder() / f"ims.{name}"


def test_what_a_killed_owner_left_is_removed_at_the_next_start(instance: str) -> None:
    owner = _owner(instance)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert _path(instance).exists()
    assert f"ims.{instance}" in remove_dead()
    assert not _path(instance).exists()


def test_a_living_owner_is_never_touched(instance: str) -> None:
    with _owner(instance) as owner:
        assert f"ims.{instance}" not in remove_dead()
        with pytest.raises(SegmentInUseError):
            Segment.create(instance, {"a": Field.of("<i8", 8)}, {})
        assert Segment.attach(instance).owner_alive
        owner.kill()


def test_a_dead_owners_block_is_replaced_and_its_readers_see_it(instance: str) -> None:
    owner = _owner(instance)
    reader = Segment.attach(instance)
    assert not reader.stale
    owner.kill()
    owner.wait()
    assert not reader.owner_alive
    made = Segment.create(instance, {"a": Field.of("<i8", 8)}, {})
    assert reader.stale
    made.close()


def test_only_the_owners_user_may_look(instance: str) -> None:
    made = Segment.create(instance, {"a": Field.of("<i8", 8)}, {})
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    made.close()
    assert not _path(instance).exists()


def test_readers_cannot_write(instance: str) -> None:
    with machine(instance), pytest.raises(ValueError, match="read-only"):
        Reader(f"{instance}.tables").tables().state[Word.EVENTS] = 1


def test_a_reader_survives_the_writers_restart(instance: str) -> None:
    reader = Reader(f"{instance}.tables")
    with pytest.raises(SegmentMissingError):
        reader.tables()
    for quantity in (5, 7):
        with machine(instance) as made:
            made.apply(events({"quantity": quantity}))
            assert reader.tables().array["position"][0]["td"] == quantity


def test_a_reader_never_sees_half_a_batch(instance: str) -> None:
    """Every batch moves the same quantity from one security to another: their sum is the same at every quiet moment."""
    with machine(instance) as made:
        made.apply(events({"quantity": 0, "security": 2}, {"quantity": 0, "security": 4}))
        tables = Reader(f"{instance}.tables").tables()
        sums: set[int] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                sums.add(tables.read(lambda: int(tables.array["values"][[2, 4], 0, 0].sum())))

        watching = threading.Thread(target=look)
        watching.start()
        for i in range(300):
            quantity = 1_000 + i
            pair = [{"quantity": quantity, "security": 2}, {"quantity": 5_000 - quantity, "security": 4}]
            made.apply(events(*pair, first_seq=10 + 2 * i))
        done.set()
        watching.join()
        assert sums <= {0, 5_000}


def test_a_first_copy_that_takes_long_does_not_use_up_the_patience(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine(instance) as made:
        copies, clock_s = 0, 0.0
        monkeypatch.setattr("engine.tables.time", SimpleNamespace(monotonic=lambda: clock_s, sleep=lambda _s: None))

        def copy() -> int:
            nonlocal copies, clock_s
            copies += 1
            if copies == 1:  # as if it compiled, while the writer goes on
                clock_s += 60.0
                with made.tables.writing():
                    pass
            return copies

        assert made.tables.read(copy, patience_s=1.0) == 2


def test_a_reader_gives_up_on_a_writer_that_never_rests(instance: str) -> None:
    with machine(instance) as made, made.tables.writing(), pytest.raises(TornReadError):
        Reader(f"{instance}.tables").tables().read(lambda: 1, patience_s=0.02)


def test_rows_beyond_capacity_stop_the_writer_with_a_clear_error(instance: str) -> None:
    rows = [
        {"quantity": 1, "security": 1 + i % 8, "book": 1 + i // 8 % 4, "depot": i // 32} for i in range(SMALL.rows + 1)
    ]
    with (
        machine(instance) as made,
        pytest.raises(CapacityError, match=r"all 512 rows are in use; start with --rows 1024"),
    ):
        made.apply(events(*rows))


def test_securities_beyond_capacity_change_nothing(instance: str) -> None:
    with machine(instance) as made:
        with pytest.raises(CapacityError, match="securities: room for 64, 80 needed"):
            made.register(Message.SECURITIES, security_records(80))
        assert made.tables.count(Word.SECURITIES) == 8


def test_every_identifier_finds_the_security_but_a_masked_isin_does_not(instance: str) -> None:
    with machine(instance) as made:
        records = security_records(2)
        records["isin"] = [b"US0378331005", b"XXXXXXX31005"]
        records["sedol"] = [b"2046251", b""]
        records["flags"] = [0, 2]
        made.register(Message.SECURITIES, records)
        found = [made.inventory.security_id(code) for code in ("S1", "US0378331005", "2046251", "T1@TW", "T2@US")]
        assert found == [1, 1, 1, 1, 2]
        assert made.inventory.security_id("XXXXXXX31005") == 0
        assert made.inventory.security_id("T1") == 0


def test_rows_of_a_security_are_found_newest_first(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events(*({"quantity": 1, "book": 1 + i} for i in range(3)), {"quantity": 1, "security": 4}))
        assert made.tables.rows_of(2).tolist() == [2, 1, 0]


def test_a_ring_gives_back_what_was_pushed_in_order_around_its_end(instance: str) -> None:
    ring = Ring.create(f"{instance}.ring", 64 * 200)
    producer = Ring.attach(f"{instance}.ring")
    sent, received = 0, 0
    while sent < 200:
        batch = events(*({"quantity": sent, "kind": Kind.FIRM, "op": Op.SET} for _ in range(1 + sent % 17)))
        if producer.push(Message.EVENTS, batch):
            sent += 1
            continue
        while (message := ring.pop()) is not None:
            kind, payload = message
            assert kind == Message.EVENTS
            assert np.all(payload["quantity"] == received)
            assert payload.size == 1 + received % 17
            ring.release()
            received += 1
    assert received > 100
    assert ring.backlog_bytes == producer.backlog_bytes
    ring.close()


def test_a_message_that_could_never_fit_is_refused(instance: str) -> None:
    ring = Ring.create(f"{instance}.ring", 6_400)
    with pytest.raises(ValueError, match="more than half of the ring"):
        ring.push(Message.EVENTS, events(*({"quantity": 1} for _ in range(60))))
    ring.close()
