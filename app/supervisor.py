"""Starts the processes of the service, waits until each serves, and starts again what dies, after a growing pause.

Of the engine and its workers, which hold everybody up, a spare waits beside each: what it has to import and to load, it has.
So does one of the pages, whose browsers cannot go on before another answers.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from app import process_table
from app.child import SPARE
from app.process_table import Process
from app.settings import Settings

log = structlog.get_logger()
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
HEALTHY_S: Final = 30.0
"""A process that lived this long starts again without a pause."""
STOP_S: Final = 8.0
SPARE_S: Final = 5.0
"""How long a process has served when its spare is made: until then others need the processor more."""


@dataclass
class Child:
    """One process: what to run, and how it fares."""

    name: str
    program: str
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    spare: asyncio.subprocess.Process | None = None
    """Waits, to be the next."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    since_ns: int = 0
    serves: bool = False
    """Whether the present process has said that it is ready."""


LATER: Final = frozenset({"archive", "files"})
"""Nobody who looks at a page waits for these, and at a start the processor is short."""


class StartError(RuntimeError):
    """A process ended before it was ready for the first time."""


class Supervisor:
    """The processes of one service. Decode workers live and die with the engine: their rings are its memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stopping = False
        self._started = False
        """From then on what ends, ready or not, is started again."""
        self.engine = Child("engine", "engine")
        self.workers = [Child(f"worker{i}", "worker", {"IMS_WORKER": str(i)}) for i in range(settings.workers)]
        self.archive = [Child("archive", "archive")] if settings.archive else []
        self.pages = Child("pages", "pages")
        self.faces = [*(Child(name, name) for name in ("gateway", "analyst", "breaks", "files")), self.pages]
        self._watches: list[asyncio.Task[None]] = []
        self._others: set[asyncio.Task[None]] = set()
        """What is done beside the watching."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def children(self) -> list[Child]:
        return [self.engine, *self.archive, *self.workers, *self.faces]

    @property
    def _with_spares(self) -> list[Child]:
        # the simulator's day begins anew with every start: there is nobody to hold up
        return [self.pages, *([self.engine, *self.workers] if self.settings.kafka is not None else [])]

    async def start(self) -> None:
        """Returns when every process serves, but for those that come `LATER`.

        Raises `StartError` with the name of one that does not.
        """
        self._watches = [asyncio.create_task(self._watch(child), name=child.name) for child in self.children]
        ready = asyncio.create_task(self._all_ready())
        await asyncio.wait([ready, self.failed], return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            ready.cancel()
            self.failed.result()
        self._started = True

    async def _all_ready(self) -> None:
        for child in self.children:
            if child.name not in LATER:
                await child.ready.wait()

    async def stop(self) -> None:
        """Faces first, feeds, then the engine, which has the journal to close, and who writes down what it did."""
        self._stopping = True
        for group in (self.faces, self.workers, [self.engine], self.archive):
            await asyncio.gather(*(_end(child.process) for child in group if child.process is not None))
        tasks = (*self._watches, *self._others)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(_end(child.spare) for child in self.children if child.spare is not None))

    async def _watch(self, child: Child) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping:
            began = time.monotonic()
            code = await self._live(child)
            if self._stopping:
                return
            if not child.ready.is_set() and not self._started:
                if not self.failed.done():
                    self.failed.set_exception(StartError(f"{child.name} ended with code {code} before it was ready"))
                return
            child.restarts += 1
            lived_s = time.monotonic() - began
            healthy = lived_s > HEALTHY_S
            pause_s = FIRST_PAUSE_S if healthy else min(2 * pause_s, LONGEST_PAUSE_S)
            in_s = 0.0 if healthy else pause_s
            log.error(
                "process ended, starting it again", process=child.name, code=code, in_s=in_s, restarts=child.restarts
            )
            if child is self.engine:
                for worker in self.workers:
                    _kill(worker.process)  # what it still has to say nobody hears, and the next one is held up by it
            await asyncio.sleep(in_s)

    async def _live(self, child: Child) -> int:
        """Run the process once, to its end; returns its exit code."""
        spare, child.spare = child.spare, None
        child.process = spare if spare is not None and _call(spare) else await self._begin(child)
        child.since_ns, child.serves = time.time_ns(), False
        self._tell()
        assert child.process.stdout is not None
        async for line in child.process.stdout:
            if line.strip() == b"READY":
                child.serves = True
                child.ready.set()
                self._tell()
                log.info("ready", process=child.name, pid=child.process.pid)
                if child in self._with_spares:
                    self._beside(self._prepare(child))
        code = await child.process.wait()
        self._tell()
        return code

    async def _begin(self, child: Child, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.child", child.program, *options),
            env=os.environ | child.environment | {"IMS_SETTINGS": self.settings.to_json()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def _prepare(self, child: Child) -> None:
        """A spare, where there is none, once the process has served for a while."""
        await asyncio.sleep(SPARE_S)
        if child.serves and child.spare is None and not self._stopping:
            child.spare = await self._begin(child, SPARE)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _tell(self) -> None:
        """Who runs, for the page Health. Only a picture: a disk that does not take it stops nothing."""
        told = [
            Process(child.name, _pid(child.process), child.restarts, child.since_ns, child.serves)
            for child in self.children
        ]
        try:
            process_table.write(self.settings.folder, told)
        except OSError as error:
            log.warning("the table of processes could not be written", error=str(error))


def _pid(process: asyncio.subprocess.Process | None) -> int:
    """0 for one that does not run."""
    return 0 if process is None or process.returncode is not None else process.pid


def _call(spare: asyncio.subprocess.Process) -> bool:
    """Let it begin; False where it does not live."""
    assert spare.stdin is not None
    if spare.returncode is not None:
        return False
    spare.stdin.write(b"\n")
    return True


def _kill(process: asyncio.subprocess.Process | None) -> None:
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to stop; after `STOP_S`, make it."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        log.warning("process did not stop in time", pid=process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
