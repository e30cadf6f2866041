"""A spare process has done what can be done ahead, and is the next one when its process dies."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app import supervisor
from app.settings import Settings
from app.supervisor import Child, Supervisor

_PROGRAM = """
import sys, types
from app import child
program = types.ModuleType("app.processes.fake")
program.prepare = lambda settings: print("prepared", flush=True)
program.main = lambda settings: print("began", flush=True)
sys.modules[program.__name__] = program
child.main("fake", spare=True)
"""
_CHILD = "import sys; spare = {spare}; spare and sys.stdin.buffer.read(1); print('READY', flush=True); sys.stdin.buffer.read()"


def _spare() -> "subprocess.Popen[bytes]":
    environment = os.environ | {"IMS_SETTINGS": Settings().to_json()}
    command = [sys.executable, "-c", _PROGRAM]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def test_a_spare_prepares_and_begins_when_it_is_called() -> None:
    with _spare() as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"prepared\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"began\n"


def test_a_spare_whose_supervisor_is_gone_ends_without_beginning() -> None:
    with _spare() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"prepared\n"
        assert process.communicate(timeout=30)[0] == b""
        assert process.returncode == 0


def test_a_spare_that_is_wanted_already_does_not_prepare() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\n")
    environment = os.environ | {"IMS_SETTINGS": Settings().to_json()}
    try:
        command = [sys.executable, "-c", _PROGRAM]
        done = subprocess.run(command, stdin=reading, capture_output=True, env=environment, timeout=30, check=True)
    finally:
        os.close(reading)
        os.close(writing)
    assert done.stdout == b"began\n"


_SILENT = "import sys; sys.stdin.buffer.read()"


class _Supervisor(Supervisor):
    """Its processes are programs of three words; those that come later never say that they are ready."""

    async def _begin(self, child: Child, *options: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        program = _SILENT if child.name in supervisor.LATER else _CHILD.format(spare=bool(options))
        return await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe)


@pytest.mark.parametrize(("name", "kafka"), [("engine", "nowhere:9092"), ("pages", None)])
async def test_a_process_that_dies_is_followed_by_its_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kafka: str | None
) -> None:
    monkeypatch.setattr(supervisor, "SPARE_S", 0.0)
    service = _Supervisor(Settings(data=str(tmp_path), kafka=kafka, workers=0, archive=False))
    service.faces = [service.pages] if name == "pages" else []
    engine = next(child for child in service.children if child.name == name)
    await service.start()
    try:
        async with asyncio.timeout(120):
            while engine.spare is None:  # noqa: ASYNC110  another process has no event
                await asyncio.sleep(0.01)
            first, spare = engine.process, engine.spare
            assert first is not None
            first.send_signal(signal.SIGKILL)
            while not (engine.process is spare and engine.serves and engine.spare is not None):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await service.stop()
    assert engine.process is not None
    assert engine.spare is not None
    assert engine.process.returncode is not None
    assert engine.spare.returncode is not None, "the spare ends with its service"


async def test_nobody_waits_for_who_comes_later_and_it_is_started_again_ready_or_not(tmp_path: Path) -> None:
    service = _Supervisor(Settings(data=str(tmp_path), workers=0))
    service.faces = []
    (archive,) = service.archive
    async with asyncio.timeout(120):
        await service.start()
        try:
            assert not archive.serves
            first = archive.process
            assert first is not None
            first.send_signal(signal.SIGKILL)
            while archive.process is first or archive.process is None:  # noqa: ASYNC110  another process has no event
                await asyncio.sleep(0.01)
            assert (archive.restarts, service.failed.done()) == (1, False)
        finally:
            await service.stop()


async def test_the_worker_of_a_dead_engine_is_not_asked_to_stop_and_another_takes_its_place(tmp_path: Path) -> None:
    service = _Supervisor(Settings(data=str(tmp_path), kafka="nowhere:9092", workers=1, archive=False))
    service.faces = []
    async with asyncio.timeout(120):
        await service.start()
        try:
            engine, worker = service.engine.process, service.workers[0].process
            assert engine is not None
            assert worker is not None
            engine.send_signal(signal.SIGKILL)
            assert await worker.wait() == -signal.SIGKILL
            while service.workers[0].process is worker or not service.workers[0].serves:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            await service.stop()
