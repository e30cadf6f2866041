"""The simulator inside the worker: everything through the decoder, at its pace, and again after a restart."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.ring import FeedWord
from engine.tables import Word
from feeds.embedded import SOURCES, EmbeddedFeed, Pace
from feeds.outlet import NUMBERS
from feeds.registry import FEEDS
from feeds.simulator import Simulator
from tests.feeds.desk import Desk, until

EACH = (
    "reference prices trades settlements depots external attributes positions orders contracts swaps corporate_actions fx"
).split()


def _feed(desk: Desk, simulator: Simulator, rate: int, encoding: str = "json") -> EmbeddedFeed:
    return EmbeddedFeed(
        simulator, desk.markets, desk.symbols, desk.outlets[0], topic="ims.events", rate=rate, encoding=encoding
    )


@contextlib.asynccontextmanager
async def _running(feed: EmbeddedFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("encoding", ["json", "arrow"])
@pytest.mark.parametrize("apart", [False, True])
async def test_every_event_passes_the_decoder_and_is_accounted_for(
    instance: str, tmp_path: Path, encoding: str, *, apart: bool
) -> None:
    async with Desk(instance, tmp_path) as desk:
        simulator = desk.simulator(partitions=1, apart=apart)
        async with _running(_feed(desk, simulator, 20_000, encoding)):
            await until(lambda: desk.count(Word.READY) == 1, "ready after the start of day")
            opening = desk.count(Word.EVENTS)
            await until(lambda: desk.count(Word.EVENTS) > opening + 5_000, "a day's events")
        await until(lambda: desk.observed() == simulator.expected, f"{simulator.expected}")
        assert desk.rejected == []
        of_feeds = desk.rings[0].feeds
        read = [feed for feed in range(len(FEEDS)) if of_feeds[feed, FeedWord.PARTITIONS]]
        assert [FEEDS[feed].name for feed in read] == (EACH if apart else ["events", "reference"])
        if apart:
            assert (of_feeds[read, FeedWord.ALIVE_NS] > 0).all()
            assert of_feeds[read, FeedWord.EVENTS].sum() >= simulator.expected.events
            assert (
                of_feeds[read, FeedWord.UNREADABLE].sum() == simulator.expected.unreadable + simulator.expected.unknown
            )


async def test_a_worker_that_starts_again_begins_the_day_anew(instance: str, tmp_path: Path) -> None:
    async with Desk(instance, tmp_path) as desk:
        first = desk.simulator(partitions=1, apart=True)
        assert len(first.sources) == SOURCES - 1, "the last is the availability file's"
        async with _running(_feed(desk, first, 5_000)):
            await until(lambda: desk.count(Word.EVENTS) > first.expected.events - 10 > 1_000, "some of the day")
        await until(lambda: desk.rings[0].drained, "drained")
        before = desk.count(Word.DUPLICATES)
        newest = desk.rings[0].progress[NUMBERS, : SOURCES - 1].tolist()
        second = desk.simulator(partitions=1, newest=newest, apart=True)
        async with _running(_feed(desk, second, 1_000)):
            await until(lambda: second.expected.events > 3_000, "the second day")
        await until(lambda: desk.rings[0].drained, "drained")
        assert desk.count(Word.DUPLICATES) == before, "no new event was taken for an old one"


def test_the_pace_follows_the_clock_and_a_stall_is_not_made_up_for() -> None:
    pace, tick_s = Pace(6_400, now_s=100.0), 1 / 64
    assert [pace.due(100.0 + tick_s * tick) for tick in range(1, 6)] == [100] * 5
    assert pace.due(100.0 + tick_s * 5) == 0
    assert pace.due(160.0) == 6_400
    assert pace.due(160.0 + tick_s) == 100


def test_a_rate_of_less_than_one_event_a_tick_is_kept_too() -> None:
    pace = Pace(7, now_s=0.0)
    assert sum(pace.due(tick / 64) for tick in range(1, 641)) == 70
