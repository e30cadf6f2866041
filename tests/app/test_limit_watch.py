"""Limits that are looked at again and again: every look is kept as it was, and looking takes no more than its part."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import limits_asked, world
from app.api.limits_watched import body_of
from app.api.securities import Securities
from app.breaks.overdrawn import OverdrawnWatch
from app.history_limits import LimitRecorder
from app.history_place import limit_key
from app.history_series import series
from app.history_upkeep import upkeep
from app.limits_asked import AskedLimits, Name
from app.limits_told import SCOPES, WatchedLimits
from app.stream_limits import Limits
from engine.model import Decided, Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.rule_model import Scope
from engine.state import Machine
from engine.tables import Word
from feeds.history_files import HOUR_NS
from tests.app.test_history import OTHER, at
from tests.engine.machines import events, machine

MINUTE_NS = 60_000_000_000
BEGIN_NS = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
NAMES: tuple[Name, ...] = tuple(
    (scope, owner, security)
    for scope, owner in ((Scope.CLIENT, "C1"), (Scope.CLIENT, "C/2"), (Scope.AU, "A1"))
    for security in (1, 2)
)


@dataclass
class Watched:
    """A machine, its watch and a recorder; `had[at_ns][key][calculation]`: what was looked at and what it was."""

    machine: Machine
    folder: Path
    now_ns: int = BEGIN_NS
    sold: dict[Name, int] = field(default_factory=dict)
    had: dict[int, dict[str, dict[str, list[int]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine.tables.state[Word.READY] = 1
        books = np.zeros(2, BOOK)
        for place, client in enumerate((b"C1", b"C/2")):
            books[place] = (f"B{place + 1}".encode(), client, b"E", b"A1")
        self.machine.register(Message.BOOKS, books)
        self.limits = Limits(
            Securities(self.machine.tables, self.machine.inventory),
            lambda: self.machine.compiled,
            self._decided,
            lambda: self.now_ns,
        )
        self.watch = OverdrawnWatch(self.limits, lambda: iter(self.sold))
        self.restart()

    def restart(self) -> None:
        self.recorder = LimitRecorder(self._told, self.folder, 60, lambda: self.now_ns)

    def _told(self) -> WatchedLimits:
        return msgspec.json.decode(body_of(self.machine.tables, self.watch), type=WatchedLimits)

    def _decided(self, code: str, scope: Scope, owner: str) -> Mapping[Decided, int]:
        security = self.machine.inventory.security_id(code)
        return {Decided.OPEN_LONG_SELLS: self.sold.get((scope, owner, security), 0)}

    def sample(self) -> None:
        asyncio.run(self.watch.round())
        looked = {*self.sold, *self.limits.asked.names()}
        told = self.recorder.sample()
        assert told is not None
        self.had[told.at_ns] = {
            limit_key(SCOPES[name[0]], name[1], f"S{name[2]}"): {
                calculation: of_days.tolist() for calculation, of_days in self.limits.numbers(name).items()
            }
            for name in looked
        }
        self.now_ns += MINUTE_NS


_STEP = st.one_of(
    st.tuples(st.just("hold"), st.integers(1, 2), st.integers(1, 2), st.integers(0, 9_000)),
    st.tuples(st.just("sell"), st.sampled_from(NAMES), st.integers(0, 400)),
    st.tuples(st.just("ask"), st.sampled_from(NAMES)),
    st.just(("sample",)),
    st.just(("sample",)),
    st.tuples(st.just("away"), st.sampled_from([1, 70, 25 * 60])),
    st.just(("keep up",)),
    st.just(("restart",)),
    st.tuples(st.just("rules"), st.integers(0, 1)),
)


def _do(step: tuple[Any, ...], of: Watched, number: int) -> None:
    match step:
        case ("hold", security, book, quantity):
            row = {"security": security, "book": book, "kind": Kind.CLIENT_FREE, "op": Op.SET, "quantity": quantity}
            of.machine.apply(events(row, first_seq=number + 1))
        case ("sell", name, quantity):
            of.sold[name] = quantity
            if not quantity:
                del of.sold[name]
        case ("ask", name):
            of.limits.asked.note(name)
        case ("sample",):
            of.sample()
        case ("away", minutes):
            of.now_ns += minutes * MINUTE_NS
        case ("keep up",):
            upkeep(of.folder, of.now_ns, days=30, most_gb=1)
        case ("restart",):
            of.restart()
        case ("rules", which):
            of.machine.publish(world.rule_book(OTHER if which else world.shipped_documents()))


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(_STEP, min_size=4, max_size=24))
def test_what_the_history_says_of_a_limit_is_what_it_was_and_nothing_of_who_was_not_looked_at(steps: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, machine("limits-live", securities=2) as made:
        of = Watched(made, Path(folder))
        for number, step in enumerate([("sample",), *steps, ("sample",)]):
            _do(step, of, number)
        for name in NAMES:
            key = limit_key(SCOPES[name[0]], name[1], f"S{name[2]}")
            found = series(Path(folder), key, BEGIN_NS, of.now_ns)
            for at_ns, had in of.had.items():
                assert at(found, at_ns) == had.get(key, {}), (name, at_ns)


@pytest.fixture
def watched(instance: str, tmp_path: Path) -> Iterator[Watched]:
    with machine(instance, securities=2) as made:
        yield Watched(made, tmp_path)


async def test_looking_rests_a_hundred_times_as_long_as_it_took(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests, clock_s = [], [0.0]

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    def slow(name: Name) -> Any:
        clock_s[0] += 0.003
        return look(name)

    look = watched.limits.look
    monkeypatch.setattr(watched.limits, "look", slow)
    monkeypatch.setattr("asyncio.sleep", rest)
    monkeypatch.setattr("time.perf_counter", lambda: clock_s[0])
    watched.sold = dict.fromkeys(NAMES, 1)
    await watched.watch.round(0.05)
    assert clock_s[0] / (clock_s[0] + sum(rests)) <= 0.01 + 1e-9


def test_of_many_questions_the_oldest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_asked, "MOST", 3)
    now_ns = [0]
    asked = AskedLimits(lambda: now_ns[0])
    for security in (1, 2, 3, 1, 4):
        now_ns[0] += 1
        asked.note((Scope.CLIENT, "C1", security))
    assert [name[2] for name in asked.names()] == [3, 1, 4]
    now_ns[0] += limits_asked.FORGET_NS - 1
    assert [name[2] for name in asked.names()] == [1, 4]
