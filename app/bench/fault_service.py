"""Two services on the same topics: one has faults, the other reads them afterwards undisturbed. What they hold is compared as
whole tables."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from app import master_database
from app.bench import services
from app.bench.fault_load import Load
from app.bench.fault_tables import FaultError, broken_promises, compare
from app.clock import OFFSET
from app.database import connect
from app.journal_rows import locate_of
from app.journal_schema import LOCATES
from app.settings import Settings
from app.snapshots import folder_of
from app.supervisor import Child, Supervisor
from engine.locates import LIVE
from engine.segment import SegmentMissingError
from engine.tables import Reader, Tables, Word
from feeds import registry

_LOOK_S: Final = 0.05
_QUIET_S: Final = 1.0
_ANSWER_MS: Final = 5_000
PATIENCE_S: Final = 300.0
_READING_S: Final = 900.0
"""How long the witness may take to read what the victim was given."""
_PROMISES_S: Final = 60.0
_COMPARED: Final = [
    feed.index for feed in registry.FEEDS if feed.reader in (registry.Reader.WORKERS, registry.Reader.FIRST)
]
"""Feeds that make the tables; what is decided is in the journal."""


class Service:
    """An engine and its workers under the real supervisor, without pages."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings)
        self.supervisor.faces = []
        for child in self.supervisor.children:
            child.environment |= environment
        self._reader = Reader(f"{settings.instance}.tables")
        self._killed: set[int] = set()
        self._gone = ""

    def kill_engine(self) -> None:
        """kill -9. Raises `FaultError` where there is none that serves."""
        self._kill(self.supervisor.engine)
        self._gone = self._reader.tables().generation

    def kill_worker(self, number: int) -> None:
        """kill -9. Raises `FaultError` where it does not serve."""
        self._kill(self.supervisor.workers[number])

    def limit_files(self, most: int) -> None:
        """No file of the engine, or of a worker that runs, may grow beyond so many bytes; -1: as large as they like.

        Raises `FaultError` where the engine has not survived it; a worker may end, and be started again.
        """
        if not self._pid(self.supervisor.engine):
            raise FaultError("the engine did not survive that nothing could be written")
        for pid in filter(None, map(self._pid, (self.supervisor.engine, *self.supervisor.workers))):
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if most < 0 else most, hard))

    def tables(self) -> Tables | None:
        """Those of a living engine that has used everything there was when it started, and whose workers live."""
        if not all(map(self._pid, (self.supervisor.engine, *self.supervisor.workers))):
            return None
        try:
            tables = self._reader.tables()
        except SegmentMissingError:
            return None
        serves = tables.generation != self._gone and tables.segment.owner_alive and tables.count(Word.READY)
        return tables if serves else None

    def restored(self) -> bool:
        """Whether the engine that follows the killed one has its memory, and what the snapshot held is in it."""
        try:
            tables = self._reader.tables()
        except SegmentMissingError:
            return False
        return tables.generation != self._gone and tables.segment.owner_alive and tables.count(Word.STARTED_NS) > 0

    def _kill(self, child: Child) -> None:
        if not (pid := self._pid(child)):
            raise FaultError(f"{child.name} does not run")
        self._killed.add(pid)
        os.kill(pid, signal.SIGKILL)

    def _pid(self, child: Child) -> int:
        """Of a process that serves; 0 where it does not, or was killed, however long the kernel takes."""
        process = child.process
        if process is None or process.returncode is not None or process.pid in self._killed:
            return 0
        return process.pid if child.serves else 0

    def snapshots(self) -> list[Path]:
        return folder_of(self.settings.folder).files()


