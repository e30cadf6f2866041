import errno
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app import archive_upkeep
from app.archive_asof import asof
from app.archive_manifest import Manifest
from app.archive_names import NothingError
from app.archive_place import folder_of, record
from app.archive_reader import Past
from app.archive_status import Watch
from app.archive_writer import HOUR_NS
from app.processes.archive import upkeep
from app.settings import Settings
from engine.events import EventArray
from engine.model import Op
from engine.ring import Message
from feeds.archive_files import DamagedError
from feeds.archive_recorder import ArchiveWord, words_of
from tests.app.archived import Archived, archived, until
from tests.engine.machines import events, machine

FAR_NS = 2**62


def _told(folder: Path, at_ns: int = FAR_NS) -> EventArray:
    """All events that the archive has, in order."""
    manifest = Manifest(folder)
    try:
        past = Past(folder, manifest, at_ns)
        parts = [past.told(Message.EVENTS, name) for name in ("events", "prices")]
        records = np.concatenate([part.records for part in parts])
        order = np.lexsort(
            (np.concatenate([part.within for part in parts]), np.concatenate([part.place for part in parts]))
        )
        return records[order]
    finally:
        manifest.close()


def _batch(first: int, count: int = 50) -> EventArray:
    rows = [{"security": 1 + i % 3, "op": Op.PRICE if i % 2 else Op.BUY, "quantity": first + i} for i in range(count)]
    return events(*rows, first_seq=first)


def _apply(of: Archived, batches: int, first: int = 1) -> EventArray:
    sent = [_batch(first + 50 * i) for i in range(batches)]
    for batch in sent:
        of.machine.apply(batch)
    return np.concatenate(sent)


def _status(folder: Path, instance: str) -> Any:
    watch = Watch(Settings(instance=instance, data=str(folder)))
    try:
        return watch.status()
    finally:
        watch.close()


