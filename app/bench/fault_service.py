"""Two services on the same topics, one of which faults are done to: what they hold is compared as whole tables."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from app import master_database
from app.bench import services
from app.clock import OFFSET
from app.settings import Settings
from app.snapshots import folder_of
from app.supervisor import Child, Supervisor
from engine.catalogue import Catalogue
from engine.model import HEAD_FACTS, HEAD_UPDATED
from engine.rule_model import Measure
from engine.segment import SegmentMissingError
from engine.tables import Reader, Tables, Word
from feeds import registry

_LOOK_S: Final = 0.05
_QUIET_S: Final = 1.0
_ANSWER_MS: Final = 5_000
PATIENCE_S: Final = 180.0
_WORDS: Final = (Word.EVENTS, Word.MISSING, Word.REJECTED, Word.CORRECTED, Word.LAST_EVENT_NS, Word.PARKED)
"""Counters that do not depend on how often something was read. Duplicates do."""
_COMPARED: Final = [
    feed.index for feed in registry.FEEDS if feed.reader in (registry.Reader.WORKERS, registry.Reader.FIRST)
]
"""Feeds that make the tables; what is decided is in the journal."""
_BY_ID: Final = (
    "security",
    "book",
    "depot",
    "source",
    "counterparty",
    "unit",
    "terms",
    "values",
    "newest",
    "missing",
    "parked",
)


class FaultError(AssertionError):
    """A service that did not come back, or that holds something else than the uninterrupted one."""


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
        """No file of the engine may grow beyond so many bytes; -1: as large as they like."""
        if not (pid := self._pid(self.supervisor.engine)):
            raise FaultError("the engine did not survive that nothing could be written")
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


class Load:
    """`ims simulate` in a process of its own, which can be held."""

    def __init__(self, bootstrap: str, rate: int, seed: int, securities: int, events: str, reference: str) -> None:
        options = {"--to": "kafka", "--kafka": bootstrap, "--rate": rate, "--seed": seed, "--securities": securities}
        options |= {"--events-topic": events, "--reference-topic": reference, "--partitions": 4}
        given = [str(part) for option in options.items() for part in option]
        self._process = subprocess.Popen(
            [*services.dies_with_us(), sys.executable, "-m", "app.cli", "simulate", *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._begun = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """What it says is said on, and told: once a second how many events there were since the start of the day."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            os.write(2, line)
            if line.rstrip().endswith(b"a second"):
                self._begun.set()

    async def begun(self) -> None:
        """Returns when the start of the day is sent and events are on their way."""
        while not self._begun.is_set():
            self._lives()
            await asyncio.sleep(_LOOK_S)

    def hold(self) -> None:
        self._lives()
        self._process.send_signal(signal.SIGSTOP)

    def _lives(self) -> None:
        if self._process.poll() is not None:
            raise FaultError(f"the load ended by itself, with code {self._process.returncode}")

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Pair:
    """The one that is left alone, and the one that is not."""

    def __init__(self, bootstrap: str, folder: Path, workers: int, snapshot_s: float, topics: tuple[str, str]) -> None:
        self.bootstrap = bootstrap
        self.offset = folder / "clock"
        self.offset.write_text("0")

        def made(name: str, every_s: float, environment: Mapping[str, str]) -> Service:
            settings = Settings(
                instance=f"faults-{os.getpid()}-{name}",
                port=services.free_port(),
                data=str(folder / name),
                kafka=bootstrap,
                events_topic=topics[0],
                reference_topic=topics[1],
                workers=workers,
                snapshot_s=every_s,
                quiet=True,
                archive=False,
            )
            settings.folder.mkdir(parents=True)
            return Service(settings, environment)

        self.witness = made("witness", 86_400.0, {})
        self.victim = made("victim", snapshot_s, {OFFSET: str(self.offset)})

    async def start(self, load: "Load") -> None:
        """The victim first. The witness goes on from a snapshot of it: between topics Kafka has no order, so two that read
        the start of a day may differ in good faith; from then on they may not."""
        await self.victim.supervisor.start()
        await self.serving()
        load.hold()
        await self._still(self.victim)
        since = time.time_ns()
        while not (files := [path for path in self.victim.snapshots() if int(path.stem) > since]):  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_S)
        folder_of(self.witness.settings.folder).prepare()
        shutil.copy(files[0], folder_of(self.witness.settings.folder).path)
        paths = [service.settings.folder / master_database.FILE for service in (self.victim, self.witness)]
        with closing(sqlite3.connect(paths[0])) as source, closing(sqlite3.connect(paths[1])) as target:
            source.backup(target)
        await self.witness.supervisor.start()
        compare(*await self.settled())
        load.go_on()

    async def _still(self, service: Service) -> None:
        """Until it has applied everything there is."""
        while (tables := service.tables()) is None or not await self._at_end(tables):  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_S)

    async def stop(self) -> None:
        await asyncio.gather(*(service.supervisor.stop() for service in (self.witness, self.victim)))

    async def serving(self, patience_s: float = PATIENCE_S) -> float:
        """Seconds until the victim serves. Raises `FaultError`."""
        began = time.monotonic()
        while self.victim.tables() is None:
            if time.monotonic() - began > patience_s:
                raise FaultError(f"does not serve after {patience_s:.0f} s")
            await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began

    async def settled(self) -> tuple[Tables, Tables]:
        """Both, once they have applied everything that is in the topics. The load must be held."""
        began, quiet_since, before = time.monotonic(), time.monotonic(), None
        while True:
            one, other = self.witness.tables(), self.victim.tables()
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
            if time.monotonic() - began > PATIENCE_S:
                raise FaultError(f"not settled after {PATIENCE_S:.0f} s: {_apart(one, other)}")
            await asyncio.sleep(_LOOK_S)

    async def _at_end(self, tables: Tables) -> bool:
        settings = self.witness.settings
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


