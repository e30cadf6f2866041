"""A security master that knows less than the engine, because its store was lost, reads again what the engine has used."""

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator
from pathlib import Path

from app.master_keeper import Keeper
from app.master_store import MasterStore
from feeds import reference
from feeds.corporate_actions import Announcement, CorporateEvent, encode
from feeds.kafka_client import Broker
from feeds.kafka_reference import ReferenceFeed
from feeds.master_records import Security
from feeds.registry import REFERENCE, feed_named, topics
from feeds.simulator import Records
from feeds.simulator_kafka import Producer
from tests.feeds.desk import Desk, until

ACTIONS = feed_named("corporate_actions").index
DAY = dt.date(2030, 1, 2)
OLD, NEW = Security("OLD", market="US", name="old"), Security("OLD", market="US", name="new")


@contextlib.asynccontextmanager
async def _reading(desk: Desk, kafka: str, named: tuple[str, ...], keeper: Keeper) -> AsyncIterator[None]:
    """The first worker's part of the topics."""
    applied = desk.machine.tables.array["applied"]
    feed = ReferenceFeed(Broker(kafka), named, desk.markets, desk.symbols, desk.outlets[0], keeper, applied)
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_master_whose_store_was_lost_knows_again_what_the_engine_has_used(
    kafka: str, instance: str, tmp_path: Path
) -> None:
    named, now = tuple(topics(f"{instance}.events", f"{instance}.reference")), time.time_ns() // 1_000_000

    def keeper(name: str) -> Keeper:
        return Keeper(MasterStore(f"sqlite:///{tmp_path / name}.db"), desk.markets)

    async with Desk(instance, tmp_path) as desk, Producer(kafka) as producer:
        await producer.make_each({named[REFERENCE]: 1, named[ACTIONS]: 1}, compacted=named[REFERENCE])
        euro = reference.Currency("EUR", 360, 1_100_000_000)
        await producer.send_reference(named[REFERENCE], [euro, OLD, NEW, Security("B", market="US")], now)
        said = Announcement("ca", 1, 1, "OLD", CorporateEvent.DIVIDEND, DAY)
        await producer.send(Records(named[ACTIONS], 0, [encode(said)], [b"OLD"], "json", 1), now)
        await producer.flush()
        used = desk.rings[0].progress
        kept = keeper("kept")
        async with _reading(desk, kafka, named, kept):
            await until(lambda: (used[REFERENCE, 0], used[ACTIONS, 0]) == (4, 1), "everything read")
        rates = desk.machine.tables.array["currency"]["fx"]
        rates[desk.machine.tables.array["currency"]["code"] == b"EUR"] = 1_200_000_000  # another feed's, meanwhile
        lost = keeper("lost")
        async with _reading(desk, kafka, named, lost):
            await until(lambda: lost.used(ACTIONS, 0) == 1 and lost.used(REFERENCE, 0) == 4, "everything read again")
            await producer.send_reference(named[REFERENCE], [Security("C", market="US")], now)
            await until(lambda: used[REFERENCE, 0] == 5, "what came after it")
        assert lost.master.golden.keys() == {"OLD", "B", "C"}
        assert lost.master.golden["OLD"].record == kept.master.golden["OLD"].record
        assert (lost.master.golden["OLD"].record.name, lost.master.golden["OLD"].record.event_date) == ("new", DAY)
        assert rates[rates > 0].max() == 1_200_000_000
