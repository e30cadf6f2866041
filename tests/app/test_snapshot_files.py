import os
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from app.snapshot_files import DamagedSnapshotError, Header, SnapshotFile, SnapshotFolder, read
from engine.records import NAMED

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS


def header(taken_ns: int) -> Header:
    return Header(
        taken_ns=taken_ns,
        layout="x",
        generation="g",
        log=1,
        rows=2,
        markets=["US"],
        today=[20_000],
        base_date=19_900,
        topics=["t"],
        capacity={"rows": 10},
    )


def written(folder: SnapshotFolder, taken_ns: int, numbers: int = 1_000) -> Path:
    folder.prepare()
    file = SnapshotFile(folder.path, header(taken_ns))
    file.add("words", np.arange(numbers))
    file.add("words", np.arange(3, dtype=np.uint8))
    file.add("named", np.array([(b"D1", b"Depot")], NAMED))
    file.add("empty", np.zeros((0, 4), np.uint64))
    file.finish()
    return file.path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    contents = read(written(SnapshotFolder(tmp_path), 5))
    assert contents.header == header(5)
    first, second = contents.parts["words"]
    assert np.array_equal(first, np.arange(1_000))
    assert second.tolist() == [0, 1, 2]
    assert contents.parts["named"][0]["name"][0] == b"Depot"
    assert contents.parts["empty"][0].shape == (0, 4)


def test_what_was_opened_after_the_end_of_a_file_is_not_closed_with_it(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    folder.prepare()
    file = SnapshotFile(folder.path, header(5))
    number = file._file
    file.finish()
    others = [os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY) for _ in range(3)]
    assert number in others, "one of them has the number that the file had"
    file.drop()
    for other in others:
        os.close(other)  # raises where somebody has closed it
    assert file.path.exists()


def test_a_file_that_ends_early_is_never_taken_for_whole(tmp_path: Path) -> None:
    path = written(SnapshotFolder(tmp_path), 5, 20)
    raw = path.read_bytes()
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        with pytest.raises(DamagedSnapshotError):
            read(path)


def test_any_changed_bit_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    path = written(SnapshotFolder(tmp_path), 5, 20)
    raw, whole = path.read_bytes(), read(path)
    unnoticed = 0
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            parts = read(path).parts
        except DamagedSnapshotError:
            continue
        unnoticed += 1  # filling between parts
        assert all(np.array_equal(a, b) for name in parts for a, b in zip(parts[name], whole.parts[name], strict=True))
    assert unnoticed < 16


def test_a_damaged_snapshot_is_passed_over_loudly_and_put_aside(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    paths = [written(folder, taken) for taken in (1, 2, 3)]
    paths[2].write_bytes(paths[2].read_bytes()[:-9])
    with capture_logs() as logs:
        used = next(folder.good())
    assert used.header.taken_ns == 2
    assert [entry["log_level"] for entry in logs] == ["critical"]
    assert folder.files() == [paths[1], paths[0]]
    assert folder.damaged() == 1


def test_what_a_killed_writer_left_is_removed_and_never_read(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    path = written(folder, 1)
    SnapshotFile(tmp_path, header(2)).add("words", np.arange(10))
    assert folder.files() == [path]
    folder.prepare()
    assert list(tmp_path.iterdir()) == [path]


def test_three_newest_and_one_an_hour_for_a_day_are_kept(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    now = 1_000 * HOUR_NS
    minutes = [now - i * HOUR_NS // 4 for i in range(200)]  # four an hour, for two days
    for taken in minutes:
        written(folder, taken, 1)
    folder.thin_out(now)
    kept = [int(path.stem) for path in folder.files()]
    assert kept[:3] == minutes[:3]
    hours = [taken // HOUR_NS for taken in kept[3:]]
    assert len(hours) == len(set(hours))
    assert min(kept) >= now - DAY_NS
    assert 22 <= len(hours) <= 25


def test_those_before_a_moment_are_found(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    paths = [written(folder, taken, 1) for taken in (10, 20, 30)]
    assert folder.before(25) == [paths[1], paths[0]]
    assert folder.before(9) == []
