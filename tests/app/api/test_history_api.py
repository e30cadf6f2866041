"""Numbers over time and what happened, over REST: the recorder's files and the archive, asked through engine and analyst."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pytest
from tornado.httpclient import AsyncHTTPClient

from app.analyst.server import serving
from app.api.service import ApiService
from app.archive_place import folder_of
from app.bench.services import free_port
from app.history_place import history_of
from app.history_recorder import HistoryRecorder
from app.settings import Settings
from engine.model import Decided, Kind, Op
from engine.tables import Word
from feeds.history_files import HOUR_NS
from tests.app.api.api_world import Api, read
from tests.app.archived import Archived, archived
from tests.engine.machines import events

BEGIN_NS = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
MINUTE_NS = 60_000_000_000


@dataclass
class World:
    """An archived and recorded machine, its settings, and its API once it is served."""

    settings: Settings
    past: Archived
    recorder: HistoryRecorder

    def sample(self) -> None:
        self.recorder.sample()
        self.past.now_ns += MINUTE_NS
        self.past.machine.tables.state[Word.HEARTBEAT_NS] = self.past.now_ns

    def buy(self, quantity: int, seq: int, **more: Any) -> None:
        given = {"op": Op.BUY, "quantity": quantity, "topic": 1, "partition": 3, "offset": 40 + seq} | more
        self.past.machine.apply(events(given, first_seq=seq))

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Api]:
        self.past.drain.step(at_once=True)
        service = ApiService(self.settings, self.past.machine, clock=lambda: self.past.now_ns)
        await service.start()
        try:
            async with serving(self.settings):
                yield Api(self.settings, self.past.machine, service)
        finally:
            await service.close()
            AsyncHTTPClient().close()


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    settings = Settings(instance=instance, data=str(tmp_path), port=free_port())
    with archived(folder_of(settings), instance, now_ns=BEGIN_NS) as past:
        past.machine.tables.state[Word.READY] = 1
        recorder = HistoryRecorder(instance, history_of(settings), 60, lambda: past.now_ns)
        made = World(settings, past, recorder)
        past.machine.apply(events({"quantity": 1_000}))
        made.sample()
        for number in (2, 3):
            made.buy(100 * number, number)
            past.machine.set_decided(2, Decided.SHORT_LOCATES, 10 * number)
            made.sample()
        made.buy(7, 4)  # after the last sample
        yield made


def moment(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).isoformat()


def between(world: World, **more: Any) -> str:
    return urlencode({"from": moment(BEGIN_NS), "to": moment(world.past.now_ns + 1_000_000), **more})


async def test_a_number_is_told_where_it_changed_and_as_it_is_now(world: World) -> None:
    async with world.served() as api:
        answer = await api.get(f"/api/v1/history/S2?{between(world, calculation='for_loan,remaining', day='4')}")
        assert answer.code == 200, answer.body
        told = read(answer)
        loan = [point["value"] for point in told["points"] if point["calculation"] == "for_loan"]
        assert loan == [1_000, 1_200, 1_500, 1_507], "the last one is not recorded yet, and is of now"
        left = [point["value"] for point in told["points"] if point["calculation"] == "remaining"]
        assert left == [1_000, 1_180, 1_470, 1_477]
        line = told["lines"][0]
        assert (line["title"], line["day"], line["unit"]) == ("For loan", 4, "shares")
        assert "utilisation" in {choice["calculation"] for choice in told["choices"]}
        assert (told["samples"], told["every_s"], len(told["covered"])) == (3, 60, 1)
        arrow = await api.call(
            "GET",
            f"/api/v1/history/S2?{between(world, calculation='for_loan', day='4')}",
            headers={"Accept": "application/vnd.apache.arrow.stream"},
        )
        assert pa.ipc.open_stream(arrow.body).read_all()["value"].to_pylist() == loan
        text = await api.call(
            "GET", f"/api/v1/history/S2?{between(world, calculation='for_loan')}", headers={"Accept": "text/csv"}
        )
        assert text.body.splitlines()[0] == b"at,calculation,day,value"


async def test_what_happened_is_marked_and_events_say_where_they_came_from(world: World) -> None:
    async with world.served() as api:
        marks = read(await api.get(f"/api/v1/history/S2/marks?{between(world)}"))
        assert marks["complete"]
        assert [m["text"] for m in marks["marks"] if m["kind"] == "trade"] == [
            f"buy {quantity} in B1 (s1 {seq})" for seq, quantity in ((2, 200), (3, 300), (4, 7))
        ]
        assert [m["text"] for m in marks["marks"] if m["kind"] == "decision"] == [
            "short locates +20 to 20",
            "short locates +10 to 30",
        ]
        seen: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = read(
                await api.get(
                    f"/api/v1/events/S2?{between(world, limit=3)}&{urlencode({'cursor': cursor} if cursor else {})}"
                )
            )
            assert len(page["events"]) <= 3
            seen += page["events"]
            cursor = page["next_cursor"]
        assert [event["seq"] for event in seen] == [4, 3, 2, 1]
        newest = seen[0]
        assert (newest["source"], newest["partition"], newest["offset"], newest["quantity"]) == ("s1", 3, 44, 7)
        assert newest["topic"]
        assert newest["outcome"] == "applied"
        other = read(await api.get(f"/api/v1/events/S2?{between(world, kind=Kind.SLAB_LOAN.name)}"))
        assert (other["events"], other["next_cursor"]) == ([], None)


async def test_markets_are_told_over_time(world: World) -> None:
    async with world.served() as api:
        told = read(await api.get(f"/api/v1/utilisation?{between(world)}"))
        assert [(point["market"], point["pool"], point["left"]) for point in told["points"]] == [
            ("US", 1_000, 1_000), ("US", 1_200, 1_180), ("US", 1_500, 1_470)
        ]  # fmt: skip
        cells = read(await api.get("/api/v1/scarcity"))["cells"]
        assert [(cell["market"], cell["securities"], cell["remaining"]) for cell in cells] == [("US", 1, 1_477)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/history/NOBODY?", 404),
        ("/api/v1/history/S2?calculation=nothing&", 404),
        ("/api/v1/history/S2?day=9&", 422),
        ("/api/v1/history/S2?from=soon&", 422),
        ("/api/v1/history/S2?from=1999-01-01T00:00&", 422),
        ("/api/v1/utilisation?market=XX&", 422),
        ("/api/v1/events/S2?kind=NONE&", 422),
        ("/api/v1/events/S2?cursor=x&", 422),
        ("/api/v1/scarcity?by=colour&", 422),
    ],
)
async def test_what_cannot_be_asked_is_said(world: World, path: str, status: int) -> None:
    async with world.served() as api:
        assert (await api.get(path)).code == status


async def test_without_an_analyst_it_is_a_503_and_without_an_archive_a_404(world: World) -> None:
    world.past.drain.step(at_once=True)
    for settings, status in ((world.settings, 503), (Settings(**_given(world.settings), archive=False), 404)):
        service = ApiService(settings, world.past.machine, clock=lambda: world.past.now_ns)
        await service.start()
        try:
            api = Api(settings, world.past.machine, service)
            for path in ("/api/v1/history/S2", "/api/v1/history/S2/marks", "/api/v1/utilisation", "/api/v1/events/S2"):
                assert (await api.get(path)).code == status, path
        finally:
            await service.close()
            AsyncHTTPClient().close()


def _given(settings: Settings) -> dict[str, Any]:
    return {"instance": settings.instance, "data": settings.data, "port": settings.port}
