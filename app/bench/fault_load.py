"""The load of `ims bench faults`: a simulated day of every feed, and beside it, up to the rate asked for, the same trades,
prices, statements and availability over and over under new numbers, which costs next to nothing to make."""

import argparse
import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from app import world
from app.bench import services
from app.bench.kafka_load import AS_EVENTS, PARTITIONS, numbers_of
from app.listings import listings
from feeds import reference
from feeds.calendars import TradingDays
from feeds.registry import feed_named, topics
from feeds.simulator import Simulator
from feeds.simulator_kafka import Producer
from feeds.simulator_routes import Route
from feeds.universe import build

DAY_RATE: Final = 10_000
"""Events per second of the day itself, at most."""
_LOOK_S: Final = 0.05
_TURN_S: Final = 0.02
_MADE: Final = 1_000_000
_BLOCK: Final = 65_536
_MOST: Final = 32_768
"""Events sent in one turn; what is late after a broker that was gone comes at no more than this."""
_BATCH: Final = 1_000


class LoadError(RuntimeError):
    """The load has ended by itself."""


class Load:
    """Processes of its own, which can be held. `topics`: of events and of reference data."""

    def __init__(self, bootstrap: str, rate: int, seed: int, securities: int, topics: tuple[str, str]) -> None:
        day = {"--to": "kafka", "--kafka": bootstrap, "--rate": min(rate, DAY_RATE), "--encoding": "arrow"}
        day |= {"--events-topic": topics[0], "--reference-topic": topics[1], "--partitions": PARTITIONS}
        day |= {"--seed": seed, "--securities": securities}
        flood = {"--kafka": bootstrap, "--rate": max(0, rate - DAY_RATE), "--seed": seed, "--securities": securities}
        flood |= {"--events-topic": topics[0], "--reference-topic": topics[1]}
        self._flood = ["app.bench.fault_load", *(str(part) for option in flood.items() for part in option)]
        self._processes = [_started(["app.cli", "simulate", *(str(part) for option in day.items() for part in option)])]
        self._wanted = rate
        self._begun = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    async def begun(self) -> None:
        """Returns when the start of the day is sent and events are on their way. Raises `LoadError`."""
        while not self._begun.is_set():
            self._live()
            await asyncio.sleep(_LOOK_S)
        if self._wanted > DAY_RATE:
            flood = _started(self._flood)
            self._processes.append(flood)
            assert flood.stdout is not None
            # it has its connection before anything is done to the broker
            await asyncio.to_thread(flood.stdout.readline)
            self._live()

    def hold(self) -> None:
        """Raises `LoadError`."""
        self._live()
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _live(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                raise LoadError(f"the load ended by itself, with code {process.returncode}")

    def _listen(self) -> None:
        """What the day says is said on, and told: once a second how many events there were since its start."""
        output = self._processes[0].stderr
        assert output is not None
        for line in output:
            os.write(2, line)
            if line.rstrip().endswith(b"a second"):
                self._begun.set()


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    told, said = (subprocess.DEVNULL, subprocess.PIPE) if command[0] == "app.cli" else (subprocess.PIPE, None)
    return subprocess.Popen([*services.dies_with_us(), sys.executable, "-m", *command], stdout=told, stderr=said)


async def flood(args: argparse.Namespace) -> None:
    """Until it is killed."""
    markets = world.markets()
    with tempfile.TemporaryDirectory(prefix="ims-flood-") as folder:
        calendar = world.calendar(markets, dt.datetime.now(dt.UTC), Path(folder))
    days = TradingDays.of(calendar.business_day, calendar.base_date, calendar.today)
    universe = build(markets, listings(), args.securities, args.seed, today=int(calendar.today[0]))
    simulator = Simulator(universe, days, args.seed, PARTITIONS, prefix="flood", apart=True, mix=AS_EVENTS)
    named = topics(args.events_topic, args.reference_topic)
    of_route = [named[feed_named(route.feed).index] for route in Route]
    made = [simulator.next(_BLOCK, time.time_ns()) for _ in range(_MADE // _BLOCK)]
    step = numbers_of(made)
    every = np.concatenate(made)
    at, sent, began = 0, 0, time.monotonic()
    async with Producer(args.kafka) as producer:
        sources = [reference.Source(code, "simulator") for code in simulator.sources]
        await producer.send_reference(args.reference_topic, sources, time.time_ns() // 1_000_000)
        await producer.flush()
        print("begun", flush=True)  # noqa: T201  to who started us
        while True:
            due = min(int((time.monotonic() - began) * args.rate) - sent, _MOST, every.size - at)
            drafts = every[at : at + due]
            drafts["time_ns"] = time.time_ns()
            for records in simulator.records(drafts, of_route, "arrow", _BATCH):
                await producer.send(records, time.time_ns() // 1_000_000)
            drafts["seq"] += step[drafts["source"]]
            at, sent = (at + due) % every.size, sent + due
            await asyncio.sleep(_TURN_S)


def main() -> None:
    """`python -m app.bench.fault_load`: the flood."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    for name in ("rate", "seed", "securities"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--events-topic", required=True)
    parser.add_argument("--reference-topic", required=True)
    asyncio.run(flood(parser.parse_args()))


if __name__ == "__main__":
    main()
