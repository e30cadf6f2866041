"""Nothing of a batch file is half loaded, lost or doubled: whatever is cut, in whatever order, whenever something dies."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.feed_health import FeedHealth
from app.files_store import FileState
from app.health_others import of_files
from app.settings import Settings
from engine.tables import Word
from feeds import files_feed
from feeds.files_feed import TOPIC_INDEX, FilesView
from tests.app.files_world import TODAY, World, files_world

_OWN = f"s1,1,SELL,S1,B1,FIRM,{TODAY},{TODAY},3\ns1,2,BUY,S1,B9,FIRM,{TODAY},{TODAY},4\n"
FILES = (
    ("reference", "books.csv", "type,code,client\nbook,B9,FUND9\n#TRAILER,1\n"),
    (
        "positions",
        "sod.csv",
        "sec,book,depot,kind,sd\nS1,B1,D1,FIRM,100\nS2,B9,D1,FIRM,200\nS2,B1,,FIRM,-7\n#TRAILER,3\n",
    ),
    ("trades", "one.csv", f"op,sec,book,kind,trade,settle,qty\nBUY,S2,B9,FIRM,{TODAY},{TODAY},5\n#TRAILER,1\n"),
    (
        "trades",
        "two.csv",
        f"src,seq,op,sec,book,kind,trade,settle,qty\n{_OWN}#TRAILER,2\n",
    ),
    ("trades", "one-again.csv", f"op,sec,book,kind,trade,settle,qty\nBUY,S2,B9,FIRM,{TODAY},{TODAY},5\n#TRAILER,1\n"),
)


def _drop(world: World, files: tuple[tuple[str, str, str], ...] = FILES) -> None:
    for feed, name, content in files:
        world.drop(feed, name, content)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], int]:
    """The state after all files, and the number of steps it takes."""
    with files_world("files-uninterrupted", tmp_path_factory.mktemp("files")) as world:
        _drop(world)
        world.steps = 0
        assert [report.state.value for report in world.load()] == ["loaded"] * 4 + ["duplicate"]
        return world.state(), world.steps


def test_a_loader_killed_at_any_step_loses_and_doubles_nothing(
    instance: str, tmp_path: Path, uninterrupted: tuple[tuple[object, ...], int]
) -> None:
    expected, steps = uninterrupted
    assert steps > 40
    for at in range(1 + steps % 5, steps + 1, 5):
        with files_world(f"{instance}-{at}", tmp_path / str(at)) as world:
            _drop(world)
            world.die_and_live(at)
            assert world.state() == expected, f"killed at step {at} of {steps}"
            states = sorted(report.state.value for report in world.desk.store.reports(99))
            assert states.count("loaded") == 4, (at, states)
            assert not list((world.data / "files" / "work").glob("*.csv"))


def test_what_a_killed_worker_hands_over_twice_counts_once(
    instance: str, tmp_path: Path, uninterrupted: tuple[tuple[object, ...], int]
) -> None:
    with files_world(instance, tmp_path) as world:
        _drop(world)
        world.load()
        end = int(world.ring.progress[TOPIC_INDEX, 0])
        first_trade = world.desk.store.report(3)
        assert first_trade is not None
        for position in range(first_trade.position, end):
            world.ring.progress[TOPIC_INDEX, 0] = position
            world.tables()
        assert world.state() == uninterrupted[0]


def test_an_engine_that_begins_anew_gets_every_file_again_in_order(
    instance: str, tmp_path: Path, uninterrupted: tuple[tuple[object, ...], int]
) -> None:
    with files_world(f"{instance}-a", tmp_path) as world:
        _drop(world)
        world.load()
    with files_world(f"{instance}-b", tmp_path) as world:
        world.tables()
        assert world.state() == uninterrupted[0]
        world.drop("trades", "three.csv", FILES[2][2].replace(",5\n", ",6\n"))
        (report,) = world.load()
        assert (report.state, report.first_number) == (FileState.LOADED, 2)


def test_a_file_cut_anywhere_is_refused_and_changes_nothing(instance: str, tmp_path: Path) -> None:
    whole = FILES[3][2].rstrip("\n")
    with files_world(instance, tmp_path) as world:
        before = world.state()
        for at in range(0, len(whole), 2):
            world.drop("trades", "cut.csv", whole[:at])
            world.patience()
            (report,) = world.load()
            assert report.state == FileState.REFUSED, whole[:at]
            assert report.why
        assert world.state() == before
        world.drop("trades", "cut.csv", whole)
        (report,) = world.load()
        assert report.state == FileState.LOADED


@pytest.mark.parametrize("order", [*itertools.islice(itertools.permutations(range(4)), 0, 24, 5)])
def test_files_that_lie_there_together_are_used_in_an_order_of_sense(
    instance: str, tmp_path: Path, uninterrupted: tuple[tuple[object, ...], int], order: tuple[int, ...]
) -> None:
    with files_world(instance, tmp_path) as world:
        _drop(world, tuple(FILES[at] for at in order))
        assert {report.state for report in world.load()} == {FileState.LOADED}
        assert world.state() == uninterrupted[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.tuples(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 12)))
def test_whatever_is_in_a_file_it_is_judged_and_never_stops_the_loader(
    tmp_path_factory: pytest.TempPathFactory, damage: tuple[int, bytes, int]
) -> None:
    at, put, cut = damage
    whole = FILES[3][2].encode()
    with files_world("files-damaged", tmp_path_factory.mktemp("files")) as world:
        world.drop("trades", "t.csv", whole[:at] + put + whole[at + cut :], vouched=True)
        (report,) = world.load()
        assert report.state in {FileState.LOADED, FileState.REFUSED}
        assert (report.fault_count > 0) == (report.state == FileState.REFUSED)


def test_a_part_that_is_damaged_is_told_of_and_holds_up_the_files_behind_it_but_not_the_workers(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_feed, "_AGAIN_S", 0.01)
    with files_world(instance, tmp_path) as world:
        _drop(world)
        world.load()
        expected = world.state()
    with files_world(f"{instance}-again", tmp_path) as world:
        world.ring.progress[TOPIC_INDEX, 0] = 0
        second = world.log.parts()[1]
        good = second.path.read_bytes()
        second.path.write_bytes(good[: len(good) // 2])
        world.tables()
        health = FeedHealth(world.machine.tables, [world.ring], ())
        health.tick(1)
        told = of_files(Settings(data=str(tmp_path)), world.machine.tables)()
        assert second.path.name in told.problem
        assert (told.accepted, world.machine.tables.count(Word.STALE) != 0) == (world.log.end, True)
        asyncio.run(FilesView(world.log, world.ring).caught_up())
        second.path.write_bytes(good)
        world.tables()
        health.tick(2)
        assert of_files(Settings(data=str(tmp_path)), world.machine.tables)().problem == ""
        assert (world.state(), world.machine.tables.count(Word.STALE)) == (expected, 0)
