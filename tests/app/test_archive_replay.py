import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import cli
from app.archive_manifest import Manifest
from app.archive_reader import Past
from app.archive_replay import Pace, machine_of, steps, tell
from engine.model import Clock, Decided, Kind, Op
from engine.ring import MOVE, Message
from engine.tables import Word
from tests.app.archived import Archived, archived, now
from tests.engine.machines import TODAY, events, security_records


def _day(of: Archived) -> None:
    """A little of everything, with a duplicate, a refusal and a gap in the numbers."""
    made = of.machine
    made.apply(events(*({"security": 1 + i % 3, "quantity": 100 * i, "kind": Kind.FIRM} for i in range(30))))
    made.apply(events(*({"security": 1, "op": Op.BUY, "quantity": 5} for _ in range(4)), first_seq=28))
    made.apply(events({"security": 2, "op": Op.BUY, "settle_date": TODAY - 5}, first_seq=50))
    made.set_decided(2, Decided.SHORT_LOCATES, 17)
    made.set_clock(0, Clock.LENDING_OPEN, 0, is_open=False)
    record = security_records(3)[1:2]
    record["fee"] = 4_200
    made.register(Message.SECURITIES, record)
    made.move(np.array([("S3", "S1", "", "", 7)], MOVE))
    made.roll((made.tables.array["today"] + 1).astype(np.int32))
    made.publish(made.book)
    made.apply(events({"security": 2, "op": Op.PRICE, "quantity": 87_000_000}, first_seq=60))


def test_told_again_the_machine_is_what_it_was_with_its_counters(tmp_path: Path) -> None:
    with archived(tmp_path, "replay-live") as of:
        _day(of)
        of.drain.step(at_once=True)
        past = Past(tmp_path, Manifest(tmp_path), of.now_ns)
        again = machine_of(past, "replay-again.tables")
        try:
            for step in steps(past):
                tell(again, step)
            for security in (1, 2, 3):
                assert now(again, security) == now(of.machine, security)
            counters = (Word.EVENTS, Word.DUPLICATES, Word.REJECTED, Word.MISSING, Word.ROWS, Word.LAST_EVENT_NS)
            assert [again.tables.count(word) for word in counters] == [
                of.machine.tables.count(word) for word in counters
            ]
        finally:
            again.close()


def test_at_a_speed_what_took_a_second_takes_its_part_of_one() -> None:
    waited: list[float] = []
    pace = Pace(10.0, waited.append)
    pace.wait(5_000_000_000)
    pace.wait(605_000_000_000)
    assert sum(waited) == pytest.approx(60, abs=1)
    Pace(0.0, waited.append).wait(9 * 10**18)
    assert len(waited) == 1


def test_a_person_asks_the_archive_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "archive" / "messages"
    with archived(folder, "replay-asked") as of:
        _day(of)
        of.drain.step(at_once=True)
        had = now(of.machine, 2)
    data = ["--data", str(tmp_path)]
    assert cli.main(["asof", "2030-01-01", "--security", "S2", "--json", *data]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(answer["calculations"].values()) == [
        values for name, values in zip(answer["calculations"], had["values"], strict=False)
    ]
    assert answer["exact"]
    assert answer["decided"] == {"short_locates": 17}
    assert cli.main(["asof", "2030-01-01", "--security", "T2@US", *data]) in (0, 1)
    assert cli.main(["asof", "2001-01-01", "--security", "S2", *data]) == 1
    assert cli.main(["asof", "yesterday", "--security", "S2", *data]) == 2
    assert cli.main(["replay", "--to", "2030-01-01", *data]) == 0
    assert "3 securities" in capsys.readouterr().out
    assert cli.main(["archive", "status", "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["gap_count"] == 0
