"""`ims replay`: a past moment again, in a machine of its own or as events on a Kafka topic."""

import argparse
import asyncio
import datetime as dt
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from app.archive_place import folder_of
from app.moments import moment_ns
from app.settings import Settings

if TYPE_CHECKING:
    from app.archive_reader import Past
    from engine.state import Machine

_TICK_S: Final = 0.25


def add(parser: argparse.ArgumentParser) -> None:
    """From when until when, how fast, and where to."""
    parser.add_argument(
        "--from", dest="first", metavar="TIME", help="from here on at --speed; all before it at once (--to)"
    )
    parser.add_argument(
        "--to", dest="last", metavar="TIME", required=True, help="2026-11-20T14:31:07, or 14:31 of today; UTC"
    )
    parser.add_argument("--speed", type=float, default=0.0, help="1: as it was, 10: ten times as fast, 0: at once (0)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--into", metavar="INSTANCE", help="tables of this name, which stay until Ctrl-C")
    where.add_argument("--kafka", metavar="HOST:PORT", help="events as JSON records, those from --from on")
    parser.add_argument("--topic", default="ims.replay", help="the topic with --kafka (ims.replay)")
    parser.add_argument("--data", help="data folder of the service (.ims)")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: the archive does not have it; 2: the command line is wrong."""
    now = dt.datetime.now(dt.UTC)
    try:
        last_ns = moment_ns(args.last, now)
        first_ns = moment_ns(args.first, now) if args.first else last_ns
    except ValueError as error:
        print(f"ims replay: {error}", file=sys.stderr)  # noqa: T201
        return 2
    from app.archive_manifest import Manifest  # noqa: PLC0415  numba and pyarrow: only where there is something to do
    from app.archive_names import NothingError  # noqa: PLC0415  the same
    from app.archive_reader import Past  # noqa: PLC0415  the same
    from feeds.archive_files import DamagedError  # noqa: PLC0415  the same

    folder = folder_of(Settings.load({"data": args.data}))
    try:
        past = Past(folder, Manifest(folder), last_ns)
        return _replay(past, args, first_ns)
    except (NothingError, DamagedError, FileNotFoundError, sqlite3.Error) as error:
        print(f"ims replay: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _replay(past: "Past", args: argparse.Namespace, first_ns: int) -> int:
    from app.archive_replay import machine_of  # noqa: PLC0415  see `run`

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    machine = machine_of(past, f"{args.into or f'replay-{os.getpid()}'}.tables")
    try:
        told = _told(past, machine, first_ns, args.speed, stop)
        if args.kafka:
            return asyncio.run(_produce(told, args.kafka, args.topic))
        for _ in told:
            pass
        _say(machine, past)
        while args.into and not stop.wait(_TICK_S):
            machine.tick(time.time_ns())
    finally:
        machine.close()
    return 0


def _told(
    past: "Past", machine: "Machine", first_ns: int, speed: float, stop: threading.Event
) -> Iterator[list[bytes]]:
    """Tell the machine everything; of every message from `first_ns` on its events as records of the topic."""
    import numpy as np  # noqa: PLC0415  see `run`

    from app.archive_replay import Pace, steps, tell  # noqa: PLC0415  the same
    from app.refused import refused  # noqa: PLC0415  the same
    from engine.recognise import APPLIED, BAD_FIELD  # noqa: PLC0415  the same
    from engine.ring import Message  # noqa: PLC0415  the same
    from engine.tables import Word  # noqa: PLC0415  the same

    machine.tables.state[Word.READY] = 1
    pace, ticked = Pace(speed, stop.wait), 0.0
    for step in steps(past):
        if stop.is_set():
            return
        if step.at_ns >= first_ns:
            pace.wait(step.at_ns)
        tell(machine, step)
        if time.monotonic() - ticked > _TICK_S:
            ticked = time.monotonic()
            machine.tick(time.time_ns())
        records: list[bytes] = []
        if step.kind == Message.EVENTS and step.at_ns >= first_ns:
            used = step.records[step.outcome == APPLIED]
            told = refused(machine.tables, (), used, np.full(used.size, BAD_FIELD, np.uint8))
            records = [entry.raw for entry in told]
        yield records


async def _produce(told: Iterator[list[bytes]], bootstrap: str, topic: str) -> int:
    """A topic that is not there is made, with one partition: what is told again has one order."""
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415  see `run`
    from aiokafka.errors import KafkaError  # noqa: PLC0415  the same

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    count = 0
    try:
        await _make(bootstrap, topic)
        await producer.start()
        for records in told:
            for record in records:
                await producer.send(topic, record, partition=0)
            count += len(records)
        await producer.flush()
    except (KafkaError, OSError) as error:
        print(f"ims replay: {bootstrap}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await producer.stop()
    print(f"{count:,} events produced to {topic}")  # noqa: T201
    return 0


async def _make(bootstrap: str, topic: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: PLC0415  see `run`

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


def _say(machine: "Machine", past: "Past") -> None:
    from app.archive_answer import iso  # noqa: PLC0415  see `run`
    from engine.tables import Word  # noqa: PLC0415  the same

    count = machine.tables.count
    place, at_ns = past.newest()
    print(  # noqa: T201
        f"as of {iso(at_ns)}, place {place:,}: {count(Word.EVENTS):,} events, {count(Word.ROWS):,} rows, "
        f"{count(Word.SECURITIES):,} securities",
        flush=True,
    )
    if gaps := past.gaps():
        print(f"NOT COMPLETE: {len(gaps)} gaps; see: ims archive status", file=sys.stderr)  # noqa: T201
