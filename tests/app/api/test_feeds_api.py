"""Feeds, parked and quarantined records over REST and on the command line."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from app import cli, feed_rules, parking_store, process_table, quarantine_store
from app.api.service import ApiService
from app.bench.services import free_port
from app.feed_health import FeedHealth
from app.health import HealthDesk, Others
from app.identity import Identity, Role, issue_token
from app.intake import Intake
from app.keeping import Keeping
from app.parking import Parking
from app.parking_store import ParkingStore
from app.process_table import Process
from app.quarantine_store import QuarantineStore
from app.read_again import ReadAgain
from app.refused import refused
from app.settings import Settings
from app.users_store import Users
from engine.graph import build
from engine.model import Kind, Op
from engine.ring import FeedWord, Message, Ring
from engine.state import Machine
from engine.tables import Word
from feeds.decode import decode
from feeds.quarantine import Decoded, Origin
from feeds.registry import FEEDS, feed_named
from tests.app.api.api_world import NOON_NS, Api, read, serving
from tests.engine.machines import TODAY, machine, security_records

DAY = str(np.datetime64(TODAY, "D"))
TRADES = feed_named("trades").index
PEOPLE = {"olga": frozenset({Role.OPS}), "tom": frozenset({Role.TRADER}), "ada": frozenset({Role.ADMIN})}


@dataclass
class World:
    """An engine without its process: everything but the rings' other ends."""

    api: Api
    machine: Machine
    ring: Ring
    keeping: Keeping
    intake: Intake
    read: ReadAgain
    health: FeedHealth

    def arrive(self, *records: bytes, offset: int, topic: int = TRADES) -> None:
        """As from a worker."""
        origin = Origin(
            FEEDS[topic].topic,
            topic,
            np.zeros(len(records), np.uint16),
            np.arange(offset, offset + len(records)),
            NOON_NS,
        )
        symbols = self.read._symbols
        self.intake.use(decode(list(records), [()] * len(records), symbols, origin, self.machine.markets))

    async def ask(self, method: str, path: str, who: str = "", body: Any = None) -> HTTPResponse:
        token = issue_token(self.api.settings.secret, Identity(who, PEOPLE[who]), 600, NOON_NS / 1e9) if who else None
        return await self.api.call(method, f"/api/v1{path}", body, token=token)

    async def told(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.code == 200, answer.body
        return read(answer)


@pytest.fixture
async def world(instance: str, tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(instance=instance, port=free_port(), data=str(tmp_path))
    users = Users(tmp_path / "users.db")
    for name, roles in PEOPLE.items():
        users.add(name, "a long password", sorted(roles))
    with machine(instance) as made:
        ring = Ring.create(f"{instance}.ring0", 1 << 20)
        keeping = Keeping(made, QuarantineStore(tmp_path / quarantine_store.FILE))
        again = ReadAgain(made.tables, settings)
        graph = build(made, None, lambda e, o: keeping.refused(refused(made.tables, again.topics, e, o)))
        intake = Intake(made, graph, [ring], keeping.keep, lambda *_: keeping.parking.registered())
        keeping.parking = Parking(
            made,
            ParkingStore(tmp_path / parking_store.FILE),
            decode=again,
            use=intake.use,
            quarantine=keeping.set_aside,
            beside=keeping.beside,
            clock=lambda: NOON_NS,
        )
        feeds = FeedHealth(made.tables, [ring], feed_rules.shipped())
        others = Others(exceptions=lambda: 3)
        desk = HealthDesk(settings, made, keeping, feeds, again, intake.use, others=others, clock=lambda: NOON_NS)
        service = ApiService(settings, made, clock=lambda: NOON_NS, health=desk)
        await service.start()
        try:
            yield World(Api(settings, made, service), made, ring, keeping, intake, again, feeds)
        finally:
            await service.close()
            keeping.close()
            ring.close()
            AsyncHTTPClient().close()


def record(seq: int, op: Op = Op.BUY, quantity: int = 100, **more: str | None) -> bytes:
    codes = {"src": "s1", "sec": "S9", "book": "B1", "depot": "D1", "kind": Kind.FIRM.name, "trade": DAY, "settle": DAY}
    return msgspec.json.encode(codes | {"seq": seq, "ts": seq, "op": op.name, "qty": quantity} | more)


async def test_a_feed_tells_how_it_fares(world: World) -> None:
    words = {
        "PARTITIONS": 6,
        "ALIVE_NS": NOON_NS - 20 * 10**9,
        "RECEIVED_NS": NOON_NS - 10**9,
        "LAG": 12,
        "RECORDS": 70,
    }
    for name, value in words.items():
        world.ring.feeds[TRADES, FeedWord[name]] = value
    world.machine.tables.state[Word.READY] = 1
    world.arrive(record(1, sec="S8"), record(5, sec="S8"), record(7), b"{", offset=40)
    world.health.tick(NOON_NS)
    (trades,) = [feed for feed in (await world.told("/feeds"))["feeds"] if feed["feed"] == "trades"]
    known = {"state": "stale", "lag": 12, "age_ms": 1_000, "late_ms": 20_000, "limit_s": 10, "records": 70}
    known |= {"gaps": 3, "quarantined": 1, "parked": 1, "topic": "ims.trades", "concern": ["SHARES"]}
    assert {name: trades[name] for name in known} == known
    detail = await world.told("/feeds/trades")
    assert detail["sources"] == [{"source": "s1", "newest": 5, "missing": 3, "gaps": [{"first": 2, "last": 4}]}]
    assert (await world.ask("GET", "/feeds/lunch")).code == 404


async def test_the_status_is_everything_in_one_look(world: World, tmp_path: Path) -> None:
    process_table.write(
        tmp_path,
        [Process("engine", os.getpid(), 2, NOON_NS - 10**9, ready=True), Process("pages", 0, 1, 0, ready=False)],
    )
    world.machine.tables.state[Word.STALE] = 2
    told = await world.told("/status")
    engine, pages = told["processes"]
    assert (engine["state"], engine["restarts"], engine["up_ms"]) == ("live", 2, 1_000)
    assert engine["memory_bytes"] > 10 << 20
    assert (pages["state"], pages["memory_bytes"]) == ("down", None)
    assert (told["stale"], told["exceptions"], told["snapshot"], told["archive"]) == (["MONEY"], 3, None, None)
    assert told["parked"]["limit_records"] == 100_000


async def test_parked_records_are_listed_with_what_they_wait_for(world: World) -> None:
    world.arrive(record(1), record(2, sec="S10", book="B9"), offset=40)
    page = await world.told("/parked?limit=1")
    (first,) = page["records"]
    assert (first["feed"], first["offset"], first["missing"]) == ("trades", 40, [{"kind": "security", "code": "S9"}])
    assert first["shares"] == [{"security": "S9", "shares": 100}]
    assert msgspec.json.decode(first["raw"])["sec"] == "S9"
    (second,) = (await world.told(f"/parked?cursor={page['next_cursor']}"))["records"]
    assert [want["code"] for want in second["missing"]] == ["S10", "B9"]
    assert (await world.told("/parked?code=S10"))["records"] == [second]
    assert (await world.told("/parked?feed=prices"))["records"] == []
    assert (await world.ask("GET", "/parked?colour=red")).code == 422


async def test_ops_and_admin_retry_and_discard_and_others_do_not(world: World) -> None:
    world.arrive(record(1), record(2), offset=40)
    ids = [each["id"] for each in (await world.told("/parked"))["records"]]
    for action, body in (("retry", {}), ("discard", {"ids": ids})):
        assert (await world.ask("POST", f"/parked/{action}", "tom", body)).code == 403
        assert (await world.ask("POST", f"/quarantine/{action}", "tom", {"ids": [1]})).code == 403
    answer = await world.ask("POST", "/parked/discard", "ada", {"ids": ids[:1], "comment": "twice"})
    assert read(answer) == {"discarded": 1}
    assert read(await world.ask("POST", "/parked/retry", "olga", {"ids": None})) == {"used": 0, "left": 1}
    assert (await world.ask("POST", "/parked/discard", "ada", {"ids": []})).code == 422
    assert [gone.who for gone in await world.keeping.beside.ask(world.keeping.parking.store.discarded)] == ["ada"]


async def test_what_reference_data_explains_is_gone_from_the_list(world: World) -> None:
    world.arrive(record(1), offset=40)
    world.intake.use(reference_data(9))
    assert (await world.told("/parked"))["records"] == []
    assert (await world.told("/availability/S9"))["security"] == "S9"


def reference_data(securities: int) -> Any:
    """Reference data as it comes out of a decoder."""
    return Decoded(messages=[(Message.SECURITIES, security_records(securities))])


async def test_the_quarantine_is_listed_newest_first_and_given_up(world: World) -> None:
    world.arrive(b"{", b"\xff\xfe", record(3, op=Op.SET), offset=40)
    page = await world.told("/quarantine?feed=trades&limit=2")
    assert [entry["offset"] for entry in page["records"]] == [42, 41]
    assert page["records"][1]["raw_base64"] == "//4="
    (last,) = (await world.told(f"/quarantine?cursor={page['next_cursor']}"))["records"]
    assert (last["reason"], last["raw"]) == ("malformed", "{")
    body = {"ids": [last["id"]], "comment": "a test"}
    assert read(await world.ask("POST", "/quarantine/discard", "olga", body)) == {"discarded": 1}
    assert len((await world.told("/quarantine"))["records"]) == 2


async def test_a_quarantined_record_is_used_when_it_can_be_and_stays_when_it_cannot(world: World) -> None:
    world.arrive(record(1), b"{", record(2, settle="2001-01-01"), offset=40)
    world.keeping.parking.limits = type(world.keeping.parking.limits)(records=0)
    world.arrive(record(3), offset=50)  # no room: all that waits goes to the quarantine
    world.machine.register(Message.SECURITIES, security_records(9))
    entries = (await world.told("/quarantine"))["records"]
    ids = [entry["id"] for entry in entries]
    answer = read(await world.ask("POST", "/quarantine/retry", "olga", {"ids": ids}))
    assert answer["used"] == 2
    left = (await world.told("/quarantine"))["records"]
    assert {entry["reason"] for entry in left} == {"malformed", "past_settlement"}
    assert len(left) == answer["left"] == 2
    again = read(await world.ask("POST", "/quarantine/retry", "olga", {"ids": [entry["id"] for entry in left]}))
    assert again == {"used": 0, "left": 2}
    rows = world.machine.tables.rows_of(9)
    assert int(world.machine.tables.array["position"]["td"][rows].sum()) == 200


async def test_prometheus_gets_a_series_for_each_feed_that_is_read(world: World) -> None:
    world.ring.feeds[TRADES, FeedWord.PARTITIONS] = 1
    world.ring.feeds[TRADES, FeedWord.ALIVE_NS] = NOON_NS
    world.health.tick(NOON_NS + 60 * 10**9)
    text = (await world.api.get("/metrics")).body
    lines = text.decode().splitlines()
    assert 'ims_feed_up{feed="trades"} 0.0' in lines
    assert 'ims_feed_limit_seconds{feed="trades"} 10.0' in lines
    assert not any('feed="swaps"' in line for line in lines)
    assert "ims_quarantine_entries 0.0" in lines


async def test_the_command_line_lists_retries_and_discards(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    settings = world.api.settings
    here = ["--data", settings.data]
    there = [*here, "--port", str(settings.port)]

    async def ims(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(cli.main, ["parked", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    world.arrive(record(1), record(2, sec="\x1b[2JS9"), offset=40)
    await world.keeping.beside.ask(time.monotonic)
    code, text = await ims("list", *here)
    assert code == 0
    assert "2 records wait" in text
    assert "ims.trades[0]@40" in text
    assert "\x1b" not in text
    assert (await ims("retry", *there))[1].startswith("0 records used, 2 still wait")
    assert (await ims("discard", "1", "--comment", "a test", *there)) == (0, "1 records discarded\n")
    await world.keeping.beside.ask(time.monotonic)  # what was answered is on its way to the disk
    assert "1 records were given up" in (await ims("list", "--discarded", *here))[1]
    assert msgspec.json.decode((await ims("list", "--json", *here))[1])["count"] == 1


async def test_an_engine_that_watches_no_feeds_says_so(instance: str, tmp_path: Path) -> None:
    async with serving(instance, tmp_path) as api:
        assert (await api.get("/api/v1/status")).code == 503
