"""The recorder's history: what it says of a moment is what the machine had then."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import world
from app.history_recorder import HistoryRecorder
from app.history_series import Series, looks, series
from app.history_upkeep import forget_old, remove_unfinished, upkeep
from engine.model import DAYS, Op
from engine.ring import Message
from engine.rule_model import Scope
from engine.state import Machine
from engine.tables import Word
from feeds.history_files import HOUR_NS, days, files
from tests.engine.machines import events, machine, security_records

MINUTE_NS = 60_000_000_000
BEGIN_NS = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
OTHER = tuple(
    type(document)(document.name, 2, document.text.replace("weight: 0.5", "weight: 0.25"), document.rule_versions)
    for document in world.shipped_documents()
)


@dataclass
class Recorded:
    """A machine, its recorder, and what it had at each sample: `had[at_ns][security][calculation]`, five numbers."""

    machine: Machine
    instance: str
    folder: Path
    now_ns: int = BEGIN_NS
    had: dict[int, dict[str, dict[str, list[int]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine.tables.state[Word.READY] = 1
        self.restart()

    def restart(self) -> None:
        self.recorder = HistoryRecorder(self.instance, self.folder, 60, lambda: self.now_ns)

    def numbers(self) -> dict[str, dict[str, list[int]]]:
        tables = self.machine.tables
        count = tables.count(Word.SECURITIES)
        return {
            tables.array["security"]["code"][i].decode(): {
                info.name: tables.array["values"][i, at].tolist()
                for at, info in enumerate(tables.catalogue.calculations)
                if info.scope == Scope.SECURITY
            }
            for i in range(1, count + 1)
        }

    def sample(self) -> None:
        told = self.recorder.sample()
        assert told is not None
        self.had[told.at_ns] = self.numbers()
        self.now_ns += MINUTE_NS

    def keep_up(self) -> None:
        upkeep(self.folder, self.now_ns, days=30, most_gb=1)


def at(found: Series, moment_ns: int) -> dict[str, list[int]]:
    """The numbers that a series says were in force at a moment."""
    known = {}
    for line in found.lines:
        if any(span.from_ns <= moment_ns < span.to_ns for span in line.covered):
            known[line.name] = line.values[np.searchsorted(line.at_ns, moment_ns, side="right") - 1].tolist()
    return known


_STEP = st.one_of(
    st.tuples(
        st.just("event"), st.integers(1, 4), st.sampled_from([Op.SET, Op.BUY, Op.PRICE]), st.integers(-500, 9_000)
    ),
    st.tuples(
        st.just("event"), st.integers(1, 4), st.sampled_from([Op.SET, Op.BUY, Op.PRICE]), st.integers(-500, 9_000)
    ),
    st.just(("sample",)),
    st.just(("sample",)),
    st.just(("sample",)),
    st.tuples(st.just("away"), st.integers(1, 130)),
    st.just(("keep up",)),
    st.just(("restart",)),
    st.tuples(st.just("rules"), st.integers(0, 1)),
    st.just(("new security",)),
)


def _do(step: tuple[Any, ...], of: Recorded, number: int) -> None:
    match step:
        case ("event", security, op, quantity):
            of.machine.apply(events({"security": security, "op": op, "quantity": quantity}, first_seq=number + 1))
        case ("sample",):
            of.sample()
        case ("away", minutes):
            of.now_ns += minutes * MINUTE_NS
        case ("keep up",):
            of.keep_up()
        case ("restart",):
            of.restart()
        case ("rules", which):
            of.machine.publish(world.rule_book(OTHER if which else world.shipped_documents()))
        case ("new security",):
            count = of.machine.tables.count(Word.SECURITIES)
            of.machine.register(Message.SECURITIES, security_records(count + 1)[count:])


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    steps=st.lists(_STEP, min_size=4, max_size=30),
    asked=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=3, max_size=3),
)
def test_what_the_history_says_of_a_moment_is_what_the_machine_had(steps: Any, asked: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, machine("history-live", securities=4) as made:
        of = Recorded(made, "history-live", Path(folder))
        for number, step in enumerate([("sample",), *steps, ("sample",)]):
            _do(step, of, number)
        for one, other in asked:
            moments = sorted(of.had)
            from_ns = moments[one % len(moments)] + (other % 3 - 1) * MINUTE_NS // 2
            moment_ns = min((m for m in moments if m >= from_ns), default=moments[-1])
            from_ns = min(from_ns, moment_ns)
            for security in of.had[moment_ns]:
                found = series(Path(folder), security, from_ns, of.now_ns)
                assert at(found, moment_ns) == of.had[moment_ns][security]
            assert {sample.at_ns for sample in looks(Path(folder), BEGIN_NS, of.now_ns)} == set(moments)


def test_nothing_is_said_of_a_time_when_nobody_looked(tmp_path: Path) -> None:
    with machine("history-gap") as made:
        of = Recorded(made, "history-gap", tmp_path)
        of.sample()
        of.now_ns += 10 * MINUTE_NS
        of.sample()
        found = series(tmp_path, "S2", BEGIN_NS, of.now_ns)
        assert [(span.to_ns - span.from_ns) // MINUTE_NS for span in found.covered] == [1, 1]
        assert at(found, BEGIN_NS + 5 * MINUTE_NS) == {}
        assert all(line.at_ns.size == 2 for line in found.lines), "a line begins anew after a gap"


def test_only_what_differs_is_written_and_a_line_says_it_once(tmp_path: Path) -> None:
    with machine("history-change") as made:
        of = Recorded(made, "history-change", tmp_path)
        of.sample()
        made.apply(events({"security": 2, "op": Op.SET, "quantity": 700}))
        of.sample()
        of.sample()
        made.apply(events({"security": 2, "op": Op.BUY, "quantity": 50}, first_seq=2))
        of.sample()
        told = looks(tmp_path, BEGIN_NS, of.now_ns)
        everything = told[0].rows
        assert [sample.full for sample in told] == [True, False, False, False]
        assert everything > told[1].rows > 0
        assert told[2].rows == 0
        line = next(line for line in series(tmp_path, "S2", BEGIN_NS, of.now_ns).lines if line.name == "for_loan")
        assert line.values[:, DAYS - 1].tolist() == [0, 700, 750]
        assert ((line.at_ns - BEGIN_NS) // MINUTE_NS).tolist() == [0, 1, 3]


def test_a_machine_that_does_not_know_everything_yet_is_not_recorded(tmp_path: Path) -> None:
    with machine("history-starting") as made:
        of = Recorded(made, "history-starting", tmp_path)
        made.tables.state[Word.READY] = 0
        assert of.recorder.sample() is None
        assert files(tmp_path, BEGIN_NS, of.now_ns) == []
    assert HistoryRecorder("history-nobody", tmp_path, 60).sample() is None


def test_an_hour_becomes_one_file_and_a_killed_merge_counts_nothing_twice(tmp_path: Path) -> None:
    with machine("history-hours") as made:
        of = Recorded(made, "history-hours", tmp_path)
        for minute in range(62):
            made.apply(events({"security": 2, "op": Op.SET, "quantity": 100 + minute}, first_seq=minute + 1))
            of.sample()
        before = at(series(tmp_path, "S2", BEGIN_NS, of.now_ns), BEGIN_NS + 30 * MINUTE_NS)
        kept = {path: path.read_bytes() for path in tmp_path.glob("date=*/hour=*/*.parquet")}
        of.keep_up()
        assert len(files(tmp_path, BEGIN_NS, of.now_ns)) == 1 + 2, "the hour that is over, and two samples of this one"
        for path, raw in kept.items():
            path.write_bytes(raw)  # as if it had been killed before it removed them
        assert len(looks(tmp_path, BEGIN_NS, of.now_ns)) == 62
        assert at(series(tmp_path, "S2", BEGIN_NS, of.now_ns), BEGIN_NS + 30 * MINUTE_NS) == before
        assert remove_unfinished(tmp_path) == 60
        assert len(looks(tmp_path, BEGIN_NS, of.now_ns)) == 62


@pytest.mark.parametrize(("keep_days", "most_bytes", "left"), [(30, 1 << 30, 3), (2, 1 << 30, 2), (30, 1, 1)])
def test_old_days_go_and_the_newest_stays(tmp_path: Path, keep_days: int, most_bytes: int, left: int) -> None:
    with machine("history-days") as made:
        of = Recorded(made, "history-days", tmp_path)
        for _ in range(3):
            of.sample()
            of.now_ns += 24 * HOUR_NS
        gone = forget_old(tmp_path, of.now_ns - 24 * HOUR_NS, keep_days=keep_days, most_bytes=most_bytes)
        assert len(days(tmp_path)) == left
        assert len(gone) == 3 - left
