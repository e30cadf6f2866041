"""One sloppy file is refused, with the place and the reason; the files of all others are loaded as if it were not there."""

import errno
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import files_examiner
from app.files_folder import misnamed, spelled
from app.files_store import FileReport, FileState
from engine.segment import SegmentMissingError
from feeds import files_forms
from feeds.files_log import NotWrittenError, PartWriter
from tests.app.files_world import TODAY, Killed, World, files_world

TRADES = "op,sec,book,depot,kind,trade,settle,qty\n"


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with files_world(instance, tmp_path) as made:
        yield made


def trades(*quantities: int | str) -> str:
    rows = "".join(f"BUY,S2,B1,D1,FIRM,{TODAY},{TODAY},{quantity}\n" for quantity in quantities)
    return f"{TRADES}{rows}#TRAILER,{len(quantities)}\n"


def bought(world: World) -> int:
    return (world.row("S2", "B1") or {}).get("td", 0)


def refused(world: World, others: int = 1) -> FileReport:
    """The one report that is not of a good file; the good ones were loaded."""
    reports = world.load()
    states = [report.state for report in reports]
    assert states.count(FileState.LOADED) == others, [report.why for report in reports]
    (bad,) = (report for report in reports if report.state == FileState.REFUSED)
    assert world.desk.store.unfinished() == []
    return bad


def test_names_that_no_archive_takes_are_told_escaped_and_the_others_loaded(world: World) -> None:
    folder = os.fsencode(world.data / "drop" / "trades")
    for name in (b"B\xf6rse.csv", b"l" * 246 + b".csv"):
        with open(os.path.join(folder, name), "wb") as file:  # noqa: PTH118, PTH123  a name that is no text
            file.write(trades(5).encode())
    with open(os.path.join(os.path.dirname(folder), b"stray-\xf6.csv"), "wb"):  # noqa: PTH118, PTH120, PTH123
        pass
    world.drop("trades", "good.csv", trades(7))
    reports = {report.name: report for report in world.load()}
    assert "stray-\\xf6.csv" in {each.name for each in world.desk.store.waiting()}
    latin, long = reports["B\\xf6rse.csv"], reports["l" * 246 + ".csv"]
    assert (latin.state, long.state, reports["good.csv"].state) == ("refused", "refused", "loaded")
    assert "not UTF-8" in latin.why
    assert "250 bytes, at most 200" in long.why
    assert all((world.data / report.archived).is_file() for report in reports.values())
    assert os.listdir(folder) == []  # noqa: PTH208  names that are no text
    assert bought(world) == 7


def test_no_two_names_are_told_as_one() -> None:
    names = [os.fsdecode(b"\xf6"), "\\xf6", "ö", "\x85", os.fsdecode(b"\x85"), "\n", "\\n", "\\u000a"]
    assert len({spelled(name) for name in names}) == len(names)
    assert all(spelled(name).isprintable() and not misnamed(spelled(name)) for name in names)


@pytest.mark.parametrize("cell", ["+" + "1" * 5_000, "0" * 5_000, "1" * 5_000, "1" * 300, "-" + "9" * 6_000])
def test_a_number_of_any_length_is_a_fault_of_its_cell(world: World, cell: str) -> None:
    world.drop("trades", "t.csv", trades(1, cell))
    world.drop("trades", "u.csv", trades(7))
    bad = refused(world)
    assert (bad.faults[0].line, bad.faults[0].column) == (3, "qty"), bad.faults[0]
    assert bought(world) == 7


def test_a_number_too_large_for_any_is_no_missing_one(world: World) -> None:
    world.drop("reference", "c.csv", f"type,code,fee\nsecurity,S1,{'9' * 390}\n#TRAILER,1\n")
    world.drop("contracts", "c.csv", "type\n#TRAILER,0\n")
    bad = next(report for report in world.load() if report.name == "c.csv" and report.feed == "reference")
    assert (bad.state, bad.faults[0].line) == (FileState.REFUSED, 2)


def test_a_time_beyond_all_calendars_is_a_fault_of_its_row(world: World) -> None:
    rows = 3
    columns: dict[str, Any] = {name: [value] * rows for name, value in _row().items()}
    columns["ts"] = pa.array([0, 2**59, 0], pa.timestamp("us"))
    path = world.data / "drop" / "trades" / "t.parquet"
    pq.write_table(pa.table(columns | {"src": ["s1"] * rows, "seq": [1, 2, 3]}), path)
    bad = refused(world, others=0)
    assert (bad.faults[0].line, bad.faults[0].column) == (2, "ts"), bad.faults


def _row() -> dict[str, Any]:
    day = datetime.fromisoformat(TODAY).date()
    return {
        "op": "BUY", "sec": "S2", "book": "B1", "depot": "D1", "kind": "FIRM", "trade": day, "settle": day, "qty": 5,
    }  # fmt: skip


