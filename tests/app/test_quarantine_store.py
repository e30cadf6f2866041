"""The quarantine on disk: nothing is lost, nothing is doubled, and a person gets every byte back."""

import base64
import csv
import json
import stat
from pathlib import Path

import pytest

from app import cli
from app.quarantine_store import FILE, Limits, QuarantineStore, Size
from feeds.quarantine import Unreadable


def _entry(offset: int, raw: bytes = b"{", reason: str = "malformed", events: int = 1) -> Unreadable:
    return Unreadable("ims.events", 1, offset, reason, "cut off", raw, events)


@pytest.fixture
def store(tmp_path: Path) -> QuarantineStore:
    return QuarantineStore(tmp_path / "data" / FILE)


def test_a_replay_doubles_nothing(store: QuarantineStore) -> None:
    entries = [_entry(offset) for offset in range(1000)]
    assert store.add(entries) == 1000
    assert store.add(entries) == 0
    assert store.add([_entry(999), _entry(1000)]) == 1
    assert [entry.offset for entry in store.entries()] == list(range(1001))


def test_other_bytes_or_another_reason_under_the_same_offset_are_another_entry(store: QuarantineStore) -> None:
    assert store.add([_entry(1, b"a"), _entry(1, b"b"), _entry(1, b"a", "unknown_book")]) == 3


def test_counts_are_of_entries_and_of_the_events_they_stand_for(store: QuarantineStore) -> None:
    store.add([_entry(1), _entry(2), _entry(3, reason="unknown_security", events=40)])
    assert store.counts() == {"unknown_security": (1, 40), "malformed": (2, 2)}
    assert [entry.offset for entry in store.entries("malformed")] == [1, 2]
    assert [entry.offset for entry in store.entries(limit=2)] == [2, 3]


def test_it_is_kept_to_its_limits_the_oldest_going_first_and_counted(tmp_path: Path) -> None:
    store = QuarantineStore(tmp_path / FILE, Limits(entries=100))
    for first in range(0, 250, 50):
        store.add([_entry(offset) for offset in range(first, first + 50)])
        store.add([_entry(first)])  # read again: fills nothing
    size = store.size
    assert size.entries <= 100
    assert size.entries + size.dropped == 250
    assert [entry.offset for entry in store.entries()][-1] == 249
    assert QuarantineStore(tmp_path / FILE).size == size


def test_a_few_large_records_do_not_fill_the_disk(tmp_path: Path) -> None:
    store = QuarantineStore(tmp_path / FILE, Limits(size_bytes=1_000_000))
    for offset in range(20):
        store.add([_entry(offset, bytes(100_000))])
    assert store.size.size_bytes <= 1_000_000
    assert [entry.offset for entry in store.entries()][-1] == 19


def test_entries_can_be_chosen_paged_counted_by_topic_and_removed(store: QuarantineStore) -> None:
    store.add([_entry(offset, events=2) for offset in range(5)])
    first = store.page(3)
    assert [entry.offset for entry in first] == [4, 3, 2]
    assert [entry.offset for entry in store.page(3, before=first[-1].id, topic="ims.events")] == [1, 0]
    assert store.page(3, reason="unknown_book") == []
    assert store.by_topic() == {"ims.events": 10}
    ids = [entry.id for entry in first]
    assert [entry.offset for entry in store.chosen([*ids, 999])] == [2, 3, 4]
    assert store.remove([*ids, 999]) == 3
    assert store.size == Size(2, 2, 0)


def test_nobody_else_may_read_it(store: QuarantineStore, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600


RAWS = (b'{"src":"sim-0"', b"\xff\x00\x01binary", b"=HYPERLINK(1)", 'Zürich,\n"quoted"'.encode(), b"", b"x" * 200_000)


def _export(tmp_path: Path, store: QuarantineStore, name: str) -> Path:
    store.add([_entry(number, raw) for number, raw in enumerate(RAWS)])
    target = tmp_path / name
    assert cli.main(["quarantine", "export", str(target), "--data", str(tmp_path / "data")]) == 0
    return target


def test_jsonl_gives_every_byte_back(store: QuarantineStore, tmp_path: Path) -> None:
    lines = _export(tmp_path, store, "q.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["offset"] for row in rows] == list(range(len(RAWS)))
    back = [base64.b64decode(row["raw_base64"]) if "raw_base64" in row else row["raw"].encode() for row in rows]
    assert tuple(back) == RAWS


def test_csv_gives_every_byte_back_with_formulas_defused(store: QuarantineStore, tmp_path: Path) -> None:
    csv.field_size_limit(1 << 20)
    with _export(tmp_path, store, "q.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2]["raw"] == "'=HYPERLINK(1)"
    back = [base64.b64decode(row["raw_base64"]) if row["raw_base64"] else row["raw"].encode() for row in rows]
    assert back[:2] + back[3:] == list(RAWS[:2] + RAWS[3:])


def test_list_shows_entries_and_counts_and_steers_no_terminal(
    store: QuarantineStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add([_entry(7, b"\x1b[31mred"), _entry(8, reason="unknown_book")])
    data = ["--data", str(tmp_path / "data")]
    assert cli.main(["quarantine", "list", *data]) == 0
    shown = capsys.readouterr().out
    assert "ims.events[1]@7  malformed: cut off" in shown
    assert "\x1b" not in shown
    assert cli.main(["quarantine", "list", "--json", "--reason", "unknown_book", *data]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["counts"] == {"unknown_book": {"entries": 1, "events": 1}}
    assert [entry["offset"] for entry in answer["entries"]] == [8]


def test_a_wrong_file_name_or_folder_is_said_clearly(
    store: QuarantineStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["quarantine", "export", "q.xlsx", "--data", str(tmp_path / "data")]) == 2
    assert "neither .jsonl nor .csv" in capsys.readouterr().err
    assert cli.main(["quarantine", "list", "--data", str(tmp_path / "nowhere")]) == 2
    assert "quarantined nothing" in capsys.readouterr().err
