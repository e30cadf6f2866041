"""What was, over REST: the engine asks the analyst, which reads the archive."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient

from app.analyst.server import serving
from app.api.service import ApiService
from app.archive_place import folder_of
from app.bench.services import free_port
from app.settings import Settings
from engine.model import Op
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, read
from tests.app.archived import archived
from tests.engine.machines import events


@asynccontextmanager
async def _api(settings: Settings, made: Machine) -> AsyncIterator[Api]:
    service = ApiService(settings, made, clock=lambda: NOON_NS)
    await service.start()
    try:
        yield Api(settings, made, service)
    finally:
        await service.close()
        AsyncHTTPClient().close()


async def test_the_inventory_of_a_moment_is_answered_and_what_nobody_knows_is_said(
    instance: str, tmp_path: Path
) -> None:
    settings = Settings(instance=instance, data=str(tmp_path), port=free_port())
    with archived(folder_of(settings), instance) as past:
        past.machine.apply(events({"quantity": 1_000}))
        then = dt.datetime.fromtimestamp(past.now_ns // 10**9 + 1, dt.UTC).isoformat()
        past.now_ns += 2 * 10**9
        past.machine.apply(events({"op": Op.BUY, "quantity": 7}, first_seq=2))
        past.drain.step(at_once=True)
        async with _api(settings, past.machine) as api:
            async with serving(settings):
                was = await api.get("/api/v1/asof?" + urlencode({"security": "S2", "time": then}))
                assert was.code == 200, was.body
                told = read(was)
                assert (told["security"]["code"], [row["td"] for row in told["rows"]]) == ("S2", [1_000])
                assert told["exact"]
                now = read(await api.get("/api/v1/asof?security=S2&time=now"))
                assert [row["td"] for row in now["rows"]] == [1_007]
                assert set(now) == set(told)
                for query, status in (
                    ({"security": "S2", "time": "2001-01-01T00:00"}, 404),
                    ({"security": "NOBODY", "time": then}, 404),
                    ({"security": "S2", "time": "soon"}, 422),
                    ({"security": "S2"}, 422),
                    ({"time": "12:00"}, 422),
                ):
                    answer = await api.get("/api/v1/asof?" + urlencode(query))
                    assert answer.code == status, (query, answer.body)
            gone = await api.get("/api/v1/asof?security=S2&time=12:00")
            assert (gone.code, "Retry-After" in gone.headers) == (503, True)