def test_what_nobody_has_thought_of_is_a_fault_with_its_lines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def beyond(*_: Any) -> Any:
        raise ZeroDivisionError("nobody thought of it")

    world.drop("trades", "t.csv", trades(1, 2))
    with monkeypatch.context() as patched:
        patched.setattr("feeds.files_check.Rows.records", beyond)
        bad = refused(world, others=0)
    assert (bad.faults[0].line, bad.can_be_forced) == (2, False)
    assert "line 4 cannot be used: ZeroDivisionError" in bad.why.replace("line 3", "line 4")
    world.drop("trades", "u.csv", trades(1, 2))
    with monkeypatch.context() as patched:
        patched.setattr(files_forms, "key", beyond)
        assert "it cannot be checked: ZeroDivisionError: nobody thought of it" in refused(world, others=0).why


def test_a_file_that_cannot_be_moved_does_not_hold_up_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    move = shutil.move

    def fails(source: Path, target: Path) -> None:
        if source.name == "a.csv":
            raise PermissionError(errno.EACCES, "Permission denied")
        move(source, target)

    path = world.drop("trades", "a.csv", trades(5))
    world.drop("trades", "b.csv", trades(7))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "move", fails)
        assert [(report.name, report.state) for report in world.load()] == [("b.csv", FileState.LOADED)]
        (waiting,) = world.desk.store.waiting()
    assert "it cannot be taken: Permission denied" in waiting.why
    assert path.exists()
    world.patience()
    assert [(report.name, report.state) for report in world.load()] == [("a.csv", FileState.LOADED)]


def test_a_file_that_ends_the_loader_is_begun_twice_and_not_a_third_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> Any:
        raise Killed

    world.drop("trades", "a.csv", trades(5))
    world.desk.turn()
    world.moment += 1.0
    with monkeypatch.context() as patched:
        patched.setattr(files_examiner.Examiner, "_rows_checked", dies)
        for begin in ("turn", "resume"):
            with pytest.raises(Killed):
                getattr(world.desk, begin)()
            world.desk.close()
            world.desk = world.start()
        world.desk.resume()
    report = world.desk.store.report(1)
    assert report is not None
    assert (report.state, report.fault_count) == (FileState.REFUSED, 1)
    assert "begun 2 times" in report.why
    assert (world.data / report.archived).is_file()


def test_an_engine_that_goes_is_no_fault_of_a_file_however_often(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise SegmentMissingError("gone")

    world.drop("trades", "a.csv", trades(5))
    world.desk.turn()
    world.moment += 1.0
    with monkeypatch.context() as patched:
        patched.setattr(files_examiner.Examiner, "_rows_checked", gone)
        for begin in (world.desk.turn, *[world.desk.resume] * 4):
            with pytest.raises(SegmentMissingError):
                begin()
    world.desk.resume()
    assert bought(world) == 5


def test_a_full_disk_is_no_fault_of_a_file_and_it_is_loaded_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """A file for which there is room as long as `left` says."""

        left = 0

        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, raw: Any) -> int:
            Full.left -= len(raw)
            if Full.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self._file.write(raw))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    opened = pa.ipc.new_file
    monkeypatch.setattr(pa.ipc, "new_file", lambda file, *rest, **more: opened(Full(file), *rest, **more))
    Full.left = 1 << 30
    world.drop("trades", "first.csv", trades(1))
    world.load()  # the source is known
    for room in (0, 500, 900):
        world.drop("trades", f"{room}.csv", trades(*range(10, 200), room))
        world.desk.turn()
        world.moment += 1.0
        Full.left = room
        with pytest.raises(NotWrittenError, match="No space left"):
            world.desk.turn()
        for _ in range(3):
            Full.left = room
            with pytest.raises(NotWrittenError, match="No space left"):
                world.desk.resume()
        Full.left = 1 << 30
        world.desk.resume()
        report = world.desk.store.reports(1)[0]
        assert (report.state, report.faults, report.why) == (FileState.LOADED, (), "")
        assert not list((world.data / "files" / "work").iterdir())


def test_a_wish_to_force_a_file_is_kept_until_it_is_carried_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise SegmentMissingError("gone")

    world.drop("trades", "t.csv", trades(5))
    world.load()
    world.drop("positions", "sod.csv", "sec,book,depot,kind,sd\nS2,B1,D1,FIRM,200\n#TRAILER,1\n")
    (report,) = world.load()
    assert report.can_be_forced
    assert world.desk.store.force(report.id, "olga", "late custodian")
    with monkeypatch.context() as patched:
        patched.setattr(PartWriter, "__init__", gone)
        with pytest.raises(SegmentMissingError):
            world.desk.turn()
    world.desk.close()
    world.desk = world.start()
    world.desk.resume()
    forced = world.desk.store.report(report.id)
    assert forced is not None
    assert (forced.state, forced.forced_by, forced.comment) == (FileState.LOADED, "olga", "late custodian")
    assert bought(world) == 200


@pytest.mark.parametrize("step", range(1, 6))
def test_a_loader_killed_while_it_takes_up_a_wish_forgets_none(world: World, step: int) -> None:
    world.drop("trades", "t.csv", trades(5))
    world.load()
    world.drop("positions", "sod.csv", "sec,book,depot,kind,sd\nS2,B1,D1,FIRM,200\n#TRAILER,1\n")
    (report,) = world.load()
    assert world.desk.store.force(report.id, "olga", "late custodian")
    world.die_and_live(step)
    forced = world.desk.store.report(report.id)
    assert forced is not None
    assert (forced.state, bought(world)) == (FileState.LOADED, 200)