def contents(tables: Tables) -> dict[str, NDArray[Any]]:
    """Everything that a table holds, in an order that does not depend on when what came."""
    return tables.read(lambda: _contents(tables), patience_s=10.0)


def _contents(tables: Tables) -> dict[str, NDArray[Any]]:
    array = tables.array
    rows, count = tables.count(Word.ROWS), tables.count(Word.SECURITIES) + 1
    order = np.argsort(array["position"]["key"][:rows])
    position = array["position"][:rows][order]
    deals = array["deal"][1 : tables.count(Word.DEALS) + 1]
    deals = deals[deals["state"] != 0]
    deals = deals[np.lexsort((deals["source"], deals["code"]))]
    held = {name: position[name].copy() for name in position.dtype.names or () if not name.startswith("next_")}
    held |= {
        f"deal {name}": deals[name].copy()
        for name in deals.dtype.names or ()
        if name not in {"next_in_security", "spare"}
    }
    held |= {
        name: array[name][:count].copy()
        if len(array[name]) > count > 0 and name in {"security", "terms", "values", "parked"}
        else array[name].copy()
        for name in _BY_ID
    }
    sums, calculated = _undecided(tables.catalogue)
    held["terms"], held["values"] = held["terms"][:, sums], held["values"][:, calculated]
    held["facts"] = array["head"][:count, HEAD_FACTS:].copy()
    held["updated_ns"] = array["head"][:count, HEAD_UPDATED].copy()
    held["later"] = _later(array, rows)
    held["counters"] = tables.state[list(_WORDS)].copy()
    return held


def _undecided(catalogue: Catalogue) -> tuple[list[int], list[int]]:
    """Components and calculations into which no decision goes. Each service decides about locates for itself, by what it knows
    at that moment, and for a moment after a fault it knows less."""
    decided = {
        at for at, component in enumerate(catalogue.components) if component.measure == Measure.DECIDED.name.lower()
    }
    named = {catalogue.components[at].term for at in decided}
    before = -1
    while len(named) != before:
        before = len(named)
        named |= {
            calculation.name
            for of_market in catalogue.inputs
            for calculation, inputs in zip(catalogue.calculations, of_market, strict=True)
            if any(one.name in named or not decided.isdisjoint((*one.plus, *one.minus)) for one in inputs)
        }
    return (
        [at for at in range(len(catalogue.components)) if at not in decided],
        [at for at, calculation in enumerate(catalogue.calculations) if calculation.name not in named],
    )


def _later(array: Mapping[str, NDArray[Any]], rows: int) -> NDArray[Any]:
    """(key, date, receipt, delivery) of what settles after SD4, ordered."""
    head, nodes = array["later_head"][:rows], array["later"]
    found = []
    at, keys = head.copy(), array["position"]["key"][:rows]
    while at.any():
        chosen = np.flatnonzero(at)
        of = nodes[at[chosen] - 1]
        found.append(
            np.stack([keys[chosen].astype(np.int64), of["date"].astype(np.int64), of["receipt"], of["deliver"]], axis=1)
        )
        at[chosen] = of["next"]
    every = np.concatenate(found) if found else np.zeros((0, 4), np.int64)
    every = every[(every[:, 2] != 0) | (every[:, 3] != 0)]
    return np.asarray(every[np.lexsort((every[:, 1], every[:, 0]))])


def compare(witness: Tables, victim: Tables) -> dict[str, int]:
    """How much was compared. Raises `FaultError` with the first differences."""
    one, other = contents(witness), contents(victim)
    wrong = []
    for name, expected in one.items():
        found = other[name]
        if expected.shape != found.shape:
            wrong.append(f"{name}: {found.shape}, not {expected.shape}")
        elif not np.array_equal(expected, found):
            at = np.argwhere(expected != found)[:3]
            shown = ", ".join(f"[{place}] {found[tuple(place)]} for {expected[tuple(place)]}" for place in at.tolist())
            wrong.append(f"{name}: {int((expected != found).sum())} differ: {shown}")
    if wrong:
        raise FaultError("; ".join(wrong))
    return {"rows": len(one["key"]), "events": witness.count(Word.EVENTS), "deals": len(one["deal code"])}
