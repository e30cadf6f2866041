"""The processes that make files, and how far each file is."""

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from app.export.job import DECODER, LENGTH, Begun, Done, Job, Refused, Told, Written

MAX_RUNNING: Final = 2
"""Files made at a time; more wait."""
MAX_EXPORTS: Final = 8
"""Made or waiting; the next are asked to come again."""
KEPT_S: Final = 600.0
IDLE_S: Final = 120.0
"""How long a process that has nothing to do is kept: starting one takes a second."""
_log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """How far a file is. `rows`: of the whole, None while that is not known; `clients`: whose it is, as the ticket said."""

    id: str
    clients: frozenset[str] | None
    state: str = "waiting"
    """"waiting", "copying", "writing", "done" or "failed"."""
    rows: int | None = None
    written: int = 0
    as_of_ns: int = 0
    detail: str = ""
    changed_s: float = field(default_factory=time.monotonic)


class MakerDiedError(RuntimeError):
    """The process ended in the middle of a file."""


class Exporters:
    """All files of this gateway."""

    def __init__(self) -> None:
        self.progress: dict[str, Progress] = {}
        self.under_way = 0
        self._free = asyncio.Semaphore(MAX_RUNNING)
        self._idle: list[_Maker] = []
        self._all: set[_Maker] = set()

    def begin(self, wanted: str, clients: frozenset[str] | None) -> Progress:
        """A new file, under the id that was asked for, or one of ours. Raises KeyError where that is taken."""
        self._forget()
        name = wanted or secrets.token_hex(8)
        if name in self.progress:
            raise KeyError(name)
        progress = self.progress[name] = Progress(name, clients)
        return progress

    async def make(self, job: Job, progress: Progress) -> AsyncGenerator[tuple[Told, bytes], None]:
        """What is told of a file, and its bytes, as they are made. Raises `MakerDiedError`.

        Leaving it early ends the process that makes it.
        """
        async with self._free:
            maker = self._idle.pop() if self._idle else await self._start()
            whole = False
            try:
                _note(progress, "copying")
                async for told, data in maker.made(job):
                    _follow(progress, told)
                    yield told, data
                whole = True
            finally:
                if whole:
                    self._idle.append(maker)
                    maker.idle_since_s = time.monotonic()
                else:
                    maker.kill()
                    await maker.ended()
                    self._all.discard(maker)
                    _note(progress, "failed", progress.detail or "given up")

    def tend(self) -> None:
        """Let go of processes that have had nothing to do for long."""
        for maker in [m for m in self._idle if time.monotonic() - m.idle_since_s > IDLE_S]:
            self._idle.remove(maker)
            self._all.discard(maker)
            maker.kill()

    async def close(self) -> None:
        """End all processes."""
        makers, self._all = self._all, set()
        self._idle.clear()
        for maker in makers:
            maker.kill()
        await asyncio.gather(*(maker.ended() for maker in makers))

    async def _start(self) -> "_Maker":
        command = sys.executable, "-m", "app.export.maker"
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        maker = _Maker(process)
        self._all.add(maker)
        return maker

    def _forget(self) -> None:
        self.tend()
        now_s = time.monotonic()
        old = [p.id for p in self.progress.values() if p.state in ("done", "failed") and now_s - p.changed_s > KEPT_S]
        for name in old:
            del self.progress[name]


class _Maker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.Lock()
        """Its output has one reader at a time: of two, asyncio forgets to wake one."""
        self.idle_since_s = 0.0

    async def made(self, job: Job) -> AsyncGenerator[tuple[Told, bytes], None]:
        """What it tells of a job."""
        stdin = self._process.stdin
        assert stdin is not None, "a pipe was asked for"
        try:
            stdin.write(msgspec.json.encode(job) + b"\n")
            await stdin.drain()
            told: Told | None = None
            while not isinstance(told, (Done, Refused)):
                told, data = await self._next()
                yield told, data
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            _log.error("a file could not be made", returncode=self._process.returncode)
            raise MakerDiedError("the process that made the file is gone") from error

    async def _next(self) -> tuple[Told, bytes]:
        stdout = self._process.stdout
        assert stdout is not None, "a pipe was asked for"
        async with self._reading:
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            told: Told = DECODER.decode(await stdout.readexactly(length))
            return told, await stdout.readexactly(told.bytes) if isinstance(told, Written) and told.bytes else b""

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> None:
        """Wait for its end, and take what it still had to say: its pipes are closed then."""
        async with self._reading:
            await self._process.communicate()


def _follow(progress: Progress, told: Told) -> None:
    match told:
        case Begun():
            progress.rows, progress.as_of_ns = told.rows, told.as_of_ns
            _note(progress, "writing")
        case Written():
            progress.written = told.rows
            _note(progress, "writing")
        case Refused():
            _note(progress, "failed", told.detail)
        case Done():
            _note(progress, "done")


def _note(progress: Progress, state: str, detail: str = "") -> None:
    progress.state, progress.detail, progress.changed_s = state, detail, time.monotonic()