def test_a_killed_archive_goes_on_where_the_disk_ends_and_nothing_is_there_twice(tmp_path: Path) -> None:
    settings = Settings(instance="archive-kill", data=str(tmp_path), archive_flush_s=0.1, archive_ring_mb=8)
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    with machine("archive-kill", securities=0) as made:
        recorder = record(settings, made)
        assert recorder is not None

        def word(which: ArchiveWord) -> int:
            return int(words_of(recorder._ring)[which])

        sent = []
        for turn in range(4):
            process = subprocess.Popen(
                (sys.executable, "-m", "app.child", "archive"),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            try:
                written = word(ArchiveWord.WRITTEN)
                for i in range(6):
                    sent.append(_batch(1 + 300 * turn + 50 * i))
                    made.apply(sent[-1])
                if turn < 3:
                    until(partial(lambda before: word(ArchiveWord.WRITTEN) > before, written))
                    process.send_signal(signal.SIGKILL)
                else:
                    until(lambda: word(ArchiveWord.WRITTEN) == word(ArchiveWord.PLACE))
            finally:
                process.terminate()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
        recorder.close(made)
    assert np.array_equal(_told(folder_of(settings)), np.concatenate(sent))


def test_what_was_written_and_not_given_back_is_not_written_again(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-again") as of:
        sent = _apply(of, 3)
        of.drain._cursor.release = lambda: None  # type: ignore[method-assign]  # killed between manifest and ring
        of.drain.step(at_once=True)
        of.restart_archive()
        more = _apply(of, 2, first=151)
        of.drain.step(at_once=True)
    assert np.array_equal(_told(tmp_path), np.concatenate([sent, more]))


def test_a_full_disk_keeps_what_comes_in_the_ring_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with archived(tmp_path, "archive-full") as of:
        first = _apply(of, 2)
        of.drain.step(at_once=True)
        with monkeypatch.context() as full:

            def refuse(*_: Any) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            full.setattr(os, "fsync", refuse)
            more = _apply(of, 2, first=101)
            with pytest.raises(OSError, match="No space") as error:
                of.drain.step(at_once=True)
            of.drain.failed(error.value)
            assert "No space" in _status_of(of)
        assert not list(tmp_path.rglob("*.draft"))
        of.drain.step(at_once=True)
        assert _status_of(of) == ""
    assert np.array_equal(_told(tmp_path), np.concatenate([first, more]))


def _status_of(of: Archived) -> str:
    return str(_status(of.folder.parent, of.instance).problem)


def test_what_does_not_fit_the_ring_is_a_gap_that_is_seen_and_told_with_its_answer(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-gap", ring_bytes=1 << 17) as of:
        kept = _apply(of, 3)
        of.machine.tables.array["applied"][2, 1] = 77
        lost = _apply(of, 60, first=151)
        of.drain.step(at_once=True)
        of.drain.step(at_once=True)
        after = _apply(of, 2, first=3151)
        of.drain.step(at_once=True)
        (gap,) = of.manifest.gaps()
    found = _told(tmp_path)
    assert set(found["seq"].tolist()) | set(lost["seq"].tolist()) == set(range(1, 3251))
    assert np.array_equal(found[-after.size :], after)
    assert np.array_equal(found[: kept.size], kept)
    missing = gap.last - gap.first + 1
    assert missing * 50 == 3250 - found.size
    assert [tuple(place) for place in gap.told.applied] == [(2, 1, 77)]
    manifest = Manifest(tmp_path)
    assert [each.first for each in Past(tmp_path, manifest, FAR_NS).gaps()] == [gap.first]
    manifest.close()


def test_a_torn_file_is_never_read_as_if_it_were_whole(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-torn") as of:
        _apply(of, 3)
        of.drain.step(at_once=True)
    torn = next(tmp_path.rglob("kind=events/*.parquet"))
    whole = torn.read_bytes()
    for cut in (b"", whole[: len(whole) // 2], whole[:-1], whole[:100] + bytes(8) + whole[108:-20] + bytes(20)):
        torn.write_bytes(cut)
        with pytest.raises(DamagedError, match=torn.name):
            _told(tmp_path)


def test_what_a_killed_process_left_half_written_does_not_count_and_goes(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-left") as of:
        sent = _apply(of, 2)
        of.drain.step(at_once=True)
        folder = next(tmp_path.rglob("kind=events"))
        whole = next(folder.glob("*.parquet"))
        (folder / "000001-000000000001-000000000099.parquet").write_bytes(whole.read_bytes())
        (folder / "x.parquet.draft").write_bytes(b"half")
        assert np.array_equal(_told(tmp_path), sent)
        assert archive_upkeep.remove_uncounted(tmp_path, of.manifest) == 2
    assert [path.name for path in folder.iterdir()] == [whole.name]


def test_small_files_become_one_and_say_the_same(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-merge") as of:
        sent = []
        for turn in range(6):
            sent.append(_apply(of, 2, first=1 + 100 * turn))
            of.drain.step(at_once=True)
        before = len(of.manifest.files())
        while archive_upkeep.merge_some(tmp_path, of.manifest, of.now_ns + 2 * HOUR_NS):
            pass
        after = of.manifest.files()
        found = of.now_ns + 2 * HOUR_NS
        assert archive_upkeep.remove_uncounted(tmp_path, of.manifest, found) == 0, "somebody may be reading them"
        assert archive_upkeep.remove_uncounted(tmp_path, of.manifest, found + 1) > 0
    assert len(after) == len({file.name for file in after}) < before
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")} == {f.path for f in after}
    assert np.array_equal(_told(tmp_path), np.concatenate(sent))


class _Rounds(threading.Event):
    """Ends `upkeep` after its first round, however much is done in it."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        over, self.over = getattr(self, "over", False), True
        return over


@pytest.mark.parametrize("harm", ["cut", "gone", "changed"])
def test_a_damaged_file_is_told_as_a_gap_and_neither_merging_nor_forgetting_ends_with_it(
    tmp_path: Path, harm: str
) -> None:
    with archived(tmp_path, f"archive-harm-{harm}") as of:
        for turn in range(6):
            _apply(of, 2, first=1 + 100 * turn)
            of.drain.step(at_once=True)
        of.now_ns += 24 * HOUR_NS
        _apply(of, 1, first=601)
        of.drain.step(at_once=True)
        bad = of.manifest.files("events")[2]
        path, others = tmp_path / bad.path, [file for file in of.manifest.files() if file.path != bad.path]
        if harm == "gone":
            path.unlink()
        else:
            raw = path.read_bytes()
            path.write_bytes(raw[:-9] if harm == "cut" else raw[:100] + bytes(8) + raw[108:-20] + bytes(20))
        keeper = SimpleNamespace(folder=tmp_path, manifest=of.manifest)
        upkeep(keeper, Settings(archive_days=36_500, archive_gb=1), _Rounds())  # type: ignore[arg-type]
        after = of.manifest.files()
        assert bad.path not in {file.path for file in after}
        assert sum(file.rows for file in after) == sum(file.rows for file in others)
        assert len([file for file in after if file.first_ns < bad.first_ns + HOUR_NS and file.name == "events"]) == 1
        (gap,) = of.manifest.gaps()
        assert (gap.first, gap.last, bad.path in gap.why) == (bad.first, bad.last, True)
        assert not path.exists()
        day = next(iter(sorted(tmp_path.glob("date=*"))))
        upkeep(keeper, Settings(archive_days=1, archive_gb=1), _Rounds())  # type: ignore[arg-type]
        assert not day.exists(), "and the day goes, with what was damaged in it"
        assert not list(tmp_path.rglob("*.damaged"))


def test_what_was_damaged_goes_with_its_time_though_nothing_else_of_its_day_is_left(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-alone") as of:
        for turn in range(3):
            _apply(of, 1, first=1 + 50 * turn)
            of.drain.step(at_once=True)
            of.now_ns += 24 * HOUR_NS
        days = sorted(path.name for path in tmp_path.glob("date=*"))
        for file in of.manifest.files():
            if file.path.startswith(days[0]):
                of.manifest.missing(file, "damaged")
                path = tmp_path / file.path
                path.rename(path.with_name(path.name + archive_upkeep.DAMAGED))
        assert list(tmp_path.rglob("*.damaged"))
        assert archive_upkeep.forget_old(tmp_path, of.manifest, of.now_ns, days=9, most_bytes=0) == [days[1]]
    assert not list(tmp_path.rglob("*.damaged"))


def test_what_cannot_be_merged_does_not_keep_old_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> bool:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(archive_upkeep, "merge_some", fails)
    with archived(tmp_path, "archive-keeps") as of:
        for turn in range(2):
            _apply(of, 1, first=1 + 50 * turn)
            of.drain.step(at_once=True)
            of.now_ns += 24 * HOUR_NS
        keeper = SimpleNamespace(folder=tmp_path, manifest=of.manifest)
        upkeep(keeper, Settings(archive_days=1, archive_gb=1), _Rounds())  # type: ignore[arg-type]
    assert len(list(tmp_path.glob("date=*"))) == 1


def test_days_that_are_old_or_too_much_go_whole_and_the_newest_stays(tmp_path: Path) -> None:
    day_ns = 24 * HOUR_NS
    with archived(tmp_path, "archive-days") as of:
        for turn in range(4):
            _apply(of, 1, first=1 + 50 * turn)
            of.drain.step(at_once=True)
            of.now_ns += day_ns
        days = sorted(path.name for path in tmp_path.glob("date=*"))
        of_all = 1 << 40
        gone = archive_upkeep.forget_old(tmp_path, of.manifest, of.now_ns, days=4, most_bytes=of_all)
        assert gone == days[:1]
        assert archive_upkeep.forget_old(tmp_path, of.manifest, of.now_ns, days=9, most_bytes=0) == days[1:3]
        assert sorted(path.name for path in tmp_path.glob("date=*")) == days[3:]
    with pytest.raises(NothingError, match="no longer kept"):
        asof(tmp_path, FAR_NS, "S1")


def test_after_a_restart_each_place_counts_once_and_the_old_past_can_still_be_asked(tmp_path: Path) -> None:
    with archived(tmp_path, "archive-one") as of:
        first = _apply(of, 4)
        of.drain.step(at_once=True)
        place, before_ns = int(of.machine.tables.state[34]) - 2, of.now_ns  # a snapshot two batches ago
    with archived(tmp_path, "archive-two", parent="archive-one", place=place, now_ns=before_ns + HOUR_NS) as of:
        again = _apply(of, 1, first=101)
        of.drain.step(at_once=True)
    assert np.array_equal(_told(tmp_path, before_ns), first)
    assert np.array_equal(_told(tmp_path), np.concatenate([first[:100], again]))
    with pytest.raises(NothingError):
        _told(tmp_path, 5)
