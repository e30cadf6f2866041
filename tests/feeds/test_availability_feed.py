"""The availability file as a feed: what it says is applied, a bad one changes nothing, and nothing of it is lost."""
# ruff: noqa: ASYNC240  a test's own small file blocks nobody

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.model import Namespace
from engine.tables import Word
from feeds import availability_feed
from feeds.availability_feed import AvailabilityFeed
from feeds.quarantine import Reason
from tests.feeds.desk import Desk, until

SLOT = 7


def _file(*lines: str, count: int | None = None) -> str:
    head = "#BOF|2022.08.06|22:30:03\n#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|\n"
    return head + "".join(f"{line}\n" for line in lines) + f"#EOF|{len(lines) if count is None else count}\n"


AAA = "AAA|USD|FIRST &amp; CO|101||1.1000|0.2500|5000|"
BBB = "BBB|USD|SECOND|102||NA|NA|>10000000|"
BAD = "CCC|USD|THIRD|102||NA|NA|10|"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usa.txt"


def _feed(desk: Desk, path: Path) -> AvailabilityFeed:
    return AvailabilityFeed(path, desk.markets, desk.symbols, desk.outlets[0], SLOT)


def _external(desk: Desk) -> Callable[[str], int]:
    def quantity(code: str) -> int:
        security = desk.symbols.find_one(Namespace.SECURITY, code)
        return desk.machine.inventory.terms_of(security)["external_indicative"] if security else -1

    return quantity


async def test_the_file_is_applied_and_bad_lines_are_kept_with_their_number(instance: str, path: Path) -> None:
    path.write_text(_file(AAA, BBB, BAD))
    async with Desk(instance, path.parent) as desk:
        feed, external = _feed(desk, path), _external(desk)
        assert await feed.look()
        await feed.send(None)
        await until(lambda: desk.count(Word.EVENTS) == 2, "two lines")
        assert (external("C101"), external("C102")) == (5_000, 10_000_000)
        (entry,) = desk.unreadable
        assert (entry.topic, entry.offset, entry.reason) == ("availability:usa.txt", 5, Reason.AVAILABILITY_LINE)
        assert entry.raw == BAD.encode()
        assert not await feed.look(), "the same file again"


async def test_a_changed_file_changes_what_differs(instance: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability_feed, "_LOOK_S", 0.02)
    path.write_text(_file(AAA, BBB))
    async with Desk(instance, path.parent) as desk:
        feed, external = _feed(desk, path), _external(desk)
        await feed.look()
        await feed.send(None)
        following = asyncio.create_task(feed.run())
        path.write_text(_file(AAA.replace("5000", "7000"), "DDD|USD|FOURTH|104||NA|NA|1|"))
        await until(lambda: external("C104") == 1, "the new security")
        await until(lambda: external("C101") == 7_000, "the changed one")
        assert external("C102") == 0, "what disappeared is no longer available"
        following.cancel()
        assert (desk.count(Word.DUPLICATES), desk.count(Word.MISSING), desk.rejected) == (0, 0, [])


@pytest.mark.parametrize("content", [_file(AAA, count=2), _file(AAA)[:-8], "", "#BOF|garbage"])
async def test_a_refused_file_is_kept_whole_and_the_former_snapshot_stays(
    instance: str, path: Path, content: str
) -> None:
    path.write_text(_file(AAA, BBB))
    async with Desk(instance, path.parent) as desk:
        feed, external = _feed(desk, path), _external(desk)
        await feed.look()
        await feed.send(None)
        snapshot = feed.snapshot
        path.write_text(content)
        assert not await feed.look()
        await until(lambda: len(desk.unreadable) == 1, "the refused file")
        (entry,) = desk.unreadable
        assert (entry.reason, entry.raw) == (Reason.AVAILABILITY_REFUSED, content.encode())
        assert feed.snapshot is snapshot
        assert external("C101") == 5_000


async def test_a_file_that_is_missing_for_a_while_is_waited_for(instance: str, path: Path) -> None:
    async with Desk(instance, path.parent) as desk:
        feed = _feed(desk, path)
        assert not await feed.look()
        assert not await feed.look()
        path.write_text(_file(AAA))
        assert await feed.look()


async def test_a_worker_that_starts_again_goes_on_with_the_numbers(instance: str, path: Path) -> None:
    path.write_text(_file(AAA, BBB))
    async with Desk(instance, path.parent) as desk:
        for _ in range(2):
            feed = _feed(desk, path)
            await feed.look()
            await feed.send(None)
        await until(lambda: desk.count(Word.EVENTS) == 4, "both sendings")
        assert (desk.count(Word.DUPLICATES), desk.count(Word.MISSING)) == (0, 0)
