"""When snapshots are taken and how a machine begins from one; what is in them is tested in tests/engine/test_snapshot.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from app import snapshots, world
from app.snapshot_files import SnapshotFolder
from app.snapshots import Snapshots, begin, folder_of
from engine.model import Op
from engine.rule_model import Document
from engine.state import Calendar, Machine
from engine.tables import Word
from tests.engine.machines import MARKETS, SMALL, TODAY, events, machine

TOPICS = ["ims.events", "ims.reference"]
CODES = [market.code for market in MARKETS]
SECOND_NS = 10**9


@pytest.fixture
def running(instance: str) -> Iterator[Machine]:
    with machine(instance) as made:
        made.apply(events({"quantity": 100}, {"op": Op.BUY, "quantity": 7, "security": 3}))
        yield made


def taken(of: Machine, folder: SnapshotFolder, now_ns: int) -> Snapshots:
    taking = Snapshots(folder, of, TOPICS, dict, 30.0)
    taking.finish(now_ns)
    return taking


def maker(instance: str) -> snapshots.Make:
    days = np.tile(np.arange(400, dtype=np.int32), (len(MARKETS), 1))
    calendar = Calendar(TODAY - 100, days, np.full(len(MARKETS), TODAY, np.int32))

    def make(rules: tuple[Document, ...] | None) -> Machine:
        return Machine(f"{instance}b.tables", SMALL, world.rule_book(rules), MARKETS, calendar, "again")

    return make


def test_one_is_taken_when_it_is_time_and_not_before(running: Machine, tmp_path: Path) -> None:
    taking = Snapshots(folder_of(tmp_path), running, TOPICS, dict, 30.0)
    taking.tick(SECOND_NS)
    taking.tick(30 * SECOND_NS)
    assert not taking.turn()
    taking.tick(31 * SECOND_NS)
    while taking.turn():
        pass
    taking.wait()
    assert [path.stem for path in folder_of(tmp_path).files()] == [str(31 * SECOND_NS)]
    assert taking.status().problem == ""
    assert taking.status().taken_ns == running.tables.count(Word.SNAPSHOT_NS) == 31 * SECOND_NS


def test_a_clock_that_was_set_back_neither_stops_snapshots_nor_hides_the_newest(
    running: Machine, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    taken(running, folder, 900 * SECOND_NS)
    taking = Snapshots(folder, running, TOPICS, dict, 30.0)
    taking.tick(500 * SECOND_NS)
    taking.tick(100 * SECOND_NS)
    taking.tick(130 * SECOND_NS)
    while taking.turn():
        pass
    taking.wait()
    assert len(folder.files()) == 2
    assert int(folder.files()[0].stem) > 900 * SECOND_NS


@pytest.mark.usefixtures("running")
def test_without_a_snapshot_a_machine_begins_empty(instance: str, tmp_path: Path) -> None:
    begun, contents = begin(maker(instance), folder_of(tmp_path), CODES, TOPICS)
    assert contents is None
    assert begun.tables.count(Word.ROWS) == 0
    begun.close()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_snapshot_is_told_loudly_and_the_one_before_it_used(
    running: Machine, instance: str, tmp_path: Path, damage: str
) -> None:
    folder = folder_of(tmp_path)
    taken(running, folder, SECOND_NS)
    running.apply(events({"op": Op.BUY, "quantity": 50}, first_seq=3))
    taken(running, folder, 2 * SECOND_NS)
    newest = folder.files()[0]
    if damage == "cut":
        os.truncate(newest, newest.stat().st_size // 2)
    else:
        raw = bytearray(newest.read_bytes())
        raw[len(raw) // 2] ^= 16
        newest.write_bytes(raw)
    with capture_logs() as logs:
        begun, contents = begin(maker(instance), folder, CODES, TOPICS)
    assert contents is not None
    assert contents.header.taken_ns == SECOND_NS
    assert "damaged" in next(entry["event"] for entry in logs if entry["log_level"] == "critical")
    assert begun.tables.count(Word.EVENTS) == 2
    begun.close()


@pytest.mark.parametrize(("markets", "topics"), [(["XX"], TOPICS), (CODES, ["other.events", "other.reference"])])
def test_a_snapshot_of_another_desk_is_refused_and_kafka_read_from_its_beginning(
    running: Machine, instance: str, tmp_path: Path, markets: list[str], topics: list[str]
) -> None:
    folder = folder_of(tmp_path)
    taken(running, folder, SECOND_NS)
    with capture_logs() as logs:
        begun, contents = begin(maker(instance), folder, markets, topics)
    assert contents is None
    assert begun.tables.count(Word.ROWS) == 0
    assert "from its beginning" in [entry["event"] for entry in logs if entry["log_level"] == "critical"][-1]
    begun.close()


def test_a_full_disk_is_told_and_the_snapshot_before_stays(
    running: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path)
    taking = taken(running, folder, SECOND_NS)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        taking.begin(2 * SECOND_NS)
        while taking.turn():
            pass
        taking.wait()
    assert "No space left" in taking.status().problem
    assert [path.name for path in folder.path.iterdir()] == [f"{SECOND_NS}.snapshot"]
    taking.finish(3 * SECOND_NS)
    assert taking.status().problem == ""
    assert len(folder.files()) == 2


def test_a_day_that_begins_meanwhile_makes_it_begin_again(running: Machine, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    taking = Snapshots(folder, running, TOPICS, dict, 30.0)
    taking.begin(SECOND_NS)
    running.roll((running.tables.array["today"] + 1).astype(np.int32))
    taking.turn()
    taking.wait()
    assert folder.files() == []
    taking.tick(3 * SECOND_NS)
    while taking.turn():
        pass
    taking.wait()
    assert len(folder.files()) == 1
