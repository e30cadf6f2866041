"""The processes that make files end when they must, whoever waits for that."""

import asyncio
import time

import pytest

from app.export.job import Begun, Form, Job
from app.gateway.exporters import Exporters, MakerDiedError
from app.gateway.messages import Filter
from engine.tables import Tables
from engine.views import INVENTORY

_PATIENCE_S = 180.0


def _job(tables: Tables) -> Job:
    name = tables.segment.path.name.removeprefix("ims.")
    return Job(tables=name, form=Form.CSV, table=INVENTORY, columns=("name",), filter=Filter(), now_ns=time.time_ns())


async def test_a_reader_that_leaves_while_the_gateway_stops_holds_nobody_up(tables: Tables) -> None:
    exporters = Exporters()
    making = exporters.make(_job(tables), exporters.begin("leaves-it", None))
    told, _ = await anext(making)
    assert isinstance(told, Begun)
    async with asyncio.timeout(_PATIENCE_S):
        await asyncio.gather(making.aclose(), exporters.close())
    assert exporters.progress["leaves-it"].state == "failed"


async def test_who_waits_for_a_file_hears_that_the_gateway_stops(tables: Tables) -> None:
    exporters = Exporters()
    waiting = asyncio.ensure_future(anext(exporters.make(_job(tables), exporters.begin("waits-for-it", None))))
    async with asyncio.timeout(_PATIENCE_S):
        while not exporters._all:  # noqa: ASYNC110  a process that starts tells nobody
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        await exporters.close()
        with pytest.raises(MakerDiedError):
            await waiting