class Pair:
    """The one that faults are done to, and the one that reads the same topics without any.

    The witness runs only while both are compared: beside the victim it would take half of the load's machine. Each time it goes
    on from where it stood, by a snapshot of its own: so everything is read twice, however often both are compared.
    """

    def __init__(self, bootstrap: str, folder: Path, workers: int, snapshot_s: float, topics: tuple[str, str]) -> None:
        self.bootstrap = bootstrap
        self.offset = folder / "clock"
        self.offset.write_text("0")
        self._folder = folder
        self._settings = Settings(
            kafka=bootstrap,
            events_topic=topics[0],
            reference_topic=topics[1],
            workers=workers,
            quiet=True,
            archive=False,
        )
        self.victim = self._service("victim", folder, snapshot_s, {OFFSET: str(self.offset)})

    def _service(self, name: str, folder: Path, snapshot_s: float, environment: Mapping[str, str]) -> Service:
        settings = replace(
            self._settings,
            instance=f"faults-{os.getpid()}-{name}",
            port=services.free_port(),
            data=str(folder / name),
            snapshot_s=snapshot_s,
        )
        settings.folder.mkdir(parents=True, exist_ok=True)
        return Service(settings, environment)

    async def start(self, load: Load) -> None:
        """The victim; what it has after the start of the day is where the witness begins: between topics Kafka has no order, so
        two that read the start of a day may differ in good faith; from then on they may not."""
        await self.victim.supervisor.start()
        await self.serving()
        load.hold()
        await self._still(self.victim)
        since = time.time_ns()
        while not (files := [path for path in self.victim.snapshots() if int(path.stem) > since]):  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_S)
        witness = self._witness().settings.folder
        kept = folder_of(witness)
        kept.prepare()
        shutil.copy(files[0], kept.path)
        path = self.victim.settings.folder / master_database.FILE
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(witness / path.name)) as target:
            source.backup(target)
        load.go_on()

    def _witness(self) -> Service:
        return self._service("witness", self._folder, 86_400.0, {})

    async def compared(self) -> dict[str, int]:
        """How much is equal, once the witness has read what there is since the last time. The load must be held. Raises
        `FaultError` with the first differences."""
        witness = self._witness()
        await witness.supervisor.start()
        try:
            figures = compare(*await self._settled(witness))
        finally:
            await witness.supervisor.stop()
        await self._promises_kept()
        return figures

    def applied(self) -> int:
        """Events that the victim has applied. Raises `FaultError` where it does not serve."""
        if (tables := self.victim.tables()) is None:
            raise FaultError("the victim does not serve")
        return tables.count(Word.EVENTS)

    async def _promises_kept(self) -> None:
        """What the victim's inventory counts as located is what its journal has promised, to the share."""
        journal = connect(self.victim.settings.database_url)
        chosen = sa.select(LOCATES.c.document).where(LOCATES.c.state.in_(sorted(LIVE)))
        began = time.monotonic()
        try:
            while True:
                tables = self.victim.tables()
                with journal.connect() as connection:
                    locates = [locate_of(document) for document in connection.execute(chosen).scalars()]
                if tables is not None and not (wrong := broken_promises(tables, locates)):
                    return
                if time.monotonic() - began > _PROMISES_S:
                    raise FaultError(f"promised and counted: {wrong}" if tables else "the victim does not serve")
                await asyncio.sleep(_LOOK_S)
        finally:
            journal.dispose()

    async def _still(self, service: Service) -> None:
        """Until it has applied everything there is."""
        while (tables := service.tables()) is None or not await self._at_end(tables):  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_S)

    async def stop(self) -> None:
        await self.victim.supervisor.stop()

    async def serving(self, patience_s: float = PATIENCE_S) -> float:
        """Seconds until the victim serves. Raises `FaultError`."""
        began = time.monotonic()
        while self.victim.tables() is None:
            if time.monotonic() - began > patience_s:
                raise FaultError(f"does not serve after {patience_s:.0f} s")
            await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began

    async def _settled(self, witness: Service) -> tuple[Tables, Tables]:
        """Both, once they have applied everything that is in the topics. The load must be held."""
        began, quiet_since, before = time.monotonic(), time.monotonic(), None
        while True:
            one, other = witness.tables(), self.victim.tables()
            if one is not None and other is not None:
                now = [
                    (tables.array["applied"][_COMPARED].tobytes(), tables.count(Word.LOG)) for tables in (one, other)
                ]
                if now != before or now[0][0] != now[1][0]:
                    quiet_since = time.monotonic()
                before = now
                if time.monotonic() - quiet_since > _QUIET_S:
                    if await self._at_end(one):
                        return one, other
                    quiet_since = time.monotonic()
            if time.monotonic() - began > _READING_S:
                raise FaultError(f"not settled after {_READING_S:.0f} s: {_apart(one, other)}")
            await asyncio.sleep(_LOOK_S)

    async def _at_end(self, tables: Tables) -> bool:
        settings = self._settings
        read = {
            feed.index: topic
            for feed, topic in zip(
                registry.FEEDS, registry.topics(settings.events_topic, settings.reference_topic), strict=True
            )
            if feed.index in _COMPARED
        }
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, request_timeout_ms=_ANSWER_MS
        )
        try:
            await consumer.start()
            known = await consumer.topics()
            for index, topic in read.items():
                places = (
                    [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
                    if topic in known
                    else []
                )
                ends = await consumer.end_offsets(places) if places else {}
                if any(int(tables.array["applied"][index, place.partition]) < end for place, end in ends.items()):
                    return False
        except (KafkaError, OSError):
            return False  # a broker that came a moment ago may not answer: asked again
        else:
            return True
        finally:
            await consumer.stop()


def _apart(one: Tables | None, other: Tables | None) -> str:
    if one is None or other is None:
        return f"serving: witness {one is not None}, victim {other is not None}"
    differ = one.array["applied"] != other.array["applied"]
    places = [(t, p) for t, p in np.argwhere(differ).tolist() if t in _COMPARED][:5]
    return "; ".join(
        f"feed {t} partition {p}: {one.array['applied'][t, p]:,} and {other.array['applied'][t, p]:,}"
        for t, p in places
    )
